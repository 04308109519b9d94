//! What a GatewayClass says.

use serde_json::Value;

use crate::{condition, support::World};

const VERSION: &str = "gateway.networking.k8s.io/bundle-version";

fn of_class(class: &Value, type_: &str) -> Option<String> {
    condition(&class["status"]["conditions"], type_)
}

#[tokio::test]
async fn a_class_says_what_is_supported_and_whether_the_definitions_are_known() {
    let world = World::new("class").await;
    // A run that failed may have left another. (Upstream's admission policy takes no version below v1.5, and none at all.)
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
