//! The numbers as Prometheus metric families.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::counter::{Counter, WordCounters};
use super::listener::CLASSES;
use super::{ListenerMetrics, Series};

impl Collector for Series {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_listeners(&mut encoder)?;
        let words = [
            (
                "gateway_responses",
                "Responses the gateway made itself",
                "reason",
                &self.gateway_responses,
            ),
            (
                "upstream_attempts",
                "Attempts to reach a backend",
                "result",
                &self.upstream_attempts,
            ),
            (
                "connections_rejected",
                "Connections closed before serving a request",
                "reason",
                &self.connections_rejected,
            ),
            (
                "config_reloads",
                "Configuration loads",
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
                "Upstream attempts after the first",
                &self.retries,
            ),
            (
                "access_log_dropped",
                "Access log records lost because the log could not keep up",
                &self.access_log_dropped,
            ),
            (
                "spans_dropped",
                "Spans lost because the collector could not keep up or be reached",
                &self.spans_dropped,
            ),
            ("panics", "Panics that cost a request", &self.panics),
        ];
        for (name, help, counter) in counters {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            encode_counter(metric, counter)?;
        }
        let generation = encoder.encode_descriptor(
            "snapshot_generation",
            "Generation of the snapshot that serves requests",
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

        let help = "Requests finished";
        let mut metric = encoder.encode_descriptor("requests", help, None, MetricType::Counter)?;
        for (name, listener) in &listeners {
            encode_requests(&mut metric, name, listener)?;
        }

        let mut metric = encoder.encode_descriptor(
            "request_duration_seconds",
            "Time from request head to end of response",
            None,
            MetricType::Histogram,
        )?;
        for (name, listener) in &listeners {
            let (buckets, sum, count) = listener.durations();
            metric
                .encode_family(&[("listener", name.as_ref())])?
                .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }

        let help = "Connections open now";
        let mut metric =
            encoder.encode_descriptor("connections_open", help, None, MetricType::Gauge)?;
        for (name, listener) in &listeners {
            metric
                .encode_family(&[("listener", name.as_ref())])?
                .encode_gauge(&listener.open_connections())?;
        }

        let help = "Connections accepted";
        let mut metric =
            encoder.encode_descriptor("connections", help, None, MetricType::Counter)?;
        for (name, listener) in &listeners {
            metric
                .encode_family(&[("listener", name.as_ref())])?
                .encode_counter::<NoLabelSet, _, u64>(&listener.accepted(), None)?;
        }
        Ok(())
    }
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
