//! Flags of the data plane: where to bind, and its bounds.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use clap::Args;
use ipnet::IpNet;
use proxy::{Config, Deadlines, Limits};

use super::value::{bytes, deadline, port_pair};
use crate::descriptor;

/// Settings of the data plane.
#[derive(Debug, Args)]
#[command(next_help_heading = "Traffic")]
pub(crate) struct ProxyArgs {
    /// Address for listeners that name none; `::` is every address of both families.
    #[arg(
        long,
        value_name = "ADDR",
        env = "POSTERN_BIND",
        default_value = "0.0.0.0"
    )]
    bind: IpAddr,
    /// Bind another port than the listener says, as LISTENER=BOUND. 0 lets the system choose; /status and the log say
    /// what it chose. Repeatable.
    #[arg(
        long = "port-map",
        value_name = "FROM=TO",
        env = "POSTERN_PORT_MAP",
        value_delimiter = ',',
        value_parser = port_pair
    )]
    port_map: Vec<(u16, u16)>,
    /// Threads that serve traffic. Default: one for each core.
    #[arg(long, value_name = "N", env = "POSTERN_WORKERS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// DNS server that is asked for the names of backends, as ADDR:PORT, in the stead of those in /etc/resolv.conf.
    /// Repeatable.
    #[arg(
        long = "name-server",
        value_name = "ADDR:PORT",
        env = "POSTERN_NAME_SERVERS",
        value_delimiter = ','
    )]
    name_servers: Vec<SocketAddr>,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    deadlines: DeadlineArgs,
}

/// How much is too much.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
struct LimitArgs {
    /// Open client connections for each port; more are closed at once.
    #[arg(
        long,
        value_name = "N",
        env = "POSTERN_MAX_CONNECTIONS",
        default_value = "20000"
    )]
    max_connections: usize,
    /// Client addresses that have a session, for each UDP port; datagrams of more are dropped.
    #[arg(
        long,
        value_name = "N",
        env = "POSTERN_MAX_SESSIONS",
        default_value = "20000"
    )]
    max_sessions: usize,
    /// The same for all UDP ports together: each session has a file descriptor. Default: half of those the process may
    /// have.
    #[arg(long, value_name = "N", env = "POSTERN_MAX_ALL_SESSIONS")]
    max_all_sessions: Option<usize>,
    /// Requests in flight for each worker; more are answered with 503.
    #[arg(
        long,
        value_name = "N",
        env = "POSTERN_MAX_REQUESTS",
        default_value = "20000"
    )]
    max_requests: usize,
    /// Bytes of a request's head; more are answered with 431.
    #[arg(long, value_name = "BYTES", env = "POSTERN_MAX_HEADER_BYTES", default_value = "64KiB", value_parser = bytes)]
    max_header_bytes: usize,
    /// Header fields of a request; more are answered with 431.
    #[arg(
        long,
        value_name = "N",
        env = "POSTERN_MAX_HEADERS",
        default_value = "100"
    )]
    max_headers: usize,
    /// Concurrent HTTP/2 streams of a connection.
    #[arg(
        long,
        value_name = "N",
        env = "POSTERN_MAX_STREAMS",
        default_value = "100"
    )]
    max_streams: u32,
    /// HTTP/2 streams that a client may reset before they are accepted; more end the connection.
    #[arg(
        long,
        value_name = "N",
        env = "POSTERN_MAX_RESETS",
        default_value = "20"
    )]
    max_resets: usize,
    /// Requests of an HTTP/2 connection that its client may reset beside one for each that is answered, and as many
    /// more in each minute; more end the connection.
    #[arg(
        long,
        value_name = "N",
        env = "POSTERN_MAX_CANCELS",
        default_value = "200"
    )]
    max_cancels: u32,
    /// Bytes of a request's body kept for retries, refusals of HTTP/2 backends, and mirrors; a longer body is neither
    /// repeated nor copied.
    #[arg(long, value_name = "BYTES", env = "POSTERN_REPLAY_BUFFER", default_value = "64KiB", value_parser = bytes)]
    replay_buffer: usize,
    /// Mirrored requests in flight for each worker; more copies are dropped.
    #[arg(
        long,
        value_name = "N",
        env = "POSTERN_MAX_MIRRORS",
        default_value = "1000"
    )]
    max_mirrors: usize,
    /// Idle HTTP/1.1 connections kept for each endpoint and worker.
    #[arg(
        long,
        value_name = "N",
        env = "POSTERN_MAX_IDLE_UPSTREAM",
        default_value = "256"
    )]
    max_idle_upstream: usize,
    /// HTTP/2 connections to each endpoint for each worker; what finds no room on them is answered with 503.
    #[arg(
        long,
        value_name = "N",
        env = "POSTERN_MAX_HTTP2_UPSTREAM",
        default_value = "100"
    )]
    max_http2_upstream: usize,
}

/// How long is too long.
#[derive(Debug, Args)]
#[command(next_help_heading = "Deadlines")]
struct DeadlineArgs {
    /// From accept to the end of the TLS handshake.
    #[arg(long, value_name = "TIME", env = "POSTERN_TLS_HANDSHAKE_TIMEOUT", default_value = "10s", value_parser = deadline)]
    tls_handshake_timeout: Duration,
    /// The first bytes of a plain connection; then from the first byte of a request to the end of its head. While the
    /// process ends, also what is left to an idle client to ask once more.
    #[arg(long, value_name = "TIME", env = "POSTERN_HEADER_TIMEOUT", default_value = "10s", value_parser = deadline)]
    header_timeout: Duration,
    /// A client connection without a request.
    #[arg(long, value_name = "TIME", env = "POSTERN_IDLE_TIMEOUT", default_value = "75s", value_parser = deadline)]
    idle_timeout: Duration,
    /// A client that neither takes nor gives a byte that is waited for, on its connection or on a stream of HTTP/2.
    #[arg(long, value_name = "TIME", env = "POSTERN_STALL_TIMEOUT", default_value = "300s", value_parser = deadline)]
    stall_timeout: Duration,
    /// Resolving a backend's name, and connecting to it.
    #[arg(long, value_name = "TIME", env = "POSTERN_CONNECT_TIMEOUT", default_value = "5s", value_parser = deadline)]
    connect_timeout: Duration,
    /// A connection to a backend without a request.
    #[arg(long, value_name = "TIME", env = "POSTERN_IDLE_UPSTREAM_TIMEOUT", default_value = "60s", value_parser = deadline)]
    idle_upstream_timeout: Duration,
    /// A stream of a TCP or TLS listener, or a tunnel such as a WebSocket, through which nothing passes, unless its
    /// backend has a read timeout of its own.
    #[arg(long, value_name = "TIME", env = "POSTERN_IDLE_STREAM_TIMEOUT", default_value = "1h", value_parser = deadline)]
    idle_stream_timeout: Duration,
    /// A client's session on a UDP listener in which nothing passes, unless its backend has a read timeout of its own.
    #[arg(long, value_name = "TIME", env = "POSTERN_IDLE_SESSION_TIMEOUT", default_value = "60s", value_parser = deadline)]
    idle_session_timeout: Duration,
}

impl LimitArgs {
    /// Forged client addresses must not take the descriptors that connections need.
    fn all_sessions(&self, unknown: usize) -> usize {
        let half = || descriptor::limit().map(|limit| limit / 2);
        self.max_all_sessions.or_else(half).unwrap_or(unknown)
    }
}

impl ProxyArgs {
    /// As the proxy wants it. Streams of a port that has gone have as long as those of a process that ends.
    pub(crate) fn config(&self, drain: Duration, trusted: &[IpNet]) -> Config {
        let (limits, deadlines) = (&self.limits, &self.deadlines);
        let defaults = Config::default();
        Config {
            bind: self.bind,
            port_map: self.port_map.iter().copied().collect::<BTreeMap<_, _>>(),
            workers: self.workers.map_or(defaults.workers, usize::from),
            trusted_proxies: trusted.to_vec(),
            local_backends: defaults.local_backends,
            private: defaults.private,
            name_servers: self.name_servers.clone(),
            limits: Limits {
                connections: limits.max_connections,
                sessions: limits.max_sessions,
                all_sessions: limits.all_sessions(defaults.limits.all_sessions),
                requests: limits.max_requests,
                header_bytes: limits.max_header_bytes,
                headers: limits.max_headers,
                streams: limits.max_streams,
                resets: limits.max_resets,
                cancels: limits.max_cancels,
                replay_bytes: limits.replay_buffer,
                mirrors: limits.max_mirrors,
                idle_upstream: limits.max_idle_upstream,
                http2_upstream: limits.max_http2_upstream,
            },
            deadlines: Deadlines {
                tls_handshake: deadlines.tls_handshake_timeout,
                header: deadlines.header_timeout,
                idle: deadlines.idle_timeout,
                stall: deadlines.stall_timeout,
                connect: deadlines.connect_timeout,
                idle_upstream: deadlines.idle_upstream_timeout,
                idle_stream: deadlines.idle_stream_timeout,
                idle_session: deadlines.idle_session_timeout,
                leave: drain,
            },
        }
    }
}
