//! The spans of a request, by OpenTelemetry's HTTP semantic conventions.
//!
//! <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode, Version};
use opentelemetry::trace::{
    Span as _, SpanContext, SpanKind, Status, TraceContextExt, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span};

use super::attribute::{client_attributes, known_method, server_attributes, span_name};
use super::sampler::Deferred;
use crate::propagation::{self, Dialect, RemoteParent, Sampling, SpanId, TraceId};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct ServerRequest<'a> {
    /// The method.
    pub method: &'a Method,
    /// `http` or `https`, as the client sees it.
    pub scheme: &'a str,
    /// Host and, if given, port.
    pub host: &'a str,
    /// The path.
    pub path: &'a str,
    /// The query, without `?`.
    pub query: Option<&'a str>,
    /// The matched route as a low-cardinality pattern, if known by now.
    pub route: Option<&'a str>,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// The HTTP version.
    pub version: Version,
    /// The `User-Agent` header.
    pub user_agent: Option<&'a str>,
    /// The caller's span.
    pub parent: Option<RemoteParent>,
}

/// One try to have a backend answer the request.
#[derive(Clone, Debug)]
pub struct Attempt<'a> {
    /// The method sent.
    pub method: &'a Method,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host and, if given, port, as sent.
    pub authority: &'a str,
    /// The path sent.
    pub path: &'a str,
    /// The query sent, without `?`.
    pub query: Option<&'a str>,
    /// The backend's address or name.
    pub server_address: &'a str,
    /// The backend's port.
    pub server_port: u16,
    /// 0 for the first attempt.
    pub resend_count: u32,
}

/// The span of a request. Dropping it without [`Self::finish`] ends it as cancelled.
#[derive(Debug)]
#[must_use = "dropped at once, the span says the request was cancelled"]
pub struct ServerSpan(Option<Box<Server>>);

#[derive(Debug)]
struct Server {
    span: Span,
    tracer: Arc<SdkTracer>,
    dialect: Dialect,
    method: &'static str,
    finished: bool,
}

impl ServerSpan {
    /// A span that is none.
    pub fn off() -> Self {
        Self(None)
    }

    pub(super) fn start(tracer: &Arc<SdkTracer>, request: &ServerRequest<'_>) -> Self {
        let (context, dialect) = match &request.parent {
            None => (Context::new(), Dialect::W3c),
            Some(parent) => {
                let context = Context::new().with_remote_span_context(parent.span_context());
                let context = match parent.sampling {
                    Sampling::Deferred => context.with_value(Deferred),
                    _ => context,
                };
                (context, parent.dialect)
            }
        };
        let method = known_method(request.method);
        let builder = tracer
            .span_builder(span_name(method, request.route))
            .with_kind(SpanKind::Server);
        let mut span = tracer.build_with_context(builder, &context);
        if span.is_recording() {
            span.set_attributes(server_attributes(method, request));
        }
        Self(Some(Box::new(Server {
            span,
            tracer: Arc::clone(tracer),
            dialect,
            method,
            finished: false,
        })))
    }

    /// Trace and span id, for the access log.
    pub fn ids(&self) -> Option<(TraceId, SpanId)> {
        let context = self.0.as_ref()?.span.span_context();
        context
            .is_valid()
            .then(|| (context.trace_id(), context.span_id()))
    }

    /// Whether the span will be exported.
    pub fn is_recording(&self) -> bool {
        self.0.as_ref().is_some_and(|live| live.span.is_recording())
    }

    /// The route, when it is known only after the span began.
    pub fn set_route(&mut self, route: &str) {
        if let Some(live) = &mut self.0
            && live.span.is_recording()
        {
            live.span.update_name(span_name(live.method, Some(route)));
            live.span
                .set_attribute(KeyValue::new("http.route", route.to_owned()));
        }
    }

    /// The span of an attempt, a child of this one, from now until it is finished or dropped.
    pub fn client_span(&self, attempt: &Attempt<'_>) -> ClientSpan {
        let Some(server) = &self.0 else {
            return ClientSpan(None);
        };
        let parent = server.span.span_context();
        if !parent.is_valid() {
            return ClientSpan(None);
        }
        if !server.span.is_recording() {
            // Nothing will be exported: the backend may as well see our server span as its parent.
            return ClientSpan(Some(Box::new(Client {
                span: None,
                context: parent.clone(),
                dialect: server.dialect,
                finished: true,
            })));
        }
        let context = Context::new().with_remote_span_context(parent.clone());
        let method = known_method(attempt.method);
        let builder = server
            .tracer
            .span_builder(span_name(method, None))
            .with_kind(SpanKind::Client)
            .with_attributes(client_attributes(method, attempt));
        let span = server.tracer.build_with_context(builder, &context);
        ClientSpan(Some(Box::new(Client {
            context: span.span_context().clone(),
            span: Some(span),
            dialect: server.dialect,
            finished: false,
        })))
    }

    /// Ends the span. `status` is what the client got; `reason` the access log's word for a
    /// response the gateway made itself.
    pub fn finish(mut self, status: Option<StatusCode>, reason: Option<&'static str>) {
        if let Some(live) = &mut self.0 {
            live.finished = true;
            if let Some(reason) = reason
                && live.span.is_recording()
            {
                live.span
                    .set_attribute(KeyValue::new("postern.reason", reason));
            }
            // "For HTTP status codes in the 4xx range span status MUST be left unset in case of
            // SpanKind.SERVER". No status at all is an error of ours or the client's.
            let failed = status.is_none_or(|status| status.is_server_error());
            conclude(&mut live.span, status, reason, failed);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.finished {
            conclude(&mut self.span, None, Some("cancelled"), true);
        }
    }
}

/// The span of an attempt. Dropping it without [`Self::finish`] ends it as cancelled.
#[derive(Debug)]
#[must_use = "dropped at once, the span says the attempt was cancelled"]
pub struct ClientSpan(Option<Box<Client>>);

#[derive(Debug)]
struct Client {
    /// Absent when the trace is not sampled.
    span: Option<Span>,
    context: SpanContext,
    dialect: Dialect,
    finished: bool,
}

impl ClientSpan {
    /// Makes this span the parent of what the backend does. Off, `headers` stay as they are, and
    /// with them the client's own `traceparent`.
    pub fn inject(&self, headers: &mut HeaderMap) {
        if let Some(live) = &self.0 {
            propagation::inject(headers, &live.context, live.dialect);
        }
    }

    /// Ends the span. `status` is what the backend answered, `error` one word for why it did not.
    pub fn finish(mut self, status: Option<StatusCode>, error: Option<&'static str>) {
        if let Some(live) = &mut self.0
            && let Some(span) = &mut live.span
        {
            live.finished = true;
            let failed = error.is_some() || status.is_none_or(|status| status.as_u16() >= 400);
            conclude(span, status, error, failed);
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(span) = &mut self.span
            && !self.finished
        {
            conclude(span, None, Some("cancelled"), true);
        }
    }
}

fn conclude(
    span: &mut Span,
    status: Option<StatusCode>,
    error: Option<&'static str>,
    failed: bool,
) {
    if span.is_recording() {
        if let Some(status) = status {
            let code = i64::from(status.as_u16());
            span.set_attribute(KeyValue::new("http.response.status_code", code));
        }
        if failed {
            let kind: Cow<'static, str> = match (error, status) {
                (Some(word), _) => Cow::Borrowed(word),
                (None, Some(status)) => Cow::Owned(status.as_str().to_owned()),
                (None, None) => Cow::Borrowed("_OTHER"),
            };
            span.set_attribute(KeyValue::new("error.type", kind));
            // The reason is in error.type; the description is for what it cannot say.
            span.set_status(Status::error(""));
        }
    }
    span.end();
}
