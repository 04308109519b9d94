//! `cargo xtask bench scale`: what a real API server and many objects cost. The measuring itself is a benchmark of
//! `postern`'s, which runs where the cluster can be reached.

use std::{
    path::PathBuf,
    process::{ExitCode, Stdio},
};

use anyhow::{Context as _, ensure};

use super::{
    bundle::Wanted,
    install::{self, Installation},
    kubectl_program, passed_on,
};
use crate::workspace;

/// Where the measuring is.
const BENCHMARK: &str = "scale";

impl Installation<'_> {
    /// Measures with that cargo profile; `options` are the benchmark's.
    pub(super) fn scale(self, profile: &str, options: &[String]) -> anyhow::Result<ExitCode> {
        let name = self.machine.layout().name();
        ensure!(
            self.machine.is_up()?,
            "{name} is not up: {}",
            self.machine.command("up")
        );
        let installed = ["get", "deployments", "-n", install::NAMESPACE, "-o", "name"];
        let installed = workspace::output_of(&mut self.kubectl(&installed)?)?;
        ensure!(
            installed.is_empty(),
            "Postern is installed, and would take part in what is measured: cargo xtask cluster uninstall"
        );
        self.all_definitions(Wanted::default())?;
        let gateway = ["build", "--package", "postern", "--bin", "postern"];
        let gateway = self.built(&[&gateway[..], &["--profile", profile]].concat(), "postern")?;
        // What measures need not be fast.
        let measure = ["bench", "--package", "postern", "--bench", BENCHMARK];
        let measure = [&measure[..], &["--no-run", "--profile", "dev"]].concat();
        let measure = self.built(&measure, BENCHMARK)?;
        let kubectl = kubectl_program(self.root, self.terminal)?;
        let mut command = self.machine.inside(measure.as_os_str());
        command.arg("--binary").arg(gateway);
        command.arg("--kubectl").arg(kubectl);
        passed_on(command.args(options))
    }

    fn built(self, arguments: &[&str], target: &str) -> anyhow::Result<PathBuf> {
        let mut cargo = workspace::cargo(self.root);
        cargo
            .args(arguments)
            .args(["--locked", "--message-format=json-render-diagnostics"])
            .stderr(Stdio::inherit());
        let output = cargo.output().context("cargo cannot be started")?;
        let shown = workspace::shown(&cargo);
        ensure!(output.status.success(), "{shown} failed");
        install::executable(&String::from_utf8_lossy(&output.stdout), target)
            .with_context(|| format!("{shown} does not say where {target} is"))
    }
}
