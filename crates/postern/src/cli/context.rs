//! Flags of the commands that can read a live cluster.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use crate::source::kube::once::Access;

/// A live cluster to read from.
#[derive(Debug, Args)]
#[command(group(
    ArgGroup::new("cluster").args(["context", "current_context", "kubeconfig"]).multiple(true)
))]
pub(crate) struct ContextArgs {
    /// Read the cluster of this context of the kubeconfig: each kind is listed once, nothing is watched or written. Of
    /// Secrets only those are read that something refers to. An empty name is the current context. With -f too, objects
    /// of files count where both have one.
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// The same with the kubeconfig's current context; in a pod without a kubeconfig, with the cluster of its service
    /// account.
    #[arg(long, conflicts_with = "context")]
    pub(crate) current_context: bool,
    /// The kubeconfig, instead of what KUBECONFIG names, or ~/.kube/config. Alone it means its current context.
    #[arg(long, value_name = "PATH")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Of the cluster, read only this namespace and what has none.
    #[arg(short = 'n', long, value_name = "NAME", requires = "cluster")]
    pub(crate) namespace: Option<String>,
}

impl ContextArgs {
    /// The cluster that is meant, if one is.
    pub(crate) fn access(&self) -> Option<Access> {
        let meant = self.context.is_some() || self.current_context || self.kubeconfig.is_some();
        meant.then(|| Access {
            context: self.context.clone().filter(|name| !name.is_empty()),
            kubeconfig: self.kubeconfig.clone(),
            namespace: self.namespace.clone(),
            secret: None,
        })
    }
}
