//! Expanding again and again: what did not change is not made again.

use std::{collections::BTreeMap, slice, sync::Arc};

use api::{ObjectKey, Resources};
use tracked::{Changes, View};

use crate::{
    Expansion, Options, Report, broken,
    default_certificate::DefaultCertificate,
    effect, emit, host,
    ingress::{self, Source},
    lookup::Lookup,
    merge::{self, HostGroup},
    neighbours::{Concerned, Neighbours, Said},
    note::{Note, Notes},
    tls,
};

/// [`expand`](crate::expand) for whoever expands again and again: keeps how each Ingress was read and what was written
/// for it for as long as the Ingress, and all that was read of others for it, is the same. Results are those of
/// `expand`.
///
/// What is settled between Ingresses (who owns a path, which canary belongs where, who brings the certificate) is
/// settled anew for those that share a host with one that changed.
#[derive(Default)]
pub struct Expander {
    options: Options,
    /// What was expanded last; nothing before the first time.
    seen: Option<Resources>,
    default_certificate: tracked::Memo<(), DefaultCertificate>,
    readings: ingress::Memo,
    neighbours: Neighbours,
    settled: host::Memo,
    written: emit::Memo,
    said: Said,
    expansion: Expansion,
}

impl Expander {
    /// Translates every Ingress of our classes. An unchanged object must be the same [`Arc`](std::sync::Arc) as before
    /// to be recognised; generated objects that do not change stay the same `Arc`.
    pub fn expand(&mut self, resources: &Resources, options: &Options) -> &Expansion {
        if self.options != *options {
            *self = Self {
                options: options.clone(),
                ..Self::default()
            };
        }
        let none = Resources::default();
        let (resources, changes, _) = Changes::join(self.seen.take(), resources, &none);
        self.step(&resources, changes);
        self.seen = Some(resources);
        &self.expansion
    }

    fn step(&mut self, resources: &Resources, mut changes: Changes) {
        let view = View::new(resources);
        if self.shows_another(&view, &changes) {
            // Everything that is kept was made with it.
            *self = Self {
                options: std::mem::take(&mut self.options),
                default_certificate: std::mem::take(&mut self.default_certificate),
                ..Self::default()
            };
            changes = Changes::Everything;
        }
        let Some(default) = self.default_certificate.get(&()) else {
            return;
        };
        let lookup = Lookup::new(resources, default.clone());
        let options = &self.options;
        let changes = self
            .readings
            .update(&lookup, &changes, &options.ingress_classes);
        self.expansion.left_out.clone_from(self.readings.left_out());
        let concerned = self.neighbours.update(changes);
        if concerned.keys.is_empty() {
            let generated = &mut self.expansion.generated;
            self.written.update_gateway((&lookup, options), generated);
            return;
        }
        self.settle(concerned, &lookup);
        let lists = self.said.values().cloned();
        self.expansion.notes = Report::new(lists.collect());
    }

    /// Whether listeners show another default certificate than before, which is found anew.
    fn shows_another(&mut self, view: &View<'_>, changes: &Changes) -> bool {
        let known = self.default_certificate.get(&());
        if known.is_some() && self.default_certificate.stale(changes, view).is_empty() {
            return false;
        }
        let find = |view: &View<'_>| DefaultCertificate::find(view, &self.options);
        let before = self.default_certificate.keep((), view, find);
        before.as_ref() != self.default_certificate.get(&())
    }

    /// Settles what is between these Ingresses, and writes what has changed by it.
    fn settle(&mut self, concerned: Concerned, lookup: &Lookup<'_>) {
        let Concerned { keys, sources } = concerned;
        let mut notes = Notes::default();
        let sources = self.settled.settle(sources, &mut notes);
        let mut groups = merge::groups(&sources, &mut notes);
        merge::default_backends(&mut groups, &sources, &mut notes);
        broken::note(&groups, &mut notes);
        let mut hosts = tls::owners(&sources, &mut notes);
        tls::redirect_to_https(&mut groups, &hosts, &mut notes);
        let clients = tls::client_tls(&sources, &hosts, &mut notes);
        let any = Arc::new(emit::any_host(&self.options));
        tls::place(&mut groups, &mut hosts, &clients, &any);
        let plans = emit::plans(&groups, &hosts, &clients, lookup);
        let mut before = Said::new();
        for key in &keys {
            before.extend(self.said.remove_entry(key));
            if self.neighbours.get(key).is_none() {
                self.settled.forget(key);
            }
        }
        let bases = bases(&groups);
        let generated = &mut self.expansion.generated;
        let plans = emit::Plans {
            concerned: keys,
            groups,
            sets: plans,
        };
        self.written
            .update(plans, (lookup, &self.options), generated);
        for source in &sources {
            let key = &source.object.key;
            let bases = bases.get(key).map_or(slice::from_ref(key), Vec::as_slice);
            let met = notes.take(&source.object);
            let Some(said) = self.say(source, met, bases) else {
                continue;
            };
            // What is said again stays the same.
            let before = before.remove(key).filter(|before| *before == said);
            self.said.insert(key.clone(), before.unwrap_or(said));
        }
    }

    /// What is said about an Ingress: what was met while it was read and settled, by what is written for it.
    fn say(&self, source: &Source, met: Option<Notes>, bases: &[ObjectKey]) -> Option<Arc<[Note]>> {
        let said = match met {
            Some(met) => {
                let mut notes = Notes::default();
                notes.repeat(source.notes.as_deref());
                notes.extend(met);
                notes.into_lists().next()
            }
            None => source.notes.clone(),
        }?;
        if !said.iter().any(effect::is_open) {
            return Some(said);
        }
        let written = self.written.written(source, bases);
        Some(effect::settled(said, &written))
    }

    /// What was made last.
    #[must_use]
    pub const fn expansion(&self) -> &Expansion {
        &self.expansion
    }

    /// What was made last, for whoever expands no more.
    #[must_use]
    pub fn into_expansion(self) -> Expansion {
        self.expansion
    }
}

/// The Ingresses that canaries belong to, by canary.
fn bases(groups: &[HostGroup]) -> BTreeMap<ObjectKey, Vec<ObjectKey>> {
    let mut bases: BTreeMap<ObjectKey, Vec<ObjectKey>> = BTreeMap::new();
    for group in groups {
        for attached in group.paths.iter().flat_map(|owned| &owned.canaries) {
            let bases = bases.entry(attached.source.object.key.clone());
            let (bases, base) = (bases.or_default(), &group.source.object.key);
            if !bases.contains(base) {
                bases.push(base.clone());
            }
        }
    }
    bases
}

impl std::fmt::Debug for Expander {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expander").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "expander_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "effect_tests.rs"]
mod effect_tests;
