//! What is wrong, as lines for the log: kept by object, so that a change costs what it changes and not what there is.

use std::collections::{BTreeMap, BTreeSet};

use api::ObjectRef;
use converter::Note;

use super::Current;
use crate::{fault, pipeline};

/// Every line that holds now.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Of conditions.
    status: Lines,
    /// Of annotations, and parts of Ingresses.
    notes: Lines,
    /// Of files, ports, certificates and clashes: few.
    others: BTreeSet<String>,
}

/// Lines by object; no list is empty.
type Lines = BTreeMap<ObjectRef, BTreeSet<String>>;

/// What has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Lines that did not hold before.
    pub(super) new: Vec<String>,
    /// How many hold no more.
    pub(super) solved: usize,
}

impl Findings {
    /// Takes up what differs between two states.
    pub(super) fn update(&mut self, before: Option<&Current>, now: &Current) -> News {
        let mut news = News::default();
        let others = now.others();
        news.compare(&self.others, &others);
        self.others = others;
        let (made, nothing) = (now.made(), pipeline::Made::default());
        let before = before.map_or(&nothing, Current::made);
        for (object, notes) in made.notes.changes(&before.notes) {
            news.take(&mut self.notes, object, lines(notes));
        }
        for object in made.status.changes(&before.status) {
            let faults = fault::of(&object, made, now.resources());
            let lines = faults.iter().map(ToString::to_string);
            news.take(&mut self.status, &object, lines.collect());
        }
        news
    }

    /// How many lines there are.
    pub(super) fn len(&self) -> usize {
        let lists = self.status.values().chain(self.notes.values());
        self.others.len() + lists.map(BTreeSet::len).sum::<usize>()
    }
}

fn lines(notes: &[Note]) -> BTreeSet<String> {
    let lossy = notes.iter().filter(|note| note.outcome.is_lossy());
    lossy.map(ToString::to_string).collect()
}

impl News {
    fn compare(&mut self, before: &BTreeSet<String>, now: &BTreeSet<String>) {
        self.new.extend(now.difference(before).cloned());
        self.solved += before.difference(now).count();
    }

    /// The object's lines are these now.
    fn take(&mut self, all: &mut Lines, object: &ObjectRef, lines: BTreeSet<String>) {
        let before = all.remove(object).unwrap_or_default();
        self.compare(&before, &lines);
        if !lines.is_empty() {
            all.insert(object.clone(), lines);
        }
    }
}

#[cfg(test)]
#[path = "findings_tests.rs"]
mod tests;
