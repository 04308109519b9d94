//! Sockets, listeners and virtual hosts.

use std::{collections::BTreeMap, fmt, net::IpAddr, sync::Arc};

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    Admission, Cluster, ClusterKey, DatagramPort, HostPattern, HostSettings, ListenerKey, Paths,
    Route, StreamHost, TlsTermination,
};

/// The whole configuration of the data plane.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Ir {
    /// What is bound over TCP. Serialised as a map from `address:port`.
    #[serde(serialize_with = "by_socket")]
    pub ports: BTreeMap<SocketKey, Port>,
    /// What is bound over UDP, which has port numbers of its own: a socket may be in both.
    #[serde(
        serialize_with = "by_socket",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub datagrams: BTreeMap<SocketKey, DatagramPort>,
    /// Every cluster that a rule, stream rule or mirror names; a key that a rule names is always here.
    #[serde(serialize_with = "clusters")]
    pub clusters: BTreeMap<ClusterKey, Arc<Cluster>>,
}

/// A socket to bind, as written in the listener. The proxy maps address and port to what it was told to bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketKey {
    /// Address; `None` is every address.
    pub address: Option<IpAddr>,
    /// Port to bind: as written in the listener, or one that stands for it ([`Port::advertised`]).
    pub port: u16,
}

impl fmt::Display for SocketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            Some(address) => write!(f, "{address}:{}", self.port),
            None => write!(f, "*:{}", self.port),
        }
    }
}

/// What ports are numbered apart for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Transport {
    /// As Services and EndpointSlices have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One bound port. All its listeners speak the same [`Protocol`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Port {
    /// What is spoken.
    pub protocol: Protocol,
    /// The port that clients connect to, if it is not the one that is bound. Redirects speak of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advertised: Option<u16>,
    /// Listeners with distinct hostnames, most specific first.
    pub listeners: Vec<Arc<Listener>>,
}

/// What is spoken on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// HTTP/1.1, and HTTP/2 by prior knowledge.
    Http,
    /// The same inside TLS, by ALPN. Every listener of such a port has [`Listener::tls`] and serves HTTP.
    Https,
    /// TLS, and the server name that the client asks for chooses the listener: HTTP inside TLS ([`Listener::tls`]
    /// alone), a stream that is decrypted here (`tls` and [`Listener::streams`]), or one that is passed on as it is
    /// (`streams` alone).
    Tls,
    /// A stream of anything. The port has one listener, for every host, with [`Listener::streams`].
    Tcp,
}

/// A Gateway listener. A request belongs to the most specific listener whose hostname covers its host, and can
/// use only routes attached there (listener isolation).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listener {
    /// Lasting identity, also for logs and metrics.
    #[serde(rename = "name")]
    pub key: ListenerKey,
    /// Listeners of younger objects with the same socket and hostname, whose routes are served here too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<ListenerKey>,
    /// Hosts served.
    pub hostname: HostPattern,
    /// What becomes of request fields with an underscore in their name.
    #[serde(skip_serializing_if = "Underscores::is_default")]
    pub underscores: Underscores,
    /// How paths are read.
    #[serde(skip_serializing_if = "Paths::is_default")]
    pub paths: Paths,
    /// What requests must pass before a route is looked for.
    #[serde(skip_serializing_if = "Admission::is_open")]
    pub admission: Admission,
    /// Certificates, where TLS ends here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsTermination>,
    /// Distinct hosts within `hostname`, most specific first. Empty where there are streams.
    pub hosts: Vec<Arc<VirtualHost>>,
    /// `None`: HTTP. Else distinct hosts within `hostname`, most specific first; a stream for which there is none is
    /// closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streams: Option<Vec<Arc<StreamHost>>>,
}

/// What becomes of request fields with an underscore in their name. Some backends cannot tell `X_User` from `X-User`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Underscores {
    /// They pass.
    #[default]
    Allow,
    /// They are taken off.
    Drop,
    /// The request is answered 400.
    Refuse,
}

impl Underscores {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Listener {
    /// Every listener that is served here, the oldest first.
    pub fn keys(&self) -> impl Iterator<Item = &ListenerKey> {
        std::iter::once(&self.key).chain(&self.others)
    }
}

/// The routes of one host of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VirtualHost {
    /// The host.
    pub host: HostPattern,
    /// What holds before any route is asked.
    #[serde(skip_serializing_if = "HostSettings::is_default")]
    pub settings: HostSettings,
    /// In order of precedence; the first that matches wins.
    pub routes: Vec<Route>,
}

impl VirtualHost {
    /// Whether requests for `host` (lower case, no port) may be for this one.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        let labels = || match &self.host {
            HostPattern::Wildcard(suffix) => host.strip_suffix(&**suffix).unwrap_or_default(),
            HostPattern::Exact(_) | HostPattern::Any => "",
        };
        self.host.matches(host)
            && !(self.settings.one_label && labels().trim_end_matches('.').contains('.'))
    }
}

fn by_socket<T: Serialize, S: Serializer>(
    ports: &BTreeMap<SocketKey, T>,
    s: S,
) -> Result<S::Ok, S::Error> {
    let mut map = s.serialize_map(Some(ports.len()))?;
    for (key, port) in ports {
        map.serialize_entry(&key.to_string(), port)?;
    }
    map.end()
}

fn clusters<S: Serializer>(
    clusters: &BTreeMap<ClusterKey, Arc<Cluster>>,
    s: S,
) -> Result<S::Ok, S::Error> {
    s.collect_map(
        clusters
            .iter()
            .map(|(key, cluster)| (key.to_string(), cluster)),
    )
}
