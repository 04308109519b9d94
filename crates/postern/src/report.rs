//! The report of what became of each annotation, and of everything else that is not as its author would wish.

mod inventory;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use converter::{Note, Outcome};
use serde::Serialize;

use crate::{
    output::Style,
    pipeline::{self, Made},
    source::{Place, Update},
};

/// Of more Ingresses than these, people are told by key, and not of each by itself.
const FEW: usize = 20;

/// What `convert` reports.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report<'a> {
    /// How many notes there are of each outcome.
    summary: BTreeMap<String, usize>,
    /// How many Ingresses were read, ours or not.
    ingresses: usize,
    /// How many objects were made.
    objects: usize,
    /// Every annotation that there is, the worst outcome first.
    keys: Vec<inventory::ByKey>,
    notes: &'a converter::Report,
    /// What could not be read.
    files: &'a [crate::source::Problem],
    /// Objects of the input that stand where one would be made.
    clashes: &'a [api::ObjectRef],
    /// What has to be there beside the objects, so that all of it is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) needs: Option<String>,
    #[serde(skip)]
    update: &'a Update,
}

impl<'a> Report<'a> {
    /// The report of one run.
    pub(crate) fn new(update: &'a Update, made: &'a Made, objects: usize) -> Self {
        let count = |outcome: Outcome| {
            made.notes
                .iter()
                .filter(|note| note.outcome == outcome)
                .count()
        };
        Self {
            summary: Outcome::ALL
                .iter()
                .map(|outcome| (outcome.to_string(), count(*outcome)))
                .collect(),
            ingresses: update.resources.ingresses.len(),
            objects,
            keys: inventory::by_key(made.notes.iter()),
            notes: &made.notes,
            files: &update.problems,
            clashes: &made.clashes,
            needs: None,
            update,
        }
    }

    /// Whether nothing was lost.
    pub(crate) fn is_exact(&self) -> bool {
        let lossy = self.notes.iter().any(|note| note.outcome.is_lossy());
        !lossy && self.files.is_empty() && self.clashes.is_empty()
    }

    /// For people.
    pub(crate) fn text(&self, style: Style) -> String {
        let mut text = files(self.files, style);
        for clash in self.clashes {
            let _ = writeln!(text, "{} {}", style.yellow("!"), pipeline::clash(clash));
        }
        let told: BTreeSet<_> = self.notes.iter().map(|note| &note.object).collect();
        if told.len() <= FEW {
            text.push_str(&notes(self.notes.iter(), self.update, style));
        } else {
            text.push_str(&inventory::text(&self.keys, style));
            let _ = writeln!(
                text,
                "{}",
                style.dim(
                    "every annotation of every Ingress: --report FILE.json, or --report -o json"
                )
            );
        }
        if let Some(needs) = &self.needs {
            let _ = writeln!(text, "{needs}");
        }
        let counts: Vec<_> = Outcome::ALL
            .iter()
            .filter_map(|outcome| {
                let count = self
                    .summary
                    .get(&outcome.to_string())
                    .copied()
                    .filter(|count| *count > 0)?;
                Some(paint(*outcome, &format!("{count} {outcome}"), style))
            })
            .collect();
        let counts = if counts.is_empty() {
            "no annotations".to_owned()
        } else {
            counts.join(", ")
        };
        let _ = writeln!(
            text,
            "{} -> {}: {counts}",
            plural(self.ingresses, "Ingress"),
            plural(self.objects, "object")
        );
        text
    }
}

/// `1 Ingress`, `2 Ingresses`.
pub(crate) fn plural(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ if noun.ends_with('s') => format!("{count} {noun}es"),
        _ => format!("{count} {noun}s"),
    }
}

/// Problems of files, one line each.
pub(crate) fn files(problems: &[crate::source::Problem], style: Style) -> String {
    let line = |problem: &crate::source::Problem| format!("{} {problem}\n", style.red("x"));
    problems.iter().map(line).collect()
}

/// Notes by Ingress, a line each.
pub(crate) fn notes<'n>(
    notes: impl Iterator<Item = &'n Note> + Clone,
    update: &Update,
    style: Style,
) -> String {
    let mut text = String::new();
    let width = notes
        .clone()
        .map(|note| key(note).chars().count())
        .max()
        .unwrap_or(0)
        .min(60);
    let mut object = None;
    for note in notes {
        if object != Some(&note.object) {
            object = Some(&note.object);
            let place = update
                .origins
                .get(&note.object)
                .map(Place::to_string)
                .unwrap_or_default();
            let heading = format!(
                "{}  {}",
                style.bold(&note.object.to_string()),
                style.dim(&place)
            );
            let _ = writeln!(text, "{}", heading.trim_end());
        }
        let outcome = paint(
            note.outcome,
            &format!("{:<17}", note.outcome.to_string()),
            style,
        );
        let _ = writeln!(text, "  {outcome}  {:<width$}  {}", key(note), note.message);
    }
    text
}

fn key(note: &Note) -> &str {
    note.key.as_deref().unwrap_or("-")
}

fn paint(outcome: Outcome, text: &str, style: Style) -> String {
    match outcome {
        Outcome::Exact => style.green(text),
        Outcome::NoEffect => style.dim(text),
        Outcome::Approximated => style.yellow(text),
        Outcome::Refused | Outcome::Dropped => style.red(text),
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
