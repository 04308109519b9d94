//! What a GatewayClass says, and kinds that no other test here looks at.

use serde_json::{Value, json};

use crate::{accepted, condition, rules, support::World};

const VERSION: &str = "gateway.networking.k8s.io/bundle-version";

fn of_class(class: &Value, type_: &str) -> Option<String> {
    condition(&class["status"]["conditions"], type_)
}

#[tokio::test]
async fn a_class_says_what_is_supported_and_whether_the_definitions_are_known() {
    let world = World::new("class").await;
    // A run that failed may have left another. (Upstream's admission policy takes no version below v1.5, and none at
    // all.)
    let version = world.annotation("gatewayclasses", VERSION).await.unwrap();
    world.annotate("referencegrants", VERSION, &version).await;
    let known = |class: &Value| {
        of_class(class, "SupportedVersion").as_deref() == Some("True SupportedVersion")
    };
    let unknown = |class: &Value| {
        of_class(class, "SupportedVersion").as_deref() == Some("False UnsupportedVersion")
    };
    let class = world.class_once(known).await;
    assert_eq!(
        of_class(&class, "Accepted").as_deref(),
        Some("True Accepted")
    );
    let features = class["status"]["supportedFeatures"].as_array().unwrap();
    let has = |name: &str| features.iter().any(|feature| feature["name"] == name);
    assert!(
        has("Gateway") && has("HTTPRoute") && has("ListenerSet"),
        "{class}"
    );

    world.annotate("referencegrants", VERSION, "v1.99.0").await;
    let class = world.class_once(unknown).await;
    let said = class["status"].to_string();
    assert!(said.contains("v1.99.0 (referencegrants)"), "{said}");
    // As well as it goes.
    assert_eq!(
        of_class(&class, "Accepted").as_deref(),
        Some("True Accepted")
    );

    world.annotate("referencegrants", VERSION, &version).await;
    world.class_once(known).await;
    world.end().await;
}

#[tokio::test]
async fn a_listener_set_and_a_policy_of_a_backend_are_told_how_they_fare() {
    let world = World::new("kinds").await;
    let gateway = json!({
        "gatewayClassName": world.class,
        "allowedListeners": { "namespaces": { "from": "Same" } },
        "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }],
    });
    world
        .apply("Gateway", "edge", json!({ "spec": gateway }))
        .await;
    let set = json!({
        "parentRef": { "name": "edge" },
        "listeners": [{ "name": "more", "port": 8081, "protocol": "HTTP" }],
    });
    world
        .apply("ListenerSet", "more", json!({ "spec": set }))
        .await;
    let parent = json!({ "kind": "ListenerSet", "name": "more" });
    let route = json!({ "parentRefs": [parent], "rules": rules(&world.backend) });
    world
        .apply("HTTPRoute", "web", json!({ "spec": route }))
        .await;
    let target = json!({ "group": "", "kind": "Service", "name": world.backend });
    let policy = json!({ "targetRefs": [target], "loadBalancing": { "type": "LeastRequest" } });
    world
        .apply("BackendPolicy", "even", json!({ "spec": policy }))
        .await;
    let address = world.address("edge").await;
    world
        .until_answers(&format!("http://{address}:8081/"), 200)
        .await;
    let set = world
        .until("ListenerSet", "more", |set| {
            let of_set = |type_: &str| condition(&set["status"]["conditions"], type_);
            of_set("Accepted").as_deref() == Some("True Accepted")
                && of_set("Programmed").as_deref() == Some("True Programmed")
        })
        .await;
    assert_eq!(set["status"]["listeners"][0]["attachedRoutes"], 1, "{set}");
    world
        .until("Gateway", "edge", |gateway| {
            gateway["status"]["attachedListenerSets"] == 1
        })
        .await;
    world
        .until("BackendPolicy", "even", |policy| {
            accepted(policy, &world).as_deref() == Some("True Accepted")
        })
        .await;
    world.end().await;
}
