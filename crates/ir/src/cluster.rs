//! Clusters: where requests go.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use http::HeaderName;
use serde::Serialize;

use crate::{UpstreamTls, policy::millis};

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
    /// The Service and port that session cookies and hashes know it by, where the key says more: clusters of one port
    /// have the same, so that a client is led to the same endpoint by all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Arc<str>>,
    /// Usable endpoints. Empty answers 503.
    pub endpoints: Arc<[Endpoint]>,
    /// HTTP version on the upstream connection.
    pub upstream: Upstream,
    /// TLS on the upstream connection; `None` is plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Arc<UpstreamTls>>,
    /// Choice among endpoints.
    pub balance: Balance,
    /// How long an endpoint may keep us waiting.
    #[serde(skip_serializing_if = "BackendTimeouts::is_default")]
    pub timeouts: BackendTimeouts,
}

/// How long an endpoint may keep us waiting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct BackendTimeouts {
    /// Until a connection is open; `None`: as the data plane has it for all. Expiry answers 504.
    #[serde(serialize_with = "millis", skip_serializing_if = "Option::is_none")]
    pub connect: Option<Duration>,
    /// The longest silence before the head of the answer and between parts of its body; `None`: no limit. Expiry
    /// answers 504, or breaks off an answer that has begun. An upgraded connection ends when nothing passes for so
    /// long, as do a stream and a session of datagrams, for which the data plane has a limit otherwise.
    #[serde(serialize_with = "millis", skip_serializing_if = "Option::is_none")]
    pub read: Option<Duration>,
    /// The longest time for which nothing is taken of a request's body that is there to be taken; `None`: no limit.
    /// Expiry answers 504.
    #[serde(serialize_with = "millis", skip_serializing_if = "Option::is_none")]
    pub send: Option<Duration>,
}

impl BackendTimeouts {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Balance {
    /// One after another, counted over all workers.
    #[default]
    RoundRobin,
    /// The one with the fewest requests in flight, over all workers.
    LeastRequest,
    /// Any.
    Random,
    /// Requests with the same key go to the same endpoint, for as long as it is there; of the keys of one that comes
    /// or goes, and of those alone, the endpoint changes. A request without key goes to any.
    Hash(HashKey),
}

/// What of a request is hashed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum HashKey {
    /// Path and query, as the client sent them.
    Uri,
    /// Host, in lower case.
    Host,
    /// The client's address.
    ClientAddress,
    /// The first value of a header.
    Header(#[serde(serialize_with = "crate::serialize::text")] HeaderName),
    /// The first value of a query parameter, percent-decoded.
    Query(Box<str>),
}
