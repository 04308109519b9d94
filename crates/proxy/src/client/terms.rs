//! On what terms a client connection was made, and which changes end them.

use std::{collections::HashMap, sync::Arc};

use ir::{ClientAuth, HostPattern, Ir, Listener, Port, Protocol, SocketKey, Transport};

use crate::net::port::PortKey;

/// What a connection was let in for. It is not known before TLS has named the listener.
#[derive(Debug)]
pub(crate) struct Terms {
    /// The hostname of its listener.
    pub(crate) listener: HostPattern,
    /// The snapshot that the listener was looked up in.
    pub(crate) generation: u64,
    /// Whether it is only passed on, decrypted or not.
    pub(crate) stream: bool,
}

/// A port asks other things of its connections than it did: those that were made on the old terms are to finish.
#[derive(Debug)]
pub(crate) struct Renewal {
    /// Which port.
    pub(crate) port: PortKey,
    /// The snapshot with the new terms. What was made by it is left alone.
    generation: u64,
    whose: Whose,
}

/// Whose terms have changed.
#[derive(Debug, PartialEq, Eq)]
enum Whose {
    /// Everybody's: the port speaks another protocol.
    All,
    /// Those of some listeners.
    Listeners(Vec<Change>),
}

#[derive(Debug, PartialEq, Eq)]
struct Change {
    listener: HostPattern,
    /// Streams, too. They cannot be told to go on elsewhere, so they end only if a new one like them would not be let
    /// in, or would be something else.
    streams: bool,
}

/// What is done with a connection.
#[derive(PartialEq, Eq)]
enum Served {
    Http,
    Decrypted,
    PassedOn,
}

impl Renewal {
    /// What has changed from one configuration to the next, which is that of the snapshot of this generation.
    pub(crate) fn between(before: &Ir, now: &Ir, generation: u64) -> Vec<Self> {
        let changed = |(key, old): (&SocketKey, &Port)| {
            let new = now.ports.get(key)?;
            let whose = whose(old, new)?;
            Some(Self {
                port: (Transport::Tcp, *key),
                generation,
                whose,
            })
        };
        before.ports.iter().filter_map(changed).collect()
    }

    /// Whether it ends a connection of the port.
    pub(crate) fn ends(&self, terms: Option<&Terms>) -> bool {
        if terms.is_some_and(|terms| terms.generation >= self.generation) {
            return false;
        }
        match (&self.whose, terms) {
            (Whose::All, _) => true,
            // It will be let in on the new terms, or not at all.
            (Whose::Listeners(_), None) => false,
            (Whose::Listeners(changes), Some(terms)) => changes.iter().any(|change| {
                change.listener == terms.listener && (change.streams || !terms.stream)
            }),
        }
    }
}

fn whose(old: &Port, new: &Port) -> Option<Whose> {
    if family(old.protocol) != family(new.protocol) {
        return Some(Whose::All);
    }
    let listeners = new.listeners.iter();
    let listeners: HashMap<_, _> = listeners
        .map(|listener| (&listener.hostname, listener))
        .collect();
    let change = |listener: &Arc<Listener>| {
        // A listener that joined or left changes nothing for the connections of others.
        let now = listeners.get(&listener.hostname)?;
        let other = served(listener) != served(now);
        let (before, after) = (clients(listener), clients(now));
        (other || before != after).then(|| Change {
            listener: listener.hostname.clone(),
            streams: other || is_stricter(before, after),
        })
    };
    let changes: Vec<_> = old.listeners.iter().filter_map(change).collect();
    (!changes.is_empty()).then_some(Whose::Listeners(changes))
}

/// HTTPS is TLS whose listeners have no streams, and becomes that with the first that has.
const fn family(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Http => 0,
        Protocol::Https | Protocol::Tls => 1,
        Protocol::Tcp => 2,
    }
}

const fn served(listener: &Listener) -> Served {
    match (&listener.streams, &listener.tls) {
        (None, _) => Served::Http,
        (Some(_), Some(_)) => Served::Decrypted,
        (Some(_), None) => Served::PassedOn,
    }
}

/// Who has to show a certificate.
fn clients(listener: &Listener) -> &ClientAuth {
    let tls = listener.tls.as_ref();
    tls.map_or(&ClientAuth::None, |tls| &tls.clients)
}

/// Whether somebody who was let in before might not be any more.
fn is_stricter(before: &ClientAuth, now: &ClientAuth) -> bool {
    match (before, now) {
        (_, ClientAuth::None | ClientAuth::Requested) => false,
        (ClientAuth::Required(before), ClientAuth::Optional(now)) => before != now,
        (before, now) => before != now,
    }
}

#[cfg(test)]
#[path = "terms_tests.rs"]
mod tests;
