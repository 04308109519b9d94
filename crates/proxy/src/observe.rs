//! What the data plane tells the outside: metrics, spans, access log. All of it is handed in by the binary, and what is
//! off costs a branch.

pub(crate) mod stream;

use std::{
    cell::Cell,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::SystemTime,
};

use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Version, header, request::Parts, uri::PathAndQuery,
};
use ir::{PathMatch, Rule};
use telemetry::{
    access_log::{AccessLog, Record},
    metrics::{ListenerMetrics, Metrics},
    propagation::{SpanId, TraceId},
    trace::{Attempt, ClientSpan, ServerRequest, ServerSpan, Tracer},
};
use tokio::time::Instant;

use crate::{
    http::{
        error::ProxyError,
        view::{Peer, View},
    },
    net::rejection::Rejection,
    upstream::{Head, Way},
};

pub(crate) use stream::StreamEnd;

/// What may become of an attempt, beside the words of errors.
const ANSWERED: &str = "answered";
const POOLED_CLOSED: &str = "pooled_closed";
const REFUSED: &str = "refused";
const MIRROR_DROPPED: &str = "mirror_dropped";

/// Where the data plane reports to. Clones are handles to the same things.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Counters and histograms.
    pub metrics: Metrics,
    /// One line for each request, or off.
    pub access_log: AccessLog,
    /// Spans, or off.
    pub tracer: Tracer,
}

impl Default for Telemetry {
    /// Metrics that nobody reads; no log, no spans.
    fn default() -> Self {
        Self {
            metrics: Metrics::new(),
            access_log: AccessLog::off(),
            tracer: Tracer::off(),
        }
    }
}

/// One worker's view of [`Telemetry`].
pub(crate) struct Observer {
    telemetry: Telemetry,
}

impl Observer {
    /// The words that are known beforehand are counted from zero: Prometheus sees no first time otherwise.
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        let metrics = &telemetry.metrics;
        let rejected = Rejection::ALL.map(Rejection::word);
        metrics.connections_rejected.declare(&rejected);
        let attempts = [
            ANSWERED,
            stream::CONNECTED,
            POOLED_CLOSED,
            REFUSED,
            MIRROR_DROPPED,
        ];
        metrics.upstream_attempts.declare(&attempts);
        Self {
            telemetry: telemetry.clone(),
        }
    }

    /// A connection was refused or cut off.
    pub(crate) fn connection_rejected(&self, why: Rejection) {
        let metrics = &self.telemetry.metrics;
        metrics.connections_rejected.inc(why.word());
    }

    /// A rule's retry is about to be used.
    pub(crate) fn retry(&self) {
        self.telemetry.metrics.retries.inc();
    }

    /// A pooled connection turned out to be dead.
    pub(crate) fn transparent_retry(&self) {
        self.telemetry.metrics.upstream_attempts.inc(POOLED_CLOSED);
    }

    /// The backend did not process an attempt, which is repeated.
    pub(crate) fn refused(&self) {
        self.telemetry.metrics.upstream_attempts.inc(REFUSED);
    }

    /// A copy could not be sent.
    pub(crate) fn mirror_dropped(&self) {
        self.telemetry.metrics.upstream_attempts.inc(MIRROR_DROPPED);
    }
}

/// What is known of a request when it ends.
pub(crate) struct Outcome {
    pub(crate) started: Instant,
    pub(crate) status: Option<StatusCode>,
    pub(crate) reason: Option<&'static str>,
    pub(crate) bytes_out: u64,
    pub(crate) attempts: u32,
    pub(crate) upstream: Option<SocketAddr>,
}

impl Outcome {
    /// Whether the gateway's own word is about a failure.
    pub(crate) fn failed(&self) -> bool {
        self.status.is_none_or(|status| status.is_server_error()) || self.reason == Some(BROKEN_OFF)
    }
}

/// The answer began and could not be completed.
pub(crate) const BROKEN_OFF: &str = "broken_off";
/// What is being told about one request.
pub(crate) struct Observed {
    listener: Arc<ListenerMetrics>,
    logged: Option<Box<Logged>>,
    span: Option<ServerSpan>,
    attempt: Option<ClientSpan>,
}

/// What the access log will want to know. Only kept when there is one.
struct Logged {
    timestamp: SystemTime,
    method: Method,
    target: Option<PathAndQuery>,
    /// The canonical path, where the target has another one.
    path: Option<Arc<str>>,
    host: Box<str>,
    scheme: &'static str,
    version: Version,
    user_agent: Option<HeaderValue>,
    client: Option<IpAddr>,
    route: Option<Arc<str>>,
    received: Rc<Cell<u64>>,
    /// The caller's trace and span, while we have no spans of our own.
    caller: Option<(TraceId, SpanId)>,
}

/// What log and spans see of a request.
pub(crate) struct Seen<'a> {
    method: &'a Method,
    version: Version,
    scheme: &'static str,
    host: &'a str,
    target: Option<&'a PathAndQuery>,
    /// The canonical path, where the target has another one.
    path: Option<&'a Arc<str>>,
    headers: &'a HeaderMap,
    client: Option<IpAddr>,
}

impl<'a> Seen<'a> {
    /// The one view of it.
    pub(crate) fn of(view: &'a View) -> Self {
        Self {
            method: &view.method,
            version: view.version,
            scheme: view.scheme(),
            host: view.authority().to_str().unwrap_or_default(),
            target: Some(view.target()),
            path: view.own_path(),
            headers: &view.headers,
            client: view.client().address(),
        }
    }

    /// A head that can be read in more than one way, as it came.
    pub(crate) fn raw(peer: &Peer, head: &'a Parts) -> Self {
        let field = || head.headers.get(header::HOST)?.to_str().ok();
        let target = head.uri.authority().map(http::uri::Authority::as_str);
        Self {
            method: &head.method,
            version: head.version,
            scheme: if peer.tls { "https" } else { "http" },
            host: target.or_else(field).unwrap_or_default(),
            target: head.uri.path_and_query(),
            path: None,
            headers: &head.headers,
            client: Some(peer.address()),
        }
    }

    fn path(&self) -> &'a str {
        let own = self.path.map(AsRef::as_ref);
        own.unwrap_or_else(|| self.target.map_or("", PathAndQuery::path))
    }
}

impl Logged {
    fn new(seen: &Seen<'_>, tracer: &Tracer) -> Self {
        Self {
            timestamp: SystemTime::now(),
            method: seen.method.clone(),
            target: seen.target.cloned(),
            path: seen.path.cloned(),
            host: seen.host.into(),
            scheme: seen.scheme,
            version: seen.version,
            user_agent: seen.headers.get(header::USER_AGENT).cloned(),
            client: seen.client,
            route: None,
            received: Rc::default(),
            caller: (!tracer.is_enabled())
                .then(|| tracer.extract(seen.headers))
                .flatten()
                .map(|parent| (parent.trace_id, parent.span_id)),
        }
    }
}

impl Logged {
    fn path(&self) -> &str {
        let target = || self.target.as_ref().map_or("", PathAndQuery::path);
        self.path.as_deref().unwrap_or_else(target)
    }
}

fn span(tracer: &Tracer, seen: &Seen<'_>) -> ServerSpan {
    let agent = seen.headers.get(header::USER_AGENT);
    tracer.server_span(&ServerRequest {
        method: seen.method,
        scheme: seen.scheme,
        host: seen.host,
        path: seen.path(),
        query: seen.target.and_then(PathAndQuery::query),
        route: None,
        client: seen.client,
        version: seen.version,
        user_agent: agent.and_then(|value| value.to_str().ok()),
        parent: tracer.extract(seen.headers),
    })
}

impl Observed {
    /// A request begins; its port's numbers count until its listener is known.
    pub(crate) fn new(port: &Arc<ListenerMetrics>) -> Self {
        Self {
            listener: Arc::clone(port),
            logged: None,
            span: None,
            attempt: None,
        }
    }

    /// What is known of the request from its head.
    pub(crate) fn begin(&mut self, observer: &Observer, seen: &Seen<'_>) {
        let Telemetry {
            access_log, tracer, ..
        } = &observer.telemetry;
        let logged = access_log.is_enabled();
        self.logged = logged.then(|| Box::new(Logged::new(seen, tracer)));
        self.span = tracer.is_enabled().then(|| span(tracer, seen));
    }

    /// Listener and route are known.
    pub(crate) fn routed(
        &mut self,
        listener: &Arc<ListenerMetrics>,
        rule: &Rule,
        path: &PathMatch,
    ) {
        self.listener = Arc::clone(listener);
        if rule.unlogged {
            self.logged = None;
        }
        if let Some(logged) = &mut self.logged {
            logged.route = Some(Arc::clone(&rule.route));
        }
        if let Some(span) = &mut self.span {
            span.set_route(match path {
                PathMatch::Prefix(path) if path.is_empty() => "/",
                PathMatch::Exact(path)
                | PathMatch::Prefix(path)
                | PathMatch::ExactAnyCase(path)
                | PathMatch::PrefixAnyCase(path) => path,
                PathMatch::Regex(pattern) => pattern.as_str(),
            });
        }
    }

    /// Where to count the bytes of the request's body, if anybody wants to know.
    pub(crate) fn received(&self) -> Option<Rc<Cell<u64>>> {
        self.logged
            .as_ref()
            .map(|logged| Rc::clone(&logged.received))
    }

    /// An attempt goes this way; the head learns who asks. Without spans the client's trace context passes untouched.
    pub(crate) fn attempt_begins(&mut self, way: &Way, attempt: u32, head: &mut Head) {
        let Some(span) = &self.span else { return };
        let host = way.address.ip().to_string();
        let client = span.client_span(&Attempt {
            method: &head.method,
            scheme: if way.tls.is_some() { "https" } else { "http" },
            authority: head.host.to_str().unwrap_or_default(),
            path: head.target.path(),
            query: head.target.query(),
            server_address: &host,
            server_port: way.address.port(),
            resend_count: attempt.saturating_sub(1),
        });
        client.inject(&mut head.headers);
        self.attempt = Some(client);
    }

    /// An attempt came to an answer, or to nothing.
    pub(crate) fn attempt_ends(
        &mut self,
        observer: &Observer,
        outcome: Result<StatusCode, ProxyError>,
    ) {
        let word = match outcome {
            Ok(_) => ANSWERED,
            Err(error) => error.flag(),
        };
        observer.telemetry.metrics.upstream_attempts.inc(word);
        if let Some(span) = self.attempt.take() {
            span.finish(outcome.ok(), outcome.err().map(ProxyError::flag));
        }
    }

    /// The request is over.
    pub(crate) fn end(self, observer: &Observer, outcome: &Outcome) {
        let duration = outcome.started.elapsed();
        self.listener.request(outcome.status, duration);
        if let Some(reason) = outcome.reason {
            observer.telemetry.metrics.gateway_responses.inc(reason);
        }
        let ids = self.span.as_ref().and_then(ServerSpan::ids);
        if let Some(span) = self.span {
            span.finish(outcome.status, outcome.reason.filter(|_| outcome.failed()));
        }
        let Some(logged) = self.logged else { return };
        let ids = ids.or(logged.caller);
        observer.telemetry.access_log.log(&Record {
            timestamp: logged.timestamp,
            method: logged.method.as_str(),
            path: logged.path(),
            host: &logged.host,
            scheme: logged.scheme,
            protocol: logged.version,
            status: outcome.status.map_or(0, |status| status.as_u16()),
            reason: outcome.reason,
            duration,
            upstream: outcome.upstream,
            attempts: outcome.attempts,
            bytes_in: logged.received.get(),
            bytes_out: outcome.bytes_out,
            route: logged.route.as_deref(),
            client: logged.client,
            trace_id: ids.map(|(trace, _)| trace),
            span_id: ids.map(|(_, span)| span),
            user_agent: logged.user_agent.as_ref().map(HeaderValue::as_bytes),
        });
    }
}
