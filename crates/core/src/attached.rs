//! The routes of every listener, kept from one translation to the next.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{Kind, ObjectRef};
use ir::{HostPattern, VirtualHost};

use crate::{
    attach::Spot,
    host,
    rivals::{Refusal, Rivals, Seniority, Side, Verdicts},
    route::{Known, TranslatedRoute},
    status::RouteStatus,
};

/// All routes that have a parent of ours.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// By the listener's index.
    listeners: BTreeMap<usize, Attached>,
    /// What is to be said about them.
    pub(crate) statuses: BTreeMap<ObjectRef, Arc<RouteStatus>>,
}

/// The routes of a listener.
#[derive(Debug, Default)]
pub(crate) struct Attached {
    /// How many are served here that nothing in themselves keeps from being accepted.
    accepted: u32,
    /// Those that are served here.
    pub(crate) hosts: BTreeMap<HostPattern, OnHost>,
    /// Hosts whose routes do not say the same about them.
    disagreeing: BTreeSet<HostPattern>,
    /// How many HTTPRoutes are served here, or refused.
    http: usize,
    /// How many GRPCRoutes.
    grpc: usize,
    /// While there are both. Most listeners have routes of one kind, which cost nothing here.
    rivals: Option<Box<Rivals>>,
}

/// The routes of one host of a listener, by name.
#[derive(Debug, Default)]
pub(crate) struct OnHost {
    pub(crate) routes: BTreeMap<ObjectRef, Arc<TranslatedRoute>>,
    /// What they make together, once it is built.
    pub(crate) built: Option<Arc<VirtualHost>>,
}

/// What stands against a route, by the listener's index. `None`: nothing any more.
pub(crate) type Refusals = BTreeMap<usize, Option<Arc<Refusal>>>;

/// What changes for the rivals of a listener.
#[derive(Default)]
struct Turn {
    gone: BTreeSet<Seniority>,
    come: Vec<(Seniority, Arc<[HostPattern]>)>,
}

impl Routes {
    /// Some routes go and are not served any more, and others come, which are not served before they are
    /// [added](Self::add). Gives who hears of another verdict for that.
    pub(crate) fn settle(
        &mut self,
        gone: &[(&ObjectRef, &Known)],
        come: &[(&ObjectRef, &Known)],
    ) -> BTreeMap<ObjectRef, Refusals> {
        for (key, known) in gone {
            self.remove(key, known);
            self.count(key.kind, known, |count| *count -= 1);
        }
        for (key, known) in come {
            self.count(key.kind, known, |count| *count += 1);
        }
        let mut turns: BTreeMap<usize, Turn> = BTreeMap::new();
        for (rank, spot) in self.contested(gone) {
            turns.entry(spot.listener).or_default().gone.insert(rank);
        }
        for (rank, spot) in self.contested(come) {
            let turn = turns.entry(spot.listener).or_default();
            turn.come.push((rank, Arc::clone(&spot.hosts)));
        }
        let mut told: BTreeMap<ObjectRef, Refusals> = BTreeMap::new();
        for (listener, turn) in turns {
            let Some(attached) = self.listeners.get_mut(&listener) else {
                continue;
            };
            for (route, verdict) in attached.settle(turn) {
                told.entry(route).or_default().insert(listener, verdict);
            }
        }
        told
    }

    fn count(&mut self, kind: Kind, known: &Known, change: impl Fn(&mut usize)) {
        let Some(side) = Side::of(kind) else {
            return;
        };
        for spot in known.place.iter().flat_map(|place| &place.spots) {
            let attached = self.listeners.entry(spot.listener).or_default();
            change(match side {
                Side::Http => &mut attached.http,
                Side::Grpc => &mut attached.grpc,
            });
        }
    }

    /// Where these routes may meet any of the other kind, or might have.
    fn contested<'k>(
        &self,
        routes: &[(&'k ObjectRef, &'k Known)],
    ) -> impl Iterator<Item = (Seniority, &'k Spot)> {
        let routes = routes.iter();
        let routes = routes.filter(|(key, _)| Side::of(key.kind).is_some());
        let spots = routes.flat_map(|(key, known)| {
            let spots = known.place.iter().flat_map(|place| &place.spots);
            spots.map(move |spot| (*key, *known, spot))
        });
        let spots = spots.filter(|(_, _, spot)| {
            let attached = self.listeners.get(&spot.listener);
            attached.is_some_and(|attached| attached.rivals.is_some() || attached.has_both())
        });
        spots.map(|(key, known, spot)| (Seniority::of(key, &known.outcome), spot))
    }

    /// Serves a route where nothing stands against it.
    pub(crate) fn add(&mut self, key: &ObjectRef, known: &Known) {
        let Some(place) = &known.place else {
            return;
        };
        self.statuses.insert(key.clone(), Arc::clone(&place.status));
        for spot in place.served() {
            let attached = self.listeners.entry(spot.listener).or_default();
            attached.accepted += u32::from(known.outcome.acceptable());
            for host in spot.hosts.iter() {
                let on_host = match attached.hosts.get_mut(host) {
                    Some(on_host) => on_host,
                    None => attached.hosts.entry(host.clone()).or_default(),
                };
                // Those that are there say the same, unless the host is known for the contrary.
                let other = on_host.routes.values().next();
                let same = |other: &Arc<TranslatedRoute>| {
                    other.host_settings == known.outcome.host_settings
                };
                if other.is_some_and(|other| !same(other)) {
                    attached.disagreeing.insert(host.clone());
                }
                on_host
                    .routes
                    .insert(key.clone(), Arc::clone(known.at(spot.listener)));
                on_host.built = None;
            }
        }
    }

    /// Takes a route away from where it was served.
    pub(crate) fn remove(&mut self, key: &ObjectRef, known: &Known) {
        let Some(place) = &known.place else {
            return;
        };
        self.statuses.remove(key);
        for spot in place.served() {
            let Some(attached) = self.listeners.get_mut(&spot.listener) else {
                continue;
            };
            attached.accepted -= u32::from(known.outcome.acceptable());
            for host in spot.hosts.iter() {
                let Some(on_host) = attached.hosts.get_mut(host) else {
                    continue;
                };
                on_host.routes.remove(key);
                on_host.built = None;
                if !attached.disagreeing.is_empty() && on_host.agrees() {
                    attached.disagreeing.remove(host);
                }
                if on_host.routes.is_empty() {
                    attached.hosts.remove(host);
                }
            }
        }
    }

    /// How many accepted routes listeners have that have any.
    pub(crate) fn accepted(&self) -> impl Iterator<Item = (usize, u32)> {
        let listeners = self.listeners.iter();
        listeners.map(|(listener, attached)| (*listener, attached.accepted))
    }

    /// What is to be said of listeners that have hosts whose routes do not say the same about them.
    pub(crate) fn disagreements(&self) -> impl Iterator<Item = (usize, String)> {
        let listeners = self.listeners.iter();
        listeners.filter_map(|(listener, attached)| {
            let hosts = attached.disagreeing.iter();
            let settings = |host: &HostPattern| {
                let routes = attached.hosts.get(host);
                let routes = routes
                    .into_iter()
                    .flat_map(|on_host| on_host.routes.values());
                host::joined(routes.map(AsRef::as_ref))
            };
            let said = host::disagreement(hosts.map(|host| (host, settings(host))))?;
            Some((*listener, said))
        })
    }

    /// The routes of a listener, if it has any.
    pub(crate) fn of_mut(&mut self, listener: usize) -> Option<&mut Attached> {
        self.listeners.get_mut(&listener)
    }

    pub(crate) fn of(&self, listener: usize) -> Option<&Attached> {
        self.listeners.get(&listener)
    }

    /// Every host of every listener.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = (&HostPattern, &OnHost)> {
        self.listeners.values().flat_map(|attached| &attached.hosts)
    }
}

impl OnHost {
    /// Whether all routes say the same about the host.
    fn agrees(&self) -> bool {
        let mut said = self.routes.values().map(|route| route.host_settings);
        let first = said.next();
        said.all(|other| Some(other) == first)
    }
}

impl Attached {
    const fn has_both(&self) -> bool {
        self.http > 0 && self.grpc > 0
    }

    fn settle(&mut self, turn: Turn) -> Verdicts {
        let verdicts = match &mut self.rivals {
            Some(rivals) => rivals.change(turn.gone, turn.come),
            None => {
                let served = self.served();
                self.rivals
                    .insert(Box::default())
                    .begin(served.chain(turn.come))
            }
        };
        if !self.has_both() {
            self.rivals = None;
        }
        verdicts
    }

    /// HTTPRoutes and GRPCRoutes that are served here.
    fn served(&self) -> impl Iterator<Item = (Seniority, Arc<[HostPattern]>)> + use<> {
        let mut routes: BTreeMap<Seniority, Vec<HostPattern>> = BTreeMap::new();
        for (host, on_host) in &self.hosts {
            let of_sides = on_host.routes.iter();
            for (key, route) in of_sides.filter(|(key, _)| Side::of(key.kind).is_some()) {
                let rank = Seniority::of(key, route);
                routes.entry(rank).or_default().push(host.clone());
            }
        }
        routes.into_iter().map(|(rank, hosts)| (rank, hosts.into()))
    }
}
