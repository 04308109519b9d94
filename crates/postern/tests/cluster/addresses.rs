//! How Gateways are reached, without a load balancer and at addresses that were asked for.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::{condition, rules, support::World};

/// Label of what is made for a Gateway.
const GATEWAY: &str = "gateway.networking.k8s.io/gateway-name";

async fn edge(world: &World, listeners: Value, more: Value) {
    let mut spec = json!({ "gatewayClassName": world.class, "listeners": listeners });
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    world
        .apply("Gateway", "edge", json!({ "spec": spec }))
        .await;
    let route = json!({ "parentRefs": [{ "name": "edge" }], "rules": rules(&world.backend) });
    world
        .apply("HTTPRoute", "web", json!({ "spec": route }))
        .await;
}

fn listener(name: &str, port: u16) -> Value {
    json!({ "name": name, "port": port, "protocol": "HTTP" })
}

#[tokio::test]
async fn node_ports_lead_to_listeners() {
    let node = World::node().await;
    let publish = node.to_string();
    let arguments = [
        "--gateway-service-type",
        "node-port",
        "--publish-address",
        &publish,
    ];
    let world = World::with("node-port", &arguments).await;
    edge(&world, json!([listener("http", 80)]), json!({})).await;
    assert_eq!(world.address("edge").await, node);
    let service = world
        .until_some("Service", |service| service["spec"]["type"] == "NodePort")
        .await;
    let port = service["spec"]["ports"][0]["nodePort"].as_u64().unwrap();
    world
        .until_answers(&format!("http://{node}:{port}/"), 200)
        .await;
    world.end().await;
}

#[tokio::test]
async fn on_the_hosts_network_ports_are_bound_as_written_and_a_taken_one_is_not_programmed() {
    let node = World::node().await;
    let publish = node.to_string();
    let arguments = [
        "--gateway-service-type",
        "none",
        "--publish-address",
        &publish,
    ];
    let world = World::with("host", &arguments).await;
    let taken = TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    edge(
        &world,
        json!([listener("free", 18_080), listener("taken", port)]),
        json!({}),
    )
    .await;
    let programmed = |gateway: &Value, name: &str| {
        let listeners = gateway["status"]["listeners"].as_array()?;
        let listener = listeners.iter().find(|l| l["name"] == name)?;
        condition(&listener["conditions"], "Programmed")
    };
    let now = world
        .until("Gateway", "edge", |gateway| {
            programmed(gateway, "taken").as_deref() == Some("False Invalid")
        })
        .await;
    assert!(
        now.to_string().contains("cannot listen on"),
        "it says why: {now}"
    );
    assert_eq!(programmed(&now, "free").as_deref(), Some("True Programmed"));
    let gateway = condition(&now["status"]["conditions"], "Programmed");
    assert_eq!(gateway.as_deref(), Some("True Programmed"));
    assert_eq!(world.address("edge").await, node);
    world
        .until_answers(&format!("http://{node}:18080/"), 200)
        .await;
    // Once it is free it is taken.
    drop(taken);
    world
        .until("Gateway", "edge", |gateway| {
            programmed(gateway, "taken").as_deref() == Some("True Programmed")
        })
        .await;
    world
        .until_answers(&format!("http://{node}:{port}/"), 200)
        .await;
    assert_eq!(
        world.list("Service").await.len(),
        1,
        "the backend's alone: Gateways get none"
    );
    world.end().await;
}

#[tokio::test]
async fn services_go_when_none_are_asked_for_any_more() {
    let node = World::node().await;
    let mut world = World::new("without").await;
    edge(&world, json!([listener("http", 18_081)]), json!({})).await;
    let before = world.address("edge").await;
    assert_ne!(before, node);
    world
        .until_answers(&format!("http://{before}:18081/"), 200)
        .await;
    let publish = node.to_string();
    world.arguments(&[
        "--gateway-service-type",
        "none",
        "--publish-address",
        &publish,
    ]);
    world.start("second");
    world.kill_first();
    world
        .until("Gateway", "edge", |gateway| {
            gateway["status"]["addresses"][0]["value"] == *publish
        })
        .await;
    world
        .until_answers(&format!("http://{node}:18081/"), 200)
        .await;
    world
        .until_gone("Service", "edge-postern-test-without")
        .await;
    // They go after it.
    let of_backend =
        |slice: &Value| slice["metadata"]["labels"]["kubernetes.io/service-name"] == *world.backend;
    world.until_all("EndpointSlice", of_backend).await;
    world.end().await;
}

#[tokio::test]
async fn an_address_that_was_asked_for_is_the_gateways() {
    let world = World::new("static").await;
    let address = "10.89.0.180";
    let addresses = json!({ "addresses": [{ "type": "IPAddress", "value": address }] });
    edge(&world, json!([listener("http", 80)]), addresses).await;
    assert_eq!(world.address("edge").await.to_string(), address);
    world
        .until_answers(&format!("http://{address}/"), 200)
        .await;
    // Another one: the Service asks for it, and the status says what the Service has got.
    let other = "10.89.0.181";
    let addresses = json!([{ "type": "IPAddress", "value": other }]);
    world
        .patch(
            "Gateway",
            "edge",
            json!({ "spec": { "addresses": addresses } }),
        )
        .await;
    world
        .until("Gateway", "edge", |gateway| {
            gateway["status"]["addresses"] == addresses
        })
        .await;
    world.until_answers(&format!("http://{other}/"), 200).await;
    // A Service that somebody deletes comes back, and leads to the same place.
    let service = |all: &[Value]| {
        let of_gateway = |s: &&Value| s["metadata"]["labels"][GATEWAY] == "edge";
        all.iter().find(of_gateway).cloned()
    };
    let before = service(&world.list("Service").await).unwrap();
    let name = before["metadata"]["name"].as_str().unwrap();
    world.delete("Service", name).await;
    let after = world
        .until("Service", name, |now| {
            now["metadata"]["uid"] != before["metadata"]["uid"]
        })
        .await;
    let target = |service: &Value| service["spec"]["ports"][0]["targetPort"].clone();
    assert_eq!(target(&after), target(&before));
    world.until_answers(&format!("http://{other}/"), 200).await;
    // A type that nobody here knows.
    let addresses = json!([{ "type": "Hostname", "value": "edge.example" }]);
    world
        .patch(
            "Gateway",
            "edge",
            json!({ "spec": { "addresses": addresses } }),
        )
        .await;
    world
        .until("Gateway", "edge", |gateway| {
            condition(&gateway["status"]["conditions"], "Accepted").as_deref()
                == Some("False UnsupportedAddress")
        })
        .await;
    world.end().await;
}
