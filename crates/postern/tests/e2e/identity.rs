//! What a Gateway shows to backends goes with its own requests, and with no other's.

use std::fs;

use testkit::{
    call::Call,
    certs::{Ca, Issued},
    echo::Backend,
};

use crate::support::{Gateway, Start, secret, service};

const REST: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shared}
spec:
  parentRefs: [{name: ours}, {name: theirs}, {name: nobody}]
  rules: [{backendRefs: [{name: guarded, port: 80}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: guarded}
spec:
  targetRefs: [{group: "", kind: Service, name: guarded}]
  validation:
    hostname: guarded.internal
    caCertificateRefs: [{group: "", kind: Secret, name: authority}]
---
"#;

fn gateway(name: &str, port: u16, certificate: Option<&str>) -> String {
    let tls = certificate
        .map(|secret| format!("tls: {{backend: {{clientCertificateRef: {{name: {secret}}}}}}}, "));
    let tls = tls.unwrap_or_default();
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: {name}}}\n\
         spec: {{gatewayClassName: postern, {tls}listeners: [{{name: http, port: {port}, protocol: HTTP}}]}}\n---\n"
    )
}

fn pair(name: &str, issued: &Issued) -> String {
    let entries = [
        ("tls.crt", issued.cert_pem.as_str()),
        ("tls.key", issued.key_pem.as_str()),
    ];
    secret(name, &entries) + "---\n"
}

fn status(gateway: &Gateway, port: u16) -> u16 {
    let call = Call::get(gateway.address(port), "http://a.com/");
    call.send_blocking().unwrap().status.as_u16()
}

#[test]
fn no_gateway_has_requests_of_another_go_over_its_connections() {
    let (ca, stranger) = (Ca::new("ours"), Ca::new("theirs"));
    let server = ca.issue(&["guarded.internal"]);
    let backend = Backend::builder()
        .tls(server.server_config_verifying(ca.pem(), true, &["http/1.1"]))
        .start("guarded");
    let folder = tempfile::tempdir().unwrap();
    let manifests = [
        gateway("ours", 80, Some("good")),
        gateway("theirs", 81, Some("bad")),
        gateway("nobody", 82, None),
        pair("good", &ca.issue_client("gateway")),
        pair("bad", &stranger.issue_client("gateway")),
        secret("authority", &[("ca.crt", ca.pem())]) + "---\n",
        service("guarded", &[&backend]),
        REST.to_owned(),
    ];
    fs::write(folder.path().join("all.yaml"), manifests.concat()).unwrap();
    let gateway = Start::default()
        .arg("--port-map")
        .arg("81=0")
        .arg("--port-map")
        .arg("82=0")
        .serve(folder.path());
    // Connections are kept: had they been anybody's, the others would have come through.
    for _ in 0..8 {
        assert_eq!(status(&gateway, 80), 200);
        assert_eq!(status(&gateway, 81), 502);
        assert_eq!(status(&gateway, 82), 502);
    }
    assert_eq!(backend.hits(), 8);
}
