//! What differs between the places that a cluster can run in.

use std::{ffi::OsStr, process::Command};

use super::{layout::Layout, request::Engine};

/// A place that a cluster can run in.
pub(crate) trait Machine {
    /// The cluster's files.
    fn layout(&self) -> &Layout;

    /// What makes it.
    fn engine(&self) -> Engine;

    /// What the machine lacks that the cluster needs, all of it, with what to do about it. Nothing is built for it.
    fn lacking(&self) -> Vec<String>;

    /// A line that a person can type to have something done with this very cluster: `up`, or `kubectl -- get nodes`.
    fn command(&self, what: &str) -> String {
        let (verb, rest) = what.split_once(' ').unwrap_or((what, ""));
        let mut line = format!("cargo xtask cluster {verb}");
        line.push_str(&self.engine().option());
        if self.layout().name() != super::request::NAME {
            line.push_str(" --name ");
            line.push_str(self.layout().name());
        }
        if !rest.is_empty() {
            line.push(' ');
            line.push_str(rest);
        }
        line
    }

    /// Whether it runs, all of it.
    fn is_up(&self) -> anyhow::Result<bool>;

    /// Makes it: an API server that answers, a node that is Ready, and a kubeconfig. What a failure leaves behind,
    /// [`Machine::destroy`] removes.
    fn create(&self) -> anyhow::Result<()>;

    /// Removes it, or what is left of it; nothing to remove is no error.
    fn destroy(&self) -> anyhow::Result<()>;

    /// A program that reaches the API server, pods, Services and load balancer addresses.
    fn inside(&self, program: &OsStr) -> Command;

    /// containerd's own client, on the node.
    fn containerd(&self) -> Command;
}
