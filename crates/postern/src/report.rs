//! The report of what became of each annotation, and of everything else that is not as its author would wish.

mod findings;
mod inventory;
mod left_out;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use converter::{Note, Outcome};
use serde::Serialize;

use crate::{
    output::{self, Style},
    pipeline::{self, Made},
    source::{Place, Update},
};

pub(crate) use findings::Findings;
pub(crate) use left_out::LeftOut;

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
    /// What an API server would refuse, and was read.
    tolerated: &'a [crate::source::Problem],
    /// Objects of the input that stand where one would be made.
    clashes: &'a [api::ObjectRef],
    /// How many objects a Postern in the cluster keeps, which are not printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<usize>,
    /// What has to be there beside the objects, so that all of it is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) needs: Option<String>,
    left_out: LeftOut<'a>,
    #[serde(skip)]
    update: &'a Update,
}

impl<'a> Report<'a> {
    /// The report of one run.
    pub(crate) fn new(update: &'a Update, made: &'a Made) -> Self {
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
            objects: made.generated.iter().count(),
            keys: inventory::by_key(made.notes.iter()),
            notes: &made.notes,
            files: &update.problems,
            tolerated: &update.tolerated,
            clashes: &made.clashes,
            kept: Some(update.kept.len()).filter(|kept| *kept > 0),
            needs: None,
            left_out: LeftOut::new(update, made),
            update,
        }
    }

    /// Whether nothing was lost.
    pub(crate) fn is_exact(&self) -> bool {
        let lossy = self.notes.iter().any(|note| note.outcome.is_lossy());
        let read = self.files.is_empty() && self.tolerated.is_empty();
        !lossy && read && self.clashes.is_empty() && !self.left_out.is_all()
    }

    /// For people.
    pub(crate) fn text(&self, style: Style) -> String {
        let mut text = String::new();
        let told: BTreeSet<_> = self.notes.iter().map(|note| &note.object).collect();
        let many = told.len() > FEW;
        if many {
            let all = "every annotation of every Ingress: --report FILE.json, or --report -o json";
            text.push_str(&inventory::text(&self.keys, style));
            let _ = writeln!(text, "{}", style.dim(all));
        }
        text.push_str(&files(self.update, style));
        for clash in self.clashes {
            let _ = writeln!(text, "{} {}", style.yellow("!"), pipeline::clash(clash));
        }
        if !many {
            text.push_str(&notes(self.notes.iter(), self.update, style));
        }
        if let Some(kept) = self.kept {
            let what = plural(kept, "object");
            let _ = writeln!(
                text,
                "{what} of a Postern that runs in the cluster: kept by it, and not printed"
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
        text.push_str(&self.left_out.text(style));
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

/// What is wrong with files, one line each.
fn files(update: &Update, style: Style) -> String {
    let problems = update.problems.iter();
    let problems = problems.map(|problem| format!("{} {problem}\n", style.red("x")));
    let tolerated = update.tolerated.iter();
    let tolerated = tolerated.map(|problem| format!("{} {problem}\n", style.yellow("!")));
    problems.chain(tolerated).collect()
}

/// Says on standard error what was not read, for commands that are about something else.
pub(crate) fn complain(update: &Update, made: &Made) {
    let style = Style::stderr();
    output::complain(&files(update, style));
    output::complain(&LeftOut::new(update, made).text(style));
}

/// Notes by Ingress, a line each.
fn notes<'n>(
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
