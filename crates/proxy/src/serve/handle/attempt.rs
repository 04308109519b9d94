//! One attempt: where it goes, how long it may take, and its place in the account.

use std::{rc::Rc, time::Duration};

use http::HeaderValue;
use ir::Upstream;
use tokio::time::timeout;

use crate::{
    client::meter::Allowance,
    http::error::ProxyError,
    serve::{exchange::Exchange, worker::Worker},
    upstream::{
        self, Answer, Destination, Failure, Outgoing, Progress,
        balance::{ClusterState, Picked},
        silence::Watch,
    },
};

/// Where one attempt goes.
pub(super) struct Step<'a> {
    pub(super) cluster: &'a ClusterState,
    pub(super) picked: Picked<'a>,
    /// What `Host` or `:authority` says there.
    pub(super) host: &'a HeaderValue,
    pub(super) protocol: Upstream,
    pub(super) pooled: bool,
    /// How long it may take until the answer's head.
    pub(super) limit: Option<Duration>,
    /// How long the body may be.
    pub(super) allowance: Option<&'a Allowance>,
}

/// One attempt, with its place in the account.
pub(super) async fn send(
    worker: &Rc<Worker>,
    step: &mut Step<'_>,
    outgoing: &mut Outgoing,
    exchange: &mut Exchange,
) -> Result<Answer, Failure> {
    let to = (step.cluster, &step.picked);
    let how = (step.protocol, step.pooled);
    let mut destination = match Destination::of(&worker.upstream, to, step.host, how).await {
        Ok(destination) => destination,
        Err(error) => {
            exchange.attempt_is_nowhere(error);
            return Err(outgoing.unsent(error));
        }
    };
    exchange.carries(step.picked.load.take());
    let watch = Watch::of(step.cluster.cluster.timeouts);
    if let Some(watch) = &watch {
        outgoing.watched(watch);
    }
    outgoing.with_head(|head| exchange.attempt_begins(&destination.way, head));
    let sending = upstream::send(&worker.upstream, &mut destination, outgoing);
    let outcome = match (step.limit, &watch) {
        (None, None) => sending.await,
        (limit, watch) => Box::pin(bounded(sending, limit, watch.as_deref())).await,
    };
    let outcome = outcome.map_err(|failure| blamed(failure, step.allowance, exchange));
    exchange.reached(destination.way.address);
    exchange.attempt_ends(
        outcome
            .as_ref()
            .map(|a| a.response.status())
            .map_err(|f| f.error),
    );
    outcome
}

/// Whatever the backend made of half a body: it is not to blame.
fn blamed(failure: Failure, allowance: Option<&Allowance>, exchange: &Exchange) -> Failure {
    let error = if allowance.is_some_and(Allowance::is_exceeded) {
        Some(ProxyError::BodyTooLarge)
    } else if failure.error == ProxyError::ClientClosed {
        exchange.fault()
    } else {
        None
    };
    match error {
        None => failure,
        Some(error) => Failure {
            error,
            progress: Progress::Closed,
        },
    }
}

/// An attempt that may take only so long, or only so long without a sign of life.
async fn bounded(
    sending: impl Future<Output = Result<Answer, Failure>>,
    limit: Option<Duration>,
    watch: Option<&Watch>,
) -> Result<Answer, Failure> {
    let late = |error| Failure {
        error,
        progress: Progress::Closed,
    };
    let watched = async {
        match watch {
            None => sending.await,
            Some(watch) => {
                let done = watch.over(sending).await;
                match done {
                    Some(outcome) => outcome,
                    None => Err(late(ProxyError::BackendSilent)),
                }
            }
        }
    };
    match limit {
        None => watched.await,
        Some(limit) => match timeout(limit, watched).await {
            Ok(outcome) => outcome,
            Err(_) => Err(late(ProxyError::AttemptTimeout)),
        },
    }
}
