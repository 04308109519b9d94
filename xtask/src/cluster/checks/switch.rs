//! The page on moving a cluster, walked: there, and back to where nothing is left. Its commands are run as they stand
//! in it.

use std::{ffi::OsStr, fs, process::Command};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::{Cluster, convert, page, pods, release::Release};
use crate::{
    cluster::{images, install::NAMESPACE},
    workspace,
};

const PAGE: &str = "docs/move-a-cluster.md";

/// What the page calls a namespace and an Ingress in it.
const SHOP: &str = "shop";
const WEB: &str = "web";

/// The address of another controller, which serves the Ingress too.
const OTHER: &str = "192.0.2.10";

/// A host for each Ingress.
const OBJECTS: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: echo
        image: ECHO
        args: [-service, web]
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
";

/// With something of every kind that has a policy or a filter.
const INGRESS: &str = "\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: NAME
  annotations:
    higress.io/rewrite-target: /seen/$1
    nginx.ingress.kubernetes.io/enable-access-log: 'false'
    nginx.ingress.kubernetes.io/proxy-connect-timeout: '10'
spec:
  ingressClassName: higress
  rules:
  - host: NAME.example
    http:
      paths:
      - {path: /a/(.*), pathType: ImplementationSpecific, backend: {service: {name: web, port: {number: 80}}}}
---
";

struct Walk<'a> {
    cluster: &'a Cluster<'a>,
    release: Release<'a>,
    page: String,
}

/// Walks it. The release is as it was afterwards.
pub(super) fn goes_there_and_back(cluster: &Cluster<'_>) -> anyhow::Result<Vec<String>> {
    pods::bring_backends(cluster)?;
    let delete = ["delete", "namespace", SHOP, "--ignore-not-found"];
    // One that was cut off has left it.
    cluster.kubectl_prints(&delete)?;
    let walk = Walk {
        cluster,
        release: Release::of(cluster)?,
        page: fs::read_to_string(cluster.root.join(PAGE)).context(PAGE)?,
    };
    let walked = walk.there().and_then(|()| walk.back());
    let put_back = walk.release.put_back();
    let removed = cluster.kubectl_prints(&delete);
    let results = [walked, put_back, removed.map(drop)];
    let failed = results.into_iter().filter_map(Result::err);
    Ok(failed.map(|error| format!("{error:#}")).collect())
}

impl Walk<'_> {
    fn there(&self) -> anyhow::Result<()> {
        self.release.upgrade(&["publishIngressStatus=false"])?;
        self.kubectl(&["create", "namespace", SHOP])?;
        self.apply(&OBJECTS.replace("ECHO", images::ECHO))?;
        self.apply(&INGRESS.replace("NAME", WEB))?;
        self.kubectl(&[
            "rollout",
            "status",
            "deployment",
            "-n",
            SHOP,
            "--timeout=60s",
        ])?;
        self.said_by_the_other(&[OTHER])?;
        self.inventory().context("inventory")?;
        let here = self.address().context("installed beside")?;
        self.answers(WEB, &here).context("installed beside")?;
        self.run("kubectl annotate ingress -A --all external-dns")?;
        self.has(&[OTHER]).context("publishing is off")?;
        self.release.upgrade(&["publishIngressStatus=true"])?;
        self.until_has(&[OTHER, &here]).context("switched on")?;
        // The other one is taken out, and stops.
        self.said_by_the_other(&[&here])?;
        self.until_has(&[&here]).context("switched")?;
        self.classed("of-no-one")?;
        self.until_has(&[]).context("the class is another")?;
        self.classed("higress")?;
        self.until_has(&[&here]).context("the class is ours")?;
        self.release.upgrade(&["publishIngressStatus=false"])?;
        self.until_has(&[]).context("switched off")?;
        self.release.upgrade(&["publishIngressStatus=true"])?;
        self.until_has(&[&here]).context("switched on again")?;
        self.adopt(&here).context("adopted")
    }

    /// What an Ingress became outlives it.
    fn adopt(&self, here: &str) -> anyhow::Result<()> {
        self.run("kubectl label httproutes")?;
        let owners = "kubectl get httproutes,listenersets,routefilters";
        let shown = pods::waited(|| {
            let shown = self.run(owners)?;
            ensure!(!shown.contains(" Ingress"), "still owned: {shown}");
            Ok(shown)
        })?;
        for kind in ["HTTPRoute", "RouteFilter", "RoutePolicy", "BackendPolicy"] {
            ensure!(shown.contains(kind), "no {kind} is adopted: {shown}");
        }
        self.run("kubectl delete ingress web")?;
        self.answers(WEB, here)?;
        ensure!(self.run(owners)? == shown, "not all of it is left");
        Ok(())
    }

    /// Nothing is left of what was converted, in the cluster or on a desk; what was adopted is.
    fn back(&self) -> anyhow::Result<()> {
        let here = self.address()?;
        self.apply(&INGRESS.replace("NAME", "again"))?;
        self.answers("again", &here)?;
        self.until_named("again", &[&here])?;
        let desk = INGRESS.replace("NAME", "desk");
        let layout = self.cluster.machine.layout();
        layout.write("desk.yaml", &desk)?;
        let converted = self.postern(&["convert", "--report", "none"], "desk.yaml")?;
        // Its objects say themselves in which namespace they are.
        self.apply_with(&[], &converted)?;
        self.release.uninstall()?;
        self.named("again", &[]).context("uninstalled")?;
        self.run("kubectl delete gateways")?;
        let kinds = page::command(&self.page, "kubectl delete gateways")?;
        let kinds = kinds.get(2).context("the command names no kinds")?;
        let managed = "app.kubernetes.io/managed-by=postern";
        // The Service that the Gateway owns goes a little after it.
        pods::waited(|| {
            let left = self.kubectl(&["get", kinds, "-A", "-l", managed, "-o", "name"])?;
            ensure!(left.trim().is_empty(), "left behind: {left}");
            Ok(())
        })?;
        let adopted = self.kubectl(&["get", "httproutes", "-n", SHOP, "-o", "name"])?;
        ensure!(adopted.lines().count() == 1, "adopted: {adopted}");
        Ok(())
    }

    /// As the page has it, but for the name of the class.
    fn inventory(&self) -> anyhow::Result<()> {
        let file = "cluster.yaml";
        let all = self.run("kubectl get ingressclass,ingress")?;
        ensure!(all.contains("kind: IngressClass"), "no class is in it");
        self.cluster.machine.layout().write(file, &all)?;
        let report = self.postern(&["convert", "--report", "--ingress-class", "higress"], file)?;
        ensure!(report.contains("Ingress"), "no report: {report}");
        self.run("kubectl get ingress -A -o custom-columns")
            .map(drop)
    }

    /// Runs a command of the page.
    fn run(&self, start: &str) -> anyhow::Result<String> {
        let words = page::command(&self.page, start)?;
        let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
        self.kubectl(&words)
    }

    fn kubectl(&self, words: &[&str]) -> anyhow::Result<String> {
        self.cluster.kubectl_prints(words)
    }

    fn apply(&self, manifest: &str) -> anyhow::Result<()> {
        self.apply_with(&["-n", SHOP], manifest)
    }

    fn apply_with(&self, words: &[&str], manifest: &str) -> anyhow::Result<()> {
        let layout = self.cluster.machine.layout();
        layout.write("switch.yaml", manifest)?;
        let file = layout.at("switch.yaml").display().to_string();
        let words = [&["apply", "-f", &file], words].concat();
        self.kubectl(&words).map(drop)
    }

    /// What Postern as cargo builds it prints about a file.
    fn postern(&self, words: &[&str], file: &str) -> anyhow::Result<String> {
        let mut postern = Command::new(convert::built(self.cluster)?);
        let file = self.cluster.machine.layout().at(file);
        let output = postern.args(words).arg("-f").arg(file).output();
        let output = output.context("postern cannot be started")?;
        let ended = output.status.code();
        ensure!(
            ended == Some(0) || ended == Some(convert::INEXACT),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).context("postern prints something that is not UTF-8")
    }

    /// Where the Gateway for Ingresses is.
    fn address(&self) -> anyhow::Result<String> {
        pods::waited(|| {
            let path = "jsonpath={.status.addresses[0].value}";
            let get = ["get", "gateway", "postern", "-n", NAMESPACE, "-o", path];
            let address = self.kubectl(&get)?;
            ensure!(!address.is_empty(), "the Gateway has no address");
            Ok(address)
        })
    }

    fn answers(&self, name: &str, at: &str) -> anyhow::Result<()> {
        pods::waited(|| {
            let mut curl = self.cluster.machine.inside(OsStr::new("curl"));
            curl.args(["-sS", "--fail", "--max-time", "5", "--connect-to"]);
            curl.arg(format!("::{at}:"));
            let body = workspace::output_of(curl.arg(format!("http://{name}.example/a/b")))?;
            ensure!(body.contains("/seen/b"), "the backend sees {body}");
            Ok(())
        })
    }

    /// Another controller writes the list as if it were its own.
    fn said_by_the_other(&self, addresses: &[&str]) -> anyhow::Result<()> {
        let entries: Vec<Value> = addresses.iter().map(|ip| json!({ "ip": ip })).collect();
        let status = json!({ "status": { "loadBalancer": { "ingress": entries } } });
        let patch = status.to_string();
        let words = ["patch", "ingress", WEB, "-n", SHOP, "--subresource=status"];
        let rest = ["--type=merge", "-p", &patch];
        self.kubectl(&[&words[..], &rest].concat()).map(drop)
    }

    fn classed(&self, class: &str) -> anyhow::Result<()> {
        let patch = json!({ "spec": { "ingressClassName": class } }).to_string();
        let words = ["patch", "ingress", WEB, "-n", SHOP, "--type=merge", "-p"];
        self.kubectl(&[&words[..], &[&patch]].concat()).map(drop)
    }

    fn until_has(&self, addresses: &[&str]) -> anyhow::Result<()> {
        self.until_named(WEB, addresses)
    }

    fn until_named(&self, name: &str, addresses: &[&str]) -> anyhow::Result<()> {
        pods::waited(|| self.named(name, addresses))
    }

    fn has(&self, addresses: &[&str]) -> anyhow::Result<()> {
        self.named(WEB, addresses)
    }

    /// The addresses in an Ingress' status are these.
    fn named(&self, name: &str, addresses: &[&str]) -> anyhow::Result<()> {
        let path = "jsonpath={.status.loadBalancer.ingress[*].ip}";
        let get = ["get", "ingress", name, "-n", SHOP, "-o", path];
        let said = self.kubectl(&get)?;
        let said: Vec<&str> = said.split_whitespace().collect();
        ensure!(
            said == addresses,
            "{name} is at {said:?}, not at {addresses:?}"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_command_that_is_walked() {
        let root = workspace::root().unwrap();
        let page = fs::read_to_string(root.join(PAGE)).unwrap();
        for start in [
            "kubectl get ingressclass,ingress",
            "kubectl get ingress -A -o custom-columns",
            "kubectl annotate ingress -A --all external-dns",
            "kubectl label httproutes",
            "kubectl get httproutes,listenersets,routefilters",
            "kubectl delete ingress web",
            "kubectl delete gateways",
        ] {
            let words = page::command(&page, start).unwrap();
            assert!(words.len() > 3, "{words:?}");
        }
    }
}
