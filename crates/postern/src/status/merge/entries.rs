//! Lists with an entry for each controller and object: those of others stay where and as they are.

use std::borrow::Cow;

use api::{Condition, condition::Place};
use gateway_core::ParentRef;
use serde_json::{Value, json};

use super::{Stamp, conditions};

/// What an entry is about, and what is to be said of it.
pub(super) type Entry<'a> = (&'a ParentRef, &'a [Condition]);

/// A list of such entries in a status.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    /// The list's name.
    pub(super) field: &'static str,
    /// The field of an entry that says what it is about.
    reference: &'static str,
    /// How many entries the API server takes.
    longest: usize,
    place: Place,
}

/// Of a route.
pub(super) const PARENTS: List = List {
    field: "parents",
    reference: "parentRef",
    longest: 32,
    place: Place::Parent,
};

/// Of a policy.
pub(super) const ANCESTORS: List = List {
    field: "ancestors",
    reference: "ancestorRef",
    longest: 16,
    place: Place::Ancestor,
};

impl List {
    /// The list that a status should have. Entries of ours keep their place, and those that are not wanted any more go,
    /// with all that others have written into them.
    pub(super) fn merged(
        self,
        status: &Value,
        wanted: Vec<Entry<'_>>,
        stamp: &Stamp<'_>,
    ) -> Vec<Value> {
        let entry = |old: &Value, (object, wanted): (&ParentRef, Cow<'_, [Condition]>)| {
            json!({
                self.reference: object,
                "controllerName": stamp.controller,
                "conditions": conditions::merged(&old["conditions"], &wanted, self.place, stamp),
            })
        };
        let mut wanted = bounded(wanted, self.room(status, stamp.controller));
        let mut entries = Vec::new();
        for old in self.items(status) {
            if old["controllerName"] != stamp.controller {
                entries.push(old.clone());
                continue;
            }
            let about = |(object, _): &(&ParentRef, _)| json!(object) == old[self.reference];
            if let Some(at) = wanted.iter().position(about) {
                entries.push(entry(old, wanted.remove(at)));
            }
        }
        entries.extend(wanted.into_iter().map(|new| entry(&Value::Null, new)));
        entries
    }

    /// How many of the wanted entries, and of their conditions, have no room in a status.
    pub(super) fn unlisted(self, status: &Value, wanted: &[Entry<'_>], controller: &str) -> usize {
        let entries = wanted.len().saturating_sub(self.room(status, controller));
        let mut conditions = 0;
        let ours = |entry: &&Value| entry["controllerName"] == controller;
        for old in self.items(status).filter(ours) {
            let about = |(object, _): &&Entry<'_>| json!(object) == old[self.reference];
            if let Some((_, wanted)) = wanted.iter().find(about) {
                conditions += conditions::left_out(&old["conditions"], wanted, self.place);
            }
        }
        entries + conditions
    }

    /// How many entries of ours the list can have.
    ///
    /// > If this slice is full, implementations MUST NOT add further entries.
    fn room(self, status: &Value, controller: &str) -> usize {
        let others = self.items(status);
        let others = others.filter(|entry| entry["controllerName"] != controller);
        self.longest.saturating_sub(others.count())
    }

    fn items(self, status: &Value) -> impl Iterator<Item = &Value> {
        status[self.field].as_array().into_iter().flatten()
    }
}

/// The entries that there is room for, in the order in which they are wanted; the last one says how many are left out.
fn bounded<'a>(
    mut wanted: Vec<Entry<'a>>,
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
