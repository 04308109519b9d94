//! Where a stream goes, or a session of datagrams: the rule's share, a cluster, one of its endpoints.

use std::{net::IpAddr, sync::Arc};

use ir::{Balance, HashKey, Target};

use crate::{
    http::error::ProxyError,
    snapshot::{Snapshot, StreamState},
    upstream::balance::{self, ClusterState},
};

/// The cluster whose share this is.
///
/// # Errors
/// There is none, or it has no endpoints.
pub(crate) fn cluster(
    snapshot: &Snapshot,
    rule: &StreamState,
) -> Result<Arc<ClusterState>, ProxyError> {
    let target = rule.pick();
    match target.ok_or(ProxyError::Rule(ir::Reason::NoBackend))? {
        Target::Invalid(reason) => Err(ProxyError::Rule(*reason)),
        Target::Cluster(key) => {
            let cluster = snapshot.cluster(key);
            let usable = cluster.filter(|cluster| cluster.has_endpoints());
            usable.cloned().ok_or(ProxyError::NoEndpoint)
        }
    }
}

/// The hash of what a cluster balances by, where that is known without a look at what is sent.
pub(crate) fn key(cluster: &ClusterState, client: IpAddr, name: &str) -> Option<u64> {
    match &cluster.cluster.balance {
        Balance::Hash(HashKey::ClientAddress) => Some(balance::hash(client.to_string().as_bytes())),
        Balance::Hash(HashKey::Host) if !name.is_empty() => Some(balance::hash(name.as_bytes())),
        _ => None,
    }
}
