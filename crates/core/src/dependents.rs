//! Who has read what: from a change to those whose outcome may be another for it, without asking all others.

use std::collections::BTreeSet;

use api::{Kind, ObjectKey, ObjectRef};
use foldhash::HashMap;

use crate::{
    changes::Changes,
    lookup::{Lookup, Read},
    policy::{Held, Policy},
};

/// Objects, by what their outcome was made from.
#[derive(Debug)]
pub(crate) struct Dependents<K> {
    /// Sorted; most topics have one reader, which is why this is no tree.
    by_topic: HashMap<Topic, Vec<K>>,
}

impl<K> Default for Dependents<K> {
    fn default() -> Self {
        Self {
            by_topic: HashMap::default(),
        }
    }
}

/// What can change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    /// An object of that name.
    Object(Kind, ObjectKey),
    /// The policies of the first kind that hold an object.
    Policies(Kind, Kind, ObjectKey),
    /// Any ReferenceGrant.
    Grants,
}

impl Topic {
    /// What the answer to a question depends on.
    fn of(read: &Read) -> Vec<Self> {
        match read {
            Read::Object(kind, key) => vec![Self::Object(*kind, key.clone())],
            Read::RoutePolicies(route) => {
                let ObjectRef { kind, key } = route;
                vec![Self::Policies(Kind::RoutePolicy, *kind, key.clone())]
            }
            Read::BackendPolicies(route, service, _) => {
                let held =
                    |kind, key: &ObjectKey| Self::Policies(Kind::BackendPolicy, kind, key.clone());
                let route = route.iter().map(|route| held(route.kind, &route.key));
                route.chain([held(Kind::Service, service)]).collect()
            }
            Read::Permit(..) => vec![Self::Grants],
        }
    }
}

impl<K: Clone + Ord> Dependents<K> {
    /// An object's outcome was made from these.
    pub(crate) fn add(&mut self, key: &K, topics: impl IntoIterator<Item = Topic>) {
        for topic in topics {
            let alone = || Vec::with_capacity(1);
            let keys = self.by_topic.entry(topic).or_insert_with(alone);
            if let Err(place) = keys.binary_search(key) {
                keys.insert(place, key.clone());
            }
        }
    }

    /// The outcome does not count any more.
    pub(crate) fn remove(&mut self, key: &K, topics: impl IntoIterator<Item = Topic>) {
        for topic in topics {
            if let Some(keys) = self.by_topic.get_mut(&topic) {
                if let Ok(place) = keys.binary_search(key) {
                    keys.remove(place);
                }
                if keys.is_empty() {
                    self.by_topic.remove(&topic);
                }
            }
        }
    }

    /// Those that depend on it, sorted.
    pub(crate) fn of(&self, topic: &Topic) -> &[K] {
        self.by_topic.get(topic).map_or(&[], Vec::as_slice)
    }

    /// Those that depend on something that has changed. Whoever depends on ReferenceGrants is asked whether they let pass
    /// what they let pass before.
    pub(crate) fn stale(
        &self,
        changes: &Changes,
        lookup: &Lookup<'_>,
        grants_stand: impl Fn(&K) -> bool,
    ) -> BTreeSet<K> {
        let mut stale = BTreeSet::new();
        let mut about = |topic: &Topic| {
            let keys = self.by_topic.get(topic);
            stale.extend(keys.into_iter().flatten().cloned());
        };
        if let Changes::Some(all) = changes {
            for change in all {
                let reference = &change.reference;
                about(&Topic::Object(reference.kind, reference.key.clone()));
            }
        }
        let policies = lookup.policies;
        held(&policies.route, &mut about);
        held(&policies.backend, &mut about);
        held(&policies.client, &mut about);
        held(&policies.backend_tls, &mut about);
        // Whoever asks for the BackendPolicies of a Service asks for these, too.
        for (kind, key) in policies.backend_tls.moved() {
            about(&Topic::Policies(Kind::BackendPolicy, kind, key.clone()));
        }
        if changes.any(Kind::ReferenceGrant) {
            let keys = self.by_topic.get(&Topic::Grants);
            let keys = keys.into_iter().flatten();
            stale.extend(keys.filter(|key| !grants_stand(key)).cloned());
        }
        stale
    }
}

fn held<P: Policy>(policies: &Held<P>, about: &mut impl FnMut(&Topic)) {
    for (kind, key) in policies.moved() {
        about(&Topic::Policies(P::KIND, kind, key.clone()));
    }
}

/// What the answers to questions depend on.
pub(crate) fn topics(reads: &[Read]) -> impl Iterator<Item = Topic> {
    reads.iter().flat_map(Topic::of)
}
