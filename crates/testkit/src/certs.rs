//! Certificates made on the spot, and rustls configurations that use them.
//!
//! Every configuration names its crypto provider: no test depends on a process-wide default.

use parking_lot::Mutex;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};
use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, ServerConfig,
    client::WantsClientCert,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

static SERIAL: AtomicU64 = AtomicU64::new(1);

/// A certificate authority of one test. Two of the same name do not trust each other.
pub struct Ca {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, as a TLS Secret holds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate, without its issuer.
    pub cert_pem: String,
    /// The key, PKCS#8.
    pub key_pem: String,
}

impl Ca {
    /// Makes an authority whose common name is `name`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let key = key();
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params
            .self_signed(&key)
            .expect("rcgen signs what it built")
            .pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// The authority's own certificate.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A server certificate for host names, wildcards, addresses and URIs (`spiffe://…`).
    #[must_use]
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.sign(server_params(names))
    }

    /// Like [`Ca::issue`], but it ran out at the end of 2020.
    #[must_use]
    pub fn issue_expired(&self, names: &[&str]) -> Issued {
        let mut params = server_params(names);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 12, 31);
        self.sign(params)
    }

    /// A client certificate whose common name is `cn`.
    #[must_use]
    pub fn issue_client(&self, cn: &str) -> Issued {
        let mut params = params(cn, &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    /// A client configuration that trusts this authority alone.
    #[must_use]
    pub fn client_config(&self, alpn: &[&str]) -> ClientConfig {
        client_config(&self.pem, alpn)
    }

    fn sign(&self, mut params: CertificateParams) -> Issued {
        params.use_authority_key_identifier_extension = true;
        let key = key();
        let cert = params
            .signed_by(&key, &self.issuer)
            .expect("rcgen signs what it built");
        Issued {
            cert_pem: cert.pem(),
            key_pem: key.serialize_pem(),
        }
    }
}

impl Issued {
    /// A server configuration that presents this certificate. `alpn` is in order of preference; empty: no ALPN.
    #[must_use]
    pub fn server_config(&self, alpn: &[&str]) -> ServerConfig {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs speaks TLS 1.2 and 1.3")
            .with_no_client_auth();
        let (chain, key) = self.der();
        let mut config = builder
            .with_single_cert(chain, key)
            .expect("the key fits the certificate");
        config.alpn_protocols = protocols(alpn);
        config
    }

    /// Like [`Issued::server_config`], and asks for a client certificate which `clients_ca` issued.
    /// A client without one is let in unless `required`; one with a foreign certificate never is.
    #[must_use]
    pub fn server_config_verifying(
        &self,
        clients_ca: &str,
        required: bool,
        alpn: &[&str],
    ) -> ServerConfig {
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots(clients_ca)), provider());
        let verifier = if required {
            verifier
        } else {
            verifier.allow_unauthenticated()
        };
        let (chain, key) = self.der();
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs speaks TLS 1.2 and 1.3")
            .with_client_cert_verifier(verifier.build().expect("there is a root"))
            .with_single_cert(chain, key)
            .expect("the key fits the certificate");
        config.alpn_protocols = protocols(alpn);
        config
    }

    /// The certificate itself, as a handshake shows it.
    #[must_use]
    pub fn leaf(&self) -> CertificateDer<'static> {
        self.der().0.swap_remove(0)
    }

    fn der(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).expect("one PEM key");
        (certificates(&self.cert_pem), key)
    }
}

/// A server certificate that signs itself; it is its own trust anchor.
#[must_use]
pub fn self_signed(names: &[&str]) -> Issued {
    let key = key();
    let cert = server_params(names)
        .self_signed(&key)
        .expect("rcgen signs what it built");
    Issued {
        cert_pem: cert.pem(),
        key_pem: key.serialize_pem(),
    }
}

/// A client configuration that trusts the certificates in `ca_pem` and nothing else.
///
/// # Panics
///
/// When `ca_pem` holds no certificate.
#[must_use]
pub fn client_config(ca_pem: &str, alpn: &[&str]) -> ClientConfig {
    let mut config = client_builder(ca_pem).with_no_client_auth();
    config.alpn_protocols = protocols(alpn);
    config
}

/// Like [`client_config`], and presents `client` when the server asks.
///
/// # Panics
///
/// When `ca_pem` holds no certificate.
#[must_use]
pub fn client_config_presenting(ca_pem: &str, client: &Issued, alpn: &[&str]) -> ClientConfig {
    let (chain, key) = client.der();
    let mut config = client_builder(ca_pem)
        .with_client_auth_cert(chain, key)
        .expect("the key fits the certificate");
    config.alpn_protocols = protocols(alpn);
    config
}

/// The names that clients asked a server for, in the order of their handshakes; none: one that did not say.
#[derive(Clone, Debug, Default)]
pub struct AskedNames(Arc<Mutex<Vec<Option<String>>>>);

impl AskedNames {
    /// Those since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<Option<String>> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// The same server configuration, and the names that clients ask it for.
#[must_use]
pub fn recording_names(mut config: ServerConfig) -> (ServerConfig, AskedNames) {
    let names = AskedNames::default();
    config.cert_resolver = Arc::new(Recorder {
        inner: config.cert_resolver,
        names: names.clone(),
    });
    (config, names)
}

#[derive(Debug)]
struct Recorder {
    inner: Arc<dyn ResolvesServerCert>,
    names: AskedNames,
}

impl ResolvesServerCert for Recorder {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_owned);
        self.names.0.lock().push(name);
        self.inner.resolve(hello)
    }
}

/// The crypto provider of every configuration made here.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn client_builder(ca_pem: &str) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs speaks TLS 1.2 and 1.3")
        .with_root_certificates(roots(ca_pem))
}

fn roots(pem: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem) {
        roots
            .add(certificate)
            .expect("a certificate can be a trust anchor");
    }
    assert!(!roots.is_empty(), "no certificate in {pem:?}");
    roots
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .expect("PEM certificates")
}

fn protocols(alpn: &[&str]) -> Vec<Vec<u8>> {
    alpn.iter()
        .map(|protocol| protocol.as_bytes().to_vec())
        .collect()
}

fn key() -> KeyPair {
    KeyPair::generate().expect("aws-lc-rs makes P-256 keys")
}

fn server_params(names: &[&str]) -> CertificateParams {
    let mut params = params(names.first().copied().unwrap_or("nameless"), names);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

/// A distinct serial number each, or two certificates of one authority would be the same one to a log or a pin.
fn params(cn: &str, names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, cn);
    params.distinguished_name = subject;
    params.serial_number = Some(SerialNumber::from(SERIAL.fetch_add(1, Ordering::Relaxed)));
    params.subject_alt_names = names.iter().map(|name| alt_name(name)).collect();
    params
}

fn alt_name(name: &str) -> SanType {
    if let Ok(address) = name.parse() {
        return SanType::IpAddress(address);
    }
    let text = name.try_into().expect("names are ASCII");
    if name.contains("://") {
        SanType::URI(text)
    } else {
        SanType::DnsName(text)
    }
}

#[cfg(test)]
#[path = "certs_tests.rs"]
mod tests;
