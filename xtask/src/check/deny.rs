//! Licences, banned and duplicate crates, sources and advisories: cargo-deny, as `deny.toml` has it.

use std::{
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use super::{Options, Outcome};
use crate::workspace::{cargo, has_subcommand, succeeds};

/// How long the advisory database may take: it is one shallow git clone.
const FETCH_DEADLINE: Duration = Duration::from_secs(60);

/// Runs cargo-deny. Without it the step is skipped, or fails when it is required.
pub(super) fn run(root: &Path, options: Options) -> anyhow::Result<Outcome> {
    if !has_subcommand(root, "deny")? {
        let why = "cargo-deny is not installed: cargo install cargo-deny --locked";
        return Ok(without_cargo_deny(why, options.require_deny));
    }
    let tree = succeeds(cargo(root).args(["deny", "check", "bans", "licenses", "sources"]))?;
    let advisories = if fetch_database(root)? {
        succeeds(cargo(root).args(["deny", "--offline", "check", "advisories"]))?
    } else {
        options.terminal.line(
            "advisories: skipped, the database at https://github.com/RustSec/advisory-db is out of reach",
        )?;
        true
    };
    Ok(Outcome::of_program(tree && advisories))
}

fn without_cargo_deny(why: &str, required: bool) -> Outcome {
    if required {
        Outcome::Failed(vec![why.to_owned()])
    } else {
        Outcome::Skipped(why.to_owned())
    }
}

/// Whether the advisory database is here and new. An old copy would pass what it does not know, so it does not count.
fn fetch_database(root: &Path) -> anyhow::Result<bool> {
    let mut fetch = cargo(root);
    // It must not wait for a password, and what it says about an unreachable network is ours to say.
    fetch
        .args(["deny", "fetch", "db"])
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut fetch = fetch.spawn().context("cargo deny cannot be started")?;
    let started = Instant::now();
    while started.elapsed() < FETCH_DEADLINE {
        if let Some(status) = fetch.try_wait()? {
            return Ok(status.success());
        }
        thread::sleep(Duration::from_millis(50));
    }
    fetch.kill()?;
    fetch.wait()?;
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::{Outcome, without_cargo_deny};

    #[test]
    fn a_missing_cargo_deny_fails_only_when_it_is_required() {
        let why = "not installed".to_owned();
        assert_eq!(
            without_cargo_deny(&why, false),
            Outcome::Skipped(why.clone())
        );
        assert_eq!(
            without_cargo_deny(&why, true),
            Outcome::Failed(vec![why.clone()])
        );
    }
}
