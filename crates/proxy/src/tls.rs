//! TLS termination: IR certificates to rustls configurations.

use std::sync::Arc;

use ir::{Certificate, TlsTermination};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

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

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
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

/// The configuration of a listener: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN, stateless session tickets.
pub(crate) fn server_config(tls: &TlsTermination) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider();
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
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(error)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ByName(keys)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
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
