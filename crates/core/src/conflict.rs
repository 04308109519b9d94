//! Conflicts: listeners that claim the same port or host.

use std::collections::BTreeMap;

use api::{ObjectKey, condition::reasons};
use foldhash::{HashMap, HashMapExt as _, HashSet};
use ir::{HostPattern, SocketKey, Transport};

use crate::{
    fault::Fault,
    listener::Listener,
    protocol::{Carrier, Protocol},
    reach::Reach,
};

/// Within a Gateway's own listeners.
///
/// > The implementation MUST NOT pick one conflicting Listener as the winner. ALL indistinct Listeners must not be
/// > accepted for processing.
///
/// A listener that is refused anyway conflicts with nobody.
pub(crate) fn within_gateway(listeners: &mut [Listener<'_>]) {
    let mut carriers: BTreeMap<Numbered, HashSet<Carrier>> = BTreeMap::new();
    let mut hosts: HashMap<(Numbered, HostPattern), usize> = HashMap::new();
    for (listener, carrier, port) in listeners.iter().filter_map(claim) {
        carriers.entry(port).or_default().insert(carrier);
        *hosts.entry((port, listener.hostname.clone())).or_default() += 1;
    }
    for listener in listeners {
        let Some((_, _, port)) = claim(listener) else {
            continue;
        };
        if carriers.get(&port).is_some_and(|on_port| on_port.len() > 1) {
            let message = format!(
                "listeners of port {} have different protocols",
                listener.port
            );
            listener.conflict = Some(Fault::new(reasons::PROTOCOL_CONFLICT, message));
        } else if hosts.get(&(port, listener.hostname.clone())) > Some(&1) {
            let message = format!(
                "another listener of port {} has hostname {}",
                listener.port, listener.hostname
            );
            listener.conflict = Some(Fault::new(reasons::HOSTNAME_CONFLICT, message));
        }
    }
}

/// A port: UDP has numbers of its own.
type Numbered = (Transport, u16);

/// What a listener that is not refused anyway claims.
fn claim<'l, 'a>(listener: &'l Listener<'a>) -> Option<(&'l Listener<'a>, Carrier, Numbered)> {
    let claimed = listener.refused.is_none();
    let (carrier, port) = (listener.carrier()?, listener.numbered()?);
    claimed.then_some((listener, carrier, port))
}

/// Listeners of ListenerSets, in order of precedence, against those of the Gateway and of sets before them: here
/// the earlier one wins.
#[derive(Default)]
pub(crate) struct Claims {
    carriers: BTreeMap<Numbered, Carrier>,
    hosts: HashSet<(Numbered, HostPattern)>,
}

impl Claims {
    pub(crate) fn of(listeners: &[Listener<'_>]) -> Self {
        let mut claims = Self::default();
        for listener in listeners.iter().filter(|l| l.accepted()) {
            claims.add(listener);
        }
        claims
    }

    fn add(&mut self, listener: &Listener<'_>) {
        if let Some((_, carrier, port)) = claim(listener) {
            self.carriers.insert(port, carrier);
            self.hosts.insert((port, listener.hostname.clone()));
        }
    }

    /// Lets a listener claim its place, or marks it as conflicted.
    pub(crate) fn claim(&mut self, listener: &mut Listener<'_>) {
        let Some((_, carrier, port)) = claim(listener) else {
            return;
        };
        let number = listener.port;
        let other = self.carriers.get(&port).filter(|other| **other != carrier);
        if let Some(other) = other {
            let message = format!(
                "port {number} is already a listener's with protocol {}",
                other.as_str()
            );
            listener.conflict = Some(Fault::new(reasons::PROTOCOL_CONFLICT, message));
        } else if self.hosts.contains(&(port, listener.hostname.clone())) {
            let message = format!(
                "hostname {} of port {number} is already another listener's",
                listener.hostname
            );
            listener.conflict = Some(Fault::new(reasons::HOSTNAME_CONFLICT, message));
        }
        if listener.accepted() {
            self.add(listener);
        }
    }
}

/// Sockets that Gateways share: the oldest Gateway says what is spoken there.
#[derive(Default)]
pub(crate) struct Sockets<'a> {
    spoken: BTreeMap<(Transport, SocketKey), (Carrier, &'a ObjectKey)>,
    /// Where TLS is spoken, what is done with each host's.
    inside: HashMap<(SocketKey, HostPattern), Protocol>,
}

impl<'a> Sockets<'a> {
    /// Lets a listener of `gateway` speak on its port, or marks it as conflicted. Gateways come in order of age.
    pub(crate) fn claim(
        &mut self,
        gateway: &'a ObjectKey,
        reach: &Reach,
        listener: &mut Listener<'a>,
    ) {
        let (Some(protocol), Some((transport, port))) = (listener.protocol, listener.numbered())
        else {
            return;
        };
        let sockets = reach.sockets((transport, port));
        listener.waiting = sockets.is_empty() && listener.programmed();
        if !listener.programmed() {
            return;
        }
        let carrier = protocol.carrier();
        for socket in &sockets {
            let spoken = self.spoken.get(&(transport, *socket));
            if let Some((spoken, holder)) = spoken.filter(|(spoken, _)| *spoken != carrier) {
                let spoken = spoken.as_str();
                let message = format!("Gateway {holder} already speaks {spoken} on {socket}");
                listener.conflict = Some(Fault::new(reasons::PROTOCOL_CONFLICT, message));
                return;
            }
            let inside = self.inside.get(&(*socket, listener.hostname.clone()));
            if carrier == Carrier::Tls && inside.is_some_and(|inside| *inside != protocol) {
                let message = format!(
                    "an older Gateway's listener on {socket} does something else with the TLS of {}",
                    listener.hostname
                );
                listener.conflict = Some(Fault::new(reasons::HOSTNAME_CONFLICT, message));
                return;
            }
        }
        for socket in sockets {
            let key = (transport, socket);
            self.spoken.entry(key).or_insert((carrier, gateway));
            if carrier == Carrier::Tls {
                let host = (socket, listener.hostname.clone());
                self.inside.entry(host).or_insert(protocol);
            }
        }
    }
}

/// Marks TLS listeners of a Gateway whose hostnames overlap on a port: browsers may reuse a connection across them.
pub(crate) fn mark_overlaps(listeners: &mut [Listener<'_>]) {
    let mut ports: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    for (index, listener) in listeners.iter().enumerate() {
        if listener.terminates() && listener.accepted() {
            ports.entry(listener.port).or_default().push(index);
        }
    }
    for indices in ports.into_values().filter(|indices| indices.len() > 1) {
        let by_host: HashMap<HostPattern, usize> = indices
            .iter()
            .map(|&index| (listeners[index].hostname.clone(), index))
            .collect();
        for &index in &indices {
            for wider in wider(&listeners[index].hostname) {
                if let Some(&other) = by_host.get(&wider) {
                    listeners[index].overlaps = true;
                    listeners[other].overlaps = true;
                }
            }
        }
    }
}

/// Every pattern that covers all hosts of `host`, other than itself.
pub(crate) fn wider(host: &HostPattern) -> Vec<HostPattern> {
    let name = match host {
        HostPattern::Exact(name) | HostPattern::Wildcard(name) => &**name,
        HostPattern::Any => return Vec::new(),
    };
    let suffixes = std::iter::successors(name.split_once('.').map(|(_, rest)| rest), |rest| {
        rest.split_once('.').map(|(_, rest)| rest)
    });
    suffixes
        .map(|suffix| HostPattern::Wildcard(suffix.into()))
        .chain([HostPattern::Any])
        .collect()
}
