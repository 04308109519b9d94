//! The IR's ports, listeners and virtual hosts, from listeners and the routes attached to them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use ir::{HostPattern, Listener, Port, Protocol, SocketKey, TlsTermination, VirtualHost};

use crate::{attach::Routes, backend::ClusterRef, gateway::Parents, http_route::TranslatedRoute};

/// Listeners of Gateways that share a socket and a hostname, oldest Gateway first.
type Shared = BTreeMap<HostPattern, Vec<usize>>;

/// Virtual hosts, for as long as their routes stay the same. They know routes by address, and keep them so that no
/// address comes to mean another.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    known: HashMap<(HostPattern, Vec<usize>), Known>,
    /// Those of the translation before; what is not asked for again is dropped.
    before: HashMap<(HostPattern, Vec<usize>), Known>,
}

type Known = (Vec<Arc<TranslatedRoute>>, Arc<VirtualHost>);

impl Memo {
    fn host(&mut self, host: &HostPattern, routes: Vec<&Arc<TranslatedRoute>>) -> Arc<VirtualHost> {
        let addresses = routes.iter().map(|route| Arc::as_ptr(route) as usize);
        let key = (host.clone(), addresses.collect());
        if let Some((_, known)) = self.known.get(&key) {
            return Arc::clone(known);
        }
        let known = self.before.remove(&key).unwrap_or_else(|| {
            let built = Arc::new(virtual_host(host, &routes));
            (routes.into_iter().cloned().collect(), built)
        });
        Arc::clone(&self.known.entry(key).or_insert(known).1)
    }
}

/// What is bound.
pub(crate) fn ports(
    parents: &Parents<'_>,
    routes: &Routes,
    memo: &mut Memo,
) -> BTreeMap<SocketKey, Port> {
    memo.before = std::mem::take(&mut memo.known);
    let mut sockets: BTreeMap<SocketKey, (Protocol, u16, Shared)> = BTreeMap::new();
    for gateway in &parents.gateways {
        for index in gateway.all.clone() {
            let listener = &parents.listeners[index];
            let (Some(protocol), Ok(port)) = (listener.protocol, u16::try_from(listener.port))
            else {
                continue;
            };
            if !listener.programmed() {
                continue;
            }
            for key in gateway.reach.sockets(port) {
                let (_, _, hosts) = sockets
                    .entry(key)
                    .or_insert_with(|| (protocol, port, Shared::new()));
                let same = hosts.entry(listener.hostname.clone()).or_default();
                same.push(index);
            }
        }
    }
    // A Gateway with several addresses has the same listeners on each: built once, shared.
    let mut built: HashMap<Vec<usize>, Arc<Listener>> = HashMap::new();
    let ports = sockets
        .into_iter()
        .map(|(key, (protocol, port, hosts))| {
            let listeners = hosts.into_iter().map(|(hostname, indices)| {
                let listener = built.entry(indices).or_insert_with_key(|indices| {
                    Arc::new(listener(hostname, indices, (parents, routes), memo))
                });
                Arc::clone(listener)
            });
            let listeners = listeners.collect();
            (
                key,
                Port {
                    protocol,
                    advertised: (port != key.port).then_some(port),
                    listeners,
                },
            )
        })
        .collect();
    memo.before.clear();
    ports
}

fn listener(
    hostname: HostPattern,
    indices: &[usize],
    (parents, routes): (&Parents<'_>, &Routes),
    memo: &mut Memo,
) -> Listener {
    let members = || indices.iter().map(|&index| &parents.listeners[index]);
    let name = members().next().map(|first| {
        let (_, owner) = first.owner;
        format!("{owner}/{}", first.name)
    });
    // Of listeners that share socket and hostname, the oldest one's settings count, as its routes do.
    let settings = members()
        .next()
        .map(|first| first.clients.clone())
        .unwrap_or_default();
    let mut certificates = Vec::new();
    for certificate in members().flat_map(|member| &member.certificates) {
        if !certificates.contains(certificate) {
            certificates.push(Arc::clone(certificate));
        }
    }
    Listener {
        name: name.unwrap_or_default().into(),
        hostname,
        tls: (!certificates.is_empty()).then_some(TlsTermination {
            certificates,
            versions: settings.versions,
            ciphers: settings.ciphers,
            clients: settings.clients,
        }),
        hosts: hosts(indices, routes, memo),
    }
}

fn hosts(indices: &[usize], routes: &Routes, memo: &mut Memo) -> Vec<Arc<VirtualHost>> {
    let mut by_host: HashMap<&HostPattern, Vec<&Arc<TranslatedRoute>>> = HashMap::new();
    // A route may come by more than one of the listeners that share a socket and hostname.
    let mut seen: BTreeSet<(usize, &HostPattern)> = BTreeSet::new();
    for (route, hosts) in indices
        .iter()
        .filter_map(|index| routes.attached.get(index))
        .flatten()
    {
        for host in hosts.iter() {
            if indices.len() == 1 || seen.insert((*route, host)) {
                let on_host = by_host.entry(host).or_default();
                on_host.push(&routes.routes[*route]);
            }
        }
    }
    let hosts = by_host.into_iter();
    let mut hosts: Vec<_> = hosts
        .map(|(host, routes)| memo.host(host, routes))
        .collect();
    hosts.sort_unstable_by(|a, b| a.host.cmp(&b.host));
    hosts
}

fn virtual_host(host: &HostPattern, routes: &[&Arc<TranslatedRoute>]) -> VirtualHost {
    let mut entries: Vec<_> = routes.iter().flat_map(|route| &route.entries).collect();
    entries.sort_unstable_by(|a, b| a.precedence.cmp(&b.precedence));
    VirtualHost {
        host: host.clone(),
        routes: entries.iter().map(|entry| entry.route.clone()).collect(),
    }
}

/// Clusters of the routes that are served somewhere.
pub(crate) fn clusters<'r>(
    parents: &Parents<'_>,
    routes: &'r Routes,
) -> impl Iterator<Item = &'r ClusterRef> {
    let served: BTreeSet<usize> = routes
        .attached
        .iter()
        .filter(|(listener, _)| parents.listeners[**listener].programmed())
        .flat_map(|(_, attached)| attached.iter().map(|(route, _)| *route))
        .collect();
    served
        .into_iter()
        .flat_map(|route| &routes.routes[route].clusters)
}
