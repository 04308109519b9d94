//! Clusters, from one translation to the next.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use api::{Kind, ObjectKey, ObjectRef};
use foldhash::HashMap;
use ir::{Cluster, ClusterKey, Endpoint};
use tracked::Changes;

use super::ClusterRef;
use crate::{
    endpoint::Slices,
    gateway::Parents,
    lookup::Lookup,
    route::{self, Moved},
};

/// Clusters, for as long as what they are made from stays the same.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    slices: Slices,
    known: HashMap<ClusterKey, Wanted>,
    by_service: HashMap<ObjectKey, Vec<ClusterKey>>,
    /// What listeners wanted the last time.
    by_listener: Vec<(ObjectRef, Vec<Arc<ClusterRef>>)>,
    /// Those of [`Memo::known`], ready to be given away.
    clusters: BTreeMap<ClusterKey, Arc<Cluster>>,
}

/// A cluster that routes need.
#[derive(Debug, Default)]
struct Wanted {
    /// What it was made from.
    made: Option<Arc<ClusterRef>>,
    /// By the route or the listener's object, sorted; the first one's counts, should they differ. Most have one, which
    /// is why this is no tree.
    by_route: Vec<(ObjectRef, Arc<ClusterRef>)>,
}

impl Wanted {
    /// Where a route stands, or would.
    fn place(&self, route: &ObjectRef) -> Result<usize, usize> {
        self.by_route
            .binary_search_by(|(known, _)| known.cmp(route))
    }
}

impl Memo {
    /// The clusters that routes need which are served somewhere.
    pub(crate) fn clusters(
        &mut self,
        (moved, routes): (&Moved, &route::Memo),
        parents: &Parents<'_>,
        (lookup, changes): (&Lookup<'_>, &Changes),
    ) -> BTreeMap<ClusterKey, Arc<Cluster>> {
        self.slices.update(changes, lookup.view());
        let mut stale = BTreeSet::new();
        match moved {
            Moved::All => {
                for (key, wanted) in &mut self.known {
                    wanted.by_route.clear();
                    stale.insert(key.clone());
                }
                for (key, known) in routes.iter() {
                    for route in known.served(parents) {
                        self.want(key, &route.clusters, &mut stale);
                    }
                }
            }
            Moved::Some(moved) => {
                for (key, before) in moved {
                    let before = before.iter().flat_map(|before| before.served(parents));
                    for route in before {
                        self.forget(key, &route.clusters, &mut stale);
                    }
                    let now = routes.get(key).into_iter();
                    for route in now.flat_map(|now| now.served(parents)) {
                        self.want(key, &route.clusters, &mut stale);
                    }
                }
            }
        }
        self.of_listeners(parents, &mut stale);
        for key in stale {
            self.settle(&key, lookup);
        }
        self.endpoints_changed(changes, lookup);
        self.clusters.clone()
    }

    /// Listeners are made anew each time, and few want anything.
    fn of_listeners(&mut self, parents: &Parents<'_>, stale: &mut BTreeSet<ClusterKey>) {
        let served = parents.listeners.iter();
        let served = served.filter(|listener| listener.programmed());
        let wanting = served.filter(|listener| !listener.clusters.is_empty());
        let now: Vec<_> = wanting
            .map(|listener| {
                let (kind, key) = listener.owner;
                (ObjectRef::new(kind, key.clone()), listener.clusters.clone())
            })
            .collect();
        for (owner, clusters) in std::mem::take(&mut self.by_listener) {
            self.forget(&owner, &clusters, stale);
        }
        for (owner, clusters) in &now {
            self.want(owner, clusters, stale);
        }
        self.by_listener = now;
    }

    fn want(
        &mut self,
        route: &ObjectRef,
        clusters: &[Arc<ClusterRef>],
        stale: &mut BTreeSet<ClusterKey>,
    ) {
        for cluster in clusters {
            if !self.known.contains_key(&cluster.key) {
                let of_service = self.by_service.entry(cluster.service.clone());
                of_service
                    .or_insert_with(|| Vec::with_capacity(1))
                    .push(cluster.key.clone());
            }
            let wanted = self.known.entry(cluster.key.clone()).or_default();
            if let Err(place) = wanted.place(route) {
                let users = &mut wanted.by_route;
                users.reserve_exact(usize::from(users.is_empty()));
                users.insert(place, (route.clone(), Arc::clone(cluster)));
            }
            stale.insert(cluster.key.clone());
        }
    }

    fn forget(
        &mut self,
        route: &ObjectRef,
        clusters: &[Arc<ClusterRef>],
        stale: &mut BTreeSet<ClusterKey>,
    ) {
        for cluster in clusters {
            if let Some(wanted) = self.known.get_mut(&cluster.key)
                && let Ok(place) = wanted.place(route)
            {
                wanted.by_route.remove(place);
            }
            stale.insert(cluster.key.clone());
        }
    }

    /// Makes the cluster that is wanted now, unless it is there.
    fn settle(&mut self, key: &ClusterKey, lookup: &Lookup<'_>) {
        let Some(wanted) = self.known.get_mut(key) else {
            return;
        };
        let Some((_, first)) = wanted.by_route.first() else {
            let of_service = wanted.made.as_ref().map(|made| &made.service);
            if let Some(service) = of_service
                && let Some(clusters) = self.by_service.get_mut(service)
            {
                clusters.retain(|known| known != key);
                if clusters.is_empty() {
                    self.by_service.remove(service);
                }
            }
            self.known.remove(key);
            self.clusters.remove(key);
            return;
        };
        if wanted.made.as_ref() != Some(first) {
            let first = Arc::clone(first);
            make(&first, &self.slices, &mut self.clusters, lookup);
            wanted.made = Some(first);
        }
    }

    /// Makes clusters of Services again that have changed, or whose endpoints have.
    fn endpoints_changed(&mut self, changes: &Changes, lookup: &Lookup<'_>) {
        // The first time all have just been made.
        let Changes::Some(all) = changes else {
            return;
        };
        let changed = all.iter().map(|change| &change.reference);
        let changed = changed.filter(|reference| reference.kind == Kind::Service);
        let changed = changed.map(|reference| &reference.key);
        let services: BTreeSet<&ObjectKey> = changed.chain(self.slices.moved()).collect();
        let keys = services
            .into_iter()
            .filter_map(|service| self.by_service.get(service));
        for key in keys.flatten() {
            if let Some(made) = self.known.get(key).and_then(|wanted| wanted.made.as_ref()) {
                make(made, &self.slices, &mut self.clusters, lookup);
            }
        }
    }
}

/// Puts the cluster in its place. One that is the same stays the same object.
fn make(
    wanted: &ClusterRef,
    slices: &Slices,
    clusters: &mut BTreeMap<ClusterKey, Arc<Cluster>>,
    lookup: &Lookup<'_>,
) {
    let now = cluster(wanted, slices, lookup);
    let before = clusters.get(&wanted.key);
    if before.is_none_or(|before| **before != *now) {
        clusters.insert(wanted.key.clone(), now);
    }
}

fn cluster(wanted: &ClusterRef, slices: &Slices, lookup: &Lookup<'_>) -> Arc<Cluster> {
    let endpoints = || {
        let service = lookup.service(&wanted.service)?;
        let port = (wanted.transport, wanted.port);
        Some(slices.endpoints(&wanted.service, service, port))
    };
    let address = wanted
        .address
        .map(|address| Endpoint::Address(SocketAddr::new(address, wanted.port)));
    let whole = wanted.outside.clone().or(address);
    Arc::new(Cluster {
        key: wanted.key.clone(),
        service: wanted.known_as.clone(),
        endpoints: match whole {
            Some(whole) => [whole].into(),
            None => endpoints().unwrap_or_default(),
        },
        upstream: wanted.upstream,
        tls: wanted.tls.clone(),
        balance: wanted.balance.clone(),
        timeouts: wanted.timeouts,
    })
}
