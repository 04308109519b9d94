//! Our definitions on an API server: accepted, explained, with the names and columns that they promise.

use serde_json::Value;

use super::Cluster;
use crate::crds;

/// Gives the API server the definitions of this checkout.
pub(super) fn apply(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let folder = cluster.root.join("crds").display().to_string();
    let apply = ["apply", "--server-side", "--force-conflicts", "-f", &folder];
    cluster.kubectl_prints(&apply)?;
    let established = "--for=condition=Established";
    cluster.kubectl_prints(&["wait", established, "--timeout=60s", "-f", &folder])?;
    Ok(())
}

/// Applies every definition and looks at what the API server makes of it.
pub(super) fn accepted_and_readable(cluster: &Cluster<'_>) -> anyhow::Result<Vec<String>> {
    apply(cluster)?;
    let mut findings = Vec::new();
    for definition in crds::definitions()? {
        findings.extend(of_one(cluster, &definition)?);
    }
    Ok(findings)
}

fn of_one(cluster: &Cluster<'_>, definition: &Value) -> anyhow::Result<Vec<String>> {
    let name = text(definition, "/metadata/name");
    let mut findings = Vec::new();
    let said = cluster.kubectl_prints(&["get", "crd", name, "-o", "json"])?;
    let stored: Value = serde_json::from_str(&said)?;
    for condition in stored["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let (kind, status) = (text(condition, "/type"), text(condition, "/status"));
        let good = match kind {
            "NonStructuralSchema" | "Terminating" | "KubernetesAPIApprovalPolicyConformant" => {
                "False"
            }
            _ => "True",
        };
        if status != good {
            let message = text(condition, "/message");
            findings.push(format!("{name}: {kind} is {status}: {message}"));
        }
    }
    for short in stored["spec"]["names"]["shortNames"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let short = short.as_str().unwrap_or_default();
        let found =
            cluster.kubectl_prints(&["get", short, "-A", "-o", "name", "--ignore-not-found"]);
        if let Err(error) = found {
            findings.push(format!("{name}: the short name {short}: {error:#}"));
        }
    }
    let explained = cluster.kubectl_prints(&["explain", name, "--recursive"])?;
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    for field in schema["properties"]["spec"]["properties"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let described =
            cluster.kubectl_prints(&["explain", &format!("{name}.spec.{}", field.0)])?;
        if !explained.contains(field.0) || described.contains("<empty>") {
            findings.push(format!(
                "{name}: kubectl explain says nothing about spec.{}",
                field.0
            ));
        }
    }
    let columns = &definition["spec"]["versions"][0]["additionalPrinterColumns"];
    if columns.as_array().is_none_or(Vec::is_empty) {
        findings.push(format!("{name}: kubectl get shows no column of its own"));
    }
    Ok(findings)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
