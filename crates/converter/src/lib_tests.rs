use api::{Resources, yaml};
use proptest::prelude::*;

use crate::{
    Class, Expansion, Options, Outcome,
    annotations::{FAMILIES, HIGRESS, NGINX},
    expand,
};

fn resources(text: &str) -> Resources {
    let read = yaml::read(text);
    assert!(read.errors.is_empty(), "{:?}", read.errors);
    read.into_resources()
}

fn shown(expansion: &Expansion) -> String {
    let notes: String = expansion
        .notes
        .iter()
        .map(|note| format!("# note: {note}\n"))
        .collect();
    yaml::write(&expansion.generated) + &notes
}

#[test]
fn goldens() {
    let options = Options {
        ingress_classes: ["higress", "mse", "nginx"].map(Class::named).into(),
        synthesize_gateway: false,
        ..Options::default()
    };
    testkit::golden::check_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata"), |input| {
        shown(&expand(&resources(input), &options))
    });
}

#[test]
fn a_gateway_is_made_only_where_it_is_missing() {
    let ingress = include_str!("../testdata/timeout/seconds.in.yaml");
    let made = expand(&resources(ingress), &Options::default()).generated;
    assert_eq!((made.gateways.len(), made.gateway_classes.len()), (1, 1));
    let mut all = resources(ingress);
    all.extend(made);
    let again = expand(&all, &Options::default()).generated;
    assert_eq!((again.gateways.len(), again.gateway_classes.len()), (0, 0));
    assert!(
        expand(&Resources::default(), &Options::default())
            .generated
            .is_empty()
    );
}

/// A host that has a certificate.
const SECURED: &str = "secured.com";

/// An Ingress with one annotation of each kind of text.
fn ingress(path: &str, path_type: &str, host: &str, annotations: &[(String, String)]) -> Resources {
    ingress_of("higress", path, path_type, host, annotations)
}

fn ingress_of(
    class: &str,
    path: &str,
    path_type: &str,
    host: &str,
    annotations: &[(String, String)],
) -> Resources {
    let annotations: serde_json::Map<_, _> = annotations
        .iter()
        .map(|(k, v)| (k.clone(), serde_json::Value::String(v.clone())))
        .collect();
    let backend = serde_json::json!({ "service": { "name": "s", "port": { "number": 80 } } });
    let rule = serde_json::json!({
        "host": host,
        "http": { "paths": [{ "path": path, "pathType": path_type, "backend": backend }] },
    });
    let tls = match host {
        SECURED => serde_json::json!([{ "hosts": [host], "secretName": "cert" }]),
        _ => serde_json::Value::Null,
    };
    let object = serde_json::json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": { "name": "demo", "namespace": "default", "annotations": annotations },
        "spec": { "ingressClassName": class, "rules": [rule], "tls": tls },
    });
    resources(&object.to_string())
}

fn keys() -> impl Strategy<Value = String> {
    let names: Vec<&str> = FAMILIES
        .iter()
        .flat_map(|family| family.keys.iter().map(|key| key.name))
        .collect();
    let name = prop_oneof![
        10 => prop::sample::select(names).prop_map(str::to_owned),
        1 => "[a-z-]{1,20}",
        3 => "(exact|prefix|regex)-match-(header|query|pseudo-header)-([a-z]{0,3}|method|scheme|authority)",
    ];
    (prop::sample::select(vec![HIGRESS, NGINX]), name)
        .prop_map(|(prefix, name)| format!("{prefix}{name}"))
}

fn values() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("true".to_owned()),
        "-?[0-9]{1,20}",
        "/[a-z$0-9(.*)|]{0,12}",
        "(https?://)?[a-z*.]{1,10}(:[0-9]{1,6})?(/[a-z]*)?(\\?a=b)?",
        "[a-z]{1,5} [ -~]{0,10}(\n[a-z]{0,4} ?[ -~]{0,5}){0,3}",
        "\\PC{0,30}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_panics_and_every_annotation_gets_one_note(
        annotations in prop::collection::btree_map(keys(), values(), 0..6),
        path in "(/[a-z().*|$\\[\\]{}+?^\\\\]{0,10}|\\PC{0,10})",
        path_type in prop::sample::select(vec!["Exact", "Prefix", "ImplementationSpecific"]),
        host in "([a-z.*]{0,12}|\\PC{0,8})",
        class in prop::sample::select(vec!["higress", "nginx"]),
    ) {
        let annotations: Vec<_> = annotations.into_iter().collect();
        let resources = ingress_of(class, &path, path_type, &host, &annotations);
        let options = Options { ingress_classes: vec![Class::named(class)], ..Options::default() };
        let expansion = expand(&resources, &options);
        for (key, _) in &annotations {
            let count = expansion.notes.iter().filter(|note| note.key.as_ref() == Some(key)).count();
            prop_assert_eq!(count, 1, "{}", key);
        }
        prop_assert_eq!(expand(&resources, &options), expansion, "equal input, equal output");
    }

    #[test]
    fn an_ingress_does_not_change_what_another_becomes(
        annotations in prop::collection::btree_map(keys(), values(), 0..4),
        host in "[a-z]{1,3}\\.org",
    ) {
        let ours = resources(include_str!("../testdata/timeout/seconds.in.yaml"));
        let alone = expand(&ours, &Options::default());
        let annotations: Vec<_> = annotations.into_iter().collect();
        let mut both = ingress("/other", "Exact", &host, &annotations);
        both.extend(ours);
        let together = expand(&both, &Options::default());
        for object in alone.generated.iter() {
            prop_assert_eq!(together.generated.get(&object.reference()), Some(object.clone()));
        }
    }
}

#[test]
fn every_annotation_is_answered_for() {
    let note = |annotations: &[(&str, &str)]| {
        let annotations: Vec<_> = annotations
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        expand(
            &ingress("/", "Exact", "a.com", &annotations),
            &Options::default(),
        )
        .notes
        .iter()
        .cloned()
        .collect::<Vec<_>>()
    };
    assert_eq!(
        note(&[("higress.io/load-balance", "random")])[0].outcome,
        Outcome::Exact
    );
    assert_eq!(
        note(&[("higress.io/mcp-server", "true")])[0].outcome,
        Outcome::Refused
    );
    assert_eq!(
        note(&[("higress.io/no-such-key", "1")])[0].outcome,
        Outcome::Refused
    );
    assert!(note(&[("example.com/foreign", "1")]).is_empty());
}

/// Annotations that keep somebody out.
const GUARDS: &[&str] = &[
    "whitelist-source-range",
    "allowlist-source-range",
    "denylist-source-range",
    "auth-type",
    "auth-secret",
    "auth-url",
    "authz-type",
];

/// The rules with backends that nothing guards.
fn open_rules(expansion: &Expansion) -> Vec<String> {
    let guards: Vec<_> = expansion
        .generated
        .route_policies
        .values()
        .filter(|policy| {
            let spec = &policy.spec;
            let lists = spec.client_addresses.as_ref();
            lists.is_some_and(|lists| !lists.allow.is_empty() || !lists.deny.is_empty())
                || spec.basic_auth.is_some()
                || spec.external_auth.is_some()
        })
        .flat_map(|policy| &policy.spec.target_refs)
        .collect();
    let mut open = Vec::new();
    for route in expansion.generated.http_routes.values() {
        let name = route.metadata.name.clone().unwrap_or_default();
        for rule in route.spec.rules.iter().flatten() {
            let guarded = guards.iter().any(|target| {
                target.name == name
                    && (target.section_name.is_none() || target.section_name == rule.name)
            });
            if !guarded && rule.backend_refs.iter().flatten().next().is_some() {
                open.push(format!("{name}/{}", rule.name.clone().unwrap_or_default()));
            }
        }
    }
    open
}

/// The routes with backends that are reached without looking at who they are.
fn unverified_routes(expansion: &Expansion) -> Vec<String> {
    let verified = |target: &str| {
        let policies = expansion.generated.backend_policies.values();
        let mut modes = policies
            .filter(|policy| policy.spec.target_refs.iter().any(|t| t.name == target))
            .filter_map(|policy| policy.spec.tls.as_ref());
        modes.any(|tls| {
            use api::BackendTlsMode::{Verified, VerifiedChain};
            matches!(tls.mode, Verified | VerifiedChain)
        })
    };
    let routes = expansion.generated.http_routes.values();
    let names = routes
        .filter(|route| {
            let mut rules = route.spec.rules.iter().flatten();
            rules.any(|rule| rule.backend_refs.iter().flatten().next().is_some())
        })
        .filter_map(|route| route.metadata.name.clone());
    names.filter(|name| !verified(name)).collect()
}

fn anything() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        "[a-z0-9./:, $-]{1,20}",
        "[, \n]{1,3}",
        "[0-9a-f.:]{1,9}/[+0-9]{1,3}",
        "\\PC{1,10}",
        "[a-z]{1,3}/[a-z]{1,3}",
        prop::sample::select(vec!["basic", "10.0.0.0/8", "cert-cacert"]).prop_map(str::to_owned),
    ];
    // An empty text asks for nothing.
    text.prop_map(|text| match text.trim().is_empty() {
        true => ",".to_owned(),
        false => text,
    })
}

/// An Ingress with this annotation, and others.
fn with_others(
    (class, host): (&str, &str),
    (key, text): (&str, &str),
    others: &[(String, String)],
) -> Expansion {
    let (_, name) = key.split_once('/').unwrap();
    let mut annotations: Vec<_> = others
        .iter()
        .filter(|(key, _)| !key.ends_with(&format!("/{name}")))
        .cloned()
        .collect();
    annotations.push((key.to_owned(), text.to_owned()));
    let resources = ingress_of(class, "/a", "Prefix", host, &annotations);
    let options = Options {
        ingress_classes: vec![Class::named(class)],
        ..Options::default()
    };
    expand(&resources, &options)
}

fn others() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::btree_map(keys(), values(), 0..6).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever stands in it, and beside it.
    #[test]
    fn what_keeps_somebody_out_is_never_lost(
        guard in prop::sample::select(GUARDS),
        prefix in prop::sample::select(vec![HIGRESS, NGINX]),
        text in prop_oneof![9 => anything(), 1 => "[ \n]{0,2}"],
        others in others(),
        class in prop::sample::select(vec!["higress", "nginx"]),
    ) {
        // In Higress a star is every address.
        let star = guard == "whitelist-source-range" && crate::value::list(&text).contains(&"*");
        prop_assume!(!star || class == "nginx");
        let key = format!("{prefix}{guard}");
        let open = open_rules(&with_others((class, "a.com"), (&key, &text), &others));
        prop_assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn a_backend_that_is_to_be_verified_is(
        prefix in prop::sample::select(vec![HIGRESS, NGINX]),
        text in anything(),
        others in others(),
        class in prop::sample::select(vec!["higress", "nginx"]),
    ) {
        prop_assume!(!others.iter().any(|(key, _)| key.ends_with("/proxy-ssl-verify")));
        let key = format!("{prefix}proxy-ssl-secret");
        let mut others = others;
        if class == "nginx" {
            // There, this alone decides on TLS; and another one may say that there is none.
            others.retain(|(key, _)| !key.ends_with("/backend-protocol"));
            others.push((format!("{NGINX}backend-protocol"), "HTTPS".to_owned()));
        }
        let open = unverified_routes(&with_others((class, "a.com"), (&key, &text), &others));
        prop_assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn clients_that_are_to_show_a_certificate_have_to(
        prefix in prop::sample::select(vec![HIGRESS, NGINX]),
        text in anything(),
        others in others(),
        class in prop::sample::select(vec!["higress", "nginx"]),
    ) {
        let key = format!("{prefix}auth-tls-secret");
        let expansion = with_others((class, SECURED), (&key, &text), &others);
        let asked: Vec<_> = expansion
            .generated
            .client_policies
            .values()
            .filter(|policy| policy.spec.tls.as_ref().is_some_and(|tls| tls.client_certificate.is_some()))
            .flat_map(|policy| &policy.spec.target_refs)
            .collect();
        let routes = expansion.generated.http_routes.values();
        let parents: Vec<_> = routes.flat_map(|route| route.spec.parent_refs.iter().flatten()).collect();
        for (at, set) in &expansion.generated.listener_sets {
            // Without routes, nothing is behind it.
            let leads = |name: &str| parents.iter().any(|parent| {
                *parent.name == *at.name && parent.section_name.as_deref().is_none_or(|section| section == name)
            });
            for listener in set.spec.listeners.iter().filter(|listener| leads(&listener.name)) {
                let asks = asked.iter().any(|target| {
                    *target.name == *at.name
                        && target.section_name.as_ref().is_none_or(|name| *name == listener.name)
                });
                prop_assert!(asks, "{} of {at:?}", listener.name);
            }
        }
    }
}
