//! Which rule a request meets here.

use std::{net::Ipv4Addr, sync::Arc};

use http::{HeaderName, HeaderValue, Method, header};
use ir::{Action, Ir, Rule, SocketKey};
use proxy::{Explainer, Peer, Question};

use super::{Ask, entrance};

/// The data plane's own decision.
pub(crate) struct Oracle {
    explainer: Explainer,
    http: Option<SocketKey>,
    https: Option<SocketKey>,
}

impl Oracle {
    pub(crate) fn new(ir: &Arc<Ir>) -> Self {
        let port = |https| entrance(ir, https).map(|(key, _)| key);
        Self {
            explainer: Explainer::new(Arc::clone(ir)),
            http: port(false),
            https: port(true),
        }
    }

    /// The rule, if there is one.
    pub(crate) fn rule(&self, ask: &Ask) -> Option<Arc<Rule>> {
        let port = if ask.https { self.https } else { self.http };
        let (mut head, ()) = http::Request::new(()).into_parts();
        head.method = Method::try_from(ask.method.as_str()).ok()?;
        head.uri = ask.target.parse().ok()?;
        let host = HeaderValue::try_from(&ask.host).ok()?;
        head.headers.insert(header::HOST, host);
        for (name, value) in &ask.headers {
            let name = HeaderName::try_from(name.as_str()).ok()?;
            let value = HeaderValue::try_from(value.as_str()).ok()?;
            head.headers.insert(name, value);
        }
        let explained = self.explainer.ask(Question {
            port: port?,
            peer: Peer::new(Ipv4Addr::LOCALHOST.into(), ask.https, &[]),
            head,
        });
        Some(explained.route?.rule)
    }
}

/// Whether chance decides which backend is asked.
pub(crate) fn is_weighted(rule: &Rule) -> bool {
    matches!(&rule.action, Action::Forward(forward) if forward.backends.len() > 1)
}
