//! TLS with clients, with real handshakes. Each check runs over the Ingresses and over their
//! translation.

use std::sync::Arc;

use rustls::{ClientConfig, ProtocolVersion, crypto::CryptoProvider};
use testkit::{
    call::{Answer, Call},
    certs::{Ca, client_config_presenting},
};

use crate::support::{Example, Served, both, secret};

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

/// "Specifies TLS cipher suites, multiple can be specified separated by commas, only effective when TLSv1.0~1.2 is
/// used"
#[test]
fn tls_ciphers() {
    let ca = Ca::new("servers");
    let pair = ca.issue(&["example.com"]);
    let example = Example::new("tls-ciphers");
    let entries = [
        ("tls.crt", pair.cert_pem.as_str()),
        ("tls.key", pair.key_pem.as_str()),
    ];
    example.write("secret.yaml", &secret("example-com", &entries));
    both(&example, |served| {
        let url = "https://example.com/test";
        let with = |word: &str| {
            let config = speaking_only(&ca, &rustls::version::TLS12, word);
            ask(served, url, &config).map(|answer| answer.backend().to_owned())
        };
        assert_eq!(with("AES_256_GCM").as_deref(), Ok("demo-service"));
        for other in ["AES_128_GCM", "CHACHA20"] {
            assert!(with(other).unwrap_err().contains("handshake"), "{other}");
        }
        let new = speaking_only(&ca, &rustls::version::TLS13, "AES_128_GCM");
        assert_eq!(
            ask(served, url, &new).unwrap().backend(),
            "demo-service",
            "suites of its own"
        );
    });
}

/// A client of this authority that speaks one version only.
pub(crate) fn speaking(
    ca: &Ca,
    version: &'static rustls::SupportedProtocolVersion,
) -> ClientConfig {
    speaking_only(ca, version, "")
}

/// One that has only cipher suites with this in their names.
fn speaking_only(
    ca: &Ca,
    version: &'static rustls::SupportedProtocolVersion,
    suites: &str,
) -> ClientConfig {
    let roots = ca.client_config(&[]);
    let mut provider = CryptoProvider::clone(roots.crypto_provider());
    provider
        .cipher_suites
        .retain(|suite| format!("{:?}", suite.suite()).contains(suites));
    let provider = Arc::new(provider);
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

/// Examples that are tested here and not by way of the list.
pub(crate) const TESTED: &[&str] = &["client-mtls", "tls-version", "tls-ciphers", "client-policy"];
