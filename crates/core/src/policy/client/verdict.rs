//! What is to be said about ClientPolicies: also on which listeners they do nothing. All that they ask for is about TLS
//! that ends at the gateway.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{ClientPolicy, Kind, ObjectKey, PolicyTarget, condition::reasons};
use tracked::Changes;

use crate::{
    changes::spare_listeners,
    fault::Fault,
    gateway::Parents,
    listener::Listener,
    lookup::Lookup,
    policy::{Held, Verdicts, named, verdict::judge},
    protocol::Protocol,
    status::PolicyStatus,
};

/// How many listeners are named.
const NAMED: usize = 5;

/// What is to be said about each policy.
pub(crate) fn verdicts(
    verdicts: &mut Verdicts,
    held: &Held<ClientPolicy>,
    (lookup, changes): (&Lookup<'_>, &Changes),
    parents: &Parents<'_>,
) -> BTreeMap<ObjectKey, Arc<PolicyStatus>> {
    let policy_judged = |key: &ObjectKey, policy: &Arc<ClientPolicy>| {
        let of_use = |target: &PolicyTarget| of_use((key, policy), target, parents);
        judge(held, (key, policy), lookup, of_use)
    };
    // A policy for a Gateway is about listeners of other objects, too.
    let stale = match spare_listeners(changes) {
        true => BTreeSet::new(),
        false => lookup
            .view()
            .all::<ClientPolicy>()
            .keys()
            .cloned()
            .collect(),
    };
    verdicts.update((lookup, changes), stale, policy_judged)
}

const NO_HEADERS: &str = "headers does nothing on listeners that serve no HTTP";
const NO_PATHS: &str = "paths does nothing on listeners that serve no HTTP";

/// What of a policy does nothing at a target, or why all of it does nothing.
fn of_use(
    (key, policy): (&ObjectKey, &ClientPolicy),
    target: &PolicyTarget,
    parents: &Parents<'_>,
) -> Result<String, Fault> {
    let Some((kind, object)) = named::<ClientPolicy>(key, target) else {
        return Ok(String::new());
    };
    let section = target.section_name.as_deref();
    let meant = parents.meant(kind, &object).iter();
    let meant = meant.filter(|listener| section.is_none_or(|section| section == listener.name));
    // Of one whose protocol is not known, nothing can be said; it says so itself.
    let meant: Vec<_> = meant
        .filter(|listener| listener.protocol.is_some())
        .collect();
    let spec = &policy.spec;
    let idle = [
        spec.tls.as_ref().and_then(|_| without_tls(&meant)),
        { spec.headers.as_ref() }.and_then(|_| without_http(&meant, NO_HEADERS)),
        { spec.paths.as_ref() }.and_then(|_| without_http(&meant, NO_PATHS)),
    ];
    let settings = [
        spec.tls.is_some(),
        spec.headers.is_some(),
        spec.paths.is_some(),
    ];
    let used = settings.iter().filter(|used| **used).count();
    let useless = { idle.iter().flatten() }.filter(|idle| idle.everywhere);
    let closed = used > 0 && useless.count() == used;
    let what: Vec<_> = { idle.iter().flatten() }
        .map(|idle| {
            let names = names(&idle.listeners, (kind, &object));
            format!("{}: {names}", idle.what)
        })
        .collect();
    match closed {
        true => Err(Fault::new(reasons::INVALID, what.join("; "))),
        false => Ok(what.join("; ")),
    }
}

/// Listeners on which a setting does nothing.
struct Idle<'a> {
    what: &'static str,
    listeners: Vec<&'a Listener<'a>>,
    /// There are no others.
    everywhere: bool,
}

/// Those at which no TLS ends.
fn without_tls<'a>(meant: &[&'a Listener<'a>]) -> Option<Idle<'a>> {
    let (ending, mut others): (Vec<&Listener<'_>>, Vec<&Listener<'_>>) = meant
        .iter()
        .copied()
        .partition(|listener| listener.terminates());
    // Listeners without TLS beside those with it are as expected.
    if !ending.is_empty() {
        others.retain(|listener| listener.protocol == Some(Protocol::Passthrough));
    }
    (!others.is_empty()).then_some(Idle {
        what: "tls does nothing on listeners at which no TLS ends",
        listeners: others,
        everywhere: ending.is_empty(),
    })
}

/// Those that serve no HTTP.
fn without_http<'a>(meant: &[&'a Listener<'a>], what: &'static str) -> Option<Idle<'a>> {
    let streams = |listener: &&&Listener<'_>| listener.protocol.is_some_and(Protocol::streams);
    let others: Vec<_> = meant.iter().filter(streams).copied().collect();
    // Streams beside HTTP are as expected.
    let everywhere = others.len() == meant.len();
    (everywhere && !others.is_empty()).then_some(Idle {
        what,
        listeners: others,
        everywhere,
    })
}

/// Names of listeners; of those that are not the target's own, with the ListenerSet.
fn names(listeners: &[&Listener<'_>], target: (Kind, &ObjectKey)) -> String {
    let name = |listener: &&Listener<'_>| match listener.owner {
        owner if owner == target => listener.name.to_owned(),
        _ => listener.key().to_string(),
    };
    let first: Vec<_> = listeners.iter().take(NAMED).map(name).collect();
    let text = first.join(", ");
    match listeners.len().saturating_sub(NAMED) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
