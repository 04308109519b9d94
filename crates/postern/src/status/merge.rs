//! The status that a live object should have. Pure: JSON and data in, a merge patch out.

mod conditions;
mod entries;

use api::{Condition, GATEWAY_GROUP, condition::Place};
use entries::{ANCESTORS, Entry, PARENTS};
use gateway_core::{GatewayStatus, ListenerStatus, PolicyStatus, RouteStatus};
use serde_json::{Map, Value, json};

use super::Wanted;

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
                "conditions": conditions::merged(&live["conditions"], &status.conditions, Place::Class, stamp),
                "supportedFeatures": features.map(|name| json!({ "name": name })).collect::<Vec<_>>(),
            })
        }
        Some(Wanted::Gateway(status)) => gateway(live, status, stamp),
        Some(Wanted::Set(status)) => json!({
            "conditions": conditions::merged(&live["conditions"], &status.conditions, Place::ListenerSet, stamp),
            "listeners": listeners(live, &status.listeners, stamp),
        }),
        Some(Wanted::Route(status)) => {
            json!({ PARENTS.field: PARENTS.merged(live, parents(status), stamp) })
        }
        Some(Wanted::Policy(status)) => {
            json!({ ANCESTORS.field: ANCESTORS.merged(live, ancestors(status), stamp) })
        }
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
        "conditions": conditions::merged(&live["conditions"], &status.conditions, Place::Gateway, stamp),
        "listeners": listeners(live, &status.listeners, stamp),
        "attachedListenerSets": status.attached_listener_sets,
        "addresses": status.addresses,
    })
}

fn parents<'a>(status: &'a RouteStatus) -> Vec<Entry<'a>> {
    let parents = status.parents.iter();
    parents
        .map(|p| (&p.parent_ref, &p.conditions[..]))
        .collect()
}

fn ancestors<'a>(status: &'a PolicyStatus) -> Vec<Entry<'a>> {
    let ancestors = status.ancestors.iter();
    ancestors
        .map(|a| (&a.ancestor_ref, &a.conditions[..]))
        .collect()
}

/// Entries that we wrote about an object that is nothing to us any more go; where there never was one, nothing comes.
fn withdrawn(live: &Value, stamp: &Stamp<'_>) -> Value {
    let mut fields = Map::new();
    for list in [PARENTS, ANCESTORS] {
        if live[list.field].is_array() {
            let left = list.merged(live, Vec::new(), stamp);
            fields.insert(list.field.to_owned(), left.into());
        }
    }
    Value::Object(fields)
}

/// How many of the entries and conditions that are wanted have no room in lists that others have theirs in too.
pub(super) fn unlisted(live: &Value, wanted: Option<Wanted<'_>>, controller: &str) -> usize {
    let own = |conditions: &[Condition], place| {
        conditions::left_out(&live["conditions"], conditions, place)
    };
    match wanted {
        Some(Wanted::Class(status)) => own(&status.conditions, Place::Class),
        Some(Wanted::Gateway(status)) => {
            own(&status.conditions, Place::Gateway) + unlisted_of_listeners(live, &status.listeners)
        }
        Some(Wanted::Set(status)) => {
            let of_listeners = unlisted_of_listeners(live, &status.listeners);
            own(&status.conditions, Place::ListenerSet) + of_listeners
        }
        Some(Wanted::Route(status)) => PARENTS.unlisted(live, &parents(status), controller),
        Some(Wanted::Policy(status)) => ANCESTORS.unlisted(live, &ancestors(status), controller),
        Some(Wanted::Ingress(_)) | None => 0,
    }
}

fn unlisted_of_listeners(live: &Value, wanted: &[ListenerStatus]) -> usize {
    let left_out = |wanted: &ListenerStatus| {
        let live = conditions_of_listener(live, &wanted.name);
        conditions::left_out(live, &wanted.conditions, Place::Listener)
    };
    wanted.iter().map(left_out).sum()
}

fn conditions_of_listener<'a>(live: &'a Value, name: &str) -> &'a Value {
    let mut listeners = live["listeners"].as_array().into_iter().flatten();
    let listener = listeners.find(|listener| listener["name"] == name);
    listener.map_or(&Value::Null, |listener| &listener["conditions"])
}

fn listeners(live: &Value, wanted: &[ListenerStatus], stamp: &Stamp<'_>) -> Vec<Value> {
    let listener = |wanted: &ListenerStatus| {
        let live = conditions_of_listener(live, &wanted.name);
        let kinds = wanted.supported_kinds.iter();
        let kinds = kinds.map(|kind| json!({ "group": GATEWAY_GROUP, "kind": kind }));
        json!({
            "name": wanted.name,
            "supportedKinds": kinds.collect::<Vec<_>>(),
            "attachedRoutes": wanted.attached_routes,
            "conditions": conditions::merged(live, &wanted.conditions, Place::Listener, stamp),
        })
    };
    wanted.iter().map(listener).collect()
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
