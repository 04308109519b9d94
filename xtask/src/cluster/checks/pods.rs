//! Some examples in a cluster as a user would try them: applied as they are, with pods as backends, asked through the
//! address that the Gateway got, and looked at with kubectl.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::Cluster;
use crate::{
    cluster::{images, install::NAMESPACE, load, programs::Program},
    workspace,
};

/// How long an object may take until it is served.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often something is looked at that we wait for.
const INTERVAL: Duration = Duration::from_millis(200);

/// The file of an example that has its Services.
const SERVICES: &str = "services.yaml";

/// An example, and a request to it.
pub(super) struct Example {
    folder: &'static str,
    /// The Gateway that has the address; none for the one that serves Ingresses.
    gateway: Option<&'static str>,
    url: &'static str,
    header: Option<&'static str>,
    /// The Service that answers, and the path that it sees.
    service: &'static str,
    path: &'static str,
}

impl Example {
    /// Where its objects are while it is looked at.
    pub(super) fn namespace(&self) -> String {
        format!("example-{}", self.folder)
    }
}

/// Of Ingresses, and of a Gateway.
const EXAMPLES: &[Example] = &[
    Example {
        folder: "rewrite-path-exact",
        gateway: None,
        url: "http://example.com/test",
        header: None,
        service: "demo-service",
        path: "/dev",
    },
    Example {
        folder: "canary-by-header",
        gateway: None,
        url: "http://shop.example.com/hello",
        header: Some("higress: always"),
        service: "demo-service-canary",
        path: "/hello",
    },
    Example {
        folder: "gateway-api-basic",
        gateway: Some("demo"),
        url: "http://example.com/api/x?stage=canary",
        header: None,
        service: "demo-service-canary",
        path: "/api/x?stage=canary",
    },
];

/// One that has Ingresses alone, and one with a Gateway.
pub(super) fn one_of_each() -> anyhow::Result<[&'static Example; 2]> {
    let find = |gateway: bool| {
        let found = EXAMPLES.iter().find(|e| e.gateway.is_some() == gateway);
        found.context("there are examples of one sort only")
    };
    Ok([find(false)?, find(true)?])
}

/// Applies each example in a namespace of its own, asks, and removes it again.
pub(super) fn are_served(cluster: &Cluster<'_>) -> anyhow::Result<Vec<String>> {
    bring_backends(cluster)?;
    let mut findings = Vec::new();
    for example in EXAMPLES {
        let result = with(cluster, example, |address| {
            asked(cluster, example, address)?;
            shown(cluster, example, &example.namespace(), address)
        });
        if let Err(error) = result {
            findings.push(format!("{}: {error:#}", example.folder));
        }
    }
    Ok(findings)
}

/// Gives the node the image of backends.
pub(super) fn bring_backends(cluster: &Cluster<'_>) -> anyhow::Result<()> {
    let archive = images::of_program(Program::Echo, images::ECHO, cluster.root, cluster.terminal)?;
    load(cluster.machine, &archive, &[images::ECHO.to_owned()])
}

/// Looks at the example, given the address of its Gateway, until all is well, and removes it again.
pub(super) fn with(
    cluster: &Cluster<'_>,
    example: &Example,
    look: impl Fn(&str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let namespace = example.namespace();
    let result = applied(cluster, example, &namespace).and_then(|()| {
        let gateway = match example.gateway {
            Some(name) => (&*namespace, name),
            None => (NAMESPACE, "postern"),
        };
        // It may change while replicas are replaced by others.
        waited(|| look(&address(cluster, gateway)?))
            .with_context(|| format!("Gateway {}/{}", gateway.0, gateway.1))
    });
    cluster.kubectl_prints(&["delete", "namespace", &namespace, "--ignore-not-found"])?;
    result
}

fn applied(cluster: &Cluster<'_>, example: &Example, namespace: &str) -> anyhow::Result<()> {
    let folder = cluster.root.join("examples").join(example.folder);
    cluster.kubectl_prints(&["create", "namespace", namespace])?;
    // As a user does: as it is.
    let whole = folder.display().to_string();
    cluster.kubectl_prints(&["apply", "-n", namespace, "-f", &whole])?;
    let services = fs::read_to_string(folder.join(SERVICES)).context(SERVICES)?;
    let manifest = pods(&services)?;
    let said = cluster.kubectl_reads(&["apply", "-n", namespace, "-f", "-"], &manifest)?;
    cluster
        .kubectl_prints(&[
            "rollout",
            "status",
            "deployment",
            "-n",
            namespace,
            "--timeout=60s",
        ])
        .context(said)?;
    Ok(())
}

/// What a user sees of it: where it is found, and that it is accepted.
fn shown(
    cluster: &Cluster<'_>,
    example: &Example,
    namespace: &str,
    address: &str,
) -> anyhow::Result<()> {
    let get = |kinds: &str| cluster.kubectl_prints(&["get", kinds, "-n", namespace]);
    let class = get("gatewayclass")?;
    column(&class, "postern", "ACCEPTED", "True")?;
    let Some(gateway) = example.gateway else {
        return column(&get("ingress")?, "demo", "ADDRESS", address);
    };
    let gateways = get("gateway")?;
    column(&gateways, gateway, "ADDRESS", address)?;
    column(&gateways, gateway, "PROGRAMMED", "True")?;
    column(&get("httproute")?, "demo", "HOSTNAMES", "[\"example.com\"]")
}

/// Fails unless the row of that name has the value in the column. Cells begin where their headings do.
fn column(table: &str, name: &str, heading: &str, value: &str) -> anyhow::Result<()> {
    let mut lines = table.lines();
    let at = lines.next().and_then(|head| head.find(heading));
    let row = lines.find(|line| line.split_whitespace().next() == Some(name));
    let cell = at.zip(row).and_then(|(at, row)| row.get(at..));
    let cell = cell.and_then(|rest| rest.split_whitespace().next());
    if cell != Some(value) {
        bail!("kubectl shows no {heading} {value} for {name}: {table}");
    }
    Ok(())
}

/// Does something until it succeeds, for as long as we have patience.
pub(super) fn waited<T>(mut attempt: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Err(_) if Instant::now() < deadline => thread::sleep(INTERVAL),
            result => return result,
        }
    }
}

fn address(cluster: &Cluster<'_>, (namespace, name): (&str, &str)) -> anyhow::Result<String> {
    let said = cluster.kubectl_prints(&["get", "gateway", name, "-n", namespace, "-o", "json"])?;
    let gateway: Value = serde_json::from_str(&said).context("kubectl prints no JSON")?;
    let address = gateway["status"]["addresses"][0]["value"].as_str();
    Ok(address.context("status.addresses is empty")?.to_owned())
}

/// Sends the example's request there, an address or an address and a port.
pub(super) fn asked(cluster: &Cluster<'_>, example: &Example, at: &str) -> anyhow::Result<()> {
    // What is left out stays what the URL says.
    let end = if at.contains(':') { "" } else { ":" };
    let mut curl = cluster.machine.inside(OsStr::new("curl"));
    curl.args(["-sS", "--fail", "--max-time", "5", "--connect-to"])
        .arg(format!("::{at}{end}"))
        .arg(example.url);
    if let Some(header) = example.header {
        curl.args(["-H", header]);
    }
    let body = workspace::output_of(&mut curl)?;
    let seen: Value = serde_json::from_str(&body).context("no answer of a backend")?;
    if seen["service"] != example.service || seen["path"] != example.path {
        bail!(
            "{} sees {}, not {} {}",
            seen["service"],
            seen["path"],
            example.service,
            example.path
        );
    }
    Ok(())
}

/// For each Service of an example a pod that says what it got.
fn pods(services: &str) -> anyhow::Result<String> {
    let read = api::yaml::read(services);
    let mut manifest = String::new();
    for (object, _) in &read.objects {
        let reference = object.reference();
        if reference.kind != api::Kind::Service {
            continue;
        }
        let name = &reference.key.name;
        // Writing to a String cannot fail.
        let _ = write!(
            manifest,
            "\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers:
      - name: echo
        image: {}
        args: [-service, {name}]
        readinessProbe: {{httpGet: {{path: /, port: 8080}}, periodSeconds: 1}}
---
",
            images::ECHO
        );
    }
    anyhow::ensure!(!manifest.is_empty(), "the example has no Service");
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::column;

    #[test]
    fn cells_are_found_below_their_headings() {
        let table = "\
NAME   CLASS     HOSTS         ADDRESS       PORTS   AGE
other  postern   *             10.0.0.2      80      1m
demo   higress   example.com                 80      1m
";
        let shows = |name, heading, value| column(table, name, heading, value).is_ok();
        assert!(shows("other", "ADDRESS", "10.0.0.2"));
        assert!(shows("demo", "CLASS", "higress"));
        assert!(!shows("demo", "ADDRESS", "10.0.0.2"));
        assert!(!shows("none", "ADDRESS", "10.0.0.2"));
        assert!(!shows("other", "PROGRAMMED", "True"));
    }
}
