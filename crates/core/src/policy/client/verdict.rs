//! What is to be said about ClientPolicies: also on which listeners they do nothing. All that they ask for is about TLS that
//! ends at the gateway.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{ClientPolicy, Kind, ObjectKey, PolicyTarget, condition::reasons};

use crate::{
    changes::Changes,
    fault::Fault,
    gateway::Parents,
    listener::Listener,
    lookup::Lookup,
    policy::{Verdicts, named, verdict::judge},
    protocol::Protocol,
    status::PolicyStatus,
};

/// How many listeners are named.
const NAMED: usize = 5;

/// What is to be said about each policy.
pub(crate) fn verdicts(
    verdicts: &mut Verdicts,
    (lookup, changes): (&Lookup<'_>, &Changes),
    parents: &Parents<'_>,
) -> BTreeMap<ObjectKey, Arc<PolicyStatus>> {
    let held = &lookup.policies.client;
    let policy_judged = |key: &ObjectKey, policy: &Arc<ClientPolicy>| {
        let of_use = |target: &PolicyTarget| of_use((key, policy), target, parents);
        judge(held, (key, policy), lookup, of_use)
    };
    // A policy for a Gateway is about listeners of other objects, too.
    let stale = match changes.spare_listeners() {
        true => BTreeSet::new(),
        false => lookup.resources.client_policies.keys().cloned().collect(),
    };
    verdicts.update((lookup, changes), stale, policy_judged)
}

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
    // Of one that speaks what nobody knows, nothing can be said; it says so itself.
    let meant = meant.filter(|listener| listener.protocol.is_some());
    let (ending, mut not_ending): (Vec<_>, Vec<_>) =
        meant.partition(|listener| listener.terminates());
    // Nobody expects anything else of listeners without TLS beside those with it.
    if !ending.is_empty() {
        not_ending.retain(|listener| listener.protocol == Some(Protocol::Passthrough));
    }
    if policy.spec.tls.is_none() || not_ending.is_empty() {
        return Ok(String::new());
    }
    let what = format!(
        "tls does nothing on listeners at which no TLS ends: {}",
        names(&not_ending, (kind, &object))
    );
    match ending.is_empty() {
        true => Err(Fault::new(reasons::INVALID, what)),
        false => Ok(what),
    }
}

/// Names of listeners; of those that are not the target's own, with the ListenerSet.
fn names(listeners: &[&Listener<'_>], target: (Kind, &ObjectKey)) -> String {
    let name = |listener: &&Listener<'_>| match listener.owner {
        owner if owner == target => listener.name.to_owned(),
        (_, set) => format!("{set}/{}", listener.name),
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
