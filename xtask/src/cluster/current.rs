//! The cluster that the current kubeconfig leads to, which others have made: only the suite is run there.

use std::{ffi::OsStr, process::Command};

use anyhow::bail;

use super::{layout::Layout, machine::Machine, needs, request::Engine};
use crate::workspace;

/// A cluster that is there already, with Postern and the definitions in it.
#[derive(Debug)]
pub(crate) struct Current {
    layout: Layout,
}

impl Current {
    pub(crate) const fn new(layout: Layout) -> Self {
        Self { layout }
    }
}

impl Machine for Current {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn engine(&self) -> Engine {
        Engine::Current
    }

    fn lacking(&self) -> Vec<String> {
        needs::lacking(&[], &[needs::GO, needs::KUBECTL])
    }

    fn is_up(&self) -> anyhow::Result<bool> {
        let mut ready = self.inside(OsStr::new("kubectl"));
        workspace::succeeds(
            ready
                .args(["get", "--raw", "/readyz"])
                .stdout(std::process::Stdio::null()),
        )
    }

    fn create(&self) -> anyhow::Result<()> {
        bail!("the current cluster does not answer: see kubectl config current-context")
    }

    fn destroy(&self) -> anyhow::Result<()> {
        bail!("the current cluster was made by others, and is not removed")
    }

    fn inside(&self, program: &OsStr) -> Command {
        Command::new(program)
    }

    /// There is no way to the nodes: this fails, and says so.
    fn containerd(&self) -> Command {
        Command::new("no-way-to-the-nodes-of-the-current-cluster")
    }
}
