//! Expanding again and again: what did not change is not made again.

use std::sync::Arc;

use api::Resources;

use crate::{
    Expansion, Note, Options, Report, emit, host,
    ingress::{self, Source},
    lookup::Lookup,
    merge,
    note::Notes,
};

/// [`expand`](crate::expand) for whoever expands again and again: keeps how each Ingress was read and what was written
/// for it for as long as the Ingress, and all that was read of others for it, is the same. Results are those of `expand`.
///
/// What is settled between Ingresses (who owns a path, which canary belongs where, who brings the certificate) is settled
/// anew each time: that compares names and makes nothing.
#[derive(Default)]
pub struct Expander {
    options: Options,
    readings: ingress::Memo,
    settled: host::Memo,
    written: emit::Memo,
    expansion: Expansion,
}

impl Expander {
    /// Translates every Ingress of our classes. An unchanged object must be the same [`Arc`] as before to be recognised;
    /// generated objects that do not change stay the same `Arc`.
    pub fn expand(&mut self, resources: &Resources, options: &Options) -> &Expansion {
        if self.options != *options {
            *self = Self {
                options: options.clone(),
                ..Self::default()
            };
        }
        let lookup = Lookup::new(resources);
        let mut notes = Notes::default();
        let sources = ingress::sources(&lookup, &options.ingress_classes, &mut self.readings);
        let sources = self.settled.settle(sources, &mut notes);
        let mut groups = merge::groups(&sources, &mut notes);
        merge::default_backends(&mut groups, &sources, &lookup, &mut notes);
        let owners = merge::tls_owners(&sources, &mut notes);
        merge::redirect_to_https(&mut groups, &owners, &mut notes);
        let clients = merge::client_tls(&sources, &owners, &mut notes);
        let sets = emit::listener_sets(&owners);
        for group in &mut groups {
            group.listener_set = sets.get(&group.host).cloned();
        }
        let plans = emit::plans(&groups, &owners, &clients, resources);
        let generated = &mut self.expansion.generated;
        self.written
            .update((groups, plans), &lookup, options, generated);
        self.expansion.notes = report(&sources, notes);
        &self.expansion
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

impl std::fmt::Debug for Expander {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expander").finish_non_exhaustive()
    }
}

/// What each reading said, and what was said when Ingresses met.
fn report(sources: &[Arc<Source>], mut met: Notes) -> Report {
    let mut lists: Vec<Arc<[Note]>> = Vec::with_capacity(sources.len());
    for source in sources {
        match met.take(&source.object) {
            Some(more) => {
                let mut notes = source.notes.clone();
                notes.extend(more);
                lists.extend(notes.into_lists());
            }
            None => lists.extend(source.report.clone()),
        }
    }
    lists.extend(met.into_lists());
    Report::new(lists)
}

#[cfg(test)]
#[path = "expander_tests.rs"]
mod tests;
