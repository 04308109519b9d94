//! The body of a request on its way: sent once, or kept so that it can be sent again.

use hyper::body::{Body, Incoming};

use crate::{
    body::{UpBody, meter::Meter},
    server::Conn,
    snapshot::RuleState,
    upstream::Replay,
};

/// The request's body, as far as it may be sent.
pub(super) enum Source {
    Empty,
    Once(Option<(Incoming, Meter)>),
    Replay(Replay),
}

impl Source {
    pub(super) fn new(conn: &Conn, rule: &RuleState, body: Incoming, meter: Meter) -> Self {
        if body.is_end_stream() {
            return Self::Empty;
        }
        let repeats = rule
            .forward()
            .is_some_and(|forward| forward.retry.is_some());
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
