//! The binary against a real API server: what it writes there, and who answers at the addresses that it says.
//!
//! No part of plain `cargo test`. Where a cluster answers (KUBECONFIG) whose nodes this machine is one of:
//! `cargo xtask cluster exec -- cargo test -p postern --test cluster`.
#![allow(clippy::unwrap_used, reason = "tests")]

mod account;
mod addresses;
mod backend_tls;
mod backends;
mod bad_input;
mod classes;
mod context;
mod faults;
mod registries;
mod relay;
mod routes;
mod support;
mod writes;

use serde_json::{Value, json};

use support::World;

/// The reason of a condition, with its status.
fn condition(conditions: &Value, type_: &str) -> Option<String> {
    let found = conditions.as_array()?.iter().find(|c| c["type"] == type_)?;
    Some(format!(
        "{} {}",
        found["status"].as_str()?,
        found["reason"].as_str()?
    ))
}

/// What the binary under test says about a policy's first target. Other installations may say so too.
fn accepted(policy: &Value, world: &World) -> Option<String> {
    let ancestors = policy["status"]["ancestors"].as_array()?;
    let ours = |entry: &&Value| entry["controllerName"] == world.controller();
    condition(&ancestors.iter().find(ours)?["conditions"], "Accepted")
}

fn rules(service: &str) -> Value {
    json!([{ "backendRefs": [{ "name": service, "port": 80 }] }])
}

#[tokio::test]
async fn a_gateway_has_an_address_where_its_routes_answer() {
    let world = World::new("gateway").await;
    let long = "g".repeat(253);
    for name in ["edge", &long] {
        let spec = json!({
            "gatewayClassName": world.class,
            "infrastructure": { "labels": { "team": "a" }, "annotations": { "note": "b" } },
            "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }],
        });
        world.apply("Gateway", name, json!({ "spec": spec })).await;
        let route = json!({ "parentRefs": [{ "name": name }], "rules": rules(&world.backend) });
        world
            .apply(
                "HTTPRoute",
                &format!("route-{}", &name[..4]),
                json!({ "spec": route }),
            )
            .await;
    }
    let mut addresses = Vec::new();
    for name in ["edge", &long] {
        let gateway = world
            .until("Gateway", name, |gateway| {
                condition(&gateway["status"]["conditions"], "Programmed").as_deref()
                    == Some("True Programmed")
            })
            .await;
        let status = &gateway["status"];
        assert_eq!(status["listeners"][0]["attachedRoutes"], 1, "{status}");
        let generation = &gateway["metadata"]["generation"];
        for condition in status["conditions"].as_array().unwrap() {
            assert_eq!(condition["observedGeneration"], *generation, "{condition}");
        }
        let address = status["addresses"][0]["value"].as_str().unwrap().to_owned();
        world
            .until_answers(&format!("http://{address}/"), 200)
            .await;
        assert!(
            !addresses.contains(&address),
            "Gateways never share an address"
        );
        addresses.push(address);
    }
    let services = world.list("Service").await;
    let ours =
        |s: &&Value| s["metadata"]["labels"]["gateway.networking.k8s.io/gateway-name"] == "edge";
    let service = services.iter().find(ours).unwrap();
    assert_eq!(service["metadata"]["labels"]["team"], "a");
    assert_eq!(service["metadata"]["annotations"]["note"], "b");
    let route = world
        .until("HTTPRoute", "route-edge", |route| {
            route["status"]["parents"][0].is_object()
        })
        .await;
    let parent = &route["status"]["parents"][0];
    assert_eq!(
        condition(&parent["conditions"], "Accepted").unwrap(),
        "True Accepted"
    );
    world.end().await;
}

#[tokio::test]
async fn an_ingress_becomes_objects_that_are_kept_and_go_with_it() {
    let world = World::new("ingress").await;
    let ingress = |host: &str| {
        let backend = json!({ "service": { "name": world.backend, "port": { "number": 80 } } });
        let path = json!({ "path": "/", "pathType": "Prefix", "backend": backend });
        json!({
            "metadata": { "annotations": { "higress.io/no-such-thing": "1" } },
            "spec": {
                "ingressClassName": world.class,
                "rules": [{ "host": host, "http": { "paths": [path] } }],
            },
        })
    };
    world
        .apply("Ingress", "shop", ingress("shop.example"))
        .await;
    let ingress_now = world
        .until("Ingress", "shop", |i| {
            i["status"]["loadBalancer"]["ingress"][0].is_object()
        })
        .await;
    let address = ingress_now["status"]["loadBalancer"]["ingress"][0]["ip"]
        .as_str()
        .unwrap()
        .to_owned();
    world
        .until_host_answers(&address, "shop.example", 200)
        .await;
    let route = world.until_some("HTTPRoute", |_| true).await;
    let name = route["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(
        route["metadata"]["ownerReferences"][0]["uid"],
        ingress_now["metadata"]["uid"]
    );
    let event = world
        .until_some("Event", |event| event["reason"] == "Refused")
        .await;
    assert_eq!(event["regarding"]["name"], "shop");
    // A hand edit is put back, in one write.
    let before = route["metadata"]["generation"].as_i64().unwrap();
    world
        .patch(
            "HTTPRoute",
            &name,
            json!({ "spec": { "hostnames": ["evil.example"] } }),
        )
        .await;
    let back = world
        .until("HTTPRoute", &name, |route| {
            route["spec"]["hostnames"] == json!(["shop.example"])
        })
        .await;
    assert_eq!(back["metadata"]["generation"].as_i64().unwrap(), before + 2);
    // Another host: another route, and the old one goes.
    world
        .apply("Ingress", "shop", ingress("other.example"))
        .await;
    world
        .until_host_answers(&address, "other.example", 200)
        .await;
    world.until_gone("HTTPRoute", &name).await;
    world.delete("Ingress", "shop").await;
    world.until_none("HTTPRoute").await;
    world.end().await;
}

#[tokio::test]
async fn another_replica_takes_over_and_changes_nothing() {
    let mut world = World::new("lease").await;
    let spec = json!({
        "gatewayClassName": world.class,
        "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }],
    });
    world
        .apply("Gateway", "edge", json!({ "spec": spec }))
        .await;
    let programmed = |gateway: &Value| {
        condition(&gateway["status"]["conditions"], "Programmed").as_deref()
            == Some("True Programmed")
    };
    let before = world.until("Gateway", "edge", programmed).await;
    world.start("second");
    world.kill_first();
    // Fifteen seconds are what a change of leaders may take; a change of the Gateway has to be seen to.
    let changed = world.change_listener("edge").await;
    let after = world
        .until("Gateway", "edge", |gateway| {
            gateway["status"]["listeners"]
                .as_array()
                .is_some_and(|all| all.len() == 2)
                && programmed(gateway)
        })
        .await;
    assert!(changed.elapsed().as_secs() < 20, "{:?}", changed.elapsed());
    assert_eq!(after["status"]["addresses"], before["status"]["addresses"]);
    world.end().await;
}

#[tokio::test]
async fn what_ingresses_become_may_be_kept_in_memory() {
    let mut world = World::new("memory").await;
    let backend = json!({ "service": { "name": world.backend, "port": { "number": 80 } } });
    let path = json!({ "path": "/", "pathType": "Prefix", "backend": backend });
    let ingress = json!({ "spec": {
        "ingressClassName": world.class,
        "rules": [{ "host": "shop.example", "http": { "paths": [path] } }],
    }});
    world.apply("Ingress", "shop", ingress.clone()).await;
    world.until_some("HTTPRoute", |_| true).await;
    let placed = |ingress: &Value| ingress["status"]["loadBalancer"]["ingress"][0].is_object();
    let before = world.until("Ingress", "shop", placed).await;
    let address = before["status"]["loadBalancer"]["ingress"][0]["ip"].clone();
    let address = address.as_str().unwrap();
    world.until_host_answers(address, "shop.example", 200).await;
    // Another replica is told otherwise: what was written goes, and what is served stays.
    world.arguments(&["--ingress-translation", "memory"]);
    world.start("second");
    world.kill_first();
    world.until_none("HTTPRoute").await;
    world.until_host_answers(address, "shop.example", 200).await;
    // One that comes now is served and told where, and nothing is written for it.
    let mut second = ingress;
    second["spec"]["rules"][0]["host"] = json!("second.example");
    world.apply("Ingress", "second", second).await;
    world
        .until_host_answers(address, "second.example", 200)
        .await;
    world.until("Ingress", "second", placed).await;
    assert_eq!(world.list("HTTPRoute").await, [Value::Null; 0]);
    let after = world.until("Ingress", "shop", placed).await;
    assert_eq!(after["status"], before["status"]);
    world.end().await;
}
