//! A GRPCRoute: calls by service, method and header, and gRPC's own words for what goes wrong.

use std::fs;

use tonic::{Code, Request, metadata::MetadataValue};

use super::service::{Client, Line, Running};
use crate::support::Start;

const HOST: &str = "calls.example.com";

/// The Service speaks of no protocol: what a GRPCRoute sends is HTTP/2 anyway. The HTTPRoute, which comes later by
/// name, is refused.
fn manifest(endpoint: &str) -> String {
    format!(
        r#"
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: gw}}
spec: {{gatewayClassName: postern, listeners: [{{name: http, port: 80, protocol: HTTP}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: lab, annotations: {{postern.dev/endpoints: '{endpoint}'}}}}
spec: {{ports: [{{port: 50051}}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {{name: calls}}
spec:
  parentRefs: [{{name: gw}}]
  hostnames: [{HOST}]
  rules:
  - matches: [{{method: {{service: lab.Lab, method: Say}}}}]
    backendRefs: [{{name: lab, port: 50051}}]
  - matches: [{{method: {{service: lab.Lab, method: Say}}, headers: [{{name: x-tier, value: gold}}]}}]
    backendRefs: [{{name: missing, port: 50051}}]
  - matches: [{{method: {{type: RegularExpression, service: "lab\\..*", method: "Co.*"}}}}]
    backendRefs: [{{name: lab, port: 50051}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: later}}
spec:
  parentRefs: [{{name: gw}}]
  hostnames: [{HOST}]
  rules: [{{backendRefs: [{{name: lab, port: 50051}}]}}]
"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_where_their_method_and_headers_say() {
    let server = Running::start(None).await;
    let folder = tempfile::tempdir().unwrap();
    let text = manifest(&server.address.to_string());
    fs::write(folder.path().join("all.yaml"), text).unwrap();
    let path = folder.path().to_owned();
    let gateway = tokio::task::spawn_blocking(move || Start::default().serve(&path));
    let gateway = gateway.await.unwrap();
    let address = tokio::task::block_in_place(|| gateway.address(80));
    let client = Client::connect(address, HOST, None).await;

    let said = client.say(Request::new(Line::new("hello", 1))).await;
    assert_eq!(said.unwrap().into_inner(), Line::new("said hello", 2));
    let counted = client.count(Line::new("n", 2)).await;
    let mut counted = counted.unwrap().into_inner();
    assert_eq!(counted.message().await.unwrap(), Some(Line::new("n", 1)));

    // More headers are more specific, and the backend there is missing.
    let mut golden = Request::new(Line::new("hello", 1));
    let gold = MetadataValue::from_static("gold");
    golden.metadata_mut().insert("x-tier", gold);
    let status = client.say(golden).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(status.message(), "invalid_backend");

    // No rule is about this one, and the HTTPRoute has nothing to say.
    let status = client.join(vec![Line::new("x", 1)]).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented, "{status:?}");
    assert_eq!(status.message(), "no_route");
    let said = client.say(Request::new(Line::new("again", 1))).await;
    assert_eq!(said.unwrap().into_inner().text, "said again");
}
