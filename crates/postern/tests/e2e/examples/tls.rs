//! Backend protocols, and TLS both ways, with real handshakes. Each check runs over the Ingresses and over their
//! translation.

use std::{path::Path, sync::Arc};

use rustls::{ClientConfig, ProtocolVersion};
use testkit::{
    call::{Answer, Call},
    certs::{Ca, client_config_presenting},
    echo::Backend,
};

use crate::support::{Example, Served, secret};

/// Runs a check over the example and over its translation.
fn both(example: &Example, check: impl Fn(&Served<'_>)) {
    check(&Served::new(example.folder.path(), &example.backends));
    let converted = example.converted();
    check(&Served::new(converted.path(), &example.backends));
}

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
    assert_eq!(
        call("http://example.com/other")
            .send_blocking()
            .unwrap()
            .status
            .as_u16(),
        404
    );
}

/// An HTTPS request to the gateway.
fn ask(served: &Served<'_>, url: &str, config: &ClientConfig) -> Result<Answer, String> {
    let host = url.split('/').nth(2).unwrap();
    let call = Call::get(served.gateway.address(443), url);
    call.tls(Arc::new(config.clone()), host).send_blocking()
}

/// "CA certificate used by the gateway to verify the certificate provided by the client during MTLS handshake."
#[test]
fn client_mtls() {
    let (servers, clients, others) = (Ca::new("servers"), Ca::new("clients"), Ca::new("others"));
    let pair = servers.issue(&["bar.com", "foo.com"]);
    let example = Example::new("client-mtls");
    let services = std::fs::read_to_string(example.folder.path().join("services.yaml")).unwrap();
    let services = services
        .split("---\n")
        .filter(|document| !document.contains("kind: Secret"))
        .collect::<Vec<_>>()
        .join("---\n");
    example.write("services.yaml", &services);
    example.write(
        "tls-secret.yaml",
        &secret(
            "tls-secret",
            &[("tls.crt", &pair.cert_pem), ("tls.key", &pair.key_pem)],
        ),
    );
    example.write(
        "ca-secret.yaml",
        &secret("tls-secret-cacert", &[("cacert", clients.pem())]),
    );
    let anonymous = servers.client_config(&["http/1.1"]);
    let known =
        client_config_presenting(servers.pem(), &clients.issue_client("alice"), &["http/1.1"]);
    let foreign = client_config_presenting(
        servers.pem(),
        &others.issue_client("mallory"),
        &["http/1.1"],
    );
    both(&example, |served| {
        assert_eq!(
            ask(served, "https://bar.com/", &known).unwrap().backend(),
            "bar-service"
        );
        assert!(
            ask(served, "https://bar.com/", &anonymous).is_err(),
            "no certificate"
        );
        assert!(
            ask(served, "https://bar.com/", &foreign).is_err(),
            "somebody else's certificate"
        );
        assert_eq!(
            ask(served, "https://foo.com/", &anonymous)
                .unwrap()
                .backend(),
            "foo-service",
            "only bar.com asks"
        );
        let sneaked = Call::get(served.gateway.address(443), "https://bar.com/")
            .tls(Arc::new(anonymous.clone()), "foo.com");
        assert_eq!(
            sneaked.send_blocking().unwrap().status.as_u16(),
            421,
            "nobody gets to bar.com by way of foo.com"
        );
    });
    // Without the authority nobody is let in, and foo.com is not concerned.
    std::fs::remove_file(example.folder.path().join("ca-secret.yaml")).unwrap();
    both(&example, |served| {
        assert!(ask(served, "https://bar.com/", &known).is_err());
        assert_eq!(
            ask(served, "https://foo.com/", &anonymous)
                .unwrap()
                .backend(),
            "foo-service"
        );
        assert!(
            served
                .gateway
                .status()
                .to_string()
                .contains("tls-secret-cacert does not exist")
        );
    });
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
    let shown = ours.issue_client("gateway");
    let gateway_cert = secret(
        "gateway-cert",
        &[
            ("tls.crt", &shown.cert_pem),
            ("tls.key", &shown.key_pem),
            ("ca.crt", ours.pem()),
        ],
    );
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

/// "for the domain example.com, set the minimum TLS version to TLSv1.2 and the maximum version to TLSv1.2."
#[test]
fn tls_version() {
    let ca = Ca::new("servers");
    let pair = ca.issue(&["example.com"]);
    let example = Example::new("tls-version");
    example.write(
        "secret.yaml",
        &secret(
            "example-com",
            &[("tls.crt", &pair.cert_pem), ("tls.key", &pair.key_pem)],
        ),
    );
    both(&example, |served| {
        let old = ask(
            served,
            "https://example.com/test",
            &speaking(&ca, &rustls::version::TLS12),
        )
        .unwrap();
        assert_eq!(old.backend(), "demo-service");
        let new = ask(
            served,
            "https://example.com/test",
            &speaking(&ca, &rustls::version::TLS13),
        );
        assert!(
            new.unwrap_err().contains("handshake"),
            "{:?} is not spoken",
            ProtocolVersion::TLSv1_3
        );
    });
}

/// A client of this authority that speaks one version only.
fn speaking(ca: &Ca, version: &'static rustls::SupportedProtocolVersion) -> ClientConfig {
    let roots = ca.client_config(&[]);
    let provider = roots.crypto_provider().clone();
    let mut store = rustls::RootCertStore::empty();
    let der = rustls_pki_types::CertificateDer::from(pem(ca.pem()));
    store.add(der).unwrap();
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap();
    builder.with_root_certificates(store).with_no_client_auth()
}

/// ClientPolicy by hand: "TLS 1.3 only."
#[test]
fn client_policy() {
    let ca = Ca::new("servers");
    let pair = ca.issue(&["example.com"]);
    let example = Example::new("client-policy");
    let entries = [
        ("tls.crt", pair.cert_pem.as_str()),
        ("tls.key", pair.key_pem.as_str()),
    ];
    example.write("secret.yaml", &secret("example-com", &entries));
    both(&example, |served| {
        let url = "https://example.com/";
        let new = ask(served, url, &speaking(&ca, &rustls::version::TLS13)).unwrap();
        assert_eq!(new.backend(), "demo-service");
        let old = ask(served, url, &speaking(&ca, &rustls::version::TLS12));
        assert!(old.unwrap_err().contains("handshake"));
    });
}

fn pem(text: &str) -> Vec<u8> {
    use rustls_pki_types::{CertificateDer, pem::PemObject};
    CertificateDer::from_pem_slice(text.as_bytes())
        .unwrap()
        .to_vec()
}

#[test]
fn folders_are_there() {
    for name in TESTED {
        assert!(
            Path::new(&crate::support::examples()).join(name).is_dir(),
            "{name}"
        );
    }
}

/// Examples that are tested here and not by way of the list.
pub(crate) const TESTED: &[&str] = &[
    "backend-protocol-https",
    "client-mtls",
    "backend-mtls",
    "tls-version",
    "client-policy",
];
