use std::{collections::BTreeMap, sync::Arc};

use api::{Resources, yaml};
use proptest::prelude::*;

use super::{Made, Pipeline, clash};
use crate::fault;

const INGRESS: &str = r"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: demo
spec:
  ingressClassName: higress
  rules:
  - host: example.com
    http:
      paths:
      - {path: /test, pathType: Exact, backend: {service: {name: demo, port: {number: 80}}}}
---
apiVersion: v1
kind: Service
metadata:
  name: demo
  annotations: {postern.dev/endpoints: '127.0.0.1:9000'}
spec: {ports: [{port: 80}]}
";

fn resources(text: &str) -> Resources {
    let manifests = yaml::read(text);
    assert_eq!(manifests.errors, []);
    manifests.into_resources()
}

fn pipeline() -> Pipeline {
    Pipeline::new(converter::Options::default())
}

#[test]
fn an_ingress_reaches_the_ir() {
    let made = pipeline().run(&resources(INGRESS));
    assert_eq!(findings(&made), Vec::<String>::new());
    assert_eq!(made.ir.ports.len(), 1);
    assert_eq!(made.ir.clusters.len(), 1);
}

/// Everything that is not as its author wants it, one line each.
fn findings(made: &Made) -> Vec<String> {
    let notes = made.lossy().map(ToString::to_string);
    let faults = fault::all(made, &Resources::default());
    let clashes = made.clashes.iter().map(clash);
    notes
        .chain(clashes)
        .chain(faults.iter().map(ToString::to_string))
        .collect()
}

#[test]
fn what_did_not_change_stays_the_same_object() {
    let mut pipeline = pipeline();
    let mut input = resources(INGRESS);
    let first = pipeline.run(&input).generated;
    let other = INGRESS
        .replace(
            "name: demo\nspec:\n  ingress",
            "name: other\nspec:\n  ingress",
        )
        .replace("/test", "/other");
    input.extend(resources(&other));
    let second = pipeline.run(&input).generated;
    assert!(second.http_routes.len() > first.http_routes.len());
    for (key, route) in &first.http_routes {
        assert!(Arc::ptr_eq(route, &second.http_routes[key]), "{key}");
    }
}

#[test]
fn a_hand_written_object_counts_before_a_generated_one() {
    let mut input = resources(INGRESS);
    let mut pipeline = pipeline();
    let first = pipeline.run(&input).generated;
    let mut route = first.http_routes.values().next().unwrap().as_ref().clone();
    route.metadata.labels = None;
    route.spec.hostnames = Some(vec!["own.example.com".to_owned()]);
    input.insert(route.into());
    let made = pipeline.run(&input);
    assert_eq!(made.clashes.len(), 1);
    assert!(findings(&made)[0].contains("the one in the input counts"));
    let hosts: Vec<_> = made
        .ir
        .ports
        .values()
        .flat_map(|p| &p.listeners)
        .flat_map(|l| &l.hosts)
        .map(|h| h.host.to_string())
        .collect();
    assert_eq!(hosts, ["own.example.com"]);
}

/// What keeps somebody out: a key, and texts that may stand in it, good and bad.
const GUARDS: &[(&str, &[&str])] = &[
    (
        "whitelist-source-range",
        &[
            "10.0.0.0/8",
            ",",
            "office",
            "10.0.0.0/33",
            "10.0.0.1/8,::/0x",
        ],
    ),
    (
        "denylist-source-range",
        &["10.0.0.0/8", ", ,", "2001:db8::/200", "1.2.3"],
    ),
    ("auth-type", &["basic", "digest", "Basic"]),
    (
        "auth-secret",
        &["users", "broken", "lost", "other/users", "a/b/c", "-"],
    ),
    (
        "auth-url",
        &[
            "http://demo.default.svc.cluster.local/",
            "https://nowhere.example/",
            "demo",
            "http://$host/",
            "http://$x/",
            "http://[::1",
        ],
    ),
];

/// Users that can log in, and one that cannot.
const SECRETS: &str = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: users}\nstringData: {auth: 'john:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ='}\n\
    ---\napiVersion: v1\nkind: Secret\nmetadata: {name: broken}\nstringData: {auth: john}\n";

/// What may stand beside it.
fn others() -> impl Strategy<Value = BTreeMap<&'static str, String>> {
    let keys: Vec<&'static str> = converter::annotations::FAMILIES
        .iter()
        .flat_map(|family| family.keys)
        .filter(|key| key.prefix().is_none())
        .map(|key| key.name)
        .collect();
    let value = prop_oneof![
        Just("true".to_owned()),
        "[0-9]{1,3}",
        "/[a-z$0-9]{0,5}",
        "[a-z]{1,5}",
        "http://[a-z]{1,3}(/[a-z]{0,3})?",
        "default/(users|broken|lost)",
    ];
    prop::collection::btree_map(prop::sample::select(keys), value, 0..6)
}

/// Whether somebody is kept out of a rule.
fn is_guarded(rule: &ir::Rule) -> bool {
    let lists = rule.gates.addresses.as_ref();
    lists.is_some_and(|lists| !lists.allow.is_empty() || !lists.deny.is_empty())
        || rule.gates.asks_who()
}

/// [`INGRESS`] with annotations.
fn annotated(name: &str, annotations: &BTreeMap<&str, String>) -> String {
    let lines: String = annotations
        .iter()
        .map(|(key, value)| format!("    higress.io/{key}: {value:?}\n"))
        .collect();
    let head = format!("  name: {name}\n  annotations:\n{lines}spec:\n  ingress");
    INGRESS.replace("  name: demo\nspec:\n  ingress", &head)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// From the annotation to the data plane: a rule that leads to a backend has its guard, or answers an error.
    #[test]
    fn no_guard_is_lost_on_the_way(
        (guard, text) in prop::sample::select(GUARDS)
            .prop_flat_map(|(guard, texts)| (Just(guard), prop::sample::select(texts))),
        mut annotations in others(),
        class in prop::sample::select(vec!["higress", "nginx"]),
        canary in prop::sample::select(vec!["canary-by-header", "canary-weight", "canary-by-cookie"]),
    ) {
        annotations.insert(guard, text.to_owned());
        let canary = BTreeMap::from([("canary", "true".to_owned()), (canary, "50".to_owned())]);
        let manifests = [annotated("demo", &annotations), annotated("canary", &canary)].join("---\n");
        let manifests = manifests.replace("Class: higress", &format!("Class: {class}")) + SECRETS;
        let options = converter::Options { ingress_classes: vec![converter::Class::named(class)], ..converter::Options::default() };
        let made = Pipeline::new(options).run(&resources(&manifests));
        let listeners = made.ir.ports.values().flat_map(|port| &port.listeners);
        for route in listeners.flat_map(|listener| &listener.hosts).flat_map(|host| &host.routes) {
            let forwards = matches!(route.rule.action, ir::Action::Forward(_));
            prop_assert!(!forwards || is_guarded(&route.rule), "{:?}", route.rule);
        }
    }
}

/// The Ingress of [`INGRESS`] and others, in a cluster where Gateways are at 192.0.2.9.
fn placed(places: bool, input: &Resources) -> Vec<String> {
    let core = gateway_core::Options {
        published: vec!["192.0.2.9".into()],
        ..gateway_core::Options::default()
    };
    let pipeline = pipeline().in_cluster(core).placing(places);
    let made = { pipeline }.run(input);
    let placed = made.status.ingresses.iter();
    let line = |(key, addresses): (_, &Arc<[gateway_core::Address]>)| {
        let all: Vec<_> = addresses.iter().map(|address| &*address.value).collect();
        format!("{key} {}", all.join(" "))
    };
    placed.map(line).collect()
}

#[test]
fn ingresses_are_told_where_they_are_served_if_they_are_to_be_and_are() {
    let mut input = resources(INGRESS);
    let told = ["default/demo 192.0.2.9"];
    assert_eq!(placed(false, &input), [""; 0]);
    assert_eq!(placed(true, &input), told);
    // One of another class; one with a host that cannot be served; one that is about to go.
    let other = |name: &str, from: &str, to: &str| {
        let named = INGRESS.replace(
            "name: demo\nspec:\n  ingress",
            &format!("name: {name}\nspec:\n  ingress"),
        );
        let changed = named.replace(from, to);
        assert_ne!(named, changed);
        resources(&changed)
    };
    input.extend(other("foreign", "higress", "nginx"));
    input.extend(other(
        "broken",
        "host: example.com",
        "host: '*.*.example.com'",
    ));
    let going = "name: going\n  deletionTimestamp: 2026-01-01T00:00:00Z";
    input.extend(other("going", "name: going", going));
    assert_eq!(placed(true, &input), told);
    input.extend(other("upper", "example.com", "EXAMPLE.com"));
    assert_eq!(placed(true, &input).len(), 2);
}
