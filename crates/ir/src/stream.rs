//! Streams and datagrams: what is passed on without a look at what is in it.

use std::{num::NonZeroU32, sync::Arc};

use serde::Serialize;

use crate::{HostPattern, ListenerKey, RuleKey, Target};

/// The rule for the streams of one host of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamHost {
    /// The server name that the client asks for; without TLS, [`HostPattern::Any`].
    pub host: HostPattern,
    /// Where to.
    pub rule: Arc<StreamRule>,
}

/// What happens to the streams or datagrams of a rule of a TLSRoute, TCPRoute or UDPRoute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamRule {
    /// Lasting identity.
    pub key: RuleKey,
    /// The route object, as `TCPRoute/namespace/name`: for logs.
    pub route: Arc<str>,
    /// By weight; zero weights are dropped before they get here. Without any, every stream is closed.
    pub backends: Vec<StreamBackend>,
}

/// A share of a rule's streams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamBackend {
    /// Share, relative to the sum over the rule.
    pub weight: NonZeroU32,
    /// Where to. A stream whose share is [`Target::Invalid`], or a cluster without endpoints, is closed; a datagram is
    /// dropped.
    pub target: Target,
}

/// A bound UDP port. The proxy keeps a session for each client address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatagramPort {
    /// Lasting identity of the listener, also for logs and metrics.
    pub listener: ListenerKey,
    /// Listeners of younger objects with the same socket.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<ListenerKey>,
    /// The port that clients send to, if it is not the one that is bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advertised: Option<u16>,
    /// Where to; `None`: nothing is attached, and datagrams are dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Arc<StreamRule>>,
}

impl DatagramPort {
    /// Every listener that is served here, the oldest first.
    pub fn listeners(&self) -> impl Iterator<Item = &ListenerKey> {
        std::iter::once(&self.listener).chain(&self.others)
    }
}
