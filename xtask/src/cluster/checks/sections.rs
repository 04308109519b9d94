//! Every example in a cluster, taken as it is, and held to what its section of the annotation document says: the checks
//! over real sockets that `postern run -f` has to pass, on Postern as installed. Backends are on this machine.

use std::fs;

use anyhow::Context as _;

use super::{Cluster, installed};
use crate::cluster::install::NAMESPACE;

/// Those that edit files as they go, which nobody applies, or that need no gateway.
const NOT: &[&str] = &["a_broken_secret_closes_the_rule_until_it_is_whole"];

/// Runs them on one replica: what a replica counts, such as weights and limits, is exact.
pub(super) fn are_honoured(cluster: &Cluster<'_>) -> anyhow::Result<Vec<String>> {
    let mut findings = refused(cluster)?;
    let replicas = cluster.kubectl_prints(&[
        "get",
        "deployment",
        "postern",
        "-n",
        NAMESPACE,
        "-o",
        "jsonpath={.spec.replicas}",
    ])?;
    scale(cluster, "1")?;
    let mut arguments = vec!["examples::"];
    for name in NOT {
        arguments.extend(["--skip", name]);
    }
    let passed = installed::pass(cluster, "e2e", &arguments)?;
    scale(cluster, &replicas)?;
    if !passed {
        findings.push("an example is not served as its section says".to_owned());
    }
    Ok(findings)
}

/// Folders that the API server does not take as they are.
fn refused(cluster: &Cluster<'_>) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    let examples = cluster.root.join("examples");
    for entry in fs::read_dir(&examples).context("the examples cannot be read")? {
        let path = entry.context("the examples cannot be read")?.path();
        let folder = path.display().to_string();
        let apply = ["apply", "--dry-run=server", "-n", "default", "-f", &folder];
        if path.is_dir()
            && let Err(error) = cluster.kubectl_prints(&apply)
        {
            findings.push(format!("{error:#}"));
        }
    }
    Ok(findings)
}

fn scale(cluster: &Cluster<'_>, replicas: &str) -> anyhow::Result<()> {
    let scale = ["scale", "deployment", "postern", "-n", NAMESPACE];
    let replicas = format!("--replicas={replicas}");
    cluster.kubectl_prints(&[&scale[..], &[&replicas]].concat())?;
    let status = ["rollout", "status", "deployment", "postern"];
    let rest = ["-n", NAMESPACE, "--timeout=60s"];
    cluster
        .kubectl_prints(&[&status[..], &rest].concat())
        .map(drop)
}
