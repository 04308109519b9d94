//! Clusters: where requests go.

use std::{fmt, net::SocketAddr, sync::Arc};

use serde::Serialize;

/// The lasting identity of a cluster: the backend object and port, and whatever sets its connections apart.
/// Pools and balancing state are kept under it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ClusterKey(pub Arc<str>);

impl fmt::Display for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The endpoints of one backend, and how to talk to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// Lasting identity.
    pub key: ClusterKey,
    /// Usable endpoints. Empty answers 503.
    pub endpoints: Arc<[Endpoint]>,
    /// HTTP version on the upstream connection.
    pub upstream: Upstream,
    /// Choice among endpoints.
    pub balance: Balance,
}

/// One address of a backend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Endpoint {
    /// An address.
    Address(SocketAddr),
    /// A name that the data plane resolves (ExternalName Services, `host:port` endpoints when standalone).
    Name {
        /// DNS name.
        host: Box<str>,
        /// Port.
        port: u16,
    },
}

/// HTTP version on upstream connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Upstream {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: by prior knowledge on plain text, by ALPN on TLS.
    Http2,
}

/// Choice among endpoints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Balance {
    /// One after another, counted over all workers.
    #[default]
    RoundRobin,
}
