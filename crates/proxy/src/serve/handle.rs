//! The phases of a request, in order: read, decide, answer or forward, decorate. `docs/life-of-a-request.md` follows
//! this file.

mod attempt;
pub(crate) mod decor;
pub(crate) mod fallback;
mod forward;
mod guard;
mod mirror;
mod question;
mod refusal;
mod repeat;
pub(crate) mod request;
mod source;
mod tunnel;

use std::{rc::Rc, sync::Arc, time::Duration};

use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header, request::Parts,
};
use hyper::{
    body::{Body, Incoming},
    upgrade::OnUpgrade,
};
use ir::ForwardedField;

use crate::{
    client::meter,
    http::{
        error::ProxyError,
        framing::{is_one_length, is_trimmed},
        grpc,
        view::View,
    },
    policy::limit::Permit,
    serve::{
        body::DownBody,
        decision::{self, Act, Met, Stage, Verdict},
        exchange::Exchange,
        server::Conn,
    },
    snapshot::{RuleState, Snapshot},
};
use decor::Asker;
use refusal::Denial;

/// A request after matching: answered already, to be forwarded, or to be let in first. Everything that lasts beyond
/// this point is in one allocation, which keeps the futures of requests small; they are moved more than once.
pub(crate) enum Begun {
    Answered(Box<Response<DownBody>>),
    Forwarded(Box<forward::Call>),
    Held(Box<guard::Held>),
    /// Its listener wants it let in before a route is looked for.
    Asked(Box<guard::Asked>),
    Refused(Box<refusal::Refused>),
}

impl Begun {
    /// The answer. Whatever happens, there is one.
    pub(crate) async fn finish(self) -> Response<DownBody> {
        let mut begun = self;
        if let Self::Asked(asked) = begun {
            begun = Box::pin(guard::admit(asked)).await;
        }
        if let Self::Held(held) = begun {
            begun = Box::pin(guard::pass(held)).await;
        }
        match begun {
            Self::Answered(response) => *response,
            Self::Forwarded(call) => forward::forward(call).await,
            Self::Refused(refused) => Box::pin(refusal::page(refused)).await,
            // No request is held or asked about twice.
            Self::Held(held) => refuse(ProxyError::Unauthorized, held.arrival.exchange),
            Self::Asked(asked) => refuse(ProxyError::Unauthorized, asked.arrival.exchange),
        }
    }
}

/// A request of which nothing but the head has been read.
pub(crate) struct Arrival {
    conn: Rc<Conn>,
    view: View,
    body: Incoming,
    /// Where the client wants to switch protocols: its side of the connection.
    client: Option<OnUpgrade>,
    /// What authenticators want the client to keep.
    cookies: guard::Cookies,
    exchange: Exchange,
}

impl Arrival {
    /// The port of the listener, as clients know it.
    fn advertised(&self) -> u16 {
        let key = self.conn.port.key;
        let snapshot = self.conn.worker.snapshot();
        let port = snapshot.ir.ports.get(&key);
        port.and_then(|port| port.advertised).unwrap_or(key.port)
    }
}

/// Everything about a request that needs no waiting.
pub(crate) fn begin(conn: &Rc<Conn>, mut request: Request<Incoming>) -> Begun {
    let mut exchange = Exchange::begin(conn, &request);
    let client = tunnel::client(&mut request);
    let (head, body) = request.into_parts();
    let view = match read(conn, head, &mut exchange) {
        Ok(view) => view,
        Err(error) => return Begun::Answered(Box::new(refuse(error, exchange))),
    };
    let arrival = Arrival {
        conn: Rc::clone(conn),
        view,
        body,
        client,
        cookies: guard::Cookies::default(),
        exchange,
    };
    decided(arrival, conn.worker.snapshot(), Stage::Arrived)
}

/// What a configuration has for the request. One that waits to be let in meets the one that it came under.
fn decided(mut arrival: Arrival, snapshot: Arc<Snapshot>, stage: Stage) -> Begun {
    let conn = Rc::clone(&arrival.conn);
    let length = arrival.body.size_hint().exact();
    let how = (length, stage);
    let decision = decision::decide(&snapshot, conn.place(), &mut arrival.view, how);
    // Listener and host have had their say on how it is read. It is told once.
    if stage == Stage::Arrived {
        arrival.exchange.read(&arrival.view);
    }
    if let Verdict::Asks(auths) = decision.verdict {
        return Begun::Asked(Box::new(guard::Asked {
            arrival,
            auths,
            snapshot,
        }));
    }
    if let Some(met) = &decision.met {
        let port = snapshot.ports.get(&conn.port.key);
        let listener = port.zip(decision.listener);
        let metrics = listener.and_then(|(port, at)| port.metrics.get(at));
        arrival.exchange.routed(
            metrics.unwrap_or(&conn.port.metrics),
            &met.rule.rule,
            &met.route.matches.path,
        );
    }
    let Some(Met { rule, .. }) = decision.met else {
        let error = match decision.verdict {
            Verdict::Refused(error) => error,
            Verdict::Passes | Verdict::Preflight(_) | Verdict::Asks(_) => ProxyError::NoRoute,
        };
        let mut response = refuse(error, arrival.exchange);
        let strict = decision.strict_transport;
        decor::keep_to_https(strict, conn.peer.tls, response.headers_mut());
        return Begun::Answered(Box::new(response));
    };
    let rule = Arc::clone(rule);
    let asker = Asker::new(conn.peer.tls, &rule, &arrival.view);
    if rule.rule.forwarded.has(ForwardedField::RequestId) {
        arrival.view.identify();
    }
    let denial = match decision.verdict {
        Verdict::Passes | Verdict::Asks(_) => match take(&rule, &arrival.view) {
            Ok(permit) => {
                arrival.exchange.holds(permit);
                None
            }
            Err(denial) => Some(denial),
        },
        Verdict::Preflight(answer) => {
            let mut response = made(*answer, "cors_preflight", arrival.exchange);
            asker.decorate(&rule, response.headers_mut());
            return Begun::Answered(Box::new(response));
        }
        Verdict::Refused(error) => Some(error.into()),
    };
    let held = guard::Held {
        arrival,
        rule,
        asker,
    };
    match denial {
        Some(denial) => denial.begun(held),
        None if held.rule.rule.gates.asks_who() => Begun::Held(Box::new(held)),
        None => act(held),
    }
}

/// The view of a request, or the account of one that there is no view of. Cheap refusals come before any work.
fn read(conn: &Conn, head: Parts, exchange: &mut Exchange) -> Result<View, ProxyError> {
    let limits = &conn.worker.config.limits;
    let refused = if let Err(error) = framing(conn, &head) {
        Some(error)
    } else if head.headers.len() > limits.headers {
        Some(ProxyError::TooManyHeaders)
    } else if conn.worker.in_flight.get() > limits.requests {
        Some(ProxyError::Overloaded)
    } else {
        None
    };
    if let Some(error) = refused {
        exchange.unread(&head);
        return Err(error);
    }
    match View::new(&conn.peer, &conn.worker.config.trusted_proxies, head) {
        Ok(view) => Ok(view),
        Err(unreadable) => {
            exchange.unread(&unreadable.1);
            Err(ProxyError::BadRequest)
        }
    }
}

/// The gates whose answer changes from request to request: rates, then requests in flight.
fn take(rule: &RuleState, view: &View) -> Result<Option<Permit>, Denial> {
    if !rule.is_limited() {
        return Ok(None);
    }
    let client = view.client();
    rule.take_tokens(client)
        .map_err(|wait| Denial::Error(ProxyError::RateLimited, Some(wait)))?;
    rule.enter(client)
        .map_err(|error| Denial::Error(error, Some(Duration::from_secs(1))))
}

/// What the rule does with a request that it lets in.
fn act(held: guard::Held) -> Begun {
    let listener = held.arrival.advertised();
    let act = decision::act(&held.rule, &held.arrival.view, listener);
    if matches!(act, Act::Forward) {
        return forward::prepare(held, listener);
    }
    let guard::Held {
        arrival,
        rule,
        asker,
    } = held;
    let Arrival {
        cookies, exchange, ..
    } = arrival;
    let mut response = match act {
        Act::Answer(answer, reason) => made(answer, reason, exchange),
        Act::Refuse(error) => refuse(error, exchange),
        Act::Respond(status, reason) => refuse_with(ProxyError::Rule(reason), status, exchange),
        // Dealt with above.
        Act::Forward => refuse(ProxyError::NoRoute, exchange),
    };
    cookies.add(&mut response);
    asker.decorate(&rule, response.headers_mut());
    Begun::Answered(Box::new(response))
}

/// Whether it is clear where the request ends, and what its fields say. HTTP/1.1 was scanned; h2 sees to HTTP/2, but
/// for lengths that are said twice and blanks around values.
fn framing(conn: &Conn, parts: &Parts) -> Result<(), ProxyError> {
    if parts.version < Version::HTTP_2 {
        return conn
            .state
            .next_head()
            .map_or(Ok(()), |fault| Err(fault.into()));
    }
    match is_one_length(&parts.headers) && parts.headers.values().all(is_trimmed) {
        true => Ok(()),
        false => Err(ProxyError::BadRequest),
    }
}

/// A body that was announced and is not wanted. A client that waits for `100 Continue` has not sent it, and HTTP/2 can
/// end a request without the connection.
fn leave_unread(conn: &Conn, view: &View, body: Incoming, answer: &mut HeaderMap) {
    if view.version >= Version::HTTP_2 {
        return;
    }
    if view.headers.contains_key(header::EXPECT) {
        answer.insert(header::CONNECTION, HeaderValue::from_static("close"));
    } else {
        meter::discard(body, &conn.state);
    }
}

/// An answer of the gateway that is no error.
fn made(answer: Response<()>, reason: &'static str, mut exchange: Exchange) -> Response<DownBody> {
    exchange.answered(answer.status(), Some(reason));
    answer.map(|()| DownBody::text("", exchange))
}

/// An error as an answer: status, and one word as text; a call of gRPC has both in the head of an answer that is well.
/// What is counted and logged is the status of HTTP in any case.
fn refuse(error: ProxyError, exchange: Exchange) -> Response<DownBody> {
    refuse_with(error, error.status(), exchange)
}

/// [`refuse`], with the status that the rule has for what its backends cannot do.
fn refuse_for(rule: &RuleState, error: ProxyError, exchange: Exchange) -> Response<DownBody> {
    refuse_with(error, decision::status(rule, error), exchange)
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
    if error == ProxyError::MethodNotAllowed {
        response
            .headers_mut()
            .insert(header::ALLOW, decision::ALLOWED);
    }
    let lasts = matches!(error, ProxyError::Forbidden | ProxyError::Rule(_));
    if status == StatusCode::SERVICE_UNAVAILABLE && !lasts {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::Begun;

    /// The size in bytes of what an async function returns.
    fn future<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
        size_of::<F>()
    }

    /// They are moved before they run: what a request needs stands in its `Call`, and what is rare in a box.
    #[test]
    fn the_futures_of_requests_are_small() {
        let size = future(Begun::finish);
        assert!(size <= 1536, "{size} bytes");
    }
}
