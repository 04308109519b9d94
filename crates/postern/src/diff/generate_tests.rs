use std::collections::BTreeSet;

use api::yaml;

use super::{around, requests};
use crate::pipeline::Pipeline;

fn asked(manifests: &str) -> BTreeSet<String> {
    let read = yaml::read(manifests);
    assert!(read.errors.is_empty(), "{:?}", read.errors);
    let resources = read.into_resources();
    let made = Pipeline::new(converter::Options::default()).run(&resources);
    requests(&made.ir).iter().map(ToString::to_string).collect()
}

fn ingress(name: &str, annotations: &str, host: &str, path: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  annotations: {annotations}
spec:
  ingressClassName: higress
  rules:
  - host: '{host}'
    http:
      paths:
      - path: {path}
        pathType: Prefix
        backend: {{ service: {{ name: app, port: {{ number: 80 }} }} }}
---
"
    )
}

#[test]
fn paths_around_a_path() {
    assert_eq!(
        around("/a/Shop"),
        [
            "/a/Shop",
            "/a/Shop/",
            "/a/Shop/postern-diff",
            "/a/Shop/postern-diff/",
            "/a/Shop",
            "/a/Shoppostern-diff",
            "/A/sHOP",
            "/a/Sho%70",
            "/a/",
        ]
    );
    assert_eq!(around("/"), ["/", "/", "/postern-diff", "/postern-diff/"]);
}

#[test]
fn hosts_of_wildcards_and_unknown_ones() {
    let asked = asked(&ingress("a", "{}", "*.example.com", "/shop"));
    for wanted in [
        "GET http://one.example.com/shop",
        "GET http://one.two.example.com/shop/",
        "GET http://example.com/shop",
        "GET http://unknown-host.test/",
        "HEAD http://one.example.com/shop",
    ] {
        assert!(asked.contains(wanted), "{wanted}: {asked:#?}");
    }
}

#[test]
fn canaries_are_met_and_missed() {
    let base = ingress("a", "{}", "example.com", "/");
    let keys = "{ higress.io/canary: 'true', higress.io/canary-by-header: stage, higress.io/canary-by-cookie: beta }";
    let asked = asked(&(base + &ingress("b", keys, "example.com", "/")));
    for wanted in [
        "GET http://example.com/ -H 'stage: always'",
        "GET http://example.com/ -H 'stage: never'",
        "GET http://example.com/ -H 'stage: postern-diff'",
        "GET http://example.com/ -H 'cookie: beta=always'",
        "GET http://example.com/ -H 'cookie: first=1; beta=always'",
        "GET http://example.com/ -H 'cookie: first=1; beta=never'",
    ] {
        assert!(asked.contains(wanted), "{wanted}: {asked:#?}");
    }
}

#[test]
fn preflights_where_there_is_cross_origin_sharing() {
    let asked = asked(&ingress(
        "a",
        "{ higress.io/enable-cors: 'true' }",
        "example.com",
        "/x",
    ));
    let preflights = asked
        .iter()
        .filter(|ask| ask.starts_with("OPTIONS http://example.com/x "));
    assert_eq!(preflights.count(), 2, "{asked:#?}");
}
