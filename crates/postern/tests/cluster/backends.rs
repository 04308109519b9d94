//! Backends that whoever may write a Service would like to reach through the gateway.

use serde_json::json;
use testkit::echo::Backend;

use crate::support::World;

#[tokio::test]
async fn a_service_does_not_lead_to_the_gateways_own_machine() {
    let world = World::new("backends").await;
    // It stands for the admin endpoint.
    let hidden = Backend::start("hidden");
    let (address, port) = (hidden.address(), hidden.address().port());
    let ports = json!([{ "name": "http", "port": port }]);
    let named = json!({
        "metadata": { "annotations": { "postern.dev/endpoints": address.to_string() } },
        "spec": { "ports": ports },
    });
    let local =
        json!({ "spec": { "type": "ExternalName", "externalName": "localhost", "ports": ports } });
    let numbered =
        json!({ "spec": { "type": "ExternalName", "externalName": "127.0.0.1", "ports": ports } });
    let spec = json!({
        "gatewayClassName": world.class,
        "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }],
    });
    world
        .apply("Gateway", "edge", json!({ "spec": spec }))
        .await;
    for (name, service) in [("named", named), ("local", local), ("numbered", numbered)] {
        world.apply("Service", name, service).await;
        let spec = json!({
            "parentRefs": [{ "name": "edge" }],
            "rules": [{
                "matches": [{ "path": { "value": format!("/{name}") } }],
                "backendRefs": [{ "name": name, "port": port }],
            }],
        });
        world
            .apply("HTTPRoute", name, json!({ "spec": spec }))
            .await;
    }
    let gateway = world.address("edge").await;
    for name in ["named", "local", "numbered"] {
        world
            .until_answers(&format!("http://{gateway}/{name}"), 503)
            .await;
    }
    assert_eq!(hidden.hits(), 0);
    world.end().await;
}
