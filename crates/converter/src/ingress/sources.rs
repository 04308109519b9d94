//! Which Ingresses are ours.

use std::sync::Arc;

use api::{ObjectKey, Resources, Store};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};

use super::{Source, source};
use crate::{
    lookup::{Lookup, Read},
    profile::Profile,
};

const CLASS: &str = "kubernetes.io/ingress.class";
const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";

/// How Ingresses were read, for as long as they and all that was read for them stay the same. By name.
#[derive(Default)]
pub(crate) struct Memo {
    known: Vec<Known>,
}

struct Known {
    key: ObjectKey,
    ingress: Arc<Ingress>,
    class: Class,
    /// If it is ours.
    was_read: Option<WasRead>,
}

/// Whose an Ingress is by what it says itself.
#[derive(Clone, Copy)]
enum Class {
    /// It names no class: the default one's.
    Default,
    /// One of ours.
    Ours(Profile),
    Foreign,
}

struct WasRead {
    source: Arc<Source>,
    reads: Vec<Read>,
}

impl Class {
    fn of(ingress: &Ingress, classes: &[String]) -> Self {
        match class(ingress) {
            Some(class) if classes.iter().any(|ours| ours == class) => {
                Self::Ours(Profile::of_class(class))
            }
            Some(_) => Self::Foreign,
            None => Self::Default,
        }
    }
}

impl Known {
    fn new(key: &ObjectKey, ingress: &Arc<Ingress>, classes: &[String]) -> Self {
        Self {
            key: key.clone(),
            ingress: Arc::clone(ingress),
            class: Class::of(ingress, classes),
            was_read: None,
        }
    }

    /// Reads the Ingress again, if anything it depends on is not what it was.
    fn update(&mut self, lookup: &Lookup<'_>, default: Option<Profile>) -> Option<Change> {
        let profile = match self.class {
            Class::Ours(profile) => Some(profile),
            Class::Default => default,
            Class::Foreign => None,
        };
        let Some(profile) = profile else {
            return self.gone();
        };
        if let Some(known) = &self.was_read
            && Arc::ptr_eq(&known.source.ingress, &self.ingress)
            && known.source.profile == profile
            && known.reads.iter().all(|read| lookup.still(read))
        {
            return None;
        }
        lookup.take_reads();
        let source = Arc::new(source(&self.key, &self.ingress, (lookup, profile)));
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
    pub(crate) fn update(&mut self, lookup: &Lookup<'_>, classes: &[String]) -> Vec<Change> {
        let resources = lookup.resources;
        let mut changes = self.follow(&resources.ingresses, classes);
        let default = default_class(resources, classes).map(Profile::of_class);
        let known = self.known.iter_mut();
        changes.extend(known.filter_map(|known| known.update(lookup, default)));
        changes
    }

    /// Knows these Ingresses and no others. Gives what went.
    fn follow(&mut self, ingresses: &Store<Ingress>, classes: &[String]) -> Vec<Change> {
        let same = |(known, (key, ingress)): (&Known, (&ObjectKey, &Arc<Ingress>))| {
            Arc::ptr_eq(&known.ingress, ingress) && known.key == *key
        };
        let count = self.known.len();
        if count == ingresses.len() && self.known.iter().zip(ingresses).all(same) {
            return Vec::new();
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
                        class: Class::of(ingress, classes),
                        ..known
                    },
                    None => Known::new(key, ingress, classes),
                });
        }
        gone.extend(before.filter_map(|mut known| known.gone()));
        gone
    }
}

/// The class of Ingresses that name none, if it is ours.
fn default_class<'a>(resources: &'a Resources, classes: &[String]) -> Option<&'a str> {
    let is_default = |(key, class): &(&ObjectKey, &Arc<IngressClass>)| {
        let annotations = class.metadata.annotations.as_ref();
        let marked = annotations.and_then(|a| a.get(DEFAULT_CLASS));
        classes.iter().any(|class| **class == *key.name)
            && marked.is_some_and(|text| text == "true")
    };
    let mut known = resources.ingress_classes.iter();
    known.find(is_default).map(|(key, _)| &*key.name)
}

/// Whether an Ingress is of one of the classes.
pub(crate) fn is_ours(ingress: &Ingress, resources: &Resources, classes: &[String]) -> bool {
    match Class::of(ingress, classes) {
        Class::Ours(_) => true,
        Class::Default => default_class(resources, classes).is_some(),
        Class::Foreign => false,
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
