//! What becomes of a request: pure functions over the snapshot and the view, for traffic and for `explain` alike.
//!
//! [`decide`] finds listener, route and rule, and asks the gates that need nothing but the request. What is left is
//! what changes from request to request (rates, concurrency) and what has to be waited for (passwords, authenticators);
//! then [`act`] says what the rule does, and [`backend`] whether a backend can be asked.

pub(crate) mod explain;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header};
use ir::{
    Action, HeaderMods, HostPattern, HostSettings, Port, Protocol, Reason, Redirect, Route,
    SocketKey, StrictTransport, Target, Underscores,
};

use crate::{
    http::{error::ProxyError, view::View},
    policy::{
        auth::Credentials,
        filter::{compose, cors, headers, redirect},
    },
    router::{ListenerRouter, RequestView},
    snapshot::{Admitting, Authenticator, PortState, RuleState, Snapshot},
    upstream::balance::ClusterState,
};

/// Where a request came in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The port.
    pub(crate) key: SocketKey,
    /// Where TLS ended here: the hostname of the listener that the handshake was made for.
    pub(crate) shaken: Option<&'a HostPattern>,
}

/// What a request meets.
pub(crate) struct Decision<'s> {
    /// The listener's place among those of the port.
    pub(crate) listener: Option<usize>,
    pub(crate) met: Option<Met<'s>>,
    /// The host is known, and none of its routes is met: what its clients are told of https all the same.
    pub(crate) strict_transport: Option<&'s StrictTransport>,
    pub(crate) verdict: Verdict,
}

/// A route, and what its rule has become.
#[derive(Clone, Copy)]
pub(crate) struct Met<'s> {
    pub(crate) route: &'s Route,
    pub(crate) rule: &'s Arc<RuleState>,
}

/// Whether a request goes on.
pub(crate) enum Verdict {
    /// As far as can be said from the request alone.
    Passes,
    /// It is answered here.
    Refused(ProxyError),
    /// It is a preflight, and this is the answer.
    Preflight(Box<Response<()>>),
    /// These have to let it pass before a route is looked for.
    Asks(Arc<[Authenticator]>),
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It has just come.
    Arrived,
    /// Everybody whom its listener asks has let it pass.
    Admitted,
}

/// Listener, route, rule, and the gates that need nothing but the request. `body` is the length of its body, where that
/// is known. Fields that the listener or the host does not take are gone from the view afterwards, and its path is read
/// as these say.
pub(crate) fn decide<'s>(
    snapshot: &'s Snapshot,
    place: Place<'_>,
    view: &mut View,
    (body, stage): (Option<u64>, Stage),
) -> Decision<'s> {
    let mut decision = Decision {
        listener: None,
        met: None,
        strict_transport: None,
        verdict: Verdict::Passes,
    };
    decision.verdict = match steps(snapshot, place, view, (body, stage), &mut decision) {
        Ok(verdict) => verdict,
        Err(error) => Verdict::Refused(error),
    };
    decision
}

fn steps<'s>(
    snapshot: &'s Snapshot,
    place: Place<'_>,
    view: &mut View,
    (body, stage): (Option<u64>, Stage),
    decision: &mut Decision<'s>,
) -> Result<Verdict, ProxyError> {
    sound(view)?;
    let port = snapshot.ports.get(&place.key).ok_or(ProxyError::NoRoute)?;
    let at = listener((snapshot, port), place, view)?;
    decision.listener = Some(at);
    let host = port.router.host(at, view.host());
    let settings = port.settings.get(at).copied().unwrap_or_default();
    settle(host.map_or(settings, |(_, own)| settings.and(own)), view)?;
    // Whatever the request asks for, and whether there is a route for it or not.
    match port.admission.get(at) {
        Some(Admitting::Closed) => return Err(ProxyError::Rule(Reason::InvalidRule)),
        Some(Admitting::Ask(auths)) if stage == Stage::Arrived => {
            return Ok(Verdict::Asks(Arc::clone(auths)));
        }
        Some(Admitting::Open | Admitting::Ask(_)) | None => {}
    }
    let (host, _) = host.ok_or(ProxyError::NoRoute)?;
    let found = route(port, (at, host), view);
    if found.is_err() {
        decision.strict_transport = port.router.strict_transport((at, host));
    }
    let (met, preflight) = found?;
    decision.met = Some(met);
    let rule = &met.rule.rule;
    let gates = &rule.gates;
    let sharing = { rule.cors.as_ref() }.filter(|cors| preflight || cors.every_answer);
    let answer = sharing.and_then(|cors| cors::preflight(cors, &view.method, &view.headers));
    if let Some(addresses) = &gates.addresses
        && !addresses.permits(view.client().address())
    {
        // Where every answer says what is allowed, so does this one, unless the rule is closed.
        let told = answer.is_some() && sharing.is_some_and(|cors| cors.every_answer);
        if !told || addresses.is_closed() {
            return Err(ProxyError::Forbidden);
        }
    }
    if let Some(answer) = answer {
        return Ok(Verdict::Preflight(Box::new(answer)));
    }
    if gates.max_body.is_some_and(|most| body > Some(most.get())) {
        return Err(ProxyError::BodyTooLarge);
    }
    Ok(Verdict::Passes)
}

/// What no rule could change.
fn sound(view: &View) -> Result<(), ProxyError> {
    // RFC 9112 section 3.2: a request of HTTP/1.1 without `Host` must be refused.
    if view.authority().is_empty() && view.version == Version::HTTP_11 {
        return Err(ProxyError::BadRequest);
    }
    // This is no forward proxy.
    if view.method == Method::CONNECT {
        return Err(ProxyError::BadRequest);
    }
    // A client must not learn what is put onto its requests on the way (RFC 9110 section 9.3.8).
    if view.method == Method::TRACE {
        return Err(ProxyError::MethodNotAllowed);
    }
    if view.is_looping() {
        return Err(ProxyError::LoopDetected);
    }
    Ok(())
}

/// The most specific listener of the port whose hostname covers the host.
fn listener(
    (snapshot, port): (&Snapshot, &PortState),
    place: Place<'_>,
    view: &View,
) -> Result<usize, ProxyError> {
    // The port may have changed its protocol since the connection was made.
    if matches!(port.protocol, Protocol::Https | Protocol::Tls) != place.shaken.is_some() {
        return Err(ProxyError::Misdirected);
    }
    let found = port.router.listener_for(view.host());
    // The handshake was made for one listener; a request for another must not ride on it (RFC 9110 section 15.5.20).
    if let Some(shaken) = place.shaken {
        let now = found.and_then(|at| port.router.listener(at));
        let same = now.map(|listener| &listener.hostname) == Some(shaken);
        let declared = snapshot.ir.ports.get(&place.key);
        if !same && !declared.is_some_and(|own| goes_over((own, port), shaken, found, view)) {
            return Err(ProxyError::Misdirected);
        }
    }
    found.ok_or(ProxyError::NoRoute)
}

/// Whether a request for `found` may come on a connection for another listener: its host says so, or, where nothing
/// would answer it, every host of that other one; and the handshake asked of the client what `found` would have asked.
fn goes_over(
    (declared, port): (&Port, &PortState),
    shaken: &HostPattern,
    found: Option<usize>,
    view: &View,
) -> bool {
    let Some(from) = port.router.listener_named(shaken) else {
        return false;
    };
    let terms = |at: usize| declared.listeners.get(at)?.tls.as_ref();
    let as_strict = |at| {
        let both = terms(at).zip(terms(from));
        both.is_some_and(|(own, made)| own.takes_over(made))
    };
    let host = found.and_then(|at| port.router.host(at, view.host()));
    let wanted = match host {
        Some((_, settings)) => settings.any_server_name,
        None => {
            let from = port.router.listener(from);
            from.is_some_and(ListenerRouter::takes_any_server_name)
        }
    };
    wanted && found.is_none_or(as_strict)
}

/// What listener and host have to say before any route is asked.
fn settle(settings: HostSettings, view: &mut View) -> Result<(), ProxyError> {
    if settings.is_default() {
        return Ok(());
    }
    underscores(settings.underscores, view)?;
    view.read_path(settings.paths)
        .map_err(|_| ProxyError::BadRequest)
}

/// Fields with an underscore in their name.
fn underscores(wanted: Underscores, view: &mut View) -> Result<(), ProxyError> {
    if !view.has_aliases() {
        return Ok(());
    }
    let named = |map: &HeaderMap| {
        let names = map.keys().filter(|name| name.as_str().contains('_'));
        names.cloned().collect::<Vec<_>>()
    };
    match wanted {
        Underscores::Allow => {}
        Underscores::Drop => {
            for name in named(&view.headers) {
                view.headers.remove(name);
            }
        }
        Underscores::Refuse => {
            if !named(&view.headers).is_empty() {
                return Err(ProxyError::BadRequest);
            }
        }
    }
    Ok(())
}

/// The route, and whether the request is a preflight that its rule may answer. A preflight is answered by the rule that
/// the request would meet that it asks about.
fn route<'s>(
    port: &'s PortState,
    place: (usize, usize),
    view: &View,
) -> Result<(Met<'s>, bool), ProxyError> {
    let find = |method: &Method| {
        let request = RequestView {
            host: view.host(),
            path: view.path(),
            query: view.query(),
            https: view.https(),
            method,
            headers: &view.headers,
        };
        let found = port.router.find(place, &request)?;
        Some(Met {
            route: found.route,
            rule: found.payload,
        })
    };
    let asked = cors::asked_method(&view.method, &view.headers);
    if let Some(met) = asked.as_ref().and_then(find)
        && met.rule.rule.cors.is_some()
    {
        return Ok((met, true));
    }
    let met = find(&view.method).ok_or(ProxyError::NoRoute)?;
    Ok((met, asked.is_some()))
}

/// User name and password, where the rule asks for them.
///
/// # Errors
/// There are none.
pub(crate) fn credentials(
    rule: &RuleState,
    view: &View,
) -> Result<Option<Credentials>, ProxyError> {
    if rule.rule.gates.basic_auth.is_none() {
        return Ok(None);
    }
    match Credentials::of(&view.headers) {
        Some(credentials) => Ok(Some(credentials)),
        None => Err(ProxyError::Unauthorized),
    }
}

/// What a rule does with a request that it lets in.
pub(crate) enum Act {
    /// The gateway answers with this, for this reason: the client is sent elsewhere, or asks no further than here.
    Answer(Response<()>, &'static str),
    /// The gateway answers.
    Respond(StatusCode, Reason),
    /// The request does not fit the rule.
    Refuse(ProxyError),
    /// A backend is asked.
    Forward,
}

/// The rule's action. `listener` is the port of the listener, as clients know it.
pub(crate) fn act(rule: &RuleState, view: &View, listener: u16) -> Act {
    match &rule.rule.action {
        Action::Redirect(redirect) => elsewhere((redirect, &[]), rule, view, listener),
        Action::Location(location) => {
            let request = compose::Request { view, listener };
            let url = match request.location(location) {
                Ok(url) => url,
                Err(error) => return Act::Refuse(error),
            };
            let mut answer = Response::new(());
            *answer.status_mut() = location.status;
            answer.headers_mut().insert(header::LOCATION, url);
            headers::apply_all(&rule.rule.response, answer.headers_mut());
            made_for(request, rule, answer)
        }
        Action::Respond { status, reason } => {
            let own = own_status(rule, ProxyError::Rule(*reason));
            Act::Respond(own.unwrap_or(*status), *reason)
        }
        Action::Forward(_) => match forwards_left(&view.method, &view.headers) {
            Some(0) => Act::Answer(last_hop(), "last_hop"),
            _ => Act::Forward,
        },
    }
}

/// What a backend's redirect does with a request that falls in its share, if it has one.
pub(crate) fn act_for(rule: &RuleState, at: usize, view: &View, listener: u16) -> Option<Act> {
    let backend = rule.backend(at)?;
    let redirect = backend.redirect()?;
    Some(elsewhere(
        (redirect, &backend.response),
        rule,
        view,
        listener,
    ))
}

/// Sends the client elsewhere. The answer has these changes before those of the rule.
fn elsewhere(
    (redirect, first): (&Redirect, &[HeaderMods]),
    rule: &RuleState,
    view: &View,
    listener: u16,
) -> Act {
    let request = redirect::RequestInfo {
        https: view.https(),
        host: view.host(),
        listener_port: view.port(listener),
        path: view.path(),
        sent: view.target().path(),
        query: view.query(),
    };
    let mut answer = redirect::response(redirect, &request);
    headers::apply_all(first, answer.headers_mut());
    headers::apply_all(&rule.rule.response, answer.headers_mut());
    made_for(compose::Request { view, listener }, rule, answer)
}

/// A redirect, with the headers that are made for each request.
fn made_for(request: compose::Request<'_>, rule: &RuleState, mut answer: Response<()>) -> Act {
    match request.answer_headers(&rule.rule.answer_headers) {
        Ok(made) => compose::set(&made, answer.headers_mut()),
        Err(error) => return Act::Refuse(error),
    }
    Act::Answer(answer, "redirect")
}

/// How many more proxies and gateways an OPTIONS may pass, where it says so (RFC 9110 section 7.6.2). TRACE passes
/// none.
pub(crate) fn forwards_left(method: &Method, headers: &HeaderMap) -> Option<u64> {
    if *method != Method::OPTIONS {
        return None;
    }
    let digits = headers.get(header::MAX_FORWARDS)?.to_str().ok()?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// The answer to an OPTIONS that may go no further.
fn last_hop() -> Response<()> {
    let mut answer = Response::new(());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer.headers_mut().insert(header::ALLOW, ALLOWED);
    answer
}

/// The status of an error on a rule.
pub(crate) fn status(rule: &RuleState, error: ProxyError) -> StatusCode {
    own_status(rule, error).unwrap_or(error.status())
}

/// The status that a rule has for an error, where it says one.
fn own_status(rule: &RuleState, error: ProxyError) -> Option<StatusCode> {
    let own = &rule.rule.statuses;
    match error {
        ProxyError::ConnectFailed => own.connect_failed,
        ProxyError::Rule(Reason::InvalidBackend) => own.invalid_backend,
        ProxyError::Rule(Reason::NoBackend) => own.no_backend,
        ProxyError::Rule(Reason::InvalidRule | Reason::PolicyFailed) => own.invalid_rule,
        ProxyError::Forbidden => own.forbidden,
        _ => None,
    }
}

/// The cluster behind one of the rule's backends.
///
/// # Errors
/// The backend stands for an error.
pub(crate) fn backend<'s>(
    rule: &'s RuleState,
    (at, cluster): (usize, Option<&'s Arc<ClusterState>>),
) -> Result<&'s Arc<ClusterState>, ProxyError> {
    cluster.ok_or_else(|| {
        let reason = match rule.backend(at).map(|backend| &backend.target) {
            Some(Target::Invalid(reason)) => *reason,
            Some(Target::Cluster(_)) | None => Reason::InvalidBackend,
        };
        ProxyError::Rule(reason)
    })
}

/// The protocols that a request may switch to: those that the client offers and the rule allows, in the client's order.
pub(crate) fn upgrade(rule: &RuleState, view: &View) -> Option<HeaderValue> {
    let offered = view.offered.as_ref()?;
    if view.version != Version::HTTP_11 {
        return None;
    }
    let text = offered.to_str().ok()?;
    let named = &rule.rule.upgrades;
    let allowed = |protocol: &&str| {
        let is = |name: &str| protocol.eq_ignore_ascii_case(name);
        is("websocket") || named.iter().any(|name| is(name)) && !is_http(protocol)
    };
    let kept: Vec<&str> = text.split(',').map(str::trim).filter(allowed).collect();
    match kept.is_empty() {
        true => None,
        false => HeaderValue::try_from(kept.join(", ")).ok(),
    }
}

/// Switching to HTTP/2 in mid-connection is gone from the standard (RFC 9113 section 3.1) and would bypass the gateway.
fn is_http(protocol: &str) -> bool {
    let name = protocol.to_ascii_lowercase();
    matches!(&*name, "h2" | "h2c" | "h3") || name.starts_with("http/")
}

/// The names that a list of protocols has.
pub(crate) fn offers(list: &HeaderValue, protocol: &HeaderValue) -> bool {
    let chosen = protocol.as_bytes().trim_ascii();
    let mut all = list.as_bytes().split(|b| *b == b',');
    all.any(|offer| offer.trim_ascii().eq_ignore_ascii_case(chosen))
}

/// Methods that a request refused with 405 could have used (RFC 9110 section 15.5.6).
pub(crate) const ALLOWED: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH");
