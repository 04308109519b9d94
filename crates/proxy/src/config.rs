//! What the operator decides: where to bind, and how much is too much.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use ipnet::IpNet;
use ir::SocketKey;

/// Settings of the data plane. They hold for the life of a [`crate::Proxy`].
#[derive(Debug, Clone)]
pub struct Config {
    /// Address for listeners that name none. Default `0.0.0.0`.
    pub bind: IpAddr,
    /// Listener port to the port that is really bound; a port not in the map is bound as written. A target of 0 lets
    /// the system choose.
    pub port_map: BTreeMap<u16, u16>,
    /// Threads that serve traffic, each with its own sockets and connections. Default: one for each core.
    pub workers: usize,
    /// Peers whose `X-Forwarded-*` headers are believed and extended. Default none: what clients send is replaced.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether backends may be at addresses that mean this machine or its link (loopback, link-local, unspecified,
    /// multicast). Default true; no, where others than the operator say where backends are.
    pub local_backends: bool,
    /// Where no backend may be whatever the above says: what the process serves for its operator. Default none.
    pub private: Vec<SocketAddr>,
    /// DNS servers that are asked for the names of backends. Default none: those of `/etc/resolv.conf`, whose search
    /// list and options count in any case.
    pub name_servers: Vec<SocketAddr>,
    /// How much is too much.
    pub limits: Limits,
    /// How long is too long.
    pub deadlines: Deadlines,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port_map: BTreeMap::new(),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            trusted_proxies: Vec::new(),
            local_backends: true,
            private: Vec::new(),
            name_servers: Vec::new(),
            limits: Limits::default(),
            deadlines: Deadlines::default(),
        }
    }
}

impl Config {
    /// Where a listener's socket is bound.
    #[must_use]
    pub fn address(&self, key: SocketKey) -> SocketAddr {
        let port = self.port_map.get(&key.port).copied().unwrap_or(key.port);
        SocketAddr::new(key.address.unwrap_or(self.bind), port)
    }
}

/// Upper bounds. Past a bound the client gets a cheap answer (431, 503, GOAWAY, a closed connection) and a counter
/// moves.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open client connections for each bound port, tunnels included. Default 20,000.
    pub connections: usize,
    /// Client addresses that have a session, for each bound UDP port. Default 20,000; datagrams of others are dropped
    /// until one ends, so that a flood of addresses takes nothing from the clients known before it.
    pub sessions: usize,
    /// The same for all UDP ports together. Default 20,000. Each has a file descriptor, and addresses can be forged:
    /// with less than the process may have, enough are left for connections.
    pub all_sessions: usize,
    /// Requests in flight for each worker. Default 20,000; beyond it 503.
    pub requests: usize,
    /// Bytes of a request's head. Default 64 KiB; beyond it 431.
    pub header_bytes: usize,
    /// Header fields of a request. Default 100; beyond it 431.
    pub headers: usize,
    /// Concurrent HTTP/2 streams of a connection. Default 100.
    pub streams: u32,
    /// HTTP/2 streams that a client reset before they were accepted; beyond it GOAWAY. Default 20.
    pub resets: usize,
    /// Requests of an HTTP/2 connection that its client may reset, beside one for each that it lets be answered; as
    /// many more within each minute. Beyond it GOAWAY. Default 200.
    pub cancels: u32,
    /// Bytes of a request's body kept for a retry or a mirror. Default 64 KiB; a longer body is neither repeated nor
    /// copied.
    pub replay_bytes: usize,
    /// Mirrored requests in flight for each worker; beyond it copies are dropped. Default 1,000.
    pub mirrors: usize,
    /// Idle upstream connections kept for each endpoint and worker. Default 256.
    pub idle_upstream: usize,
    /// HTTP/2 connections to each endpoint for each worker, of those that take requests. Default 100; beyond it 503.
    pub http2_upstream: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            sessions: 20_000,
            all_sessions: 20_000,
            requests: 20_000,
            header_bytes: 64 * 1024,
            headers: 100,
            streams: 100,
            resets: 20,
            cancels: 200,
            replay_bytes: 64 * 1024,
            mirrors: 1_000,
            idle_upstream: 256,
            http2_upstream: 100,
        }
    }
}

/// Upper bounds of waits. They are watched a few times a second, so they may be exceeded by a quarter of a second.
#[derive(Debug, Clone)]
pub struct Deadlines {
    /// From accept to the end of the TLS handshake. Default 10 s.
    pub tls_handshake: Duration,
    /// From the first byte of a request (or the start of the connection) to the end of its head. While everything
    /// drains, also what is left to an idle client to ask once more. Default 10 s.
    pub header: Duration,
    /// A connection without a request. Default 75 s.
    pub idle: Duration,
    /// A client that neither takes nor gives a byte that we wait for, on its connection or on a stream of HTTP/2.
    /// Default 300 s: idle gRPC streams are common.
    pub stall: Duration,
    /// Opening a connection to a backend. Default 5 s.
    pub connect: Duration,
    /// An upstream connection without a request. Default 60 s.
    pub idle_upstream: Duration,
    /// A stream of a TCP or TLS listener, or a tunnel (WebSocket), through which nothing passes. A backend's own read
    /// timeout ([`ir::BackendTimeouts::read`]) goes before it. Default 1 h.
    pub idle_stream: Duration,
    /// A client's session on a UDP port, likewise. Default 60 s.
    pub idle_session: Duration,
    /// What is left to streams whose port is gone, or whose listener does something else or asks more of clients.
    /// Default 30 s. (When everything drains, the deadline is that of [`crate::Proxy::drain`].)
    pub leave: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            tls_handshake: Duration::from_secs(10),
            header: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            stall: Duration::from_secs(300),
            connect: Duration::from_secs(5),
            idle_upstream: Duration::from_secs(60),
            idle_stream: Duration::from_secs(3_600),
            idle_session: Duration::from_secs(60),
            leave: Duration::from_secs(30),
        }
    }
}
