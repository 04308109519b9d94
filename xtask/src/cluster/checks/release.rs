//! The release of the chart, and how it becomes what it was.

use std::{fs, path::PathBuf};

use anyhow::Context as _;

use super::Cluster;
use crate::{
    cluster::{
        install::{Installation, NAMESPACE},
        programs::Program,
    },
    workspace,
};

/// Where the values of the release are kept meanwhile.
const VALUES: &str = "values.json";

/// And what is applied in its place.
const MANIFEST: &str = "manifest.yaml";

/// What the manifests have for an image.
const IMAGE: &str = "image: postern:0.1.0";

/// See the module.
pub(super) struct Release<'a> {
    pub(super) cluster: &'a Cluster<'a>,
    helm: PathBuf,
    /// The image that it was installed with.
    image: String,
    values: String,
}

impl<'a> Release<'a> {
    /// What is installed, with the values that it was given.
    pub(super) fn of(cluster: &'a Cluster<'a>) -> anyhow::Result<Self> {
        let helm = Program::Helm.built(cluster.root, cluster.terminal)?;
        let mut get = cluster.machine.inside(helm.as_os_str());
        get.args(["get", "values", "postern", "-n", NAMESPACE, "-o", "json"]);
        let values = workspace::output_of(&mut get)
            .context("Postern is not installed: cargo xtask cluster install")?;
        let layout = cluster.machine.layout();
        layout.write(VALUES, &values)?;
        let image = "jsonpath={.spec.template.spec.containers[0].image}";
        let get = ["get", "deployment", "postern", "-n", NAMESPACE, "-o", image];
        Ok(Self {
            cluster,
            helm,
            image: cluster.kubectl_prints(&get)?,
            values: layout.at(VALUES).display().to_string(),
        })
    }

    /// Gives it these values beside its own; done once every replica is Ready.
    pub(super) fn upgrade(&self, values: &[&str]) -> anyhow::Result<()> {
        let mut arguments = vec!["--values", &self.values];
        for value in values {
            arguments.extend(["--set", value]);
        }
        self.installation().chart(&self.helm, "postern", &arguments)
    }

    /// Makes it what it was, whatever is there now.
    pub(super) fn put_back(&self) -> anyhow::Result<()> {
        self.upgrade(&[])
    }

    /// Removes the Gateway that Postern makes for Ingresses; it makes another one when there are some.
    pub(super) fn without_gateway_for_ingresses(&self) -> anyhow::Result<()> {
        let delete = ["delete", "gateway", "postern", "-n", NAMESPACE];
        let delete = [&delete[..], &["--ignore-not-found"]].concat();
        self.cluster.kubectl_prints(&delete).map(drop)
    }

    /// Looks at the manifests in place of the release, and removes them.
    pub(super) fn replaced_by_manifests(
        &self,
        look: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let path = self.cluster.root.join("deploy/manifests/postern.yaml");
        let text = fs::read_to_string(&path).context("the manifests cannot be read")?;
        anyhow::ensure!(text.contains(IMAGE), "the manifests have no {IMAGE}");
        let text = text.replace(IMAGE, &format!("image: {}", self.image));
        self.stop()?;
        self.uninstall()?;
        let applied = self.kubectl_takes(&["apply"], &text);
        let looked = applied
            .and_then(|()| {
                let status = [
                    "rollout",
                    "status",
                    "deployment",
                    "postern",
                    "-n",
                    NAMESPACE,
                ];
                let status = [&status[..], &["--timeout=90s"]].concat();
                self.cluster.kubectl_prints(&status)
            })
            .and_then(|_| look());
        // All but the namespace, in which is more than this.
        let (_, objects) = text.split_once("\n---\n").context("one object alone")?;
        let stopped = self.stop();
        let deleted = self.kubectl_takes(&["delete", "--ignore-not-found"], objects);
        looked.and(stopped).and(deleted)
    }

    /// Ends every pod: one that outlives its role is denied what it did before.
    fn stop(&self) -> anyhow::Result<()> {
        let scale = ["scale", "deployment", "postern", "--replicas=0"];
        let wait = ["wait", "--for=delete", "pods", "--timeout=60s"];
        let wait = [&wait[..], &["-l", "app.kubernetes.io/name=postern"]].concat();
        for words in [&scale[..], &wait] {
            let words = [words, &["-n", NAMESPACE]].concat();
            self.cluster.kubectl_prints(&words)?;
        }
        Ok(())
    }

    /// Uninstalls the chart; the definitions stay.
    pub(super) fn uninstall(&self) -> anyhow::Result<()> {
        let mut command = self.cluster.machine.inside(self.helm.as_os_str());
        command.args(["uninstall", "postern", "-n", NAMESPACE, "--wait"]);
        workspace::output_of(&mut command).map(drop)
    }

    /// kubectl with a manifest that it has to accept.
    fn kubectl_takes(&self, arguments: &[&str], manifest: &str) -> anyhow::Result<()> {
        let layout = self.cluster.machine.layout();
        layout.write(MANIFEST, manifest)?;
        let file = layout.at(MANIFEST).display().to_string();
        let arguments = [arguments, &["-f", &file]].concat();
        self.cluster.kubectl_prints(&arguments).map(drop)
    }

    fn installation(&self) -> Installation<'a> {
        Installation {
            machine: self.cluster.machine,
            root: self.cluster.root,
            terminal: self.cluster.terminal,
        }
    }
}
