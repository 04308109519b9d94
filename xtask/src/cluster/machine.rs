//! What differs between the places that a cluster can run in.

use std::{ffi::OsStr, process::Command};

use super::layout::Layout;

/// A place that a cluster can run in.
pub(crate) trait Machine {
    /// The cluster's files.
    fn layout(&self) -> &Layout;

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
