//! Certificates from Secrets.

use std::{collections::BTreeMap, sync::Arc};

use api::{Kind, ObjectKey, ObjectRef, Resources, SecretRef, condition::reasons};
use ir::{Authorities, Certificate, Redacted};
use k8s_openapi::api::core::v1::Secret;
use rustls::{crypto::CryptoProvider, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::{fault::Fault, lookup::Lookup};

const CHAIN: &str = "tls.crt";
const KEY: &str = "tls.key";

/// Why a Secret is no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CertificateError {
    #[error("Secret {0} does not exist")]
    NotFound(ObjectKey),
    #[error("Secret {0} has no {1}")]
    Missing(ObjectKey, &'static str),
    #[error("Secret {0}: {1} is not PEM text with {2}")]
    Pem(ObjectKey, &'static str, &'static str),
    #[error("Secret {0}: {CHAIN} is not a usable certificate: {1}")]
    Certificate(ObjectKey, String),
    #[error("Secret {0}: {KEY} does not fit {CHAIN}: {1}")]
    Key(ObjectKey, String),
}

type Outcome = Result<Arc<Certificate>, CertificateError>;

/// What came of Secrets, for as long as they stay the same.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    read: BTreeMap<ObjectKey, (Arc<Secret>, Outcome)>,
}

/// Certificates, each Secret read once.
pub(crate) struct Certificates<'a> {
    resources: &'a Resources,
    provider: CryptoProvider,
    memo: &'a mut Memo,
}

impl<'a> Certificates<'a> {
    pub(crate) fn new(resources: &'a Resources, memo: &'a mut Memo) -> Self {
        let secrets = &resources.secrets;
        memo.read.retain(|key, (secret, _)| {
            secrets.get(key).is_some_and(|now| Arc::ptr_eq(now, secret))
        });
        Self {
            resources,
            provider: rustls::crypto::aws_lc_rs::default_provider(),
            memo,
        }
    }

    pub(crate) fn get(&mut self, key: &ObjectKey) -> Outcome {
        if let Some((_, known)) = self.memo.read.get(key) {
            return known.clone();
        }
        let Some(secret) = self.resources.secrets.get(key) else {
            return Err(CertificateError::NotFound(key.clone()));
        };
        let found = read(key, secret, &self.provider).map(Arc::new);
        let entry = (Arc::clone(secret), found.clone());
        self.memo.read.insert(key.clone(), entry);
        found
    }
}

fn read(
    key: &ObjectKey,
    secret: &Secret,
    provider: &CryptoProvider,
) -> Result<Certificate, CertificateError> {
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
    CertifiedKey::from_der(chain, private, provider).map_err(|error| match error {
        rustls::Error::InvalidCertificate(why) => {
            CertificateError::Certificate(key.clone(), format!("{why:?}"))
        }
        other => CertificateError::Key(key.clone(), other.to_string()),
    })?;
    let source = ObjectRef::new(Kind::Secret, key.clone());
    Ok(Certificate {
        source: source.to_string().into(),
        names,
        chain: chain_pem.into(),
        key: Redacted::new(key_pem.into()),
    })
}

/// A value of the Secret. Manifests may hold it in `stringData`, which an API server would have moved to `data`.
pub(crate) fn text<'s>(
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

/// Keys under which a Secret may hold authorities.
const AUTHORITIES: [&str; 2] = ["ca.crt", "cacert"];

/// The Secret that a policy refers to, and what it may be used for.
pub(crate) fn referenced<'a>(
    (kind, owner): (Kind, &ObjectKey),
    reference: &SecretRef,
    lookup: &Lookup<'a>,
) -> Result<(ObjectKey, &'a Secret), Fault> {
    let namespace = reference.namespace.as_deref().unwrap_or(&owner.namespace);
    let key = ObjectKey::new(namespace, &reference.name);
    if !lookup.permit(kind, &owner.namespace, Kind::Secret, &key) {
        let from = &owner.namespace;
        let message = format!(
            "no ReferenceGrant in namespace {namespace} lets {kind} objects of namespace {from} use Secret {key}"
        );
        return Err(Fault::new(reasons::REF_NOT_PERMITTED, message));
    }
    let secret = lookup.secret(&key);
    let secret = secret.ok_or_else(|| invalid(CertificateError::NotFound(key.clone())))?;
    Ok((key, secret))
}

fn invalid(error: CertificateError) -> Fault {
    Fault::new(reasons::INVALID, error.to_string())
}

/// Authorities from the Secret that a policy refers to.
pub(crate) fn authorities(
    from: (Kind, &ObjectKey),
    reference: &SecretRef,
    lookup: &Lookup<'_>,
) -> Result<Authorities, Fault> {
    let (key, secret) = referenced(from, reference, lookup)?;
    let found = AUTHORITIES
        .iter()
        .find_map(|name| text(&key, secret, name).ok().map(|pem| (*name, pem)));
    let (name, pem) = found
        .ok_or_else(|| invalid(CertificateError::Missing(key.clone(), "ca.crt (or cacert)")))?;
    let source = ObjectRef::new(Kind::Secret, key.clone());
    trust(&source, pem)
        .map_err(|why| Fault::new(reasons::INVALID, format!("Secret {key}: {name} {why}")))
}

/// Authorities out of PEM text; the error goes on where the name of the text ends.
pub(crate) fn trust(source: &ObjectRef, pem: &str) -> Result<Authorities, String> {
    const NONE: &str = "is not PEM text with certificates";
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| NONE)?;
    if certificates.is_empty() {
        return Err(NONE.to_owned());
    }
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates {
        let added = roots.add(certificate);
        added.map_err(|error| format!("holds a certificate that cannot be used: {error}"))?;
    }
    Ok(Authorities {
        source: source.to_string().into(),
        pem: pem.into(),
    })
}

/// The key that holds authorities where Gateway API refers to them.
const BUNDLE: &str = "ca.crt";

/// Authorities from an object of Kubernetes' own; the error goes on where the object's name ends.
///
/// > Support: Core - a reference to a Kubernetes ConfigMap, with the CA certificate in a key named `ca.crt`. (Secrets are
/// > taken too.)
pub(crate) fn bundle(
    kind: Kind,
    key: &ObjectKey,
    lookup: &Lookup<'_>,
) -> Result<Authorities, String> {
    let missing = || "does not exist".to_owned();
    let pem = match kind {
        Kind::Secret => {
            let secret = lookup.secret(key).ok_or_else(missing)?;
            text(key, secret, BUNDLE).ok()
        }
        _ => {
            let map = lookup.config_map(key).ok_or_else(missing)?;
            let data = map.data.as_ref().and_then(|data| data.get(BUNDLE));
            data.map(String::as_str)
        }
    };
    let pem = pem.ok_or_else(|| format!("has no text under the key {BUNDLE}"))?;
    let source = ObjectRef::new(kind, key.clone());
    trust(&source, pem).map_err(|why| format!("has under {BUNDLE} a text that {why}"))
}

/// Several bundles are one list of authorities.
pub(crate) fn joined(all: Vec<Authorities>) -> Option<Authorities> {
    let mut all = all.into_iter();
    let first = all.next()?;
    Some(all.fold(first, |one, other| Authorities {
        source: format!("{}, {}", one.source, other.source).into(),
        pem: format!("{}\n{}", one.pem, other.pem).into(),
    }))
}

/// A certificate to show, from the Secret that a policy refers to.
pub(crate) fn shown(
    from: (Kind, &ObjectKey),
    reference: &SecretRef,
    lookup: &Lookup<'_>,
) -> Result<Arc<Certificate>, Fault> {
    let (key, secret) = referenced(from, reference, lookup)?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    read(&key, secret, &provider).map(Arc::new).map_err(invalid)
}

#[cfg(test)]
#[path = "cert_tests.rs"]
mod tests;
