use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use api::{Object, ObjectKey, Resources};
use proptest::prelude::*;
use serde_json::{Value, json};
use testkit::certs::{Issued, self_signed};

use super::Expander;
use crate::{
    Class, Expansion, Options, StandIn, expand,
    value::{object_name, short_hash},
};

const HOSTS: &[&str] = &[
    "a.com",
    "*.a.com",
    "b.com",
    "",
    "x.a.com",
    "y.x.a.com",
    "*.com",
];

const CHALLENGE: &str = "/.well-known/acme-challenge/x";

/// A name too long to have anything put behind it, and the name that it is cut to: their routes for `a.com` have the
/// same name, so one of the two has to win in the same way each time.
fn names() -> [String; 5] {
    let long = "a".repeat(253);
    let suffix = short_hash(&[HOSTS[0]]);
    let whole = object_name(&long, &suffix);
    let twin = whole
        .strip_suffix(&format!("-{suffix}"))
        .unwrap()
        .to_owned();
    ["one".into(), "two".into(), "three".into(), long, twin]
}

#[derive(Debug, Clone)]
enum Edit {
    Ingress(usize, Box<Value>),
    Remove(usize),
    /// A Service with or without the port that paths name.
    Service(bool),
    NoService,
    /// Whether there is a class, whether it is the default one, and its controller.
    Class(Option<(bool, &'static str)>),
    /// The certificate that Ingresses name: for these hosts, unusable, or none.
    Secret(Option<&'static [&'static str]>),
    /// Likewise the default one.
    Default(Option<&'static [&'static str]>),
    /// Equal objects, as a watch that was opened anew brings them.
    Again,
    Options(u16),
}

fn annotation() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(vec![
        ("higress.io/canary", "true"),
        ("higress.io/canary-weight", "20"),
        ("higress.io/canary-by-header", "x-canary"),
        ("higress.io/rewrite-target", "/$1"),
        ("higress.io/rewrite-target", "/x"),
        ("higress.io/force-ssl-redirect", "true"),
        ("higress.io/permanent-redirect", "https://example.com/x"),
        ("higress.io/route-limit-rps", "10"),
        ("higress.io/load-balance", "random"),
        ("higress.io/force-ssl-redirect", "true"),
        ("higress.io/auth-tls-secret", "default/cert-cacert"),
        ("higress.io/ssl-cipher", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("higress.io/tls-min-protocol-version", "TLSv1.3"),
        ("nginx.ingress.kubernetes.io/timeout", "ten"),
        ("nginx.ingress.kubernetes.io/server-alias", "b.com"),
        ("nginx.ingress.kubernetes.io/server-alias", "www.b.com"),
        ("nginx.ingress.kubernetes.io/from-to-www-redirect", "true"),
        ("nginx.ingress.kubernetes.io/app-root", "/x"),
        ("higress.io/no-such-key", "1"),
    ])
}

fn ingress() -> impl Strategy<Value = Value> {
    let port = prop_oneof![
        4 => Just(json!({ "number": 80 })),
        1 => Just(json!({ "name": "web" })),
    ];
    let path_type = prop::sample::select(vec!["Exact", "Prefix", "ImplementationSpecific"]);
    let path = prop::sample::select(vec!["/", "/x", "/x(.*)", "//", CHALLENGE]);
    let backend = port.prop_map(|port| json!({ "service": { "name": "s", "port": port } }));
    let path = (path, path_type, backend.clone()).prop_map(|(path, path_type, backend)| {
        json!({ "path": path, "pathType": path_type, "backend": backend })
    });
    let rule = (
        prop::sample::select(HOSTS),
        prop::collection::vec(path, 1..3),
    )
        .prop_map(|(host, paths)| json!({ "host": host, "http": { "paths": paths } }));
    (
        prop::collection::vec(annotation(), 0..4),
        prop::collection::vec(rule, 1..3),
        prop::option::of((
            prop::option::weighted(0.8, prop::sample::select(HOSTS)),
            prop::option::weighted(0.8, Just("cert")),
        )),
        prop::option::weighted(0.2, backend),
        prop::option::of(0..3_u8),
        prop::option::weighted(0.9, prop::sample::select(vec!["higress", "nginx", "other"])),
    )
        .prop_map(|(annotations, rules, tls, default_backend, created, class)| {
            let annotations: serde_json::Map<_, _> = annotations
                .into_iter()
                .map(|(k, v)| (k.to_owned(), json!(v)))
                .collect();
            let tls = tls.map(|(host, secret)| {
                let hosts = host.map(|host| vec![host]);
                json!([{ "hosts": hosts, "secretName": secret }])
            });
            let created = created.map(|day| format!("2026-01-0{}T00:00:00Z", day + 1));
            json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
                "metadata": { "namespace": "default", "annotations": annotations, "creationTimestamp": created },
                "spec": {
                    "ingressClassName": class, "rules": rules, "tls": tls, "defaultBackend": default_backend,
                },
            })
        })
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let at = 0..names().len();
    let controllers = prop::sample::select(vec!["k8s.io/ingress-nginx", "other/one"]);
    let edit = prop_oneof![
        8 => (at.clone(), ingress()).prop_map(|(at, ingress)| Edit::Ingress(at, Box::new(ingress))),
        2 => at.prop_map(Edit::Remove),
        2 => any::<bool>().prop_map(Edit::Service),
        1 => Just(Edit::NoService),
        3 => certified().prop_map(Edit::Secret),
        1 => certified().prop_map(Edit::Default),
        1 => prop::option::of((any::<bool>(), controllers)).prop_map(Edit::Class),
        1 => Just(Edit::Again),
        1 => (80..82_u16).prop_map(Edit::Options),
    ];
    prop::collection::vec(edit, 1..14)
}

/// What certificates are for; for none, there is none in the Secret.
const CERTIFIED: &[&[&str]] = &[&[], &["a.com"], &["*.a.com", "*.com", "b.com"]];

fn certified() -> impl Strategy<Value = Option<&'static [&'static str]>> {
    prop::option::weighted(0.75, prop::sample::select(CERTIFIED))
}

/// A Secret with a certificate for these hosts; for none, it is no certificate.
fn certificate(name: &str, hosts: &'static [&'static str]) -> Object {
    static MADE: LazyLock<BTreeMap<&[&str], Issued>> = LazyLock::new(|| {
        let pairs = CERTIFIED.iter().map(|hosts| (*hosts, self_signed(hosts)));
        pairs.collect()
    });
    let issued = &MADE[hosts];
    let chain = match hosts {
        [] => "",
        _ => &issued.cert_pem,
    };
    object(&json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": { "namespace": "default", "name": name },
        "stringData": { "tls.crt": chain, "tls.key": issued.key_pem },
    }))
}

fn set_certificate(resources: &mut Resources, name: &str, hosts: Option<&'static [&'static str]>) {
    match hosts {
        None => drop(resources.secrets.remove(&ObjectKey::new("default", name))),
        Some(hosts) => drop(resources.insert(certificate(name, hosts))),
    }
}

fn object(value: &Value) -> Object {
    let read = api::yaml::read(&value.to_string());
    assert!(read.errors.is_empty(), "{:?}", read.errors);
    let mut objects = read.objects.into_iter();
    objects.next().unwrap().0
}

fn apply(edit: &Edit, resources: &mut Resources, options: &mut Options) {
    let names = names();
    match edit {
        Edit::Ingress(at, ingress) => {
            let mut ingress = ingress.clone();
            ingress["metadata"]["name"] = json!(names[*at]);
            resources.insert(object(&ingress));
        }
        Edit::Remove(at) => {
            resources
                .ingresses
                .remove(&ObjectKey::new("default", &names[*at]));
        }
        Edit::Service(named) => {
            let name = if *named { "web" } else { "other" };
            resources.insert(object(&json!({
                "apiVersion": "v1", "kind": "Service", "metadata": { "namespace": "default", "name": "s" },
                "spec": { "ports": [{ "name": name, "port": 8080 }] },
            })));
        }
        Edit::NoService => resources.services.clear(),
        Edit::Class(None) => resources.ingress_classes.clear(),
        Edit::Class(Some((default, controller))) => drop(resources.insert(object(&json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "metadata": {
                "name": "higress",
                "annotations": { "ingressclass.kubernetes.io/is-default-class": default.to_string() },
            },
            "spec": { "controller": controller },
        })))),
        Edit::Secret(hosts) => set_certificate(resources, "cert", *hosts),
        Edit::Default(hosts) => set_certificate(resources, "default", *hosts),
        Edit::Again => {
            for ingress in resources.ingresses.values_mut() {
                *ingress = Arc::new((**ingress).clone());
            }
        }
        Edit::Options(port) => options.http_port = *port,
    }
}

/// Objects that are what they were, and yet another `Arc`.
fn copied(before: &Expansion, now: &Expansion) -> Vec<String> {
    let routes = now.generated.http_routes.iter().filter(|(key, route)| {
        let old = before.generated.http_routes.get(key);
        old.is_some_and(|old| old == *route && !Arc::ptr_eq(old, route))
    });
    routes.map(|(key, _)| key.to_string()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn after_any_edits_it_is_what_expand_makes(edits in edits()) {
        let mut expander = Expander::default();
        let mut resources = Resources::default();
        let mut options = Options {
            ingress_classes: ["higress", "nginx"].map(Class::named).into(),
            default_certificate: Some(ObjectKey::new("default", "default")),
            stand_in: Some(StandIn::new(String::new(), String::new())),
            ..Options::default()
        };
        let mut before = Expansion::default();
        for edit in &edits {
            apply(edit, &mut resources, &mut options);
            let now = expander.expand(&resources, &options);
            prop_assert_eq!(now, &expand(&resources, &options));
            if !matches!(edit, Edit::Options(_) | Edit::Default(_)) {
                prop_assert_eq!(copied(&before, now), Vec::<String>::new());
            }
            before = now.clone();
        }
    }
}

#[test]
fn only_what_changed_is_written_anew() {
    let (mut resources, options) = (Resources::default(), Options::default());
    for at in 0..3 {
        let ingress = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": { "namespace": "default", "name": format!("i{at}") },
            "spec": { "ingressClassName": "higress", "rules": [{ "host": format!("{at}.com"), "http": { "paths": [
                { "path": "/", "pathType": "Prefix", "backend": { "service": { "name": "s", "port": { "number": 80 } } } },
            ] } }] },
        });
        resources.insert(object(&ingress));
    }
    let mut expander = Expander::default();
    let before = expander.expand(&resources, &options).clone();
    let key = ObjectKey::new("default", "i1");
    let mut changed = (*resources.ingresses[&key]).clone();
    let annotations = changed.metadata.annotations.get_or_insert_default();
    annotations.insert("higress.io/timeout".to_owned(), "5".to_owned());
    resources.ingresses.insert(key, Arc::new(changed));
    let now = expander.expand(&resources, &options);
    let kept = |route: &&ObjectKey| {
        let [old, new] = [&before, now].map(|all| &all.generated.http_routes[*route]);
        Arc::ptr_eq(old, new)
    };
    let routes = now.generated.http_routes.keys();
    let (kept, new): (Vec<_>, Vec<_>) = routes.partition(kept);
    assert_eq!((kept.len(), new.len()), (2, 1));
    assert!(new[0].name.starts_with("i1-"));
}
