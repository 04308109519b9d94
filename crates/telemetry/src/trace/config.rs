//! What to trace and where to send it, as the OpenTelemetry environment variables say.
//!
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>

use std::time::Duration;

/// How spans travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP in Protobuf over HTTP.
    HttpProtobuf,
}

/// Which new traces are recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Root {
    /// All.
    Always,
    /// None.
    Never,
    /// This share of them, 0 to 1.
    Ratio(f64),
}

/// Which spans are recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplerConfig {
    /// For traces that begin here.
    pub root: Root,
    /// Whether the caller's decision, if it made one, counts before `root`.
    pub parent_based: bool,
}

/// The queue between requests and the exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Spans that may wait; more are dropped.
    pub queue: usize,
    /// Spans per export.
    pub size: usize,
    /// How long a span waits for others.
    pub delay: Duration,
    /// How long one export may take, with its retries.
    pub timeout: Duration,
}

/// Everything [`super::Tracing::start`] needs.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceConfig {
    /// The collector's full URL; for HTTP with the path spans are posted to.
    pub endpoint: String,
    /// How to talk to it.
    pub protocol: Protocol,
    /// The name of this service; absent when `OTEL_RESOURCE_ATTRIBUTES` gives it.
    pub service_name: Option<String>,
    /// What to record.
    pub sampler: SamplerConfig,
    /// The queue.
    pub batch: Batch,
    /// Values that were not understood and what is done instead, for the log.
    pub warnings: Vec<String>,
}

impl Default for SamplerConfig {
    fn default() -> Self {
        Self {
            root: Root::Always,
            parent_based: true,
        }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            queue: 2_048,
            size: 512,
            delay: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
        }
    }
}

impl TraceConfig {
    /// The defaults, for a collector at `endpoint`.
    pub fn new(endpoint: impl Into<String>, protocol: Protocol) -> Self {
        Self {
            endpoint: endpoint.into(),
            protocol,
            service_name: Some("postern".to_owned()),
            sampler: SamplerConfig::default(),
            batch: Batch::default(),
            warnings: Vec::new(),
        }
    }

    /// What the process' environment asks for; nothing unless it names a collector.
    pub fn from_env() -> Option<Self> {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    /// As [`Self::from_env`], with variables from anywhere.
    ///
    /// Without a protocol, port 4317 means gRPC, the port registered for it, and any other
    /// `http/protobuf`, the specification's default.
    pub fn from_vars(lookup: impl Fn(&str) -> Option<String>) -> Option<Self> {
        // "The SDK MUST interpret an empty value of an environment variable the same way as when
        // the variable is unset."
        let get = |name: &str| {
            lookup(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let disabled = get("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"));
        let exporter = get("OTEL_TRACES_EXPORTER");
        if disabled || exporter.as_deref() == Some("none") {
            return None;
        }
        let for_traces = get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        let as_given = for_traces.is_some();
        let endpoint = for_traces.or_else(|| get("OTEL_EXPORTER_OTLP_ENDPOINT"))?;

        let mut warnings = Vec::new();
        if let Some(other) = exporter.filter(|name| name != "otlp") {
            warnings.push(format!(
                "OTEL_TRACES_EXPORTER={other} is not supported: using otlp"
            ));
        }
        let name = get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
            .or_else(|| get("OTEL_EXPORTER_OTLP_PROTOCOL"));
        let protocol = protocol(name.as_deref(), &endpoint, &mut warnings);
        let sampler = sampler(
            get("OTEL_TRACES_SAMPLER").as_deref(),
            get("OTEL_TRACES_SAMPLER_ARG").as_deref(),
            &mut warnings,
        );
        let named_by_attribute = get("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|list| {
            list.split(',')
                .any(|a| a.trim().starts_with("service.name="))
        });
        let service_name = get("OTEL_SERVICE_NAME")
            .or_else(|| (!named_by_attribute).then(|| "postern".to_owned()));
        Some(Self {
            // "The base URL is used to construct per-signal URLs"; a per-signal URL is used as is.
            endpoint: match protocol {
                Protocol::HttpProtobuf if !as_given => {
                    format!("{}/v1/traces", endpoint.trim_end_matches('/'))
                }
                _ => endpoint,
            },
            protocol,
            service_name,
            sampler,
            batch: batch(get, &mut warnings),
            warnings,
        })
    }
}

fn protocol(name: Option<&str>, endpoint: &str, warnings: &mut Vec<String>) -> Protocol {
    let usual = match endpoint.parse::<http::Uri>() {
        Ok(uri) if uri.port_u16() == Some(4317) => Protocol::Grpc,
        _ => Protocol::HttpProtobuf,
    };
    match name {
        None => usual,
        Some("grpc") => Protocol::Grpc,
        Some("http/protobuf") => Protocol::HttpProtobuf,
        Some(other) => {
            warnings.push(format!(
                "OTEL_EXPORTER_OTLP_PROTOCOL={other} is not supported, use grpc or http/protobuf: using {usual:?}"
            ));
            usual
        }
    }
}

fn sampler(name: Option<&str>, arg: Option<&str>, warnings: &mut Vec<String>) -> SamplerConfig {
    let (root, parent_based) = match name {
        None => return SamplerConfig::default(),
        Some("always_on") => (Root::Always, false),
        Some("always_off") => (Root::Never, false),
        Some("traceidratio") => (Root::Ratio(ratio(arg, warnings)), false),
        Some("parentbased_always_on") => (Root::Always, true),
        Some("parentbased_always_off") => (Root::Never, true),
        Some("parentbased_traceidratio") => (Root::Ratio(ratio(arg, warnings)), true),
        Some(other) => {
            warnings.push(format!(
                "OTEL_TRACES_SAMPLER={other} is not supported: using parentbased_always_on"
            ));
            return SamplerConfig::default();
        }
    };
    SamplerConfig { root, parent_based }
}

/// "Invalid or unrecognized input MUST be logged and MUST be otherwise ignored"; the default is 1.
fn ratio(arg: Option<&str>, warnings: &mut Vec<String>) -> f64 {
    let Some(text) = arg else {
        return 1.0;
    };
    match text.parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => ratio,
        _ => {
            warnings.push(format!(
                "OTEL_TRACES_SAMPLER_ARG={text} is not a number from 0 to 1: using 1"
            ));
            1.0
        }
    }
}

fn batch(get: impl Fn(&str) -> Option<String>, warnings: &mut Vec<String>) -> Batch {
    let mut number = |name: &str, max: u64| {
        let text = get(name)?;
        match text.parse::<u64>() {
            Ok(value @ 1..) if value <= max => Some(value),
            _ => {
                warnings.push(format!(
                    "{name}={text} is not a number from 1 to {max}: using the default"
                ));
                None
            }
        }
    };
    let mut batch = Batch::default();
    if let Some(queue) = number("OTEL_BSP_MAX_QUEUE_SIZE", 1 << 20) {
        batch.queue = queue as usize;
    }
    if let Some(size) = number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1 << 16) {
        batch.size = size as usize;
    }
    batch.size = batch.size.min(batch.queue);
    if let Some(millis) = number("OTEL_BSP_SCHEDULE_DELAY", 3_600_000) {
        batch.delay = Duration::from_millis(millis);
    }
    let timeout = number("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", 3_600_000)
        .or_else(|| number("OTEL_EXPORTER_OTLP_TIMEOUT", 3_600_000));
    if let Some(millis) = timeout {
        batch.timeout = Duration::from_millis(millis);
    }
    batch
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
