//! Copies of requests. Nothing that happens to a copy touches the request.

use std::{rc::Rc, sync::Arc};

use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::{
    serve::worker::Worker,
    snapshot::RuleState,
    upstream::{self, Destination, Head, Outgoing, Replay, balance::ClusterState, body::UpBody},
};

/// How long a copy may take from here to the end of its answer.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

/// Sends copies to those mirrors whose share this request falls in: at once without a body, else when the body has
/// passed. A body that is too long to be kept is not copied.
pub(super) fn copy(worker: &Rc<Worker>, rule: &RuleState, head: &Head, replay: Option<&Replay>) {
    for cluster in rule.mirrors() {
        if worker.mirrors.get() >= worker.config.limits.mirrors {
            worker.observer.mirror_dropped();
            continue;
        }
        let body = replay.map(Replay::copy);
        let (worker, cluster, head) = (Rc::clone(worker), Arc::clone(cluster), head.clone());
        worker.mirrors.set(worker.mirrors.get() + 1);
        tokio::task::spawn_local(async move {
            let counted = Counted(Rc::clone(&worker));
            let body = match body {
                None => UpBody::Empty,
                Some(body) => match body.await {
                    Ok(kept) => UpBody::Kept(kept.into()),
                    Err(_) => return worker.observer.mirror_dropped(),
                },
            };
            if timeout(LIMIT, send(&worker, &cluster, head, body))
                .await
                .is_err()
            {
                worker.observer.mirror_dropped();
            }
            drop(counted);
        });
    }
}

struct Counted(Rc<Worker>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.mirrors.set(self.0.mirrors.get() - 1);
    }
}

async fn send(worker: &Rc<Worker>, cluster: &ClusterState, head: Head, body: UpBody) {
    let Some(picked) = cluster.pick(None, 0) else {
        return;
    };
    let how = (cluster.cluster.upstream, true);
    let destination = Destination::of(&worker.upstream, (cluster, &picked), &head.host, how).await;
    let Ok(mut destination) = destination else {
        return;
    };
    // The answer is read only so that the connection can be used again.
    if let Ok(answer) = upstream::send(
        &worker.upstream,
        &mut destination,
        &mut Outgoing::new(head, body),
    )
    .await
    {
        let mut incoming = answer.response.into_body();
        while let Some(frame) = incoming.frame().await {
            if frame.is_err() {
                return;
            }
        }
        if let Some(lease) = answer.lease {
            lease.give_back();
        }
    }
}
