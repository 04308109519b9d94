//! BackendTLSPolicies and certificates of Gateways on a real API server: what is said of them follows what they refer
//! to, and so do answers.

use serde_json::{Value, json};
use testkit::{
    certs::{Ca, Issued},
    echo::Backend,
};

use crate::{condition, support::World};

/// Starts a backend on the node that wants a certificate of its clients, and has a Service and a BackendTLSPolicy for
/// it.
async fn guarded(world: &World, ca: &Ca, clients: bool) -> Backend {
    let server = ca.issue(&["guarded.internal"]);
    let config = match clients {
        true => server.server_config_verifying(ca.pem(), true, &["http/1.1"]),
        false => server.server_config(&["http/1.1"]),
    };
    let address = (World::node().await, 0).into();
    let backend = Backend::builder().at(address).tls(config).start("guarded");
    world.backend_at("guarded", backend.address()).await;
    world.apply("BackendTLSPolicy", "guarded", policy()).await;
    backend
}

fn policy() -> Value {
    let references = json!([{ "group": "", "kind": "ConfigMap", "name": "authority" }]);
    json!({ "spec": {
        "targetRefs": [{ "group": "", "kind": "Service", "name": "guarded" }],
        "validation": { "hostname": "guarded.internal", "caCertificateRefs": references },
    }})
}

fn authority(pem: &str) -> Value {
    json!({ "data": { "ca.crt": pem } })
}

fn gateway(world: &World, tls: Option<Value>) -> Value {
    let mut gateway = json!({ "spec": {
        "gatewayClassName": world.class,
        "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }],
    }});
    if let Some(tls) = tls {
        gateway["spec"]["tls"] = tls;
    }
    gateway
}

fn route() -> Value {
    json!({ "spec": {
        "parentRefs": [{ "name": "edge" }],
        "rules": [{ "backendRefs": [{ "name": "guarded", "port": 80 }] }],
    }})
}

/// Whether the only entry of ours is about the Gateway, says this, and says it of the newest spec.
fn told(policy: &Value, world: &World, accepted: &str, resolved: &str) -> bool {
    let ancestors = policy["status"]["ancestors"].as_array();
    let ours = |entry: &&Value| entry["controllerName"] == world.controller();
    let ours: Vec<_> = ancestors.into_iter().flatten().filter(ours).collect();
    let [entry] = ours[..] else { return false };
    let conditions = &entry["conditions"];
    let newest =
        |condition: &Value| condition["observedGeneration"] == policy["metadata"]["generation"];
    entry["ancestorRef"]["kind"] == "Gateway"
        && entry["ancestorRef"]["name"] == "edge"
        && condition(conditions, "Accepted").as_deref() == Some(accepted)
        && condition(conditions, "ResolvedRefs").as_deref() == Some(resolved)
        && conditions
            .as_array()
            .is_some_and(|all| all.iter().all(newest))
}

#[tokio::test]
async fn a_backend_tls_policy_follows_its_authorities_and_its_routes() {
    const GOOD: (&str, &str) = ("True Accepted", "True ResolvedRefs");
    const LOST: (&str, &str) = (
        "False NoValidCACertificate",
        "False InvalidCACertificateRef",
    );
    let world = World::new("backend-tls").await;
    let ca = Ca::new("backends");
    let backend = guarded(&world, &ca, false).await;
    world.apply("Gateway", "edge", gateway(&world, None)).await;
    world.apply("HTTPRoute", "web", route()).await;
    let address = world.address("edge").await;
    let url = format!("http://{address}/");
    let until = async |name: &str, (accepted, resolved): (&str, &str)| {
        let as_wanted = |policy: &Value| told(policy, &world, accepted, resolved);
        world.until("BackendTLSPolicy", name, as_wanted).await;
    };
    until("guarded", LOST).await;
    world.until_answers(&url, 500).await;
    assert_eq!(backend.connections(), 0, "nothing goes out unverified");
    for (pem, status, said) in [
        (ca.pem(), 200, GOOD),
        ("", 500, LOST),
        (ca.pem(), 200, GOOD),
    ] {
        world.apply("ConfigMap", "authority", authority(pem)).await;
        until("guarded", said).await;
        world.until_answers(&url, status).await;
    }
    world.apply("BackendTLSPolicy", "late", policy()).await;
    until("late", ("False Conflicted", "True ResolvedRefs")).await;
    let host = json!({ "spec": { "validation": { "hostname": "other.internal" } } });
    world.patch("BackendTLSPolicy", "guarded", host).await;
    until("guarded", GOOD).await;
    world.until_answers(&url, 502).await;
    // Without a route nothing of it is anybody's business.
    world.delete("HTTPRoute", "web").await;
    for name in ["guarded", "late"] {
        let silent = |policy: &Value| {
            let ancestors = policy["status"]["ancestors"].as_array();
            ancestors.is_none_or(|all| {
                all.iter()
                    .all(|a| a["controllerName"] != world.controller())
            })
        };
        world.until("BackendTLSPolicy", name, silent).await;
    }
    world.end().await;
}

fn pair(issued: &Issued) -> Value {
    let data = json!({ "tls.crt": issued.cert_pem, "tls.key": issued.key_pem });
    json!({ "type": "kubernetes.io/tls", "stringData": data })
}

#[tokio::test]
async fn a_gateway_shows_its_certificate_to_backends() {
    let world = World::new("backend-identity").await;
    let ca = Ca::new("backends");
    let _backend = guarded(&world, &ca, true).await;
    world
        .apply("ConfigMap", "authority", authority(ca.pem()))
        .await;
    let tls = json!({ "backend": { "clientCertificateRef": { "name": "identity" } } });
    world
        .apply("Gateway", "edge", gateway(&world, Some(tls)))
        .await;
    world.apply("HTTPRoute", "web", route()).await;
    let until = async |resolved: &str| {
        let as_wanted = |gateway: &Value| {
            let conditions = &gateway["status"]["conditions"];
            condition(conditions, "Accepted").as_deref() == Some("True Accepted")
                && condition(conditions, "ResolvedRefs").as_deref() == Some(resolved)
        };
        world.until("Gateway", "edge", as_wanted).await;
    };
    until("False InvalidClientCertificateRef").await;
    let address = world.address("edge").await;
    let url = format!("http://{address}/");
    world.until_answers(&url, 500).await;
    let secret = pair(&ca.issue_client("gateway"));
    world.apply("Secret", "identity", secret).await;
    until("True ResolvedRefs").await;
    world.until_answers(&url, 200).await;
    // A certificate that the backend does not take is shown all the same.
    let stranger = Ca::new("strangers").issue_client("gateway");
    world.apply("Secret", "identity", pair(&stranger)).await;
    world.until_answers(&url, 502).await;
    world.end().await;
}
