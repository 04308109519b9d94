//! What became of an annotation or of a part of an Ingress.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    sync::Arc,
};

use api::{ObjectRef, paired};
use serde::{Serialize, Serializer};

use crate::effect::Effect;

/// How faithful the translation is, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It does what it says.
    Exact,
    /// It has no counterpart here, and nothing is lost by that: it tunes what only another controller has inside, or
    /// does nothing there either.
    NoEffect,
    /// It does something close; the message says what differs.
    Approximated,
    /// Not honoured: an unknown key, or a value that cannot be.
    Refused,
    /// A path, host or certificate of the Ingress that is not served.
    Dropped,
}

impl Outcome {
    /// Every outcome, from best to worst.
    pub const ALL: [Self; 5] = [
        Self::Exact,
        Self::NoEffect,
        Self::Approximated,
        Self::Refused,
        Self::Dropped,
    ];

    /// Whether anything is not as it was asked for.
    #[must_use]
    pub const fn is_lossy(self) -> bool {
        !matches!(self, Self::Exact | Self::NoEffect)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::NoEffect => "no effect",
            Self::Approximated => "approximated",
            Self::Refused => "refused",
            Self::Dropped => "dropped",
        })
    }
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Note {
    /// The Ingress.
    pub object: ObjectRef,
    /// The annotation's full key, or a field path such as `spec.rules[0].http.paths[1]`.
    pub key: Option<String>,
    /// How faithful.
    pub outcome: Outcome,
    /// What it became, or what is wrong and what to do.
    pub message: String,
    /// Where in the output it stands, if it is exact or approximated.
    #[serde(skip)]
    pub(crate) effect: Option<Effect>,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.object)?;
        if let Some(key) = &self.key {
            write!(f, " {key}")?;
        }
        write!(f, ": {}: {}", self.outcome, self.message)
    }
}

/// Collects notes: one for each object and key, the worst outcome said about it.
#[derive(Debug, Default)]
pub(crate) struct Notes(BTreeMap<ObjectRef, BTreeMap<Option<String>, Said>>);

/// What is said about a key.
#[derive(Debug)]
struct Said {
    outcome: Outcome,
    message: String,
    effect: Option<Effect>,
}

impl Notes {
    /// Says something about a key. A worse outcome replaces a better one; of equals the first stays.
    pub(crate) fn add(
        &mut self,
        object: &ObjectRef,
        key: Option<&str>,
        outcome: Outcome,
        message: impl Into<String>,
    ) {
        self.say(object, key, (outcome, None), message.into());
    }

    /// Says that a key does what it says, or something close, and where in the output that stands.
    pub(crate) fn done(
        &mut self,
        object: &ObjectRef,
        key: &str,
        (outcome, effect): (Outcome, Effect),
        message: impl Into<String>,
    ) {
        self.say(object, Some(key), (outcome, Some(effect)), message.into());
    }

    fn say(
        &mut self,
        object: &ObjectRef,
        key: Option<&str>,
        (outcome, effect): (Outcome, Option<Effect>),
        message: String,
    ) {
        if !self.0.contains_key(object) {
            self.0.insert(object.clone(), BTreeMap::new());
        }
        if let Some(keys) = self.0.get_mut(object) {
            let said = Said {
                outcome,
                message,
                effect,
            };
            keep_worst(keys, key.map(str::to_owned), said);
        }
    }

    /// Says again what was said.
    pub(crate) fn repeat(&mut self, notes: Option<&[Note]>) {
        for note in notes.unwrap_or_default() {
            let said = (note.outcome, note.effect);
            self.say(
                &note.object,
                note.key.as_deref(),
                said,
                note.message.clone(),
            );
        }
    }

    /// Adds what others said later.
    pub(crate) fn extend(&mut self, others: Self) {
        for (object, said) in others.0 {
            let keys = self.0.entry(object).or_default();
            for (key, new) in said {
                keep_worst(keys, key, new);
            }
        }
    }

    /// Takes out what was said about one object.
    pub(crate) fn take(&mut self, object: &ObjectRef) -> Option<Self> {
        let (object, said) = self.0.remove_entry(object)?;
        Some(Self(BTreeMap::from([(object, said)])))
    }

    /// The notes of each object, by key.
    pub(crate) fn into_lists(self) -> impl Iterator<Item = Arc<[Note]>> {
        self.0.into_iter().map(|(object, said)| {
            let notes = said.into_iter().map(|(key, said)| Note {
                object: object.clone(),
                key,
                outcome: said.outcome,
                message: said.message,
                effect: said.effect,
            });
            notes.collect()
        })
    }
}

fn keep_worst(keys: &mut BTreeMap<Option<String>, Said>, key: Option<String>, new: Said) {
    match keys.entry(key) {
        Entry::Vacant(slot) => drop(slot.insert(new)),
        Entry::Occupied(mut slot) => {
            if new.outcome > slot.get().outcome {
                slot.insert(new);
            }
        }
    }
}

/// All notes, by object and key. Those of an object are shared with the report before if they are the same.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// One list for each object, by object; none is empty.
    lists: Vec<Arc<[Note]>>,
}

impl Report {
    /// Of lists by object.
    pub(crate) const fn new(lists: Vec<Arc<[Note]>>) -> Self {
        Self { lists }
    }

    /// Every note.
    pub fn iter(&self) -> impl Iterator<Item = &Note> + Clone {
        self.lists.iter().flat_map(|list| list.iter())
    }

    /// The objects about which this says something else than `before`, and what it says now: nothing, perhaps. Notes
    /// that are shared between the two are not looked into.
    pub fn changes<'a>(
        &'a self,
        before: &'a Self,
    ) -> impl Iterator<Item = (&'a ObjectRef, &'a [Note])> {
        let changes = paired(self.by_object(), before.by_object()).filter(|(_, now, before)| {
            !now.zip(*before)
                .is_some_and(|(now, before)| Arc::ptr_eq(now, before))
        });
        changes.map(|(object, now, _)| (object, now.map_or(&[][..], |list| list)))
    }

    fn by_object(&self) -> impl Iterator<Item = (&ObjectRef, &Arc<[Note]>)> {
        let lists = self.lists.iter();
        lists.filter_map(|list| Some((&list.first()?.object, list)))
    }

    /// Whether there is no note.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }
}

impl PartialEq for Report {
    fn eq(&self, other: &Self) -> bool {
        self.lists == other.lists
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.iter())
    }
}
