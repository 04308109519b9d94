//! Values that are kept for as long as their reads stand.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::HashMap;

use crate::{Changes, Read, Topic, View, changes};

/// Values by key, each with what was read for it, and who has read what.
#[derive(Debug)]
pub struct Memo<K, V> {
    kept: BTreeMap<K, Kept<V>>,
    /// Keys by what was read for their values. Sorted; most topics have one reader, which is why this is no tree.
    readers: HashMap<Topic, Vec<K>>,
}

#[derive(Debug)]
struct Kept<V> {
    value: V,
    reads: Box<[Read]>,
}

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self {
            kept: BTreeMap::new(),
            readers: HashMap::default(),
        }
    }
}

impl<K: Clone + Ord, V> Memo<K, V> {
    /// Keys whose values may be others now, because something that was read for them changed. They stay what they are
    /// until [`Self::keep`] or [`Self::forget`].
    #[must_use]
    pub fn stale(&self, changes: &Changes, view: &View<'_>) -> BTreeSet<K> {
        if matches!(changes, Changes::Everything) {
            return self.kept.keys().cloned().collect();
        }
        let topics = changes.iter().flat_map(changes::topics);
        let readers = topics.flat_map(|topic| self.readers(&topic));
        let mut stale: BTreeSet<K> = readers.cloned().collect();
        if changes.any(api::Kind::ReferenceGrant) {
            let stands = |key: &&K| self.reads(key).iter().all(|read| view.permits_still(read));
            let asked = self.readers(&Topic::Grants).iter();
            stale.extend(asked.filter(|key| !stands(key)).cloned());
        }
        stale
    }

    /// Makes a value and keeps it. Gives the value that it replaces.
    pub fn keep(
        &mut self,
        key: K,
        view: &View<'_>,
        make: impl FnOnce(&View<'_>) -> V,
    ) -> Option<V> {
        let (value, reads) = view.track(make);
        let before = self.forget(&key);
        for read in &reads {
            let topic = read.topic();
            let readers = match self.readers.get_mut(topic) {
                Some(readers) => readers,
                None => {
                    let first = || Vec::with_capacity(1);
                    self.readers.entry(topic.clone()).or_insert_with(first)
                }
            };
            if let Err(place) = readers.binary_search(&key) {
                readers.insert(place, key.clone());
            }
        }
        self.kept.insert(key, Kept { value, reads });
        before
    }

    /// Lets a value go.
    pub fn forget(&mut self, key: &K) -> Option<V> {
        let Kept { value, reads } = self.kept.remove(key)?;
        for read in &reads {
            let topic = read.topic();
            if let Some(readers) = self.readers.get_mut(topic) {
                if let Ok(place) = readers.binary_search(key) {
                    readers.remove(place);
                }
                if readers.is_empty() {
                    self.readers.remove(topic);
                }
            }
        }
        Some(value)
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.kept.get(key).map(|kept| &kept.value)
    }

    /// Likewise, for parts of it that are not made from what is read.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.kept.get_mut(key).map(|kept| &mut kept.value)
    }

    /// All values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.kept.iter().map(|(key, kept)| (key, &kept.value))
    }

    /// Likewise, for parts of them that are not made from what is read.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        { self.kept.iter_mut() }.map(|(key, kept)| (key, &mut kept.value))
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// What was read for the value of a key.
    #[must_use]
    pub fn reads(&self, key: &K) -> &[Read] {
        self.kept.get(key).map_or(&[], |kept| &kept.reads)
    }

    /// Keys for whose values that was read, sorted.
    #[must_use]
    pub fn readers(&self, topic: &Topic) -> &[K] {
        self.readers.get(topic).map_or(&[], Vec::as_slice)
    }
}
