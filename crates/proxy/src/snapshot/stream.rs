//! Rules for streams and datagrams, ready for use.

use std::sync::Arc;

use ir::{Listener, StreamRule, Target};

use super::{
    lasting::{Lasting, Rules},
    spread::{Spread, share},
};
use crate::router::Hosts;

/// A rule for streams or datagrams. Its clusters are looked up by key when a stream begins, so that a change of
/// endpoints leaves it alone.
pub(crate) struct StreamState {
    pub(crate) rule: Arc<StreamRule>,
    split: Spread,
    lasting: Arc<Lasting>,
}

impl StreamState {
    pub(super) fn new(rule: &Arc<StreamRule>, rules: &Rules) -> Arc<Self> {
        let weights = rule.backends.iter().map(|b| u64::from(b.weight.get()));
        Arc::new(Self {
            rule: Arc::clone(rule),
            split: Spread::new(weights.sum(), 0),
            lasting: rules.lasting_stream(rule),
        })
    }

    /// Where the share leads that the next stream falls in; `None` where there is no backend.
    pub(crate) fn pick(&self) -> Option<&Target> {
        let backends = &self.rule.backends;
        if let [only] = &**backends {
            return Some(&only.target);
        }
        let point = self.split.next(&self.lasting.positions.split);
        let at = share(backends.iter().map(|backend| backend.weight), point)?;
        backends.get(at).map(|backend| &backend.target)
    }
}

/// The streams of a listener.
pub(crate) struct Streams {
    listener: Arc<Listener>,
    hosts: Vec<Arc<StreamState>>,
    by_host: Hosts,
}

impl Streams {
    /// What a listener's streams need, if it has any; `before`, where that was made for this very listener.
    pub(super) fn new(
        listener: &Arc<Listener>,
        before: Option<&Arc<Self>>,
        rules: &Rules,
    ) -> Option<Arc<Self>> {
        let streams = listener.streams.as_ref()?;
        if let Some(before) = before
            && Arc::ptr_eq(&before.listener, listener)
        {
            return Some(Arc::clone(before));
        }
        let hosts = streams.iter();
        Some(Arc::new(Self {
            listener: Arc::clone(listener),
            hosts: hosts
                .map(|host| StreamState::new(&host.rule, rules))
                .collect(),
            by_host: Hosts::build(streams.iter().map(|host| &host.host)),
        }))
    }

    /// Whether TLS ends here, or at the backend.
    pub(crate) fn terminates(&self) -> bool {
        self.listener.tls.is_some()
    }

    /// The rule of a server name; without one (empty), that for every host.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<StreamState>> {
        self.hosts.get(self.by_host.first(name)?)
    }
}
