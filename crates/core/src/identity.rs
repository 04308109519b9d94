//! What a Gateway shows to backends (`tls.backend`), and its routes as they are through it: their backends have
//! connections of their own, so that no request of another Gateway comes with its certificate.

use std::{collections::BTreeSet, sync::Arc};

use foldhash::{HashMap, HashSet, HashSetExt as _};
use http::StatusCode;
use ir::{
    Action, Certificate, ClusterKey, ExternalAuth, Gates, Mirror, Reason, Rule, RuleKey,
    StreamRule, Target,
};

use crate::{
    attach::Place,
    fault::Fault,
    gateway::Parents,
    route::{Entry, Known, TranslatedRoute},
    stream_route::{self, Stream},
};

/// What backends are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    /// This certificate.
    Certificate(Arc<Certificate>),
    /// One that cannot be had. Backends with TLS are not asked then, rather than by nobody.
    Lost,
}

impl Identity {
    /// That of a Gateway with this certificate, or without the one that it asks for.
    pub(crate) fn of(certificate: &Result<Arc<Certificate>, Fault>) -> Self {
        match certificate {
            Ok(certificate) => Self::Certificate(Arc::clone(certificate)),
            Err(_) => Self::Lost,
        }
    }

    /// What sets apart whatever is made for it.
    fn mark(&self) -> String {
        match self {
            Self::Certificate(certificate) => format!("+as:{}", certificate.source),
            Self::Lost => "+as:nobody".to_owned(),
        }
    }
}

/// A route as it is through listeners of Gateways with an identity.
#[derive(Debug, Clone)]
pub(crate) struct Variant {
    identity: Identity,
    listeners: Vec<usize>,
    route: Arc<TranslatedRoute>,
}

/// The route as it is through each listener where that is not what it is anyway. `before` are those from when listeners
/// were others, and the route was the same.
pub(crate) fn variants(
    listeners: impl Iterator<Item = usize>,
    route: &TranslatedRoute,
    parents: &Parents<'_>,
    before: &[Variant],
) -> Vec<Variant> {
    let mut variants: Vec<Variant> = Vec::new();
    // Most Gateways show nothing.
    if !parents.show_anything {
        return variants;
    }
    for listener in listeners {
        let gateway = parents.gateway_of(listener);
        let Some(identity) = gateway.and_then(|gateway| gateway.identity.as_ref()) else {
            continue;
        };
        let same = |variant: &&mut Variant| variant.identity == *identity;
        if let Some(variant) = variants.iter_mut().find(same) {
            variant.listeners.push(listener);
            continue;
        }
        let known = before.iter().find(|known| known.identity == *identity);
        let known = known.map(|known| Arc::clone(&known.route));
        if let Some(route) = known.or_else(|| shown(route, identity).map(Arc::new)) {
            variants.push(Variant {
                identity: identity.clone(),
                listeners: vec![listener],
                route,
            });
        }
    }
    variants
}

impl Known {
    /// The route as it is through a listener.
    pub(crate) fn at(&self, listener: usize) -> &Arc<TranslatedRoute> {
        let mut variants = self.variants.iter();
        let variant = variants.find(|variant| variant.listeners.contains(&listener));
        variant.map_or(&self.outcome, |variant| &variant.route)
    }

    /// What of the route requests can come to: nothing, one, or several where Gateways have identities.
    pub(crate) fn served(&self, parents: &Parents<'_>) -> Vec<&Arc<TranslatedRoute>> {
        let listeners = self.place.iter().flat_map(Place::served);
        let listeners = listeners.map(|spot| spot.listener);
        let mut listeners = listeners.filter(|listener| parents.listeners[*listener].programmed());
        if self.variants.is_empty() {
            return listeners
                .next()
                .map(|_| &self.outcome)
                .into_iter()
                .collect();
        }
        // Of listeners that share socket and hostname, the first one's count: see `assemble`.
        let (mut taken, mut served) = (BTreeSet::new(), Vec::new());
        for at in listeners {
            let listener = &parents.listeners[at];
            let gateway = parents.gateway_of(at);
            let sockets = gateway.zip(listener.numbered());
            let sockets = sockets.map(|(gateway, port)| (port.0, gateway.reach.sockets(port)));
            let mut first = false;
            if let Some((transport, sockets)) = sockets {
                for socket in sockets {
                    first |= taken.insert((transport, socket, &listener.hostname));
                }
            }
            if first {
                served.push(self.at(at));
            }
        }
        served
    }
}

/// The route as it is through a Gateway with this identity; `None`: as it is anyway, as there is nobody to show it to.
fn shown(route: &TranslatedRoute, identity: &Identity) -> Option<TranslatedRoute> {
    let mark = identity.mark();
    let mut clusters = Vec::with_capacity(route.clusters.len());
    let mut names: HashMap<&ClusterKey, Option<ClusterKey>> = HashMap::default();
    for cluster in &route.clusters {
        if !cluster.asks_who_we_are() {
            clusters.push(Arc::clone(cluster));
            continue;
        }
        let now = match identity {
            Identity::Certificate(certificate) => Some(cluster.shown(certificate, &mark)),
            Identity::Lost => None,
        };
        names.insert(&cluster.key, now.as_ref().map(|now| now.key.clone()));
        clusters.extend(now.map(Arc::new));
    }
    if names.is_empty() {
        return None;
    }
    let names = Names { names, mark };
    // Matches of a rule share it.
    let mut rules: HashMap<*const Rule, Arc<Rule>> = HashMap::default();
    let entries = route.entries.iter().map(|entry| {
        let rule = rules
            .entry(Arc::as_ptr(&entry.route.rule))
            .or_insert_with(|| names.rule(&entry.route.rule));
        Entry {
            precedence: entry.precedence.clone(),
            route: ir::Route {
                rule: Arc::clone(rule),
                ..entry.route.clone()
            },
        }
    });
    let entries: Vec<_> = entries.collect();
    let stream = route.stream.as_ref().map(|stream| names.stream(stream));
    let mut named = HashSet::new();
    for rule in rules.values() {
        named.extend(rule.clusters());
    }
    named.extend(stream.iter().flat_map(Stream::clusters));
    clusters.retain(|cluster| named.contains(&cluster.key));
    Some(TranslatedRoute {
        entries,
        stream,
        clusters,
        hosts: route.hosts.clone(),
        host_settings: route.host_settings,
        age: route.age.clone(),
        awaits: route.awaits.clone(),
        rejected: route.rejected.clone(),
        partially_invalid: route.partially_invalid.clone(),
        unresolved: route.unresolved.clone(),
        unresolved_open: route.unresolved_open.clone(),
        warnings: route.warnings.clone(),
        warnings_open: route.warnings_open.clone(),
    })
}

/// Clusters under their new names; without one, they cannot be used.
struct Names<'a> {
    names: HashMap<&'a ClusterKey, Option<ClusterKey>>,
    mark: String,
}

impl Names<'_> {
    /// `None`: the cluster cannot be used.
    fn of(&self, key: &ClusterKey) -> Option<ClusterKey> {
        match self.names.get(key) {
            Some(name) => name.clone(),
            None => Some(key.clone()),
        }
    }

    /// The rule with the new names; the same rule, if it has none of the old ones.
    fn rule(&self, rule: &Arc<Rule>) -> Arc<Rule> {
        if !rule.clusters().any(|key| self.names.contains_key(key)) {
            return Arc::clone(rule);
        }
        let key = RuleKey(format!("{}{}", rule.key, self.mark).into());
        let Some(external_auths) = self.external_auths(&rule.gates.external_auths) else {
            // No request may pass where the authenticator cannot be asked.
            let closed = Action::Respond {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                reason: Reason::PolicyFailed,
            };
            let mut closed = Rule::new(key, Arc::clone(&rule.route), closed);
            closed.unlogged = rule.unlogged;
            return Arc::new(closed);
        };
        Arc::new(Rule {
            key,
            gates: Gates {
                external_auths,
                ..rule.gates.clone()
            },
            mirrors: self.mirrors(&rule.mirrors),
            action: self.action(&rule.action),
            ..(**rule).clone()
        })
    }

    /// `None`: an authenticator cannot be asked.
    fn external_auths(&self, auths: &[Arc<ExternalAuth>]) -> Option<Vec<Arc<ExternalAuth>>> {
        let renamed = |auth: &Arc<ExternalAuth>| {
            let cluster = self.of(&auth.cluster)?;
            Some(Arc::new(ExternalAuth {
                cluster,
                ..(**auth).clone()
            }))
        };
        auths.iter().map(renamed).collect()
    }

    /// Copies to clusters that cannot be asked are left out.
    fn mirrors(&self, mirrors: &[Mirror]) -> Vec<Mirror> {
        let renamed = |mirror: &Mirror| {
            let cluster = self.of(&mirror.cluster)?;
            Some(Mirror {
                cluster,
                ..mirror.clone()
            })
        };
        mirrors.iter().filter_map(renamed).collect()
    }

    /// What is passed on as it comes is shown to nobody by us.
    fn stream(&self, stream: &Stream) -> Stream {
        stream.with_open(|rule| {
            if !stream_route::clusters(rule).any(|key| self.names.contains_key(key)) {
                return Arc::clone(rule);
            }
            let mut now = StreamRule::clone(rule);
            now.key = RuleKey(format!("{}{}", rule.key, self.mark).into());
            for backend in &mut now.backends {
                self.rename(&mut backend.target);
            }
            Arc::new(now)
        })
    }

    fn rename(&self, target: &mut Target) {
        if let Target::Cluster(key) = target {
            let now = self.of(key).map(Target::Cluster);
            *target = now.unwrap_or(Target::Invalid(Reason::PolicyFailed));
        }
    }

    fn action(&self, action: &Action) -> Action {
        let Action::Forward(forward) = action else {
            return action.clone();
        };
        let mut forward = forward.clone();
        for backend in &mut forward.backends {
            self.rename(&mut backend.target);
        }
        if let Some(fallback) = &mut forward.fallback {
            let lost = fallback
                .clusters
                .last()
                .is_some_and(|last| self.of(last).is_none());
            if lost {
                // Another Service must not speak for the one that was meant to.
                fallback.statuses.clear();
            }
            let clusters = fallback.clusters.iter().filter_map(|key| self.of(key));
            fallback.clusters = clusters.collect();
        }
        forward.fallback = forward
            .fallback
            .filter(|fallback| !fallback.clusters.is_empty());
        Action::Forward(forward)
    }
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
