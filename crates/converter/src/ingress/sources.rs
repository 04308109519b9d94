//! Which Ingresses are ours, and whose rules they have.

use std::{collections::BTreeMap, sync::Arc};

use api::{ObjectKey, Resources, Store};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};

use super::{Source, source};
use crate::{
    class::{Class, LeftOut, Rules},
    lookup::{Lookup, Read},
};

const CLASS: &str = "kubernetes.io/ingress.class";
const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";

/// How Ingresses were read, for as long as they and all that was read for them stay the same. By name.
#[derive(Default)]
pub(crate) struct Memo {
    known: Vec<Known>,
    /// What each of our classes was when the Ingresses were read last.
    classes: Option<Classes>,
    left_out: LeftOut,
}

/// Our classes, as the objects say.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Classes {
    /// In the order of the options.
    rules: Vec<Rules>,
    /// The class of Ingresses that name none, if it is ours.
    default: Option<usize>,
}

struct Known {
    key: ObjectKey,
    ingress: Arc<Ingress>,
    class: Named,
    /// If it is ours.
    was_read: Option<WasRead>,
}

/// Whose an Ingress is by what it says itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    /// It names no class: the default one's.
    Nothing,
    /// One of ours, by its place among the options.
    Ours(usize),
    Foreign,
}

struct WasRead {
    source: Arc<Source>,
    reads: Vec<Read>,
}

impl Named {
    fn of(ingress: &Ingress, classes: &[Class]) -> Self {
        let Some(name) = class(ingress) else {
            return Self::Nothing;
        };
        match place(classes, name) {
            Some(at) => Self::Ours(at),
            None => Self::Foreign,
        }
    }
}

/// Where a class stands among ours. Of two of that name, one that says whose rules it has.
fn place(classes: &[Class], name: &str) -> Option<usize> {
    let named = |class: &Class| class.name == name;
    let says = |class: &Class| named(class) && class.profile.is_some();
    let at = classes.iter().position(says);
    at.or_else(|| classes.iter().position(named))
}

impl Classes {
    fn of(resources: &Resources, classes: &[Class]) -> Self {
        Self {
            rules: classes.iter().map(|class| class.rules(resources)).collect(),
            default: default_class(resources, classes),
        }
    }

    /// The rules of an Ingress, if it is ours.
    fn rules(&self, class: Named) -> Option<Rules> {
        let at = match class {
            Named::Ours(at) => at,
            Named::Nothing => self.default?,
            Named::Foreign => return None,
        };
        self.rules.get(at).copied()
    }
}

impl Known {
    fn new(key: &ObjectKey, ingress: &Arc<Ingress>, classes: &[Class]) -> Self {
        Self {
            key: key.clone(),
            ingress: Arc::clone(ingress),
            class: Named::of(ingress, classes),
            was_read: None,
        }
    }

    /// Reads the Ingress again, if anything it depends on is not what it was.
    fn update(&mut self, lookup: &Lookup<'_>, classes: &Classes) -> Option<Change> {
        let Some(rules) = classes.rules(self.class) else {
            return self.gone();
        };
        if let Some(known) = &self.was_read
            && Arc::ptr_eq(&known.source.ingress, &self.ingress)
            && known.source.profile == rules.profile
            && known.source.native == rules.native
            && known.reads.iter().all(|read| lookup.still(read))
        {
            return None;
        }
        lookup.take_reads();
        let source = Arc::new(source(&self.key, &self.ingress, (lookup, rules)));
        let read = WasRead {
            source: Arc::clone(&source),
            reads: lookup.take_reads(),
        };
        Some(Change {
            key: self.key.clone(),
            before: self.was_read.replace(read).map(|before| before.source),
            now: Some(source),
        })
    }

    /// It is ours no more.
    fn gone(&mut self) -> Option<Change> {
        Some(Change {
            key: self.key.clone(),
            before: Some(self.was_read.take()?.source),
            now: None,
        })
    }
}

/// An Ingress that reads otherwise than before.
pub(crate) struct Change {
    pub(crate) key: ObjectKey,
    pub(crate) before: Option<Arc<Source>>,
    pub(crate) now: Option<Arc<Source>>,
}

impl Memo {
    /// Takes in what came, changed and went: how Ingresses of the wanted classes read now.
    pub(crate) fn update(&mut self, lookup: &Lookup<'_>, classes: &[Class]) -> Vec<Change> {
        let resources = lookup.resources;
        let (same, mut changes) = self.follow(&resources.ingresses, classes);
        let now = Classes::of(resources, classes);
        if !same || self.classes.as_ref() != Some(&now) {
            self.left_out = left_out(&self.known, &now);
        }
        let known = self.known.iter_mut();
        changes.extend(known.filter_map(|known| known.update(lookup, &now)));
        self.classes = Some(now);
        changes
    }

    /// Ingresses that are not ours.
    pub(crate) const fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// Knows these Ingresses and no others. Gives whether it did already, and what went.
    fn follow(&mut self, ingresses: &Store<Ingress>, classes: &[Class]) -> (bool, Vec<Change>) {
        let same = |(known, (key, ingress)): (&Known, (&ObjectKey, &Arc<Ingress>))| {
            Arc::ptr_eq(&known.ingress, ingress) && known.key == *key
        };
        let count = self.known.len();
        if count == ingresses.len() && self.known.iter().zip(ingresses).all(same) {
            return (true, Vec::new());
        }
        let mut gone = Vec::new();
        let before = std::mem::replace(&mut self.known, Vec::with_capacity(ingresses.len()));
        let mut before = before.into_iter().peekable();
        for (key, ingress) in ingresses {
            while let Some(mut known) = before.next_if(|known| known.key < *key) {
                gone.extend(known.gone());
            }
            self.known
                .push(match before.next_if(|known| known.key == *key) {
                    Some(known) if Arc::ptr_eq(&known.ingress, ingress) => known,
                    Some(known) => Known {
                        ingress: Arc::clone(ingress),
                        class: Named::of(ingress, classes),
                        ..known
                    },
                    None => Known::new(key, ingress, classes),
                });
        }
        gone.extend(before.filter_map(|mut known| known.gone()));
        (false, gone)
    }
}

fn left_out(known: &[Known], classes: &Classes) -> LeftOut {
    let mut left_out = LeftOut::default();
    let mut by_class: BTreeMap<&str, usize> = BTreeMap::new();
    for known in known {
        if classes.rules(known.class).is_some() {
            continue;
        }
        match class(&known.ingress) {
            Some(name) => *by_class.entry(name).or_default() += 1,
            None => left_out.without_class += 1,
        }
    }
    let by_class = by_class.into_iter();
    left_out.by_class = by_class
        .map(|(name, count)| (name.to_owned(), count))
        .collect();
    left_out
}

/// The class of Ingresses that name none, if it is ours.
fn default_class(resources: &Resources, classes: &[Class]) -> Option<usize> {
    let marked = |class: &IngressClass| {
        let annotations = class.metadata.annotations.as_ref();
        let marked = annotations.and_then(|a| a.get(DEFAULT_CLASS));
        marked.is_some_and(|text| text == "true")
    };
    let known = resources.ingress_classes.iter();
    let mut defaults = known.filter(|(_, class)| marked(class));
    defaults.find_map(|(key, _)| place(classes, &key.name))
}

/// Whether an Ingress is of one of the classes.
pub(crate) fn is_ours(ingress: &Ingress, resources: &Resources, classes: &[Class]) -> bool {
    match Named::of(ingress, classes) {
        Named::Ours(_) => true,
        Named::Nothing => default_class(resources, classes).is_some(),
        Named::Foreign => false,
    }
}

/// The old annotation decides alone where it is set.
fn class(ingress: &Ingress) -> Option<&str> {
    let annotation = ingress
        .metadata
        .annotations
        .as_ref()
        .and_then(|a| a.get(CLASS));
    annotation
        .map(String::as_str)
        .or_else(|| ingress.spec.as_ref()?.ingress_class_name.as_deref())
}
