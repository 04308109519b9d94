//! Golden files: `<case>.in.yaml` goes in, `<case>.out.yaml` must come out.
//!
//! Cases are found by walking a folder. A `_base.yaml` beside a case holds the objects which all
//! cases of that one folder share. `UPDATE_GOLDEN=1` rewrites the expectations instead of comparing.

mod diff;

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fmt::Write as _,
    fs,
    io::ErrorKind,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

const UPDATE: &str = "UPDATE_GOLDEN";
const BASE: &str = "_base.yaml";
const INPUT: &str = ".in.yaml";
const OUTPUT: &str = ".out.yaml";

/// Runs `step` over every `*.in.yaml` below `dir` and compares with the `*.out.yaml` beside it.
///
/// # Panics
///
/// After all cases ran, when one of them differs, panicked or has no expectation; and when the
/// folder has no case, an expectation has no case, or another YAML file lies around (a case whose
/// name is misspelt would otherwise never run).
#[track_caller]
pub fn check_dir(dir: impl AsRef<Path>, step: impl Fn(&str) -> String) {
    if let Err(report) = run_dir(dir.as_ref(), Mode::from_env(), step) {
        panic!("{report}");
    }
}

/// Compares `actual` with the file at `path`.
///
/// # Panics
///
/// When they differ, or the file is missing.
#[track_caller]
pub fn check_file(path: impl AsRef<Path>, actual: &str) {
    if let Err(problem) = settle(path.as_ref(), actual, Mode::from_env()) {
        panic!("{}", report(&[problem], 1));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Compare,
    Update,
}

impl Mode {
    fn from_env() -> Self {
        Self::parse(std::env::var_os(UPDATE).as_deref())
    }

    fn parse(value: Option<&OsStr>) -> Self {
        match value.and_then(OsStr::to_str) {
            Some("1") => Self::Update,
            _ => Self::Compare,
        }
    }
}

/// One thing that is wrong, and whether accepting the new output would make it right.
struct Problem {
    text: String,
    updatable: bool,
}

impl Problem {
    fn firm(text: String) -> Self {
        Self {
            text,
            updatable: false,
        }
    }
}

#[derive(Default)]
struct Found {
    cases: BTreeSet<PathBuf>,
    expectations: BTreeSet<PathBuf>,
    strays: BTreeSet<PathBuf>,
}

fn run_dir(dir: &Path, mode: Mode, step: impl Fn(&str) -> String) -> Result<(), String> {
    let mut found = Found::default();
    walk(dir, &mut found).map_err(|p| report(&[p], 0))?;
    let mut problems = Vec::new();
    if found.cases.is_empty() {
        problems.push(Problem::firm(format!(
            "{}: no *{INPUT} anywhere below",
            dir.display()
        )));
    }
    for stray in &found.strays {
        problems.push(Problem::firm(format!(
            "{}: neither *{INPUT}, *{OUTPUT} nor {BASE}, so it would never be read",
            stray.display()
        )));
    }
    let expected: BTreeSet<PathBuf> = found
        .cases
        .iter()
        .map(|case| expectation_of(case))
        .collect();
    for orphan in found.expectations.difference(&expected) {
        problems.push(Problem::firm(format!(
            "{}: has no {INPUT} beside it",
            orphan.display()
        )));
    }
    for case in &found.cases {
        problems.extend(run_case(case, mode, &step).err());
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(report(&problems, found.cases.len()))
    }
}

fn run_case(case: &Path, mode: Mode, step: &impl Fn(&str) -> String) -> Result<(), Problem> {
    let mut input = read(case)?;
    let base = case.with_file_name(BASE);
    if base.exists() {
        input = prepend(&read(&base)?, &input);
    }
    let actual = catch_unwind(AssertUnwindSafe(|| step(&input))).map_err(|cause| {
        let cause = cause
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| cause.downcast_ref::<&str>().copied())
            .unwrap_or("not a text");
        Problem::firm(format!("{}: panicked: {cause}", case.display()))
    })?;
    settle(&expectation_of(case), &actual, mode)
}

/// Compares or rewrites one expectation.
fn settle(path: &Path, actual: &str, mode: Mode) -> Result<(), Problem> {
    let expected = match fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(Problem::firm(format!("{}: {error}", path.display()))),
    };
    if expected.as_deref() == Some(actual) {
        return Ok(());
    }
    match mode {
        Mode::Update => fs::write(path, actual)
            .map_err(|error| Problem::firm(format!("{}: {error}", path.display()))),
        Mode::Compare => {
            let missing = if expected.is_none() { " (missing)" } else { "" };
            let lines = diff::lines(expected.as_deref().unwrap_or_default(), actual);
            let path = path.display();
            let text = format!("--- {path}{missing}\n+++ actual\n{lines}");
            Err(Problem {
                text,
                updatable: true,
            })
        }
    }
}

fn report(problems: &[Problem], cases: usize) -> String {
    let mut text = format!(
        "{} golden problem(s), {cases} case(s) run\n",
        problems.len()
    );
    for problem in problems {
        let _ = write!(text, "\n{}", problem.text);
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    if problems.iter().any(|problem| problem.updatable) {
        let _ = write!(
            text,
            "\nIf the new output is right, run again with {UPDATE}=1\n"
        );
    }
    text
}

fn walk(dir: &Path, found: &mut Found) -> Result<(), Problem> {
    let unreadable = |error| Problem::firm(format!("{}: {error}", dir.display()));
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            walk(&path, found)?;
        } else if name.ends_with(INPUT) {
            found.cases.insert(path);
        } else if name.ends_with(OUTPUT) {
            found.expectations.insert(path);
        } else if name != BASE && (name.ends_with(".yaml") || name.ends_with(".yml")) {
            found.strays.insert(path);
        }
    }
    Ok(())
}

fn expectation_of(case: &Path) -> PathBuf {
    let name = case.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(INPUT).unwrap_or(&name);
    case.with_file_name(format!("{stem}{OUTPUT}"))
}

fn read(path: &Path) -> Result<String, Problem> {
    fs::read_to_string(path).map_err(|error| Problem::firm(format!("{}: {error}", path.display())))
}

/// Joins two YAML streams with exactly one `---` between them: a second one would be an empty document.
fn prepend(base: &str, input: &str) -> String {
    let Some(_) = first_content(base) else {
        return input.to_owned();
    };
    let base = base.trim_end();
    let base = base.strip_suffix("\n---").unwrap_or(base);
    let opens = first_content(input).is_none_or(|line| line.starts_with("---"));
    let separator = if opens { "" } else { "---\n" };
    format!("{base}\n{separator}{input}")
}

/// The first line that is neither blank nor a comment.
fn first_content(yaml: &str) -> Option<&str> {
    yaml.lines()
        .find(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
}

#[cfg(test)]
#[path = "golden/golden_tests.rs"]
mod tests;
