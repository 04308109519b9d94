//! What the reading of one Ingress may read of other objects, and what it did read.

use std::{cell::RefCell, sync::Arc};

use api::{ObjectKey, Resources, Store};
use k8s_openapi::api::core::v1::Service;

/// All objects. Every answer is noted: what came of an Ingress holds for as long as the answers stay the same.
///
/// **Invariant:** whoever makes something of an Ingress that is kept asks here, never [`Resources`] itself.
pub(crate) struct Lookup<'a> {
    pub(crate) resources: &'a Resources,
    noted: RefCell<Vec<Read>>,
}

/// A question and its answer.
#[derive(Debug)]
pub(crate) enum Read {
    Service(ObjectKey, Option<Arc<Service>>),
}

impl<'a> Lookup<'a> {
    pub(crate) const fn new(resources: &'a Resources) -> Self {
        Self {
            resources,
            noted: RefCell::new(Vec::new()),
        }
    }

    /// What was asked since the last call.
    pub(crate) fn take_reads(&self) -> Vec<Read> {
        self.noted.take()
    }

    /// Whether the same question would get the same answer.
    pub(crate) fn still(&self, read: &Read) -> bool {
        fn same<T>(store: &Store<T>, key: &ObjectKey, then: Option<&Arc<T>>) -> bool {
            match (store.get(key), then) {
                (Some(now), Some(then)) => Arc::ptr_eq(now, then),
                (None, None) => true,
                _ => false,
            }
        }
        match read {
            Read::Service(key, then) => same(&self.resources.services, key, then.as_ref()),
        }
    }

    pub(crate) fn service(&self, key: &ObjectKey) -> Option<&'a Service> {
        let found = self.resources.services.get(key);
        self.note(Read::Service(key.clone(), found.cloned()));
        found.map(|found| &**found)
    }

    fn note(&self, read: Read) {
        self.noted.borrow_mut().push(read);
    }
}
