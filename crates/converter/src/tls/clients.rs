//! What the HTTPS listener of a host asks of clients.

use std::{collections::BTreeMap, sync::Arc};

use api::{ClientCertificate, SecretRef, TlsVersion};

use super::{HostTls, Hosts, Shown};
use crate::{
    annotations::DownstreamTls,
    ingress::Source,
    note::{Notes, Outcome},
};

/// What the HTTPS listener of a host asks of clients.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ClientTls {
    pub(crate) tls: api::ClientTls,
    /// Whose annotations these are, as `Ingress/namespace/name`.
    pub(crate) origin: String,
}

impl ClientTls {
    /// Whether clients are asked for certificates.
    pub(crate) fn asks_clients(&self) -> bool {
        self.tls.client_certificate.is_some()
    }
}

/// Settings for HTTPS of each host that has any: those of the oldest Ingress of the host that has settings, all
/// together, as in Higress. Only certificates of clients are asked for as soon as any Ingress of the host says so.
pub(crate) fn client_tls(
    sources: &[Arc<Source>],
    hosts: &Hosts,
    notes: &mut Notes,
) -> BTreeMap<Arc<str>, ClientTls> {
    let mut found: BTreeMap<Arc<str>, ClientTls> = BTreeMap::new();
    for source in sources
        .iter()
        .filter(|source| source.settings.canary.is_none())
    {
        let Some(settings) = &source.settings.downstream_tls else {
            continue;
        };
        for host in &source.hosts {
            let mut say = |message: String, but: Option<&str>| {
                let keys = settings.keys.iter().map(String::as_str);
                for key in keys.filter(|key| Some(*key) != but) {
                    notes.add(&source.object, Some(key), Outcome::Approximated, &*message);
                }
            };
            let tls = hosts.get(host);
            if tls.is_none() && !source.profile.every_host_has_https() {
                let message = format!(
                    "settings for TLS have no effect on the host {host:?}, which has no certificate"
                );
                say(message, None);
                continue;
            }
            let new = !found.contains_key(host);
            let chosen = found.entry(Arc::clone(host)).or_insert_with(|| ClientTls {
                tls: settings.tls.clone(),
                origin: source.object.to_string(),
            });
            let asks = settings.auth_secret.is_some() && !chosen.asks_clients();
            if !new {
                let message = format!(
                    "{} brings the settings for TLS of the host {host:?}; these are not used",
                    chosen.origin
                );
                say(message, settings.auth_key().filter(|_| asks));
            } else if let Some(message) = tls.and_then(|tls| unfit(host, settings, tls)) {
                let key = settings.key("/ssl-cipher");
                notes.add(&source.object, key, Outcome::Approximated, message);
            }
            if let Some(secret) = settings.auth_secret.as_ref().filter(|_| asks) {
                let (name, wrong) = authority(secret.as_ref(), source, (host, tls));
                chosen.tls.client_certificate = Some(ClientCertificate {
                    ca_certificate_ref: SecretRef {
                        name,
                        namespace: None,
                    },
                    optional: false,
                });
                if let Some(message) = wrong {
                    let key = settings.auth_key();
                    notes.add(&source.object, key, Outcome::Refused, message);
                }
            }
        }
    }
    found
}

/// Cipher suites of which none is for the host's certificate: clients of TLS 1.2 fail.
fn unfit(host: &str, settings: &DownstreamTls, tls: &HostTls) -> Option<String> {
    let suites = settings.tls.cipher_suites.as_deref()?;
    let family = tls.subject.as_ref()?.family;
    let fits = suites.is_empty() || suites.iter().any(|suite| family.signs(suite));
    if fits || settings.tls.min_version == Some(TlsVersion::V13) {
        return None;
    }
    let name = family.name();
    Some(format!(
        "none of these suites is for {name} keys, which the certificate of {host:?} has: clients of TLS 1.2 cannot connect; name one with {name}"
    ))
}

/// A Secret that is nowhere: whoever refers to it is closed.
const NOWHERE: &str = "auth-tls-secret-refused";

/// The Secret that clients' certificates are looked at with. The seed wants the name of the certificate's Secret with
/// `-cacert` behind it; Higress takes that Secret itself, too. ingress-nginx takes any; it has to be where the listener
/// is.
fn authority(
    secret: Option<&(Option<String>, String)>,
    source: &Source,
    (host, tls): (&str, Option<&HostTls>),
) -> (String, Option<String>) {
    let Some((namespace, name)) = secret else {
        return (NOWHERE.to_owned(), None);
    };
    let namespace = namespace.as_deref().unwrap_or(&source.object.key.namespace);
    let refused = |message: String| {
        let message = format!(
            "auth-tls-secret {namespace}/{name} {message}; every TLS handshake for its hosts is refused"
        );
        (NOWHERE.to_owned(), Some(message))
    };
    let owner = tls.and_then(|tls| tls.owner.as_ref());
    let Some((of, own)) = owner.and_then(|owner| match &owner.shown {
        Shown::Secret(own) => Some((&owner.ingress.namespace, own)),
        Shown::Default => None,
    }) else {
        return refused(format!(
            "cannot be used with the default certificate: give {host:?} a certificate of its own in spec.tls"
        ));
    };
    let here = *namespace == **of;
    if source.profile.takes_any_authority() {
        return match here {
            true => (name.clone(), None),
            false => refused(format!(
                "is not in the namespace {of} of the certificate {own}"
            )),
        };
    }
    let fits = *name == format!("{own}-cacert") || name == own;
    match fits && here {
        true => (name.clone(), None),
        false => refused(format!(
            "does not belong to the certificate {of}/{own}: it has to be {own}-cacert there"
        )),
    }
}
