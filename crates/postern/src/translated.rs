//! What Ingresses become, as objects: written with server-side apply, kept as they were made, and deleted when no Ingress
//! asks for them any more.
//!
//! What is served does not depend on it: every replica makes the same objects in memory. These are there to be seen, and
//! to be taken over when an Ingress is to go.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use api::{Kind, Object, ObjectRef, Resources, annotation};
use futures_util::{StreamExt, stream};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::{sync::watch, time::sleep};

use crate::{
    apply::{self, Step},
    live::Live,
    pipeline::Made,
    source::kube::observed::{Observed, Seen},
};

/// What failed is tried again after this long.
const RETRY: Duration = Duration::from_secs(2);
/// For this long what was applied is trusted to come back by the watch.
const PATIENCE: Duration = Duration::from_secs(5);
/// Writes at the same time.
const WRITES: usize = 8;

/// Writes what Ingresses become.
pub(crate) struct Keeper {
    pub(crate) client: Client,
    /// What is served.
    pub(crate) live: Arc<Live>,
    /// What the API server holds.
    pub(crate) observed: Observed,
    /// Whether it is for us to write.
    pub(crate) leader: watch::Receiver<bool>,
    /// Our name on objects that we keep.
    pub(crate) controller: String,
    /// Whether objects are written at all; without, only the Gateway is, and objects of before are deleted.
    pub(crate) objects: bool,
}

/// What was done lately, and what was found to be as it should be.
#[derive(Debug, Default)]
struct Memory {
    /// Objects that need no look unless they or their copies change.
    settled: BTreeMap<ObjectRef, Settled>,
    /// The version that an object had when this was applied to it. If it has it still, there is no more to be had: the
    /// API server knows less fields than we do, or somebody has set one that we do not.
    tried: BTreeMap<ObjectRef, (String, Value)>,
    /// Steps that have been taken, and whose outcome the watch has not shown yet.
    recent: BTreeMap<ObjectRef, Instant>,
}

#[derive(Debug)]
struct Settled {
    made: Object,
    seen: Arc<Seen>,
}

impl Keeper {
    /// Writes until the process ends.
    pub(crate) async fn run(mut self) {
        let changes = self.observed.subscribe();
        let mut published = self.live.published();
        let mut memory = Memory::default();
        let mut again = false;
        loop {
            tokio::select! {
                Ok(()) = published.changed() => {}
                Ok(()) = self.leader.changed() => {}
                () = changes.wait() => {}
                () = sleep(RETRY), if again => {}
            }
            for object in changes.take() {
                // Its copy has changed: what was trusted to come has come.
                memory.recent.remove(&object);
            }
            again = false;
            if !*self.leader.borrow_and_update() {
                memory = Memory::default();
                continue;
            }
            let Some(current) = self.live.current() else {
                continue;
            };
            let facts = Facts {
                resources: current.resources(),
                made: current.made(),
                absent: current.absent(),
                controller: &self.controller,
                objects: self.objects,
            };
            let steps = facts.steps(&self.observed, &mut memory);
            again = !memory.recent.is_empty();
            let client = &self.client;
            let results = stream::iter(steps).map(|step| async move {
                let result = apply::take(client, &step).await;
                (step, result)
            });
            let mut results = std::pin::pin!(results.buffer_unordered(WRITES));
            while let Some((Step::Apply(object, _) | Step::Delete(object, _), result)) =
                results.next().await
            {
                if let Err(error) = result {
                    memory.tried.remove(&object);
                    tracing::warn!(%object, %error, "what an Ingress became is not written; trying again");
                }
            }
        }
    }
}

struct Facts<'a> {
    resources: &'a Resources,
    made: &'a Made,
    /// Kinds that cannot be written, because there are none.
    absent: &'a BTreeSet<Kind>,
    controller: &'a str,
    objects: bool,
}

impl Facts<'_> {
    fn steps(&self, observed: &Observed, memory: &mut Memory) -> Vec<Step> {
        memory.recent.retain(|_, at| at.elapsed() < PATIENCE);
        let mut steps = Vec::new();
        let mut wanted = BTreeSet::new();
        for object in self.made.generated.iter() {
            let reference = object.reference();
            let gateway = reference.kind == Kind::Gateway;
            // The class is the installation's, and what is there and not written by us is somebody's own.
            if reference.kind == Kind::GatewayClass
                || self.absent.contains(&reference.kind)
                || self.resources.get(&reference).is_some()
                || !(self.objects || gateway)
            {
                continue;
            }
            wanted.insert(reference.clone());
            let seen = observed.get(&reference);
            if gateway && seen.is_some() {
                // Made once; the next state that is served has it from the cluster.
                continue;
            }
            if memory.is_settled(&reference, &object, seen.as_ref())
                || memory.recent.contains_key(&reference)
            {
                continue;
            }
            let Some(body) = self.body(&object) else {
                continue;
            };
            let tried = memory.tried.get(&reference);
            let enough = |seen: &Seen| {
                let in_vain =
                    |(version, tried): &(String, Value)| *version == seen.version && *tried == body;
                is_kept(&body, seen) || tried.is_some_and(in_vain)
            };
            match seen {
                Some(seen) if enough(&seen) => memory.settle(reference, object, seen),
                seen => {
                    let version = seen.map(|seen| seen.version.clone()).unwrap_or_default();
                    memory
                        .tried
                        .insert(reference.clone(), (version, body.clone()));
                    memory.recent.insert(reference.clone(), Instant::now());
                    steps.push(Step::Apply(reference, body));
                }
            }
        }
        memory.settled.retain(|object, _| wanted.contains(object));
        memory.tried.retain(|object, _| wanted.contains(object));
        for (object, seen) in observed.written() {
            if !wanted.contains(&object)
                && self.is_ours_to_delete(&seen)
                && !memory.recent.contains_key(&object)
            {
                memory.recent.insert(object.clone(), Instant::now());
                steps.push(Step::Delete(object, seen.uid.clone()));
            }
        }
        steps
    }

    /// What hangs on an Ingress that is gone is the garbage collector's.
    fn is_ours_to_delete(&self, seen: &Seen) -> bool {
        let Some(written) = &seen.written else {
            return false;
        };
        let metadata = written.object.metadata();
        let owners = metadata.owner_references.as_deref().unwrap_or_default();
        let alive = |uid: &str| {
            let mut ingresses = self.resources.ingresses.values();
            ingresses.any(|ingress| ingress.metadata.uid.as_deref() == Some(uid))
        };
        metadata.deletion_timestamp.is_none()
            && (owners.is_empty() || owners.iter().any(|owner| alive(&owner.uid)))
    }

    /// The object as it is to be written.
    fn body(&self, object: &Object) -> Option<Value> {
        let mut body = object.to_json().ok()?;
        if object.reference().kind == Kind::Gateway {
            // Made once, and from then on a Gateway like others: nothing of ours hangs on it.
            return Some(body);
        }
        body["metadata"]["labels"][annotation::TRANSLATED] = json!("true");
        body["metadata"]["annotations"][annotation::CONTROLLER] = json!(self.controller);
        let origin: ObjectRef = object.origin()?.parse().ok()?;
        let ingress = self.resources.ingresses.get(&origin.key)?;
        let namespace = object.metadata().namespace.as_ref();
        if let Some(uid) = ingress
            .uid()
            .filter(|_| namespace == ingress.metadata.namespace.as_ref())
        {
            body["metadata"]["ownerReferences"] = json!([{
                "apiVersion": Kind::Ingress.api_version(),
                "kind": Kind::Ingress.as_str(),
                "name": origin.key.name,
                "uid": uid,
            }]);
        }
        Some(apply::marked(body))
    }
}

/// Whether a live object is as it was made.
fn is_kept(body: &Value, seen: &Seen) -> bool {
    let Some(written) = &seen.written else {
        return false;
    };
    !written.edited
        && written
            .object
            .to_json()
            .is_ok_and(|live| apply::holds(body, &live))
}

impl Memory {
    fn is_settled(&self, reference: &ObjectRef, made: &Object, seen: Option<&Arc<Seen>>) -> bool {
        let Some(settled) = self.settled.get(reference) else {
            return false;
        };
        seen.is_some_and(|seen| Arc::ptr_eq(seen, &settled.seen)) && settled.made.is_same(made)
    }

    fn settle(&mut self, reference: ObjectRef, made: Object, seen: Arc<Seen>) {
        self.tried.remove(&reference);
        self.settled.insert(reference, Settled { made, seen });
    }
}

#[cfg(test)]
#[path = "translated_tests.rs"]
mod tests;
