//! An [`ir::Ir`] made ready for use: immutable, swapped as a whole. What lasts (positions of balancing and
//! splits, TLS configurations) is taken over from the snapshot before by identity.

mod lasting;
mod rule;
mod spread;
mod stream;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use ir::{
    Admission, Cluster, ClusterKey, DatagramPort, HostPattern, HostSettings, Ir, Listener, Port,
    Protocol, Rule, SocketKey, TlsTermination,
};
use rustls::ServerConfig;
use telemetry::metrics::{ListenerMetrics, Metrics};

use crate::{
    net::tls,
    router::PortRouter,
    upstream::{UpstreamClient, balance::ClusterState, names::Names},
};

use lasting::Rules;

pub(crate) use rule::{Authenticator, RuleState};
pub(crate) use stream::{StreamState, Streams};

/// Everything a request needs to know.
pub(crate) struct Snapshot {
    pub(crate) ir: Arc<Ir>,
    /// Which one this is: none has the same number in one process.
    pub(crate) generation: u64,
    pub(crate) ports: BTreeMap<SocketKey, PortState>,
    pub(crate) datagrams: BTreeMap<SocketKey, DatagramState>,
    clusters: Table<ClusterKey, Arc<ClusterState>>,
    rules: Rules,
}

/// Keys come from configuration; no request can make them collide.
type Table<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Clusters by where they lie.
type Addresses = HashSet<*const ClusterState, foldhash::fast::RandomState>;

/// One bound port.
pub(crate) struct PortState {
    pub(crate) protocol: Protocol,
    pub(crate) router: PortRouter<Arc<RuleState>>,
    /// For each listener of the router; `None` where TLS does not end here, or cannot.
    pub(crate) tls: Vec<Option<Arc<ServerConfig>>>,
    /// For each listener of the router; `None` where it serves HTTP.
    pub(crate) streams: Vec<Option<Arc<Streams>>>,
    /// For each listener of the router: what holds for all of its hosts.
    pub(crate) settings: Vec<HostSettings>,
    /// For each listener of the router: what requests must pass before a route is looked for.
    pub(crate) admission: Vec<Admitting>,
    /// For each listener of the router.
    pub(crate) metrics: Vec<Arc<ListenerMetrics>>,
}

/// What the requests of a listener must pass: an [`Admission`] with its clusters at hand.
#[derive(Clone)]
pub(crate) enum Admitting {
    Open,
    Ask(Arc<[Authenticator]>),
    Closed,
}

impl Admitting {
    fn new(admission: &Admission, known: &Table<ClusterKey, Arc<ClusterState>>) -> Self {
        match admission {
            Admission::Open => Self::Open,
            Admission::Closed => Self::Closed,
            Admission::Ask(auths) => {
                let auths = auths.iter();
                let auths = auths.map(|auth| (Arc::clone(auth), known.get(&auth.cluster).cloned()));
                Self::Ask(auths.collect())
            }
        }
    }
}

/// One bound UDP port.
pub(crate) struct DatagramState {
    /// Its [`ir::ListenerKey`] as text, for logs.
    pub(crate) listener: Arc<str>,
    pub(crate) rule: Option<Arc<StreamState>>,
    pub(crate) metrics: Arc<ListenerMetrics>,
}

impl Snapshot {
    /// A snapshot that serves nothing.
    pub(crate) fn empty() -> Self {
        Self {
            ir: Arc::default(),
            generation: 0,
            ports: BTreeMap::new(),
            datagrams: BTreeMap::new(),
            clusters: Table::default(),
            rules: Rules::default(),
        }
    }

    /// Makes `ir` ready. Hosts whose routes and clusters are what they were are taken over. Nothing can be wrong but a
    /// certificate that rustls refuses; the listener's handshakes then fail and the name is in the second part of the
    /// answer.
    pub(crate) fn build(
        ir: Arc<Ir>,
        before: &Self,
        (metrics, names): (&Metrics, &Names),
    ) -> (Self, Vec<tls::TlsError>) {
        let clusters = clusters(&ir, before, names);
        let stale = stale(&clusters, before);
        let keep = |rule: &Arc<RuleState>| stale.is_empty() || !rule.uses(&stale);
        let rules = before.rules.clone();
        let mut errors = Vec::new();
        let mut ports = BTreeMap::new();
        for (key, port) in &ir.ports {
            let mut ready =
                |rule: &Arc<Rule>| Arc::new(RuleState::new(rule, &clusters, &rules.lasting(rule)));
            let known = before.ports.get(key).map(|port| &port.router);
            let router = PortRouter::rebuild(port, known, &keep, &mut ready);
            let state = PortState {
                protocol: port.protocol,
                router,
                tls: certificates(port, before.with_tls(*key), &mut errors),
                streams: before.streams(*key, port, &rules),
                settings: port.listeners.iter().map(everywhere).collect(),
                admission: { port.listeners.iter() }
                    .map(|listener| Admitting::new(&listener.admission, &clusters))
                    .collect(),
                metrics: port
                    .listeners
                    .iter()
                    .map(|listener| metrics.listener(&listener.key.to_string()))
                    .collect(),
            };
            ports.insert(*key, state);
        }
        let datagrams = before.datagrams(&ir, &rules, metrics);
        (
            Self {
                ir,
                generation: before.generation + 1,
                ports,
                datagrams,
                clusters,
                rules,
            },
            errors,
        )
    }

    /// A cluster by its key.
    pub(crate) fn cluster(&self, key: &ClusterKey) -> Option<&Arc<ClusterState>> {
        self.clusters.get(key)
    }

    /// For each listener of what a port is to be: its streams, taken over where the listener is the same.
    fn streams(&self, key: SocketKey, port: &Port, rules: &Rules) -> Vec<Option<Arc<Streams>>> {
        let known = self.ir.ports.get(&key).zip(self.ports.get(&key));
        let known = known.map(|(port, state)| port.listeners.iter().zip(&state.streams));
        let known: Table<&HostPattern, &Arc<Streams>> = { known.into_iter().flatten() }
            .filter_map(|(listener, streams)| Some((&listener.hostname, streams.as_ref()?)))
            .collect();
        let listeners = port.listeners.iter();
        let streams = |listener: &Arc<Listener>| {
            Streams::new(listener, known.get(&listener.hostname).copied(), rules)
        };
        listeners.map(streams).collect()
    }

    /// The UDP ports of `ir`; a rule that is the same is taken over.
    fn datagrams(
        &self,
        ir: &Ir,
        rules: &Rules,
        metrics: &Metrics,
    ) -> BTreeMap<SocketKey, DatagramState> {
        let state = |(key, port): (&SocketKey, &DatagramPort)| {
            let before = self.datagrams.get(key).and_then(|port| port.rule.as_ref());
            let rule = port.rule.as_ref().map(|rule| match before {
                Some(before) if before.rule == *rule => Arc::clone(before),
                _ => StreamState::new(rule, rules),
            });
            let listener: Arc<str> = port.listener.to_string().into();
            let state = DatagramState {
                rule,
                metrics: metrics.listener(&listener),
                listener,
            };
            (*key, state)
        };
        ir.datagrams.iter().map(state).collect()
    }

    /// The listeners of a port that have TLS, and the configuration of each, with its session tickets.
    fn with_tls(&self, key: SocketKey) -> Known<'_> {
        let port = self.ir.ports.get(&key).zip(self.ports.get(&key));
        let listeners = port.map(|(port, state)| port.listeners.iter().zip(&state.tls));
        let known = listeners
            .into_iter()
            .flatten()
            .filter_map(|(listener, config)| {
                let tls = (terms(listener)?, config.as_ref()?);
                Some((&listener.hostname, tls))
            });
        known.collect()
    }
}

/// What holds for all hosts of a listener.
fn everywhere(listener: &Arc<Listener>) -> HostSettings {
    HostSettings {
        paths: listener.paths,
        underscores: listener.underscores,
        ..HostSettings::default()
    }
}

/// What a hostname's connections are encrypted with.
type Known<'a> = Table<&'a HostPattern, (Terms<'a>, &'a Arc<ServerConfig>)>;

/// How a listener shakes hands, and whether for HTTP: streams do not agree on what is spoken in them.
type Terms<'a> = (&'a TlsTermination, bool);

fn terms(listener: &Listener) -> Option<Terms<'_>> {
    Some((listener.tls.as_ref()?, listener.streams.is_none()))
}

/// For each listener of a port: what it has had, where that is to stay.
fn certificates(
    port: &Port,
    known: Known<'_>,
    errors: &mut Vec<tls::TlsError>,
) -> Vec<Option<Arc<ServerConfig>>> {
    let listeners = port.listeners.iter();
    let config = listeners.map(|listener| {
        let wanted = terms(listener)?;
        if let Some((tls, config)) = known.get(&listener.hostname)
            && *tls == wanted
        {
            return Some(Arc::clone(config));
        }
        let made = tls::server_config(wanted.0, wanted.1);
        made.map_err(|error| errors.push(error)).ok()
    });
    config.collect()
}

fn clusters(ir: &Ir, before: &Snapshot, names: &Names) -> Table<ClusterKey, Arc<ClusterState>> {
    let state = |key: &ClusterKey, cluster: &Arc<Cluster>| {
        let before = before.clusters.get(key);
        if let Some(before) = before
            && Arc::ptr_eq(&before.cluster, cluster)
        {
            return Arc::clone(before);
        }
        let tls = UpstreamClient::new(cluster, before.and_then(|before| before.tls.as_ref()));
        ClusterState::new(cluster, tls, before, names)
    };
    ir.clusters
        .iter()
        .map(|(key, cluster)| (key.clone(), state(key, cluster)))
        .collect()
}

/// Clusters that are not what they were any more. `before` keeps them, so that no address comes to mean another.
fn stale(now: &Table<ClusterKey, Arc<ClusterState>>, before: &Snapshot) -> Addresses {
    let known = before.clusters.iter();
    known
        .filter(|(key, known)| !now.get(*key).is_some_and(|now| Arc::ptr_eq(now, known)))
        .map(|(_, known)| Arc::as_ptr(known))
        .collect()
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
