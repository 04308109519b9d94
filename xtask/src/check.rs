//! `cargo xtask check`: everything that must hold before a change is merged.

mod cargo;
mod deny;
mod edges;
mod lint;
mod prose;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    crds, docs, layers, manifests,
    terminal::{Style, Terminal},
    workspace,
};

/// One check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Step {
    /// cargo fmt: the sources are formatted
    Format,
    /// cargo clippy: no warnings, in tests neither
    Clippy,
    /// Crates and their modules know each other only as the design allows
    Edges,
    /// Length and names of files, length of lines of prose, texts that must not be in files
    Lint,
    /// Generated files are what would be generated now
    Generated,
    /// cargo deny: licences, duplicate crates, sources, advisories
    Deny,
    /// cargo nextest, or else cargo test; and the examples in the documentation
    Test,
}

impl Step {
    /// Every step, cheap ones that fail often before dear ones; clippy compiles what the later steps need.
    pub(crate) const ALL: &'static [Self] = &[
        Self::Format,
        Self::Clippy,
        Self::Edges,
        Self::Lint,
        Self::Generated,
        Self::Deny,
        Self::Test,
    ];

    /// What a person types.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Clippy => "clippy",
            Self::Edges => "edges",
            Self::Lint => "lint",
            Self::Generated => "generated",
            Self::Deny => "deny",
            Self::Test => "test",
        }
    }

    fn run(self, root: &Path, options: Options) -> anyhow::Result<Outcome> {
        match self {
            Self::Format => cargo::format(root),
            Self::Clippy => cargo::clippy(root),
            Self::Edges => {
                let mut findings = edges::findings(root)?;
                findings.extend(layers::findings(root)?);
                Ok(Outcome::of(findings))
            }
            Self::Lint => Ok(Outcome::of(lint::findings(root)?)),
            Self::Generated => {
                let mut findings = crds::findings(root)?;
                findings.extend(docs::findings(root)?);
                findings.extend(manifests::finding(root, options.terminal)?);
                Ok(Outcome::of(findings))
            }
            Self::Deny => deny::run(root, options),
            Self::Test => cargo::test(root, options.terminal),
        }
    }
}

/// What a step may need to know.
#[derive(Debug, Clone, Copy)]
struct Options {
    require_deny: bool,
    terminal: Terminal,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// All is well.
    Passed,
    /// Could not be done here, and why that is no failure.
    Skipped(String),
    /// What is wrong, a line each; none if a program that we ran has said it.
    Failed(Vec<String>),
}

impl Outcome {
    /// Passed unless there are findings.
    fn of(findings: Vec<String>) -> Self {
        if findings.is_empty() {
            Self::Passed
        } else {
            Self::Failed(findings)
        }
    }

    /// The outcome of a program that says itself what is wrong.
    fn of_program(succeeded: bool) -> Self {
        if succeeded {
            Self::Passed
        } else {
            Self::Failed(Vec::new())
        }
    }

    const fn word(&self) -> (Style, &'static str) {
        match self {
            Self::Passed => (Style::Good, "ok"),
            Self::Skipped(_) => (Style::Caution, "skipped"),
            Self::Failed(_) => (Style::Bad, "FAILED"),
        }
    }
}

/// A step that has run.
#[derive(Debug)]
struct Report {
    step: Step,
    outcome: Outcome,
    took: Duration,
}

impl Report {
    /// Name, outcome and duration.
    fn line(&self, terminal: Terminal) -> String {
        let (style, word) = self.outcome.word();
        let padding = " ".repeat("skipped".len() - word.len());
        let why = match &self.outcome {
            Outcome::Skipped(why) => format!("  {why}"),
            Outcome::Passed | Outcome::Failed(_) => String::new(),
        };
        format!(
            "{:<10}{}{padding}{:>8.1} s{why}",
            self.step.name(),
            terminal.paint(style, word),
            self.took.as_secs_f64()
        )
    }
}

/// Runs the steps, all of them whatever happens; the answer is whether none failed.
pub(crate) fn run(steps: &[Step], require_deny: bool, terminal: Terminal) -> anyhow::Result<bool> {
    let root = workspace::root()?;
    let options = Options {
        require_deny,
        terminal,
    };
    let mut reports = Vec::new();
    for &step in steps {
        terminal.line(&terminal.paint(Style::Heading, &format!("== {}", step.name())))?;
        let started = Instant::now();
        let outcome = step
            .run(&root, options)
            .unwrap_or_else(|error| Outcome::Failed(vec![format!("{error:#}")]));
        if let Outcome::Failed(findings) = &outcome {
            for finding in findings {
                terminal.line(finding)?;
            }
        }
        let report = Report {
            step,
            outcome,
            took: started.elapsed(),
        };
        terminal.line(&format!("{}\n", report.line(terminal)))?;
        reports.push(report);
    }
    for line in summary(&reports, terminal) {
        terminal.line(&line)?;
    }
    Ok(reports
        .iter()
        .all(|r| !matches!(r.outcome, Outcome::Failed(_))))
}

/// Every step again, and a verdict.
fn summary(reports: &[Report], terminal: Terminal) -> Vec<String> {
    let failed: Vec<&str> = reports
        .iter()
        .filter(|r| matches!(r.outcome, Outcome::Failed(_)))
        .map(|r| r.step.name())
        .collect();
    let mut lines = vec![terminal.paint(Style::Heading, "== summary")];
    lines.extend(reports.iter().map(|r| r.line(terminal)));
    lines.push(if failed.is_empty() {
        terminal.paint(Style::Good, "All checks passed.")
    } else {
        let again = format!("again: cargo xtask check {}", failed.join(" "));
        let verdict = format!("{} of {} failed", failed.len(), reports.len());
        format!("{}; {again}", terminal.paint(Style::Bad, &verdict))
    });
    lines
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use std::time::Duration;

    use super::{Outcome, Report, Step, summary};
    use crate::terminal::Terminal;

    fn report(step: Step, outcome: Outcome) -> Report {
        Report {
            step,
            outcome,
            took: Duration::from_millis(1_250),
        }
    }

    #[test]
    fn names_are_what_a_person_types() {
        for step in Step::ALL.iter().copied() {
            assert_eq!(Step::from_str(step.name(), false), Ok(step));
        }
        assert_eq!(Step::value_variants().len(), Step::ALL.len());
    }

    #[test]
    fn the_summary_names_what_failed_and_why_something_was_skipped() {
        let reports = [
            report(Step::Format, Outcome::Passed),
            report(Step::Deny, Outcome::Skipped("not installed".to_owned())),
            report(Step::Test, Outcome::Failed(Vec::new())),
        ];
        let lines = summary(&reports, Terminal::with_colour(false));
        assert_eq!(
            lines,
            [
                "== summary",
                "format    ok          1.2 s",
                "deny      skipped     1.2 s  not installed",
                "test      FAILED      1.2 s",
                "1 of 3 failed; again: cargo xtask check test",
            ]
        );
    }

    #[test]
    fn a_skipped_step_is_no_failure() {
        let reports = [report(Step::Deny, Outcome::Skipped("no".to_owned()))];
        let lines = summary(&reports, Terminal::with_colour(false));
        assert_eq!(lines.last().unwrap(), "All checks passed.");
    }
}
