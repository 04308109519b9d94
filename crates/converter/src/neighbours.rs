//! Which Ingresses have to do with each other, so that a change is looked at together with those and no others.
//!
//! Whatever is settled between Ingresses (who owns a path, which canary belongs where, who brings the certificate) is
//! settled between those that share a name: a host that they have, ask for or redirect, or the name of what they
//! become.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::ObjectKey;
use foldhash::HashMap;

use crate::{
    ingress::{Change, Source},
    tls,
};

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
    /// Takes changes in, and gives the Ingresses whose outcome may be another now: each that shared a name with one
    /// that changed, or does now, or shares one with such an Ingress in turn; and those below a wildcard host of any of
    /// them. What decides on these comes along: the Ingresses above them, with whoever shares a name with those.
    pub(crate) fn update(&mut self, changes: Vec<Change>) -> Concerned {
        let mut concerned = Concerned::default();
        let mut walk = Walk::default();
        let mut gone = Vec::new();
        for change in changes {
            if let Some(before) = &change.before {
                let shared = shared_names(before);
                for name in &shared {
                    self.leave(name, &change.key);
                }
                walk.visit(shared, Why::MayChange);
                walk.any_host |= tls::takes_any_host(before);
                self.sources.remove(&change.key);
                gone.push(Arc::clone(before));
            }
            if let Some(now) = change.now {
                let shared = shared_names(&now);
                for name in &shared {
                    let sharers = self.by_name.entry(Arc::clone(name)).or_default();
                    sharers.insert(change.key.clone());
                }
                walk.visit(shared, Why::MayChange);
                walk.any_host |= tls::takes_any_host(&now);
                self.sources.insert(change.key.clone(), now);
            }
            concerned.keys.insert(change.key);
        }
        walk.any_host |= self.takes_any_host();
        // Listeners that it was served on may stand among those of a wider host.
        for before in gone {
            walk.visit(self.above(&before, walk.any_host), Why::MayChange);
        }
        while let Some((name, why)) = walk.names.pop() {
            for key in self.by_name.get(&name).into_iter().flatten() {
                concerned.keys.insert(key.clone());
                if let Some(source) = self.sources.get(key) {
                    walk.visit(shared_names(source), why);
                    walk.visit(self.above(source, walk.any_host), Why::Decides);
                }
            }
            if why == Why::MayChange && (!name.is_empty() || walk.any_host) {
                walk.visit(self.below(&name), Why::MayChange);
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

    /// Whether an Ingress may have a listener for any host to itself.
    fn takes_any_host(&self) -> bool {
        let keys = self.by_name.get("").into_iter().flatten();
        let mut sources = keys.filter_map(|key| self.sources.get(key));
        sources.any(|source| tls::takes_any_host(source))
    }

    /// Names of wider hosts that decide on HTTPS of an Ingress.
    fn above(&self, source: &Source, any_host: bool) -> Vec<Arc<str>> {
        if !tls::looks_up(source) {
            return Vec::new();
        }
        let names = shared_names(source);
        let above = names.iter().flat_map(|name| tls::above(name));
        let above = above.chain(any_host.then(String::new));
        let known = above.filter_map(|name| self.by_name.get_key_value(name.as_str()));
        known.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// Names on whose HTTPS a wildcard host decides.
    fn below(&self, name: &str) -> Vec<Arc<str>> {
        let end = match name.strip_prefix('*') {
            Some(end) => end,
            None if name.is_empty() => "",
            None => return Vec::new(),
        };
        let names = self.by_name.iter();
        let below = names.filter(|(other, keys)| {
            let sources = || keys.iter().filter_map(|key| self.sources.get(key));
            ***other != *name && other.ends_with(end) && sources().any(|s| tls::looks_up(s))
        });
        below.map(|(other, _)| Arc::clone(other)).collect()
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

/// Why the Ingresses of a name are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// They decide on others, and stay what they are.
    Decides,
    /// What becomes of them may be another now.
    MayChange,
}

/// Names that are to be looked at, and those that were seen.
#[derive(Default)]
struct Walk {
    names: Vec<(Arc<str>, Why)>,
    seen: HashMap<Arc<str>, Why>,
    /// An Ingress may have a listener for any host to itself, or had one before it changed.
    any_host: bool,
}

impl Walk {
    fn visit(&mut self, names: Vec<Arc<str>>, why: Why) {
        for name in names {
            if self.seen.get(&name).is_none_or(|known| *known < why) {
                self.seen.insert(Arc::clone(&name), why);
                self.names.push((name, why));
            }
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
