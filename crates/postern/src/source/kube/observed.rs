//! What the API server holds of objects beyond what translation reads: who they are, and their status.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{Kind, Object, ObjectKey, ObjectRef};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// An object as the API server has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Seen {
    /// Tells an object from another one of the same name.
    pub(crate) uid: String,
    /// Changes with every write.
    pub(crate) version: String,
    /// Counts changes of the spec.
    pub(crate) generation: i64,
    /// JSON; empty when there is none. Text is a tenth of the size of a tree.
    pub(crate) status: Box<str>,
    /// Of an object that we wrote for an Ingress: what it is now.
    pub(crate) written: Option<Written>,
    /// Of an object that we wrote for an Ingress and whose label somebody has taken off: the owners that it is to keep,
    /// since it still hangs on the Ingress.
    pub(crate) released: Option<Box<[OwnerReference]>>,
    /// Of an Ingress: the annotation that says which addresses in its status are whose
    /// ([`api::annotation::PUBLISHED`]).
    pub(crate) published: Option<Box<str>>,
    /// Of an Ingress: the last to write the addresses in its status was Postern.
    pub(crate) placed: bool,
}

/// An object that we wrote for an Ingress, as it is now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Written {
    /// The object.
    pub(crate) object: Object,
    /// Somebody else has had a hand in its spec.
    pub(crate) edited: bool,
}

/// Shared between the watch, which writes, and those who write to the API server, who read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    seen: BTreeMap<ObjectRef, Arc<Seen>>,
    /// In which version the API server has each kind.
    versions: BTreeMap<Kind, Box<str>>,
    subscribers: Vec<Arc<Subscriber>>,
}

#[derive(Debug, Default)]
struct Subscriber {
    dirty: Mutex<BTreeSet<ObjectRef>>,
    news: Notify,
}

/// Changes for one reader.
#[derive(Debug)]
pub(crate) struct Changes(Arc<Subscriber>);

impl Changes {
    /// Waits until something changes.
    pub(crate) async fn wait(&self) {
        self.0.news.notified().await;
    }

    /// What changed since the last call.
    pub(crate) fn take(&self) -> BTreeSet<ObjectRef> {
        std::mem::take(&mut self.0.dirty.lock())
    }
}

impl Observed {
    /// The object as it is now.
    pub(crate) fn get(&self, object: &ObjectRef) -> Option<Arc<Seen>> {
        self.0.lock().seen.get(object).cloned()
    }

    /// In which version the API server has a kind, if not in the one that is ours anyway.
    pub(crate) fn version(&self, kind: Kind) -> Option<Box<str>> {
        self.0.lock().versions.get(&kind).cloned()
    }

    /// The API server has the kind in this version.
    pub(super) fn served(&self, kind: Kind, version: &str) {
        self.0.lock().versions.insert(kind, version.into());
    }

    /// The names of all objects of a kind.
    pub(super) fn known(&self, kind: Kind) -> Vec<ObjectKey> {
        let state = self.0.lock();
        let of_kind = state.seen.keys().filter(|object| object.kind == kind);
        of_kind.map(|object| object.key.clone()).collect()
    }

    /// Every object.
    pub(crate) fn all(&self) -> Vec<ObjectRef> {
        self.0.lock().seen.keys().cloned().collect()
    }

    /// Every object that we wrote for an Ingress, and those whose label was taken off and that hang on it still.
    pub(crate) fn written(&self) -> Vec<(ObjectRef, Arc<Seen>)> {
        let state = self.0.lock();
        let written = state.seen.iter();
        let written = written.filter(|(_, seen)| seen.written.is_some() || seen.released.is_some());
        written
            .map(|(object, seen)| (object.clone(), Arc::clone(seen)))
            .collect()
    }

    /// From now on changes are noted for one more reader.
    pub(crate) fn subscribe(&self) -> Changes {
        let subscriber = Arc::<Subscriber>::default();
        self.0.lock().subscribers.push(Arc::clone(&subscriber));
        Changes(subscriber)
    }

    /// The object is this now; `None`: there is none.
    pub(crate) fn set(&self, object: &ObjectRef, seen: Option<Seen>) {
        let mut state = self.0.lock();
        if state.seen.get(object).map(|seen| &**seen) == seen.as_ref() {
            return;
        }
        match seen {
            Some(seen) => drop(state.seen.insert(object.clone(), Arc::new(seen))),
            None => drop(state.seen.remove(object)),
        }
        for subscriber in &state.subscribers {
            subscriber.dirty.lock().insert(object.clone());
            subscriber.news.notify_one();
        }
    }
}
