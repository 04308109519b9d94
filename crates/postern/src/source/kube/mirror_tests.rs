use serde_json::{Value, json};

use super::*;

fn dynamic(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

/// A route as the API server sends it.
fn route(name: &str, host: &str, version: &str) -> DynamicObject {
    dynamic(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {
            "namespace": "shop", "name": name, "uid": "u1", "generation": 3, "resourceVersion": version,
            "annotations": { LAST_APPLIED: "{}" },
            "managedFields": [{ "manager": "kubectl", "operation": "Update", "fieldsV1": { "f:spec": {} } }],
        },
        "spec": { "hostnames": [host] },
        "status": { "parents": [] },
    }))
}

fn secret(name: &str, version: &str) -> DynamicObject {
    dynamic(
        json!({ "metadata": { "namespace": "shop", "name": name, "resourceVersion": version } }),
    )
}

fn listed(mirror: &mut Mirror, kind: Kind, objects: Vec<DynamicObject>) {
    mirror.event(kind, Event::Init);
    for object in objects {
        mirror.event(kind, Event::InitApply(object));
    }
    mirror.event(kind, Event::InitDone);
}

fn routes(mirror: &Mirror) -> Vec<String> {
    mirror
        .resources
        .http_routes
        .keys()
        .map(ToString::to_string)
        .collect()
}

fn reference(kind: Kind, name: &str) -> ObjectRef {
    ObjectRef::new(kind, ObjectKey::new("shop", name))
}

#[test]
fn nothing_is_complete_before_every_kind_is_listed() {
    let mut mirror = Mirror::default();
    assert!(!mirror.is_complete());
    mirror.serve(Kind::HttpRoute, "v1");
    mirror.serve(Kind::Service, "v1");
    listed(
        &mut mirror,
        Kind::HttpRoute,
        vec![route("a", "a.example", "1")],
    );
    assert!(!mirror.is_complete());
    listed(&mut mirror, Kind::Service, vec![]);
    assert!(mirror.is_complete());
    assert!(mirror.update().is_some());
    assert!(mirror.update().is_none(), "told once");
}

#[test]
fn a_write_that_changes_nothing_we_read_is_no_news() {
    let mut mirror = Mirror::default();
    listed(
        &mut mirror,
        Kind::HttpRoute,
        vec![route("a", "a.example", "1")],
    );
    let before = mirror.update().unwrap().resources;
    let mut written = route("a", "a.example", "2");
    written.data["status"] = json!({ "parents": [{ "controllerName": "x" }] });
    mirror.event(Kind::HttpRoute, Event::Apply(written));
    assert!(mirror.update().is_none());
    let seen = mirror
        .observed()
        .get(&reference(Kind::HttpRoute, "a"))
        .unwrap();
    assert_eq!((&*seen.version, seen.generation), ("2", 3));
    assert_eq!(&*seen.status, r#"{"parents":[{"controllerName":"x"}]}"#);
    mirror.event(Kind::HttpRoute, Event::Apply(route("b", "b.example", "3")));
    let after = mirror.update().unwrap().resources;
    let key = ObjectKey::new("shop", "a");
    assert!(Arc::ptr_eq(
        &before.http_routes[&key],
        &after.http_routes[&key]
    ));
    let metadata = &after.http_routes[&key].metadata;
    assert_eq!(
        (&metadata.managed_fields, &metadata.annotations),
        (&None, &None)
    );
}

#[test]
fn a_new_list_removes_what_is_not_in_it() {
    let mut mirror = Mirror::default();
    let (a, b) = (route("a", "a.example", "1"), route("b", "b.example", "1"));
    listed(&mut mirror, Kind::HttpRoute, vec![a.clone(), b.clone()]);
    mirror.update();
    listed(&mut mirror, Kind::HttpRoute, vec![b.clone()]);
    assert_eq!(routes(&mirror), ["shop/b"]);
    assert!(mirror.update().is_some());
    assert_eq!(
        mirror.observed().get(&reference(Kind::HttpRoute, "a")),
        None
    );
    mirror.event(Kind::HttpRoute, Event::Delete(b));
    assert_eq!(routes(&mirror), [""; 0]);
    mirror.forget(Kind::HttpRoute);
    assert!(!mirror.is_complete());
}

#[test]
fn an_object_that_cannot_be_read_harms_no_other_and_keeps_its_last_state() {
    let mut mirror = Mirror::default();
    let mut broken = route("a", "a.example", "2");
    broken.data["spec"]["hostnames"] = json!(7);
    let good = vec![route("a", "a.example", "1"), route("b", "b.example", "1")];
    listed(&mut mirror, Kind::HttpRoute, good);
    mirror.update();
    mirror.event(Kind::HttpRoute, Event::Apply(broken.clone()));
    let update = mirror.update().unwrap();
    assert_eq!(routes(&mirror), ["shop/a", "shop/b"]);
    let problem = update.problems[0].to_string();
    assert!(
        problem.contains("HTTPRoute/shop/a") && problem.contains("hostnames")
            || problem.contains("invalid type"),
        "{problem}"
    );
    mirror.event(Kind::HttpRoute, Event::Apply(broken));
    assert!(mirror.update().is_none(), "the same problem is no news");
    mirror.event(Kind::HttpRoute, Event::Apply(route("a", "a.example", "3")));
    assert_eq!(mirror.update().unwrap().problems, []);
}

#[test]
fn secrets_are_read_when_something_refers_to_them() {
    let mut mirror = Mirror::default();
    listed(
        &mut mirror,
        Kind::Secret,
        vec![secret("web", "1"), secret("other", "1")],
    );
    assert_eq!(mirror.orders(), []);
    let ingress = dynamic(json!({
        "metadata": { "namespace": "shop", "name": "i" },
        "spec": { "tls": [{ "secretName": "web" }] },
    }));
    listed(&mut mirror, Kind::Ingress, vec![ingress.clone()]);
    assert_eq!(
        mirror.orders(),
        [(reference(Kind::Secret, "web"), "1".into())]
    );
    assert!(mirror.is_waiting());
    let mut full = secret("web", "1");
    full.data = json!({ "type": "kubernetes.io/tls", "data": {} });
    mirror.fetched(reference(Kind::Secret, "web"), "1", Some(full));
    assert!(!mirror.is_waiting());
    assert_eq!(mirror.resources.secrets.len(), 1);
    // The list comes again; nothing has changed.
    listed(&mut mirror, Kind::Secret, vec![secret("web", "1")]);
    assert_eq!(
        (mirror.orders(), mirror.resources.secrets.len()),
        (vec![], 1)
    );
    mirror.event(Kind::Ingress, Event::Delete(ingress));
    assert_eq!(
        (mirror.orders(), mirror.resources.secrets.len()),
        (vec![], 0)
    );
}

#[test]
fn what_we_wrote_is_not_read_back() {
    let mut mirror = Mirror::new("c");
    let mut ours = route("a", "a.example", "1");
    ours.metadata.labels = Some([(annotation::TRANSLATED.to_owned(), "true".to_owned())].into());
    let controller = (annotation::CONTROLLER.to_owned(), "c".to_owned());
    ours.metadata.annotations = Some([controller].into());
    let fields = ours.metadata.managed_fields.as_mut().unwrap();
    fields[0].manager = Some(crate::source::kube::MANAGER.to_owned());
    listed(&mut mirror, Kind::HttpRoute, vec![ours.clone()]);
    mirror.update();
    assert_eq!(routes(&mirror), [""; 0]);
    let seen = mirror
        .observed()
        .get(&reference(Kind::HttpRoute, "a"))
        .unwrap();
    assert!(!seen.written.as_ref().unwrap().edited);
    // Somebody edits it, and somebody else takes the label off.
    ours.metadata.managed_fields.as_mut().unwrap()[0].manager = Some("kubectl-edit".to_owned());
    mirror.event(Kind::HttpRoute, Event::Apply(ours.clone()));
    let seen = mirror
        .observed()
        .get(&reference(Kind::HttpRoute, "a"))
        .unwrap();
    assert!(seen.written.as_ref().unwrap().edited);
    assert!(mirror.update().is_none());
    ours.metadata.labels = None;
    mirror.event(Kind::HttpRoute, Event::Apply(ours));
    assert_eq!(routes(&mirror), ["shop/a"]);
}

#[test]
fn what_another_installation_wrote_is_an_object_like_others() {
    let mut mirror = Mirror::new("c");
    let mut theirs = route("a", "a.example", "1");
    theirs.metadata.labels = Some([(annotation::TRANSLATED.to_owned(), "true".to_owned())].into());
    let controller = (annotation::CONTROLLER.to_owned(), "other".to_owned());
    theirs.metadata.annotations = Some([controller].into());
    listed(&mut mirror, Kind::HttpRoute, vec![theirs]);
    assert_eq!(routes(&mirror), ["shop/a"]);
    assert_eq!(mirror.observed().written(), []);
}

#[test]
fn a_service_of_a_cluster_names_no_endpoints() {
    let service = |endpoints: Option<&str>| {
        let annotations = endpoints.map(|named| json!({ annotation::ENDPOINTS: named, "a": "b" }));
        dynamic(json!({
            "metadata": { "namespace": "shop", "name": "web", "annotations": annotations },
            "spec": { "ports": [{ "port": 80 }] },
        }))
    };
    let mut mirror = Mirror::default();
    let named = service(Some("127.0.0.1:15000"));
    listed(&mut mirror, Kind::Service, vec![named.clone()]);
    let update = mirror.update().unwrap();
    let kept = &update.resources.services[&ObjectKey::new("shop", "web")];
    let kept = kept.metadata.annotations.as_ref().unwrap();
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["a"]);
    let problems = |update: &Update| -> Vec<String> {
        update.problems.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        problems(&update),
        [format!("Service/shop/web: {NO_ENDPOINTS}")]
    );
    mirror.event(Kind::Service, Event::Apply(named));
    assert!(mirror.update().is_none(), "told once");
    mirror.event(Kind::Service, Event::Apply(service(None)));
    assert_eq!(problems(&mirror.update().unwrap()), [""; 0]);
}

#[test]
fn kinds_that_are_lacking_are_told_of_by_group() {
    let mut mirror = Mirror::default();
    let mut kinds: BTreeSet<_> = Kind::ALL.iter().copied().collect();
    listed(&mut mirror, Kind::Service, vec![]);
    mirror.define(&kinds, Definitions::new());
    let update = mirror.update().unwrap();
    assert!(update.problems.is_empty() && update.absent.is_empty());
    for kind in [Kind::ListenerSet, Kind::HttpRoute, Kind::RoutePolicy] {
        kinds.remove(&kind);
    }
    mirror.define(&kinds, Definitions::new());
    let update = mirror.update().unwrap();
    let problems: Vec<_> = update.problems.iter().map(ToString::to_string).collect();
    assert!(
        problems[0].starts_with(
            "gateway.networking.k8s.io: the API server lacks ListenerSet, HTTPRoute: "
        )
    );
    assert!(
        problems[1]
            .starts_with("postern.dev: the API server lacks RoutePolicy: install postern-crds; ")
    );
    assert_eq!((problems.len(), update.absent.len()), (2, 3));
    mirror.define(&kinds, Definitions::new());
    assert!(mirror.update().is_none(), "told once");
}

/// A status is written where the object was read.
#[test]
fn whoever_writes_is_told_the_version_that_there_is() {
    let mut mirror = Mirror::new("postern.dev/test");
    let observed = mirror.observed();
    assert_eq!(observed.version(Kind::TcpRoute), None);
    mirror.serve(Kind::TcpRoute, "v1alpha2");
    assert_eq!(
        observed.version(Kind::TcpRoute).as_deref(),
        Some("v1alpha2")
    );
    mirror.serve(Kind::TcpRoute, "v1");
    assert_eq!(observed.version(Kind::TcpRoute).as_deref(), Some("v1"));
}

#[test]
fn what_we_have_put_into_the_status_of_an_ingress_is_seen_and_no_news() {
    let ingress = |version: &str, annotations: Value, managers: Value| {
        dynamic(json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {
                "namespace": "shop", "name": "web", "uid": "u", "generation": 1, "resourceVersion": version,
                "annotations": annotations, "managedFields": managers,
            },
            "spec": {},
            "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.9" }] } },
        }))
    };
    let list = |manager: &str, subresource: &str| {
        let fields = json!({ "f:status": { "f:loadBalancer": { "f:ingress": {} } } });
        json!([{ "manager": manager, "operation": "Update", "subresource": subresource, "fieldsV1": fields }])
    };
    let mut mirror = Mirror::default();
    let plain = ingress("1", json!({}), json!([]));
    listed(&mut mirror, Kind::Ingress, vec![plain]);
    mirror.update().unwrap();
    let text = r#"{"c":["192.0.2.9"]}"#;
    let marked = json!({ annotation::PUBLISHED: text });
    let object = reference(Kind::Ingress, "web");
    for (version, managers, placed) in [
        ("2", list("postern", "status"), true),
        ("3", list("postern", ""), false),
        ("4", list("nginx-ingress-controller", "status"), false),
        (
            "5",
            json!([{ "manager": "postern", "subresource": "status", "fieldsV1": {} }]),
            false,
        ),
    ] {
        let written = ingress(version, marked.clone(), managers);
        mirror.event(Kind::Ingress, Event::Apply(written));
        let seen = mirror.observed.get(&object).unwrap();
        assert_eq!(seen.published.as_deref(), Some(text));
        assert_eq!(seen.placed, placed, "{version}");
        assert!(mirror.update().is_none(), "nothing else has changed");
    }
}

/// Filters have no status, by which others are seen.
#[test]
fn an_object_whose_label_is_taken_off_is_somebody_s_own_and_released_from_its_ingress() {
    let filter = |version: &str, label: bool, owners: &[&str]| {
        let owners: Vec<_> = owners
            .iter()
            .map(|kind| json!({ "apiVersion": "v1", "kind": kind, "name": "web", "uid": "i" }))
            .collect();
        let mut filter = dynamic(json!({
            "apiVersion": "postern.dev/v1alpha1", "kind": "RouteFilter",
            "metadata": {
                "namespace": "shop", "name": "f", "uid": "u", "generation": 1, "resourceVersion": version,
                "annotations": { annotation::CONTROLLER: "c", annotation::ORIGIN: "Ingress/shop/web" },
                "ownerReferences": owners,
            },
            "spec": { "type": "RegexRewrite", "regexRewrite": { "pattern": "a", "substitution": "b" } },
        }));
        let written = || BTreeMap::from([(annotation::TRANSLATED.to_owned(), "true".to_owned())]);
        filter.metadata.labels = label.then(written);
        filter
    };
    let mut mirror = Mirror::new("c");
    let object = reference(Kind::RouteFilter, "f");
    listed(
        &mut mirror,
        Kind::RouteFilter,
        vec![filter("1", true, &["Ingress"])],
    );
    let seen = mirror.observed.get(&object).unwrap();
    assert!(seen.written.is_some() && seen.released.is_none());
    assert!(mirror.resources.get(&object).is_none());
    let off = filter("2", false, &["Ingress", "Application"]);
    mirror.event(Kind::RouteFilter, Event::Apply(off));
    let seen = mirror.observed.get(&object).unwrap();
    assert!(seen.written.is_none());
    let kept = seen.released.as_deref().unwrap();
    assert_eq!(
        kept.iter().map(|owner| &*owner.kind).collect::<Vec<_>>(),
        ["Application"]
    );
    assert!(mirror.resources.get(&object).is_some());
    let own = filter("3", false, &["Application"]);
    mirror.event(Kind::RouteFilter, Event::Apply(own));
    // Its name is taken, which its writer has to know before the next state that is served has it.
    let seen = mirror.observed.get(&object).unwrap();
    assert!(seen.written.is_none() && seen.released.is_none());
    assert!(mirror.resources.get(&object).is_some());
}

/// A Gateway as the API server sends it once definitions are installed that have a field which is not known here.
fn gateway(version: &str, listener: Value) -> DynamicObject {
    let mut listener = listener;
    listener["name"] = json!("http");
    listener["port"] = json!(80);
    listener["protocol"] = json!("HTTP");
    dynamic(json!({
        "metadata": {"namespace": "shop", "name": "gw", "resourceVersion": version},
        "spec": {"gatewayClassName": "postern", "listeners": [listener]},
        "status": {"addresses": [{"value": "1.2.3.4", "later": true}]},
    }))
}

#[test]
fn what_an_object_says_beyond_its_type_is_kept_with_it_and_is_news() {
    let mut mirror = Mirror::default();
    mirror.serve(Kind::Gateway, "v1");
    listed(&mut mirror, Kind::Gateway, vec![gateway("1", json!({}))]);
    let name = reference(Kind::Gateway, "gw");
    let plain = mirror.update().unwrap().resources;
    assert_eq!(plain.beyond(&name), None);
    // Only the field that the type lacks is another: translation has to hear of the object all the same.
    let closed = gateway("2", json!({"later": [], "filters": {"requests": []}}));
    mirror.event(Kind::Gateway, Event::Apply(closed));
    let closed = mirror.update().unwrap().resources;
    let beyond = closed.beyond(&name).unwrap();
    let said: Vec<_> = beyond.unknown().iter().map(ToString::to_string).collect();
    assert_eq!(said, ["field spec.listeners[0].later"]);
    assert!(beyond.listener_filters(0).is_some());
    let (before, after) = (plain.get(&name).unwrap(), closed.get(&name).unwrap());
    assert!(before == after && !before.is_same(&after));
    let again = gateway("3", json!({"later": [], "filters": {"requests": []}}));
    mirror.event(Kind::Gateway, Event::Apply(again));
    assert!(mirror.update().is_none(), "nothing is new");
    mirror.event(Kind::Gateway, Event::Apply(gateway("4", json!({}))));
    assert_eq!(mirror.update().unwrap().resources.beyond(&name), None);
}

#[test]
fn a_route_with_a_filter_that_is_not_known_is_read_with_it() {
    let mut mirror = Mirror::default();
    mirror.serve(Kind::HttpRoute, "v1");
    let mut object = route("r", "a.example", "1");
    object.data["spec"]["rules"] = json!([{"filters": [{"type": "JWT", "jwt": {}}]}]);
    listed(&mut mirror, Kind::HttpRoute, vec![object]);
    let update = mirror.update().unwrap();
    let beyond = update.resources.beyond(&reference(Kind::HttpRoute, "r"));
    assert_eq!(beyond.unwrap().unknown().len(), 2);
    assert!(
        update.problems.is_empty(),
        "its condition says it: {:?}",
        update.problems
    );
}

#[test]
fn a_grant_with_a_field_that_is_not_known_has_no_condition_to_say_so() {
    let mut mirror = Mirror::default();
    mirror.serve(Kind::ReferenceGrant, "v1");
    let grant = dynamic(json!({
        "metadata": {"namespace": "shop", "name": "g", "resourceVersion": "1"},
        "spec": {
            "from": [{"group": "", "kind": "Service", "namespace": "a", "except": []}],
            "to": [{"group": "", "kind": "Service"}],
        },
    }));
    listed(&mut mirror, Kind::ReferenceGrant, vec![grant]);
    let problems = mirror.update().unwrap().problems;
    let said = problems
        .iter()
        .find(|problem| problem.message.contains("spec.from[0].except"));
    let said = said.unwrap_or_else(|| panic!("{problems:?}"));
    assert!(
        said.message
            .ends_with("is not known here, so that the grant permits nothing")
    );
}
