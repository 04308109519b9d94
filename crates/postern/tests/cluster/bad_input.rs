//! What the API server takes and we cannot honour: a condition says so, and nothing else is touched.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{accepted, condition, rules, support::World};

fn gateway(class: &str, listeners: Value) -> Value {
    json!({ "spec": { "gatewayClassName": class, "listeners": listeners } })
}

fn http() -> Value {
    json!({ "name": "http", "port": 80, "protocol": "HTTP" })
}

/// A condition of a listener, by its name.
fn of_listener(gateway: &Value, listener: &str, type_: &str) -> Option<String> {
    let listeners = gateway["status"]["listeners"].as_array()?;
    let found = listeners.iter().find(|l| l["name"] == listener)?;
    condition(&found["conditions"], type_)
}

#[tokio::test]
async fn a_secret_with_garbage_closes_its_listener_alone() {
    let world = World::new("garbage").await;
    let garbage = json!({ "tls.crt": "bm8gY2VydGlmaWNhdGU=", "tls.key": "bm8ga2V5" });
    let secret = json!({ "type": "kubernetes.io/tls", "data": garbage });
    world.apply("Secret", "pair", secret).await;
    let tls = json!({ "certificateRefs": [{ "name": "pair" }] });
    let https = json!({ "name": "https", "port": 443, "protocol": "HTTPS", "tls": tls });
    let spec = gateway(&world.class, json!([http(), https]));
    world.apply("Gateway", "edge", spec).await;
    let route = json!({ "parentRefs": [{ "name": "edge" }], "rules": rules(&world.backend) });
    world
        .apply("HTTPRoute", "web", json!({ "spec": route }))
        .await;
    let refused = |gateway: &Value| {
        of_listener(gateway, "https", "ResolvedRefs").as_deref()
            == Some("False InvalidCertificateRef")
            && of_listener(gateway, "http", "Programmed").as_deref() == Some("True Programmed")
    };
    let now = world.until("Gateway", "edge", refused).await;
    assert!(
        !now.to_string().contains("no key"),
        "nothing of a Secret is shown"
    );
    let address = world.address("edge").await;
    world
        .until_answers(&format!("http://{address}/"), 200)
        .await;
    // The next one is good.
    let pair = testkit::certs::self_signed(&["shop.example"]);
    let data = json!({ "tls.crt": pair.cert_pem, "tls.key": pair.key_pem });
    let secret = json!({ "type": "kubernetes.io/tls", "stringData": data });
    world.apply("Secret", "pair", secret).await;
    world
        .until("Gateway", "edge", |gateway| {
            of_listener(gateway, "https", "Programmed").as_deref() == Some("True Programmed")
        })
        .await;
    world.end().await;
}

#[tokio::test]
async fn a_service_without_endpoints_and_one_that_is_missing_fail_their_rules_alone() {
    let world = World::new("endpoints").await;
    let spec = gateway(&world.class, json!([http()]));
    world.apply("Gateway", "edge", spec).await;
    let ports = json!({ "spec": { "ports": [{ "name": "http", "port": 80 }] } });
    world.apply("Service", "empty", ports).await;
    for (name, service) in [("good", "web"), ("none", "empty"), ("lost", "missing")] {
        let matches = json!([{ "path": { "value": format!("/{name}") } }]);
        let backend = json!([{ "name": service, "port": 80 }]);
        let route = json!({
            "parentRefs": [{ "name": "edge" }],
            "rules": [{ "matches": matches, "backendRefs": backend }],
        });
        world
            .apply("HTTPRoute", name, json!({ "spec": route }))
            .await;
    }
    let address = world.address("edge").await;
    for (path, status) in [("good", 200), ("none", 503), ("lost", 500)] {
        let url = format!("http://{address}/{path}");
        world.until_answers(&url, status).await;
    }
    for (route, resolved) in [
        ("good", "True ResolvedRefs"),
        ("none", "True ResolvedRefs"),
        ("lost", "False BackendNotFound"),
    ] {
        world
            .until("HTTPRoute", route, |route| {
                let conditions = &route["status"]["parents"][0]["conditions"];
                condition(conditions, "Accepted").as_deref() == Some("True Accepted")
                    && condition(conditions, "ResolvedRefs").as_deref() == Some(resolved)
            })
            .await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_policy_without_its_target_says_so_until_the_target_comes() {
    let world = World::new("policy").await;
    let spec = gateway(&world.class, json!([http()]));
    world.apply("Gateway", "edge", spec).await;
    let target = json!({
        "group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "later",
    });
    let policy = json!({ "targetRefs": [target], "retry": { "serverErrors": true } });
    world
        .apply("RoutePolicy", "patience", json!({ "spec": policy }))
        .await;
    world
        .until("RoutePolicy", "patience", |policy| {
            accepted(policy, &world).as_deref() == Some("False TargetNotFound")
        })
        .await;
    let route = json!({ "parentRefs": [{ "name": "edge" }], "rules": rules(&world.backend) });
    world
        .apply("HTTPRoute", "later", json!({ "spec": route }))
        .await;
    world
        .until("RoutePolicy", "patience", |policy| {
            accepted(policy, &world).as_deref() == Some("True Accepted")
        })
        .await;
    world.end().await;
}

#[tokio::test]
async fn a_class_of_another_controller_is_let_alone() {
    let world = World::new("classes").await;
    // The name that we are told to serve, and somebody else's class.
    world.delete_class(&world.class).await;
    world.class_of("example.com/other", &world.class).await;
    let ours = format!("{}-ours", world.class);
    world.class_of(&world.controller(), &ours).await;
    let theirs = gateway(&world.class, json!([http()]));
    world.apply("Gateway", "theirs", theirs).await;
    let spec = gateway(&ours, json!([http()]));
    world.apply("Gateway", "ours", spec).await;
    for owner in ["theirs", "ours"] {
        let route = json!({ "parentRefs": [{ "name": owner }], "rules": rules(&world.backend) });
        world
            .apply("HTTPRoute", owner, json!({ "spec": route }))
            .await;
        let target = json!({
            "group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": owner,
        });
        let policy = json!({ "targetRefs": [target], "retry": { "serverErrors": true } });
        world
            .apply("RoutePolicy", owner, json!({ "spec": policy }))
            .await;
    }
    world.address("ours").await;
    let told = |policy: &Value| accepted(policy, &world).as_deref() == Some("True Accepted");
    world.until("RoutePolicy", "ours", told).await;
    let untold = |policy: &Value| accepted(policy, &world).is_none();
    world.until("RoutePolicy", "theirs", untold).await;
    let gateways = world.list("Gateway").await;
    let theirs = gateways
        .iter()
        .find(|g| g["metadata"]["name"] == "theirs")
        .unwrap();
    let said = theirs["status"].to_string();
    // The API server's own default says that nobody has looked at it.
    assert!(!said.contains("observedGeneration"), "{said}");
    let services = world.list("Service").await;
    let made = |name: &str| {
        let label = "gateway.networking.k8s.io/gateway-name";
        services
            .iter()
            .any(|s| s["metadata"]["labels"][label] == name)
    };
    assert!(made("ours") && !made("theirs"));
    world.delete_class(&ours).await;
    world.end().await;
}

#[tokio::test]
async fn entries_of_other_controllers_stay_as_they_are() {
    let world = World::new("foreign").await;
    let spec = gateway(&world.class, json!([http()]));
    world.apply("Gateway", "edge", spec).await;
    let parents = json!([{ "name": "edge" }, { "name": "elsewhere" }]);
    let route =
        |service: &str| json!({ "spec": { "parentRefs": parents, "rules": rules(service) } });
    world.apply("HTTPRoute", "web", route(&world.backend)).await;
    let foreign = json!({
        "parentRef": {
            "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "elsewhere",
        },
        "controllerName": "example.com/other",
        "conditions": [{
            "type": "Accepted", "status": "True", "reason": "Accepted", "message": "by others",
            "observedGeneration": 1, "lastTransitionTime": "2020-01-01T00:00:00Z",
        }],
    });
    let ours = |route: &Value| {
        let parents = route["status"]["parents"].as_array()?;
        let entry = parents
            .iter()
            .find(|p| p["controllerName"] == world.controller())?;
        condition(&entry["conditions"], "ResolvedRefs")
    };
    let now = world
        .until("HTTPRoute", "web", |route| {
            ours(route).as_deref() == Some("True ResolvedRefs")
        })
        .await;
    let mut entries = now["status"]["parents"].clone();
    entries.as_array_mut().unwrap().insert(0, foreign.clone());
    world
        .patch_status("HTTPRoute", "web", json!({ "parents": entries }))
        .await;
    world.apply("HTTPRoute", "web", route("missing")).await;
    let now = world
        .until("HTTPRoute", "web", |route| {
            ours(route).as_deref() == Some("False BackendNotFound")
        })
        .await;
    assert_eq!(now["status"]["parents"][0], foreign);
    assert_eq!(now["status"]["parents"].as_array().unwrap().len(), 2);
    world.end().await;
}

#[tokio::test]
async fn definitions_come_and_go() {
    let world = World::new("definitions").await;
    let definition = world.take_definition("clientpolicies").await;
    let spec = gateway(&world.class, json!([http()]));
    world.apply("Gateway", "edge", spec).await;
    let route = json!({ "parentRefs": [{ "name": "edge" }], "rules": rules(&world.backend) });
    world
        .apply("HTTPRoute", "web", json!({ "spec": route }))
        .await;
    let address = world.address("edge").await;
    world
        .until_answers(&format!("http://{address}/"), 200)
        .await;
    world.give_definition(&definition).await;
    let target = json!({
        "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge",
    });
    let policy = json!({ "targetRefs": [target], "tls": { "minVersion": "1.3" } });
    let told = |policy: &Value| accepted(policy, &world).is_some();
    let policy = json!({ "spec": policy });
    world.apply("ClientPolicy", "strict", policy.clone()).await;
    world.until("ClientPolicy", "strict", told).await;
    // Taken away under way, with all of its objects: nothing else changes. It takes two looks to believe it.
    let definition = world.take_definition("clientpolicies").await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(25) {
        let answer = world.status(&address.to_string(), "any.example").await;
        assert_eq!(answer, Some(200));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.give_definition(&definition).await;
    world.apply("ClientPolicy", "strict", policy).await;
    world.until("ClientPolicy", "strict", told).await;
    world.end().await;
}
