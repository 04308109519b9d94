//! Forwarding: choose a backend, send, try again where the rule says so, pass the answer on.

use std::{rc::Rc, sync::Arc};

use http::{HeaderValue, Method, Response, StatusCode, Version, header};
use hyper::body::{Body, Incoming};
use ir::{Backend, Balance, Cluster, Endpoint, Reason, SessionToken, Upstream};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::{
    Arrival, Begun,
    attempt::{self, Step},
    decor::Asker,
    fallback::{self, Original},
    guard::{Cookies, Held},
    made, mirror,
    refusal::Denial,
    refuse, refuse_for, refuse_with, repeat, request,
    source::Source,
    tunnel::{self, Asked},
};
use crate::{
    client::meter::{Allowance, Meter},
    http::{
        error::ProxyError,
        view::{View, fields},
    },
    policy::{
        filter::{
            compose::{self, Made},
            headers,
        },
        session::{self, Session},
    },
    serve::{
        body::{DownBody, Waits},
        decision::{self, Act},
        exchange::Exchange,
        server::Conn,
    },
    snapshot::RuleState,
    upstream::{
        Answer, Failure, Head, Outgoing, Progress, balance::ClusterState, silence::Silence,
    },
};

/// A request on its way, with all it needs. One allocation; the futures below only point to it.
pub(crate) struct Call {
    pub(super) conn: Rc<Conn>,
    pub(super) rule: Arc<RuleState>,
    /// Which of the rule's backends.
    backend: usize,
    pub(super) cluster: Arc<ClusterState>,
    /// The hash of what the cluster balances by.
    key: Option<u64>,
    /// How many retries there were.
    round: u32,
    /// Endpoints to which no connection could be made.
    tried: Vec<Endpoint>,
    /// Where the rule has sessions.
    session: Option<Box<Session>>,
    pub(super) head: Head,
    /// Where the rule has error pages.
    pub(super) original: Option<Box<Original>>,
    source: Source,
    /// The request as the attempt under way sends it.
    outgoing: Outgoing,
    /// Where the rule limits bodies and this one did not say how long it is.
    allowance: Option<Rc<Allowance>>,
    asked: Option<Asked>,
    pub(super) asker: Asker,
    /// What authenticators want the client to keep.
    pub(super) cookies: Cookies,
    /// Headers of the answer that were made for the request, where the rule has such.
    made: MadeHeaders,
    deadline: Option<Instant>,
    pub(super) exchange: Exchange,
}

/// Chooses the backend and makes the head that it shall see. What cannot be forwarded is answered here.
///
/// `listener` is its port, as clients know it.
pub(super) fn prepare(held: Held, listener: u16) -> Begun {
    let rule = Arc::clone(&held.rule);
    let view = &held.arrival.view;
    let token = rule.forward().and_then(|forward| forward.session.as_ref());
    let claim =
        token.and_then(|token| session::claim(token, &view.headers, |claim| rule.made(claim)));
    let sticky = claim
        .filter(|_| token.is_some_and(|token| !token.after_weights))
        .and_then(|claim| rule.pick_claimed(&claim));
    let Some(picked) = sticky.or_else(|| rule.pick()) else {
        return Denial::from(ProxyError::Rule(Reason::NoBackend)).begun(held);
    };
    if let Some(act) = decision::act_for(&rule, picked.0, view, listener) {
        let Arrival {
            cookies, exchange, ..
        } = held.arrival;
        return settled(act, &rule, (held.asker, cookies), exchange);
    }
    let (backend, cluster) = rule.standing(picked);
    let told = rule.told(picked.1, cluster);
    let cluster = match decision::backend(&rule, (backend, cluster)) {
        Ok(cluster) => Arc::clone(cluster),
        Err(error) => return Denial::from(error).begun(held),
    };
    let session = token.map(|token| Session::new(token, claim, &cluster, view));
    let asker = held.asker;
    let Arrival {
        conn,
        view,
        body,
        client,
        cookies,
        exchange,
    } = held.arrival;
    let key = match &cluster.cluster.balance {
        Balance::Hash(by) => request::hash_key(by, &view),
        _ => None,
    };
    let original = rule.error_page().map(|_| Original::of(&rule, &view));
    let offered =
        client.and_then(|client| Some(Asked::new(client, decision::upgrade(&rule, &view)?)));
    let offer = offered.as_ref().map(|asked| &asked.offered);
    let (mut head, made) = match heads((&rule, backend), view, offer, listener) {
        Ok(heads) => heads,
        Err(error) => return refused(error, &rule, (asker, cookies), exchange),
    };
    let allowance = allowance(&rule, &body);
    let meter = Meter::new(
        exchange.giver(&conn),
        exchange.received(),
        allowance.clone(),
    );
    let bodyless = !exchange.is_http1() && is_mostly_bodyless(&head.method);
    let refusable = speaks(&cluster.cluster, offered.as_ref()) == Upstream::Http2;
    let source = Source::new(&conn, &rule, (body, meter), bodyless, refusable);
    if rule.has_mirrors() {
        mirror::copy(&conn.worker, &rule, &head, source.replay());
    }
    change_for((&rule, backend), told, &mut head);
    let limit = rule.forward().and_then(|forward| forward.timeouts.request);
    Begun::Forwarded(Box::new(Call {
        backend,
        session: session.map(Box::new),
        key,
        round: 0,
        tried: Vec::new(),
        head,
        original,
        source,
        outgoing: Outgoing::default(),
        allowance,
        asked: offered,
        asker,
        cookies,
        made,
        deadline: limit.map(|limit| exchange.started() + limit),
        exchange,
        conn,
        rule,
        cluster,
    }))
}

/// What this backend alone gets of the head; mirrors do not.
fn change_for((rule, backend): (&RuleState, usize), told: Option<&ir::Told>, head: &mut Head) {
    if let Some(own) = rule.backend(backend) {
        request::change_for(own, head);
    }
    if let Some(told) = told {
        fallback::tell(told, StatusCode::SERVICE_UNAVAILABLE, &mut head.headers);
    }
}

/// Headers that were made for a request, if any.
type MadeHeaders = Option<Box<[Made]>>;

/// The head that the backend shall see, and headers of its answer that are made for the request, where the rule has
/// such.
fn heads(
    (rule, backend): (&RuleState, usize),
    view: View,
    upgrade: Option<&HeaderValue>,
    listener: u16,
) -> Result<(Head, MadeHeaders), ProxyError> {
    let all = &rule.rule.answer_headers;
    let request = compose::Request {
        view: &view,
        listener,
    };
    let made = (!all.is_empty()).then(|| request.answer_headers(all));
    let made = made.transpose()?.map(Vec::into_boxed_slice);
    let own = rule.backend(backend).and_then(Backend::rewrite);
    let head = request::head((rule, own), view, upgrade, listener)?;
    Ok((head, made))
}

/// RFC 9110 section 9.3: methods whose content has no meaning of its own.
fn is_mostly_bodyless(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS | Method::TRACE
    )
}

/// HTTP/2 has no way to change the protocol of a connection: such a request goes over HTTP/1.1 (RFC 9113 section 8.6).
fn speaks(cluster: &Cluster, asked: Option<&Asked>) -> Upstream {
    asked.map_or(cluster.upstream, |_| Upstream::Http1)
}

/// What is left to be counted of a body that does not say how long it is.
fn allowance(rule: &RuleState, body: &Incoming) -> Option<Rc<Allowance>> {
    let limit = rule.rule.gates.max_body?;
    let unknown = body.size_hint().exact().is_none();
    unknown.then(|| Rc::new(Allowance::new(limit.get())))
}

/// A request that a backend's own filters answer.
fn settled(
    act: Act,
    rule: &RuleState,
    (asker, cookies): (Asker, Cookies),
    exchange: Exchange,
) -> Begun {
    let mut response = match act {
        Act::Answer(answer, reason) => made(answer, reason, exchange),
        Act::Refuse(error) => refuse(error, exchange),
        Act::Respond(status, reason) => refuse_with(ProxyError::Rule(reason), status, exchange),
        Act::Forward => refuse(ProxyError::Rule(Reason::InvalidRule), exchange),
    };
    cookies.add(&mut response);
    asker.decorate(rule, response.headers_mut());
    Begun::Answered(Box::new(response))
}

fn refused(
    error: ProxyError,
    rule: &RuleState,
    (asker, cookies): (Asker, Cookies),
    exchange: Exchange,
) -> Begun {
    let mut response = refuse_for(rule, error, exchange);
    cookies.add(&mut response);
    asker.decorate(rule, response.headers_mut());
    Begun::Answered(Box::new(response))
}

/// Forwards a request and turns the outcome into an answer.
pub(super) async fn forward(mut call: Box<Call>) -> Response<DownBody> {
    let outcome = match call.deadline {
        None => answer(&mut call).await,
        Some(deadline) => {
            let limited = Box::pin(timeout_at(deadline, answer(&mut call)));
            limited.await.unwrap_or(Err(ProxyError::RequestTimeout))
        }
    };
    let rule = Arc::clone(&call.rule);
    let cookies = std::mem::take(&mut call.cookies);
    let asker = std::mem::take(&mut call.asker);
    let mut response = match outcome {
        Ok(answer) => pass_on(*call, &asker, answer),
        Err(error) => {
            let mut response = refuse_for(&rule, error, call.exchange);
            asker.keep_to_https(&rule, response.headers_mut());
            response
        }
    };
    cookies.add(&mut response);
    asker.share(&rule, response.headers_mut());
    response
}

/// The answer of a backend, or of the page that the rule has in its stead.
async fn answer(call: &mut Call) -> Result<Answer, ProxyError> {
    let outcome = attempts(call).await;
    if call.original.is_none() {
        return outcome;
    }
    Box::pin(fallback::page(call, outcome)).await
}

/// How often a request is sent again that the backend refused to process.
const REFUSALS: u32 = 2;

/// One attempt after another, until one counts.
async fn attempts(call: &mut Call) -> Result<Answer, ProxyError> {
    let rule = Arc::clone(&call.rule);
    let policy = rule.forward().and_then(|forward| forward.retry.as_ref());
    let mut left = policy.map_or(0, |p| p.retries);
    // Then what was sent once is not sent again, whatever became of it.
    let never = policy.is_some_and(|p| p.retries == 0);
    // A connection that the backend closed just as we took it says nothing about the backend: one more try, on a new
    // one.
    let mut pooled = true;
    let mut refusals = 0;
    let mut last = None;
    loop {
        let Some(body) = call.source.body() else {
            return last.unwrap_or(Err(ProxyError::UpstreamClosed));
        };
        call.outgoing = Outgoing::new(call.head.clone(), body);
        let outcome = attempt(call, pooled).await;
        let method = &call.head.method;
        let safe = repeat::is_idempotent(method);
        let repeat = match &outcome {
            Ok(answer) => left > 0 && repeat::wants_again(policy, answer.response.status(), safe),
            Err(Failure {
                progress: Progress::Refused,
                ..
            }) if refusals < REFUSALS && !never && call.source.repeatable() => {
                refusals += 1;
                call.exchange.refused();
                continue;
            }
            Err(failure) => {
                let died = matches!(failure.progress, Progress::Unsent(_))
                    || matches!(failure.progress, Progress::PooledClosed) && safe && !never;
                if died && pooled {
                    pooled = false;
                    call.exchange.transparent_retry();
                    if let Err(Failure {
                        progress: Progress::Unsent(body),
                        ..
                    }) = outcome
                    {
                        call.source.put_back(body);
                    }
                    continue;
                }
                if policy.is_none() && call.may_go_elsewhere(failure) {
                    last = Some(call.goes_elsewhere(outcome));
                    continue;
                }
                left > 0 && repeat::failed_again(policy, failure, safe)
            }
        };
        let outcome = outcome.map_err(|failure| failure.error);
        if !repeat || !call.source.repeatable() {
            return outcome;
        }
        left -= 1;
        call.round += 1;
        call.exchange.retry();
        last = Some(outcome);
        if let Some(pause) = policy.and_then(|p| p.backoff) {
            Box::pin(sleep(pause)).await;
        }
    }
}

impl Call {
    /// The client's session, and what its token is.
    fn sessions(&self) -> Option<(&Session, &SessionToken)> {
        let token = self.rule.forward()?.session.as_ref()?;
        Some((self.session.as_deref()?, token))
    }

    /// Whether nothing was sent, as there was no connection, and another endpoint may be asked.
    fn may_go_elsewhere(&self, failure: &Failure) -> bool {
        let stays = { self.sessions() }.is_some_and(|(session, token)| session.stays(token));
        matches!(failure.progress, Progress::NoConnection(_))
            && !stays
            && self.cluster.goes_on(&self.tried)
    }

    /// Another endpoint is asked, with the body that nobody has read.
    fn goes_elsewhere(&mut self, outcome: Result<Answer, Failure>) -> Result<Answer, ProxyError> {
        self.round += 1;
        self.exchange.retry();
        outcome.map_err(|failure| {
            if let Progress::NoConnection(body) = failure.progress {
                self.source.put_back(body);
            }
            failure.error
        })
    }
}

async fn attempt(call: &mut Call, pooled: bool) -> Result<Answer, Failure> {
    let worker = Rc::clone(&call.conn.worker);
    let forward = call.rule.forward();
    let token = forward.and_then(|forward| forward.session.as_ref());
    let before = (call.key, call.round, &*call.tried);
    let picked = match (&mut call.session, token) {
        (Some(session), Some(token)) => session.pick(token, &call.cluster, before),
        _ => call.cluster.pick_untried(call.key, call.round, &call.tried),
    };
    let Some(picked) = picked else {
        return Err(call.outgoing.unsent(ProxyError::NoEndpoint));
    };
    let mut step = Step {
        cluster: &call.cluster,
        picked,
        host: &call.head.host,
        protocol: speaks(&call.cluster.cluster, call.asked.as_ref()),
        pooled,
        limit: forward.and_then(|forward| forward.timeouts.attempt),
        allowance: call.allowance.as_deref(),
    };
    let outcome = attempt::send(&worker, &mut step, &mut call.outgoing, &mut call.exchange).await;
    if let Err(Failure {
        progress: Progress::NoConnection(_),
        ..
    }) = outcome
    {
        call.tried.push(step.picked.endpoint.clone());
    }
    outcome
}

/// Makes a backend's answer the client's.
fn pass_on(call: Call, asker: &Asker, answer: Answer) -> Response<DownBody> {
    let Answer {
        mut response,
        lease,
    } = answer;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return switch(call, asker, response);
    }
    let required = fields::required_protocol(&response).filter(|_| call.exchange.is_http1());
    fields::sanitise_answer(response.headers_mut());
    filters(&call, asker, response.headers_mut());
    if let Some(protocol) = required {
        fields::add_upgrade(response.headers_mut(), protocol);
    }
    let read = call.cluster.cluster.timeouts.read;
    let asked_whole = call.source.is_empty();
    let Call {
        mut exchange,
        deadline,
        ..
    } = call;
    exchange.answered(response.status(), None);
    exchange.passes_on();
    *response.version_mut() = Version::HTTP_11;
    let waits = Waits {
        deadline: deadline.map(|at| Box::pin(sleep_until(at))),
        silence: read.map(|limit| Box::new(Silence::new(limit))),
    };
    response.map(|incoming| DownBody::upstream(incoming, lease, waits, asked_whole, exchange))
}

fn filters(call: &Call, asker: &Asker, map: &mut http::HeaderMap) {
    // Before the rule's own changes, which may be about it.
    asker.keep_to_https(&call.rule, map);
    let session = call.sessions();
    if let Some((name, value)) =
        session.and_then(|(session, token)| session.field(token, session::now(token)))
    {
        map.append(name, value);
    }
    if let Some(backend) = call.rule.backend(call.backend) {
        headers::apply_all(&backend.response, map);
    }
    headers::apply_all(&call.rule.rule.response, map);
    compose::set(call.made.as_deref().unwrap_or_default(), map);
}

/// A backend that switches protocols unasked, or to one that was not offered, is not to be trusted with the connection.
fn switch(mut call: Call, asker: &Asker, mut response: Response<Incoming>) -> Response<DownBody> {
    let chosen = response.headers().get(header::UPGRADE).cloned();
    let asked = call.asked.take().zip(chosen);
    let Some((asked, protocol)) =
        asked.filter(|(asked, chosen)| decision::offers(&asked.offered, chosen))
    else {
        return refuse(ProxyError::UpstreamClosed, call.exchange);
    };
    fields::sanitise_answer(response.headers_mut());
    filters(&call, asker, response.headers_mut());
    fields::add_upgrade(response.headers_mut(), protocol);
    let own = call.cluster.cluster.timeouts.read;
    let Call {
        conn, mut exchange, ..
    } = call;
    let quiet = own.unwrap_or(conn.worker.config.deadlines.idle_stream);
    exchange.answered(StatusCode::SWITCHING_PROTOCOLS, None);
    tunnel::join(&conn, asked, &mut response, quiet, exchange);
    response.map(|_| DownBody::text("", Exchange::none()))
}
