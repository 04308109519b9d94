//! A live cluster as `--context` reads it: what the API server's own lists have, and nothing written.

use std::process::Command;

use serde_json::json;

use crate::{relay::Relay, support::World};

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_converted_and_nothing_is_written() {
    let relay = Relay::start().await;
    let world = World::new("context").await;
    let service = json!({ "service": { "name": world.backend, "port": { "number": 80 } } });
    let path = json!({ "path": "/", "pathType": "Prefix", "backend": service });
    let rule = json!({ "host": "context.example.com", "http": { "paths": [path] } });
    let spec = json!({ "ingressClassName": world.class, "rules": [rule] });
    world
        .apply("Ingress", "shop", json!({ "spec": spec }))
        .await;
    let kubeconfig = relay.kubeconfig().to_owned();
    let class = world.class.clone();
    let output = tokio::task::spawn_blocking(move || {
        Command::new(env!("CARGO_BIN_EXE_postern"))
            .args(["convert", "--context", "relay", "--ingress-class", &class])
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .output()
            .unwrap()
    });
    let output = output.await.unwrap();
    let (objects, said) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(
        said.starts_with("context relay (http://127.0.0.1:"),
        "{said}"
    );
    assert!(
        objects.contains("kind: HTTPRoute\n") && objects.contains("context.example.com"),
        "{objects}{said}"
    );
    assert!(!objects.contains("kind: Service\n"), "{objects}");
    assert_eq!(relay.writes(), [], "reading is all it does");
    world.end().await;
}
