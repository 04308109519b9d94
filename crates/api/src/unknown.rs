//! Fields of a manifest that its kind does not have.

use serde::{Deserialize, Deserializer};
use serde_ignored::Path;

/// How many are named.
const NAMED: usize = 5;

/// What becomes of an object of which unknown fields are kept.
pub const CLOSED: &str = "what has it is closed where it could restrict anything";

/// What becomes of any other.
pub(crate) const NOT_USED: &str = "the object is not used";

/// What was passed over while an object was read.
#[derive(Debug, Default)]
pub(crate) struct Unknown(Vec<Vec<String>>);

impl Unknown {
    /// Reads an object and notes what it has no field for.
    pub(crate) fn reading<'de, T, D>(&mut self, from: D) -> Result<T, D::Error>
    where
        T: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        serde_ignored::deserialize(from, |path| {
            let mut steps = Vec::new();
            walk(&path, &mut steps);
            // Some types take kind and version for granted.
            let known = ["apiVersion", "kind"];
            if !steps
                .first()
                .is_some_and(|first| known.contains(&first.as_str()))
            {
                self.0.push(steps);
            }
        })
    }

    /// Whether there are none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What to say about them, if there are any; `effect` is what becomes of the object.
    pub(crate) fn message(&self, effect: &str) -> Option<String> {
        let mut paths: Vec<String> = self.0.iter().map(|steps| text(steps)).collect();
        let more = paths.len().saturating_sub(NAMED);
        paths.truncate(NAMED);
        let (word, more) = match (paths.len(), more) {
            (0, _) => return None,
            (1, _) => ("field", String::new()),
            (_, 0) => ("fields", String::new()),
            (_, more) => ("fields", format!(" and {more} more")),
        };
        Some(format!(
            "unknown {word} {}{more}: misspelt, in the wrong place, or of a newer version of the kind; {effect}",
            paths.join(", ")
        ))
    }

    /// On which line (from 0) of the text the first of them stands, where there is no doubt about it.
    pub(crate) fn line(&self, text: &str) -> Option<usize> {
        self.0
            .iter()
            .find_map(|steps| only_line(steps.last()?, text))
    }
}

/// The one line that begins with this key.
fn only_line(key: &str, text: &str) -> Option<usize> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| {
        let line = line.trim_start_matches([' ', '-', '{', '"']);
        let rest = line.strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start_matches('"').starts_with(':'))
    });
    let (found, _) = lines.next()?;
    lines.next().is_none().then_some(found)
}

fn walk(path: &Path<'_>, steps: &mut Vec<String>) {
    match path {
        Path::Root => {}
        Path::Seq { parent, index } => {
            walk(parent, steps);
            steps.push(format!("[{index}]"));
        }
        Path::Map { parent, key } => {
            walk(parent, steps);
            steps.push(key.clone());
        }
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => walk(parent, steps),
    }
}

/// `spec.rules[0].match`.
fn text(steps: &[String]) -> String {
    let mut text = String::new();
    for step in steps {
        if !text.is_empty() && !step.starts_with('[') {
            text.push('.');
        }
        text.push_str(step);
    }
    text
}
