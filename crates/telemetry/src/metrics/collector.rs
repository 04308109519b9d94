//! The numbers as Prometheus metric families.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::counter::{Counter, WordCounters};
use super::listener::CLASSES;
use super::{ListenerMetrics, Series, StreamMetrics};

impl Collector for Series {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_listeners(&mut encoder)?;
        let words = [
            (
                "gateway_responses",
                "Responses of the gateway's own, by their word",
                "reason",
                &self.gateway_responses,
            ),
            (
                "upstream_attempts",
                "Attempts to reach a backend: answered, connected (a stream), pooled_closed or refused (both tried again unasked), mirror_dropped, or the word of the failure",
                "result",
                &self.upstream_attempts,
            ),
            (
                "lookups",
                "Lookups of the names of backends: found, none (the name has no address), or failed",
                "result",
                &self.lookups,
            ),
            (
                "connections_rejected",
                "Client connections that were refused, or closed because of what their clients did or did not do",
                "reason",
                &self.connections_rejected,
            ),
            (
                "config_reloads",
                "Published configurations: ok, or with_errors of files, ports or certificates",
                "result",
                &self.config_reloads,
            ),
        ];
        for (name, help, label, counters) in words {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            encode_words(metric, label, counters)?;
        }
        let counters = [
            (
                "retries",
                "Repeats that a rule asked for, or that went to another endpoint as no connection could be made",
                &self.retries,
            ),
            (
                "access_log_dropped",
                "Lines of the access log that could not be written in time",
                &self.access_log_dropped,
            ),
            (
                "spans_dropped",
                "Spans that could not be exported in time",
                &self.spans_dropped,
            ),
            ("panics", "Panics; each is a mistake of ours", &self.panics),
        ];
        for (name, help, counter) in counters {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            encode_counter(metric, counter)?;
        }
        let generation = encoder.encode_descriptor(
            "snapshot_generation",
            "Number of the configuration that is served",
            None,
            MetricType::Gauge,
        )?;
        self.snapshot_generation.encode(generation)
    }
}

impl Series {
    fn encode_listeners(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let listeners = self.listeners.lock().clone();
        // A family without samples says nothing; leave it out.
        if listeners.is_empty() {
            return Ok(());
        }

        let help = "Finished requests; class none when the client left first";
        let mut metric = encoder.encode_descriptor("requests", help, None, MetricType::Counter)?;
        for (name, listener) in &listeners {
            encode_requests(&mut metric, name, listener)?;
        }

        let mut metric = encoder.encode_descriptor(
            "request_duration_seconds",
            "From the head of a request to the end of its response",
            None,
            MetricType::Histogram,
        )?;
        for (name, listener) in &listeners {
            let (buckets, sum, count) = listener.durations();
            metric
                .encode_family(&[("listener", name.as_ref())])?
                .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }

        let help = "Client connections that are open, under port/N; sessions, under UDP listeners";
        let mut metric =
            encoder.encode_descriptor("connections_open", help, None, MetricType::Gauge)?;
        for (name, listener) in &listeners {
            metric
                .encode_family(&[("listener", name.as_ref())])?
                .encode_gauge(&listener.open_connections())?;
        }

        let help = "Of these, connections that have switched to another protocol, such as WebSocket; likewise";
        let mut metric =
            encoder.encode_descriptor("tunnels_open", help, None, MetricType::Gauge)?;
        for (name, listener) in &listeners {
            metric
                .encode_family(&[("listener", name.as_ref())])?
                .encode_gauge(&listener.open_tunnels())?;
        }

        let help = "Client connections that were accepted, and sessions that began; likewise";
        let mut metric =
            encoder.encode_descriptor("connections", help, None, MetricType::Counter)?;
        for (name, listener) in &listeners {
            metric
                .encode_family(&[("listener", name.as_ref())])?
                .encode_counter::<NoLabelSet, _, u64>(&listener.accepted(), None)?;
        }
        encode_streams(encoder, &listeners)
    }
}

type Listeners = BTreeMap<Arc<str>, Arc<ListenerMetrics>>;

/// What listeners with streams or datagrams count; nothing where there are none.
fn encode_streams(encoder: &mut DescriptorEncoder<'_>, listeners: &Listeners) -> fmt::Result {
    let named = listeners.iter();
    let all: Vec<(&str, &StreamMetrics)> = named
        .filter_map(|(name, listener)| Some((name.as_ref(), listener.known_streams()?)))
        .collect();
    if all.is_empty() {
        return Ok(());
    }
    let help = "TCP and TLS streams and UDP sessions that are over: ended, idle, broken, gone with their port, or the word for what kept them from a backend";
    let mut metric = encoder.encode_descriptor("streams", help, None, MetricType::Counter)?;
    for (name, streams) in &all {
        encode_listener_words(&mut metric, name, "result", &streams.results)?;
    }
    let help = "Bytes of streams and datagrams: in from clients, out to them";
    let mut metric = encoder.encode_descriptor("stream_bytes", help, None, MetricType::Counter)?;
    for (name, streams) in &all {
        for (direction, bytes) in [("in", &streams.received), ("out", &streams.sent)] {
            metric
                .encode_family(&[("listener", *name), ("direction", direction)])?
                .encode_counter::<NoLabelSet, _, u64>(&bytes.get(), None)?;
        }
    }
    let help = "Datagrams that went no further";
    let mut metric =
        encoder.encode_descriptor("datagrams_dropped", help, None, MetricType::Counter)?;
    for (name, streams) in &all {
        encode_listener_words(&mut metric, name, "reason", &streams.dropped)?;
    }
    Ok(())
}

fn encode_listener_words(
    metric: &mut MetricEncoder<'_>,
    name: &str,
    label: &str,
    counters: &WordCounters,
) -> fmt::Result {
    for (word, count) in counters.snapshot() {
        metric
            .encode_family(&[("listener", name), (label, word)])?
            .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
    }
    Ok(())
}

fn encode_requests(
    metric: &mut MetricEncoder<'_>,
    name: &str,
    listener: &ListenerMetrics,
) -> fmt::Result {
    for (index, class) in CLASSES.iter().enumerate() {
        metric
            .encode_family(&[("listener", name), ("code_class", *class)])?
            .encode_counter::<NoLabelSet, _, u64>(&listener.requests(index), None)?;
    }
    Ok(())
}

fn encode_words(
    mut metric: MetricEncoder<'_>,
    label: &str,
    counters: &WordCounters,
) -> fmt::Result {
    for (word, count) in counters.snapshot() {
        metric
            .encode_family(&[(label, word)])?
            .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
    }
    Ok(())
}

fn encode_counter(mut metric: MetricEncoder<'_>, counter: &Counter) -> fmt::Result {
    metric.encode_counter::<NoLabelSet, _, u64>(&counter.get(), None)
}
