//! Which Ingresses have to do with each other, so that a change is looked at together with those and no others.
//!
//! Whatever is settled between Ingresses (who owns a path, which canary belongs where, who brings the certificate) is
//! settled between those that share a name: a host that they have, ask for or redirect, or the name of what they become.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::ObjectKey;
use foldhash::{HashMap, HashSet};

use crate::ingress::{Change, Source};

/// Longer names of Ingresses are cut in what they become, and may be the same then.
const LONG: usize = 200;

/// All Ingresses of ours, by name and by what they share.
#[derive(Default)]
pub(crate) struct Neighbours {
    sources: HashMap<ObjectKey, Arc<Source>>,
    by_name: HashMap<Arc<str>, BTreeSet<ObjectKey>>,
}

/// Ingresses that a change may concern.
#[derive(Default)]
pub(crate) struct Concerned {
    /// Names of all of them, also of those that are gone.
    pub(crate) keys: BTreeSet<ObjectKey>,
    /// Those that are there, oldest first.
    pub(crate) sources: Vec<Arc<Source>>,
}

impl Neighbours {
    /// Takes changes in, and gives the Ingresses whose outcome may be another now: each that shared a name with one that
    /// changed, or does now, or shares one with such an Ingress in turn.
    pub(crate) fn update(&mut self, changes: Vec<Change>) -> Concerned {
        let mut concerned = Concerned::default();
        let mut names = Vec::new();
        let mut seen = HashSet::default();
        for change in changes {
            if let Some(before) = &change.before {
                let shared = shared_names(before);
                for name in &shared {
                    self.leave(name, &change.key);
                }
                visit(shared, &mut names, &mut seen);
                self.sources.remove(&change.key);
            }
            if let Some(now) = change.now {
                let shared = shared_names(&now);
                for name in &shared {
                    let sharers = self.by_name.entry(Arc::clone(name)).or_default();
                    sharers.insert(change.key.clone());
                }
                visit(shared, &mut names, &mut seen);
                self.sources.insert(change.key.clone(), now);
            }
            concerned.keys.insert(change.key);
        }
        while let Some(name) = names.pop() {
            for key in self.by_name.get(&name).into_iter().flatten() {
                if concerned.keys.insert(key.clone())
                    && let Some(source) = self.sources.get(key)
                {
                    visit(shared_names(source), &mut names, &mut seen);
                }
            }
        }
        let sources = concerned
            .keys
            .iter()
            .filter_map(|key| self.sources.get(key));
        concerned.sources = sources.cloned().collect();
        concerned.sources.sort_by(|a, b| a.order().cmp(&b.order()));
        concerned
    }

    fn leave(&mut self, name: &Arc<str>, key: &ObjectKey) {
        if let Some(sharers) = self.by_name.get_mut(name) {
            sharers.remove(key);
            if sharers.is_empty() {
                self.by_name.remove(name);
            }
        }
    }

    /// Names of our Ingresses.
    #[cfg(test)]
    pub(crate) fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.sources.keys()
    }

    /// An Ingress of ours.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&Arc<Source>> {
        self.sources.get(key)
    }
}

/// Names that were not seen yet are to be looked at.
fn visit(shared: Vec<Arc<str>>, names: &mut Vec<Arc<str>>, seen: &mut HashSet<Arc<str>>) {
    for name in shared {
        if seen.insert(Arc::clone(&name)) {
            names.push(name);
        }
    }
}

/// What an Ingress shares with others of the same.
fn shared_names(source: &Source) -> Vec<Arc<str>> {
    let mut names = source.hosts.clone();
    let settings = &source.settings.host;
    let aliases = settings.aliases.iter().flat_map(|(_, aliases)| aliases);
    names.extend(aliases.map(|alias| Arc::from(alias.as_str())));
    if settings.www.is_some() {
        let others = source.hosts.iter().map(|host| www(host).into());
        names.extend(others.collect::<Vec<_>>());
    }
    // The backend of all hosts that nobody has.
    if source.default_backend.is_some() {
        names.push(Arc::from(""));
    }
    let key = &source.object.key;
    if let Some(short) = key.name.get(..LONG) {
        // No host has a slash.
        names.push(format!("{}/{short}", key.namespace).into());
    }
    names
}

/// The host that `from-to-www-redirect` redirects to this one.
pub(crate) fn www(host: &str) -> String {
    match host.strip_prefix("www.") {
        Some(bare) => bare.to_owned(),
        None => format!("www.{host}"),
    }
}

/// What was said about each Ingress, by name.
pub(crate) type Said = BTreeMap<ObjectKey, Arc<[crate::Note]>>;
