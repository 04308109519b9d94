//! How a rule forwards: backends, deadlines, retries, sessions and those that stand in.

use std::{num::NonZeroU32, sync::Arc};

use api::gateway::httproutes::{HttpRouteRules, HttpRouteRulesBackendRefs};
use ir::{Backend, Fallback, Forward, Reason, RequestStep, Retry, SessionToken, Target, Timeouts};

use super::{Owner, TranslatedRule, fallback, session, timing};
use crate::{
    backend::{self, BackendRef, ClusterRef, User},
    fault::Fault,
    filter::{self, BackendFilters, unsupported},
    lookup::Lookup,
};

/// How a rule forwards, but for what depends on the prefix that a request has matched: filters of backendRefs.
pub(super) struct Draft<'a> {
    shares: Vec<Share<'a>>,
    timeouts: Timeouts,
    retry: Option<Retry>,
    session: Option<SessionToken>,
    fallback: Option<Fallback>,
}

/// A backendRef.
struct Share<'a> {
    declared: &'a HttpRouteRulesBackendRefs,
    /// `None`: zero.
    weight: Option<NonZeroU32>,
    /// `None`: it cannot be used.
    cluster: Option<ClusterRef>,
    /// Some requests go to it.
    used: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn of(
        (declared, id, place): (&'a HttpRouteRules, &str, usize),
        owner: Owner<'_>,
        lookup: &Lookup<'_>,
        rule: &mut TranslatedRule,
    ) -> Self {
        let name = declared.name.as_deref();
        let policies = lookup.route_policies(owner.reference, name);
        let policy = policies
            .iter()
            .find_map(|policy| policy.spec.retry.as_ref());
        let timeouts = timing::timeouts(declared.timeouts.as_ref(), &mut rule.faults);
        let retry = declared
            .retry
            .as_ref()
            .and_then(|retry| timing::retry(retry, policy, rule));
        let backends = declared.backend_refs.iter().flatten();
        let shares = backends
            .filter_map(|backend| Share::of(backend, (owner.reference, name), lookup, rule))
            .collect();
        let session = session::of((declared, id, place), owner, lookup, rule);
        let fallback = policies
            .iter()
            .find_map(|policy| policy.spec.fallback.as_ref())
            .and_then(|fallback| fallback::translate(fallback, (declared, owner), lookup, rule));
        Self {
            shares,
            timeouts,
            retry,
            session,
            fallback,
        }
    }

    /// How requests that matched `prefix` are forwarded, after the rule's own steps.
    ///
    /// > If all entries in BackendRefs are invalid or have weight 0, and no filters would have sent a response, the
    /// > rule answers 500. (As does a rule without BackendRefs.)
    pub(super) fn forward(
        &mut self,
        prefix: Option<&str>,
        before: &[RequestStep],
        rule: &mut TranslatedRule,
    ) -> Result<Forward, Reason> {
        let shares = self.shares.iter_mut();
        let backends: Vec<_> = shares
            .filter_map(|share| share.backend(prefix, before, rule))
            .collect();
        if backends.is_empty() {
            return Err(Reason::NoBackend);
        }
        Ok(Forward {
            backends,
            timeouts: self.timeouts,
            retry: self.retry.clone(),
            session: self.session.clone(),
            fallback: self.fallback.clone(),
        })
    }

    /// Gives the rule the clusters that requests go to, with what is to be said about them.
    pub(super) fn used(self, rule: &mut TranslatedRule) {
        for share in self.shares {
            let Some(cluster) = share.cluster.filter(|_| share.used) else {
                continue;
            };
            if cluster.unverified && cluster.unasked {
                let message = format!(
                    "backendRef {}: TLS without looking at the backend's certificate; a BackendTLSPolicy or a BackendPolicy can name authorities",
                    share.declared.name
                );
                rule.warnings.push(message);
            }
            rule.warnings.extend(cluster.warnings.clone());
            rule.clusters.push(Arc::new(cluster));
        }
    }
}

impl<'a> Share<'a> {
    /// > Unless there's only one backend specified: if there are invalid backends, requests that would otherwise be
    /// > routed to them MUST receive a 500. The proportion is that of the weights.
    fn of(
        declared: &'a HttpRouteRulesBackendRefs,
        user: User<'_>,
        lookup: &Lookup<'_>,
        rule: &mut TranslatedRule,
    ) -> Option<Self> {
        let reference = BackendRef {
            from: user.0.kind,
            group: declared.group.as_deref(),
            kind: declared.kind.as_deref(),
            namespace: declared.namespace.as_deref(),
            name: &declared.name,
            port: declared.port,
        };
        let resolved = backend::resolve(&reference, (&user.0.key.namespace, Some(user)), lookup);
        let weight = declared.weight.unwrap_or(1);
        let Ok(weight) = u32::try_from(weight) else {
            rule.faults.push(unsupported(format!(
                "backendRef {}: weight {weight} is negative",
                declared.name
            )));
            return None;
        };
        let cluster = resolved.map_err(|error| rule.unresolved.push(error.into()));
        Some(Self {
            declared,
            weight: NonZeroU32::new(weight),
            cluster: cluster.ok(),
            used: false,
        })
    }

    /// `None` when its weight is zero.
    fn backend(
        &mut self,
        prefix: Option<&str>,
        before: &[RequestStep],
        rule: &mut TranslatedRule,
    ) -> Option<Backend> {
        let declared = self.declared.filters.as_deref().unwrap_or_default();
        let filters = filter::backend_filters(declared, prefix, before);
        let target = match (&self.cluster, &filters) {
            (Some(_), Err(_)) => Target::Invalid(Reason::InvalidRule),
            (Some(cluster), Ok(_)) => Target::Cluster(cluster.key.clone()),
            (None, _) => Target::Invalid(Reason::InvalidBackend),
        };
        self.used |= filters.is_ok() && self.weight.is_some();
        let filters = filters.unwrap_or_else(|fault| {
            let message = format!(
                "backendRef {}, whose share answers 500: {}",
                self.declared.name, fault.message
            );
            rule.backend_faults.push(Fault::new(fault.reason, message));
            BackendFilters::default()
        });
        Some(Backend {
            weight: self.weight?,
            target,
            request: filters.request,
            response: filters.response,
            url: filters.url,
        })
    }
}
