//! The project's chores, as `cargo xtask COMMAND`: the checks that CI runs, and the files that are generated.
//!
//! [`command`] says what can be asked for; start reading there. Nothing in here is part of the product.

mod bench;
mod check;
mod cluster;
mod command;
mod crds;
mod docs;
mod manifests;
mod terminal;
mod workspace;

use std::process::ExitCode;

use command::Command;
use terminal::Terminal;

/// Exit code for a command line that makes no sense, as shells and clap have it.
const USAGE_ERROR: u8 = 2;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match Command::parse(&arguments) {
        Ok(command) => run(&command).unwrap_or_else(|error| {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }),
        Err(error) => {
            eprintln!("{}", command::usage_error(&error));
            ExitCode::from(USAGE_ERROR)
        }
    }
}

fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::stdout();
    let good = match command {
        Command::Help => {
            terminal.line(&command::usage())?;
            true
        }
        Command::Check {
            steps,
            require_deny,
        } => check::run(steps, *require_deny, terminal)?,
        Command::Manifests { check: false } => {
            terminal.line(&manifests::write(&workspace::root()?, terminal)?)?;
            true
        }
        Command::Manifests { check: true } => {
            let finding = manifests::finding(&workspace::root()?, terminal)?;
            if let Some(finding) = &finding {
                terminal.line(finding)?;
            }
            finding.is_none()
        }
        Command::Cluster(request) => return cluster::run(request, terminal),
        Command::BenchManifests(manifests) => {
            manifests.write()?;
            true
        }
        Command::BenchFleet(fleet) => {
            terminal.line(&fleet.run()?)?;
            true
        }
        Command::BenchPolicies(policies) => {
            terminal.line(&policies.run()?)?;
            true
        }
        Command::Crds { check: false } => {
            for line in crds::write(&workspace::root()?)? {
                terminal.line(&line)?;
            }
            true
        }
        Command::Docs { check: false } => {
            let root = workspace::root()?;
            for line in docs::write(&root)? {
                terminal.line(&line)?;
            }
            docs::of_binary(&root, true)?;
            true
        }
        Command::Docs { check: true } => {
            let root = workspace::root()?;
            let findings = docs::findings(&root)?;
            for finding in &findings {
                terminal.line(finding)?;
            }
            docs::of_binary(&root, false)?;
            findings.is_empty()
        }
        Command::Crds { check: true } => {
            let findings = crds::findings(&workspace::root()?)?;
            for finding in &findings {
                terminal.line(finding)?;
            }
            findings.is_empty()
        }
    };
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
