//! What is told about streams and sessions of datagrams.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, SystemTime},
};

use ir::StreamRule;
use telemetry::{access_log::StreamRecord, metrics::ListenerMetrics};

use super::Observer;
use crate::http::error::ProxyError;

/// Both sides have said all they had to say.
pub(crate) const ENDED: &str = "ended";
/// Nothing passed for too long.
pub(crate) const IDLE: &str = "idle";
/// One side broke off.
pub(crate) const BROKEN: &str = "broken";
/// Its port has gone, or serves something else; or, of a session, the rule or endpoint that it was made for.
pub(crate) const GONE: &str = "gone";

/// A stream was connected to a backend.
pub(super) const CONNECTED: &str = "connected";

/// A stream that is over.
pub(crate) struct StreamEnd<'a> {
    pub(crate) listener: &'a str,
    pub(crate) metrics: &'a ListenerMetrics,
    /// `TCP`, `TLS` or `UDP`.
    pub(crate) protocol: &'static str,
    pub(crate) server_name: Option<&'a str>,
    pub(crate) rule: Option<&'a StreamRule>,
    pub(crate) client: IpAddr,
    pub(crate) duration: Duration,
    pub(crate) upstream: Option<SocketAddr>,
    pub(crate) attempts: usize,
    /// From the client, and to it.
    pub(crate) bytes: (u64, u64),
    /// One word.
    pub(crate) result: &'static str,
}

impl Observer {
    /// A backend was to be reached for a stream.
    pub(crate) fn stream_attempt(&self, error: Option<&ProxyError>) {
        let word = error.map_or(CONNECTED, |error| error.flag());
        self.telemetry.metrics.upstream_attempts.inc(word);
    }

    /// A stream is over.
    pub(crate) fn stream_ends(&self, end: &StreamEnd<'_>) {
        end.metrics.streams().results.inc(end.result);
        let log = &self.telemetry.access_log;
        if !log.is_enabled() {
            return;
        }
        let (bytes_in, bytes_out) = end.bytes;
        log.log_stream(&StreamRecord {
            timestamp: SystemTime::now()
                .checked_sub(end.duration)
                .unwrap_or(SystemTime::UNIX_EPOCH),
            protocol: end.protocol,
            listener: end.listener,
            server_name: end.server_name,
            result: end.result,
            duration: end.duration,
            upstream: end.upstream,
            attempts: u32::try_from(end.attempts).unwrap_or(u32::MAX),
            bytes_in,
            bytes_out,
            route: end.rule.map(|rule| &*rule.route),
            client: end.client,
        });
    }
}
