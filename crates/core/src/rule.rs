//! Rules of a route for requests: matches, filters and backends come together.

mod fallback;
mod forward;
mod session;
mod timing;
mod told;

use std::{collections::BTreeMap, num::NonZeroU64, sync::Arc};

use api::{Kind, ObjectKey, ObjectRef, condition::reasons, gateway::httproutes::HttpRouteRules};
use http::StatusCode;
use ir::{Action, Forward, Gates, PathMatch, Paths, Reason, RequestMatch, Rule, RuleKey};

use crate::{
    backend::ClusterRef,
    fault::Fault,
    filter::{self, Filters},
    lookup::Lookup,
    matching, policy,
    unknown::Unknown,
};

use forward::Draft;
pub(crate) use timing::duration;
use told::Told;

/// What a rule comes to.
#[derive(Debug, Default)]
pub(crate) struct TranslatedRule {
    /// Usually one. Several when the rule replaces the matched prefix and its matches have different ones.
    pub(crate) variants: Vec<Variant>,
    /// Clusters that backends and mirrors name.
    pub(crate) clusters: Vec<Arc<ClusterRef>>,
    /// How many matches cannot be read, and match nothing.
    pub(crate) lost_matches: usize,
    /// None of its matches can be read: no request meets the rule.
    pub(crate) no_match: bool,
    /// Why the rule answers 500 as a whole, with the matches that can be read.
    pub(crate) faults: Vec<Fault>,
    /// What is wrong with single backends, whose share answers 500.
    pub(crate) backend_faults: Vec<Fault>,
    /// References that cannot be used.
    pub(crate) unresolved: Vec<Fault>,
    /// Values that were not honoured although the rule is served.
    pub(crate) warnings: Vec<String>,
}

/// A rule and the matches that lead to it, with their place in the route.
#[derive(Debug)]
pub(crate) struct Variant {
    pub(crate) rule: Arc<Rule>,
    pub(crate) matches: Vec<(usize, RequestMatch)>,
}

/// The route that a rule belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) reference: &'a ObjectRef,
    /// Likewise: `HTTPRoute/namespace/name`.
    pub(crate) text: &'a Arc<str>,
    /// How paths are read on its hosts.
    pub(crate) paths: Paths,
}

impl<'a> Owner<'a> {
    /// Where it stands.
    pub(crate) fn namespace(self) -> &'a str {
        &self.reference.key.namespace
    }
}

/// Translates one rule; `id` tells it from the others of its route, `place` is where it stands there, and `closed` is
/// why it must not be served whatever it says.
pub(crate) fn translate(
    declared: &HttpRouteRules,
    (id, place, closed): (&str, usize, Option<Fault>),
    owner: Owner<'_>,
    lookup: &Lookup<'_>,
) -> TranslatedRule {
    let by_policy = closing_policy(declared.name.as_deref(), owner, lookup);
    let mut rule = TranslatedRule {
        faults: closed.into_iter().chain(by_policy).collect(),
        ..TranslatedRule::default()
    };
    let mut matches = matches(declared, owner, &mut rule);
    if ignores_case(declared.name.as_deref(), owner, lookup) {
        for (_, matches) in &mut matches {
            matches.path = matches.path.clone().ignoring_case();
        }
    }
    let mut draft = Draft::of((declared, id, place), owner, lookup, &mut rule);
    let gates = gates(declared.name.as_deref(), owner, lookup, &mut rule);
    let told = Told::of(declared.name.as_deref(), owner, lookup, &mut rule);
    let unlogged = is_unlogged(declared.name.as_deref(), owner, lookup);
    let declared_filters = declared.filters.as_deref().unwrap_or_default();
    let groups = by_prefix(matches, filter::replaces_prefix(declared));
    let several = groups.len() > 1;
    let mut drafts = Vec::new();
    for (prefix, matches) in groups {
        let of = filter::Of {
            from: owner.reference,
            matches: &matches,
            prefix: prefix.as_deref(),
            cors: told.cors.unwrap_or_default(),
            lookup,
        };
        let mut filters = filter::parse(declared_filters, of);
        rule.faults.append(&mut filters.faults);
        rule.clusters.append(&mut filters.clusters);
        rule.unresolved.append(&mut filters.lost_mirrors);
        if filters.redirect.is_some() && declared.backend_refs.iter().flatten().next().is_some() {
            rule.faults.push(Fault::new(
                reasons::INCOMPATIBLE_FILTERS,
                "a rule with a redirect takes no backendRefs",
            ));
        }
        let key = match &prefix {
            Some(prefix) if several => format!("{}/{id}@{prefix}/", owner.text),
            _ => format!("{}/{id}", owner.text),
        };
        let forward = draft.forward(prefix.as_deref(), &filters.request, &mut rule);
        drafts.push((key, filters, forward, matches));
    }
    draft.used(&mut rule);
    let unusable = !rule.faults.is_empty()
        || drafts
            .iter()
            .any(|(_, filters, ..)| !filters.missing.is_empty());
    for (key, mut filters, forward, matches) in drafts {
        rule.unresolved.append(&mut filters.missing);
        let closed = respond(Reason::InvalidRule);
        let mut built = Rule::new(RuleKey(key.into()), Arc::clone(owner.text), closed);
        built.unlogged = unlogged;
        told.tell(&mut built);
        if !unusable {
            built.upgrades = upgrades(declared.name.as_deref(), owner, lookup);
        }
        if !unusable {
            phases(&mut built, &gates, filters, forward);
        }
        let built = Arc::new(built);
        rule.variants.push(Variant {
            rule: built,
            matches,
        });
    }
    if unusable {
        rule.clusters.clear();
    }
    rule
}

fn matches(
    declared: &HttpRouteRules,
    owner: Owner<'_>,
    rule: &mut TranslatedRule,
) -> Vec<(usize, RequestMatch)> {
    let declared = declared.matches.as_deref().unwrap_or_default();
    if declared.is_empty() {
        return vec![(0, matching::everything())];
    }
    let mut matches = Vec::with_capacity(declared.len());
    for (index, declared) in declared.iter().enumerate() {
        match matching::parse(declared, owner.paths, &mut rule.warnings) {
            Ok(parsed) => matches.push((index, parsed)),
            Err(fault) => {
                rule.lost_matches += 1;
                rule.faults.push(fault);
            }
        }
    }
    rule.no_match = matches.is_empty();
    matches
}

type Group = (Option<String>, Vec<(usize, RequestMatch)>);

/// Matches in groups that can share a rule: all of them, unless the rule replaces the matched prefix.
fn by_prefix(matches: Vec<(usize, RequestMatch)>, replaces_prefix: bool) -> Vec<Group> {
    if !replaces_prefix || matches.is_empty() {
        let prefix = replaces_prefix.then(String::new);
        return vec![(prefix, matches)];
    }
    let mut groups: BTreeMap<Option<String>, Vec<_>> = BTreeMap::new();
    for (index, matches) in matches {
        let prefix = match &matches.path {
            PathMatch::Prefix(prefix) | PathMatch::PrefixAnyCase(prefix) => {
                Some(prefix.to_string())
            }
            PathMatch::Exact(_) | PathMatch::ExactAnyCase(_) | PathMatch::Regex(_) => None,
        };
        groups.entry(prefix).or_default().push((index, matches));
    }
    groups.into_iter().collect()
}

/// Puts into each phase of a rule what policies and filters have for it.
fn phases(rule: &mut Rule, gates: &Gates, filters: Filters, forward: Result<Forward, Reason>) {
    rule.gates = gates.clone();
    rule.gates.external_auths.extend(filters.external_auths);
    if filters.before_guards {
        rule.gates = std::mem::take(&mut rule.gates).unguarded();
    }
    rule.cors = filters.cors;
    rule.request = filters.request;
    rule.mirrors = filters.mirrors;
    rule.response = filters.response;
    rule.answer_headers = filters.answer_headers.into();
    rule.action = match (filters.redirect, forward) {
        (Some(redirect), _) => redirect,
        (None, Ok(forward)) => Action::Forward(forward),
        (None, Err(reason)) => respond(reason),
    };
}

fn respond(reason: Reason) -> Action {
    Action::Respond {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        reason,
    }
}

/// Protocols that a RoutePolicy lets requests switch to, beside `websocket`.
fn upgrades(name: Option<&str>, owner: Owner<'_>, lookup: &Lookup<'_>) -> Vec<Box<str>> {
    let policies = lookup.route_policies(owner.reference, name);
    let declared = policies.iter().map(|policy| &policy.spec.upgrades);
    let declared = declared.into_iter().find(|protocols| !protocols.is_empty());
    let protocols = declared.into_iter().flatten();
    protocols
        .map(|protocol| protocol.trim().to_ascii_lowercase().into())
        .collect()
}

/// Whether a RoutePolicy keeps the rule out of the access log.
fn is_unlogged(name: Option<&str>, owner: Owner<'_>, lookup: &Lookup<'_>) -> bool {
    let policies = lookup.route_policies(owner.reference, name);
    let logged = policies.iter().find_map(|policy| policy.spec.access_log);
    logged == Some(false)
}

/// Whether a RoutePolicy has the rule's paths match whatever their case.
fn ignores_case(name: Option<&str>, owner: Owner<'_>, lookup: &Lookup<'_>) -> bool {
    let policies = lookup.route_policies(owner.reference, name);
    policies
        .iter()
        .find_map(|policy| policy.spec.ignore_path_case)
        .unwrap_or(false)
}

/// A RoutePolicy that has a field which is not known: what it is to keep out is not known either.
fn closing_policy(name: Option<&str>, owner: Owner<'_>, lookup: &Lookup<'_>) -> Option<Fault> {
    let policies = lookup.route_policies(owner.reference, name);
    policies.into_iter().find_map(|policy| {
        let key = ObjectKey::of(policy);
        let unknown = Unknown::of(lookup.view(), Kind::RoutePolicy, &key);
        let fault = unknown.anywhere(reasons::ROUTE_UNSUPPORTED_VALUE)?;
        let message = format!("RoutePolicy {key}: {}", fault.message);
        Some(Fault::new(fault.reason, message))
    })
}

/// The gates that RoutePolicies put before a rule. One that is wrong closes the rule: it is a fault.
fn gates(
    name: Option<&str>,
    owner: Owner<'_>,
    lookup: &Lookup<'_>,
    rule: &mut TranslatedRule,
) -> Gates {
    let policies = lookup.route_policies(owner.reference, name);
    let specs = || policies.iter().map(|policy| &policy.spec);
    let addresses = specs().find_map(|spec| spec.client_addresses.as_ref());
    let concurrency = specs().find_map(|spec| spec.concurrency.as_ref());
    let limits = specs()
        .map(|spec| &spec.rate_limits)
        .find(|limits| !limits.is_empty());
    // A policy stands in the namespace of what it is for.
    let from = ObjectKey::new(owner.namespace(), "");
    let users = specs().find_map(|spec| spec.basic_auth.as_ref());
    let users = users.map(|auth| {
        let (auth, wrong) = policy::basic_auth(&from, auth, lookup)?;
        rule.warnings.extend(wrong);
        Ok(Arc::new(auth))
    });
    let external = specs().find_map(|spec| spec.external_auth.as_ref());
    let external = external.map(|auth| {
        let (auth, cluster) = policy::external_auth(auth, lookup)?;
        rule.clusters.push(Arc::new(cluster));
        Ok(Arc::new(auth))
    });
    let max_body = specs().find_map(|spec| spec.max_request_body_bytes);
    let faults = &mut rule.faults;
    Gates {
        addresses: sound(addresses.map(policy::client_addresses), faults),
        max_body: max_body.and_then(NonZeroU64::new),
        concurrency: sound(concurrency.map(policy::concurrency_limit), faults),
        basic_auth: sound(users, faults),
        external_auths: sound(external, faults).into_iter().collect(),
        rates: sound(limits.map(|limits| policy::rate_limits(limits)), faults).unwrap_or_default(),
    }
}

/// What was declared, unless it is wrong: then the fault is noted.
fn sound<T>(declared: Option<Result<T, Fault>>, faults: &mut Vec<Fault>) -> Option<T> {
    declared?.map_err(|fault| faults.push(fault)).ok()
}
