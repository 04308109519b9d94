//! A rule with everything at hand that its requests need.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use http::StatusCode;
use ir::{Backend, ClusterKey, ExternalAuth, Forward, Reason, Rule, Target, Told};

use super::{
    Addresses, Table,
    lasting::Lasting,
    spread::{Spread, share},
};
use crate::{
    http::{error::ProxyError, view::Client},
    policy::{limit::Permit, session::Claim},
    upstream::balance::{ClusterState, mix},
};

/// A rule with its clusters at hand.
pub(crate) struct RuleState {
    pub(crate) rule: Arc<Rule>,
    /// Parallel to the rule's backends; `None` where the backend stands for an error or a redirect.
    clusters: Vec<Option<Arc<ClusterState>>>,
    /// Where to and how often requests are copied.
    mirrors: Vec<(Spread, Arc<ClusterState>)>,
    /// Who stands in for backends that cannot answer.
    fallbacks: Vec<Arc<ClusterState>>,
    split: Spread,
    pub(super) lasting: Arc<Lasting>,
    external_auths: Box<[Authenticator]>,
}

/// Somebody who decides, and where to ask.
pub(crate) type Authenticator = (Arc<ExternalAuth>, Option<Arc<ClusterState>>);

impl RuleState {
    /// Takes a token from each bucket; without one, gives how long it takes until there is one.
    pub(crate) fn take_tokens(&self, client: Client) -> Result<(), Duration> {
        self.lasting
            .buckets
            .iter()
            .try_for_each(|bucket| bucket.take(client))
    }

    /// Counts a request for its client while it is in flight, where the rule limits that.
    ///
    /// # Errors
    /// The client has as many as it may.
    pub(crate) fn enter(&self, client: Client) -> Result<Option<Permit>, ProxyError> {
        let limit = self.rule.gates.concurrency.as_ref();
        let Some((in_flight, limit)) = self.lasting.in_flight.as_ref().zip(limit) else {
            return Ok(None);
        };
        if client.is_in(&limit.exempt) {
            return Ok(None);
        }
        let permit = in_flight.enter(client.counted(), limit.requests.get());
        permit.map(Some).ok_or(ProxyError::ConcurrencyLimited)
    }

    /// Whether anything is counted at all.
    pub(crate) fn is_limited(&self) -> bool {
        !self.lasting.buckets.is_empty() || self.lasting.in_flight.is_some()
    }

    /// Whoever has to let requests pass.
    pub(crate) const fn external_auths(&self) -> &[Authenticator] {
        &self.external_auths
    }

    /// Whether one of the backends made the cookie with this claim.
    pub(crate) fn made(&self, claim: &Claim) -> bool {
        self.maker(claim).is_some()
    }

    fn maker(&self, claim: &Claim) -> Option<usize> {
        let is_it = |cluster: &ClusterState| match claim {
            Claim::Made { backend, .. } => cluster.id == *backend,
            Claim::Named(mark) => cluster.has_mark(*mark),
            Claim::Foreign(_) => false,
        };
        let mut clusters = self.clusters.iter();
        clusters.position(|cluster| cluster.as_deref().is_some_and(is_it))
    }

    /// The backend that a client belongs to: the one that made its cookie; of a cookie that none of them made, the one
    /// in whose share it falls. `None` where there is no saying, or the backend has no endpoints.
    pub(crate) fn pick_claimed(
        &self,
        claim: &Claim,
    ) -> Option<(usize, Option<&Arc<ClusterState>>)> {
        let at = match (self.maker(claim), claim) {
            (Some(at), _) => at,
            (None, Claim::Made { client: key, .. } | Claim::Foreign(key)) => self.share_of(*key)?,
            (None, Claim::Named(_)) => return None,
        };
        let cluster = self.clusters.get(at)?.as_ref();
        let usable = cluster.filter(|cluster| cluster.has_endpoints())?;
        Some((at, Some(usable)))
    }

    /// The backend in whose share a client falls. More weight for one takes clients from the others, and moves nobody
    /// else.
    fn share_of(&self, key: u64) -> Option<usize> {
        let backends = &self.forward()?.backends;
        // Who is the canary's here is not who is the canary's everywhere.
        let base = self.clusters.iter().flatten().next()?.id;
        let total: u64 = backends.iter().map(|b| u64::from(b.weight.get())).sum();
        let point = (u128::from(mix(key ^ base)) * u128::from(total)) >> 64;
        let point = u64::try_from(point).ok()?;
        share(backends.iter().map(|backend| backend.weight), point)
    }

    /// The backend whose share this request falls in: its place, and its cluster unless it stands for an error.
    pub(crate) fn pick(&self) -> Option<(usize, Option<&Arc<ClusterState>>)> {
        let backends = &self.forward()?.backends;
        let at = if backends.len() == 1 {
            0
        } else {
            let point = self.split.next(&self.lasting.positions.split);
            share(backends.iter().map(|backend| backend.weight), point)?
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

    /// What the last of those that stand in is told, where it stands in for a backend that was chosen.
    pub(crate) fn told(
        &self,
        chosen: Option<&Arc<ClusterState>>,
        standing: Option<&Arc<ClusterState>>,
    ) -> Option<&Told> {
        let told = self.forward()?.fallback.as_ref()?.told.as_deref()?;
        let (last, standing) = (self.fallbacks.last()?, standing?);
        let stands_in = chosen.is_none_or(|chosen| !Arc::ptr_eq(chosen, standing));
        (stands_in && Arc::ptr_eq(last, standing)).then_some(told)
    }

    /// Who is asked instead of a backend that answered with one of these statuses.
    pub(crate) fn error_page(&self) -> Option<(&[StatusCode], &Arc<ClusterState>)> {
        let fallback = self.forward()?.fallback.as_ref()?;
        let page = self.fallbacks.last()?;
        (!fallback.statuses.is_empty()).then_some((&fallback.statuses[..], page))
    }

    /// Whether the error page is asked in the stead of a refusal of the gateway itself with this status.
    pub(crate) fn pages_refusals(&self, status: StatusCode) -> bool {
        let fallback = self.forward().and_then(|forward| forward.fallback.as_ref());
        fallback.is_some_and(|fallback| fallback.refusals)
            && self
                .error_page()
                .is_some_and(|(statuses, _)| statuses.contains(&status))
    }

    /// How the rule forwards, if it does.
    pub(crate) fn forward(&self) -> Option<&Forward> {
        self.rule.forward()
    }

    /// The cluster of one of the rule's backends, unless that stands for an error.
    pub(crate) fn cluster(&self, at: usize) -> Option<&Arc<ClusterState>> {
        self.clusters.get(at)?.as_ref()
    }

    /// One of the rule's backends.
    pub(crate) fn backend(&self, at: usize) -> Option<&Backend> {
        self.forward()?.backends.get(at)
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

impl RuleState {
    /// Whether requests may go to one of these clusters.
    pub(super) fn uses(&self, clusters: &Addresses) -> bool {
        let asked = self.external_auths.iter().map(|(_, cluster)| cluster);
        let own = self.clusters.iter().chain(asked).flatten();
        let mirrors = self.mirrors.iter().map(|(_, cluster)| cluster);
        let mut all = own.chain(mirrors).chain(&self.fallbacks);
        all.any(|cluster| clusters.contains(&Arc::as_ptr(cluster)))
    }

    pub(super) fn new(
        rule: &Arc<Rule>,
        known: &Table<ClusterKey, Arc<ClusterState>>,
        lasting: &Arc<Lasting>,
    ) -> Self {
        let forward = rule.forward();
        let backends = forward.map_or(&[][..], |forward| &*forward.backends);
        let fallbacks = forward.and_then(|forward| forward.fallback.as_ref());
        let fallbacks = fallbacks
            .into_iter()
            .flat_map(|fallback| &fallback.clusters)
            .filter_map(|key| known.get(key).cloned());
        let total = backends.iter().map(|b| u64::from(b.weight.get())).sum();
        let mirrors = rule.mirrors.iter().filter_map(|mirror| {
            let cluster = known.get(&mirror.cluster)?;
            Some((Spread::of(mirror.fraction), Arc::clone(cluster)))
        });
        Self {
            rule: Arc::clone(rule),
            clusters: backends
                .iter()
                .map(|backend| match &backend.target {
                    // Nobody is asked.
                    Target::Cluster(_) if backend.redirect().is_some() => None,
                    Target::Cluster(key) => known.get(key).cloned(),
                    Target::Invalid(_) => None,
                })
                .collect(),
            mirrors: mirrors.collect(),
            fallbacks: fallbacks.collect(),
            split: Spread::new(total, 0),
            lasting: Arc::clone(lasting),
            external_auths: { rule.gates.external_auths.iter() }
                .map(|auth| (Arc::clone(auth), known.get(&auth.cluster).cloned()))
                .collect(),
        }
    }
}
