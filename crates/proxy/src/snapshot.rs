//! An [`ir::Ir`] made ready for use: immutable, swapped as a whole. What lasts (positions of balancing and
//! splits, TLS configurations) is taken over from the snapshot before by identity.

mod spread;

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::StatusCode;
use ir::{
    Action, BasicAuth, Cluster, ClusterKey, ConcurrencyLimit, ExternalAuth, Filter, Forward, Ir,
    Protocol, RateLimit, Reason, Rule, RuleKey, SocketKey, Target,
};
use rustls::ServerConfig;
use telemetry::metrics::{ListenerMetrics, Metrics};

use spread::Spread;

use crate::{
    balance::ClusterState,
    error::ProxyError,
    limit::{Bucket, InFlight, Permit},
    router::PortRouter,
    tls,
    upstream::UpstreamClient,
};

/// Everything a request needs to know.
pub(crate) struct Snapshot {
    pub(crate) ir: Arc<Ir>,
    pub(crate) ports: BTreeMap<SocketKey, PortState>,
    clusters: HashMap<ClusterKey, Arc<ClusterState>>,
    rules: HashMap<RuleKey, Arc<Lasting>>,
}

/// One bound port.
pub(crate) struct PortState {
    pub(crate) protocol: Protocol,
    pub(crate) router: PortRouter<Arc<RuleState>>,
    /// For each listener of the router; `None` on plain ports.
    pub(crate) tls: Vec<Option<Arc<ServerConfig>>>,
    /// For each listener of the router.
    pub(crate) metrics: Vec<Arc<ListenerMetrics>>,
}

/// What lasts about a rule: how far its split and its mirrors have come, and what is left in its buckets.
#[derive(Default)]
struct Lasting {
    positions: Arc<Positions>,
    /// One for each rate limit, in order.
    buckets: Vec<Arc<Bucket>>,
    /// Where the rule limits what clients have in flight.
    in_flight: Option<Arc<InFlight>>,
}

#[derive(Default)]
struct Positions {
    split: AtomicU64,
    mirror: AtomicU64,
}

impl Lasting {
    /// What a rule needs, with what is known from before. A bucket is kept for as long as its limit
    /// stays the same, whoever is exempt from it.
    fn of(rule: &Rule, before: Option<&Arc<Self>>) -> Arc<Self> {
        let limits = || {
            rule.filters.iter().filter_map(|filter| match filter {
                Filter::RateLimit(limit) => Some(limit),
                _ => None,
            })
        };
        let counts = concurrency(rule).is_some();
        if let Some(before) = before
            && before.in_flight.is_some() == counts
            && before
                .buckets
                .iter()
                .map(|bucket| bucket.limit())
                .eq(limits())
        {
            return Arc::clone(before);
        }
        let in_flight = before.and_then(|before| before.in_flight.clone());
        let mut known = before.map_or_else(Vec::new, |before| before.buckets.clone());
        Arc::new(Self {
            positions: before
                .map(|before| Arc::clone(&before.positions))
                .unwrap_or_default(),
            buckets: limits().map(|limit| bucket(limit, &mut known)).collect(),
            in_flight: counts.then(|| in_flight.unwrap_or_else(|| Arc::new(InFlight::new()))),
        })
    }
}

/// The bucket for a limit: the one that it had, or a full one.
fn bucket(limit: &RateLimit, known: &mut Vec<Arc<Bucket>>) -> Arc<Bucket> {
    let same = known.iter().position(|bucket| bucket.limit() == limit);
    let alike = || {
        known
            .iter()
            .position(|bucket| bucket.limit().same_bucket(limit))
    };
    let Some(at) = same.or_else(alike) else {
        return Arc::new(Bucket::new(limit));
    };
    let bucket = known.swap_remove(at);
    match bucket.limit() == limit {
        true => bucket,
        false => Arc::new(bucket.for_others(limit)),
    }
}

fn concurrency(rule: &Rule) -> Option<&ConcurrencyLimit> {
    rule.filters.iter().find_map(|filter| match filter {
        Filter::Concurrency(limit) => Some(limit),
        _ => None,
    })
}

/// A rule with its clusters at hand.
pub(crate) struct RuleState {
    pub(crate) rule: Arc<Rule>,
    /// Parallel to the rule's backends; `None` where the backend stands for an error.
    clusters: Vec<Option<Arc<ClusterState>>>,
    /// Where to and how often requests are copied.
    mirrors: Vec<(Spread, Arc<ClusterState>)>,
    /// Who stands in for backends that cannot answer.
    fallbacks: Vec<Arc<ClusterState>>,
    split: Spread,
    lasting: Arc<Lasting>,
    /// Who has to say who they are.
    basic_auth: Option<Arc<BasicAuth>>,
    external_auths: Box<[Authenticator]>,
}

/// Somebody who decides, and where to ask.
pub(crate) type Authenticator = (Arc<ExternalAuth>, Option<Arc<ClusterState>>);

impl RuleState {
    /// Takes a token from each bucket; without one, gives how long it takes until there is one.
    pub(crate) fn take_tokens(&self, client: IpAddr) -> Result<(), Duration> {
        self.lasting
            .buckets
            .iter()
            .try_for_each(|bucket| bucket.take(client))
    }

    /// Counts a request for its client while it is in flight, where the rule limits that.
    ///
    /// # Errors
    /// The client has as many as it may.
    pub(crate) fn enter(&self, client: IpAddr) -> Result<Option<Permit>, ProxyError> {
        let Some((in_flight, limit)) = self.lasting.in_flight.as_ref().zip(concurrency(&self.rule))
        else {
            return Ok(None);
        };
        if limit.exempt.iter().any(|net| net.contains(&client)) {
            return Ok(None);
        }
        let permit = in_flight.enter(client, limit.requests.get());
        permit.map(Some).ok_or(ProxyError::ConcurrencyLimited)
    }

    /// Whether anything is counted at all.
    pub(crate) fn is_limited(&self) -> bool {
        !self.lasting.buckets.is_empty() || self.lasting.in_flight.is_some()
    }

    /// Whether anybody has to say who they are.
    pub(crate) const fn is_guarded(&self) -> bool {
        self.basic_auth.is_some() || !self.external_auths.is_empty()
    }

    /// The users of the rule, if it has any.
    pub(crate) const fn basic_auth(&self) -> Option<&Arc<BasicAuth>> {
        self.basic_auth.as_ref()
    }

    /// Whoever has to let requests pass.
    pub(crate) const fn external_auths(&self) -> &[Authenticator] {
        &self.external_auths
    }

    /// The backend that has the endpoint of a session.
    pub(crate) fn pick_marked(&self, mark: u64) -> Option<(usize, Option<&Arc<ClusterState>>)> {
        let has = |cluster: &Option<Arc<ClusterState>>| {
            cluster
                .as_ref()
                .is_some_and(|cluster| cluster.has_mark(mark))
        };
        let at = self.clusters.iter().position(has)?;
        Some((at, self.clusters.get(at)?.as_ref()))
    }

    /// The backend whose share this request falls in: its place, and its cluster unless it stands for an error.
    pub(crate) fn pick(&self) -> Option<(usize, Option<&Arc<ClusterState>>)> {
        let backends = &self.forward()?.backends;
        let at = if backends.len() == 1 {
            0
        } else {
            let mut point = self.split.next(&self.lasting.positions.split);
            backends.iter().position(|backend| {
                let weight = u64::from(backend.weight.get());
                let here = point < weight;
                point = point.saturating_sub(weight);
                here
            })?
        };
        Some((at, self.clusters.get(at)?.as_ref()))
    }

    /// A backend that was chosen, or whoever stands in for one without endpoints.
    pub(crate) fn standing<'a>(
        &'a self,
        (at, cluster): (usize, Option<&'a Arc<ClusterState>>),
    ) -> (usize, Option<&'a Arc<ClusterState>>) {
        if self.fallbacks.is_empty() || cluster.is_some_and(|cluster| cluster.has_endpoints()) {
            return (at, cluster);
        }
        let backends = self.forward().map_or(&[][..], |forward| &forward.backends);
        let broken = Target::Invalid(Reason::InvalidRule);
        if backends
            .get(at)
            .is_some_and(|backend| backend.target == broken)
        {
            return (at, cluster);
        }
        let Some(found) = self.fallbacks.iter().find(|other| other.has_endpoints()) else {
            return (at, cluster);
        };
        // What the rule says for one of its own backends holds for it here, too.
        let own = |cluster: &Option<Arc<ClusterState>>| {
            cluster.as_ref().is_some_and(|own| Arc::ptr_eq(own, found))
        };
        let at = self.clusters.iter().position(own).unwrap_or(at);
        (at, Some(found))
    }

    /// Who is asked instead of a backend that answered with one of these statuses.
    pub(crate) fn error_page(&self) -> Option<(&[StatusCode], &Arc<ClusterState>)> {
        let fallback = self.forward()?.fallback.as_ref()?;
        let page = self.fallbacks.last()?;
        (!fallback.statuses.is_empty()).then_some((&fallback.statuses[..], page))
    }

    /// How the rule forwards, if it does.
    pub(crate) fn forward(&self) -> Option<&Forward> {
        match &self.rule.action {
            Action::Forward(forward) => Some(forward),
            Action::Redirect(_) | Action::Respond { .. } => None,
        }
    }

    /// The filters of one backend.
    pub(crate) fn backend_filters(&self, at: usize) -> &[Filter] {
        self.forward()
            .and_then(|forward| forward.backends.get(at))
            .map_or(&[], |backend| &backend.filters)
    }

    /// Whether there is anything to copy at all.
    pub(crate) fn has_mirrors(&self) -> bool {
        !self.mirrors.is_empty()
    }

    /// The clusters that get a copy of this request.
    pub(crate) fn mirrors(&self) -> impl Iterator<Item = &Arc<ClusterState>> {
        let turn = self.lasting.positions.mirror.fetch_add(1, Relaxed);
        self.mirrors
            .iter()
            .filter(move |(spread, _)| spread.at(turn) < spread.share)
            .map(|(_, cluster)| cluster)
    }
}

impl Snapshot {
    /// A snapshot that serves nothing.
    pub(crate) fn empty() -> Self {
        Self {
            ir: Arc::default(),
            ports: BTreeMap::new(),
            clusters: HashMap::new(),
            rules: HashMap::new(),
        }
    }

    /// Makes `ir` ready. Nothing in it can be wrong but a certificate that rustls refuses; the listener's handshakes
    /// then fail and the name is in the second part of the answer.
    pub(crate) fn build(
        ir: Arc<Ir>,
        before: &Self,
        metrics: &Metrics,
    ) -> (Self, Vec<tls::TlsError>) {
        let clusters = clusters(&ir, before);
        let mut rules = HashMap::new();
        let mut errors = Vec::new();
        let mut ports = BTreeMap::new();
        for (key, port) in &ir.ports {
            let mut ready = |rule: &Arc<Rule>| {
                let lasting = rules
                    .entry(rule.key.clone())
                    .or_insert_with(|| Lasting::of(rule, before.rules.get(&rule.key)));
                Arc::new(RuleState::new(rule, &clusters, lasting))
            };
            let router = PortRouter::build(port, &mut ready);
            let tls = port
                .listeners
                .iter()
                .map(|listener| {
                    let wanted = listener.tls.as_ref()?;
                    before
                        .tls_for(*key, wanted)
                        .or_else(|| match tls::server_config(wanted) {
                            Ok(config) => Some(config),
                            Err(error) => {
                                errors.push(error);
                                None
                            }
                        })
                })
                .collect();
            let metrics = port
                .listeners
                .iter()
                .map(|listener| metrics.listener(&listener.name))
                .collect();
            ports.insert(
                *key,
                PortState {
                    protocol: port.protocol,
                    router,
                    tls,
                    metrics,
                },
            );
        }
        (
            Self {
                ir,
                ports,
                clusters,
                rules,
            },
            errors,
        )
    }

    /// The configuration that an equal listener of the same port has had: with its session tickets.
    fn tls_for(&self, key: SocketKey, wanted: &ir::TlsTermination) -> Option<Arc<ServerConfig>> {
        let listeners = &self.ir.ports.get(&key)?.listeners;
        let at = listeners
            .iter()
            .position(|l| l.tls.as_ref() == Some(wanted))?;
        self.ports.get(&key)?.tls.get(at)?.clone()
    }
}

fn clusters(ir: &Ir, before: &Snapshot) -> HashMap<ClusterKey, Arc<ClusterState>> {
    let state = |key: &ClusterKey, cluster: &Arc<Cluster>| {
        let before = before.clusters.get(key);
        let tls = UpstreamClient::new(cluster, before.and_then(|before| before.tls.as_ref()));
        ClusterState::new(cluster, tls, before)
    };
    ir.clusters
        .iter()
        .map(|(key, cluster)| (key.clone(), state(key, cluster)))
        .collect()
}

impl RuleState {
    fn new(
        rule: &Arc<Rule>,
        known: &HashMap<ClusterKey, Arc<ClusterState>>,
        lasting: &Arc<Lasting>,
    ) -> Self {
        let backends = match &rule.action {
            Action::Forward(forward) => &*forward.backends,
            Action::Redirect(_) | Action::Respond { .. } => &[],
        };
        let fallbacks = match &rule.action {
            Action::Forward(forward) => forward.fallback.as_ref(),
            Action::Redirect(_) | Action::Respond { .. } => None,
        };
        let fallbacks = fallbacks
            .into_iter()
            .flat_map(|fallback| &fallback.clusters)
            .filter_map(|key| known.get(key).cloned());
        let total = backends.iter().map(|b| u64::from(b.weight.get())).sum();
        let mirrors = rule.filters.iter().filter_map(|filter| match filter {
            Filter::Mirror(mirror) => known
                .get(&mirror.cluster)
                .map(|cluster| (Spread::of(mirror.fraction), Arc::clone(cluster))),
            _ => None,
        });
        Self {
            rule: Arc::clone(rule),
            clusters: backends
                .iter()
                .map(|backend| match &backend.target {
                    Target::Cluster(key) => known.get(key).cloned(),
                    Target::Invalid(_) => None,
                })
                .collect(),
            mirrors: mirrors.collect(),
            fallbacks: fallbacks.collect(),
            split: Spread::new(total, 0),
            lasting: Arc::clone(lasting),
            external_auths: { rule.filters.iter() }
                .filter_map(|filter| match filter {
                    Filter::ExternalAuth(auth) => {
                        Some((Arc::clone(auth), known.get(&auth.cluster).cloned()))
                    }
                    _ => None,
                })
                .collect(),
            basic_auth: rule.filters.iter().find_map(|filter| match filter {
                Filter::BasicAuth(auth) => Some(Arc::clone(auth)),
                _ => None,
            }),
        }
    }
}
