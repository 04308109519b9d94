//! The status that a live object should have. Pure: JSON and data in, a merge patch out.

use std::borrow::Cow;

use api::{Condition, GATEWAY_GROUP, condition::types};
use gateway_core::{GatewayStatus, ListenerStatus, ParentRef, PolicyStatus, RouteStatus};
use serde_json::{Map, Value, json};

use super::Wanted;

/// Condition types that are ours on Gateways, ListenerSets and GatewayClasses; others are left alone.
const OURS: &[&str] = &[
    types::ACCEPTED,
    types::RESOLVED_REFS,
    types::PROGRAMMED,
    types::CONFLICTED,
    types::PARTIALLY_INVALID,
    types::SUPPORTED_VERSION,
    types::OVERLAPPING_TLS,
    types::INSECURE_FRONTEND,
];

/// What an entry of a route, or of a policy, is about.
const PARENT: &str = "parentRef";
const ANCESTOR: &str = "ancestorRef";

/// What all entries of one write have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp<'a> {
    /// Generation of the object that the status is about.
    pub(super) generation: i64,
    /// For conditions that change: RFC 3339.
    pub(super) now: &'a str,
    /// Which entries are ours.
    pub(super) controller: &'a str,
}

/// The fields of `status` that have to change, as a merge patch; `None`: none.
///
/// A field that is a list is replaced as a whole, with the entries of others as they are.
pub(super) fn patch(live: &Value, wanted: Option<Wanted<'_>>, stamp: &Stamp<'_>) -> Option<Value> {
    let fields = match wanted {
        Some(Wanted::Class(status)) => {
            let features = status.supported_features.iter();
            json!({
                "conditions": conditions(&live["conditions"], &status.conditions, stamp),
                "supportedFeatures": features.map(|name| json!({ "name": name })).collect::<Vec<_>>(),
            })
        }
        Some(Wanted::Gateway(status)) => gateway(live, status, stamp),
        Some(Wanted::Set(status)) => json!({
            "conditions": conditions(&live["conditions"], &status.conditions, stamp),
            "listeners": listeners(&live["listeners"], &status.listeners, stamp),
        }),
        Some(Wanted::Route(status)) => parents(live, status, stamp),
        Some(Wanted::Policy(status)) => ancestors(live, status, stamp),
        // Of Ingresses we write more than the status: see `published`.
        Some(Wanted::Ingress(_)) => return None,
        None => withdrawn(live, stamp),
    };
    let mut changed = Map::new();
    for (field, value) in fields.as_object().into_iter().flatten() {
        // A list without entries and no list are the same.
        let empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        if live[field] != *value && !(empty(&live[field]) && empty(value)) {
            changed.insert(field.clone(), value.clone());
        }
    }
    (!changed.is_empty()).then_some(Value::Object(changed))
}

fn gateway(live: &Value, status: &GatewayStatus, stamp: &Stamp<'_>) -> Value {
    json!({
        "conditions": conditions(&live["conditions"], &status.conditions, stamp),
        "listeners": listeners(&live["listeners"], &status.listeners, stamp),
        "attachedListenerSets": status.attached_listener_sets,
        "addresses": status.addresses,
    })
}

fn parents(live: &Value, status: &RouteStatus, stamp: &Stamp<'_>) -> Value {
    let wanted = status
        .parents
        .iter()
        .map(|p| (&p.parent_ref, &p.conditions[..]));
    json!({ "parents": entries(&live["parents"], PARENT, wanted.collect(), stamp) })
}

fn ancestors(live: &Value, status: &PolicyStatus, stamp: &Stamp<'_>) -> Value {
    let wanted = status
        .ancestors
        .iter()
        .map(|a| (&a.ancestor_ref, &a.conditions[..]));
    json!({ "ancestors": entries(&live["ancestors"], ANCESTOR, wanted.collect(), stamp) })
}

/// Entries that we wrote about an object that is nothing to us any more go; where there never was one, nothing comes.
fn withdrawn(live: &Value, stamp: &Stamp<'_>) -> Value {
    let mut fields = Map::new();
    for (list, reference) in [("parents", PARENT), ("ancestors", ANCESTOR)] {
        if live[list].is_array() {
            fields.insert(
                list.to_owned(),
                entries(&live[list], reference, Vec::new(), stamp).into(),
            );
        }
    }
    Value::Object(fields)
}

/// How many of the entries that are wanted have no room in a list that others have entries in too.
pub(super) fn unlisted(live: &Value, wanted: Option<Wanted<'_>>, controller: &str) -> usize {
    match wanted {
        Some(Wanted::Route(status)) => {
            let room = room(&live["parents"], PARENT, controller);
            status.parents.len().saturating_sub(room)
        }
        Some(Wanted::Policy(status)) => {
            let room = room(&live["ancestors"], ANCESTOR, controller);
            status.ancestors.len().saturating_sub(room)
        }
        _ => 0,
    }
}

/// How many entries of ours the list can have.
///
/// > If this slice is full, implementations MUST NOT add further entries.
fn room(live: &Value, reference: &str, controller: &str) -> usize {
    let entries = live.as_array().into_iter().flatten();
    let others = entries.filter(|entry| entry["controllerName"] != controller);
    longest(reference).saturating_sub(others.count())
}

/// The entries that there is room for, in the order in which they are wanted; the last one says how many are left out.
fn bounded<'a>(
    mut wanted: Vec<(&'a ParentRef, &'a [Condition])>,
    room: usize,
) -> Vec<(&'a ParentRef, Cow<'a, [Condition]>)> {
    let left_out = wanted.len().saturating_sub(room);
    wanted.truncate(room);
    let kept = wanted.into_iter();
    let mut kept: Vec<_> = kept.map(|(of, all)| (of, Cow::Borrowed(all))).collect();
    if left_out > 0
        && let Some((_, conditions)) = kept.last_mut()
        && let Some(first) = conditions.to_mut().first_mut()
    {
        if !first.message.is_empty() {
            first.message.push_str("; ");
        }
        let more = format!("the list is full: {left_out} more of our entries are not in it");
        first.message.push_str(&more);
    }
    kept
}

/// Entries by controller and reference: those of others stay where and as they are, ours are brought up to date.
fn entries(
    live: &Value,
    reference: &str,
    wanted: Vec<(&ParentRef, &[Condition])>,
    stamp: &Stamp<'_>,
) -> Vec<Value> {
    let entry = |live: &Value, (object, wanted): (&ParentRef, Cow<'_, [Condition]>)| {
        json!({
            reference: object,
            "controllerName": stamp.controller,
            "conditions": own_conditions(&live["conditions"], &wanted, stamp),
        })
    };
    let mut wanted = bounded(wanted, room(live, reference, stamp.controller));
    let mut entries = Vec::new();
    for old in live.as_array().into_iter().flatten() {
        if old["controllerName"] != stamp.controller {
            entries.push(old.clone());
            continue;
        }
        let about = |(object, _): &(&ParentRef, _)| json!(object) == old[reference];
        if let Some(at) = wanted.iter().position(about) {
            entries.push(entry(old, wanted.remove(at)));
        }
    }
    entries.extend(wanted.into_iter().map(|new| entry(&Value::Null, new)));
    entries
}

/// How many entries the API server takes.
fn longest(reference: &str) -> usize {
    match reference {
        PARENT => 32,
        _ => 16,
    }
}

fn listeners(live: &Value, wanted: &[ListenerStatus], stamp: &Stamp<'_>) -> Vec<Value> {
    let listener = |wanted: &ListenerStatus| {
        let mut live = live.as_array().into_iter().flatten();
        let live = live.find(|live| live["name"] == wanted.name.as_str());
        let live = live.map_or(&Value::Null, |live| &live["conditions"]);
        let kinds = wanted.supported_kinds.iter();
        let kinds = kinds.map(|kind| json!({ "group": GATEWAY_GROUP, "kind": kind }));
        json!({
            "name": wanted.name,
            "supportedKinds": kinds.collect::<Vec<_>>(),
            "attachedRoutes": wanted.attached_routes,
            "conditions": own_conditions(live, &wanted.conditions, stamp),
        })
    };
    wanted.iter().map(listener).collect()
}

/// Conditions of an object that others may have conditions on too.
fn conditions(live: &Value, wanted: &[Condition], stamp: &Stamp<'_>) -> Vec<Value> {
    let ours = |condition: &Value| {
        let type_ = condition["type"].as_str().unwrap_or_default();
        OURS.contains(&type_)
    };
    let foreign = live
        .as_array()
        .into_iter()
        .flatten()
        .filter(|condition| !ours(condition));
    let own = own_conditions(live, wanted, stamp);
    own.into_iter().chain(foreign.cloned()).collect()
}

/// A condition keeps its time for as long as it does not turn.
fn own_conditions(live: &Value, wanted: &[Condition], stamp: &Stamp<'_>) -> Vec<Value> {
    let condition = |wanted: &Condition| {
        let status = json!(wanted.status);
        let live = live.as_array().into_iter().flatten();
        let same = live.filter(|l| l["type"] == wanted.type_ && l["status"] == status);
        let since = same.filter_map(|l| l["lastTransitionTime"].as_str()).next();
        json!({
            "type": wanted.type_,
            "status": status,
            "reason": wanted.reason,
            "message": wanted.message,
            "observedGeneration": stamp.generation,
            "lastTransitionTime": since.unwrap_or(stamp.now),
        })
    };
    wanted.iter().map(condition).collect()
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
