//! The chart with other values than its own, and the plain manifests in its place: what the API server makes of them,
//! and whether Gateways answer. The release is as it was afterwards.

mod selected;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{Cluster, pods, release::Release};
use crate::cluster::install::NAMESPACE;

/// One way to install Postern.
struct Way {
    name: &'static str,
    look: fn(&Release<'_>) -> anyhow::Result<()>,
}

const WAYS: &[Way] = &[
    Way {
        name: "optional objects",
        look: optional_objects,
    },
    Way {
        name: "hostNetwork",
        look: on_the_hosts_network,
    },
    Way {
        name: "NodePort",
        look: at_node_ports,
    },
    Way {
        name: "manifests",
        look: without_helm,
    },
];

/// Tries each way.
pub(super) fn are_honoured(cluster: &Cluster<'_>) -> anyhow::Result<Vec<String>> {
    pods::bring_backends(cluster)?;
    let release = Release::of(cluster)?;
    let mut findings = Vec::new();
    for way in WAYS {
        if let Err(error) = (way.look)(&release) {
            findings.push(format!("{}: {error:#}", way.name));
        }
    }
    if let Err(error) = release.put_back() {
        findings.push(format!("the release is not as it was: {error:#}"));
    }
    Ok(findings)
}

/// What the chart makes when it is asked to: accepted, and about the right pods and Services.
fn optional_objects(release: &Release<'_>) -> anyhow::Result<()> {
    let definition = selected::Definition::brought(release.cluster)?;
    let looked = release
        .upgrade(&[
            "autoscaling.enabled=true",
            "podDisruptionBudget.maxUnavailable=50%",
            "networkPolicy.enabled=true",
            "networkPolicy.adminFrom[0].namespaceSelector.matchLabels.team=monitoring",
            "serviceMonitor.enabled=true",
            "serviceMonitor.labels.release=prometheus",
        ])
        .and_then(|()| selected::as_meant(release.cluster));
    // The ServiceMonitor before its definition.
    let put_back = release.put_back();
    definition.removed()?;
    looked.and(put_back)
}

/// Listeners are bound on the node as they are written.
fn on_the_hosts_network(release: &Release<'_>) -> anyhow::Result<()> {
    release.upgrade(&["hostNetwork=true", "replicas=1"])?;
    release.without_gateway_for_ingresses()?;
    let node = node(release.cluster)?;
    for example in pods::one_of_each()? {
        pods::with(release.cluster, example, |address| {
            ensure!(address == node, "found at {address} and not at {node}");
            pods::asked(release.cluster, example, address)
        })?;
        // Gateways of the next one want the same port.
        release.without_gateway_for_ingresses()?;
    }
    Ok(())
}

/// As docs/install.md has it.
fn at_node_ports(release: &Release<'_>) -> anyhow::Result<()> {
    let node = node(release.cluster)?;
    let arguments =
        format!("extraArguments={{--gateway-service-type=node-port,--publish-address={node}}}");
    release.upgrade(&[&arguments])?;
    let [_, example] = pods::one_of_each()?;
    pods::with(release.cluster, example, |address| {
        ensure!(address == node, "found at {address} and not at {node}");
        let port = node_port(release.cluster, &example.namespace())?;
        pods::asked(release.cluster, example, &format!("{node}:{port}"))
    })
}

/// The manifests where the chart was.
fn without_helm(release: &Release<'_>) -> anyhow::Result<()> {
    release.replaced_by_manifests(|| {
        for example in pods::one_of_each()? {
            pods::with(release.cluster, example, |address| {
                pods::asked(release.cluster, example, address)
            })?;
        }
        Ok(())
    })
}

/// The node port of the Service that a Gateway has in that namespace.
fn node_port(cluster: &Cluster<'_>, namespace: &str) -> anyhow::Result<u64> {
    let services = read(cluster, &["get", "services", "-n", namespace])?;
    let items = services["items"].as_array();
    let mut of_gateways = items.into_iter().flatten().filter(|service| {
        service["metadata"]["labels"]["gateway.networking.k8s.io/gateway-name"].is_string()
    });
    let service = of_gateways.next().context("the Gateway has no Service")?;
    ensure!(service["spec"]["type"] == "NodePort", "{}", service["spec"]);
    let port = service["spec"]["ports"][0]["nodePort"].as_u64();
    port.context("the Service has no node port")
}

/// The address of the node.
fn node(cluster: &Cluster<'_>) -> anyhow::Result<String> {
    let nodes = read(cluster, &["get", "nodes"])?;
    let addresses = nodes["items"][0]["status"]["addresses"].as_array();
    let mut addresses = addresses.into_iter().flatten();
    let internal = addresses.find(|address| address["type"] == "InternalIP");
    let address = internal.and_then(|address| address["address"].as_str());
    Ok(address.context("the node has no address")?.to_owned())
}

/// What kubectl gets.
fn read(cluster: &Cluster<'_>, words: &[&str]) -> anyhow::Result<Value> {
    let said = cluster.kubectl_prints(&[words, &["-o", "json"]].concat())?;
    serde_json::from_str(&said).with_context(|| format!("kubectl prints no JSON for {words:?}"))
}

/// One of Postern's own objects.
fn ours(cluster: &Cluster<'_>, kind: &str, name: &str) -> anyhow::Result<Value> {
    read(cluster, &["get", kind, name, "-n", NAMESPACE])
}
