//! The phases of a request, in order: match, answer or forward, decorate. `docs/life-of-a-request.md` follows this file.

mod fallback;
mod forward;
mod guard;
mod mirror;
mod question;
mod request;
mod source;
mod tunnel;

use std::{borrow::Cow, rc::Rc, sync::Arc, time::Duration};

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header, request::Parts,
};
use hyper::body::{Body, Incoming};
use ir::{Action, Protocol};

use crate::{
    body::{DownBody, meter},
    canonical,
    error::ProxyError,
    exchange::Exchange,
    filter::{cors, headers, redirect},
    framing::is_one_length,
    grpc,
    limit::Permit,
    router::RequestView,
    server::Conn,
    snapshot::{RuleState, Snapshot},
};

/// What matching found out.
struct Routed {
    rule: Arc<RuleState>,
    /// The path as all of us see it, where it differs from what was sent.
    path: Option<String>,
}

/// A request after matching: answered already, to be forwarded, or to be let in first. Everything that lasts beyond this point is in one
/// allocation, which keeps the futures of requests small; they are moved more than once.
pub(crate) enum Begun {
    Answered(Box<Response<DownBody>>),
    Forwarded(Box<forward::Call>),
    Held(Box<guard::Held>),
}

impl Begun {
    /// The answer. Whatever happens, there is one.
    pub(crate) async fn finish(self) -> Response<DownBody> {
        match self {
            Self::Answered(response) => *response,
            Self::Forwarded(call) => forward::forward(call).await,
            Self::Held(held) => match Box::pin(guard::pass(held)).await {
                Self::Forwarded(call) => forward::forward(call).await,
                Self::Answered(response) => *response,
                // Nobody is held twice.
                Self::Held(held) => refuse(ProxyError::Unauthorized, held.exchange),
            },
        }
    }
}

/// Everything about a request that needs no waiting.
pub(crate) fn begin(conn: &Rc<Conn>, mut request: Request<Incoming>) -> Begun {
    let mut exchange = Exchange::begin(conn, &request);
    let upgrade = tunnel::asked(&mut request);
    let (parts, body) = request.into_parts();
    let snapshot = conn.worker.snapshot();
    let routed =
        match admit(conn, &parts).and_then(|()| route(conn, &snapshot, &parts, &mut exchange)) {
            Ok(routed) => routed,
            Err(error) => return Begun::Answered(Box::new(refuse(error, exchange))),
        };
    let rule = &routed.rule;
    if let Err(error) = permit(conn, rule, &parts) {
        return Begun::Answered(Box::new(refuse(error, exchange)));
    }
    let allowed = rule.rule.cors.as_ref();
    if let Some(answer) =
        allowed.and_then(|cors| cors::preflight(cors, &parts.method, &parts.headers))
    {
        let mut response = made(answer, "cors_preflight", exchange);
        decorate(rule, parts.headers.get(header::ORIGIN), &mut response);
        return Begun::Answered(Box::new(response));
    }
    let origin = allowed.and_then(|_| parts.headers.get(header::ORIGIN).cloned());
    match admit_by_rule(conn, rule, &parts, &body) {
        Ok(permit) => exchange.holds(permit),
        Err(refused) => {
            let unread = refused.error == ProxyError::BodyTooLarge;
            let mut response = refused.answer(exchange);
            if unread {
                leave_unread(conn, &parts, body, response.headers_mut());
            }
            decorate(rule, origin.as_ref(), &mut response);
            return Begun::Answered(Box::new(response));
        }
    }
    let guarded = rule.rule.gates.asks_who();
    let held = guard::Held {
        conn: Rc::clone(conn),
        routed,
        parts,
        body,
        asked: upgrade,
        origin,
        cookies: guard::Cookies::default(),
        exchange,
    };
    if guarded {
        return Begun::Held(Box::new(held));
    }
    act(held)
}

/// What the rule does with a request that it lets in.
fn act(held: guard::Held) -> Begun {
    let guard::Held {
        conn,
        routed,
        parts,
        body,
        asked,
        origin,
        cookies,
        exchange,
    } = held;
    let rule = &routed.rule;
    let mut response = match &rule.rule.action {
        Action::Redirect(redirect) => {
            // It was read once already, so it can be read.
            let host = canonical::host(&parts.uri, &parts.headers).unwrap_or_default();
            let answer =
                redirect::response(redirect, &request::info(&conn, &routed, &parts, &host));
            let mut response = made(answer, "redirect", exchange);
            headers::apply_all(&rule.rule.response, response.headers_mut());
            response
        }
        Action::Respond { status, reason } => {
            refuse_with(ProxyError::Rule(*reason), *status, exchange)
        }
        Action::Forward(_) => {
            match forward::prepare(&conn, &routed, (parts, body), asked, exchange) {
                Begun::Forwarded(mut call) => {
                    call.origin = origin;
                    call.cookies = cookies;
                    return Begun::Forwarded(call);
                }
                Begun::Answered(response) => *response,
                Begun::Held(held) => return Begun::Held(held),
            }
        }
    };
    cookies.add(&mut response);
    decorate(rule, origin.as_ref(), &mut response);
    Begun::Answered(Box::new(response))
}

/// What CORS says in an answer, if the rule says anything about it.
fn decorate(rule: &RuleState, origin: Option<&HeaderValue>, response: &mut Response<DownBody>) {
    if let Some(cors) = &rule.rule.cors {
        cors::decorate(cors, origin, response.headers_mut());
    }
}

/// Cheap refusals before any work.
fn admit(conn: &Conn, parts: &Parts) -> Result<(), ProxyError> {
    let limits = &conn.worker.config.limits;
    framing(conn, parts)?;
    if parts.headers.len() > limits.headers {
        return Err(ProxyError::TooManyHeaders);
    }
    if conn.worker.in_flight.get() > limits.requests {
        return Err(ProxyError::Overloaded);
    }
    // RFC 9112 section 3.2: a request of HTTP/1.1 without `Host` must be refused.
    let named = parts.uri.authority().is_some() || parts.headers.contains_key(header::HOST);
    if !named && parts.version == Version::HTTP_11 {
        return Err(ProxyError::BadRequest);
    }
    // A forward proxy is what we are not.
    if parts.method == Method::CONNECT {
        return Err(ProxyError::BadRequest);
    }
    canonical::target(&parts.method, &parts.uri).map_err(|_| ProxyError::BadRequest)
}

/// Whether it is clear where the request ends. HTTP/1.1 was scanned; h2 sees to HTTP/2, but for lengths that are said twice.
fn framing(conn: &Conn, parts: &Parts) -> Result<(), ProxyError> {
    if parts.version < Version::HTTP_2 {
        return conn
            .state
            .next_head()
            .map_or(Ok(()), |fault| Err(fault.into()));
    }
    match is_one_length(&parts.headers) {
        true => Ok(()),
        false => Err(ProxyError::BadRequest),
    }
}

/// Why a rule lets a request not pass.
struct Refused {
    error: ProxyError,
    retry_after: Option<Duration>,
}

impl Refused {
    fn answer(self, exchange: Exchange) -> Response<DownBody> {
        let mut response = refuse(self.error, exchange);
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

/// Who may ask at all; nobody else gets an answer to a preflight either.
fn permit(conn: &Conn, rule: &RuleState, parts: &Parts) -> Result<(), ProxyError> {
    match &rule.rule.gates.addresses {
        Some(addresses) if !addresses.permits(conn.client(&parts.headers)) => {
            Err(ProxyError::Forbidden)
        }
        _ => Ok(()),
    }
}

/// What the rule itself asks of a request before anything is done with it.
fn admit_by_rule(
    conn: &Conn,
    rule: &RuleState,
    parts: &Parts,
    body: &Incoming,
) -> Result<Option<Permit>, Refused> {
    let refused = |error, retry_after| Refused { error, retry_after };
    let limit = rule.rule.gates.max_body;
    if limit.is_some_and(|limit| body.size_hint().exact() > Some(limit.get())) {
        return Err(refused(ProxyError::BodyTooLarge, None));
    }
    if !rule.is_limited() {
        return Ok(None);
    }
    let client = conn.client(&parts.headers);
    rule.take_tokens(client)
        .map_err(|wait| refused(ProxyError::RateLimited, Some(wait)))?;
    rule.enter(client)
        .map_err(|error| refused(error, Some(Duration::from_secs(1))))
}

/// A body that was announced and is not wanted. A client that waits for `100 Continue` has not sent it, and HTTP/2 can end
/// a request without the connection.
fn leave_unread(conn: &Conn, parts: &Parts, body: Incoming, answer: &mut HeaderMap) {
    if parts.version >= Version::HTTP_2 {
        return;
    }
    if parts.headers.contains_key(header::EXPECT) {
        answer.insert(header::CONNECTION, HeaderValue::from_static("close"));
    } else {
        meter::discard(body, &conn.state);
    }
}

/// Listener, then host, then path and the rest.
fn route(
    conn: &Conn,
    snapshot: &Snapshot,
    parts: &Parts,
    exchange: &mut Exchange,
) -> Result<Routed, ProxyError> {
    let host = canonical::host(&parts.uri, &parts.headers).map_err(|_| ProxyError::BadRequest)?;
    let path = canonical::path(parts.uri.path()).map_err(|_| ProxyError::BadRequest)?;
    let port = snapshot
        .ports
        .get(&conn.port.key)
        .ok_or(ProxyError::NoRoute)?;
    // The port may have changed its protocol since the connection was made.
    if matches!(port.protocol, Protocol::Https | Protocol::Tls) != conn.tls.is_some() {
        return Err(ProxyError::Misdirected);
    }
    let listener = port.router.listener_for(&host);
    // The handshake was made for one listener; a request for another must not ride on it (RFC 9110 section 15.5.20).
    if let Some(shaken) = &conn.tls {
        let now = listener
            .and_then(|at| port.router.listener(at))
            .map(|listener| &listener.hostname);
        if now != Some(shaken) {
            return Err(ProxyError::Misdirected);
        }
    }
    let view = RequestView {
        host: &host,
        path: &path,
        query: parts.uri.query(),
        method: &parts.method,
        headers: &parts.headers,
    };
    let listener = listener.ok_or(ProxyError::NoRoute)?;
    let found = port
        .router
        .find(listener, &view)
        .ok_or(ProxyError::NoRoute)?;
    let metrics = port.metrics.get(listener).unwrap_or(&conn.port.metrics);
    let rule = Arc::clone(found.payload);
    exchange.routed(metrics, &rule.rule, &found.route.matches.path);
    let path = match path {
        Cow::Borrowed(_) => None,
        Cow::Owned(path) => Some(path),
    };
    Ok(Routed { rule, path })
}

/// An answer of the gateway that is no error.
fn made(answer: Response<()>, reason: &'static str, mut exchange: Exchange) -> Response<DownBody> {
    exchange.answered(answer.status(), Some(reason));
    answer.map(|()| DownBody::text("", exchange))
}

/// An error as an answer: status, and one word as text; a call of gRPC has both in the head of an answer that is well. What is
/// counted and logged is the status of HTTP in any case.
fn refuse(error: ProxyError, exchange: Exchange) -> Response<DownBody> {
    refuse_with(error, error.status(), exchange)
}

fn refuse_with(
    error: ProxyError,
    status: StatusCode,
    mut exchange: Exchange,
) -> Response<DownBody> {
    exchange.answered(status, Some(error.flag()));
    if exchange.is_call() {
        let mut response = Response::new(DownBody::text("", exchange));
        grpc::fail(error, response.headers_mut());
        return response;
    }
    let close = error.is_about_framing() && exchange.is_http1();
    let mut response = Response::new(DownBody::text(error.flag(), exchange));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    if close {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
