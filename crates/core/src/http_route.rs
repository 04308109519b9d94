//! HTTPRoutes, and what other routes for requests have in common with them.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::Hasher as _,
    sync::Arc,
};

use api::{
    ObjectKey, ObjectRef, annotation,
    condition::reasons,
    gateway::{
        HttpRoute,
        httproutes::{HttpRouteRules, HttpRouteRulesMatches},
    },
};
use fnv::FnvHasher;
use ir::{HostPattern, HostSettings, RequestMatch, Route};
use kube::ResourceExt;

use crate::{
    fault::{self, Fault},
    filter::unsupported,
    host,
    lookup::Lookup,
    precedence::{Age, Precedence, RouteOrder},
    route::{Awaited, Entry, TranslatedRoute},
    rule::{self, Owner, TranslatedRule},
    unknown::Unknown,
};

/// Translates one route.
pub(crate) fn translate(
    reference: &ObjectRef,
    route: &HttpRoute,
    lookup: &Lookup<'_>,
) -> TranslatedRoute {
    let mut warnings = Vec::new();
    let order = Arc::new(RouteOrder::of(route, &mut warnings));
    let everything = [HttpRouteRules::default()];
    let requests = Requests {
        reference,
        hostnames: route.spec.hostnames.as_deref().unwrap_or_default(),
        rules: match route.spec.rules.as_deref() {
            None | Some([]) => &everything[..],
            Some(rules) => rules,
        },
        fallthrough: host_fallthrough(route, &mut warnings),
        https: scheme(route, &mut warnings),
        host_settings: host::settings(route, &mut warnings),
        age: Age::vouched(route),
    };
    let rank = |(rule, index): (usize, usize), matches: &RequestMatch| {
        Precedence::of(matches, &order, rule, index)
    };
    let awaits = with_listener(route, &mut warnings);
    TranslatedRoute {
        awaits,
        ..requests.translate(rank, warnings, lookup)
    }
}

/// A route for requests, in the words of HTTPRoute.
pub(crate) struct Requests<'a> {
    pub(crate) reference: &'a ObjectRef,
    pub(crate) hostnames: &'a [String],
    pub(crate) rules: &'a [HttpRouteRules],
    /// Requests that match none of the rules go on to wider hosts.
    pub(crate) fallthrough: bool,
    /// Only requests over TLS, or without.
    pub(crate) https: Option<bool>,
    /// What holds for its hosts as a whole.
    pub(crate) host_settings: HostSettings,
    /// As in [`TranslatedRoute`].
    pub(crate) age: Age,
}

impl Requests<'_> {
    /// Translates the rules; `rank` gives the precedence of a match, by the places of rule and match.
    pub(crate) fn translate(
        &self,
        rank: impl Fn((usize, usize), &RequestMatch) -> Precedence,
        mut warnings: Vec<String>,
        lookup: &Lookup<'_>,
    ) -> TranslatedRoute {
        let text: Arc<str> = self.reference.to_string().into();
        let owner = Owner {
            reference: self.reference,
            text: &text,
            paths: self.host_settings.paths,
        };
        let Self { reference, .. } = self;
        let unknown = Unknown::of(lookup.view(), reference.kind, &reference.key);
        warnings.extend(unknown.unused_in_rules());
        let (hosts, host_faults) = hosts(self.hostnames);
        let mut outcome = Outcome::default();
        let matches = self.rules.iter();
        let matches = matches.map(|rule| rule.matches.as_ref().map_or(1, Vec::len));
        let (mut entries, mut clusters) = (Vec::with_capacity(matches.sum()), Vec::new());
        for (index, (declared, id)) in self.rules.iter().zip(ids(self.rules)).enumerate() {
            let closed = unknown.rule(index, reasons::ROUTE_UNSUPPORTED_VALUE);
            let mut rule = rule::translate(declared, (&id, index, closed), owner, lookup);
            clusters.append(&mut rule.clusters);
            for variant in std::mem::take(&mut rule.variants) {
                for (match_index, matches) in variant.matches {
                    entries.push(Entry {
                        precedence: rank((index, match_index), &matches),
                        route: Route {
                            matches,
                            host_fallthrough: self.fallthrough,
                            https: self.https,
                            rule: Arc::clone(&variant.rule),
                        },
                    });
                }
            }
            outcome.add(index, declared.name.as_deref(), rule);
        }
        warnings.append(&mut outcome.warnings);
        warnings.extend(same_names(self.rules));
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
            stream: None,
            clusters,
            hosts,
            host_settings: self.host_settings,
            age: self.age.clone(),
            awaits: None,
            rejected,
            partially_invalid,
            unresolved: Fault::join(&outcome.unresolved),
            unresolved_open: None,
            warnings: fault::join(warnings.iter().map(String::as_str)),
            warnings_open: String::new(),
        }
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
            let own = rule.variants.first();
            let own = own.and_then(|variant| variant.rule.statuses.invalid_rule);
            let status = own.map_or(500, |own| own.as_u16());
            let effect = match (rule.no_match, rule.lost_matches) {
                (true, _) => {
                    "which matches nothing: requests meet other rules, or are answered 404"
                        .to_owned()
                }
                (false, 0) => format!("which answers {status}"),
                (false, _) => format!(
                    "which answers {status}, and whose matches that cannot be read match nothing"
                ),
            };
            let message = format!("Dropped Rule {label}, {effect}: {}", fault.message);
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

pub(crate) fn host_fallthrough(route: &impl ResourceExt, warnings: &mut Vec<String>) -> bool {
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

pub(crate) fn scheme(route: &impl ResourceExt, warnings: &mut Vec<String>) -> Option<bool> {
    let value = route.annotations().get(annotation::SCHEME)?;
    match value.trim() {
        "https" => Some(true),
        "http" => Some(false),
        other => {
            warnings.push(format!(
                "annotation {}: {other:?} is neither http nor https and is not used",
                annotation::SCHEME
            ));
            None
        }
    }
}

/// The listener that the route waits for.
fn with_listener(route: &HttpRoute, warnings: &mut Vec<String>) -> Option<Box<Awaited>> {
    let text = route.annotations().get(annotation::WITH_LISTENER)?.trim();
    let mut parts = text.split('/');
    let parts = [parts.next(), parts.next(), parts.next(), parts.next()];
    match parts {
        [Some(namespace), Some(name), Some(listener), None]
            if ![namespace, name, listener].contains(&"") =>
        {
            Some(Box::new(Awaited {
                set: ObjectKey::new(namespace, name),
                listener: listener.into(),
            }))
        }
        _ => {
            warnings.push(format!(
                "annotation {}: {text:?} is not namespace/name/listener and is not used",
                annotation::WITH_LISTENER
            ));
            None
        }
    }
}

/// Hosts that can be served, distinct, and faults for the others.
pub(crate) fn hosts(declared: &[String]) -> (Option<Vec<HostPattern>>, Vec<Fault>) {
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

/// What is to be said of rules that share a name.
///
/// > Rule name must be unique within the route.
///
/// API servers see to it since 1.7; older definitions and files do not.
fn same_names(rules: &[HttpRouteRules]) -> Option<String> {
    let mut seen = BTreeSet::new();
    let names = rules.iter().filter_map(|rule| rule.name.as_deref());
    let shared: BTreeSet<_> = names.filter(|name| !seen.insert(*name)).collect();
    let shared: Vec<_> = shared.into_iter().collect();
    (!shared.is_empty()).then(|| {
        format!(
            "several rules have the name {}: a policy for that name holds for each of them; names of rules are to be unique",
            shared.join(", ")
        )
    })
}

/// What an API server lets pass; anything else might look like one of the marks that tell identities apart.
fn legal_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    !name.is_empty() && name.bytes().all(legal)
}

/// A short hash of matches.
fn digest(matches: &[HttpRouteRulesMatches]) -> String {
    let json = serde_json::to_vec(matches).expect("plain structs with text keys are valid JSON");
    format!("{:010x}", fnv(&json) >> 24)
}

/// FNV-1a, the same in every build.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
#[path = "http_route_tests.rs"]
mod tests;
