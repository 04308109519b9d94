//! Who brings the certificate of each host.

use std::{collections::BTreeSet, sync::Arc};

use api::{Kind, ObjectRef};
use k8s_openapi::api::networking::v1::IngressTLS;

use super::{Found, HostTls, Hosts, Shown, State, TlsOwner, above, entries, secret_of};
use crate::{
    ingress::Source,
    note::{Notes, Outcome},
};

/// Which certificate each host shows: that of the oldest Ingress that has one for it.
pub(crate) fn owners(sources: &[Arc<Source>], notes: &mut Notes) -> Hosts {
    let mut hosts = Hosts::new();
    for source in sources {
        if source.profile.certificate_by_names() {
            by_names(source, &mut hosts, notes);
        } else {
            as_written(source, &mut hosts, notes);
        }
    }
    for source in sources {
        if source.profile.certificate_by_names() && source.settings.canary.is_none() {
            for (host, of) in source.added_hosts() {
                added(source, (host, of), &mut hosts);
            }
        }
    }
    for source in sources {
        if source.profile.certificate_by_names() {
            by_wildcard(source, &mut hosts);
        }
    }
    hosts
}

/// Hosts are compared as written, without wildcards, as Higress does.
fn as_written(source: &Source, hosts: &mut Hosts, notes: &mut Notes) {
    for (at, entry) in entries(&source.ingress).enumerate() {
        let field = format!("spec.tls[{at}]");
        let mut add =
            |outcome, message: String| notes.add(&source.object, Some(&field), outcome, message);
        if source.settings.canary.is_some() {
            add(
                Outcome::Dropped,
                "a canary brings no certificate".to_owned(),
            );
            continue;
        }
        let Some(secret) = secret_of(entry) else {
            add(
                Outcome::Dropped,
                "no secretName: HTTPS is not served for these hosts".to_owned(),
            );
            continue;
        };
        let found = source.certificates().get(at);
        let named = entry.hosts.clone().filter(|hosts| !hosts.is_empty());
        let named = named.unwrap_or_else(|| vec![String::new()]);
        for host in named.iter().map(|host| host.to_ascii_lowercase()) {
            let host = if host == "*" { String::new() } else { host };
            let Some(host) = source.hosts.iter().find(|known| ***known == *host) else {
                add(
                    Outcome::Dropped,
                    format!("no rule has the host {host:?}; HTTPS is not served for it"),
                );
                continue;
            };
            let own = HostTls {
                owner: Some(owner(source, secret)),
                state: match found {
                    None => State::Unknown,
                    Some(Found::Good(_)) => State::Ready,
                    Some(_) => State::Pending,
                },
                subject: found.and_then(Found::subject).cloned(),
            };
            let first = hosts.entry(Arc::clone(host)).or_insert_with(|| own.clone());
            if let Some(other) = another(first, &own) {
                add(
                    Outcome::Dropped,
                    format!(
                        "Ingress {} brings the certificate of {host:?} already",
                        other.ingress
                    ),
                );
            } else if let Some((why, ends)) = found.and_then(|found| lacks(found, secret)) {
                let message = format!(
                    "{why}: until {ends}, HTTPS is not served for {host:?}, and plain HTTP is not sent to https for its sake"
                );
                add(Outcome::Exact, message);
            }
        }
    }
}

/// Whose certificate counts, if that is another one.
fn another<'h>(first: &'h HostTls, own: &HostTls) -> Option<&'h TlsOwner> {
    let (first, own) = (first.owner.as_ref()?, own.owner.as_ref()?);
    let same = first.ingress.namespace == own.ingress.namespace && first.shown == own.shown;
    (!same).then_some(first)
}

fn owner(source: &Source, secret: &str) -> TlsOwner {
    TlsOwner {
        ingress: source.object.key.clone(),
        shown: Shown::Secret(secret.to_owned()),
    }
}

/// A host that an entry lists has the certificate of that entry; any other the first one that is for it. What is not
/// for its host is not shown, as in ingress-nginx; without a host, the default certificate always is.
fn by_names(source: &Source, hosts: &mut Hosts, notes: &mut Notes) {
    let entries: Vec<_> = entries(&source.ingress).collect();
    if source.settings.canary.is_some() {
        for at in 0..entries.len() {
            let message = "a canary brings no certificate, as in class nginx";
            say(source, at, (Outcome::Exact, message), notes);
        }
        return;
    }
    let mut used = BTreeSet::new();
    let added = |host: &&Arc<str>| source.added_hosts().iter().any(|(name, _)| name == *host);
    let of_rules = source.hosts.iter().filter(|host| !added(host));
    for host in of_rules.filter(|host| !host.is_empty()) {
        let Some((at, chosen)) = choose(source, host) else {
            continue;
        };
        used.extend(at);
        let unfit =
            |at: &usize| chosen.state == State::Default && secret_of(entries[*at]).is_some();
        if let Some(at) = at.filter(unfit) {
            let message = format!(
                "the certificate is not for the host {host:?}: the default one is shown, as in class nginx"
            );
            say(source, at, (Outcome::Exact, &message), notes);
        }
        match hosts.get_mut(host) {
            None => drop(hosts.insert(Arc::clone(host), chosen)),
            Some(known) if known.state == State::Ready => {
                if let Some((at, said)) = at.zip(passed_over(host, known, &chosen)) {
                    say(source, at, (said.0, &said.1), notes);
                }
            }
            Some(known) if chosen.state == State::Ready => {
                let before = std::mem::replace(known, chosen);
                if let Some((owner, (outcome, message))) =
                    before.owner.as_ref().zip(passed_over(host, known, &before))
                {
                    let object = ObjectRef::new(Kind::Ingress, owner.ingress.clone());
                    notes.add(&object, Some("spec.tls"), outcome, message);
                }
            }
            Some(_) => {}
        }
    }
    for (at, entry) in entries.iter().enumerate() {
        let found = source.certificates().get(at);
        if let Some((outcome, message)) = entry_says(entry, found, used.contains(&at)) {
            say(source, at, (outcome, &message), notes);
        }
    }
}

fn say(source: &Source, at: usize, (outcome, message): (Outcome, &str), notes: &mut Notes) {
    let field = format!("spec.tls[{at}]");
    notes.add(&source.object, Some(&field), outcome, message);
}

/// What is shown in the place of a certificate that is not there.
const OTHER: &str = "another certificate, if need be the default one, and plain HTTP is not sent to https for its sake";

/// Why a Secret is no certificate, and what ends that.
fn lacks(found: &Found, secret: &str) -> Option<(String, &'static str)> {
    match found {
        Found::Missing => Some((format!("Secret {secret} is not there"), "it is")),
        Found::Unusable(why) => Some((why.to_string(), "that is mended")),
        Found::Good(_) | Found::Unnamed => None,
    }
}

/// What is to be said about an entry, whether it is `used` for a host or not.
fn entry_says(entry: &IngressTLS, found: Option<&Found>, used: bool) -> Option<(Outcome, String)> {
    let listed = entry.hosts.as_ref().is_some_and(|hosts| !hosts.is_empty());
    let exact = |message: &str| Some((Outcome::Exact, message.to_owned()));
    match found? {
        Found::Unnamed => exact("no secretName: the default certificate is shown"),
        // The listener that refers to it says what is wrong.
        found @ (Found::Missing | Found::Unusable(_)) if used => {
            let (why, ends) = lacks(found, secret_of(entry).unwrap_or_default())?;
            exact(&format!("{why}: until {ends}, HTTPS shows {OTHER}"))
        }
        Found::Missing if !listed => {
            let message = "the Secret does not exist, so that it is not known which hosts it is for: the default certificate is shown";
            Some((Outcome::Dropped, message.to_owned()))
        }
        Found::Unusable(why) if !listed => {
            let message = format!("{why}; the default certificate is shown");
            Some((Outcome::Dropped, message))
        }
        _ if !used => exact(
            "no host of a rule is served with it; clients that ask for others are shown the default certificate, as in class nginx",
        ),
        _ => None,
    }
}

/// What is to be said about a certificate of a host, where another one `counts`.
fn passed_over(host: &str, counts: &HostTls, own: &HostTls) -> Option<(Outcome, String)> {
    if own.state == State::Pending {
        // No listener refers to it, so that none says so.
        let message = format!(
            "the Secret for {host:?} is not there, or no certificate: that of another Ingress is shown"
        );
        return Some((Outcome::Dropped, message));
    }
    let older = &another(counts, own)?.ingress;
    let message = format!(
        "Ingress {older} is older and brings the certificate of {host:?}, as in class nginx"
    );
    Some((Outcome::Exact, message))
}

/// What an Ingress says about HTTPS of a host, and which entry says so.
fn choose(source: &Source, host: &str) -> Option<(Option<usize>, HostTls)> {
    let mut all = entries(&source.ingress).enumerate().peekable();
    all.peek()?;
    let lists = |hosts: &[String]| hosts.iter().any(|name| name.eq_ignore_ascii_case(host));
    let listed = all.find(|(_, entry)| entry.hosts.as_deref().is_some_and(lists));
    let covers = |found: &Found| found.subject().is_some_and(|subject| subject.covers(host));
    let certificates = source.certificates();
    let bare = |state| HostTls {
        owner: None,
        state,
        subject: None,
    };
    let with = |at: usize, secret: &str, state| HostTls {
        owner: Some(owner(source, secret)),
        state,
        subject: certificates.get(at).and_then(Found::subject).cloned(),
    };
    if let Some((at, entry)) = listed {
        let chosen = match (certificates.get(at), secret_of(entry)) {
            (Some(found), Some(secret)) if covers(found) => with(at, secret, State::Ready),
            (Some(Found::Missing | Found::Unusable(_)), Some(secret)) => {
                with(at, secret, State::Pending)
            }
            _ => bare(State::Default),
        };
        return Some((Some(at), chosen));
    }
    let fitting = certificates.iter().position(covers);
    let named = fitting.and_then(|at| Some((at, secret_of(entries(&source.ingress).nth(at)?)?)));
    if let Some((at, secret)) = named {
        return Some((Some(at), with(at, secret, State::Ready)));
    }
    // One that is yet to come may be for it.
    let pending = |found: &Found| matches!(found, Found::Missing | Found::Unusable(_));
    let state = match certificates.iter().any(pending) {
        true => State::Pending,
        false => State::Default,
    };
    Some((None, bare(state)))
}

/// Another name of a host shows that one's certificate, if it is for it, else one that is for it or listed with it.
fn added(source: &Source, (host, of): (&Arc<str>, &Arc<str>), hosts: &mut Hosts) {
    if hosts
        .get(host)
        .is_some_and(|known| known.state == State::Ready)
    {
        return;
    }
    let fits = |known: &&HostTls| {
        let subject = known.subject.as_ref();
        subject.is_some_and(|subject| subject.covers(host))
    };
    let same = hosts.get(of).filter(fits).cloned();
    let own = || {
        let (at, chosen) = choose(source, host)?;
        at.map(|_| chosen)
    };
    if let Some(chosen) = same.or_else(own) {
        hosts.insert(Arc::clone(host), chosen);
    }
}

/// A host of which nothing is said is served as the wildcard host right above it.
fn by_wildcard(source: &Source, hosts: &mut Hosts) {
    for host in source.hosts.iter().filter(|host| !host.is_empty()) {
        if hosts.contains_key(host) || host.starts_with("*.") {
            continue;
        }
        let wildcard = above(host).next();
        let wider = wildcard.and_then(|wildcard| hosts.get(wildcard.as_str()));
        let fits = |wider: &&HostTls| match wider.state {
            State::Ready => wider.subject.as_ref().is_some_and(|of| of.covers(host)),
            State::Unknown => false,
            _ => true,
        };
        if let Some(wider) = wider.filter(fits).cloned() {
            hosts.insert(Arc::clone(host), wider);
        }
    }
}
