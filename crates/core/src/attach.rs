//! Attachment: which routes belong to which listeners.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

use api::{Kind, ObjectKey, ObjectRef, condition::reasons};
use ir::{HostPattern, VirtualHost};

use crate::{
    changes::Changes,
    fault::Fault,
    gateway::Parents,
    identity,
    listener::Listener,
    lookup::Lookup,
    protocol::Protocol,
    route::{self, Declared, Known, Moved, TranslatedRoute},
    status::{ParentRef, RouteParentStatus, RouteStatus},
};

/// Listeners by index, each with the hosts that a route has in common with it.
type Hosts = Vec<(usize, Box<[HostPattern]>)>;

/// Where a route attaches, and what is to be said about it; `None` without any parent of ours.
pub(crate) type Place = Option<(Hosts, Arc<RouteStatus>)>;

/// All routes that have a parent of ours, kept from one translation to the next.
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
    /// How many it has that nothing in themselves keeps from being accepted.
    accepted: u32,
    pub(crate) hosts: BTreeMap<HostPattern, OnHost>,
}

/// The routes of one host of a listener, by name.
#[derive(Debug, Default)]
pub(crate) struct OnHost {
    pub(crate) routes: BTreeMap<ObjectRef, Arc<TranslatedRoute>>,
    /// What they make together, once it is built.
    pub(crate) built: Option<Arc<VirtualHost>>,
}

impl Routes {
    /// Listeners have changed: routes are attached anew. Gives the routes as they were attached before.
    fn reset(&mut self, memo: &route::Memo) -> Self {
        let before = std::mem::take(self);
        for (key, known) in memo.iter() {
            self.add(key, known);
        }
        before
    }

    fn add(&mut self, key: &ObjectRef, known: &Known) {
        let Some((hosts, status)) = &known.place else {
            return;
        };
        self.statuses.insert(key.clone(), Arc::clone(status));
        for (listener, hosts) in hosts {
            let attached = self.listeners.entry(*listener).or_default();
            attached.accepted += u32::from(known.outcome.acceptable());
            for host in hosts.iter() {
                let on_host = match attached.hosts.get_mut(host) {
                    Some(on_host) => on_host,
                    None => attached.hosts.entry(host.clone()).or_default(),
                };
                on_host
                    .routes
                    .insert(key.clone(), Arc::clone(known.at(*listener)));
                on_host.built = None;
            }
        }
    }

    fn remove(&mut self, key: &ObjectRef, known: &Known) {
        let Some((hosts, _)) = &known.place else {
            return;
        };
        self.statuses.remove(key);
        for (listener, hosts) in hosts {
            let Some(attached) = self.listeners.get_mut(listener) else {
                continue;
            };
            attached.accepted -= u32::from(known.outcome.acceptable());
            for host in hosts.iter() {
                let Some(on_host) = attached.hosts.get_mut(host) else {
                    continue;
                };
                on_host.routes.remove(key);
                on_host.built = None;
                if on_host.routes.is_empty() {
                    attached.hosts.remove(host);
                }
            }
        }
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

/// What attaching has come to.
pub(crate) struct Outcome {
    /// Routes that are not what or where they were.
    pub(crate) moved: Moved,
    /// All routes as they were attached before, if listeners have changed.
    pub(crate) before: Routes,
}

/// Translates and attaches all routes.
pub(crate) fn translate(
    parents: &mut Parents<'_>,
    lookup: &Lookup<'_>,
    changes: &Changes,
    (memo, routes): (&mut route::Memo, &mut Routes),
) -> Outcome {
    let moved = memo.update(lookup, changes, |route, translated, before| {
        let place = place(route, translated, parents, lookup);
        let listeners = place.iter().flat_map(|(hosts, _)| hosts);
        let listeners = listeners.map(|(listener, _)| *listener);
        let variants = identity::variants(listeners, translated, parents, before);
        (place, variants)
    });
    let mut before = Routes::default();
    match &moved {
        Moved::All => before = routes.reset(memo),
        Moved::Some(moved) => {
            for (key, before) in moved {
                if let Some(before) = before {
                    routes.remove(key, before);
                }
                if let Some(now) = memo.get(key) {
                    routes.add(key, now);
                }
            }
        }
    }
    for (listener, attached) in &routes.listeners {
        parents.listeners[*listener].attached += attached.accepted;
    }
    Outcome { moved, before }
}

fn place(
    (reference, route): (&ObjectRef, Declared<'_>),
    translated: &TranslatedRoute,
    parents: &Parents<'_>,
    lookup: &Lookup<'_>,
) -> Place {
    let declared = route.parents().into_iter();
    let ours: Vec<_> = declared
        .filter_map(|parent| {
            let listeners = find(&parent, reference, parents)?;
            Some((parent, listeners))
        })
        .collect();
    if ours.is_empty() {
        return None;
    }
    let mut hosts: BTreeMap<usize, BTreeSet<HostPattern>> = BTreeMap::new();
    let mut entries = Vec::with_capacity(ours.len());
    for (parent, listeners) in ours {
        let request = Request {
            route: reference,
            parent: &parent,
            hosts: translated.hosts.as_deref(),
        };
        let outcome = attach(&request, listeners, &parents.listeners, lookup);
        let accepted = outcome.as_ref().map(drop);
        let mut attached = outcome.iter().flatten();
        let open = attached.any(|(listener, _)| {
            let protocol = parents.listeners[*listener].protocol;
            protocol.is_some_and(Protocol::opens)
        });
        let conditions = translated.conditions(accepted, open);
        for (listener, found) in outcome.into_iter().flatten() {
            hosts.entry(listener).or_default().extend(found);
        }
        entries.push(RouteParentStatus {
            parent_ref: parent,
            conditions,
        });
    }
    let hosts = hosts.into_iter();
    let hosts = hosts.map(|(at, hosts)| (at, hosts.into_iter().collect()));
    let hosts = hosts.collect();
    Some((hosts, Arc::new(RouteStatus { parents: entries })))
}

/// The listeners of a parent of ours.
fn find(
    parent: &ParentRef,
    route: &ObjectRef,
    parents: &Parents<'_>,
) -> Option<Option<Range<usize>>> {
    let kind = Kind::find(&parent.group, &parent.kind)?;
    let namespace = parent.namespace.as_deref().unwrap_or(&route.key.namespace);
    parents.find(kind, &ObjectKey::new(namespace, &parent.name))
}

struct Request<'a> {
    route: &'a ObjectRef,
    parent: &'a ParentRef,
    /// `None`: whatever the listener serves.
    hosts: Option<&'a [HostPattern]>,
}

/// Goes from the parent's listeners to those that the parentRef means, that allow the route, and that share a host
/// with it. Whichever step leaves none gives the reason.
fn attach(
    request: &Request<'_>,
    listeners: Option<Range<usize>>,
    all: &[Listener<'_>],
    lookup: &Lookup<'_>,
) -> Result<BTreeMap<usize, BTreeSet<HostPattern>>, Fault> {
    let fail = |reason, message: &str| Err(Fault::new(reason, message));
    let Some(listeners) = listeners else {
        let message = "the ListenerSet is not allowed by its Gateway";
        return fail(reasons::NO_MATCHING_PARENT, message);
    };
    let parent = request.parent;
    let meant: Vec<_> = listeners
        .filter(|&index| {
            let listener = &all[index];
            let section = parent.section_name.as_deref();
            section.is_none_or(|section| section == listener.name)
                && parent.port.is_none_or(|port| port == listener.port)
        })
        .collect();
    if meant.is_empty() {
        let message = "the parent has no listener with this sectionName and port";
        return fail(reasons::NO_MATCHING_PARENT, message);
    }
    let route = request.route;
    let allowed: Vec<_> = meant
        .into_iter()
        .filter(|&index| all[index].allows(route.kind, &route.key.namespace, lookup))
        .collect();
    if allowed.is_empty() {
        let message = "allowedRoutes of the listeners allows neither this kind nor this namespace";
        return fail(reasons::NOT_ALLOWED_BY_LISTENERS, message);
    }
    let hosts: BTreeMap<_, _> = allowed
        .into_iter()
        .map(|index| (index, common(&all[index].hostname, request.hosts)))
        .filter(|(_, hosts)| !hosts.is_empty())
        .collect();
    // A route whose hostnames are all illegal says so itself.
    if hosts.is_empty() && request.hosts.is_none_or(|hosts| !hosts.is_empty()) {
        let message = "no hostname of the route is served by these listeners";
        return fail(reasons::NO_MATCHING_LISTENER_HOSTNAME, message);
    }
    Ok(hosts)
}

fn common(listener: &HostPattern, route: Option<&[HostPattern]>) -> BTreeSet<HostPattern> {
    match route {
        None => BTreeSet::from([listener.clone()]),
        Some(hosts) => hosts
            .iter()
            .filter_map(|host| host.intersect(listener))
            .collect(),
    }
}

#[cfg(test)]
#[path = "attach_tests.rs"]
mod tests;
