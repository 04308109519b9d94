use serde_json::{Value, json};

use super::*;
use crate::pipeline::Pipeline;

fn ingress(name: &str, annotations: &Value, tls: &Value) -> api::Object {
    let value = json!({
        "metadata": { "namespace": "shop", "name": name, "uid": format!("uid-{name}"), "annotations": annotations },
        "spec": {
            "ingressClassName": "higress",
            "tls": tls,
            "rules": [{ "host": format!("{name}.example"), "http": { "paths": [{
                "path": "/", "pathType": "Prefix",
                "backend": { "service": { "name": name, "port": { "number": 80 } } },
            }] } }],
        },
    });
    api::Object::from_json(Kind::Ingress, value).unwrap()
}

fn service(name: &str) -> api::Object {
    let value = json!({
        "metadata": { "namespace": "shop", "name": name },
        "spec": { "ports": [{ "port": 80 }] },
    });
    api::Object::from_json(Kind::Service, value).unwrap()
}

fn made(resources: &Resources) -> Made {
    let core = gateway_core::Options::default();
    let pipeline = Pipeline::new(converter::Options::default()).in_cluster(core);
    { pipeline }.run(resources)
}

/// What is said, in short: Ingress, reason, what lasts with an exclamation mark, text.
fn said(resources: &Resources) -> Vec<String> {
    let all = findings(&made(resources), resources);
    let line = |f: &Finding| {
        assert_eq!(f.uid, format!("uid-{}", f.ingress.name));
        let lasts = if f.lasting { "!" } else { "" };
        format!("{} {}{lasts} {}", f.ingress.name, f.reason, f.text)
    };
    all.iter().map(line).collect()
}

#[test]
fn a_service_or_a_secret_that_is_missing_is_said_on_the_ingress_once() {
    let mut resources = Resources::default();
    let tls = json!([{ "hosts": ["a.example"], "secretName": "cert" }]);
    // Two routes, of http and of https.
    let redirected = json!({ "higress.io/ssl-redirect": "true" });
    resources.insert(ingress("a", &redirected, &tls));
    let all = said(&resources);
    let [service_, secret] = &all[..] else {
        panic!("{all:#?}");
    };
    assert!(
        secret.starts_with("a InvalidCertificateRef! ListenerSet made from it:")
            && secret.contains("cert"),
        "{secret}"
    );
    assert!(
        service_.starts_with("a BackendNotFound! HTTPRoute made from it: Service shop/a "),
        "{service_}"
    );
    resources.insert(service("a"));
    let all = said(&resources);
    assert!(
        !all.iter().any(|line| line.contains("BackendNotFound")),
        "{all:#?}"
    );
}

#[test]
fn what_closes_an_ingress_lasts_and_what_only_differs_does_not() {
    let mut resources = Resources::default();
    for (name, annotations) in [
        (
            "closed",
            json!({ "higress.io/whitelist-source-range": "office" }),
        ),
        ("open", json!({ "higress.io/no-such-thing": "1" })),
    ] {
        resources.insert(ingress(name, &annotations, &json!([])));
        resources.insert(service(name));
    }
    let all = said(&resources);
    let lasting: Vec<_> = all.iter().filter(|line| line.contains("! ")).collect();
    assert_eq!(lasting.len(), 1, "{all:#?}");
    assert!(lasting[0].starts_with("closed Refused! higress.io/whitelist-source-range:"));
    assert!(
        all.iter()
            .any(|line| line.starts_with("open Refused higress.io/no-such-thing:"))
    );
}

#[test]
fn an_object_that_was_taken_over_is_named() {
    let mut resources = Resources::default();
    resources.insert(ingress("a", &json!({}), &json!([])));
    resources.insert(service("a"));
    let generated = made(&resources).generated;
    let route = generated.http_routes.values().next().unwrap();
    let mut taken = (**route).clone();
    taken.metadata.labels = None;
    // Its own fault is said on itself.
    let mut taken = api::Object::from(taken).to_json().unwrap();
    taken["spec"]["rules"][0]["backendRefs"][0]["name"] = json!("gone");
    resources.insert(api::Object::from_json(Kind::HttpRoute, taken).unwrap());
    let all = said(&resources);
    assert_eq!(all.len(), 1, "{all:#?}");
    assert!(all[0].starts_with("a TakenOver HTTPRoute a-"), "{all:#?}");
}
