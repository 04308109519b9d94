//! Contents of ClientPolicies.

mod verdict;

use api::{ClientPolicy, ClientTls, Kind, ObjectKey, TlsVersion, condition::reasons};
use ir::{CipherSuite, ClientAuth, EscapedSlashes, Paths, TlsVersions, Underscores};

use crate::{cert, fault::Fault, lookup::Lookup};

pub(crate) use verdict::verdicts;

/// What a listener asks of clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ClientSettings {
    pub(crate) versions: TlsVersions,
    pub(crate) ciphers: Option<Vec<CipherSuite>>,
    pub(crate) clients: ClientAuth,
    pub(crate) underscores: Underscores,
    pub(crate) paths: Paths,
}

impl ClientSettings {
    /// Nobody is let in.
    pub(crate) fn closed() -> Self {
        Self {
            clients: ClientAuth::Refuse,
            ..Self::default()
        }
    }
}

/// The settings of these policies together, the most specific first.
pub(crate) fn client_settings(
    policies: &[(&ObjectKey, &ClientPolicy)],
    lookup: &Lookup<'_>,
) -> Result<ClientSettings, Fault> {
    let tls = || {
        policies
            .iter()
            .filter_map(|(key, policy)| Some((*key, policy.spec.tls.as_ref()?)))
    };
    let first = |of: fn(&ClientTls) -> Option<TlsVersion>| tls().find_map(|(_, tls)| of(tls));
    let versions = versions(first(|tls| tls.min_version), first(|tls| tls.max_version))?;
    let ciphers = tls().find_map(|(_, tls)| tls.cipher_suites.as_deref());
    let ciphers = ciphers
        .map(|names| ciphers_of(names, versions))
        .transpose()?;
    let certificate = tls().find_map(|(key, tls)| Some((key, tls.client_certificate.as_ref()?)));
    let clients = match certificate {
        None => ClientAuth::None,
        Some((owner, certificate)) => {
            let reference = &certificate.ca_certificate_ref;
            let authorities = cert::authorities((Kind::ClientPolicy, owner), reference, lookup)?;
            if certificate.optional {
                ClientAuth::Optional(authorities)
            } else {
                ClientAuth::Required(authorities)
            }
        }
    };
    Ok(ClientSettings {
        versions,
        ciphers,
        clients,
        underscores: underscores(policies),
        paths: paths(policies),
    })
}

/// What becomes of fields with an underscore in their name.
pub(crate) fn underscores(policies: &[(&ObjectKey, &ClientPolicy)]) -> Underscores {
    let headers = policies
        .iter()
        .filter_map(|(_, policy)| policy.spec.headers.as_ref());
    match headers.filter_map(|headers| headers.underscores).next() {
        None | Some(api::Underscores::Allow) => Underscores::Allow,
        Some(api::Underscores::Drop) => Underscores::Drop,
        Some(api::Underscores::Refuse) => Underscores::Refuse,
    }
}

/// How paths are read.
pub(crate) fn paths(policies: &[(&ObjectKey, &ClientPolicy)]) -> Paths {
    let said = || {
        let specs = policies.iter().map(|(_, policy)| &policy.spec);
        specs.filter_map(|spec| spec.paths.as_ref())
    };
    Paths {
        merge_slashes: said()
            .find_map(|paths| paths.merge_slashes)
            .unwrap_or_default(),
        escaped_slashes: match said().find_map(|paths| paths.escaped_slashes) {
            None | Some(api::EscapedSlashes::Keep) => EscapedSlashes::Keep,
            Some(api::EscapedSlashes::Decode) => EscapedSlashes::Decode,
            Some(api::EscapedSlashes::Refuse) => EscapedSlashes::Refuse,
        },
        decoded: false,
    }
}

fn versions(min: Option<TlsVersion>, max: Option<TlsVersion>) -> Result<TlsVersions, Fault> {
    match (
        min.unwrap_or(TlsVersion::V12),
        max.unwrap_or(TlsVersion::V13),
    ) {
        (TlsVersion::V12, TlsVersion::V13) => Ok(TlsVersions::All),
        (TlsVersion::V12, TlsVersion::V12) => Ok(TlsVersions::Only12),
        (TlsVersion::V13, TlsVersion::V13) => Ok(TlsVersions::Only13),
        (TlsVersion::V13, TlsVersion::V12) => Err(Fault::new(
            reasons::INVALID,
            "tls.minVersion is above tls.maxVersion",
        )),
    }
}

fn ciphers_of(names: &[String], versions: TlsVersions) -> Result<Vec<CipherSuite>, Fault> {
    let suite = |name: &String| {
        CipherSuite::parse(name).ok_or_else(|| {
            let known: Vec<_> = CipherSuite::ALL
                .iter()
                .map(|(_, openssl, _)| *openssl)
                .collect();
            let message = format!("tls.cipherSuites: {name:?} is none of {}", known.join(", "));
            Fault::new(reasons::INVALID, message)
        })
    };
    let suites = names.iter().map(suite).collect::<Result<Vec<_>, _>>()?;
    if suites.is_empty() && versions == TlsVersions::Only12 {
        let message = "tls.cipherSuites is empty, and TLS 1.2 alone is wanted";
        return Err(Fault::new(reasons::INVALID, message));
    }
    Ok(suites)
}
