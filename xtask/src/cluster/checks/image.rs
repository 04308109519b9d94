//! The image and the pods that are made of it: no shell, nothing to write to, nobody to be.

use anyhow::Context as _;
use serde_json::Value;

use super::Cluster;
use crate::cluster::install::NAMESPACE;

/// Label of a namespace that takes only pods that keep to the strictest of the Pod Security Standards.
const RESTRICTED: &str = "pod-security.kubernetes.io/enforce=restricted";

/// Looks at a pod of Postern as installed.
pub(super) fn is_bare(cluster: &Cluster<'_>) -> anyhow::Result<Vec<String>> {
    let selector = "app.kubernetes.io/name=postern";
    let pods =
        cluster.kubectl_prints(&["get", "pods", "-n", NAMESPACE, "-l", selector, "-o", "json"])?;
    let pods: Value = serde_json::from_str(&pods).context("kubectl prints no JSON")?;
    let pod = &pods["items"][0];
    let name = pod["metadata"]["name"].as_str();
    let name = name.context("there is no pod: cargo xtask cluster install")?;
    let mut findings = open_to(pod);
    let shell = ["exec", "-n", NAMESPACE, name, "--", "/bin/sh", "-c", "true"];
    let said = cluster.kubectl_reads(&shell, "")?;
    if !said.contains("no such file or directory") {
        findings.push(format!(
            "a shell is in the image, or nobody can tell: {said}"
        ));
    }
    // The API server says which pods that are there would not be let in.
    let label = ["label", "--dry-run=server", "--overwrite"];
    let of = ["namespace", NAMESPACE, RESTRICTED];
    let said = cluster.kubectl_reads(&[&label[..], &of].concat(), "")?;
    if !said.contains("labeled") || said.contains("Warning") {
        findings.push(format!("not restricted: {said}"));
    }
    Ok(findings)
}

/// What containers of a pod may do beyond what the Pod Security Standards ask for: writing to their root.
fn open_to(pod: &Value) -> Vec<String> {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let writes = containers.filter(|container| {
        container["securityContext"]["readOnlyRootFilesystem"] != Value::Bool(true)
    });
    let finding = |container: &Value| format!("{} may write to its root", container["name"]);
    writes.map(finding).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::open_to;

    #[test]
    fn a_container_that_may_write_is_found() {
        let container = |read_only: bool| json!({ "name": "a", "securityContext": { "readOnlyRootFilesystem": read_only } });
        let pod = |containers| json!({ "spec": { "containers": containers } });
        assert_eq!(open_to(&pod(json!([container(true)]))), [""; 0]);
        let found = open_to(&pod(
            json!([container(true), container(false), { "name": "b" }]),
        ));
        assert_eq!(
            found,
            ["\"a\" may write to its root", "\"b\" may write to its root"]
        );
    }
}
