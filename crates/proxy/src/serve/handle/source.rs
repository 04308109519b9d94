//! The body of a request on its way: sent once, or kept so that it can be sent again.

use hyper::body::{Body, Incoming};

use crate::{
    client::meter::Meter,
    serve::server::Conn,
    snapshot::RuleState,
    upstream::{Replay, body::UpBody},
};

/// The request's body, as far as it may be sent.
pub(super) enum Source {
    Empty,
    Once(Option<(Incoming, Meter)>),
    Replay(Replay),
}

impl Source {
    /// `bodyless` is whether a request with this method is not likely to have a body, `refusable` whether it may come
    /// back unprocessed, whatever the rule says about retries.
    pub(super) fn new(
        conn: &Conn,
        rule: &RuleState,
        (mut body, mut meter): (Incoming, Meter),
        bodyless: bool,
        refusable: bool,
    ) -> Self {
        if body.is_end_stream() {
            return Self::Empty;
        }
        // HTTP/2 may say late that there is no body, and a backend may not expect an empty one.
        let unknown = bodyless && body.size_hint().exact().is_none();
        if unknown && meter.finds_nothing(&mut body) {
            return Self::Empty;
        }
        let retry = rule.forward().and_then(|forward| forward.retry.as_ref());
        let repeats = refusable || retry.is_some_and(|retry| retry.retries > 0);
        if !repeats && !rule.has_mirrors() {
            return Self::Once(Some((body, meter)));
        }
        let limit = conn.worker.config.limits.replay_bytes;
        Self::Replay(Replay::new(body, meter, limit))
    }

    pub(super) const fn replay(&self) -> Option<&Replay> {
        match self {
            Self::Replay(replay) => Some(replay),
            Self::Empty | Self::Once(_) => None,
        }
    }

    /// The body for one more sending; `None` when it is gone.
    pub(super) fn body(&mut self) -> Option<UpBody> {
        match self {
            Self::Empty => Some(UpBody::Empty),
            Self::Once(slot) => slot
                .take()
                .map(|(incoming, meter)| UpBody::Client { incoming, meter }),
            Self::Replay(replay) => replay.possible().then(|| UpBody::Replay(replay.body())),
        }
    }

    pub(super) fn repeatable(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Once(_) => false,
            Self::Replay(replay) => replay.possible(),
        }
    }

    /// Whether the request has no body.
    pub(super) const fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// An unsent body comes back.
    pub(super) fn put_back(&mut self, body: UpBody) {
        if let (Self::Once(slot), UpBody::Client { incoming, meter }) = (self, unwatched(body)) {
            *slot = Some((incoming, meter));
        }
    }
}

fn unwatched(body: UpBody) -> UpBody {
    match body {
        UpBody::Watched(body) => body.into_inner(),
        body => body,
    }
}
