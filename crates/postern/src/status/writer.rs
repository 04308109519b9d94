//! Writes status, one object at a time, for as long as this replica holds the Lease.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use api::{ObjectKey, ObjectRef};
use gateway_core::Status;
use k8s_openapi::jiff::Timestamp;
use kube::{
    Client,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep_until, timeout},
};

use super::plan::{Crowded, Facts, Plan, Write, Written};
use crate::{
    apply,
    live::{Current, Live},
    source::kube::{MANAGER, observed::Observed},
};

/// Writes at the same time.
const WRITES: usize = 8;
/// A write that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(10);

/// Who writes status, and about what.
pub(crate) struct Writer {
    pub(crate) client: Client,
    /// What is served.
    pub(crate) live: Arc<Live>,
    /// What the API server holds.
    pub(crate) observed: Observed,
    /// Whether it is for us to write.
    pub(crate) leader: watch::Receiver<bool>,
    /// Which entries are ours.
    pub(crate) controller: String,
    /// The Gateway that Ingresses are served by.
    pub(crate) gateway: ObjectKey,
}

impl Writer {
    /// Writes until the process ends.
    pub(crate) async fn run(mut self) {
        let changes = self.observed.subscribe();
        let mut published = self.live.published();
        let mut plan = Plan::default();
        let mut served: Option<Arc<Current>> = None;
        let mut writes = JoinSet::new();
        let mut next = None;
        plan.touch(self.observed.all());
        loop {
            let wake = next.map_or_else(far, |at: Instant| at.into());
            tokio::select! {
                () = changes.wait() => {}
                Ok(()) = published.changed() => {}
                Ok(()) = self.leader.changed() => {}
                () = sleep_until(wake) => {}
                Some(ended) = writes.join_next() => if let Ok((write, how)) = ended {
                    plan.ended(write, how, Instant::now());
                },
            }
            plan.touch(changes.take());
            let Some(current) = self.live.current() else {
                continue;
            };
            if !served
                .as_ref()
                .is_some_and(|served| Arc::ptr_eq(served, &current))
            {
                let status = &current.made().status;
                let news = match &served {
                    Some(before) => status.changes(&before.made().status),
                    None => status.changes(&Status::default()),
                };
                plan.touch(news);
                plan.published();
                served = Some(Arc::clone(&current));
            }
            next = None;
            if *self.leader.borrow_and_update() {
                let room = WRITES - writes.len();
                let due;
                (due, next) = self.due(&mut plan, &current, room);
                for write in due {
                    let version = self.observed.version(write.object.kind);
                    writes.spawn(put(self.client.clone(), version, write));
                }
            }
        }
    }

    fn due(
        &self,
        plan: &mut Plan,
        current: &Current,
        room: usize,
    ) -> (Vec<Write>, Option<Instant>) {
        let time = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let status = &current.made().status;
        let gateway = status.gateways.get(&self.gateway);
        let facts = Facts {
            status,
            resources: current.resources(),
            seen: |object: &ObjectRef| self.observed.get(object),
            time: &time,
            controller: &self.controller,
            here: gateway.map_or(&[], |gateway| &gateway.addresses),
        };
        let due = plan.due(&facts, room, Instant::now());
        for Crowded { object, unlisted } in plan.take_crowded() {
            tracing::warn!(%object, unlisted, "the list in the object's status is full: not all of our entries are written");
        }
        if let Some(object) = plan.take_overwritten() {
            tracing::warn!(%object, "another controller overwrites our address in the status of Ingresses; it is put back each time. Let only one of the two write: --update-status=false of ingress-nginx, or --publish-ingress-status off here");
        }
        due
    }
}

/// A time that never comes.
fn far() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(24 * 60 * 60)
}

async fn put(client: Client, version: Option<Box<str>>, write: Write) -> (Write, Written) {
    let mut body = json!({
        "metadata": { "resourceVersion": write.version },
        "status": write.patch,
    });
    if !write.annotations.is_null() {
        // Of an Ingress the API server takes both at once.
        body["metadata"]["annotations"] = write.annotations.clone();
    }
    let parameters = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let api = apply::api(&client, &write.object, version.as_deref());
    let patch = Patch::Merge(&body);
    let name = &write.object.key.name;
    let answer = timeout(DEADLINE, api.patch_status(name, &parameters, &patch)).await;
    let how = match answer {
        Ok(Ok(object)) => Written::Done(object.metadata.resource_version.unwrap_or_default()),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Written::Gone,
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => {
            tracing::debug!(object = %write.object, "somebody wrote at the same time; looking again");
            Written::Failed
        }
        Ok(Err(error)) => {
            tracing::warn!(object = %write.object, %error, "status is not written; trying again");
            Written::Failed
        }
        Err(_) => {
            tracing::warn!(object = %write.object, "status is not written: the API server does not answer; trying again");
            Written::Failed
        }
    };
    (write, how)
}
