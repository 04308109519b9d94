//! The postern binary: annotated Ingresses and Gateway API resources in, traffic out.
//!
//! [`cli`] says what can be asked for and [`command`] does it. Every command reads manifests with [`source`] and takes
//! them through [`pipeline`]; `run` hands the result to the data plane ([`live`]) and tells about it ([`admin`]). In a
//! cluster it also writes, if it holds the [`lease`]: [`status`], Services ([`provision`]), what Ingresses become
//! ([`translated`]) and [`event`]s about it.

mod admin;
mod apply;
mod cli;
mod command;
mod demo;
mod descriptor;
mod diff;
#[cfg(test)]
mod documentation;
mod event;
mod explain;
mod fault;
mod hostname;
mod lease;
mod live;
mod output;
mod pipeline;
mod provision;
mod rbac;
mod report;
mod serve;
mod source;
mod stand_in;
mod status;
mod translated;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match command::execute(cli.command) {
        Ok(ended) => ended.into(),
        Err(error) => {
            output::complain(&format!("postern: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}
