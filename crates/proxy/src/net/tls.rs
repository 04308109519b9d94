//! TLS termination: IR certificates to rustls configurations.

use std::sync::Arc;

use ir::{Certificate, CipherSuite, ClientAuth, TlsTermination, TlsVersions};
use rustls::{
    ServerConfig, SupportedCipherSuite, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs, aws_lc_rs::cipher_suite},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::net::{anybody::Anybody, roots::roots};

/// A certificate that cannot be served although its parts were found to fit. The listener answers no handshake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{certificate} cannot be served: {why}")]
pub struct TlsError {
    /// `Secret/namespace/name`.
    pub certificate: Arc<str>,
    /// What rustls says.
    pub why: String,
}

/// Certificates of one listener, chosen by server name.
#[derive(Debug)]
struct ByName(Vec<(Arc<Certificate>, Arc<CertifiedKey>)>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().unwrap_or_default();
        let covering = self
            .0
            .iter()
            .find(|(certificate, _)| certificate.names.iter().any(|n| covers(n, name)));
        covering
            .or_else(|| self.0.first())
            .map(|(_, key)| Arc::clone(key))
    }
}

/// Whether a certificate's name covers a host: a wildcard stands for exactly one label (RFC 6125).
fn covers(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        None => pattern.eq_ignore_ascii_case(host),
        Some(rest) => host
            .split_once('.')
            .is_some_and(|(label, tail)| !label.is_empty() && tail.eq_ignore_ascii_case(rest)),
    }
}

fn certified(
    certificate: &Certificate,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let error = |why: String| TlsError {
        certificate: Arc::clone(&certificate.source),
        why,
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.chain.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|e| error(e.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(certificate.key.reveal().as_bytes())
        .map_err(|e| error(e.to_string()))?;
    let key = CertifiedKey::from_der(chain, key, provider).map_err(|e| error(e.to_string()))?;
    Ok(Arc::new(key))
}

/// Everything we have, or as little of it as the listener wants.
fn provider_for(tls: &TlsTermination) -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    if let Some(wanted) = &tls.ciphers {
        let old: Vec<_> = wanted.iter().map(|suite| rustls_suite(*suite)).collect();
        let new = provider
            .cipher_suites
            .iter()
            .copied()
            .filter(|suite| suite.tls13().is_some());
        provider.cipher_suites = new.chain(old).collect();
    }
    Arc::new(provider)
}

const fn rustls_suite(suite: CipherSuite) -> SupportedCipherSuite {
    match suite {
        CipherSuite::EcdsaAes128 => cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::EcdsaAes256 => cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::EcdsaChacha20 => cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        CipherSuite::RsaAes128 => cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::RsaAes256 => cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::RsaChacha20 => cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    }
}

fn versions(tls: &TlsTermination) -> Vec<&'static SupportedProtocolVersion> {
    let without_old = tls.ciphers.as_ref().is_some_and(Vec::is_empty);
    match tls.versions {
        TlsVersions::Only12 => vec![&TLS12],
        TlsVersions::Only13 => vec![&TLS13],
        TlsVersions::All if without_old => vec![&TLS13],
        TlsVersions::All => vec![&TLS13, &TLS12],
    }
}

/// Who looks at clients' certificates; an error where nobody could be let in rightly.
fn verifier(
    clients: &ClientAuth,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let (authorities, optional) = match clients {
        ClientAuth::None => return Ok(WebPkiClientVerifier::no_client_auth()),
        ClientAuth::Refuse => {
            return Err("clients' certificates cannot be looked at as asked".to_owned());
        }
        ClientAuth::Requested => return Ok(Arc::new(Anybody::new(Arc::clone(provider)))),
        ClientAuth::Required(authorities) => (authorities, false),
        ClientAuth::Optional(authorities) => (authorities, true),
    };
    let roots = roots(authorities).map_err(|error| error.to_string())?;
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = if optional {
        builder.allow_unauthenticated()
    } else {
        builder
    };
    builder.build().map_err(|error| error.to_string())
}

/// The configuration of a listener: TLS 1.2 and 1.3 unless it wants less, HTTP/2 and HTTP/1.1 by ALPN if it is for
/// HTTP, stateless session tickets.
pub(crate) fn server_config(
    tls: &TlsTermination,
    http: bool,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider_for(tls);
    let keys = tls
        .certificates
        .iter()
        .map(|c| certified(c, &provider).map(|key| (Arc::clone(c), key)))
        .collect::<Result<Vec<_>, _>>()?;
    let source = keys
        .first()
        .map_or_else(|| Arc::from("listener"), |(c, _)| Arc::clone(&c.source));
    let error = |why: rustls::Error| TlsError {
        certificate: Arc::clone(&source),
        why: why.to_string(),
    };
    let clients = verifier(&tls.clients, &provider).map_err(|why| TlsError {
        certificate: Arc::clone(&source),
        why,
    })?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(tls))
        .map_err(error)?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(ByName(keys)));
    if http {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(error)?;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn wildcards_cover_one_label() {
        assert!(covers("a.com", "A.com"));
        assert!(covers("*.a.com", "x.a.com"));
        assert!(!covers("*.a.com", "x.y.a.com"));
        assert!(!covers("*.a.com", "a.com"));
        assert!(!covers("a.com", ""));
    }
}
