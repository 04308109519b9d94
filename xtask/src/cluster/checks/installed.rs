//! Rust tests that need Postern as it is installed in a cluster, run where it can be reached.

use std::{env, ffi::OsStr, path::PathBuf, process::Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::Cluster;
use crate::{
    cluster::{install, kubectl_program},
    workspace,
};

/// Runs a test target of `postern`, one test after the other, since there is one installation; the answer is whether
/// all pass.
pub(super) fn pass(
    cluster: &Cluster<'_>,
    target: &str,
    arguments: &[&str],
) -> anyhow::Result<bool> {
    let program = built(cluster, target)?;
    let kubectl = kubectl_program(cluster.root, cluster.terminal)?;
    let xtask = env::current_exe().context("xtask does not know where it is")?;
    let mut command = cluster.machine.inside(program.as_os_str());
    command
        .env("POSTERN_E2E_KUBECTL", kubectl)
        .env("POSTERN_E2E_XTASK", xtask)
        .env("POSTERN_E2E_CLUSTER", cluster.machine.layout().name())
        .env("TESTKIT_ADDRESS", address(cluster)?)
        .current_dir(cluster.root.join("crates/postern"))
        .arg("--test-threads=1")
        .args(arguments);
    let status = command
        .status()
        .with_context(|| format!("{} cannot be started", workspace::shown(&command)))?;
    Ok(status.success())
}

/// Built out here: there is no way to a registry from inside the cluster's network.
fn built(cluster: &Cluster<'_>, target: &str) -> anyhow::Result<PathBuf> {
    let mut cargo = workspace::cargo(cluster.root);
    cargo
        .args(["test", "--locked", "--package", "postern", "--test", target])
        .args(["--no-run", "--message-format=json-render-diagnostics"])
        .stderr(Stdio::inherit());
    let output = cargo.output().context("cargo cannot be started")?;
    ensure!(
        output.status.success(),
        "{} failed",
        workspace::shown(&cargo)
    );
    install::executable(&String::from_utf8_lossy(&output.stdout), target)
        .context("cargo does not say where the tests are")
}

/// This machine, as pods see it: what it has on the way to the node.
fn address(cluster: &Cluster<'_>) -> anyhow::Result<String> {
    let nodes = cluster.kubectl_prints(&["get", "nodes", "-o", "json"])?;
    let nodes: Value = serde_json::from_str(&nodes).context("kubectl prints no JSON")?;
    let addresses = nodes["items"][0]["status"]["addresses"].as_array();
    let node = addresses
        .into_iter()
        .flatten()
        .find(|address| address["type"] == "InternalIP")
        .and_then(|address| address["address"].as_str())
        .context("the node has no address")?;
    let mut ip = cluster.machine.inside(OsStr::new("ip"));
    let said = workspace::output_of(ip.args(["-o", "route", "get", node]))?;
    source(&said)
        .map(str::to_owned)
        .with_context(|| format!("ip does not say how to get to {node}"))
}

/// What follows `src`.
fn source(route: &str) -> Option<&str> {
    let mut words = route.split_whitespace();
    words.find(|word| *word == "src")?;
    words.next()
}

#[cfg(test)]
mod tests {
    use super::source;

    #[test]
    fn the_source_of_a_route_is_read() {
        let local = "local 10.89.0.2 dev lo table local src 10.89.0.2 uid 0 \\    cache <local> \n";
        assert_eq!(source(local), Some("10.89.0.2"));
        let far = "172.18.0.2 dev br-1 src 172.18.0.1 uid 0 \\    cache \n";
        assert_eq!(source(far), Some("172.18.0.1"));
        assert_eq!(source("unreachable"), None);
    }
}
