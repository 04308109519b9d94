//! Backend protocols, and TLS with backends, with real handshakes. Each check runs over the Ingresses and over their
//! translation.

use testkit::{
    certs::{Ca, Issued, recording_names},
    echo::Backend,
};

use crate::support::{Example, Served, both, secret};

/// "Forward the request example.com/test to the backend service using the HTTPS protocol."
#[test]
fn backend_protocol_https() {
    let ca = Ca::new("nobody knows it");
    let start = |name: &str| {
        Backend::builder()
            .tls(ca.issue(&["whoever"]).server_config(&["http/1.1"]))
            .start(name)
    };
    let example = Example::with("backend-protocol-https", start);
    both(&example, |served| {
        let told = served.get("http://example.com/").json();
        assert_eq!(
            (told["backend"].as_str(), told["proto"].as_str()),
            (Some("demo-service"), Some("HTTP/1.1"))
        );
    });
    // A backend without TLS is not spoken to in plain text instead.
    let example = Example::new("backend-protocol-https");
    both(&example, |served| {
        assert_eq!(served.get("http://example.com/").status.as_u16(), 502);
        assert_eq!(served.hits("demo-service"), 0);
    });
}

/// "Forward the request example/grpcbin.GRPCBin to the backend service using the GRPC protocol."
pub(crate) fn grpc(served: &Served<'_>) {
    let call = |url: &str| {
        served
            .call("POST", url)
            .http2()
            .header("te", "trailers")
            .header("content-type", "application/grpc")
    };
    let answer = call("http://example.com/grpcbin.GRPCBin?trailers=1")
        .send_blocking()
        .unwrap();
    let told = answer.json();
    assert_eq!(
        (told["backend"].as_str(), told["proto"].as_str()),
        (Some("demo-service"), Some("HTTP/2.0"))
    );
    assert_eq!(told["headers"]["te"][0], "trailers");
    assert_eq!(answer.trailers.unwrap()["x-trailer"], "end");
    // A call is told so in its own words, anything else in HTTP's.
    let other = call("http://example.com/other").send_blocking().unwrap();
    let code = other.headers.get("grpc-status");
    assert_eq!(code.and_then(|code| code.to_str().ok()), Some("12"));
    assert_eq!(served.get("http://example.com/other").status.as_u16(), 404);
}

/// "Mutual authentication between the gateway and backend service, where the secret name used by the gateway is
/// gateway-cert, namespace is default."
#[test]
fn backend_mtls() {
    let (ours, others) = (Ca::new("ours"), Ca::new("others"));
    let start = |servers: &Ca| {
        let config = servers
            .issue(&["demo-service.default.svc"])
            .server_config_verifying(ours.pem(), true, &["http/1.1"]);
        move |name: &str| Backend::builder().tls(config.clone()).start(name)
    };
    let gateway_cert = gateway_cert(&ours, &ours.issue_client("gateway"));
    let example = Example::with("backend-mtls", start(&ours));
    example.write("gateway-cert.yaml", &gateway_cert);
    both(&example, |served| {
        assert_eq!(
            served.get("http://example.com/test").backend(),
            "demo-service"
        );
    });
    let impostor = Example::with("backend-mtls", start(&others));
    impostor.write("gateway-cert.yaml", &gateway_cert);
    both(&impostor, |served| {
        assert_eq!(
            served.get("http://example.com/test").status.as_u16(),
            502,
            "its certificate is not ours"
        );
        assert_eq!(served.hits("demo-service"), 0);
    });
    std::fs::remove_file(example.folder.path().join("gateway-cert.yaml")).unwrap();
    both(&example, |served| {
        assert_eq!(
            served.get("http://example.com/test").status.as_u16(),
            500,
            "no Secret, no connection"
        );
        assert!(
            served
                .gateway
                .status()
                .to_string()
                .contains("Secret default/gateway-cert does not exist")
        );
    });
}

/// The Secret with what the gateway shows, and whom it believes.
fn gateway_cert(authority: &Ca, shown: &Issued) -> String {
    let entries = [
        ("tls.crt", shown.cert_pem.as_str()),
        ("tls.key", shown.key_pem.as_str()),
        ("ca.crt", authority.pem()),
    ];
    secret("gateway-cert", &entries)
}

/// "proxy-ssl-name: SNI used during TLS handshake", "proxy-ssl-server-name: on or off. Enable or disable SNI during TLS
/// handshake". The certificate must be for the name either way.
#[test]
fn backend_mtls_name() {
    const URL: &str = "http://example.com/test";
    let ours = Ca::new("ours");
    let gateway_cert = gateway_cert(&ours, &ours.issue_client("gateway"));
    for (certificate, switch, status, told) in [
        (
            "backend.internal",
            "on",
            200,
            Some(Some("backend.internal")),
        ),
        ("backend.internal", "off", 200, Some(None)),
        ("example.com", "on", 502, None),
        ("example.com", "off", 502, None),
    ] {
        let (config, names) = recording_names(ours.issue(&[certificate]).server_config_verifying(
            ours.pem(),
            true,
            &["http/1.1"],
        ));
        let example = Example::with("backend-mtls-name", |name| {
            Backend::builder().tls(config.clone()).start(name)
        });
        let ingress = std::fs::read_to_string(example.folder.path().join("ingress.yaml")).unwrap();
        example.write(
            "ingress.yaml",
            &ingress.replace("server-name: \"on\"", &format!("server-name: \"{switch}\"")),
        );
        example.write("gateway-cert.yaml", &gateway_cert);
        both(&example, |served| {
            let _earlier = names.take();
            let case = format!("{certificate}, {switch}");
            let answer = served.get(URL);
            assert_eq!(answer.status.as_u16(), status, "{case}");
            let names = names.take();
            if let Some(told) = told {
                assert_eq!(answer.backend(), "demo-service", "{case}");
                assert!(
                    !names.is_empty() && names.iter().all(|name| name.as_deref() == told),
                    "{case}: {names:?}"
                );
            }
        });
        if status != 200 {
            assert_eq!(example.backends["demo-service"].hits(), 0);
        }
    }
}

/// BackendTLSPolicy and `tls.backend` by hand: "a certificate from a known authority that names their service account",
/// "and shows them its own".
#[test]
fn backend_tls_policy() {
    const URL: &str = "http://example.com/";
    const ACCOUNT: &str = "spiffe://cluster.local/ns/default/sa/demo-service";
    let (ours, others) = (Ca::new("ours"), Ca::new("others"));
    let start = |issued: &Issued| {
        let config = issued.server_config_verifying(ours.pem(), true, &["http/1.1"]);
        let (config, names) = recording_names(config);
        let example = Example::with("backend-tls-policy", |name| {
            Backend::builder().tls(config.clone()).start(name)
        });
        let shown = ours.issue_client("gateway");
        example.write(
            "gateway-cert.yaml",
            &secret(
                "gateway-cert",
                &[("tls.crt", &shown.cert_pem), ("tls.key", &shown.key_pem)],
            ),
        );
        example.write("backends-ca.yaml", &authorities(&ours));
        (example, names)
    };
    let (example, names) = start(&ours.issue(&["whoever", ACCOUNT]));
    both(&example, |served| {
        assert_eq!(served.get(URL).backend(), "demo-service");
        let names = names.take();
        assert!(
            !names.is_empty()
                && names
                    .iter()
                    .all(|name| name.as_deref() == Some("backend.internal")),
            "{names:?}"
        );
    });
    for (why, issued) in [
        (
            "the server's name does not count",
            ours.issue(&["backend.internal"]),
        ),
        (
            "its certificate is not ours",
            others.issue(&["backend.internal", ACCOUNT]),
        ),
    ] {
        let (example, _) = start(&issued);
        both(&example, |served| {
            assert_eq!(served.get(URL).status.as_u16(), 502, "{why}");
            assert_eq!(served.hits("demo-service"), 0, "{why}");
        });
    }
    for (file, told) in [
        (
            "backends-ca.yaml",
            "ConfigMap default/backends-ca does not exist",
        ),
        (
            "gateway-cert.yaml",
            "Secret default/gateway-cert does not exist",
        ),
    ] {
        let (example, _) = start(&ours.issue(&[ACCOUNT]));
        std::fs::remove_file(example.folder.path().join(file)).unwrap();
        both(&example, |served| {
            assert_eq!(served.get(URL).status.as_u16(), 500, "{told}");
            assert_eq!(served.hits("demo-service"), 0, "{told}");
            let status = served.gateway.status().to_string();
            assert!(status.contains(told), "{status}");
        });
    }
}

/// The ConfigMap with whom backends must come from.
fn authorities(authority: &Ca) -> String {
    let mut text =
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: backends-ca\ndata:\n  ca.crt: |\n"
            .to_owned();
    for line in authority.pem().lines() {
        text.push_str(&format!("    {line}\n"));
    }
    text
}

/// Examples that are tested here and not by way of the list.
pub(crate) const TESTED: &[&str] = &[
    "backend-protocol-https",
    "backend-mtls",
    "backend-mtls-name",
    "backend-tls-policy",
];
