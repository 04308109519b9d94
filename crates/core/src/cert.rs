//! Certificates from Secrets.

use std::{collections::BTreeMap, sync::Arc};

pub(crate) use api::certificate::text;
use api::{
    Kind, ObjectKey, ObjectRef, SecretRef,
    certificate::{self, CertificateError, KeyFamily},
    condition::reasons,
};
use ir::{Authorities, Certificate, Redacted};
use k8s_openapi::api::core::v1::Secret;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tracked::View;

use crate::{fault::Fault, lookup::Lookup};

type Outcome = Result<(Arc<Certificate>, KeyFamily), CertificateError>;

/// What came of Secrets, for as long as they stay the same.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    read: BTreeMap<ObjectKey, (Arc<Secret>, Outcome)>,
}

/// Certificates, each Secret read once.
pub(crate) struct Certificates<'a> {
    view: &'a View<'a>,
    provider: CryptoProvider,
    memo: &'a mut Memo,
}

impl<'a> Certificates<'a> {
    pub(crate) fn new(view: &'a View<'a>, memo: &'a mut Memo) -> Self {
        let secrets = view.all::<Secret>();
        memo.read.retain(|key, (secret, _)| {
            secrets.get(key).is_some_and(|now| Arc::ptr_eq(now, secret))
        });
        Self {
            view,
            provider: rustls::crypto::aws_lc_rs::default_provider(),
            memo,
        }
    }

    /// The certificate of a Secret, and the family of its key.
    pub(crate) fn get(&mut self, key: &ObjectKey) -> Outcome {
        if let Some((_, known)) = self.memo.read.get(key) {
            return known.clone();
        }
        let Some(secret) = self.view.get::<Secret>(key) else {
            return Err(CertificateError::NotFound(key.clone()));
        };
        let found = read(key, secret, &self.provider);
        let found = found.map(|(certificate, family)| (Arc::new(certificate), family));
        let entry = (Arc::clone(secret), found.clone());
        self.memo.read.insert(key.clone(), entry);
        found
    }
}

fn read(
    key: &ObjectKey,
    secret: &Secret,
    provider: &CryptoProvider,
) -> Result<(Certificate, KeyFamily), CertificateError> {
    let pair = certificate::read(key, secret, provider)?;
    let source = ObjectRef::new(Kind::Secret, key.clone());
    let certificate = Certificate {
        source: source.to_string().into(),
        names: pair.subject.names,
        chain: pair.chain.into(),
        key: Redacted::new(pair.key.into()),
    };
    Ok((certificate, pair.subject.family))
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

/// Kinds that hold authorities.
const BUNDLES: [Kind; 3] = [Kind::ConfigMap, Kind::Secret, Kind::ClusterTrustBundle];

/// The kind of a reference, if it is one that holds authorities.
pub(crate) fn bundle_kind(group: &str, kind: &str) -> Option<Kind> {
    Kind::find(group, kind).filter(|kind| BUNDLES.contains(kind))
}

/// Authorities from an object of Kubernetes' own; the error goes on where the object's name ends.
///
/// > Support: Core - a reference to a Kubernetes ConfigMap, with the CA certificate in a key named `ca.crt`. (Secrets
/// > are taken too.) Extended - ClusterTrustBundle (`certificates.k8s.io`), which is in no namespace.
pub(crate) fn bundle(
    kind: Kind,
    key: &ObjectKey,
    lookup: &Lookup<'_>,
) -> Result<Authorities, String> {
    let missing = || "does not exist".to_owned();
    let source = ObjectRef::new(kind, key.clone());
    let pem = match kind {
        Kind::ClusterTrustBundle => {
            let bundle = lookup.trust_bundle(key).ok_or_else(missing)?;
            return trust(&source, &bundle.spec.trust_bundle)
                .map_err(|why| format!("has a trustBundle that {why}"));
        }
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
    let read = read(&key, secret, &provider).map_err(invalid)?;
    Ok(Arc::new(read.0))
}

#[cfg(test)]
#[path = "cert_tests.rs"]
mod tests;
