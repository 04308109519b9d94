//! Rules: what happens to the requests of a match, phase by phase.

use std::{num::NonZeroU64, sync::Arc};

use serde::Serialize;

use crate::{
    Action, AnswerHeaders, BasicAuth, ClientAddresses, ClusterKey, Composed, ConcurrencyLimit,
    Cors, ExternalAuth, Forward, ForwardedFields, HeaderMods, Mirror, OwnStatuses, RateLimit,
    Rewrite, RuleKey, StrictTransport, Target,
};

/// What happens to the requests of a rule. The fields are the phases, and they run in the order in which they stand
/// here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Lasting identity.
    pub key: RuleKey,
    /// The route object, as `HTTPRoute/namespace/name`: for logs and traces.
    pub route: Arc<str>,
    /// Requests have no line in the access log.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unlogged: bool,
    /// What a request must pass before anything is done with it.
    #[serde(skip_serializing_if = "Gates::is_open")]
    pub gates: Gates,
    /// Cross-origin resource sharing. A preflight is answered behind [`Gates::addresses`] and in front of the other
    /// gates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// What the backend is told of the client, beside `X-Forwarded-For`, `-Proto` and `-Host`. Authenticators get its
    /// `X-Request-ID`, too.
    #[serde(skip_serializing_if = "ForwardedFields::is_empty")]
    pub forwarded: ForwardedFields,
    /// Changes of the request, in the order written. Only requests that are forwarded have them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request: Vec<RequestStep>,
    /// Copies of the request as it is after [`Self::request`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<Mirror>,
    /// Protocols that a request may switch to, beside `websocket`: tokens as in `Upgrade`, in lower case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub upgrades: Vec<Box<str>>,
    /// The end of the way.
    pub action: Action,
    /// Statuses of answers of the gateway in the stead of a backend.
    #[serde(skip_serializing_if = "OwnStatuses::is_default")]
    pub statuses: OwnStatuses,
    /// Said in every answer over TLS that ends here, those of the gateway too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict_transport: Option<Box<StrictTransport>>,
    /// Changes of a backend's answer or of a redirect, in the order written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub response: Vec<HeaderMods>,
    /// Headers of the same answers whose values are made for each request, after [`Self::response`].
    #[serde(rename = "answerHeaders", skip_serializing_if = "<[_]>::is_empty")]
    pub answer_headers: Box<[AnswerHeaders]>,
}

impl Rule {
    /// A rule without gates and changes.
    #[must_use]
    pub fn new(key: RuleKey, route: Arc<str>, action: Action) -> Self {
        Self {
            key,
            route,
            unlogged: false,
            gates: Gates::default(),
            cors: None,
            forwarded: ForwardedFields::default(),
            request: Vec::new(),
            mirrors: Vec::new(),
            upgrades: Vec::new(),
            action,
            statuses: OwnStatuses::default(),
            strict_transport: None,
            response: Vec::new(),
            answer_headers: Box::default(),
        }
    }

    /// How the rule forwards, if it does.
    #[must_use]
    pub const fn forward(&self) -> Option<&Forward> {
        match &self.action {
            Action::Forward(forward) => Some(forward),
            Action::Redirect(_) | Action::Location(_) | Action::Respond { .. } => None,
        }
    }

    /// Every cluster that the rule sends anything to: authenticators, mirrors, backends and those that stand in for
    /// them.
    pub fn clusters(&self) -> impl Iterator<Item = &ClusterKey> {
        let asked = self.gates.external_auths.iter().map(|auth| &auth.cluster);
        let copied = self.mirrors.iter().map(|mirror| &mirror.cluster);
        let forward = self.forward();
        let backends = forward.into_iter().flat_map(|forward| &forward.backends);
        let backends = backends.filter_map(|backend| match &backend.target {
            Target::Cluster(key) => Some(key),
            Target::Invalid(_) => None,
        });
        let fallback = forward.and_then(|forward| forward.fallback.as_ref());
        let fallback = fallback.into_iter().flat_map(|fallback| &fallback.clusters);
        asked.chain(copied).chain(backends).chain(fallback)
    }
}

/// What a request must pass. The gates are asked in the order of the fields; the first that refuses answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gates {
    /// Which clients may ask; preflights too, unless [`Cors::every_answer`](crate::Cors::every_answer) is set and the
    /// list is not closed. Others are answered 403.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<ClientAddresses>,
    /// The largest request body, in bytes: more is answered 413.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body: Option<NonZeroU64>,
    /// How many requests may pass: one more is answered 429. Each has its own bucket.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<RateLimit>,
    /// How many requests a client may have in flight: one more is answered 429.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<ConcurrencyLimit>,
    /// User name and password: without, 401.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<Arc<BasicAuth>>,
    /// External authenticators, all of which must let the request pass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external_auths: Vec<Arc<ExternalAuth>>,
}

impl Gates {
    /// Whether every request passes.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// What is left where clients are answered before anything is asked about them: a closed list of addresses stays
    /// closed.
    #[must_use]
    pub fn unguarded(self) -> Self {
        let closed = self
            .addresses
            .as_ref()
            .is_some_and(ClientAddresses::is_closed);
        match closed {
            true => self,
            false => Self {
                max_body: self.max_body,
                ..Self::default()
            },
        }
    }

    /// Whether a request has to wait until somebody has been identified.
    #[must_use]
    pub const fn asks_who(&self) -> bool {
        self.basic_auth.is_some() || !self.external_auths.is_empty()
    }
}

/// One change of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RequestStep {
    /// Its headers.
    Headers(HeaderMods),
    /// Its path or host.
    Rewrite(Rewrite),
    /// Headers, path, query or host, with values that are made for each request.
    Composed(Box<Composed>),
}
