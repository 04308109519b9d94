//! Objects, with each read noted.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

use api::{
    Beyond, Kind, Object, ObjectKey, ObjectRef, Resources, Store, Stored, gateway::ReferenceGrant,
};

/// Among how many of the last reads one is looked for before it is noted again.
const RECENT: usize = 8;

/// What can change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    /// The object of that name, with what it says beyond its type; also whether it exists.
    Object(ObjectRef),
    /// All objects of a kind.
    All(Kind),
    /// The policies of a kind that name an object as their target.
    Policies(Kind, ObjectRef),
    /// ReferenceGrants, where the answer counts.
    Grants,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// Something whose answer is another one at most when this changes.
    Of(Topic),
    /// Whether a reference is permitted, and the answer.
    Permit(Box<Access>, bool),
}

/// A reference from a kind in a namespace to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Kind of the object that refers.
    pub from: Kind,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// The object that it refers to.
    pub to: ObjectRef,
}

impl Read {
    pub(crate) fn topic(&self) -> &Topic {
        match self {
            Self::Of(topic) => topic,
            Self::Permit(..) => &Topic::Grants,
        }
    }
}

/// All objects. Each question is noted.
#[derive(Debug)]
pub struct View<'a> {
    resources: &'a Resources,
    reads: RefCell<Vec<Read>>,
    /// By the namespace that they open.
    grants: BTreeMap<&'a str, Vec<&'a ReferenceGrant>>,
}

impl<'a> View<'a> {
    /// A view of these objects, of which nothing was read.
    #[must_use]
    pub fn new(resources: &'a Resources) -> Self {
        Self {
            resources,
            reads: RefCell::default(),
            grants: grants(resources),
        }
    }

    /// The object of that type and name.
    #[must_use]
    pub fn get<T: Stored>(&self, key: &ObjectKey) -> Option<&'a Arc<T>> {
        self.note(Topic::Object(ObjectRef::new(T::KIND, key.clone())));
        T::store(self.resources).get(key)
    }

    /// The object of that kind and name.
    #[must_use]
    pub fn object(&self, reference: &ObjectRef) -> Option<Object> {
        self.note(Topic::Object(reference.clone()));
        self.resources.get(reference)
    }

    /// What an object says beyond its type, if anything.
    #[must_use]
    pub fn beyond(&self, kind: Kind, key: &ObjectKey) -> Option<&'a Beyond> {
        let reference = ObjectRef::new(kind, key.clone());
        let beyond = self.resources.beyond(&reference);
        self.note(Topic::Object(reference));
        beyond
    }

    /// All objects of a type. What reads them is stale whenever any of them changes.
    #[must_use]
    pub fn all<T: Stored>(&self) -> &'a Store<T> {
        self.note(Topic::All(T::KIND));
        T::store(self.resources)
    }

    /// Whether a ReferenceGrant permits the reference. Within a namespace none is needed. A grant with fields that are
    /// not known permits nothing: what they are to keep out is not known either.
    #[must_use]
    pub fn permit(&self, access: Access) -> bool {
        if access.namespace == access.to.key.namespace {
            return true;
        }
        let answer = self.granted(&access);
        self.push(Read::Permit(Box::new(access), answer));
        answer
    }

    /// Notes that something was read, for an index over objects that has the answer.
    pub fn note(&self, topic: Topic) {
        self.push(Read::Of(topic));
    }

    /// Notes these reads: a value was used that was made from them.
    pub fn repeat(&self, reads: &[Read]) {
        self.reads.borrow_mut().extend_from_slice(reads);
    }

    /// Makes a value, and gives what was read for it. What is read within is not noted for what is made around it.
    pub fn track<V>(&self, make: impl FnOnce(&Self) -> V) -> (V, Box<[Read]>) {
        let around = self.reads.take();
        let value = make(self);
        let reads = self.reads.replace(around);
        (value, reads.into_boxed_slice())
    }

    /// Whether a permission that was asked for has the same answer now. Other reads are no matter of answers.
    pub(crate) fn permits_still(&self, read: &Read) -> bool {
        match read {
            Read::Permit(access, answer) => self.granted(access) == *answer,
            Read::Of(_) => true,
        }
    }

    fn push(&self, read: Read) {
        let mut reads = self.reads.borrow_mut();
        // Parts of an object ask the same again and again, in turns.
        if !reads.iter().rev().take(RECENT).any(|known| *known == read) {
            reads.push(read);
        }
    }

    fn granted(&self, access: &Access) -> bool {
        let Access {
            from,
            namespace,
            to: ObjectRef { kind, key },
        } = access;
        let mut grants = self.grants.get(&*key.namespace).into_iter().flatten();
        grants.any(|grant| {
            let mut sources = grant.spec.from.iter();
            let mut targets = grant.spec.to.iter();
            let source = sources.any(|source| {
                source.group == from.group()
                    && source.kind == from.as_str()
                    && *source.namespace == **namespace
            });
            source
                && targets.any(|target| {
                    target.group == kind.group()
                        && target.kind == kind.as_str()
                        && target.name.as_ref().is_none_or(|name| **name == *key.name)
                })
        })
    }
}

/// Grants whose fields are all known, by the namespace that they open.
fn grants(resources: &Resources) -> BTreeMap<&str, Vec<&ReferenceGrant>> {
    let mut grants: BTreeMap<&str, Vec<&ReferenceGrant>> = BTreeMap::new();
    for (key, grant) in &resources.reference_grants {
        let reference = ObjectRef::new(Kind::ReferenceGrant, key.clone());
        if resources.beyond(&reference).is_none_or(Beyond::is_known) {
            grants.entry(&key.namespace).or_default().push(grant);
        }
    }
    grants
}
