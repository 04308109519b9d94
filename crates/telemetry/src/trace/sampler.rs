//! The configured sampler, and the one case the SDK's samplers cannot express: a caller that
//! names a trace but leaves the decision to us.

use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingResult, ShouldSample};

use super::{Root, SamplerConfig};

/// In the parent's context: it made no decision.
pub(super) struct Deferred;

#[derive(Clone, Debug)]
pub(super) struct Deciding {
    root: Sampler,
    usual: Sampler,
}

impl Deciding {
    pub(super) fn new(config: &SamplerConfig) -> Self {
        let root = match config.root {
            Root::Always => Sampler::AlwaysOn,
            Root::Never => Sampler::AlwaysOff,
            Root::Ratio(ratio) => Sampler::TraceIdRatioBased(ratio),
        };
        let usual = if config.parent_based {
            Sampler::ParentBased(Box::new(root.clone()))
        } else {
            root.clone()
        };
        Self { root, usual }
    }
}

impl ShouldSample for Deciding {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        span_kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let deferred = parent_context.is_some_and(|context| context.get::<Deferred>().is_some());
        let sampler = if deferred { &self.root } else { &self.usual };
        // Not `has_active_span`: a span without ids is no parent.
        let parent = parent_context.filter(|context| context.span().span_context().is_valid());
        sampler.should_sample(parent, trace_id, name, span_kind, attributes, links)
    }
}
