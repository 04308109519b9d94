//! Distributed traces: a server span per request and a client span per attempt, over OTLP.
//!
//! Spans of requests are made directly with the SDK, so that a request that is not sampled costs
//! no attributes and nothing depends on which subscriber is installed. Other parts of the program
//! trace themselves with `tracing` spans under [`TARGET`], which the layer in [`crate::log`]
//! sends the same way.

mod attribute;
mod config;
mod export;
mod sampler;
mod span;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

use crate::metrics::Counter;
use crate::propagation::RemoteParent;

pub use config::{Batch, Protocol, Root, SamplerConfig, TraceConfig};
pub use span::{Attempt, ClientSpan, ServerRequest, ServerSpan};

use sampler::Deciding;

/// The target of `tracing` spans that are exported.
pub const TARGET: &str = "postern::trace";

/// Why traces cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The collector's address does not parse, or is of a kind that is not supported.
    #[error("trace collector {endpoint:?}: {problem}")]
    Endpoint {
        /// The address as given.
        endpoint: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No thread or runtime to export on.
    #[error("cannot start the trace exporter: {0}")]
    Start(#[from] std::io::Error),
    /// Shutting down took too long or failed; some spans are lost.
    #[error("the last spans did not reach the collector: {0}")]
    Shutdown(String),
}

/// The process' exporter of traces, or nothing.
#[derive(Debug)]
pub struct Tracing {
    provider: Option<SdkTracerProvider>,
    tracer: Tracer,
}

impl Tracing {
    /// No traces.
    pub fn off() -> Self {
        Self {
            provider: None,
            tracer: Tracer::off(),
        }
    }

    /// Starts exporting, on a thread and runtime of its own. The collector need not be there yet.
    /// Spans it does not get are counted in `dropped`.
    pub fn start(config: &TraceConfig, dropped: Counter) -> Result<Self, TraceError> {
        let mut resource = Resource::builder().with_attribute(opentelemetry::KeyValue::new(
            "service.version",
            env!("CARGO_PKG_VERSION"),
        ));
        if let Some(name) = &config.service_name {
            resource = resource.with_service_name(name.clone());
        }
        let resource = resource.build();
        let processor = export::start(config, &resource, dropped)?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(Deciding::new(&config.sampler))
            .with_span_processor(processor)
            .build();
        let scope = InstrumentationScope::builder("postern")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        let tracer = Tracer(Some(Arc::new(provider.tracer_with_scope(scope))));
        Ok(Self {
            provider: Some(provider),
            tracer,
        })
    }

    /// The handle that makes spans.
    pub fn tracer(&self) -> Tracer {
        self.tracer.clone()
    }

    /// Exports what is queued and stops, blocking at most `deadline`. Spans made from now on are
    /// no-ops.
    pub fn shutdown(&self, deadline: Duration) -> Result<(), TraceError> {
        let Some(provider) = &self.provider else {
            return Ok(());
        };
        provider
            .shutdown_with_timeout(deadline)
            .map_err(|error| TraceError::Shutdown(error.to_string()))
    }

    /// Sends `tracing` spans under [`TARGET`] to the collector.
    pub(crate) fn layer<S>(&self) -> Option<impl Layer<S> + Send + Sync + use<S>>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let tracer: SdkTracer = self.tracer.0.as_deref()?.clone();
        let only_ours = Targets::new().with_target(TARGET, LevelFilter::INFO);
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_filter(only_ours);
        Some(layer)
    }
}

/// Makes spans. Clones are cheap; off, it is a null pointer and everything made with it a no-op.
#[derive(Clone)]
pub struct Tracer(Option<Arc<SdkTracer>>);

impl Tracer {
    /// A tracer that makes nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Whether spans are made at all.
    pub fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    /// The caller's span. Off, this allocates nothing and still gives the access log its trace id.
    pub fn extract(&self, headers: &HeaderMap) -> Option<RemoteParent> {
        RemoteParent::extract(headers, self.is_enabled())
    }

    /// The span of one request, from now until it is finished or dropped.
    pub fn server_span(&self, request: &ServerRequest<'_>) -> ServerSpan {
        match &self.0 {
            Some(tracer) => ServerSpan::start(tracer, request),
            None => ServerSpan::off(),
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Tracer({})",
            if self.is_enabled() { "on" } else { "off" }
        )
    }
}

#[cfg(test)]
#[path = "trace_tests.rs"]
mod tests;
