//! Rules about the repository's files that no other tool knows.

use std::{fs, path::Path};

use anyhow::Context as _;

use super::prose;
use crate::workspace;

/// The longest source file, its tests in a file of their own. Beyond that nobody reads one in a sitting.
const LONGEST: usize = 500;

/// File names that promise nothing, so that everything ends up in them.
const EMPTY_NAMES: &[&str] = &["common", "helpers", "manager", "types", "utils"];

/// A text that must not occur, and why.
struct Forbidden {
    text: &'static str,
    /// Only where a path starts with it, not where it is a later part of one.
    starts_path: bool,
    /// Which files it is looked for in.
    applies: fn(&str) -> bool,
    why: &'static str,
}

/// The texts are put together here, or this file would be the first finding.
const FORBIDDEN: &[Forbidden] = &[
    machine_path(concat!("/wo", "rk/")),
    machine_path(concat!("/ro", "ot/")),
    machine_path(concat!("/ho", "me/")),
    Forbidden {
        text: concat!("#[ig", "nore"),
        starts_path: false,
        applies: is_rust,
        why: "every test runs; what needs a cluster is an xtask command",
    },
    Forbidden {
        text: concat!("to", "do!("),
        starts_path: false,
        applies: is_rust,
        why: "what is not done is an issue, not a panic",
    },
];

const fn machine_path(text: &'static str) -> Forbidden {
    Forbidden {
        text,
        starts_path: true,
        applies: is_not_dockerfile,
        why: "a path of one machine; others have none there",
    }
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|e| e == "rs")
}

/// An image has folders of its own, the same wherever it is built.
fn is_not_dockerfile(path: &str) -> bool {
    Path::new(path)
        .file_stem()
        .is_none_or(|name| name != "Dockerfile")
}

/// Every violation, as `file:line: what, why`.
pub(super) fn findings(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for path in workspace::files(root)? {
        findings.extend(of_name(&path));
        let bytes = fs::read(root.join(&path)).with_context(|| format!("{path} cannot be read"))?;
        // What is not text has no lines to speak of.
        if let Ok(text) = std::str::from_utf8(&bytes) {
            findings.extend(of_text(&path, text));
            findings.extend(prose::findings(&path, text));
        }
    }
    Ok(findings)
}

/// What is wrong with a file's name.
fn of_name(path: &str) -> Option<String> {
    if !is_rust(path) {
        return None;
    }
    let stem = Path::new(path).file_stem()?.to_str()?;
    if stem == "mod" {
        return Some(format!(
            "{path}:1: a mod.rs, but a module foo is foo.rs beside foo/"
        ));
    }
    EMPTY_NAMES
        .contains(&stem)
        .then(|| format!("{path}:1: the name {stem:?}, which does not say what is in it"))
}

/// What is wrong with a file's text.
fn of_text(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let length = text.lines().count();
    if is_bounded(path) && length > LONGEST {
        findings.push(format!(
            "{path}:{length}: more than {LONGEST} lines, which wants two modules, or tests in a file of their own"
        ));
    }
    for rule in FORBIDDEN.iter().filter(|rule| (rule.applies)(path)) {
        for (index, line) in text.lines().enumerate() {
            if occurs(rule, line) {
                let number = index + 1;
                findings.push(format!("{path}:{number}: `{}`, {}", rule.text, rule.why));
            }
        }
    }
    findings
}

/// Whether a file's length is bounded: sources are, tests are not.
fn is_bounded(path: &str) -> bool {
    let of_a_crate = path.starts_with("xtask/src/")
        || path
            .strip_prefix("crates/")
            .and_then(|rest| rest.split_once('/'))
            .is_some_and(|(_, rest)| rest.starts_with("src/"));
    of_a_crate && is_rust(path) && !path.ends_with("tests.rs")
}

fn occurs(rule: &Forbidden, line: &str) -> bool {
    line.match_indices(rule.text).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !rule.starts_path || before.is_none_or(|c| !continues_path(c))
    })
}

/// Whether what follows this character is the rest of a longer path, a URL or a variable.
fn continues_path(character: char) -> bool {
    character.is_alphanumeric() || "._-~*})]>$%".contains(character)
}

#[cfg(test)]
#[path = "lint_tests.rs"]
mod tests;
