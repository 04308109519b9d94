//! The command line.

use clap::{Args, Parser, Subcommand, error::ErrorKind};

use crate::{
    bench::{Manifests, fleet::Fleet, policies::Policies},
    check::Step,
    cluster::{ClusterArgs, ConformanceArgs, ScaleArgs},
};

/// The project's chores: the checks that CI runs, generated files, clusters to try things in, and benchmarks.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = false,
    after_help = "Exit codes: 0 all is well, 1 something failed, 2 the command line is wrong."
)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

/// What was asked for.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Command {
    /// Run the checks that CI runs: all of them, or the steps that are named
    ///
    /// A step that fails does not stop the others.
    Check(Check),
    /// Write the CRDs of postern.dev to crds/
    Crds(Generate),
    /// Write the pages and tables of the documentation that come from the code
    Docs(Generate),
    /// Render the Helm chart to deploy/manifests/
    Manifests(Generate),
    /// Measure, or write what is measured with
    #[command(subcommand)]
    Bench(Bench),
    /// Start, fill, use and end a cluster to try things in
    Cluster(ClusterArgs),
    /// Run the conformance suite of the Gateway API against this checkout
    ///
    /// Starts a cluster unless one is up, installs Postern, and runs once for each version and channel, or for those
    /// that are said. One test runs with 1.7.0 experimental, unless said.
    Conformance(ConformanceArgs),
}

/// Which checks.
#[derive(Debug, PartialEq, Eq, Args)]
pub(crate) struct Check {
    /// They run in this order, whatever the order of their names
    #[arg(value_enum, value_name = "STEP")]
    named: Vec<Step>,
    /// Fail, rather than skip, when cargo-deny is not installed
    #[arg(long)]
    pub(crate) require_deny: bool,
}

impl Check {
    /// In the order they run; never empty.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let wanted = |step: &&Step| self.named.is_empty() || self.named.contains(step);
        Step::ALL.iter().filter(wanted).copied().collect()
    }
}

/// Whether files are generated, or compared with what would be.
#[derive(Debug, PartialEq, Eq, Args)]
pub(crate) struct Generate {
    /// Write nothing: name the files that differ, and exit with 1 if there are any
    #[arg(long)]
    pub(crate) check: bool,
}

/// What is measured.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Bench {
    /// Write a Gateway with many routes, and one that leads everything else to a backend
    ///
    /// With HTTPS if cert.pem and key.pem are beside the folder.
    Manifests(Manifests),
    /// Measure expand and translate over a fleet of Ingresses: from scratch, after one change, and the memory
    ///
    /// With `cargo run --release -p xtask`, or the figures mean nothing.
    Fleet(Fleet),
    /// Measure what rate limit, CORS, header control and least requests cost a request, by turns with a bare route
    Policies(Policies),
    /// Measure what thousands of routes and Ingresses cost, on a cluster that is up and where Postern is not installed
    Scale(ScaleArgs),
}

/// Where the release build of the gateway is.
pub(crate) const RELEASE_BUILD: &str = "target/release/postern";

impl Command {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    ///
    /// What is wrong with them, or the help that they ask for.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, clap::Error> {
        let name = "cargo xtask".to_owned();
        let line = Line::try_parse_from(std::iter::once(&name).chain(arguments))?;
        Ok(line.command)
    }
}

/// Whether it is no error, but help that was asked for.
pub(crate) fn is_help(error: &clap::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    )
}

/// What is said about a command line that makes no sense: two lines, the second with where to look.
pub(crate) fn usage_error(error: &clap::Error) -> String {
    let text = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "a command is missing".to_owned(),
        _ => error.to_string(),
    };
    let what = text.lines().take_while(|line| !line.is_empty());
    let what: Vec<&str> = what.map(str::trim).collect();
    let what = what.join(" ");
    let what = what.strip_prefix("error: ").unwrap_or(&what);
    format!("xtask: {what}\nfor all commands and options: cargo xtask help")
}

/// A number above zero.
pub(crate) fn positive<T: TryFrom<u32>>(text: &str) -> Result<T, String> {
    let number = text.parse::<u32>().ok().filter(|number| *number > 0);
    number
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| format!("{text:?} is no number above 0"))
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
