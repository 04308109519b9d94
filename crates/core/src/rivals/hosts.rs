//! Rivals of one kind, by their hosts.

use std::{collections::BTreeSet, ops::Bound};

use foldhash::HashMap;
use ir::HostPattern;

use super::{Rival, Seniority};
use crate::conflict::wider;

/// Routes of one kind, by their hosts.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    pub(super) at: HashMap<HostPattern, Ranks>,
    /// By every pattern that is wider than a host of theirs.
    pub(super) within: HashMap<HostPattern, Ranks>,
}

#[derive(Debug, Default)]
pub(super) struct Ranks {
    pub(super) standing: BTreeSet<Seniority>,
    refused: BTreeSet<Seniority>,
}

impl Hosts {
    pub(super) fn insert(&mut self, rank: &Seniority, rival: &Rival) {
        for host in rival.hosts.iter() {
            let ranks = self.at.entry(host.clone()).or_default();
            ranks.of_mut(rival).insert(rank.clone());
            for wider in wider(host) {
                let ranks = self.within.entry(wider).or_default();
                ranks.of_mut(rival).insert(rank.clone());
            }
        }
    }

    pub(super) fn remove(&mut self, rank: &Seniority, rival: &Rival) {
        let remove = |from: &mut HashMap<HostPattern, Ranks>, host: &HostPattern| {
            let Some(ranks) = from.get_mut(host) else {
                return;
            };
            ranks.of_mut(rival).remove(rank);
            if ranks.standing.is_empty() && ranks.refused.is_empty() {
                from.remove(host);
            }
        };
        for host in rival.hosts.iter() {
            remove(&mut self.at, host);
            for wider in wider(host) {
                remove(&mut self.within, &wider);
            }
        }
    }

    /// Routes that have a host in common with these, in groups.
    pub(super) fn meeting(&self, hosts: &[HostPattern]) -> Vec<&Ranks> {
        let mut found = Vec::new();
        for host in hosts {
            found.extend(self.at.get(host));
            found.extend(self.within.get(host));
            found.extend(wider(host).iter().filter_map(|wider| self.at.get(wider)));
        }
        found
    }
}

impl Ranks {
    const fn of_mut(&mut self, rival: &Rival) -> &mut BTreeSet<Seniority> {
        match rival.refused {
            None => &mut self.standing,
            Some(_) => &mut self.refused,
        }
    }

    /// Those that come after `rank`.
    pub(super) fn after<'r>(&'r self, rank: &'r Seniority) -> impl Iterator<Item = &'r Seniority> {
        let after = || (Bound::Excluded(rank), Bound::Unbounded);
        self.standing
            .range(after())
            .chain(self.refused.range(after()))
    }
}
