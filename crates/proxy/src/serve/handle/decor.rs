//! What every answer of a rule says to its client, whoever makes it: CORS, and that it shall keep to https.

use http::{HeaderMap, HeaderValue, header};
use ir::StrictTransport;

use crate::{http::view::View, policy::filter::cors, snapshot::RuleState};

/// Has a client keep to https, on a connection whose TLS ends at the gateway.
pub(crate) fn keep_to_https(strict: Option<&StrictTransport>, tls: bool, map: &mut HeaderMap) {
    if let Some(strict) = strict.filter(|_| tls) {
        map.insert(header::STRICT_TRANSPORT_SECURITY, strict.value().clone());
    }
}

/// A client, as far as answers are different for it.
#[derive(Debug, Default)]
pub(crate) struct Asker {
    /// Where the rule has CORS: who asks.
    origin: Option<HeaderValue>,
    /// TLS ends at the gateway.
    tls: bool,
}

impl Asker {
    /// The client behind a view, on a connection with TLS or without.
    pub(crate) fn new(tls: bool, rule: &RuleState, view: &View) -> Self {
        let cors = rule.rule.cors.as_ref();
        Self {
            origin: cors.and_then(|_| view.headers.get(header::ORIGIN).cloned()),
            tls,
        }
    }

    /// Says it all in an answer of the gateway. What the rule has said there already stands.
    pub(crate) fn decorate(&self, rule: &RuleState, map: &mut HeaderMap) {
        if !map.contains_key(header::STRICT_TRANSPORT_SECURITY) {
            self.keep_to_https(rule, map);
        }
        self.share(rule, map);
    }

    /// Has the client keep to https, where the rule wants that and nobody could have changed the answer on the way.
    pub(crate) fn keep_to_https(&self, rule: &RuleState, map: &mut HeaderMap) {
        keep_to_https(rule.rule.strict_transport.as_deref(), self.tls, map);
    }

    /// What CORS says in an answer, if the rule says anything about it.
    pub(super) fn share(&self, rule: &RuleState, map: &mut HeaderMap) {
        if let Some(cors) = &rule.rule.cors {
            cors::decorate(cors, self.origin.as_ref(), map);
        }
    }
}
