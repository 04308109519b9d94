//! The steps that are one cargo command, or two.

use std::path::Path;

use super::Outcome;
use crate::{
    terminal::Terminal,
    workspace::{cargo, has_subcommand, succeeds},
};

/// The sources are formatted.
pub(super) fn format(root: &Path) -> anyhow::Result<Outcome> {
    run(root, &["fmt", "--all", "--check"])
}

/// No warnings, in tests and examples neither.
pub(super) fn clippy(root: &Path) -> anyhow::Result<Outcome> {
    let all = ["clippy", "--workspace", "--all-targets"];
    // Those that plain `cargo test` leaves out are no part of all.
    let cluster = ["clippy", "--package", "postern"];
    let tests = ["--test", "cluster", "--test", "installed"];
    let strict = ["--", "-D", "warnings"];
    let everything = run(root, &[&all[..], &strict].concat())?;
    let rest = run(root, &[&cluster[..], &tests, &strict].concat())?;
    Ok(match (everything, rest) {
        (Outcome::Passed, Outcome::Passed) => Outcome::Passed,
        _ => Outcome::Failed(Vec::new()),
    })
}

/// All tests. The examples in the documentation come first: they are few, and what the reader of a log looks for at
/// its end is the rest. One failing test program does not stop the others.
pub(super) fn test(root: &Path, terminal: Terminal) -> anyhow::Result<Outcome> {
    let documentation = run(root, &["test", "--workspace", "--doc", "--no-fail-fast"])?;
    let tests = if has_subcommand(root, "nextest")? {
        run(root, &["nextest", "run", "--workspace", "--no-fail-fast"])?
    } else {
        terminal.line("cargo-nextest is not installed: cargo test, which is slower")?;
        run(root, &["test", "--workspace", "--tests", "--no-fail-fast"])?
    };
    Ok(match (documentation, tests) {
        (Outcome::Passed, Outcome::Passed) => Outcome::Passed,
        _ => Outcome::Failed(Vec::new()),
    })
}

fn run(root: &Path, arguments: &[&str]) -> anyhow::Result<Outcome> {
    succeeds(cargo(root).args(arguments)).map(Outcome::of_program)
}
