//! HTTPRoutes: what one comes to, apart from where it attaches.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{
    Condition, Kind, ObjectKey, ObjectRef, annotation,
    condition::{reasons, types},
    gateway::{
        HttpRoute,
        httproutes::{HttpRouteRules, HttpRouteRulesMatches},
    },
};
use ir::{HostPattern, Route};
use kube::ResourceExt;

use crate::{
    attach::Place,
    backend::ClusterRef,
    changes::Changes,
    dependents::{Dependents, topics},
    fault::{self, Fault},
    filter::unsupported,
    gateway::Parents,
    listener::Listener,
    lookup::{Lookup, Read},
    precedence::{Precedence, RouteOrder},
    rule::{self, Owner, TranslatedRule},
};

/// A match of a route, ready to be sorted into virtual hosts.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) precedence: Precedence,
    pub(crate) route: Route,
}

/// What an HTTPRoute comes to.
#[derive(Debug)]
pub(crate) struct TranslatedRoute {
    pub(crate) entries: Vec<Entry>,
    pub(crate) clusters: Vec<Arc<ClusterRef>>,
    /// Hosts; `None`: those of the listener.
    pub(crate) hosts: Option<Vec<HostPattern>>,
    /// Why no parent can accept it.
    rejected: Option<Fault>,
    partially_invalid: Option<Fault>,
    unresolved: Option<Fault>,
    warnings: String,
}

impl TranslatedRoute {
    /// Whether nothing in the route itself keeps it from being accepted.
    pub(crate) const fn acceptable(&self) -> bool {
        self.rejected.is_none()
    }

    /// Conditions for a parent to which the route does or does not attach.
    pub(crate) fn conditions(&self, attached: Result<(), &Fault>) -> Vec<Condition> {
        let accepted = match (attached, &self.rejected) {
            (Err(fault), _) | (Ok(()), Some(fault)) => fault.fails(types::ACCEPTED),
            (Ok(()), None) => {
                Condition::holds(types::ACCEPTED, reasons::ACCEPTED, self.warnings.clone())
            }
        };
        let resolved = match &self.unresolved {
            Some(fault) => fault.fails(types::RESOLVED_REFS),
            None => Condition::ok(types::RESOLVED_REFS),
        };
        let partial = self.partially_invalid.as_ref().map(|fault| {
            Condition::holds(
                types::PARTIALLY_INVALID,
                fault.reason,
                fault.message.clone(),
            )
        });
        [accepted, resolved].into_iter().chain(partial).collect()
    }
}

/// What came of routes, for as long as they and all that was read for them stay the same.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    known: BTreeMap<ObjectKey, Known>,
    dependents: Dependents,
}

#[derive(Debug)]
pub(crate) struct Known {
    reads: Box<[Read]>,
    pub(crate) outcome: Arc<TranslatedRoute>,
    /// Where it attaches, for as long as listeners stay the same; without any parent of ours, nowhere.
    pub(crate) place: Place,
}

impl Known {
    /// Whether requests can come to the route.
    pub(crate) fn is_served(&self, parents: &Parents<'_>) -> bool {
        let listeners = self.place.iter().flat_map(|(hosts, _)| hosts);
        let mut listeners = listeners.map(|(listener, _)| &parents.listeners[*listener]);
        listeners.any(Listener::programmed)
    }
}

/// Which routes are not what they were, or not where they were.
#[derive(Debug)]
pub(crate) enum Moved {
    /// Listeners have changed, so all of them.
    All,
    /// These, each with what it was.
    Some(Vec<(ObjectKey, Option<Known>)>),
}

impl Memo {
    /// Brings what is known up to date. `place` says where a route attaches.
    pub(crate) fn update(
        &mut self,
        lookup: &Lookup<'_>,
        changes: &Changes,
        place: impl Fn(&ObjectKey, &HttpRoute, &TranslatedRoute) -> Place,
    ) -> Moved {
        let routes = &lookup.resources.http_routes;
        let stale = self.stale(lookup, changes);
        let listeners_stay = changes.spare_listeners();
        let mut moved = Vec::with_capacity(stale.len());
        for key in stale {
            let before = self.known.remove(&key);
            if let Some(before) = &before {
                self.dependents.remove(&key, topics(&before.reads));
            }
            if let Some(route) = routes.get(&key) {
                lookup.take_reads();
                let outcome = Arc::new(translate(&key, route, lookup));
                let reads = lookup.take_reads().into_boxed_slice();
                self.dependents.add(&key, topics(&reads));
                // Else all of them find their places below.
                let place = listeners_stay
                    .then(|| place(&key, route, &outcome))
                    .flatten();
                let known = Known {
                    reads,
                    outcome,
                    place,
                };
                self.known.insert(key.clone(), known);
            }
            moved.push((key, before));
        }
        if listeners_stay {
            return Moved::Some(moved);
        }
        for (key, known) in &mut self.known {
            if let Some(route) = routes.get(key) {
                known.place = place(key, route, &known.outcome);
            }
        }
        Moved::All
    }

    fn stale(&self, lookup: &Lookup<'_>, changes: &Changes) -> BTreeSet<ObjectKey> {
        let Changes::Some(all) = changes else {
            return lookup.resources.http_routes.keys().cloned().collect();
        };
        let grants_stand = |key: &ObjectKey| {
            let known = self.known.get(key);
            known.is_none_or(|known| lookup.grants_stand(&known.reads))
        };
        let mut stale = self.dependents.stale(changes, lookup, grants_stand);
        let own = all.iter().map(|change| &change.reference);
        let own = own.filter(|reference| reference.kind == Kind::HttpRoute);
        stale.extend(own.map(|reference| reference.key.clone()));
        stale
    }

    /// A route that was translated.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&Known> {
        self.known.get(key)
    }

    /// All of them, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ObjectKey, &Known)> {
        self.known.iter()
    }
}

/// Translates one route.
fn translate(key: &ObjectKey, route: &HttpRoute, lookup: &Lookup<'_>) -> TranslatedRoute {
    let mut warnings = Vec::new();
    let order = Arc::new(RouteOrder::of(route, &mut warnings));
    let fallthrough = host_fallthrough(route, &mut warnings);
    let text: Arc<str> = ObjectRef::new(Kind::HttpRoute, key.clone())
        .to_string()
        .into();
    let owner = Owner { key, text: &text };
    let everything = [HttpRouteRules::default()];
    let declared = match route.spec.rules.as_deref() {
        None | Some([]) => &everything[..],
        Some(rules) => rules,
    };
    let (hosts, host_faults) = hosts(route);
    let mut outcome = Outcome::default();
    let matches = declared
        .iter()
        .map(|rule| rule.matches.as_ref().map_or(1, Vec::len));
    let (mut entries, mut clusters) = (Vec::with_capacity(matches.sum()), Vec::new());
    for (index, (declared, id)) in declared.iter().zip(ids(declared)).enumerate() {
        let mut rule = rule::translate(declared, &id, owner, lookup);
        clusters.append(&mut rule.clusters);
        for variant in std::mem::take(&mut rule.variants) {
            for (match_index, matches) in variant.matches {
                entries.push(Entry {
                    precedence: Precedence::of(&matches, &order, index, match_index),
                    route: Route {
                        matches,
                        host_fallthrough: fallthrough,
                        rule: Arc::clone(&variant.rule),
                    },
                });
            }
        }
        outcome.add(index, declared.name.as_deref(), rule);
    }
    warnings.append(&mut outcome.warnings);
    let hostless = hosts.as_ref().is_some_and(Vec::is_empty);
    let (rejected, partially_invalid) = if hostless {
        (Fault::join(&host_faults), None)
    } else if outcome.good == 0 {
        (Fault::join(&outcome.faults), None)
    } else {
        let faults = [outcome.faults, host_faults].concat();
        (None, Fault::join(&faults))
    };
    TranslatedRoute {
        entries,
        clusters,
        hosts,
        rejected,
        partially_invalid,
        unresolved: Fault::join(&outcome.unresolved),
        warnings: fault::join(warnings.iter().map(String::as_str)),
    }
}

/// What the rules of a route have to say.
#[derive(Debug, Default)]
struct Outcome {
    good: usize,
    faults: Vec<Fault>,
    unresolved: Vec<Fault>,
    warnings: Vec<String>,
}

impl Outcome {
    fn add(&mut self, index: usize, name: Option<&str>, rule: TranslatedRule) {
        let number = index + 1;
        let label = name.map_or_else(|| number.to_string(), |name| format!("{number} ({name})"));
        // > The message for this condition MUST start with the prefix "Dropped Rule" and include information about
        // > which Rules have been dropped.
        if let Some(fault) = Fault::join(&rule.faults) {
            let message = format!("Dropped Rule {label}, which answers 500: {}", fault.message);
            self.faults.push(Fault::new(fault.reason, message));
        } else {
            self.good += 1;
        }
        if let Some(fault) = Fault::join(&rule.backend_faults) {
            let message = format!("Dropped Rule {label} in part: {}", fault.message);
            self.faults.push(Fault::new(fault.reason, message));
        }
        self.unresolved.extend(rule.unresolved);
        let warnings = rule.warnings.into_iter();
        self.warnings
            .extend(warnings.map(|warning| format!("rule {label}: {warning}")));
    }
}

fn host_fallthrough(route: &HttpRoute, warnings: &mut Vec<String>) -> bool {
    let value = route.annotations().get(annotation::HOST_FALLTHROUGH);
    match value.map(|value| value.trim()) {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            warnings.push(format!(
                "annotation {}: {other:?} is neither true nor false and is not used",
                annotation::HOST_FALLTHROUGH
            ));
            false
        }
    }
}

/// Hosts that can be served, distinct, and faults for the others.
fn hosts(route: &HttpRoute) -> (Option<Vec<HostPattern>>, Vec<Fault>) {
    let declared = route.spec.hostnames.as_deref().unwrap_or_default();
    if declared.is_empty() {
        return (None, Vec::new());
    }
    let (mut hosts, mut faults) = (BTreeSet::new(), Vec::new());
    for text in declared {
        match HostPattern::parse(text) {
            Ok(host) => drop(hosts.insert(host)),
            Err(error) => faults.push(unsupported(format!("Dropped hostname: {error}"))),
        }
    }
    (Some(hosts.into_iter().collect()), faults)
}

/// An identity for each rule that survives reordering: its name, or what it matches. Equal ones are told apart by
/// their order among themselves.
fn ids(rules: &[HttpRouteRules]) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let id = |rule: &HttpRouteRules| {
        let name = rule.name.as_ref().filter(|name| legal_name(name));
        let id = match name {
            Some(name) => name.clone(),
            None => digest(rule.matches.as_deref().unwrap_or_default()),
        };
        let count = seen.entry(id.clone()).or_default();
        *count += 1;
        match *count {
            1 => id,
            count => format!("{id}~{count}"),
        }
    };
    rules.iter().map(id).collect()
}

/// What an API server lets pass; anything else might look like one of the marks that tell identities apart.
fn legal_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    !name.is_empty() && name.bytes().all(legal)
}

/// A short hash of matches (FNV-1a), the same in every build.
fn digest(matches: &[HttpRouteRulesMatches]) -> String {
    let json = serde_json::to_vec(matches).expect("plain structs with text keys are valid JSON");
    let hash = json.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{:010x}", hash >> 24)
}

#[cfg(test)]
#[path = "http_route_tests.rs"]
mod tests;
