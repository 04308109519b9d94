//! What Ingresses become, as objects: written with server-side apply, kept as they were made, and deleted when no
//! Ingress asks for them any more.
//!
//! What is served does not depend on it: every replica makes the same objects in memory. These are there to be seen,
//! and to be taken over when an Ingress is to go.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use api::{Kind, Object, ObjectKey, ObjectRef, Resources, annotation};
use futures_util::{StreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::{sync::watch, time::sleep};

use crate::{
    apply::{self, Step},
    live::Live,
    pipeline::Made,
    provision,
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

/// What was done lately, and what needs a look.
#[derive(Debug, Default)]
struct Memory {
    /// Of the state that was looked at last.
    generation: i64,
    /// What Ingresses became, as it was looked at last.
    made: Resources,
    /// Likewise, names that somebody else has an object of.
    clashes: BTreeSet<ObjectRef>,
    /// Likewise, kinds that could not be written.
    absent: BTreeSet<Kind>,
    /// Objects that have changed since, here or in the cluster.
    dirty: BTreeSet<ObjectRef>,
    /// The version that an object had when this was applied to it. If it has it still, there is no more to be had: the
    /// API server knows less fields than we do, or somebody has set one that we do not.
    tried: BTreeMap<ObjectRef, (String, Value)>,
    /// Steps that have been taken, and whose outcome the watch has not shown yet.
    recent: BTreeMap<ObjectRef, Instant>,
}

impl Keeper {
    /// Writes until the process ends.
    pub(crate) async fn run(mut self) {
        let changes = self.observed.subscribe();
        let mut published = self.live.published();
        let mut memory = None;
        loop {
            let again = memory.as_ref().is_some_and(Memory::is_waiting);
            tokio::select! {
                Ok(()) = published.changed() => {}
                Ok(()) = self.leader.changed() => {}
                () = changes.wait() => {}
                () = sleep(RETRY), if again => {}
            }
            let changed = changes.take();
            if !*self.leader.borrow_and_update() {
                memory = None;
                continue;
            }
            let Some(current) = self.live.current() else {
                continue;
            };
            let memory = memory.get_or_insert_with(|| Memory::new(&self.observed));
            memory.seen(changed);
            let facts = Facts {
                generation: current.generation(),
                resources: current.resources(),
                made: current.made(),
                absent: current.absent(),
                controller: &self.controller,
                objects: self.objects,
            };
            let steps = facts.steps(&self.observed, memory);
            let client = &self.client;
            let results = stream::iter(steps).map(|step| async move {
                let result = apply::take(client, &step).await;
                (step, result)
            });
            let mut results = std::pin::pin!(results.buffer_unordered(WRITES));
            while let Some((step, result)) = results.next().await {
                if let Err(error) = result {
                    let object = step.object();
                    memory.tried.remove(object);
                    tracing::warn!(%object, %error, "what an Ingress became is not written; trying again");
                }
            }
        }
    }
}

struct Facts<'a> {
    /// Of the state that is served; it grows with each.
    generation: i64,
    resources: &'a Resources,
    made: &'a Made,
    /// Kinds that cannot be written, because there are none.
    absent: &'a BTreeSet<Kind>,
    controller: &'a str,
    objects: bool,
}

impl Facts<'_> {
    /// What is to be done about everything that has changed since the last call.
    fn steps(&self, observed: &Observed, memory: &mut Memory) -> Vec<Step> {
        memory.remind();
        if std::mem::replace(&mut memory.generation, self.generation) != self.generation {
            memory.compare(self.made, self.absent);
        }
        let mut steps = Vec::new();
        for object in std::mem::take(&mut memory.dirty) {
            // Its event comes, and with it another look.
            if memory.recent.contains_key(&object) {
                continue;
            }
            if let Some(step) = self.step(&object, observed, memory) {
                memory.recent.insert(object, Instant::now());
                steps.push(step);
            }
        }
        // What takes an object's place is there before it goes.
        steps.sort_by_key(|step| matches!(step, Step::Delete(..)));
        steps
    }

    fn step(
        &self,
        reference: &ObjectRef,
        observed: &Observed,
        memory: &mut Memory,
    ) -> Option<Step> {
        let seen = observed.get(reference);
        if let Some(seen) = &seen
            && let Some(owners) = &seen.released
        {
            let (version, owners) = (seen.version.clone(), owners.clone());
            return Some(Step::Release(reference.clone(), version, owners));
        }
        let Some(object) = self.wanted(reference) else {
            memory.tried.remove(reference);
            let seen = seen.filter(|seen| self.is_ours_to_delete(seen))?;
            return Some(Step::Delete(reference.clone(), seen.uid.clone()));
        };
        // Made once; or somebody's own: its label has been taken off. The next state that is served has it from the
        // cluster.
        if seen.as_ref().is_some_and(|seen| seen.written.is_none()) {
            return None;
        }
        if !self.is_owned(&object, observed) {
            memory.dirty.insert(reference.clone());
            return None;
        }
        let body = self.body(&object)?;
        if let Some(seen) = &seen {
            let in_vain =
                |(version, tried): &(String, Value)| *version == seen.version && *tried == body;
            if is_kept(&body, seen) || memory.tried.get(reference).is_some_and(in_vain) {
                memory.tried.remove(reference);
                return None;
            }
        }
        let version = seen.map(|seen| seen.version.clone()).unwrap_or_default();
        memory
            .tried
            .insert(reference.clone(), (version.clone(), body.clone()));
        Some(Step::Apply(reference.clone(), apply::onto(body, &version)))
    }

    /// What an Ingress became, if it is to be written. The class is the installation's, and what is there and not
    /// written by us is somebody's own.
    fn wanted(&self, reference: &ObjectRef) -> Option<Object> {
        let written = self.objects || reference.kind == Kind::Gateway;
        if !written
            || reference.kind == Kind::GatewayClass
            || self.absent.contains(&reference.kind)
            || self.resources.get(reference).is_some()
        {
            return None;
        }
        self.made.generated.get(reference)
    }

    /// Whether the Ingress is still there that the object is made for. Where the next state that is served is yet to
    /// hear of its end, what it became is the garbage collector's: made again, it would only be deleted again.
    fn is_owned(&self, object: &Object, observed: &Observed) -> bool {
        let origin = object.origin().and_then(|origin| origin.parse().ok());
        let Some(origin) = origin.filter(|origin: &ObjectRef| origin.kind == Kind::Ingress) else {
            return true;
        };
        let ingress = self.resources.ingresses.get(&origin.key);
        let alive = observed.get(&origin);
        let uid = alive.as_ref().map(|seen| &*seen.uid);
        ingress.is_some_and(|ingress| {
            ingress.metadata.deletion_timestamp.is_none() && ingress.metadata.uid.as_deref() == uid
        })
    }

    /// What hangs on an Ingress that is gone is the garbage collector's.
    fn is_ours_to_delete(&self, seen: &Seen) -> bool {
        let Some(written) = &seen.written else {
            return false;
        };
        let metadata = written.object.metadata();
        let owners = metadata.owner_references.as_deref().unwrap_or_default();
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let alive = |owner: &OwnerReference| {
            let key = ObjectKey::new(namespace, &owner.name);
            let ingress = self.resources.ingresses.get(&key);
            ingress.is_some_and(|ingress| ingress.uid().as_ref() == Some(&owner.uid))
        };
        metadata.deletion_timestamp.is_none() && (owners.is_empty() || owners.iter().any(alive))
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
        let Some(origin) = object.origin() else {
            // It is for all Ingresses of a class, and goes with the last of them.
            return Some(apply::marked(body));
        };
        let origin: ObjectRef = origin.parse().ok()?;
        body["metadata"]["labels"][annotation::INGRESS] = json!(provision::label(&origin.key.name));
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
    /// Of one who begins to write: what was written before needs a look too.
    fn new(observed: &Observed) -> Self {
        let written = observed.written().into_iter();
        Self {
            dirty: written.map(|(object, _)| object).collect(),
            ..Self::default()
        }
    }

    /// The watch has shown these to have changed; what was trusted to come has come.
    fn seen(&mut self, changed: BTreeSet<ObjectRef>) {
        for object in changed {
            self.recent.remove(&object);
            self.dirty.insert(object);
        }
    }

    /// What the watch should have shown by now needs a look.
    fn remind(&mut self) {
        let late = self.recent.extract_if(.., |_, at| at.elapsed() >= PATIENCE);
        self.dirty.extend(late.map(|(object, _)| object));
    }

    /// Notes what has become of Ingresses since the last call.
    fn compare(&mut self, made: &Made, absent: &BTreeSet<Kind>) {
        let joined = self.made.join(&made.generated, &Resources::default());
        let changes = joined.changes.into_iter();
        self.dirty.extend(changes.map(|change| change.reference));
        let clashes: BTreeSet<_> = made.clashes.iter().cloned().collect();
        let turned = self.clashes.symmetric_difference(&clashes);
        self.dirty.extend(turned.cloned());
        self.clashes = clashes;
        for kind in self.absent.symmetric_difference(absent) {
            let keys = made.generated.keys(*kind).into_iter();
            self.dirty
                .extend(keys.map(|key| ObjectRef::new(*kind, key)));
        }
        self.absent.clone_from(absent);
    }

    /// Whether the watch has yet to show something.
    fn is_waiting(&self) -> bool {
        !self.recent.is_empty()
    }
}

#[cfg(test)]
#[path = "translated_tests.rs"]
mod tests;
