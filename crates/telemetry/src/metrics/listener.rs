//! What is counted per listener: requests by class, their duration, connections.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::StatusCode;

use super::StreamMetrics;
use crate::shard;

/// Upper bounds of the duration buckets, in microseconds.
const BOUNDS: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// The values of the `code_class` label; the last one is for requests that got no response.
pub(super) const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// One core's share.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    requests: [AtomicU64; CLASSES.len()],
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
    open: AtomicI64,
    accepted: AtomicU64,
    tunnels: AtomicI64,
}

/// The numbers of one listener.
#[derive(Debug)]
pub struct ListenerMetrics {
    shards: Box<[Shard]>,
    streams: OnceLock<StreamMetrics>,
}

/// Buckets as pairs of upper bound and count, the sum in seconds, the count.
pub(super) type Histogram = (Vec<(f64, u64)>, f64, u64);

impl ListenerMetrics {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..shard::count()).map(|_| Shard::default()).collect(),
            streams: OnceLock::new(),
        }
    }

    /// Counts a finished request. No status: the client left before there was a response.
    pub fn request(&self, status: Option<StatusCode>, duration: Duration) {
        let shard = self.shard();
        let class = match status.map(|status| usize::from(status.as_u16() / 100)) {
            Some(class @ 1..=5) => class - 1,
            _ => CLASSES.len() - 1,
        };
        shard.requests[class].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS
            .iter()
            .position(|bound| micros <= *bound)
            .unwrap_or(BOUNDS.len());
        shard.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        shard.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Counts an accepted connection, open until the guard is dropped.
    pub fn connection(self: &Arc<Self>) -> OpenConnection {
        let shard = self.shard();
        shard.accepted.fetch_add(1, Ordering::Relaxed);
        shard.open.fetch_add(1, Ordering::Relaxed);
        OpenConnection(Arc::clone(self))
    }

    /// Counts a connection that has switched to another protocol, until the guard is dropped.
    pub fn tunnel(self: &Arc<Self>) -> OpenTunnel {
        self.shard().tunnels.fetch_add(1, Ordering::Relaxed);
        OpenTunnel(Arc::clone(self))
    }

    /// The numbers of its streams and datagrams, made on first use: most listeners have none.
    pub fn streams(&self) -> &StreamMetrics {
        self.streams.get_or_init(StreamMetrics::new)
    }

    pub(super) fn known_streams(&self) -> Option<&StreamMetrics> {
        self.streams.get()
    }

    pub(super) fn requests(&self, class: usize) -> u64 {
        self.sum(|shard| &shard.requests[class])
    }

    pub(super) fn accepted(&self) -> u64 {
        self.sum(|shard| &shard.accepted)
    }

    /// Connections open now. A guard may be dropped on another core than it was made on, so
    /// single shards may be negative; their sum is not.
    pub fn open_connections(&self) -> i64 {
        self.now(|shard| &shard.open)
    }

    /// Tunnels open now; see [`Self::open_connections`].
    pub fn open_tunnels(&self) -> i64 {
        self.now(|shard| &shard.tunnels)
    }

    pub(super) fn durations(&self) -> Histogram {
        let bounds = BOUNDS.iter().map(|micros| seconds(*micros));
        let buckets: Vec<_> = bounds
            .chain([f64::INFINITY])
            .enumerate()
            .map(|(index, bound)| (bound, self.sum(|shard| &shard.buckets[index])))
            .collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        (buckets, seconds(self.sum(|shard| &shard.micros)), count)
    }

    fn shard(&self) -> &Shard {
        &self.shards[shard::index(self.shards.len())]
    }

    fn now(&self, number: impl Fn(&Shard) -> &AtomicI64) -> i64 {
        let shards = self.shards.iter();
        shards
            .map(|shard| number(shard).load(Ordering::Relaxed))
            .sum()
    }

    fn sum(&self, number: impl Fn(&Shard) -> &AtomicU64) -> u64 {
        self.shards
            .iter()
            .map(|shard| number(shard).load(Ordering::Relaxed))
            .fold(0, u64::wrapping_add)
    }
}

fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}

/// A connection counted as open while this lives.
#[derive(Debug)]
pub struct OpenConnection(Arc<ListenerMetrics>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.shard().open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A tunnel counted as open while this lives.
#[derive(Debug)]
pub struct OpenTunnel(Arc<ListenerMetrics>);

impl Drop for OpenTunnel {
    fn drop(&mut self) {
        self.0.shard().tunnels.fetch_sub(1, Ordering::Relaxed);
    }
}
