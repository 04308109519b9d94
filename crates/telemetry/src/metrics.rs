//! Prometheus metrics with a bounded set of labels.
//!
//! The hot path uses handles resolved beforehand: no lock, no hashing, no cache line shared with
//! another core. Everything is added up only when `/metrics` is read.

mod collector;
mod counter;
mod listener;
mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::encoding::text;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

pub use counter::{Counter, WordCounters};
pub use listener::{ListenerMetrics, OpenConnection, OpenTunnel};
pub use stream::StreamMetrics;

/// The content type of [`Metrics::encode`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of the process. Clones are handles to the same numbers.
#[derive(Clone, Debug)]
pub struct Metrics {
    series: Arc<Series>,
    registry: Arc<Registry>,
}

/// The numbers themselves. Words are `&'static str` chosen by the code that counts, so their
/// number is bounded by construction.
#[derive(Debug)]
pub struct Series {
    /// Responses the gateway made itself, by reason.
    pub gateway_responses: WordCounters,
    /// Attempts to reach a backend, by result.
    pub upstream_attempts: WordCounters,
    /// Lookups of the names of backends, by result.
    pub lookups: WordCounters,
    /// Attempts after the first.
    pub retries: Counter,
    /// Connections that were refused or cut off, by reason.
    pub connections_rejected: WordCounters,
    /// Access log records lost because the log could not keep up.
    pub access_log_dropped: Counter,
    /// Spans lost because the collector could not keep up or be reached.
    pub spans_dropped: Counter,
    /// The generation of the snapshot that serves requests.
    pub snapshot_generation: Gauge,
    /// Configuration loads, by result.
    pub config_reloads: WordCounters,
    /// Panics that cost a request.
    pub panics: Counter,
    listeners: Mutex<BTreeMap<Arc<str>, Arc<ListenerMetrics>>>,
}

impl Metrics {
    /// Metrics with every number at zero.
    pub fn new() -> Self {
        let series = Arc::new(Series {
            gateway_responses: WordCounters::new(),
            upstream_attempts: WordCounters::new(),
            lookups: WordCounters::new(),
            retries: Counter::new(),
            connections_rejected: WordCounters::new(),
            access_log_dropped: Counter::new(),
            spans_dropped: Counter::new(),
            snapshot_generation: Gauge::default(),
            config_reloads: WordCounters::new(),
            panics: Counter::new(),
            listeners: Mutex::default(),
        });
        let mut registry = Registry::with_prefix("postern");
        registry.register_collector(Box::new(Arc::clone(&series)));
        Self {
            series,
            registry: Arc::new(registry),
        }
    }

    /// The handle for one listener; the same one for the same name. Takes a lock: resolve it when
    /// a snapshot is built, not per request.
    pub fn listener(&self, name: &str) -> Arc<ListenerMetrics> {
        let mut listeners = self.series.listeners.lock();
        if let Some(known) = listeners.get(name) {
            return Arc::clone(known);
        }
        let listener = Arc::new(ListenerMetrics::new());
        listeners.insert(name.into(), Arc::clone(&listener));
        listener
    }

    /// Forgets the listeners that are gone, so that `/metrics` does not grow with every change of
    /// configuration. Handles still held go on working, unseen.
    pub fn retain_listeners(&self, keep: impl Fn(&str) -> bool) {
        self.series.listeners.lock().retain(|name, _| keep(name));
    }

    /// Everything in the OpenMetrics text format; see [`CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        let mut out = String::new();
        text::encode(&mut out, &self.registry).expect("writing to a String cannot fail");
        out
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl std::ops::Deref for Metrics {
    type Target = Series;

    fn deref(&self) -> &Series {
        &self.series
    }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
