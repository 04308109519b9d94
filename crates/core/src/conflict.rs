//! Conflicts: listeners that claim the same port or host.

use std::collections::BTreeMap;

use api::{ObjectKey, condition::reasons};
use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};
use ir::{HostPattern, Protocol, SocketKey};

use crate::{fault::Fault, listener::Listener, reach::Reach};

/// Within a Gateway's own listeners.
///
/// > The implementation MUST NOT pick one conflicting Listener as the winner. ALL indistinct Listeners must not be
/// > accepted for processing.
///
/// A listener that is refused anyway conflicts with nobody.
pub(crate) fn within_gateway(listeners: &mut [Listener<'_>]) {
    let mut protocols: BTreeMap<i32, HashSet<&str>> = BTreeMap::new();
    let mut hosts: HashMap<(i32, HostPattern), usize> = HashMap::new();
    for listener in listeners.iter().filter(|l| l.refused.is_none()) {
        let on_port = protocols.entry(listener.port).or_default();
        on_port.insert(listener.declared_protocol);
        *hosts
            .entry((listener.port, listener.hostname.clone()))
            .or_default() += 1;
    }
    for listener in listeners.iter_mut().filter(|l| l.refused.is_none()) {
        let port = listener.port;
        if protocols
            .get(&port)
            .is_some_and(|on_port| on_port.len() > 1)
        {
            let message = format!("listeners of port {port} have different protocols");
            listener.conflict = Some(Fault::new(reasons::PROTOCOL_CONFLICT, message));
        } else if hosts.get(&(port, listener.hostname.clone())) > Some(&1) {
            let message = format!(
                "another listener of port {port} has hostname {}",
                listener.hostname
            );
            listener.conflict = Some(Fault::new(reasons::HOSTNAME_CONFLICT, message));
        }
    }
}

/// Listeners of ListenerSets, in order of precedence, against those of the Gateway and of sets before them: here
/// the earlier one wins.
pub(crate) struct Claims<'a> {
    protocols: BTreeMap<i32, &'a str>,
    hosts: HashSet<(i32, HostPattern)>,
}

impl<'a> Claims<'a> {
    pub(crate) fn of(listeners: &[Listener<'a>]) -> Self {
        let mut claims = Self {
            protocols: BTreeMap::new(),
            hosts: HashSet::new(),
        };
        for listener in listeners.iter().filter(|l| l.accepted()) {
            claims.add(listener);
        }
        claims
    }

    fn add(&mut self, listener: &Listener<'a>) {
        self.protocols
            .insert(listener.port, listener.declared_protocol);
        self.hosts
            .insert((listener.port, listener.hostname.clone()));
    }

    /// Lets a listener claim its place, or marks it as conflicted.
    pub(crate) fn claim(&mut self, listener: &mut Listener<'a>) {
        let port = listener.port;
        // UDP has ports of its own.
        let other = self
            .protocols
            .get(&port)
            .filter(|other| **other != listener.declared_protocol)
            .filter(|_| listener.declared_protocol != "UDP");
        if let Some(other) = other {
            let message = format!("port {port} is already a listener's with protocol {other}");
            listener.conflict = Some(Fault::new(reasons::PROTOCOL_CONFLICT, message));
        } else if self.hosts.contains(&(port, listener.hostname.clone())) {
            let message = format!(
                "hostname {} of port {port} is already another listener's",
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
    spoken: BTreeMap<SocketKey, (Protocol, &'a ObjectKey)>,
}

impl<'a> Sockets<'a> {
    /// Lets a listener of `gateway` speak on its port, or marks it as conflicted. Gateways come in order of age.
    pub(crate) fn claim(
        &mut self,
        gateway: &'a ObjectKey,
        reach: &Reach,
        listener: &mut Listener<'a>,
    ) {
        let (Some(protocol), Ok(port)) = (listener.protocol, u16::try_from(listener.port)) else {
            return;
        };
        let sockets = reach.sockets(port);
        listener.waiting = sockets.is_empty() && listener.programmed();
        if !listener.programmed() {
            return;
        }
        let other = sockets.iter().copied().find_map(|socket| {
            let (spoken, holder) = self.spoken.get(&socket)?;
            (*spoken != protocol).then_some((socket, *spoken, *holder))
        });
        if let Some((socket, spoken, holder)) = other {
            let spoken = match spoken {
                Protocol::Http => "HTTP",
                Protocol::Https => "HTTPS",
                Protocol::Tls => "TLS",
                Protocol::Tcp => "TCP",
            };
            let message = format!("Gateway {holder} already speaks {spoken} on {socket}");
            listener.conflict = Some(Fault::new(reasons::PROTOCOL_CONFLICT, message));
            return;
        }
        for socket in sockets {
            self.spoken.entry(socket).or_insert((protocol, gateway));
        }
    }
}

/// Marks TLS listeners of a Gateway whose hostnames overlap on a port: browsers may reuse a connection across them.
pub(crate) fn mark_overlaps(listeners: &mut [Listener<'_>]) {
    let mut ports: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    for (index, listener) in listeners.iter().enumerate() {
        if listener.protocol == Some(Protocol::Https) && listener.accepted() {
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
fn wider(host: &HostPattern) -> Vec<HostPattern> {
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
