//! What became of an annotation or of a part of an Ingress.

use std::{collections::BTreeMap, fmt};

use api::ObjectRef;
use serde::Serialize;

/// How faithful the translation is, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It does what it says.
    Exact,
    /// It does something close; the message says what differs.
    Approximated,
    /// Known, but this version does not do it yet.
    NotSupportedYet,
    /// Not honoured: an unknown key, or a value that cannot be.
    Refused,
    /// A path, host or certificate of the Ingress that is not served.
    Dropped,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::Approximated => "approximated",
            Self::NotSupportedYet => "not supported yet",
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
pub(crate) struct Notes(BTreeMap<(ObjectRef, Option<String>), (Outcome, String)>);

impl Notes {
    /// Says something about a key. A worse outcome replaces a better one; of equals the first stays.
    pub(crate) fn add(
        &mut self,
        object: &ObjectRef,
        key: Option<&str>,
        outcome: Outcome,
        message: impl Into<String>,
    ) {
        let slot = self.0.entry((object.clone(), key.map(str::to_owned)));
        let new = (outcome, message.into());
        slot.and_modify(|old| {
            if new.0 > old.0 {
                *old = new.clone();
            }
        })
        .or_insert(new);
    }

    pub(crate) fn into_vec(self) -> Vec<Note> {
        let note = |((object, key), (outcome, message))| Note {
            object,
            key,
            outcome,
            message,
        };
        self.0.into_iter().map(note).collect()
    }
}
