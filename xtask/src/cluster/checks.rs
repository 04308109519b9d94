//! `cargo xtask cluster test`: what only a real API server and real pods can show.

mod cases;
mod convert;
mod definitions;
mod image;
mod installed;
mod life;
mod options;
mod page;
mod pods;
mod release;
mod rules;
mod sections;
mod switch;
mod undone;

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, ensure};

use super::{kubectl_program, machine::Machine};
use crate::{
    terminal::{Style, Terminal},
    workspace,
};

/// One check.
pub(crate) struct Check {
    /// What a person types.
    name: &'static str,
    /// A line for each thing that is wrong.
    run: fn(&Cluster<'_>) -> anyhow::Result<Vec<String>>,
}

/// In the order they run.
const CHECKS: &[Check] = &[
    Check {
        name: "definitions",
        run: definitions::accepted_and_readable,
    },
    Check {
        name: "rules",
        run: rules::every_rule_is_enforced,
    },
    Check {
        name: "image",
        run: image::is_bare,
    },
    Check {
        name: "pods",
        run: pods::are_served,
    },
    Check {
        name: "examples",
        run: sections::are_honoured,
    },
    Check {
        name: "convert",
        run: convert::is_accepted,
    },
    Check {
        name: "life",
        run: life::nothing_is_lost,
    },
    Check {
        name: "options",
        run: options::are_honoured,
    },
    Check {
        name: "switch",
        run: switch::goes_there_and_back,
    },
    Check {
        name: "undone",
        run: undone::when_it_fails,
    },
    // The last: about all that went before.
    Check {
        name: "permissions",
        run: life::nothing_is_forbidden,
    },
];

/// What checks work on.
pub(crate) struct Cluster<'a> {
    pub(crate) machine: &'a dyn Machine,
    pub(crate) root: &'a Path,
    pub(crate) terminal: Terminal,
}

impl Cluster<'_> {
    /// Runs the checks whose names contain one of these texts, or all; the answer is whether all is well.
    pub(crate) fn check(&self, filters: &[String]) -> anyhow::Result<bool> {
        ensure!(
            self.machine.is_up()?,
            "there is no cluster: {}",
            self.machine.command("up")
        );
        let wanted = |check: &&Check| {
            filters.is_empty() || filters.iter().any(|f| check.name.contains(f.as_str()))
        };
        let (mut ran, mut failed) = (0, 0);
        for check in CHECKS.iter().filter(wanted) {
            let started = Instant::now();
            let findings = (check.run)(self).unwrap_or_else(|error| vec![format!("{error:#}")]);
            for finding in &findings {
                self.terminal.line(finding)?;
            }
            let (style, word) = match findings[..] {
                [] => (Style::Good, "ok"),
                _ => (Style::Bad, "FAILED"),
            };
            let seconds = started.elapsed().as_secs_f64();
            let word = self.terminal.paint(style, word);
            let line = format!("{:<14}{word:<8}{seconds:>6.1} s", check.name);
            self.terminal.line(&line)?;
            ran += 1;
            failed += usize::from(!findings.is_empty());
        }
        ensure!(ran > 0, "no check is called like that");
        Ok(failed == 0)
    }

    /// kubectl with these arguments.
    fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let program = kubectl_program(self.root, self.terminal)?;
        let mut kubectl = self.machine.inside(program.as_os_str());
        kubectl.args(arguments);
        Ok(kubectl)
    }

    /// What kubectl prints; it must succeed.
    fn kubectl_prints(&self, arguments: &[&str]) -> anyhow::Result<String> {
        workspace::output_of(&mut self.kubectl(arguments)?)
    }

    /// What kubectl makes of a manifest: both outputs, since each object may be accepted or refused.
    fn kubectl_reads(&self, arguments: &[&str], manifest: &str) -> anyhow::Result<String> {
        let mut child = self
            .kubectl(arguments)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("kubectl cannot be started")?;
        let mut input = child.stdin.take().context("kubectl has no input")?;
        let text = manifest.to_owned();
        // On a thread of its own: it prints while it reads.
        let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
        let output = child.wait_with_output().context("kubectl was lost")?;
        // One that has read enough closes its input.
        let _ = writer.join();
        Ok(format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ))
    }
}
