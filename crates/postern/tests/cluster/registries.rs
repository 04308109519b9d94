//! Registries of Higress: read where their definition is installed, and followed.

use std::net::SocketAddr;

use serde_json::{Value, json};
use testkit::echo::Backend;

use crate::support::World;

const DEFINITION: &str = "mcpbridges.networking.higress.io";

/// As much of Higress' definition as an API server needs.
fn definition() -> Value {
    let schema = json!({ "openAPIV3Schema": {
        "type": "object",
        "properties": { "spec": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
    }});
    json!({
        "metadata": { "name": DEFINITION },
        "spec": {
            "group": "networking.higress.io",
            "scope": "Namespaced",
            "names": { "kind": "McpBridge", "plural": "mcpbridges", "singular": "mcpbridge" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": schema }],
        },
    })
}

#[tokio::test]
async fn a_registry_is_a_backend_for_as_long_as_it_is_there() {
    let world = World::new("registries").await;
    let backend = Backend::builder()
        .at(SocketAddr::new(World::node().await, 0))
        .start("registered");
    let resource =
        json!({ "apiGroup": "networking.higress.io", "kind": "McpBridge", "name": "default" });
    let path = json!({ "path": "/", "pathType": "Prefix", "backend": { "resource": resource } });
    let ingress = json!({
        "metadata": { "annotations": { "higress.io/destination": "fixed.static:80" } },
        "spec": {
            "ingressClassName": world.class,
            "rules": [{ "host": "registry.example", "http": { "paths": [path] } }],
        },
    });
    world.apply("Ingress", "shop", ingress).await;
    let placed = |ingress: &Value| ingress["status"]["loadBalancer"]["ingress"][0].is_object();
    let ingress = world.until("Ingress", "shop", placed).await;
    let address = &ingress["status"]["loadBalancer"]["ingress"][0]["ip"];
    let address = address.as_str().unwrap();
    let host = "registry.example";
    world.until_host_answers(address, host, 503).await;
    // The definition comes while the binary runs, and then a registry.
    world.give_definition(&definition()).await;
    let registry = json!({ "type": "static", "name": "fixed", "domain": backend.address().to_string(), "port": 80 });
    let bridge = json!({ "spec": { "registries": [registry] } });
    world.apply("McpBridge", "default", bridge).await;
    world.until_host_answers(address, host, 200).await;
    assert!(backend.hits() > 0);
    let origin = |slice: &Value| {
        let origin = slice["metadata"]["annotations"]["postern.dev/origin"].as_str();
        origin.is_some_and(|origin| origin.starts_with("Ingress/"))
    };
    let slice = world.until_some("EndpointSlice", origin).await;
    let wanted = json!([backend.address().ip()]);
    assert_eq!(slice["endpoints"][0]["addresses"], wanted);
    world.delete("McpBridge", "default").await;
    world.until_host_answers(address, host, 503).await;
    world.remove_definition(DEFINITION).await;
    world.end().await;
}
