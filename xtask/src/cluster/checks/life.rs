//! Requests while replicas, the API server and endpoints come and go, and what Postern was allowed to do all along.

use std::fs;

use anyhow::Context as _;
use serde_json::Value;

use super::{Cluster, installed};
use crate::cluster::bundle;

/// Runs the tests under load.
pub(super) fn nothing_is_lost(cluster: &Cluster<'_>) -> anyhow::Result<Vec<String>> {
    // Definitions are changed from inside, where there is no way to a proxy of modules.
    bundle::fetch()?;
    Ok(match installed::pass(cluster, "installed", &[])? {
        true => Vec::new(),
        false => vec!["a request was lost, or more".to_owned()],
    })
}

/// Reads in the API server's audit log what it denied to Postern's service account since the cluster came up.
pub(super) fn nothing_is_forbidden(cluster: &Cluster<'_>) -> anyhow::Result<Vec<String>> {
    let path = cluster.machine.layout().at("audit.log");
    let log =
        fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let events = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let events: Vec<Value> = events.collect();
    let mut findings: Vec<String> = events.iter().filter_map(forbidden).collect();
    findings.sort();
    findings.dedup();
    if events.is_empty() {
        findings.push(format!("{} has nothing about Postern", path.display()));
    }
    Ok(findings)
}

/// What was asked for, if the answer was that the role does not allow it. (A namespace on its way out forbids too.)
fn forbidden(event: &Value) -> Option<String> {
    let decision = event["annotations"]["authorization.k8s.io/decision"].as_str();
    (decision == Some("forbid"))
        .then(|| format!("forbidden: {} {}", event["verb"], event["requestURI"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::forbidden;

    #[test]
    fn only_what_the_role_lacks_counts() {
        let event = |decision: &str| {
            json!({
                "verb": "get", "requestURI": "/api/v1/nodes", "responseStatus": { "code": 403 },
                "annotations": { "authorization.k8s.io/decision": decision },
            })
        };
        assert_eq!(
            forbidden(&event("forbid")).as_deref(),
            Some("forbidden: \"get\" \"/api/v1/nodes\"")
        );
        assert_eq!(forbidden(&event("allow")), None);
    }
}
