//! Contents of BackendTLSPolicies.

mod verdict;

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use api::{
    Kind, ObjectKey, PolicyTarget,
    condition::reasons,
    gateway::{
        BackendTlsPolicy,
        backendtlspolicies::{
            BackendTlsPolicyValidation, BackendTlsPolicyValidationCaCertificateRefs,
            BackendTlsPolicyValidationSubjectAltNames,
            BackendTlsPolicyValidationSubjectAltNamesType as NameType,
        },
    },
};
use ir::{Authorities, HostPattern, SubjectName, UpstreamName, UpstreamTls, Verify};

use super::Policy;
use crate::{cert, fault::Fault, lookup::Lookup, unknown::Unknown};

pub(crate) use verdict::{Ancestry, verdicts};

/// The authorities that a system comes with.
const SYSTEM: &str = "System";

impl Policy for BackendTlsPolicy {
    const TARGETS: &'static [Kind] = &[Kind::Service];

    fn targets(&self) -> Cow<'_, [PolicyTarget]> {
        let targets = self.spec.target_refs.iter().map(|target| PolicyTarget {
            group: target.group.clone(),
            kind: target.kind.clone(),
            name: target.name.clone(),
            section_name: target.section_name.clone(),
        });
        targets.collect()
    }

    fn fault(&self, key: &ObjectKey, lookup: &Lookup<'_>) -> Option<Fault> {
        let reading = lookup.backend_tls_reading(key, self);
        reading.tls.as_ref().err().cloned()
    }
}

/// What a policy says about its targets.
#[derive(Debug)]
pub(crate) struct Reading {
    /// How connections are secured, or why none can be.
    pub(crate) tls: Result<Arc<UpstreamTls>, Fault>,
    /// References that cannot be used.
    unresolved: Option<Fault>,
    /// What is not honoured although the policy is.
    warning: String,
}

impl Reading {
    pub(crate) fn of(key: &ObjectKey, policy: &BackendTlsPolicy, lookup: &Lookup<'_>) -> Self {
        let validation = &policy.spec.validation;
        let references = validation.ca_certificate_refs.as_deref();
        let references = references.unwrap_or_default();
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for reference in references {
            match authorities(key, reference, lookup) {
                Ok(found) => good.push(found),
                Err(fault) => bad.push(fault),
            }
        }
        let unknown = Unknown::of(lookup.view(), Kind::BackendTlsPolicy, key);
        let known = unknown.anywhere(reasons::INVALID).map_or(Ok(()), Err);
        let verified = known.and_then(|()| verify(validation, good));
        Self {
            tls: verified.and_then(|verify| tls(validation, verify)),
            unresolved: Fault::join(&bad),
            warning: warning(policy),
        }
    }
}

/// What a validation of an object asks for. References of it that cannot be used are told where none can be.
pub(crate) fn validated(
    object: &ObjectKey,
    validation: &BackendTlsPolicyValidation,
    lookup: &Lookup<'_>,
) -> Result<Arc<UpstreamTls>, Fault> {
    let references = validation.ca_certificate_refs.iter().flatten();
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for reference in references {
        match authorities(object, reference, lookup) {
            Ok(found) => good.push(found),
            Err(fault) => bad.push(fault),
        }
    }
    if let (true, Some(fault)) = (good.is_empty(), Fault::join(&bad)) {
        return Err(fault);
    }
    verify(validation, good).and_then(|verify| tls(validation, verify))
}

/// > `options`: implementation-specific. (There are none yet.)
fn warning(policy: &BackendTlsPolicy) -> String {
    let options = policy.spec.options.iter().flatten();
    let names: Vec<_> = options.map(|(name, _)| name.as_str()).collect();
    if names.is_empty() {
        return String::new();
    }
    format!(
        "options that are not known and are not used: {}",
        names.join(", ")
    )
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(reasons::INVALID, message)
}

/// Whom a backend's certificate must come from.
///
/// > If ALL CACertificateRefs are invalid, the implementation MUST also ensure the `Accepted` Condition on the
/// > BackendTLSPolicy is set to `status: False`, with a Reason `NoValidCACertificate`.
fn verify(
    validation: &BackendTlsPolicyValidation,
    good: Vec<Authorities>,
) -> Result<Verify, Fault> {
    let references = validation.ca_certificate_refs.as_deref();
    let refers = references.is_some_and(|references| !references.is_empty());
    let known = validation.well_known_ca_certificates.as_deref();
    match (refers, known.filter(|known| !known.is_empty())) {
        (true, None) => cert::joined(good).map(Verify::Authorities).ok_or_else(|| {
            let message =
                "none of the caCertificateRefs can be used; requests for the targets are refused";
            Fault::new(reasons::NO_VALID_CA_CERTIFICATE, message)
        }),
        (false, Some(SYSTEM)) => Ok(Verify::System),
        (false, Some(other)) => Err(invalid(format!(
            "wellKnownCACertificates: {other:?} is not known; there is {SYSTEM:?}"
        ))),
        (false, None) => Err(invalid(
            "either caCertificateRefs or wellKnownCACertificates has to say whom to trust",
        )),
        (true, Some(_)) => Err(invalid(
            "caCertificateRefs and wellKnownCACertificates exclude each other",
        )),
    }
}

fn tls(validation: &BackendTlsPolicyValidation, verify: Verify) -> Result<Arc<UpstreamTls>, Fault> {
    let names = validation.subject_alt_names.iter().flatten();
    Ok(Arc::new(UpstreamTls {
        name: UpstreamName::Fixed(server_name(&validation.hostname)?),
        send_name: true,
        verify,
        names: names.map(subject_name).collect::<Result<_, _>>()?,
        certificate: None,
    }))
}

/// > Hostname MUST be used as the SNI to connect to the backend (RFC 6066).
fn server_name(text: &str) -> Result<Box<str>, Fault> {
    let bad = || invalid(format!("validation.hostname: {text:?} is not a DNS name"));
    if text.parse::<IpAddr>().is_ok() {
        return Err(bad());
    }
    match HostPattern::parse(text) {
        Ok(HostPattern::Exact(name)) => Ok(name),
        _ => Err(bad()),
    }
}

fn subject_name(name: &BackendTlsPolicyValidationSubjectAltNames) -> Result<SubjectName, Fault> {
    match name.r#type {
        NameType::Hostname => {
            let text = name.hostname.as_deref().unwrap_or_default();
            match HostPattern::parse(text) {
                Ok(HostPattern::Exact(name)) => Ok(SubjectName::Dns(name)),
                Ok(HostPattern::Wildcard(rest)) => Ok(SubjectName::Dns(format!("*.{rest}").into())),
                _ => Err(invalid(format!(
                    "subjectAltNames: hostname {text:?} is not a DNS name"
                ))),
            }
        }
        NameType::Uri => {
            let text = name.uri.as_deref().unwrap_or_default();
            if !is_uri(text) {
                return Err(invalid(format!(
                    "subjectAltNames: {text:?} is not a URI with a scheme"
                )));
            }
            Ok(SubjectName::Uri(text.into()))
        }
    }
}

/// > It MUST include both a scheme (e.g., "http" or "ftp") and a scheme-specific-part.
fn is_uri(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(legal)
            && !rest.is_empty()
            && rest.bytes().all(|b| b.is_ascii_graphic())
    })
}

/// The kind of a reference, if it is one that may hold authorities.
fn kind_of(reference: &BackendTlsPolicyValidationCaCertificateRefs) -> Option<Kind> {
    cert::bundle_kind(&reference.group, &reference.kind)
}

/// The object that a reference of a policy names: beside the policy, if its kind is in a namespace.
fn named(
    kind: Kind,
    policy: &ObjectKey,
    reference: &BackendTlsPolicyValidationCaCertificateRefs,
) -> ObjectKey {
    let namespace = match kind.namespaced() {
        true => &*policy.namespace,
        false => "",
    };
    ObjectKey::new(namespace, &reference.name)
}

fn authorities(
    policy: &ObjectKey,
    reference: &BackendTlsPolicyValidationCaCertificateRefs,
    lookup: &Lookup<'_>,
) -> Result<Authorities, Fault> {
    let name = &reference.name;
    let Some(kind) = kind_of(reference) else {
        let message = format!(
            "caCertificateRef {name}: {} of group {:?} is not supported; use a ConfigMap or a ClusterTrustBundle",
            reference.kind, reference.group
        );
        return Err(Fault::new(reasons::INVALID_KIND, message));
    };
    let key = named(kind, policy, reference);
    cert::bundle(kind, &key, lookup).map_err(|why| {
        let message = format!("caCertificateRef {name}: {kind} {key} {why}");
        Fault::new(reasons::INVALID_CA_CERTIFICATE_REF, message)
    })
}
