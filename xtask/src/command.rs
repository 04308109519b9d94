//! The command line.

use std::fmt::Write as _;

use crate::{
    bench::{Manifests, fleet::Fleet, policies::Policies},
    check::Step,
    cluster::{self, Request},
};

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Print the usage.
    Help,
    /// Run checks.
    Check {
        /// In the order they run; never empty.
        steps: Vec<Step>,
        /// A missing cargo-deny is a failure.
        require_deny: bool,
    },
    /// Generate the CRDs.
    Crds {
        /// Only compare; write nothing.
        check: bool,
    },
    /// Generate the pages of the documentation that come from the code.
    Docs {
        /// Only compare; write nothing.
        check: bool,
    },
    /// Render the chart to plain manifests.
    Manifests {
        /// Only compare; write nothing.
        check: bool,
    },
    /// Do something with a cluster to try things in.
    Cluster(Request),
    /// Write what benchmarks run on.
    BenchManifests(Manifests),
    /// Measure what a fleet of Ingresses costs.
    BenchFleet(Fleet),
    /// Measure what policies cost a request.
    BenchPolicies(Policies),
}

/// What takes arguments of its own.
const COMMANDS: &[&str] = &[
    "bench",
    "check",
    "cluster",
    "conformance",
    "crds",
    "docs",
    "manifests",
];

impl Command {
    /// Reads the arguments after the program's name. An error says in one line what is wrong.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let Some((command, rest)) = arguments.split_first() else {
            return Err("a command is missing".to_owned());
        };
        let known = COMMANDS.contains(&command.as_str());
        // What follows is for another program.
        let mut ours = rest.iter().take_while(|argument| *argument != "--");
        if is_help(command) || (known && ours.any(|a| is_help(a))) {
            return Ok(Self::Help);
        }
        match command.as_str() {
            "check" => parse_check(rest),
            "crds" => generate("crds", rest).map(|check| Self::Crds { check }),
            "docs" => generate("docs", rest).map(|check| Self::Docs { check }),
            "manifests" => generate("manifests", rest).map(|check| Self::Manifests { check }),
            "bench" => parse_bench(rest),
            "cluster" => Request::parse(rest).map(Self::Cluster),
            "conformance" => Request::parse_conformance(rest).map(Self::Cluster),
            other => Err(format!("there is no command {other:?}")),
        }
    }
}

fn is_help(argument: &str) -> bool {
    matches!(argument, "help" | "--help" | "-h")
}

fn parse_check(arguments: &[String]) -> Result<Command, String> {
    let (mut wanted, mut require_deny) = (Vec::new(), false);
    for argument in arguments {
        if argument == "--require-deny" {
            require_deny = true;
        } else if argument.starts_with('-') {
            return Err(format!("check has no option {argument:?}"));
        } else {
            let step =
                Step::find(argument).ok_or_else(|| format!("check has no step {argument:?}"))?;
            wanted.push(step);
        }
    }
    let steps = Step::ALL
        .iter()
        .copied()
        .filter(|step| wanted.is_empty() || wanted.contains(step))
        .collect();
    Ok(Command::Check {
        steps,
        require_deny,
    })
}

/// Whether files are only to be compared with what would be generated.
fn generate(command: &str, arguments: &[String]) -> Result<bool, String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [] => Ok(false),
        ["--check"] => Ok(true),
        ["--check", extra, ..] => Err(format!(
            "{command} takes nothing after --check, not {extra:?}"
        )),
        [other, ..] => Err(format!("{command} has no option {other:?}")),
    }
}

fn parse_bench(arguments: &[String]) -> Result<Command, String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (folder, options) = match &words[..] {
        ["manifests", folder, options @ ..] => (folder, options),
        ["fleet", options @ ..] => return parse_fleet(options),
        ["policies", options @ ..] => return parse_policies(options),
        ["scale", ..] => return Request::parse_scale(&arguments[1..]).map(Command::Cluster),
        _ => return Err("bench wants: manifests DIR, fleet, policies or scale".to_owned()),
    };
    let mut manifests = Manifests {
        folder: (*folder).into(),
        routes: 1_000,
        backend: "127.0.0.1:19001".to_owned(),
    };
    for option in options.chunks(2) {
        match *option {
            ["--routes", routes] => {
                manifests.routes = routes
                    .parse()
                    .map_err(|_| format!("{routes:?} is no number of routes"))?;
            }
            ["--backend", backend] => backend.clone_into(&mut manifests.backend),
            [other, ..] => return Err(format!("bench manifests has no option {other:?}")),
            [] => {}
        }
    }
    Ok(Command::BenchManifests(manifests))
}

fn parse_fleet(options: &[&str]) -> Result<Command, String> {
    let ingresses = match *options {
        [] => 10_000,
        ["--ingresses", count] => count
            .parse()
            .map_err(|_| format!("{count:?} is no number of Ingresses"))?,
        [other, ..] => return Err(format!("bench fleet has no option {other:?}")),
    };
    Ok(Command::BenchFleet(Fleet { ingresses }))
}

fn parse_policies(options: &[&str]) -> Result<Command, String> {
    let mut policies = Policies {
        binary: "target/release/postern".into(),
        rounds: 5,
        seconds: 3,
    };
    let number = |text: &str| {
        let number = text.parse().ok().filter(|number| *number > 0);
        number.ok_or_else(|| format!("{text:?} is no number above 0"))
    };
    for option in options.chunks(2) {
        match *option {
            ["--binary", path] => policies.binary = path.into(),
            ["--rounds", rounds] => policies.rounds = number(rounds)?,
            ["--seconds", seconds] => policies.seconds = number(seconds)? as u64,
            [other, ..] => return Err(format!("bench policies has no option {other:?}")),
            [] => {}
        }
    }
    Ok(Command::BenchPolicies(policies))
}

/// What is said about a command line that makes no sense: two lines, the second with where to look.
pub(crate) fn usage_error(error: &str) -> String {
    format!("xtask: {error}\nfor all commands and options: cargo xtask help")
}

/// The text of `--help`.
pub(crate) fn usage() -> String {
    let mut text = "\
Usage: cargo xtask COMMAND

Commands:
  check [STEP…] [--require-deny]
                      Run the checks that CI runs: all of them, or the steps named, in the order below.
                      A step that fails does not stop the others.
  crds [--check]      Write the CRDs of postern.dev to crds/. With --check: write nothing, name the files
                      that differ.
  docs [--check]      Write docs/annotations.md, chart.md and crds.md, and the tables of configuration.md, from the
                      code. With --check as above.
  manifests [--check] Render the Helm chart to deploy/manifests/. With --check: only compare.
  bench manifests DIR [--routes N] [--backend HOST:PORT]
                      Write a Gateway with N routes (1000) and one that leads everything else to the backend
                      (127.0.0.1:19001); with HTTPS if cert.pem and key.pem are beside DIR.
  bench fleet [--ingresses N]
                      Measure expand and translate over N Ingresses (10000): from scratch, after one change,
                      and the memory. With cargo run --release -p xtask, or the figures mean nothing.
  bench policies [--binary PATH] [--rounds N] [--seconds N]
                      Measure what rate limit, CORS, header control and least requests cost a request, with the
                      release build of the gateway (target/release/postern), by turns with a bare route.
  bench scale [-- OPTIONS…]
                      Measure on a cluster that is up, and where Postern is not installed, what thousands of routes
                      and Ingresses cost: status, time until they are served, memory. Takes --cluster, --name and
                      --profile (release) as cluster does; -- --help says what else.
"
    .to_owned();
    text.push_str(cluster::USAGE);
    text.push_str("  help                Print this.\n\nSteps of check:\n");
    for step in Step::ALL {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:<20}{}", step.name(), step.about());
    }
    text.push_str(
        "
Options:
  --require-deny      Fail, rather than skip, when cargo-deny is not installed.

Exit codes: 0 all is well, 1 something failed, 2 the command line is wrong.",
    );
    text
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
