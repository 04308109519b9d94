//! Which objects' status is written when. Pure: time comes in as an argument.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use api::{Kind, ObjectRef, Resources};
use gateway_core::{Address, Status};
use serde_json::Value;

use super::{
    Wanted,
    merge::{self, Stamp},
    published::{self, Change, Known},
};
use crate::source::kube::observed::Seen;

/// An object whose spec stays the same is not written more often than this: a Gateway's count of routes moves with
/// every route.
const PACE: Duration = Duration::from_secs(1);
/// What failed is tried again after this long.
const RETRY: Duration = Duration::from_secs(2);

/// A write to be made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Write {
    pub(super) object: ObjectRef,
    /// The version of the object that the patch is for.
    pub(super) version: String,
    pub(super) generation: i64,
    /// A merge patch for `status`.
    pub(super) patch: Value,
    /// A merge patch for the annotations, or null.
    pub(super) annotations: Value,
}

/// How a write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// The object has this version now.
    Done(String),
    /// There is no such object any more.
    Gone,
    /// Somebody else was faster, or the API server did not take it.
    Failed,
}

/// What was written last about an object.
#[derive(Debug)]
struct Last {
    at: Instant,
    generation: i64,
    /// Patched; its successor is not seen yet.
    version: String,
    /// The patch changed nothing: the API server takes no more of it.
    refused: Option<Value>,
    failed: bool,
}

/// What is to be written, and what was.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Objects that need a look.
    dirty: BTreeSet<ObjectRef>,
    /// Objects whose newest spec is not served yet.
    unserved: BTreeSet<ObjectRef>,
    writing: BTreeSet<ObjectRef>,
    last: BTreeMap<ObjectRef, Last>,
    /// Objects with lists that are too full for all of our entries, so that each is told of once.
    crowded: BTreeSet<ObjectRef>,
    /// Those of them that nobody was told of yet.
    untold: Vec<Crowded>,
    /// The first Ingress of which another controller has overwritten our entry.
    overwritten: Option<ObjectRef>,
    /// Somebody was told of it.
    told: bool,
}

/// An object in whose status not all of our entries have room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Crowded {
    pub(super) object: ObjectRef,
    /// How many are left out.
    pub(super) unlisted: usize,
}

/// What the plan is made from.
pub(super) struct Facts<'a, S> {
    /// What is to be said.
    pub(super) status: &'a Status,
    /// The objects that it is said about.
    pub(super) resources: &'a Resources,
    /// An object as the API server has it.
    pub(super) seen: S,
    /// See [`Stamp::now`].
    pub(super) time: &'a str,
    /// See [`Stamp::controller`].
    pub(super) controller: &'a str,
    /// Where the Gateway for Ingresses is.
    pub(super) here: &'a [Address],
}

impl<S> Facts<'_, S> {
    /// What has to change for the object to say what is wanted.
    fn change(
        &self,
        object: &ObjectRef,
        seen: &Seen,
        live: &Value,
        wanted: Option<Wanted<'_>>,
    ) -> Option<Change> {
        if object.kind == Kind::Ingress {
            let known = Known {
                status: live,
                published: seen.published.as_deref(),
                placed: seen.placed,
                here: self.here,
                controller: self.controller,
            };
            return published::change(&known, wanted.map_or(&[], Wanted::addresses));
        }
        let stamp = Stamp {
            generation: seen.generation,
            now: self.time,
            controller: self.controller,
        };
        merge::patch(live, wanted, &stamp).map(Change::of_status)
    }
}

enum Look {
    Nothing,
    Unserved,
    Later(Instant),
    Write(Write),
}

impl Plan {
    /// These need a look.
    pub(super) fn touch(&mut self, objects: impl IntoIterator<Item = ObjectRef>) {
        self.dirty.extend(objects);
    }

    /// Another state is served: what waited for it needs a look.
    pub(super) fn published(&mut self) {
        self.dirty.append(&mut self.unserved);
    }

    /// Objects whose lists have become too full for us since the last call.
    pub(super) fn take_crowded(&mut self) -> Vec<Crowded> {
        std::mem::take(&mut self.untold)
    }

    /// An Ingress of which another controller has overwritten our entry: given once, since there may be thousands.
    pub(super) fn take_overwritten(&mut self) -> Option<ObjectRef> {
        let first = self.overwritten.take().filter(|_| !self.told);
        self.told |= first.is_some();
        first
    }

    fn crowd(&mut self, object: &ObjectRef, unlisted: usize) {
        if unlisted == 0 {
            self.crowded.remove(object);
        } else if self.crowded.insert(object.clone()) {
            let object = object.clone();
            self.untold.push(Crowded { object, unlisted });
        }
    }

    /// Up to `room` writes that are due, and when to look again if nothing happens.
    pub(super) fn due<S: Fn(&ObjectRef) -> Option<std::sync::Arc<Seen>>>(
        &mut self,
        facts: &Facts<'_, S>,
        room: usize,
        now: Instant,
    ) -> (Vec<Write>, Option<Instant>) {
        let (mut writes, mut next) = (Vec::new(), None::<Instant>);
        let mut kept = Vec::new();
        // Whatever there is no room for is not touched: there may be thousands, and a call for each of them.
        while writes.len() < room
            && let Some(object) = self.dirty.pop_first()
        {
            if self.writing.contains(&object) {
                kept.push(object);
                continue;
            }
            match self.look(&object, facts, now) {
                Look::Nothing => {}
                Look::Unserved => drop(self.unserved.insert(object)),
                Look::Later(at) => {
                    next = Some(next.map_or(at, |next| next.min(at)));
                    kept.push(object);
                }
                Look::Write(write) => {
                    self.writing.insert(object);
                    writes.push(write);
                }
            }
        }
        self.dirty.extend(kept);
        self.last.retain(|_, last| {
            now.duration_since(last.at) < PACE.max(RETRY) || last.refused.is_some()
        });
        (writes, next)
    }

    fn look<S: Fn(&ObjectRef) -> Option<std::sync::Arc<Seen>>>(
        &mut self,
        object: &ObjectRef,
        facts: &Facts<'_, S>,
        now: Instant,
    ) -> Look {
        let Some(seen) = (facts.seen)(object) else {
            self.crowd(object, 0);
            return Look::Nothing;
        };
        // What Ingresses become is made here; its copy in the cluster has a generation that nobody here has read.
        let served = facts.resources.get(object);
        let served = served.and_then(|object| object.metadata().generation);
        if seen.written.is_none() && served.unwrap_or_default() != seen.generation {
            return Look::Unserved;
        }
        let live = serde_json::from_str(&seen.status).unwrap_or_default();
        let wanted = Wanted::find(facts.status, object.kind, &object.key);
        self.crowd(object, merge::unlisted(&live, wanted, facts.controller));
        // What an Ingress became and becomes no more is about to go; what has been said about it goes with it.
        if wanted.is_none() && seen.written.is_some() {
            return Look::Nothing;
        }
        let Some(Change {
            status: patch,
            annotations,
            overwritten,
        }) = facts.change(object, &seen, &live, wanted)
        else {
            return Look::Nothing;
        };
        if overwritten {
            self.overwritten.get_or_insert_with(|| object.clone());
        }
        if let Some(last) = self.last.get(object) {
            let pace = if last.failed { RETRY } else { PACE };
            let waits = if last.failed {
                last.version == seen.version
            } else {
                last.generation == seen.generation
            };
            if last.version == seen.version && !last.failed {
                let same = |refused: &Value| without_times(refused) == without_times(&patch);
                if last.refused.as_ref().is_none_or(same) {
                    return Look::Nothing;
                }
            }
            if waits && now < last.at + pace {
                return Look::Later(last.at + pace);
            }
        }
        Look::Write(Write {
            object: object.clone(),
            version: seen.version.clone(),
            generation: seen.generation,
            patch,
            annotations,
        })
    }

    /// A write has ended.
    pub(super) fn ended(&mut self, write: Write, how: Written, now: Instant) {
        self.writing.remove(&write.object);
        let mut last = Last {
            at: now,
            generation: write.generation,
            version: write.version.clone(),
            refused: None,
            failed: false,
        };
        match how {
            Written::Done(version) if version == write.version => last.refused = Some(write.patch),
            // Its event comes, and with it another look.
            Written::Done(_) => {}
            Written::Gone => return,
            Written::Failed => {
                last.failed = true;
                self.dirty.insert(write.object.clone());
            }
        }
        self.last.insert(write.object, last);
    }
}

/// Times alone are no difference.
fn without_times(patch: &Value) -> Value {
    match patch {
        Value::Array(items) => items.iter().map(without_times).collect(),
        Value::Object(fields) => fields
            .iter()
            .filter(|(field, _)| *field != "lastTransitionTime")
            .map(|(field, value)| (field.clone(), without_times(value)))
            .collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
