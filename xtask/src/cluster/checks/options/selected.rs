//! What the chart makes on request, and which pods and Services it is about.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::{super::Cluster, ours, read};
use crate::cluster::{checks::pods::waited, install::NAMESPACE};

/// The definition that the Prometheus operator has, as far as the chart needs it.
const SERVICE_MONITORS: &str = "servicemonitors.monitoring.coreos.com";

/// A definition of ServiceMonitors, ours if there was none.
pub(super) struct Definition<'a> {
    cluster: &'a Cluster<'a>,
    ours: bool,
}

impl<'a> Definition<'a> {
    /// Brings one unless there is one.
    pub(super) fn brought(cluster: &'a Cluster<'a>) -> anyhow::Result<Self> {
        let get = ["get", "crd", SERVICE_MONITORS, "--ignore-not-found"];
        let ours = cluster.kubectl_prints(&get)?.is_empty();
        if ours {
            let create = ["create", "-f", "-"];
            let said = cluster.kubectl_reads(&create, &definition().to_string())?;
            let established = [
                "wait",
                "crd",
                SERVICE_MONITORS,
                "--for=condition=Established",
            ];
            cluster.kubectl_prints(&established).context(said)?;
        }
        Ok(Self { cluster, ours })
    }

    /// Removes it again.
    pub(super) fn removed(self) -> anyhow::Result<()> {
        if !self.ours {
            return Ok(());
        }
        let delete = ["delete", "crd", SERVICE_MONITORS];
        self.cluster.kubectl_prints(&delete).map(drop)
    }
}

/// Fields that it does not have are refused.
fn definition() -> Value {
    let text = json!({ "type": "string" });
    let labels = json!({ "type": "object", "additionalProperties": text });
    let endpoint = json!({
        "type": "object",
        "properties": { "port": text, "path": text, "interval": text },
    });
    let spec = json!({
        "type": "object", "required": ["selector", "endpoints"],
        "properties": {
            "selector": { "type": "object", "properties": { "matchLabels": labels } },
            "endpoints": { "type": "array", "items": endpoint },
        },
    });
    let schema = json!({
        "openAPIV3Schema": { "type": "object", "properties": { "spec": spec } },
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": SERVICE_MONITORS },
        "spec": {
            "group": "monitoring.coreos.com", "scope": "Namespaced",
            "names": { "kind": "ServiceMonitor", "plural": "servicemonitors", "singular": "servicemonitor" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": schema }],
        },
    })
}

/// Whether every object is about the pods of the Deployment, or its Service.
pub(super) fn as_meant(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    waited(|| autoscaler(cluster)).context("HorizontalPodAutoscaler")?;
    waited(|| budget(cluster)).context("PodDisruptionBudget")?;
    waited(|| policy(cluster)).context("NetworkPolicy")?;
    monitor(cluster).context("ServiceMonitor")
}

/// Names of what has all these labels, which must be some.
fn names(cluster: &Cluster<'_>, kind: &str, labels: &Value) -> anyhow::Result<Vec<String>> {
    let labels = labels.as_object().context("no labels at all")?;
    let label =
        |(key, value): (&String, &Value)| format!("{key}={}", value.as_str().unwrap_or_default());
    let labels: Vec<String> = labels.iter().map(label).collect();
    let selector = labels.join(",");
    let found = read(cluster, &["get", kind, "-n", NAMESPACE, "-l", &selector])?;
    let items = found["items"].as_array();
    let name = |item: &Value| Some(item["metadata"]["name"].as_str()?.to_owned());
    let names: Vec<String> = items.into_iter().flatten().filter_map(name).collect();
    ensure!(!names.is_empty(), "there are no {kind} with {selector}");
    Ok(names)
}

/// Its controller finds the Deployment, and has made as many replicas as it must.
fn autoscaler(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let autoscaler = ours(cluster, "hpa", "postern")?;
    let conditions = autoscaler["status"]["conditions"].as_array();
    let able = conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "AbleToScale" && condition["status"] == "True");
    ensure!(able, "{}", autoscaler["status"]);
    let deployment = ours(cluster, "deployment", "postern")?;
    let (wanted, ready) = (
        &autoscaler["spec"]["minReplicas"],
        &deployment["status"]["readyReplicas"],
    );
    ensure!(
        wanted == ready,
        "{wanted} replicas at least, and {ready} are Ready"
    );
    Ok(())
}

/// Its controller counts the pods.
fn budget(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let budget = ours(cluster, "pdb", "postern")?;
    let deployment = ours(cluster, "deployment", "postern")?;
    let replicas = &deployment["spec"]["replicas"];
    for count in ["expectedPods", "currentHealthy"] {
        let counted = &budget["status"][count];
        ensure!(counted == replicas, "{count} is {counted} of {replicas}");
    }
    let allowed = &budget["status"]["disruptionsAllowed"];
    ensure!(
        *allowed == 1,
        "half of {replicas} may go, and {allowed} can"
    );
    Ok(())
}

/// It is about the pods, and leaves the admin port to those who were named.
fn policy(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let policy = ours(cluster, "networkpolicy", "postern")?;
    let deployment = ours(cluster, "deployment", "postern")?;
    let about = names(
        cluster,
        "pods",
        &policy["spec"]["podSelector"]["matchLabels"],
    )?;
    let pods = names(
        cluster,
        "pods",
        &deployment["spec"]["selector"]["matchLabels"],
    )?;
    ensure!(about == pods, "it is about {about:?} and not {pods:?}");
    let admin = admin_port(&deployment)?;
    let rules = policy["spec"]["ingress"].as_array();
    let (from_some, from_all): (Vec<_>, Vec<_>) = rules
        .into_iter()
        .flatten()
        .partition(|rule| rule["from"].is_array());
    let open = |rule: &&Value| {
        let ports = rule["ports"].as_array();
        ports.into_iter().flatten().any(|port| {
            let (first, last) = (port["port"].as_u64(), port["endPort"].as_u64());
            let last = last.or(first);
            port["protocol"] == "TCP"
                && first
                    .zip(last)
                    .is_none_or(|(a, b)| (a..=b).contains(&admin))
        })
    };
    ensure!(!from_all.is_empty(), "nobody is let in");
    ensure!(!from_all.iter().any(open), "everybody reaches port {admin}");
    let team = "monitoring";
    let named = from_some.iter().any(|rule| {
        rule["from"][0]["namespaceSelector"]["matchLabels"]["team"] == team
            && rule["ports"][0]["port"] == "admin"
    });
    ensure!(named, "{team} does not reach port {admin}");
    Ok(())
}

/// It selects one Service, whose port is the admin endpoint's, where metrics are.
fn monitor(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let monitor = ours(cluster, "servicemonitor", "postern")?;
    ensure!(
        monitor["metadata"]["labels"]["release"] == "prometheus",
        "no label"
    );
    let selected = names(
        cluster,
        "services",
        &monitor["spec"]["selector"]["matchLabels"],
    )?;
    ensure!(selected == ["postern-metrics"], "it selects {selected:?}");
    let service = ours(cluster, "service", &selected[0])?;
    let deployment = ours(cluster, "deployment", "postern")?;
    let about = names(cluster, "pods", &service["spec"]["selector"])?;
    let pods = names(
        cluster,
        "pods",
        &deployment["spec"]["selector"]["matchLabels"],
    )?;
    ensure!(
        about == pods,
        "its Service is about {about:?} and not {pods:?}"
    );
    let endpoint = &monitor["spec"]["endpoints"][0];
    let named = service["spec"]["ports"][0]["name"] == endpoint["port"];
    ensure!(named, "the Service has no port {}", endpoint["port"]);
    let pod = ours(cluster, "pod", &pods[0])?;
    let address = pod["status"]["podIP"]
        .as_str()
        .context("the pod has no address")?;
    let path = endpoint["path"].as_str().unwrap_or_default();
    let url = format!("http://{address}:{}{path}", admin_port(&deployment)?);
    // By address, and by the name that the Service has in the cluster's DNS; by no other.
    let asked_as = |host: &str| {
        let mut curl = cluster.machine.inside("curl".as_ref());
        crate::workspace::output_of(curl.args([
            "-sS",
            "--fail",
            "-H",
            &format!("Host: {host}"),
            &url,
        ]))
    };
    let service_name = format!("{}.{NAMESPACE}.svc", selected[0]);
    for host in [address, &service_name] {
        let metrics = asked_as(host)?;
        ensure!(
            metrics.contains("postern_"),
            "no metrics at {url} for {host}"
        );
    }
    ensure!(
        asked_as("elsewhere.example.com").is_err(),
        "any name will do at {url}"
    );
    Ok(())
}

fn admin_port(deployment: &Value) -> anyhow::Result<u64> {
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let ports = container["ports"].as_array().into_iter().flatten();
    let admin = ports.into_iter().find(|port| port["name"] == "admin");
    let port = admin.and_then(|port| port["containerPort"].as_u64());
    port.context("the container has no port that is called admin")
}
