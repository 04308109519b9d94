//! What `check` tells: of many findings how many there are of each sort, then each; the same condition of several
//! objects once.

use std::{collections::BTreeMap, fmt::Write};

use api::condition::reasons;

use super::{FEW, files, inventory, notes, paint, plural};
use crate::{
    fault::{self, Fault},
    output::Style,
    pipeline::{self, Made},
    source::{ProblemKind, Update},
};

/// So many objects are named that have the same condition; programs get them all.
const NAMED: usize = 3;

/// Everything that is not as it should be.
pub(crate) struct Findings<'a> {
    update: &'a Update,
    made: &'a Made,
    /// By what they say, in the order of the objects.
    faults: Vec<(String, Vec<Fault<'a>>)>,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(update: &'a Update, made: &'a Made) -> Self {
        let mut faults: Vec<(String, Vec<Fault<'a>>)> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for fault in fault::all(made, &update.resources) {
            let what = fault.cause();
            match places.get(&what) {
                Some(at) => faults[*at].1.push(fault),
                None => {
                    places.insert(what.clone(), faults.len());
                    faults.push((what, vec![fault]));
                }
            }
        }
        Self {
            update,
            made,
            faults,
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.update.problems.len()
            + self.update.tolerated.len()
            + self.made.clashes.len()
            + self.made.lossy().count()
            + self.faults.len()
    }

    /// For people.
    pub(crate) fn text(&self, style: Style) -> String {
        let mut text = String::new();
        if self.count() > FEW {
            text.push_str(&self.summary(style));
        }
        text.push_str(&files(self.update, style));
        for clash in &self.made.clashes {
            let _ = writeln!(text, "{} {}", style.yellow("!"), pipeline::clash(clash));
        }
        text.push_str(&notes(self.made.lossy(), self.update, style));
        for (what, faults) in &self.faults {
            let mark = match faults.iter().all(|fault| fault.condition.is_true()) {
                true => style.yellow("!"),
                false => style.red("x"),
            };
            if let [fault] = &faults[..] {
                let _ = writeln!(text, "{mark} {fault}");
                continue;
            }
            // A route has a condition for each of its parents, a ListenerSet for each listener.
            let mut objects: Vec<String> = faults.iter().map(Fault::of).collect();
            objects.dedup();
            let whole = faults[0].what();
            let same = faults.iter().all(|fault| fault.what() == whole);
            let what = if same { &whole } else { what };
            if let [object] = &objects[..] {
                let _ = writeln!(text, "{mark} {object}: {what}");
                continue;
            }
            let _ = writeln!(text, "{mark} {what}");
            let more = match objects.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!("; and {more} more"),
            };
            let times = plural(objects.len(), "time");
            objects.truncate(NAMED);
            let named = format!("{times}: {}{more}", objects.join("; "));
            let _ = writeln!(text, "    {}", style.dim(&named));
        }
        text
    }

    /// How many there are of each sort: of files, of Ingresses by key, of other objects by condition.
    fn summary(&self, style: Style) -> String {
        let mut kinds: BTreeMap<ProblemKind, usize> = BTreeMap::new();
        let (problems, tolerated) = (&self.update.problems, &self.update.tolerated);
        for problem in problems.iter().chain(tolerated) {
            *kinds.entry(problem.kind).or_default() += 1;
        }
        let mut lines: Vec<(usize, String)> = Vec::new();
        let files = kinds.into_iter();
        lines.extend(files.map(|(kind, count)| (count, style.red(&kind.to_string()))));
        if !self.made.clashes.is_empty() {
            let what =
                style.yellow("an object that would be made from an Ingress is there already");
            lines.push((self.made.clashes.len(), what));
        }
        for key in inventory::by_key(self.made.lossy()) {
            for (outcome, count) in key.counts() {
                let outcome = paint(outcome, &outcome.to_string(), style);
                lines.push((count, format!("{outcome}: {}", key.key())));
            }
        }
        let mut conditions: BTreeMap<String, usize> = BTreeMap::new();
        for fault in self.faults.iter().flat_map(|(_, faults)| faults) {
            let (kind, condition) = (fault.object.kind, fault.condition);
            let kind = match condition.is_true() && condition.reason == reasons::ACCEPTED {
                true => format!("{kind} that is served, with a warning"),
                false => format!(
                    "{kind} {}={:?} ({})",
                    condition.type_, condition.status, condition.reason
                ),
            };
            *conditions.entry(kind).or_default() += 1;
        }
        lines.extend(conditions.into_iter().map(|(kind, count)| (count, kind)));
        let mut text = format!("{}\n", style.bold("findings by kind"));
        for (count, what) in lines {
            let _ = writeln!(text, "{count:>7}  {what}");
        }
        let all = "one by one below; -o json names every object";
        let _ = writeln!(text, "{}", style.dim(all));
        text
    }
}
