//! Certificates in Secrets: the chain under `tls.crt`, its key under `tls.key`, whether both can be served, and for
//! which names.

use k8s_openapi::api::core::v1::Secret;
use rustls::{SignatureAlgorithm, crypto::CryptoProvider, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::ObjectKey;

/// Key of the chain, leaf first.
pub const CHAIN: &str = "tls.crt";
/// Key of the private key.
pub const KEY: &str = "tls.key";

/// Why a Secret is no certificate. The text never holds anything of the Secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// There is no such Secret.
    #[error("Secret {0} does not exist")]
    NotFound(ObjectKey),
    /// It lacks this key.
    #[error("Secret {0} has no {1}")]
    Missing(ObjectKey, &'static str),
    /// What is under the key is not PEM text with what has to be there.
    #[error("Secret {0}: {1} is not PEM text with {2}")]
    Pem(ObjectKey, &'static str, &'static str),
    /// The chain cannot be served.
    #[error("Secret {0}: {CHAIN} is not a usable certificate: {1}")]
    Certificate(ObjectKey, String),
    /// The key is another one's.
    #[error("Secret {0}: {KEY} does not fit {CHAIN}: {1}")]
    Key(ObjectKey, String),
}

/// What a key signs with: it decides which cipher suites of TLS 1.2 can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyFamily {
    /// RSA.
    Rsa,
    /// Elliptic curves: ECDSA and Ed25519.
    Ecdsa,
}

impl KeyFamily {
    /// Whether a cipher suite of TLS 1.2 signs with such keys, by its OpenSSL or IANA name.
    #[must_use]
    pub fn signs(self, suite: &str) -> bool {
        suite.contains("ECDSA") == (self == Self::Ecdsa)
    }

    /// `RSA` or `ECDSA`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa => "RSA",
            Self::Ecdsa => "ECDSA",
        }
    }
}

/// Whom a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// DNS names, lower case, wildcards as written: the alternative names, or the common name of a certificate without
    /// any.
    pub names: Vec<Box<str>>,
    /// Its key's family.
    pub family: KeyFamily,
}

impl Subject {
    /// Whether it is for a host, or for a wildcard host as a whole.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        self.names.iter().any(|name| covers(name, host))
    }
}

/// Whether a certificate's name covers a host: a wildcard stands for exactly one label (RFC 6125 section 6.4.3), and
/// covers itself.
#[must_use]
pub fn covers(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        None => name.eq_ignore_ascii_case(host),
        Some(rest) => host
            .split_once('.')
            .is_some_and(|(label, tail)| !label.is_empty() && tail.eq_ignore_ascii_case(rest)),
    }
}

/// A chain and its key as a Secret holds them, found to fit each other.
pub struct Pair<'s> {
    /// PEM, leaf first.
    pub chain: &'s str,
    /// PEM.
    pub key: &'s str,
    /// Whom it is for.
    pub subject: Subject,
}

/// Reads a Secret of type `kubernetes.io/tls`.
///
/// # Errors
/// What it holds cannot be served.
pub fn read<'s>(
    key: &ObjectKey,
    secret: &'s Secret,
    provider: &CryptoProvider,
) -> Result<Pair<'s>, CertificateError> {
    let chain_pem = text(key, secret, CHAIN)?;
    let key_pem = text(key, secret, KEY)?;
    let no_chain = || CertificateError::Pem(key.clone(), CHAIN, "certificates");
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain_pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| no_chain())?;
    let leaf = chain.first().ok_or_else(no_chain)?;
    let names = names(leaf).map_err(|why| CertificateError::Certificate(key.clone(), why))?;
    let private = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
        .map_err(|_| CertificateError::Pem(key.clone(), KEY, "a private key"))?;
    let certified = CertifiedKey::from_der(chain, private, provider);
    let certified = certified.map_err(|error| match error {
        rustls::Error::InvalidCertificate(why) => {
            CertificateError::Certificate(key.clone(), format!("{why:?}"))
        }
        other => CertificateError::Key(key.clone(), other.to_string()),
    })?;
    let family = match certified.key.algorithm() {
        SignatureAlgorithm::RSA => KeyFamily::Rsa,
        _ => KeyFamily::Ecdsa,
    };
    Ok(Pair {
        chain: chain_pem,
        key: key_pem,
        subject: Subject { names, family },
    })
}

/// Whom the certificate of a Secret is for, if it can be served.
///
/// # Errors
/// Those of [`read`].
pub fn subject(key: &ObjectKey, secret: &Secret) -> Result<Subject, CertificateError> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    read(key, secret, &provider).map(|pair| pair.subject)
}

/// A value of a Secret. Manifests may hold it in `stringData`, which an API server would have moved to `data`.
///
/// # Errors
/// There is none, or it is not text.
pub fn text<'s>(
    key: &ObjectKey,
    secret: &'s Secret,
    name: &'static str,
) -> Result<&'s str, CertificateError> {
    if let Some(text) = secret.string_data.as_ref().and_then(|data| data.get(name)) {
        return Ok(text);
    }
    let bytes = secret.data.as_ref().and_then(|data| data.get(name));
    let bytes = bytes.ok_or_else(|| CertificateError::Missing(key.clone(), name))?;
    std::str::from_utf8(&bytes.0)
        .map_err(|_| CertificateError::Pem(key.clone(), name, "PEM blocks"))
}

/// DNS names of a certificate, lower case: the alternative names, or the common name of one that has none.
fn names(leaf: &CertificateDer<'_>) -> Result<Vec<Box<str>>, String> {
    let (_, certificate) = X509Certificate::from_der(leaf).map_err(|error| error.to_string())?;
    let alternative = certificate
        .subject_alternative_name()
        .map_err(|error| error.to_string())?;
    let mut names: Vec<Box<str>> = alternative
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase().into()),
            _ => None,
        })
        .collect();
    if alternative.is_none() {
        let common = certificate.subject().iter_common_name().next();
        let common = common.and_then(|name| name.as_str().ok());
        names.extend(common.map(|name| name.to_ascii_lowercase().into()));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::{KeyFamily, covers};

    #[test]
    fn wildcards_cover_one_label_and_themselves() {
        for (name, host, covered) in [
            ("a.com", "A.com", true),
            ("*.a.com", "x.a.com", true),
            ("*.a.com", "*.a.com", true),
            ("*.a.com", "x.y.a.com", false),
            ("*.a.com", "*.y.a.com", false),
            ("*.a.com", "a.com", false),
            ("*.a.com", ".a.com", false),
            ("a.com", "", false),
        ] {
            assert_eq!(covers(name, host), covered, "{name} {host}");
        }
    }

    #[test]
    fn suites_by_key() {
        for (suite, family) in [
            ("ECDHE-RSA-AES128-GCM-SHA256", KeyFamily::Rsa),
            (
                "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
                KeyFamily::Ecdsa,
            ),
        ] {
            assert_eq!(KeyFamily::Rsa.signs(suite), family == KeyFamily::Rsa);
            assert_eq!(KeyFamily::Ecdsa.signs(suite), family == KeyFamily::Ecdsa);
        }
    }
}
