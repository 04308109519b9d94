//! Which Ingresses are ours, and whose rules they have.

use std::{collections::BTreeMap, sync::Arc};

use api::{Kind, ObjectKey, Resources, Store};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use tracked::Changes;

use super::{Source, source};
use crate::{
    class::{Class, LeftOut, Rules},
    lookup::Lookup,
};

const CLASS: &str = "kubernetes.io/ingress.class";
const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";

/// How Ingresses were read, for as long as they, their classes' rules and all that was read for them stay the same.
#[derive(Default)]
pub(crate) struct Memo {
    known: tracked::Memo<ObjectKey, Known>,
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

#[derive(Default)]
struct Known {
    class: Named,
    /// The name of a class that is not ours.
    foreign: Option<Box<str>>,
    /// How it reads, if it is ours.
    source: Option<Arc<Source>>,
}

/// Whose an Ingress is by what it says itself.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Named {
    /// It names no class: the default one's.
    #[default]
    Nothing,
    /// One of ours, by its place among the options.
    Ours(usize),
    Foreign,
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
    fn of(all: &Store<IngressClass>, classes: &[Class]) -> Self {
        Self {
            rules: classes.iter().map(|class| class.rules(all)).collect(),
            default: default_class(all, classes),
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
    fn new(
        ingress: &Arc<Ingress>,
        key: &ObjectKey,
        (lookup, classes, of): (&Lookup<'_>, &[Class], &Classes),
    ) -> Self {
        let class = Named::of(ingress, classes);
        let foreign = (class == Named::Foreign).then(|| self::class(ingress));
        let rules = of.rules(class);
        let source = rules.map(|rules| Arc::new(source(key, ingress, (lookup, rules))));
        Self {
            class,
            foreign: foreign.flatten().map(Into::into),
            source,
        }
    }

    /// The rules that it was read with.
    fn rules(&self) -> Option<Rules> {
        self.source.as_ref().map(|source| Rules {
            profile: source.profile,
            native: source.native,
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
    pub(crate) fn update(
        &mut self,
        lookup: &Lookup<'_>,
        changes: &Changes,
        classes: &[Class],
    ) -> Vec<Change> {
        let view = lookup.view();
        let now = Classes::of(view.all(), classes);
        let mut stale = self.known.stale(changes, view);
        match changes {
            Changes::Everything => stale.extend(view.all::<Ingress>().keys().cloned()),
            Changes::Some(all) => {
                let all = all.iter().map(|change| &change.reference);
                let own = all.filter(|reference| reference.kind == Kind::Ingress);
                stale.extend(own.map(|reference| reference.key.clone()));
            }
        }
        if self.classes.as_ref().is_some_and(|before| *before != now) {
            let other = |known: &Known| known.rules() != now.rules(known.class);
            let others = self.known.iter().filter(|(_, known)| other(known));
            stale.extend(others.map(|(key, _)| key.clone()));
        }
        let same = stale.is_empty() && self.classes.as_ref() == Some(&now);
        let reading = (lookup, classes, &now);
        let changes = stale.into_iter().filter_map(|key| self.read(key, reading));
        let changes = changes.collect();
        if !same {
            self.left_out = left_out(&self.known, &now);
        }
        self.classes = Some(now);
        changes
    }

    /// Reads an Ingress again. Gives what is another for it.
    fn read(
        &mut self,
        key: ObjectKey,
        reading: (&Lookup<'_>, &[Class], &Classes),
    ) -> Option<Change> {
        let view = reading.0.view();
        let before = match view.get::<Ingress>(&key) {
            None => self.known.forget(&key),
            Some(_) => self.known.keep(key.clone(), view, |view| {
                // Reads the Ingress once more, so that it is among what was read.
                let ingress = view.get(&key);
                ingress.map_or_else(Known::default, |ingress| Known::new(ingress, &key, reading))
            }),
        };
        let before = before.and_then(|known| known.source);
        let now = self.known.get(&key);
        let now = now.and_then(|known| known.source.clone());
        (before.is_some() || now.is_some()).then_some(Change { key, before, now })
    }

    /// Ingresses that are not ours.
    pub(crate) const fn left_out(&self) -> &LeftOut {
        &self.left_out
    }
}

fn left_out(all: &tracked::Memo<ObjectKey, Known>, classes: &Classes) -> LeftOut {
    let mut left_out = LeftOut::default();
    let mut by_class: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, known) in all.iter() {
        if classes.rules(known.class).is_some() {
            continue;
        }
        match &known.foreign {
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
fn default_class(all: &Store<IngressClass>, classes: &[Class]) -> Option<usize> {
    let marked = |class: &IngressClass| {
        let annotations = class.metadata.annotations.as_ref();
        let marked = annotations.and_then(|a| a.get(DEFAULT_CLASS));
        marked.is_some_and(|text| text == "true")
    };
    let mut defaults = all.iter().filter(|(_, class)| marked(class));
    defaults.find_map(|(key, _)| place(classes, &key.name))
}

/// Whether an Ingress is of one of the classes.
pub(crate) fn is_ours(ingress: &Ingress, resources: &Resources, classes: &[Class]) -> bool {
    match Named::of(ingress, classes) {
        Named::Ours(_) => true,
        Named::Nothing => default_class(&resources.ingress_classes, classes).is_some(),
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
