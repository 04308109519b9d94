//! Every example in a cluster, held to what its section of the annotation document says: the checks over real sockets that
//! `postern run -f` has to pass, on Postern as installed. Backends are on this machine.

use super::{Cluster, installed};
use crate::cluster::install::NAMESPACE;

/// Those that edit files as they go, which nobody applies, or that need no gateway.
const NOT: &[&str] = &["a_broken_secret_closes_the_rule_until_it_is_whole"];

/// Runs them on one replica: what a replica counts, such as weights and limits, is exact.
pub(super) fn are_honoured(cluster: &Cluster<'_>) -> anyhow::Result<Vec<String>> {
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
    Ok(match passed {
        true => Vec::new(),
        false => vec!["an example is not served as its section says".to_owned()],
    })
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
