//! What the words of the command line do: one file each.

mod check;
mod convert;
mod demo;
mod diff;
mod explain;
mod run;
mod withdraw;

use std::process::ExitCode;

use anyhow::Context;

use crate::{
    cli::{Command, ManifestArgs},
    output,
    pipeline::{Made, Pipeline},
    rbac, report, serve,
    source::{
        self, SourceError, Update,
        kube::once::{self, Access},
    },
};

/// How a command ended that could run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All is well.
    Well,
    /// There is something to look at.
    WithFindings,
}

impl From<Ended> for ExitCode {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Well => Self::SUCCESS,
            Ended::WithFindings => Self::from(3),
        }
    }
}

impl Ended {
    fn well_if(well: bool) -> Self {
        if well { Self::Well } else { Self::WithFindings }
    }
}

/// Does what the command line says.
///
/// # Errors
/// The command could not run.
pub(crate) fn execute(command: Command) -> anyhow::Result<Ended> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Convert(args) => convert::convert(&args),
        Command::Check(args) => check::check(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Diff(args) => diff::diff(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::Withdraw(args) => withdraw::withdraw(&args),
        Command::Rbac { name } => {
            output::print(&rbac::manifests(&name)?)?;
            Ok(Ended::Well)
        }
    }
}

/// Objects, read once and taken through the pipeline.
struct Loaded {
    update: Update,
    made: Made,
}

/// # Errors
/// A file could not be read, or the cluster: whatever were said about the rest might be wrong.
fn load(args: &ManifestArgs, options: converter::Options) -> anyhow::Result<Loaded> {
    let mut update = source::file::read_once(&args.files)?;
    let problems = update.problems.iter();
    let unread: Vec<_> = problems
        .filter(|problem| problem.is_unread())
        .cloned()
        .collect();
    if !unread.is_empty() {
        return Err(SourceError::Unread(unread).into());
    }
    if let Some(access) = args.cluster.access() {
        let access = Access {
            secret: options.default_certificate.clone(),
            ..access
        };
        let runtime = serve::runtime().context("cannot start")?;
        let cluster = runtime.block_on(once::read(&access))?;
        output::complain(&words(&cluster));
        update = cluster.under(update);
    }
    let mut pipeline = Pipeline::new(options);
    let made = pipeline.run(&update.resources);
    Ok(Loaded { update, made })
}

/// What was read from a cluster.
fn words(cluster: &Update) -> String {
    let place = cluster.cluster.as_deref().unwrap_or_default();
    let count = report::plural(cluster.resources.iter().count(), "object");
    // Where Higress has never been, its kind is not missed.
    let absent = cluster
        .absent
        .iter()
        .filter(|kind| **kind != api::Kind::McpBridge);
    let absent: Vec<_> = absent.map(|kind| kind.as_str()).collect();
    let absent = match absent[..] {
        [] => String::new(),
        _ => format!("; not installed there: {}", absent.join(", ")),
    };
    format!("{place}: {count} read{absent}\n")
}
