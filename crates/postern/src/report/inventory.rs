//! Notes by key: what an installation uses, and how much of it is exact. Two thousand Ingresses fit on a screen.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use converter::{Note, Outcome};
use serde::Serialize;

use super::{key, paint, plural};
use crate::output::Style;

/// So many Ingresses are named for each finding; programs get them all.
const NAMED: usize = 3;

/// So many different things are said of each key.
const SAID: usize = 5;

/// One annotation, or other part of Ingresses, however many have it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ByKey {
    key: String,
    /// How many Ingresses have it.
    ingresses: usize,
    /// How many notes there are of each outcome.
    outcomes: BTreeMap<String, usize>,
    /// What is not exact about it, the worst outcome first, then the most frequent.
    findings: Vec<Finding>,
}

impl ByKey {
    /// The annotation, or other part.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// How many notes there are of each outcome that loses something, the worst first.
    pub(super) fn counts(&self) -> impl Iterator<Item = (Outcome, usize)> + '_ {
        let lossy = Outcome::ALL
            .iter()
            .rev()
            .filter(|outcome| outcome.is_lossy());
        lossy.filter_map(|outcome| Some((*outcome, *self.outcomes.get(&outcome.to_string())?)))
    }
}

/// The same said of several Ingresses.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    outcome: Outcome,
    message: String,
    ingresses: Vec<String>,
}

/// Every key: those with the worst outcome first, then the most frequent.
pub(super) fn by_key<'a>(notes: impl Iterator<Item = &'a Note>) -> Vec<ByKey> {
    let mut grouped: BTreeMap<String, Vec<&Note>> = BTreeMap::new();
    for note in notes {
        grouped.entry(part(note)).or_default().push(note);
    }
    let worst = |notes: &[&Note]| notes.iter().map(|note| note.outcome).max();
    let mut keys: Vec<_> = grouped.into_iter().collect();
    keys.sort_by_key(|(_, notes)| std::cmp::Reverse((worst(notes), notes.len())));
    keys.into_iter()
        .map(|(key, notes)| of_key(key, &notes))
        .collect()
}

fn of_key(key: String, notes: &[&Note]) -> ByKey {
    let ingresses: BTreeSet<_> = notes.iter().map(|note| &note.object).collect();
    let mut outcomes = BTreeMap::new();
    let mut findings: BTreeMap<(Outcome, &str), Vec<String>> = BTreeMap::new();
    for note in notes {
        *outcomes.entry(note.outcome.to_string()).or_default() += 1;
        if note.outcome != Outcome::Exact {
            let finding = findings.entry((note.outcome, note.message.as_str()));
            finding.or_default().push(note.object.to_string());
        }
    }
    let mut findings: Vec<_> = findings
        .into_iter()
        .map(|((outcome, message), ingresses)| Finding {
            outcome,
            message: message.to_owned(),
            ingresses,
        })
        .collect();
    findings.sort_by_key(|finding| std::cmp::Reverse((finding.outcome, finding.ingresses.len())));
    ByKey {
        key,
        ingresses: ingresses.len(),
        outcomes,
        findings,
    }
}

/// The annotation, or the field without its places: `spec.rules[].http.paths[]`.
fn part(note: &Note) -> String {
    let mut inside = false;
    let kept = key(note).chars().filter(|c| {
        let keep = !inside || *c == ']';
        inside = (*c == '[') || (inside && *c != ']');
        keep
    });
    kept.collect()
}

/// A table of keys, then what there is to look at.
pub(super) fn text(keys: &[ByKey], style: Style) -> String {
    let width = keys.iter().map(|key| key.key.chars().count()).max();
    let width = width.unwrap_or(0).min(60);
    let mut text = format!(
        "{}\n",
        style.bold(&format!("{:<width$}  Ingresses", "by key"))
    );
    for key in keys {
        let counts: Vec<_> = Outcome::ALL
            .iter()
            .filter_map(|outcome| {
                let count = key.outcomes.get(&outcome.to_string())?;
                Some(paint(*outcome, &format!("{count} {outcome}"), style))
            })
            .collect();
        let _ = writeln!(
            text,
            "{:<width$}  {:>9}  {}",
            key.key,
            key.ingresses,
            counts.join(", ")
        );
    }
    let lossy = |finding: &&Finding| finding.outcome.is_lossy();
    if keys
        .iter()
        .any(|key| key.findings.iter().any(|f| lossy(&f)))
    {
        let _ = writeln!(text, "{}", style.bold("to look at"));
    }
    for key in keys {
        let findings = key.findings.iter().filter(lossy);
        for finding in findings.clone().take(SAID) {
            let outcome = paint(finding.outcome, &finding.outcome.to_string(), style);
            let _ = writeln!(text, "{}  {outcome}: {}", key.key, finding.message);
            let _ = writeln!(text, "    {}", style.dim(&named(&finding.ingresses)));
        }
        let count = findings.count();
        if count > SAID {
            let _ = writeln!(
                text,
                "{}  and {} more things said of it",
                key.key,
                count - SAID
            );
        }
    }
    text
}

fn named(ingresses: &[String]) -> String {
    let first: Vec<&str> = ingresses.iter().take(NAMED).map(String::as_str).collect();
    let more = ingresses.len() - first.len();
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!(
        "{}: {}{rest}",
        plural(ingresses.len(), "time"),
        first.join(", ")
    )
}
