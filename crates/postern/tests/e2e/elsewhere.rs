//! XBackends: hosts outside the cluster, and whom to trust there.

use std::fs;

use testkit::{call::Call, certs::Ca, echo::Backend};

use crate::support::{Start, postern, text};

const ROUTE: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: postern
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{name: gw}]
  rules:
";

fn rule(name: &str) -> String {
    format!(
        "  - matches: [{{path: {{value: /{name}}}}}]
    backendRefs: [{{group: gateway.networking.x-k8s.io, kind: XBackend, name: {name}}}]
"
    )
}

/// An XBackend at a backend of this machine.
fn x_backend(name: &str, backend: &Backend, tls: &str) -> String {
    let port = backend.address().port();
    format!(
        "---
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: XBackend
metadata: {{name: {name}}}
spec:
  type: ExternalHostname
  externalHostname: {{hostname: localhost}}
  port: {{number: {port}}}
{tls}"
    )
}

fn trusting(bundle: &str) -> String {
    format!(
        "  tls:
    mode: ServerOnly
    validation:
      hostname: localhost
      caCertificateRefs: [{{group: certificates.k8s.io, kind: ClusterTrustBundle, name: {bundle}}}]
"
    )
}

fn bundle(name: &str, ca: &Ca) -> String {
    let pem = ca.pem().trim_end().replace('\n', "\n    ");
    format!(
        "---
apiVersion: certificates.k8s.io/v1beta1
kind: ClusterTrustBundle
metadata: {{name: {name}}}
spec:
  trustBundle: |
    {pem}
"
    )
}

#[test]
fn hosts_outside_the_cluster_are_reached_and_have_to_be_who_they_should() {
    let (ca, other) = (Ca::new("ours"), Ca::new("other"));
    let plain = Backend::start("plain");
    let secured = ca.issue(&["localhost"]).server_config(&["http/1.1"]);
    let secured = Backend::builder().tls(secured).start("secured");
    let names = ["plain", "trusted", "foreign", "missing"];
    let rules: String = names.iter().map(|name| rule(name)).collect();
    let manifests = [
        ROUTE.to_owned() + &rules,
        x_backend("plain", &plain, ""),
        x_backend("trusted", &secured, &trusting("ours")),
        x_backend("foreign", &secured, &trusting("other")),
        x_backend("missing", &secured, &trusting("nowhere")),
        bundle("ours", &ca),
        bundle("other", &other),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    fs::write(&path, manifests.concat()).unwrap();
    let gateway = Start::default().serve(folder.path());
    let get = |name: &str| {
        let call = Call::get(gateway.address(80), &format!("http://a.com/{name}"));
        call.send_blocking().unwrap()
    };
    assert_eq!(get("plain").backend(), "plain");
    assert_eq!(get("trusted").backend(), "secured");
    assert!(get("foreign").status.is_server_error());
    assert_eq!(get("missing").status, 500);
    assert_eq!((plain.hits(), secured.hits()), (1, 1));
    let said = text(&postern(&["check", "-f", path.to_str().unwrap()]).stdout);
    let why = "ClusterTrustBundle nowhere does not exist";
    assert!(said.contains(why), "{said}");
}
