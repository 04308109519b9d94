//! HTTPS of converted hosts: which certificate a host shows, on which listener it is served, what that one asks of
//! clients, and whether plain HTTP is sent there.

mod clients;
mod owner;
mod place;
mod redirect;

use std::{collections::BTreeMap, sync::Arc};

use api::{ObjectKey, ObjectRef, certificate::Subject};
use k8s_openapi::api::networking::v1::{Ingress, IngressTLS};

use crate::{annotations::Settings, ingress::Source, lookup::Lookup, profile::Profile};

pub(crate) use clients::{ClientTls, client_tls};
pub(crate) use owner::owners;
pub(crate) use place::{Listening, place};
pub(crate) use redirect::{Redirect, redirect_to_https};

/// What is known about the certificate that an entry of `spec.tls` names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found {
    /// The entry names no Secret.
    Unnamed,
    /// There is no such Secret.
    Missing,
    /// The Secret is no certificate; why.
    Unusable(Arc<str>),
    /// It can be served.
    Good(Arc<Subject>),
}

impl Found {
    /// The names, if there are any.
    fn subject(&self) -> Option<&Arc<Subject>> {
        match self {
            Self::Good(subject) => Some(subject),
            _ => None,
        }
    }
}

/// What HTTPS of an Ingress' hosts depends on.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceTls {
    /// Hosts that annotations add: each with the host that it is another name of, or is redirected to.
    pub(crate) added: Vec<(Arc<str>, Arc<str>)>,
    /// What is known about the Secrets in `spec.tls`, entry by entry; empty where nothing depends on it.
    certificates: Box<[Found]>,
}

impl Source {
    fn added_hosts(&self) -> &[(Arc<str>, Arc<str>)] {
        self.tls.as_ref().map_or(&[], |tls| &tls.added)
    }

    fn certificates(&self) -> &[Found] {
        self.tls.as_ref().map_or(&[], |tls| &tls.certificates)
    }
}

/// Looks at the Secrets of `spec.tls`, entry by entry, where what the Ingress becomes depends on them.
pub(crate) fn read(
    ingress: &Ingress,
    object: &ObjectRef,
    (settings, profile): (&Settings, Profile),
    lookup: &Lookup<'_>,
) -> Option<Box<SourceTls>> {
    let asks = &settings.https;
    let suites = settings
        .downstream_tls
        .as_ref()
        .and_then(|tls| tls.tls.cipher_suites.as_ref());
    let needed =
        profile.certificate_by_names() || asks.force || asks.ssl == Some(true) || suites.is_some();
    if !needed || entries(ingress).next().is_none() {
        return None;
    }
    let found = entries(ingress).map(|entry| match secret_of(entry) {
        None => Found::Unnamed,
        Some(secret) => lookup.certificate(&ObjectKey::new(&object.key.namespace, secret)),
    });
    Some(Box::new(SourceTls {
        added: Vec::new(),
        certificates: found.collect(),
    }))
}

fn entries(ingress: &Ingress) -> impl Iterator<Item = &IngressTLS> {
    let spec = ingress.spec.iter();
    spec.flat_map(|spec| spec.tls.iter().flatten())
}

fn secret_of(entry: &IngressTLS) -> Option<&str> {
    entry.secret_name.as_deref().filter(|name| !name.is_empty())
}

/// Which certificate a listener shows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shown {
    /// That of a Secret in the namespace of the Ingress.
    Secret(String),
    /// The default one.
    Default,
}

/// Whose listener a host has: each Ingress and certificate has a ListenerSet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TlsOwner {
    pub(crate) ingress: ObjectKey,
    pub(crate) shown: Shown,
}

/// How far HTTPS of a host has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Its certificate is there, and for it.
    Ready,
    /// Its certificate was not looked at.
    Unknown,
    /// A Secret is named for it that is not there, or no certificate.
    Pending,
    /// The default certificate is what is asked for, or comes to be shown.
    Default,
    /// No Ingress says anything about TLS of it.
    Unasked,
}

/// HTTPS of one host.
#[derive(Debug, Clone)]
pub(crate) struct HostTls {
    /// Whose listener it has for itself; without, it is served on a listener for more hosts, if at all.
    pub(crate) owner: Option<TlsOwner>,
    pub(crate) state: State,
    /// Whom the certificate is for, where that was looked at.
    pub(crate) subject: Option<Arc<Subject>>,
}

/// HTTPS of every host of which anything is known.
pub(crate) type Hosts = BTreeMap<Arc<str>, HostTls>;

/// The wildcard hosts above a host, nearest first: `*.b.c` and `*.c` of `a.b.c`.
pub(crate) fn above(host: &str) -> impl Iterator<Item = String> + '_ {
    let bare = host.strip_prefix("*.").unwrap_or(host);
    let dots = bare.match_indices('.');
    dots.map(move |(at, _)| format!("*.{}", &bare[at + 1..]))
        .filter(|host| host.len() > 2)
}

/// Whether wider hosts decide on HTTPS of this Ingress too.
pub(crate) fn looks_up(source: &Source) -> bool {
    source.profile.certificate_by_names()
}

/// Whether it may have a listener for any host to itself, so that others need listeners of their own.
pub(crate) fn takes_any_host(source: &Source) -> bool {
    let any = source.hosts.iter().any(|host| host.is_empty());
    let shows = !source.profile.certificate_by_names() && entries(&source.ingress).next().is_some();
    any && (shows || source.settings.downstream_tls.is_some())
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
