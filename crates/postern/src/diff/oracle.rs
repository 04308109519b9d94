//! Which rule a request meets here, and which hosts are known.

use std::{net::Ipv4Addr, sync::Arc};

use http::{HeaderName, HeaderValue, Method, header};
use ir::{Action, Ir, Rule, SocketKey};
use proxy::{Explained, Explainer, Peer, Question};

use super::{Ask, client::host_name, entrance};

/// What a request meets here.
#[derive(Debug, Default)]
pub(crate) struct Met {
    /// The rule, if there is one.
    pub(crate) rule: Option<Arc<Rule>>,
    /// There are routes for its host.
    pub(crate) knows_host: bool,
}

/// The data plane's own decision.
pub(crate) struct Oracle {
    ir: Arc<Ir>,
    explainer: Explainer,
    http: Option<SocketKey>,
    https: Option<SocketKey>,
}

impl Oracle {
    pub(crate) fn new(ir: &Arc<Ir>) -> Self {
        let port = |https| entrance(ir, https).map(|(key, _)| key);
        Self {
            ir: Arc::clone(ir),
            explainer: Explainer::new(Arc::clone(ir)),
            http: port(false),
            https: port(true),
        }
    }

    /// What the request meets.
    pub(crate) fn ask(&self, ask: &Ask) -> Met {
        let port = if ask.https { self.https } else { self.http };
        let explained = port.and_then(|port| self.explain(port, ask));
        let Some(explained) = explained else {
            return Met::default();
        };
        let host = explained.target.map(|(host, _)| host).unwrap_or_default();
        let host = host_name(&host);
        let port = port.and_then(|port| self.ir.ports.get(&port));
        let listener = explained
            .listener
            .and_then(|at| port?.listeners.get(at))
            .map(|listener| &listener.hosts);
        Met {
            rule: explained.route.map(|route| route.rule),
            knows_host: listener.is_some_and(|hosts| hosts.iter().any(|known| known.covers(host))),
        }
    }

    fn explain(&self, port: SocketKey, ask: &Ask) -> Option<Explained> {
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
        Some(self.explainer.ask(Question {
            port,
            peer: Peer::new(Ipv4Addr::LOCALHOST.into(), ask.https, &[]),
            trusted: &[],
            head,
        }))
    }
}

/// Whether a host has TLS here: a listener of the port for https covers it.
pub(crate) fn has_tls(ir: &Ir, host: &str) -> bool {
    let port = entrance(ir, true).map(|(_, port)| port);
    let mut listeners = port.iter().flat_map(|port| &port.listeners);
    listeners.any(|listener| listener.hostname.matches(host_name(host)))
}

/// Whether chance decides which backend is asked.
pub(crate) fn is_weighted(rule: &Rule) -> bool {
    matches!(&rule.action, Action::Forward(forward) if forward.backends.len() > 1)
}
