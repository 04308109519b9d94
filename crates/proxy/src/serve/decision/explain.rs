//! What would become of a request that is only thought of: the decision of traffic, asked without traffic.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use ipnet::IpNet;
use ir::{Backend, ClusterKey, ForwardedField, HostPattern, Ir, Protocol, Route, SocketKey};
use telemetry::metrics::Metrics;

use super::{Act, Decision, Met, Place, Stage, Verdict};
use crate::{
    http::{
        error::ProxyError,
        framing::{Fault, HeadScanner},
        view::{Peer, View},
    },
    policy::{auth, filter::compose},
    serve::handle::{
        decor::{self, Asker},
        fallback, request,
    },
    snapshot::{RuleState, Snapshot},
    upstream::names::Names,
};

/// A configuration that can be asked what would become of requests.
pub struct Explainer(Snapshot);

/// A request that is only thought of.
#[derive(Debug)]
pub struct Question<'a> {
    /// The port that it comes to.
    pub port: SocketKey,
    /// Who sends it, and whether over TLS.
    pub peer: Peer,
    /// Networks of proxies that may say who asks.
    pub trusted: &'a [IpNet],
    /// Its head. It has no body.
    pub head: Parts,
}

/// What would become of it.
#[derive(Debug)]
pub struct Explained {
    /// Its host and path, as everything sees them.
    pub target: Option<(String, String)>,
    /// The listener's place among those of the port.
    pub listener: Option<usize>,
    /// The route that it meets.
    pub route: Option<Route>,
    /// What has to be asked that only traffic can: `listener_external_auth`, `rate`, `concurrency`, `external_auth`.
    pub conditions: Vec<&'static str>,
    /// The ends that it may come to, and how many of a full round of requests each takes.
    pub outcomes: Vec<(u64, Outcome)>,
}

/// The end of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The gateway answers, with one word for log and metrics.
    Answered {
        /// Status.
        status: StatusCode,
        /// The word.
        reason: &'static str,
        /// Fields that the rule or the protocol asks for.
        headers: HeaderMap,
    },
    /// A backend is asked.
    Forwarded {
        /// The cluster that it belongs to.
        cluster: ClusterKey,
        /// What it sees.
        method: Method,
        /// `Host` or `:authority`.
        host: HeaderValue,
        /// Path and query.
        target: String,
        /// The other fields.
        headers: HeaderMap,
    },
}

impl Outcome {
    /// The rule refuses, or its backend cannot answer.
    fn failed(rule: &RuleState, error: ProxyError) -> Self {
        Self::Answered {
            status: super::status(rule, error),
            reason: error.flag(),
            headers: HeaderMap::new(),
        }
    }

    /// What every answer of the rule says, in those that are known.
    fn decorate(&mut self, rule: &RuleState, asker: &Asker) {
        match self {
            Self::Forwarded { .. } => {}
            Self::Answered {
                headers, reason, ..
            } if *reason == ProxyError::Forbidden.flag() => asker.keep_to_https(rule, headers),
            Self::Answered { headers, .. } => asker.decorate(rule, headers),
        }
    }

    fn error(error: ProxyError) -> Self {
        Self::Answered {
            status: error.status(),
            reason: error.flag(),
            headers: HeaderMap::new(),
        }
    }
}

impl Explainer {
    /// One for a configuration. Nothing is bound, connected or counted.
    #[must_use]
    pub fn new(ir: Arc<Ir>) -> Self {
        let metrics = Metrics::new();
        let names = Names::new(&[], &metrics);
        let (snapshot, _) = Snapshot::build(ir, &Snapshot::empty(), (&metrics, &names));
        Self(snapshot)
    }

    /// What would become of the request.
    #[must_use]
    pub fn ask(&self, question: Question<'_>) -> Explained {
        let mut explained = Explained {
            target: None,
            listener: None,
            route: None,
            conditions: Vec::new(),
            outcomes: Vec::new(),
        };
        let Question {
            port,
            peer,
            trusted,
            head,
        } = question;
        let framed = framed(&head).map_err(ProxyError::from);
        let view = framed
            .and_then(|()| View::new(&peer, trusted, head).map_err(|_| ProxyError::BadRequest));
        let mut view = match view {
            Ok(view) => view,
            Err(error) => {
                explained.outcomes.push((1, Outcome::error(error)));
                return explained;
            }
        };
        let shaken = self.shaken(port, &peer, view.host());
        let place = Place {
            key: port,
            shaken: shaken.as_ref(),
        };
        let mut decision = super::decide(&self.0, place, &mut view, (Some(0), Stage::Arrived));
        let asks = matches!(decision.verdict, Verdict::Asks(_));
        if asks {
            decision = super::decide(&self.0, place, &mut view, (Some(0), Stage::Admitted));
        }
        explained.target = Some((view.host().to_owned(), view.path().to_owned()));
        let told = decision.met.map(|met| met.rule.rule.forwarded);
        if told.is_some_and(|told| told.has(ForwardedField::RequestId)) {
            view.identify();
        }
        explained.listener = decision.listener;
        explained.route = decision.met.map(|met| met.route.clone());
        let asker = decision
            .met
            .map(|met| Asker::new(peer.tls, met.rule, &view));
        explained.outcomes = match outcome(&decision, &view) {
            Some(outcome) => vec![(1, outcome)],
            None => decision.met.map_or_else(Vec::new, |met| {
                explained.conditions = conditions(met.rule);
                self.ends(met, view, port)
            }),
        };
        if asks {
            explained.conditions.insert(0, "listener_external_auth");
        }
        if let [(_, Outcome::Answered { headers, .. })] = &mut *explained.outcomes {
            decor::keep_to_https(decision.strict_transport, peer.tls, headers);
        }
        if let Some((met, asker)) = decision.met.zip(asker) {
            let outcomes = explained.outcomes.iter_mut();
            outcomes.for_each(|(_, outcome)| outcome.decorate(met.rule, &asker));
        }
        explained
    }

    /// The listener that a client of this host would have shaken hands with.
    fn shaken(&self, port: SocketKey, peer: &Peer, host: &str) -> Option<HostPattern> {
        let port = self.0.ports.get(&port).filter(|_| peer.tls)?;
        if !matches!(port.protocol, Protocol::Https | Protocol::Tls) {
            return None;
        }
        let at = port.router.listener_for(host)?;
        Some(port.router.listener(at)?.hostname.clone())
    }

    /// What the rule does: one end for each of its backends.
    fn ends(&self, met: Met<'_>, view: View, port: SocketKey) -> Vec<(u64, Outcome)> {
        let advertised = self.0.ir.ports.get(&port).and_then(|port| port.advertised);
        let listener = advertised.unwrap_or(port.port);
        let rule = met.rule;
        match end_of(super::act(rule, &view, listener)) {
            Some(outcome) => vec![(1, outcome)],
            None => backends(rule, view, listener),
        }
    }
}

/// What the gateway answers; `None`: a backend is asked.
fn end_of(act: Act) -> Option<Outcome> {
    match act {
        Act::Answer(answer, reason) => Some(Outcome::Answered {
            status: answer.status(),
            reason,
            headers: answer.into_parts().0.headers,
        }),
        Act::Refuse(error) => Some(Outcome::error(error)),
        Act::Respond(status, reason) => Some(Outcome::Answered {
            status,
            reason: reason.as_str(),
            headers: HeaderMap::new(),
        }),
        Act::Forward => None,
    }
}

/// Whether the head says in one way where its body ends: asks the scanner of connections, with the head as HTTP/1.1
/// writes it.
fn framed(head: &Parts) -> Result<(), Fault> {
    let mut text = format!("{} {} HTTP/1.1\r\n", head.method, head.uri).into_bytes();
    for (name, value) in &head.headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    HeadScanner::default().scan(&text)
}

/// What decides without the rule's action, if anything does.
fn outcome(decision: &Decision<'_>, view: &View) -> Option<Outcome> {
    let rule = decision.met.map(|met| met.rule);
    let refused = match &decision.verdict {
        Verdict::Refused(error) => Some(*error),
        Verdict::Preflight(answer) => {
            return Some(Outcome::Answered {
                status: answer.status(),
                reason: "cors_preflight",
                headers: answer.headers().clone(),
            });
        }
        Verdict::Passes | Verdict::Asks(_) => rule.and_then(|rule| who(rule, view).err()),
    };
    let error = refused?;
    let mut outcome = rule.map_or_else(
        || Outcome::error(error),
        |rule| Outcome::failed(rule, error),
    );
    if let (ProxyError::Unauthorized, Some(rule), Outcome::Answered { headers, .. }) =
        (error, rule, &mut outcome)
        && let Some(auth) = &rule.rule.gates.basic_auth
    {
        headers.insert(header::WWW_AUTHENTICATE, auth.challenge.clone());
    }
    if let (ProxyError::MethodNotAllowed, Outcome::Answered { headers, .. }) = (error, &mut outcome)
    {
        headers.insert(header::ALLOW, super::ALLOWED);
    }
    Some(outcome)
}

/// Whether user name and password are right, where the rule asks for them.
fn who(rule: &RuleState, view: &View) -> Result<(), ProxyError> {
    let credentials = super::credentials(rule, view)?;
    let known = rule.rule.gates.basic_auth.as_ref().zip(credentials);
    match known {
        Some((auth, credentials)) if !auth::is_right(auth, &credentials) => {
            Err(ProxyError::Unauthorized)
        }
        _ => Ok(()),
    }
}

/// What only traffic can be asked.
fn conditions(rule: &RuleState) -> Vec<&'static str> {
    let gates = &rule.rule.gates;
    let asked = [
        (!gates.rates.is_empty(), "rate"),
        (gates.concurrency.is_some(), "concurrency"),
        (!gates.external_auths.is_empty(), "external_auth"),
    ];
    asked
        .into_iter()
        .filter_map(|(asked, word)| asked.then_some(word))
        .collect()
}

/// One end for each backend, in their order.
fn backends(rule: &RuleState, mut view: View, listener: u16) -> Vec<(u64, Outcome)> {
    let basic = rule.rule.gates.basic_auth.as_ref();
    if basic.is_some_and(|auth| auth.kept_back) {
        view.keep_back();
    }
    let upgrade = super::upgrade(rule, &view);
    let declared = rule.forward().map_or(&[][..], |forward| &forward.backends);
    let end = |at: usize| {
        if let Some(act) = super::act_for(rule, at, &view, listener) {
            return Ok(end_of(act).unwrap_or(Outcome::error(ProxyError::NoRoute)));
        }
        let chosen = rule.cluster(at);
        let picked = rule.standing((at, chosen));
        let cluster = super::backend(rule, picked)?;
        let answer = compose::Request {
            view: &view,
            listener,
        };
        answer.answer_headers(&rule.rule.answer_headers)?;
        let own = rule.backend(picked.0);
        let rewrite = own.and_then(Backend::rewrite);
        let mut head = request::head((rule, rewrite), view.clone(), upgrade.as_ref(), listener)?;
        if !cluster.has_endpoints() {
            return Err(ProxyError::NoEndpoint);
        }
        if let Some(own) = own {
            request::change_for(own, &mut head);
        }
        let seen = &mut head.headers;
        if let Some(told) = rule.told(chosen, picked.1) {
            fallback::tell(told, StatusCode::SERVICE_UNAVAILABLE, seen);
        }
        Ok(Outcome::Forwarded {
            cluster: cluster.cluster.key.clone(),
            method: head.method,
            host: head.host,
            target: head.target.to_string(),
            headers: head.headers,
        })
    };
    let failed = |error| Outcome::failed(rule, error);
    let weights = declared
        .iter()
        .map(|backend| u64::from(backend.weight.get()));
    weights
        .enumerate()
        .map(|(at, weight)| (weight, end(at).unwrap_or_else(failed)))
        .collect()
}
