//! What `postern convert` writes of every example: the API server takes it as it is, and knows every field in it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};

use super::Cluster;
use crate::{cluster::install, workspace};

/// What `postern convert` ends with when an annotation is not kept exactly, which examples say too.
pub(super) const INEXACT: i32 = 3;

/// Converts each folder, and has the API server look at the result.
pub(super) fn is_accepted(cluster: &Cluster<'_>) -> anyhow::Result<Vec<String>> {
    let postern = built(cluster)?;
    let examples = cluster.root.join("examples");
    let mut findings = Vec::new();
    let mut asked = 0;
    for entry in fs::read_dir(&examples).context("the examples cannot be read")? {
        let folder = entry.context("the examples cannot be read")?.path();
        if !folder.is_dir() {
            continue;
        }
        let objects = converted(&postern, &folder)?;
        // Some have no Ingress.
        if objects.trim().is_empty() {
            continue;
        }
        asked += 1;
        if let Err(error) = taken(cluster, &objects) {
            findings.push(format!("{}: {error:#}", folder.display()));
        }
    }
    ensure!(asked > 0, "no example became anything");
    Ok(findings)
}

fn converted(postern: &Path, folder: &Path) -> anyhow::Result<String> {
    let mut convert = Command::new(postern);
    convert.args(["convert", "--report", "none", "--file"]);
    let output = convert.arg(folder).output();
    let output = output.context("postern cannot be started")?;
    let ended = output.status.code();
    ensure!(
        ended == Some(0) || ended == Some(INEXACT),
        "{} cannot be converted: {}",
        folder.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).context("postern prints something that is not UTF-8")
}

/// Fields that the schema does not have would be lost; here they are refused.
fn taken(cluster: &Cluster<'_>, objects: &str) -> anyhow::Result<()> {
    let layout = cluster.machine.layout();
    layout.write("converted.yaml", objects)?;
    let file = layout.at("converted.yaml").display().to_string();
    let apply = ["apply", "--server-side", "--force-conflicts"];
    let rest = ["--dry-run=server", "--validate=strict", "-f", &file];
    cluster
        .kubectl_prints(&[&apply[..], &rest].concat())
        .map(drop)
}

/// Postern as cargo builds it for this machine.
pub(super) fn built(cluster: &Cluster<'_>) -> anyhow::Result<PathBuf> {
    let mut cargo = workspace::cargo(cluster.root);
    cargo
        .args(["build", "--locked", "--package", "postern"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit());
    let messages = workspace::output_of(&mut cargo)?;
    install::executable(&messages, "postern").context("cargo does not say where the binary is")
}
