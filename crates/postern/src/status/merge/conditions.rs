//! One list of conditions: what others have written stays as and where it is, and ours are brought up to date.

use api::{Condition, condition::Place};
use serde_json::{Value, json};

use super::Stamp;

/// The list that a status should have at a place.
///
/// > Implementations MUST NOT remove or reorder Conditions that they are not directly responsible for. […]
/// > Implementations MUST always _merge_ changes into Conditions of the same Type, rather than creating more than one
/// > Condition of the same Type. […] If the `observedGeneration` of a Condition is _greater than_ the value the
/// > implementation knows about, then it MUST NOT perform the update on that Condition.
///
/// (`GatewayStatus.conditions` of Gateway API; every list of conditions has the same words.) A condition of ours keeps
/// its place in the list, and its time for as long as it does not turn; one that is not wanted any more goes. New ones
/// come at the end. Where others leave no room, the first of `wanted` have it: see [`left_out`].
pub(super) fn merged(
    live: &Value,
    wanted: &[Condition],
    place: Place,
    stamp: &Stamp<'_>,
) -> Vec<Value> {
    let room = room(live, wanted, place);
    let mut wanted: Vec<_> = wanted.iter().take(room).collect();
    let mut merged = Vec::with_capacity(wanted.len());
    for old in items(live) {
        let of_type = |wanted: &&Condition| old["type"] == wanted.type_;
        match wanted.iter().position(of_type) {
            Some(at) => merged.push(updated(old, wanted.remove(at), stamp)),
            None if !is_ours(old, place) || is_newer(old, stamp) => merged.push(old.clone()),
            None => {}
        }
    }
    merged.extend(
        wanted
            .into_iter()
            .map(|new| updated(&Value::Null, new, stamp)),
    );
    merged
}

/// How many of the conditions that are wanted have no room in a list that others have conditions in too.
pub(super) fn left_out(live: &Value, wanted: &[Condition], place: Place) -> usize {
    wanted.len().saturating_sub(room(live, wanted, place))
}

/// How many conditions of ours the list can have.
fn room(live: &Value, wanted: &[Condition], place: Place) -> usize {
    let is_wanted = |old: &Value| wanted.iter().any(|wanted| old["type"] == wanted.type_);
    let foreign = items(live).filter(|old| !is_ours(old, place) && !is_wanted(old));
    Place::LONGEST.saturating_sub(foreign.count())
}

fn is_ours(condition: &Value, place: Place) -> bool {
    condition["type"]
        .as_str()
        .is_some_and(|type_| place.is_ours(type_))
}

/// Whether what is said is of a later version of the object than the one that we know.
fn is_newer(condition: &Value, stamp: &Stamp<'_>) -> bool {
    condition["observedGeneration"].as_i64() > Some(stamp.generation)
}

fn updated(old: &Value, wanted: &Condition, stamp: &Stamp<'_>) -> Value {
    if is_newer(old, stamp) {
        return old.clone();
    }
    let status = json!(wanted.status);
    let since = old["lastTransitionTime"].as_str();
    let since = since.filter(|_| old["status"] == status);
    json!({
        "type": wanted.type_,
        "status": status,
        "reason": wanted.reason,
        "message": wanted.message,
        "observedGeneration": stamp.generation,
        "lastTransitionTime": since.unwrap_or(stamp.now),
    })
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

#[cfg(test)]
#[path = "conditions_tests.rs"]
mod tests;
