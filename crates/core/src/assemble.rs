//! The IR's ports, listeners and virtual hosts, from listeners and the routes attached to them.

use std::{collections::BTreeMap, sync::Arc};

use api::ObjectRef;

use foldhash::{HashMap, HashMapExt as _};
use ir::{
    Admission, DatagramPort, HostPattern, Listener, ListenerKey, Port, Protocol, SocketKey,
    StreamHost, TlsTermination, Transport, VirtualHost,
};

use crate::{
    attached::Routes,
    gateway::{Parent, Parents},
    host,
    protocol::{self, Carrier},
    route::TranslatedRoute,
    stream_route::Stream,
};

/// Listeners of Gateways that share a socket and a hostname, oldest Gateway first.
type Shared = BTreeMap<HostPattern, Vec<usize>>;

/// Virtual hosts by the routes that they are built from. Routes are known by address, and kept by whoever holds this,
/// so that no address comes to mean another.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// Within one translation: listeners with the same routes share hosts.
    known: HashMap<Address, Known>,
    /// Hosts of listeners that share a socket and hostname; those of one listener alone are kept with their routes.
    shared: Vec<(Address, Known)>,
}

/// A host, and where its routes lie.
type Address = (HostPattern, Vec<usize>);

type Known = (Vec<Arc<TranslatedRoute>>, Arc<VirtualHost>);

impl Memo {
    /// Hosts that were built before listeners changed; with others, their routes may be the same.
    pub(crate) fn remember(&mut self, before: &Routes) {
        for (host, on_host) in before.hosts() {
            if let Some(built) = &on_host.built {
                let routes: Vec<_> = on_host.routes.values().cloned().collect();
                let known = (routes, Arc::clone(built));
                self.known.insert(address(host, known.0.iter()), known);
            }
        }
    }

    fn host<'r>(
        &mut self,
        host: &HostPattern,
        routes: impl Iterator<Item = &'r Arc<TranslatedRoute>> + Clone,
    ) -> (Address, &Known) {
        let address = address(host, routes.clone());
        let known = self.known.entry(address.clone()).or_insert_with(|| {
            let built = Arc::new(virtual_host(host, routes.clone()));
            (routes.cloned().collect(), built)
        });
        (address, known)
    }
}

fn address<'r>(
    host: &HostPattern,
    routes: impl Iterator<Item = &'r Arc<TranslatedRoute>>,
) -> Address {
    let addresses = routes.map(|route| Arc::as_ptr(route) as usize);
    (host.clone(), addresses.collect())
}

/// What is bound.
pub(crate) fn ports(
    parents: &Parents<'_>,
    routes: &mut Routes,
    memo: &mut Memo,
) -> BTreeMap<SocketKey, Port> {
    let shared = std::mem::take(&mut memo.shared);
    memo.known.extend(shared);
    let mut sockets: BTreeMap<SocketKey, (Carrier, u16, Shared)> = BTreeMap::new();
    for (index, carrier, (transport, port), gateway) in served(parents) {
        if transport != Transport::Tcp {
            continue;
        }
        let hostname = &parents.listeners[index].hostname;
        for key in gateway.reach.sockets((transport, port)) {
            let (_, _, hosts) = sockets
                .entry(key)
                .or_insert_with(|| (carrier, port, Shared::new()));
            hosts.entry(hostname.clone()).or_default().push(index);
        }
    }
    // A Gateway with several addresses has the same listeners on each: built once, shared.
    let mut built: HashMap<Vec<usize>, Arc<Listener>> = HashMap::new();
    let ports = sockets
        .into_iter()
        .map(|(key, (carrier, port, hosts))| {
            let listeners = hosts.into_iter().filter_map(|(hostname, indices)| {
                if let Some(known) = built.get(&indices) {
                    return Some(Arc::clone(known));
                }
                let made = listener(hostname, &indices, (parents, routes), memo)?;
                Some(Arc::clone(built.entry(indices).or_insert(Arc::new(made))))
            });
            let listeners: Vec<_> = listeners.collect();
            let port = Port {
                protocol: spoken(carrier, &listeners),
                advertised: (port != key.port).then_some(port),
                listeners,
            };
            (key, port)
        })
        .collect();
    memo.known.clear();
    ports
}

/// Listeners that the data plane serves: which, how, on which port, and of which Gateway.
fn served<'p, 'a>(
    parents: &'p Parents<'a>,
) -> impl Iterator<Item = (usize, Carrier, (Transport, u16), &'p Parent<'a>)> {
    parents.gateways.iter().flat_map(move |gateway| {
        gateway.all.clone().filter_map(move |index| {
            let listener = &parents.listeners[index];
            let (carrier, port) = (listener.carrier()?, listener.numbered()?);
            let served = (index, carrier, port, gateway);
            listener.programmed().then_some(served)
        })
    })
}

/// A port of nothing but HTTP inside TLS need not look at who asks for what before the handshake.
fn spoken(carrier: Carrier, listeners: &[Arc<Listener>]) -> Protocol {
    let streams = listeners.iter().any(|listener| listener.streams.is_some());
    match carrier {
        Carrier::Http => Protocol::Http,
        Carrier::Tls if streams => Protocol::Tls,
        Carrier::Tls => Protocol::Https,
        Carrier::Tcp | Carrier::Udp => Protocol::Tcp,
    }
}

/// What is bound over UDP. Of Gateways that share a socket, the oldest one's listener is named.
pub(crate) fn datagrams(
    parents: &Parents<'_>,
    routes: &Routes,
) -> BTreeMap<SocketKey, DatagramPort> {
    let mut sockets: BTreeMap<SocketKey, (u16, Vec<usize>)> = BTreeMap::new();
    for (index, _, (transport, port), gateway) in served(parents) {
        if transport != Transport::Udp {
            continue;
        }
        for key in gateway.reach.sockets((transport, port)) {
            let (_, listeners) = sockets.entry(key).or_insert((port, Vec::new()));
            listeners.push(index);
        }
    }
    let ports = sockets.into_iter().filter_map(|(key, (port, indices))| {
        let streams = streams(&indices, protocol::Protocol::Udp, routes);
        let (listener, others) = keys(&indices, parents)?;
        let port = DatagramPort {
            listener,
            others,
            advertised: (port != key.port).then_some(port),
            rule: streams.first().map(|host| Arc::clone(&host.rule)),
        };
        Some((key, port))
    });
    ports.collect()
}

/// The hosts of listeners that share a socket and hostname, each with the rule of its first route: that with the most
/// specific hostname of its own, then the oldest.
///
/// > If multiple routes attach to one listener, the oldest one gets the traffic.
fn streams(
    indices: &[usize],
    protocol: protocol::Protocol,
    routes: &Routes,
) -> Vec<Arc<StreamHost>> {
    let mut first: BTreeMap<&HostPattern, (&HostPattern, &Stream)> = BTreeMap::new();
    for attached in indices.iter().filter_map(|index| routes.of(*index)) {
        for (host, on_host) in &attached.hosts {
            for route in on_host.routes.values() {
                let Some(stream) = &route.stream else {
                    continue;
                };
                let found = (route.own_host(host), stream);
                let known = first.entry(host).or_insert(found);
                if (found.0, &found.1.order) < (known.0, &known.1.order) {
                    *known = found;
                }
            }
        }
    }
    let hosts = first.into_iter().map(|(host, (_, stream))| StreamHost {
        host: host.clone(),
        rule: Arc::clone(stream.rule(protocol)),
    });
    hosts.map(Arc::new).collect()
}

/// The first listener's key, and those of the others.
fn keys(indices: &[usize], parents: &Parents<'_>) -> Option<(ListenerKey, Vec<ListenerKey>)> {
    let mut keys = indices.iter().map(|&index| parents.listeners[index].key());
    Some((keys.next()?, keys.collect()))
}

fn listener(
    hostname: HostPattern,
    indices: &[usize],
    (parents, routes): (&Parents<'_>, &mut Routes),
    memo: &mut Memo,
) -> Option<Listener> {
    let (key, others) = keys(indices, parents)?;
    let members = || indices.iter().map(|&index| &parents.listeners[index]);
    // Of listeners that share socket and hostname, the oldest one's settings count, as its routes do.
    let settings = members()
        .next()
        .map(|first| first.clients.clone())
        .unwrap_or_default();
    // Whoever shares both does the same, or there is a conflict.
    let spoken = members().next().and_then(|first| first.protocol);
    let passed_on = spoken.filter(|protocol| protocol.streams());
    let mut certificates = Vec::new();
    for certificate in members().flat_map(|member| &member.certificates) {
        if !certificates.contains(certificate) {
            certificates.push(Arc::clone(certificate));
        }
    }
    Some(Listener {
        key,
        others,
        hostname,
        underscores: settings.underscores,
        paths: settings.paths,
        // Routes of all of them are served here, so that requests pass what each of them asks for.
        admission: members().fold(Admission::Open, |all, member| all.and(&member.admission)),
        tls: (!certificates.is_empty()).then_some(TlsTermination {
            certificates,
            versions: settings.versions,
            ciphers: settings.ciphers,
            clients: settings.clients,
        }),
        streams: passed_on.map(|protocol| streams(indices, protocol, routes)),
        hosts: match passed_on {
            Some(_) => Vec::new(),
            None => hosts(indices, routes, memo),
        },
    })
}

fn hosts(indices: &[usize], routes: &mut Routes, memo: &mut Memo) -> Vec<Arc<VirtualHost>> {
    if let [index] = indices {
        let attached = routes.of_mut(*index).map(|attached| &mut attached.hosts);
        let hosts = attached.into_iter().flatten().map(|(host, on_host)| {
            let (built, routes) = (&mut on_host.built, &on_host.routes);
            let build = || Arc::clone(&memo.host(host, routes.values()).1.1);
            Arc::clone(built.get_or_insert_with(build))
        });
        return hosts.collect();
    }
    // A route may come by more than one of the listeners that share a socket and hostname.
    let mut by_host: BTreeMap<&HostPattern, BTreeMap<&ObjectRef, &Arc<TranslatedRoute>>> =
        BTreeMap::new();
    for attached in indices.iter().filter_map(|index| routes.of(*index)) {
        for (host, on_host) in &attached.hosts {
            let known = by_host.entry(host).or_default();
            for (route, translated) in &on_host.routes {
                known.entry(route).or_insert(translated);
            }
        }
    }
    let hosts = by_host.into_iter();
    let hosts = hosts.map(|(host, routes)| {
        let (address, known) = memo.host(host, routes.values().copied());
        let known = known.clone();
        let built = Arc::clone(&known.1);
        memo.shared.push((address, known));
        built
    });
    hosts.collect()
}

/// The routes of a host, those with the most specific hostname of their own first: what they have in common with the
/// listener does not tell them apart.
///
/// > When multiple HTTPRoutes attach to the same Listener and yield identical Listener/Route intersected hostnames,
/// > implementations SHOULD evaluate precedence using the original hostnames configured on the Route, not the
/// > calculated Listener/Route hostname intersection.
///
/// (`HTTPRouteSpec.hostnames` of Gateway API; GRPCRoutes and TLSRoutes have the same words.)
fn virtual_host<'r>(
    host: &HostPattern,
    routes: impl Iterator<Item = &'r Arc<TranslatedRoute>> + Clone,
) -> VirtualHost {
    let settings = host::joined(routes.clone().map(AsRef::as_ref));
    let entries = routes.flat_map(|route| {
        let own = route.own_host(host);
        route.entries.iter().map(move |entry| (own, entry))
    });
    let mut entries: Vec<_> = entries.collect();
    entries.sort_unstable_by(|(own, a), (other, b)| {
        own.cmp(other).then_with(|| a.precedence.cmp(&b.precedence))
    });
    VirtualHost {
        host: host.clone(),
        settings,
        routes: { entries.iter() }
            .map(|(_, entry)| entry.route.clone())
            .collect(),
    }
}
