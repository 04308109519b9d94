//! The project's chores, as `cargo xtask COMMAND`: the checks that CI runs, and the files that are generated.
//!
//! [`command`] says what can be asked for; start reading there. Nothing in here is part of the product.

mod bench;
mod check;
mod cluster;
mod command;
mod crds;
mod docs;
mod layers;
mod manifests;
mod terminal;
mod workspace;

use std::process::ExitCode;

use command::{Bench, Command, Generate};
use terminal::Terminal;

/// Exit code for a command line that makes no sense, as shells and clap have it.
const USAGE_ERROR: u8 = 2;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match Command::parse(&arguments) {
        Ok(command) => run(command).unwrap_or_else(|error| {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }),
        Err(help) if command::is_help(&help) => {
            // A reader that has seen enough is no error.
            let _ = help.print();
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}", command::usage_error(&error));
            ExitCode::from(USAGE_ERROR)
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::stdout();
    let good = match command {
        Command::Check(asked) => check::run(&asked.steps(), asked.require_deny, terminal)?,
        Command::Crds(asked) => crds(&asked, terminal)?,
        Command::Docs(asked) => docs(&asked, terminal)?,
        Command::Manifests(asked) => manifests(&asked, terminal)?,
        Command::Cluster(asked) => return cluster::run(&asked.into(), terminal),
        Command::Conformance(asked) => return cluster::run(&asked.into(), terminal),
        Command::Bench(Bench::Scale(asked)) => return cluster::run(&asked.into(), terminal),
        Command::Bench(Bench::Manifests(manifests)) => {
            manifests.write()?;
            true
        }
        Command::Bench(Bench::Fleet(fleet)) => {
            terminal.line(&fleet.run()?)?;
            true
        }
        Command::Bench(Bench::Policies(policies)) => {
            terminal.line(&policies.run()?)?;
            true
        }
    };
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn crds(asked: &Generate, terminal: Terminal) -> anyhow::Result<bool> {
    let root = workspace::root()?;
    match asked.check {
        true => told(&crds::findings(&root)?, terminal),
        false => told(&crds::write(&root)?, terminal).map(|_| true),
    }
}

fn docs(asked: &Generate, terminal: Terminal) -> anyhow::Result<bool> {
    let root = workspace::root()?;
    let good = match asked.check {
        true => told(&docs::findings(&root)?, terminal)?,
        false => told(&docs::write(&root)?, terminal).map(|_| true)?,
    };
    docs::of_binary(&root, !asked.check)?;
    Ok(good)
}

fn manifests(asked: &Generate, terminal: Terminal) -> anyhow::Result<bool> {
    let root = workspace::root()?;
    match asked.check {
        true => told(manifests::finding(&root, terminal)?.as_slice(), terminal),
        false => told(&[manifests::write(&root, terminal)?], terminal).map(|_| true),
    }
}

/// Prints lines; the answer is whether there were none.
fn told(lines: &[String], terminal: Terminal) -> anyhow::Result<bool> {
    for line in lines {
        terminal.line(line)?;
    }
    Ok(lines.is_empty())
}
