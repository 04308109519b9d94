//! The account of one request: what is counted, logged and traced about it, and when it ends.

use std::{
    cell::Cell,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Method, Request, StatusCode, Version, request::Parts};
use hyper::body::Incoming;
use ir::{PathMatch, Rule};
use telemetry::metrics::ListenerMetrics;
use tokio::time::Instant;

use crate::{
    client::{http2_stream::Stream, meter::Giver},
    http::{error::ProxyError, grpc, view::View},
    net::rejection::Rejection,
    observe::{BROKEN_OFF, Observed, Outcome, Seen},
    policy::limit::Permit,
    serve::{body::piece::Piece, server::Conn},
    upstream::{Head, Way, balance::Load},
};

/// The account of one request. It travels with the response's body and ends when that does, however that ends.
pub(crate) struct Exchange(Option<Box<Open>>);

struct Open {
    conn: Rc<Conn>,
    started: Instant,
    version: Version,
    /// Of HTTP/2.
    stream: Option<Rc<Stream>>,
    /// The request is HEAD.
    head: bool,
    /// It is a call of gRPC.
    call: bool,
    status: Option<StatusCode>,
    reason: Option<&'static str>,
    /// All of the answer was handed over.
    complete: bool,
    bytes_out: u64,
    attempts: u32,
    upstream: Option<SocketAddr>,
    /// Counts at the endpoint until it has given all of its answer.
    load: Option<Load>,
    /// Counts for the client likewise.
    permit: Option<Permit>,
    observed: Observed,
}

/// The client left before it had its answer, or all of it.
const CLIENT_CLOSED: &str = "client_closed";
/// The client was cut off: it neither took its answer nor sent its request.
const CLIENT_STALLED: &str = "client_stalled";
/// The process ended first.
const SHUT_DOWN: &str = "shut_down";
/// Nothing passed through a tunnel for too long.
const IDLE: &str = "idle";

impl Exchange {
    /// A request's head has come.
    pub(crate) fn begin(conn: &Rc<Conn>, request: &Request<Incoming>) -> Self {
        conn.state.request_begins();
        let worker = &conn.worker;
        worker.in_flight.set(worker.in_flight.get() + 1);
        let observed = Observed::new(&conn.port.metrics);
        let stream = (request.version() >= Version::HTTP_2)
            .then(|| Stream::begin(&worker.streams, &conn.state));
        conn.newest.set(stream.clone());
        Self(Some(Box::new(Open {
            conn: Rc::clone(conn),
            started: Instant::now(),
            version: request.version(),
            stream,
            head: *request.method() == Method::HEAD,
            call: grpc::is_call(request),
            status: None,
            reason: None,
            complete: false,
            bytes_out: 0,
            attempts: 0,
            upstream: None,
            load: None,
            permit: None,
            observed,
        })))
    }

    /// The request has been read: log and spans see the view of it.
    pub(crate) fn read(&mut self, view: &View) {
        if let Some(open) = &mut self.0 {
            let seen = Seen::of(view);
            open.observed.begin(&open.conn.worker.observer, &seen);
        }
    }

    /// The request is refused before there is a view of it: log and spans see the head as it came.
    pub(crate) fn unread(&mut self, head: &Parts) {
        if let Some(open) = &mut self.0 {
            let seen = Seen::raw(&open.conn.peer, head);
            open.observed.begin(&open.conn.worker.observer, &seen);
        }
    }

    /// The account of nothing, where another goes on elsewhere.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// When the request's head had come.
    pub(crate) fn started(&self) -> Instant {
        self.0
            .as_ref()
            .map_or_else(Instant::now, |open| open.started)
    }

    /// Whether the client speaks HTTP/1.
    pub(crate) fn is_http1(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|open| open.version < Version::HTTP_2)
    }

    /// Whether the answer has no body, whatever there is for one (RFC 9110 section 6.4.1). hyper sees to HTTP/1 alone.
    pub(crate) fn is_bodyless(&self) -> bool {
        self.0.as_ref().is_some_and(|open| {
            let status = open.status;
            open.head
                || status == Some(StatusCode::NO_CONTENT)
                || status == Some(StatusCode::NOT_MODIFIED)
        })
    }

    /// Whether the request is a call of gRPC.
    pub(crate) fn is_call(&self) -> bool {
        self.0.as_ref().is_some_and(|open| open.call)
    }

    /// Listener and route are known.
    pub(crate) fn routed(
        &mut self,
        listener: &Arc<ListenerMetrics>,
        rule: &Rule,
        path: &PathMatch,
    ) {
        if let Some(open) = &mut self.0 {
            open.observed.routed(listener, rule, path);
        }
    }

    /// The request counts for its client until it ends.
    pub(crate) fn holds(&mut self, permit: Option<Permit>) {
        if let Some(open) = &mut self.0 {
            open.permit = permit;
        }
    }

    /// Where to count the bytes of the request's body, if anybody wants to know.
    pub(crate) fn received(&self) -> Option<Rc<Cell<u64>>> {
        self.0.as_ref().and_then(|open| open.observed.received())
    }

    /// The head of the answer is known; `reason` says why it is the gateway's own, if it is.
    pub(crate) fn answered(&mut self, status: StatusCode, reason: Option<&'static str>) {
        if let Some(open) = &mut self.0 {
            open.status = Some(status);
            open.reason = reason;
        }
    }

    /// From where the request's body comes.
    pub(crate) fn giver(&self, conn: &Conn) -> Giver {
        match self.stream() {
            Some(stream) => Giver::Stream(Rc::clone(stream)),
            None => Giver::Connection(Arc::clone(&conn.state)),
        }
    }

    fn stream(&self) -> Option<&Rc<Stream>> {
        self.0.as_ref()?.stream.as_ref()
    }

    /// The answer's head goes out; of a call of gRPC, both sides may be silent from now on.
    pub(crate) fn passes_on(&self) {
        if self.is_call()
            && let Some(stream) = self.stream()
        {
            stream.is_patient();
        }
    }

    /// Part of the answer's body, handed over.
    pub(crate) fn gives(&mut self, bytes: Bytes) -> Piece {
        self.sent(bytes.len());
        Piece::new(bytes, self.stream())
    }

    /// Whether all that was handed over goes out without another word of the client; with HTTP/1.1 the connection's own
    /// deadline is enough.
    pub(crate) fn flows(&self) -> bool {
        self.stream().is_none_or(|stream| stream.flows())
    }

    /// Ready when [`Self::flows`].
    pub(crate) fn poll_taken(&self, cx: &Context<'_>) -> Poll<()> {
        match self.stream() {
            Some(stream) => stream.poll_taken(cx),
            None => Poll::Ready(()),
        }
    }

    /// All of the answer is handed over, or will be. The endpoint has nothing more to do: its next request may be
    /// chosen by what it has left, as soon as the client has the last byte.
    pub(crate) fn completes(&mut self) {
        if let Some(open) = &mut self.0 {
            open.complete = true;
            open.load = None;
        }
    }

    /// So many bytes of the last part were not taken.
    pub(crate) fn cut(&mut self, bytes: usize) {
        if let Some(open) = &mut self.0 {
            open.complete = false;
            open.bytes_out = open.bytes_out.saturating_sub(bytes as u64);
        }
    }

    /// Bytes of the answer's body went out.
    pub(crate) fn sent(&mut self, bytes: usize) {
        if let Some(open) = &mut self.0 {
            open.bytes_out += bytes as u64;
        }
    }

    /// The answer could not be completed.
    pub(crate) fn broke_off(&mut self) {
        if let Some(open) = &mut self.0 {
            open.reason = Some(BROKEN_OFF);
            // To such a client an orderly end would be the end of the body.
            if open.version < Version::HTTP_11 {
                open.conn.state.break_off();
            }
        }
    }

    /// Nothing passed through the tunnel for too long.
    pub(crate) fn fell_idle(&mut self) {
        if let Some(open) = &mut self.0 {
            open.reason = Some(IDLE);
        }
    }

    /// What is wrong with the request's framing, if its body turned out to be faulty.
    pub(crate) fn fault(&self) -> Option<ProxyError> {
        let fault = self.0.as_ref().and_then(|open| open.conn.state.fault());
        fault.map(ProxyError::from)
    }

    /// The request counts at an endpoint, and no longer at another.
    pub(crate) fn carries(&mut self, load: Option<Load>) {
        if let Some(open) = &mut self.0 {
            open.load = load;
        }
    }

    /// An attempt goes this way; the head learns who asks.
    pub(crate) fn attempt_begins(&mut self, way: &Way, head: &mut Head) {
        if let Some(open) = &mut self.0 {
            open.attempts += 1;
            open.upstream = Some(way.address);
            open.observed.attempt_begins(way, open.attempts, head);
        }
    }

    /// An attempt that cannot even begin: the endpoint's name has no address.
    pub(crate) fn attempt_is_nowhere(&mut self, error: ProxyError) {
        if let Some(open) = &mut self.0 {
            open.attempts += 1;
        }
        self.attempt_ends(Err(error));
    }

    /// The address that the attempt has reached, of several that a name has.
    pub(crate) fn reached(&mut self, address: SocketAddr) {
        if let Some(open) = &mut self.0 {
            open.upstream = Some(address);
        }
    }

    /// An attempt came to an answer, or to nothing.
    pub(crate) fn attempt_ends(&mut self, outcome: Result<StatusCode, ProxyError>) {
        if let Some(open) = &mut self.0 {
            open.observed
                .attempt_ends(&open.conn.worker.observer, outcome);
        }
    }

    /// A rule's retry is about to be used.
    pub(crate) fn retry(&self) {
        if let Some(open) = &self.0 {
            open.conn.worker.observer.retry();
        }
    }

    /// The backend did not process an attempt, which is repeated.
    pub(crate) fn refused(&self) {
        if let Some(open) = &self.0 {
            open.conn.worker.observer.refused();
        }
    }

    /// A pooled connection turned out to be dead.
    pub(crate) fn transparent_retry(&self) {
        if let Some(open) = &self.0 {
            open.conn.worker.observer.transparent_retry();
        }
    }
}

impl Open {
    fn stream(&self) -> Option<&Stream> {
        self.stream.as_deref()
    }

    /// Whether all of the answer has gone out, or will.
    fn is_whole(&self) -> bool {
        self.complete && self.stream().is_none_or(Stream::is_whole)
    }

    /// The word for how it ends.
    fn ends(&self) -> Option<&'static str> {
        if self.is_whole() {
            if self.stream.is_some() {
                self.conn.state.http2.was_answered();
            }
            return self.reason;
        }
        let late = [Some(Rejection::HeaderTimeout), Some(Rejection::Stalled)];
        let stalled =
            self.stream().is_some_and(Stream::is_ended) || late.contains(&self.conn.state.ended());
        Some(match self.reason {
            _ if stalled => CLIENT_STALLED,
            Some(reason) => reason,
            None if self.conn.worker.is_over() => SHUT_DOWN,
            None => CLIENT_CLOSED,
        })
    }

    /// Bytes of the answer that have gone out, or will.
    fn taken(&self) -> u64 {
        match self.stream() {
            Some(stream) if !self.is_whole() => stream.taken(),
            _ => self.bytes_out,
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Some(open) = self.0.take() else { return };
        let (reason, bytes_out) = (open.ends(), open.taken());
        let Open {
            conn,
            started,
            status,
            attempts,
            upstream,
            observed,
            ..
        } = *open;
        conn.state.request_ends();
        let worker = &conn.worker;
        worker.in_flight.set(worker.in_flight.get() - 1);
        let outcome = Outcome {
            started,
            status,
            reason,
            bytes_out,
            attempts,
            upstream,
        };
        observed.end(&worker.observer, &outcome);
    }
}
