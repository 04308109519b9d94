//! A cluster of `kind`, for those who have a container engine: one node, in a container.

use std::{ffi::OsStr, process::Command};

use anyhow::Context as _;

use super::{layout::Layout, local::settings, machine::Machine, needs, request::Engine};
use crate::workspace;

/// The file that says what of Kubernetes is switched on, and what is in it: authorities that Gateway API 1.7 refers to
/// are behind a gate.
const SETTINGS: &str = "kind.yaml";
const SETTING: &str = "\
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
featureGates: {ClusterTrustBundle: true}
runtimeConfig: {certificates.k8s.io/v1beta1/clustertrustbundles: \"true\"}
";

/// A cluster of `kind`, with Docker as the engine.
#[derive(Debug)]
pub(crate) struct Kind {
    layout: Layout,
}

impl Kind {
    pub(crate) const fn new(layout: Layout) -> Self {
        Self { layout }
    }

    fn node(&self) -> String {
        format!("{}-control-plane", self.layout.name())
    }

    fn kind(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kind");
        command
            .args(arguments)
            .args(["--name", self.layout.name(), "--kubeconfig"])
            .arg(self.layout.kubeconfig());
        command
    }

    fn address(&self) -> Command {
        let mut docker = Command::new("docker");
        let template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        docker.args(["inspect", "--format", template, &self.node()]);
        docker
    }
}

impl Machine for Kind {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn engine(&self) -> Engine {
        Engine::Kind
    }

    fn lacking(&self) -> Vec<String> {
        let kind = ("kind", "https://kind.sigs.k8s.io");
        let docker = ("docker", "https://docs.docker.com/engine/install");
        needs::lacking(
            &[needs::BUILDAH, ("ip", "iproute2")],
            &[needs::GO, kind, docker],
        )
    }

    fn is_up(&self) -> anyhow::Result<bool> {
        let names = workspace::output_of(Command::new("kind").args(["get", "clusters"]))
            .context("kind is not installed: see https://kind.sigs.k8s.io")?;
        Ok(names.lines().any(|name| name == self.layout.name())
            && self.layout.kubeconfig().is_file())
    }

    fn create(&self) -> anyhow::Result<()> {
        super::layout::make(self.layout.state())?;
        self.layout.write(SETTINGS, SETTING)?;
        let mut create = self.kind(&["create", "cluster", "--wait", "120s"]);
        workspace::output_of(create.arg("--config").arg(self.layout.at(SETTINGS)))?;
        // kube-proxy on the node answers for all of these; this machine only has to know the way. It needs root.
        let node = workspace::output_of(&mut self.address())?;
        for network in settings::NETWORKS {
            workspace::output_of(&mut route(network, node.trim()))?;
        }
        Ok(())
    }

    fn destroy(&self) -> anyhow::Result<()> {
        workspace::output_of(&mut self.kind(&["delete", "cluster"])).map(drop)
    }

    fn inside(&self, program: &OsStr) -> Command {
        let mut command = Command::new(program);
        command.env("KUBECONFIG", self.layout.kubeconfig());
        command
    }

    fn containerd(&self) -> Command {
        let mut docker = Command::new("docker");
        docker.args(["exec", "-i", &self.node(), "ctr", "-n", "k8s.io"]);
        docker
    }
}

/// Routes go when the node's container does, with its network.
fn route(network: &str, node: &str) -> Command {
    let mut ip = Command::new("ip");
    ip.args(["route", "replace", network, "via", node]);
    ip
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, path::Path};

    use super::{Kind, Layout, Machine as _, route};
    use crate::workspace::shown;

    #[test]
    fn only_create_and_load_differ() {
        let kind = Kind::new(Layout::below(Path::new("/state"), "postern"));
        let lines = [
            shown(&kind.kind(&["create", "cluster", "--wait", "120s"])),
            shown(&kind.kind(&["delete", "cluster"])),
            shown(&kind.containerd()),
            shown(&kind.inside(OsStr::new("kubectl"))),
            shown(&kind.address()),
            shown(&route("10.89.0.0/24", "172.18.0.2")),
        ];
        assert_eq!(
            lines,
            [
                "kind create cluster --wait 120s --name postern --kubeconfig /state/postern/kubeconfig",
                "kind delete cluster --name postern --kubeconfig /state/postern/kubeconfig",
                "docker exec -i postern-control-plane ctr -n k8s.io",
                "kubectl",
                "docker inspect --format {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}} postern-control-plane",
                "ip route replace 10.89.0.0/24 via 172.18.0.2",
            ]
        );
    }
}
