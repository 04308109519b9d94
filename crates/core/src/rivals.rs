//! HTTPRoutes and GRPCRoutes that meet on a host of one listener: who gives way to whom.
//!
//! > If a Route (A) of type HTTPRoute or GRPCRoute is attached to a Listener and that listener already has another
//! > Route (B) of the other type attached and the intersection of the hostnames of A and B is non-empty, then the
//! > implementation MUST accept exactly one of these two routes, determined by the following criteria, in order: The
//! > oldest Route based on creation timestamp. The Route appearing first in alphabetical order by "{namespace}/{name}".
//!
//! (<https://gateway-api.sigs.k8s.io/reference/spec/#grpcroutespec>) A route that has given way keeps no other away, so
//! who stays is settled in order of age.

mod hosts;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{Kind, ObjectRef};
use ir::HostPattern;

use self::hosts::Hosts;
use crate::{
    precedence::{Age, Alphabetical},
    route::TranslatedRoute,
};

/// Which of two routes stays: the one before the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seniority {
    /// What no parent accepts anyway has no host to hold against others.
    rejected: bool,
    age: Age,
    name: Alphabetical,
    kind: Kind,
}

impl Seniority {
    pub(crate) fn of(route: &ObjectRef, translated: &TranslatedRoute) -> Self {
        Self {
            rejected: !translated.acceptable(),
            age: translated.age.clone(),
            name: Alphabetical(route.key.clone()),
            kind: route.kind,
        }
    }

    fn route(&self) -> ObjectRef {
        ObjectRef::new(self.kind, self.name.0.clone())
    }
}

/// Why a route is not served on a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The first of those that have a host of it.
    pub(crate) by: ObjectRef,
    /// A host that both are for.
    pub(crate) host: HostPattern,
}

impl Refusal {
    /// In the words of a condition.
    pub(crate) fn message(&self, listener: &str) -> String {
        let ObjectRef { kind, key } = &self.by;
        let host = &self.host;
        format!("listener {listener} does not serve it: for host {host}, {kind} {key} comes first")
    }
}

/// What is said about routes that were not told so before; `None`: nothing stands against them any more.
pub(crate) type Verdicts = Vec<(ObjectRef, Option<Arc<Refusal>>)>;

/// Which of the kinds that cannot share a host a route is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Http,
    Grpc,
}

impl Side {
    pub(crate) const fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::HttpRoute => Some(Self::Http),
            Kind::GrpcRoute => Some(Self::Grpc),
            _ => None,
        }
    }
}

/// All HTTPRoutes and GRPCRoutes of a listener that has both.
#[derive(Debug, Default)]
pub(crate) struct Rivals {
    all: BTreeMap<Seniority, Rival>,
    http: Hosts,
    grpc: Hosts,
}

#[derive(Debug)]
struct Rival {
    hosts: Arc<[HostPattern]>,
    refused: Option<Arc<Refusal>>,
}

/// Routes that are to be asked anew.
struct Affected {
    ranks: BTreeSet<Seniority>,
    /// How many more to look for. Where routes meet in crowds it is less work to ask all of them once than to find out
    /// whom to ask; at zero, all are in.
    patience: usize,
}

impl Rivals {
    /// Settles who of these stays, from the start.
    pub(crate) fn begin(
        &mut self,
        routes: impl Iterator<Item = (Seniority, Arc<[HostPattern]>)>,
    ) -> Verdicts {
        for (rank, hosts) in routes {
            self.insert(rank, hosts);
        }
        self.settle(Affected {
            ranks: self.all.keys().cloned().collect(),
            patience: 0,
        })
    }

    /// Some routes go, others come. Gives what is another verdict than before, and any that stands against those that
    /// come.
    pub(crate) fn change(
        &mut self,
        gone: BTreeSet<Seniority>,
        come: Vec<(Seniority, Arc<[HostPattern]>)>,
    ) -> Verdicts {
        let (mut verdicts, affected) = self.exchange(gone, come);
        // These come later: another verdict takes the place of one that stood before.
        verdicts.extend(self.settle(affected));
        verdicts
    }

    /// Gives the verdicts that stand so far against routes that come back as they went, and who is to be asked anew.
    /// Whoever comes back so moves nobody: most changes of a route are to its rules.
    fn exchange(
        &mut self,
        mut gone: BTreeSet<Seniority>,
        mut come: Vec<(Seniority, Arc<[HostPattern]>)>,
    ) -> (Verdicts, Affected) {
        let mut stand = Verdicts::new();
        come.retain(|(rank, hosts)| {
            let same = self.all.get(rank).filter(|rival| rival.hosts == *hosts);
            let Some(rival) = same.filter(|_| gone.remove(rank)) else {
                return true;
            };
            let refused = rival.refused.clone();
            stand.extend(refused.map(|refusal| (rank.route(), Some(refusal))));
            false
        });
        let mut affected = Affected {
            ranks: BTreeSet::new(),
            patience: 4 * self.all.len() + come.len(),
        };
        for rank in &gone {
            if let Some(rival) = self.all.remove(rank) {
                self.affect((rank, &rival.hosts), &mut affected);
                self.hosts_mut(rank).remove(rank, &rival);
            }
        }
        for (rank, hosts) in come {
            self.affect((&rank, &hosts), &mut affected);
            affected.ranks.insert(rank.clone());
            self.insert(rank, hosts);
        }
        (stand, affected)
    }

    fn insert(&mut self, rank: Seniority, hosts: Arc<[HostPattern]>) {
        let rival = Rival {
            hosts,
            refused: None,
        };
        self.hosts_mut(&rank).insert(&rank, &rival);
        self.all.insert(rank, rival);
    }

    const fn hosts_mut(&mut self, rank: &Seniority) -> &mut Hosts {
        match Side::of(rank.kind) {
            Some(Side::Grpc) => &mut self.grpc,
            _ => &mut self.http,
        }
    }

    const fn others(&self, rank: &Seniority) -> &Hosts {
        match Side::of(rank.kind) {
            Some(Side::Grpc) => &self.http,
            _ => &self.grpc,
        }
    }

    /// The verdict of those of the other kind that come later may hang on this route.
    fn affect(&self, (rank, hosts): (&Seniority, &[HostPattern]), affected: &mut Affected) {
        if affected.patience == 0 {
            return;
        }
        for ranks in self.others(rank).meeting(hosts) {
            for junior in ranks.after(rank) {
                affected.ranks.insert(junior.clone());
                affected.patience -= 1;
                if affected.patience == 0 {
                    affected.ranks.extend(self.all.keys().cloned());
                    return;
                }
            }
        }
    }

    /// What stands against a route, if all before it are settled.
    fn verdict(&self, rank: &Seniority, hosts: &[HostPattern]) -> Option<Refusal> {
        let meeting = self.others(rank).meeting(hosts).into_iter();
        let first = meeting.filter_map(|ranks| ranks.standing.first()).min();
        let first = first.filter(|first| *first < rank)?;
        let theirs = &self.all.get(first)?.hosts;
        let mut shared = hosts
            .iter()
            .flat_map(|host| theirs.iter().filter_map(|their| their.intersect(host)));
        Some(Refusal {
            by: first.route(),
            host: shared.next()?,
        })
    }

    /// Asks these routes anew, and those whose verdict hangs on theirs.
    fn settle(&mut self, mut affected: Affected) -> Verdicts {
        let mut changed = Vec::new();
        while let Some(rank) = affected.ranks.pop_first() {
            let Some(rival) = self.all.get(&rank) else {
                continue;
            };
            let verdict = self.verdict(&rank, &rival.hosts);
            if verdict.as_ref() == rival.refused.as_deref() {
                continue;
            }
            if verdict.is_some() != rival.refused.is_some() {
                self.affect((&rank, &rival.hosts), &mut affected);
            }
            let verdict = verdict.map(Arc::new);
            self.decide(&rank, verdict.clone());
            changed.push((rank.route(), verdict));
        }
        changed
    }

    fn decide(&mut self, rank: &Seniority, verdict: Option<Arc<Refusal>>) {
        if let Some(mut rival) = self.all.remove(rank) {
            let hosts = self.hosts_mut(rank);
            hosts.remove(rank, &rival);
            rival.refused = verdict;
            hosts.insert(rank, &rival);
            self.all.insert(rank.clone(), rival);
        }
    }
}

#[cfg(test)]
#[path = "rivals_tests.rs"]
mod tests;
