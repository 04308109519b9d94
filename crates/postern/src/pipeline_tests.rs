use std::sync::Arc;

use api::{Resources, yaml};

use super::Pipeline;

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
    assert_eq!(made.findings(), Vec::<String>::new());
    assert_eq!(made.ir.ports.len(), 1);
    assert_eq!(made.ir.clusters.len(), 1);
}

#[test]
fn what_did_not_change_stays_the_same_object() {
    let mut pipeline = pipeline();
    let mut input = resources(INGRESS);
    pipeline.run(&input);
    let first = pipeline.generated().clone();
    let other = INGRESS
        .replace(
            "name: demo\nspec:\n  ingress",
            "name: other\nspec:\n  ingress",
        )
        .replace("/test", "/other");
    input.extend(resources(&other));
    pipeline.run(&input);
    let second = pipeline.generated();
    assert!(second.http_routes.len() > first.http_routes.len());
    for (key, route) in &first.http_routes {
        assert!(Arc::ptr_eq(route, &second.http_routes[key]), "{key}");
    }
}

#[test]
fn a_hand_written_object_counts_before_a_generated_one() {
    let mut input = resources(INGRESS);
    let mut pipeline = pipeline();
    pipeline.run(&input);
    let mut route = pipeline
        .generated()
        .http_routes
        .values()
        .next()
        .unwrap()
        .as_ref()
        .clone();
    route.metadata.labels = None;
    route.spec.hostnames = Some(vec!["own.example.com".to_owned()]);
    input.insert(route.into());
    let made = pipeline.run(&input);
    assert_eq!(made.clashes.len(), 1);
    assert!(made.findings()[0].contains("the one in the input counts"));
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
