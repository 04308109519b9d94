//! Which rule a request meets here.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use ir::{Action, Ir, Rule};
use proxy::{
    canonical,
    router::{PortRouter, RequestView},
};

use super::{Ask, entrance};

/// The data plane's own routers, by scheme.
pub(crate) struct Oracle {
    http: Option<PortRouter<Arc<Rule>>>,
    https: Option<PortRouter<Arc<Rule>>>,
}

impl Oracle {
    pub(crate) fn new(ir: &Ir) -> Self {
        let router = |https| {
            let (_, port) = entrance(ir, https)?;
            Some(PortRouter::build(port, &mut Arc::clone))
        };
        Self {
            http: router(false),
            https: router(true),
        }
    }

    /// The rule, if there is one.
    pub(crate) fn rule(&self, ask: &Ask) -> Option<Arc<Rule>> {
        let router = if ask.https { &self.https } else { &self.http };
        let router = router.as_ref()?;
        let uri: Uri = ask.target.parse().ok()?;
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::try_from(&ask.host).ok()?);
        for (name, value) in &ask.headers {
            let name = HeaderName::try_from(name.as_str()).ok()?;
            headers.insert(name, HeaderValue::try_from(value.as_str()).ok()?);
        }
        let host = canonical::host(&uri, &headers).ok()?;
        let path = canonical::path(uri.path()).ok()?;
        let view = RequestView {
            host: &host,
            path: &path,
            query: uri.query(),
            method: &Method::try_from(ask.method.as_str()).ok()?,
            headers: &headers,
        };
        let found = router.find(router.listener_for(&host)?, &view)?;
        Some(Arc::clone(found.payload))
    }
}

/// Whether chance decides which backend is asked.
pub(crate) fn is_weighted(rule: &Rule) -> bool {
    matches!(&rule.action, Action::Forward(forward) if forward.backends.len() > 1)
}
