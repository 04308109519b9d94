//! Attachment: which routes belong to which listeners.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

use api::{Condition, Kind, ObjectKey, ObjectRef, condition::reasons};
use ir::HostPattern;
use tracked::Changes;

use crate::{
    attached::{Refusals, Routes},
    fault::{self, Fault},
    gateway::Parents,
    identity,
    listener::Listener,
    lookup::Lookup,
    protocol::Protocol,
    rivals::Refusal,
    route::{self, Awaited, Declared, Known, Moved, TranslatedRoute},
    status::{ParentRef, RouteParentStatus, RouteStatus},
};

/// Where a route attaches, and what is to be said about it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) spots: Vec<Spot>,
    pub(crate) status: Arc<RouteStatus>,
}

/// A listener that a route attaches to, unless another route stands against it.
#[derive(Debug, Clone)]
pub(crate) struct Spot {
    /// By index.
    pub(crate) listener: usize,
    /// That they have in common.
    pub(crate) hosts: Arc<[HostPattern]>,
    pub(crate) refused: Option<Arc<Refusal>>,
}

impl Place {
    /// Listeners that requests come from.
    pub(crate) fn served(&self) -> impl Iterator<Item = &Spot> {
        self.spots.iter().filter(|spot| spot.refused.is_none())
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
    let mut moved = memo.update(lookup, changes, |route, translated, before| {
        let place = place(route, translated, (parents, &Refusals::new()), lookup);
        let spots = place.iter().flat_map(|place| &place.spots);
        let listeners = spots.map(|spot| spot.listener);
        let variants = identity::variants(listeners, translated, parents, before);
        (place, variants)
    });
    let mut before = Routes::default();
    let told = match &moved {
        Moved::All => {
            before = std::mem::take(routes);
            routes.settle(&[], &memo.iter().collect::<Vec<_>>())
        }
        Moved::Some(moved) => {
            let gone = moved
                .iter()
                .filter_map(|(key, was)| Some((key, was.as_ref()?)));
            let come = moved
                .iter()
                .filter_map(|(key, _)| Some((key, memo.get(key)?)));
            routes.settle(&gone.collect::<Vec<_>>(), &come.collect::<Vec<_>>())
        }
    };
    let bystanders = tell(told, &moved, (parents, lookup), (memo, routes));
    match &mut moved {
        Moved::All => memo.iter().for_each(|(key, now)| routes.add(key, now)),
        Moved::Some(moved) => {
            moved.extend(bystanders);
            for (key, _) in moved {
                if let Some(now) = memo.get(key) {
                    routes.add(key, now);
                }
            }
        }
    }
    for (listener, accepted) in routes.accepted() {
        parents.listeners[listener].attached += accepted;
    }
    for (listener, warning) in routes.disagreements() {
        parents.listeners[listener].warn(warning);
    }
    Outcome { moved, before }
}

/// Has routes find their places anew that hear of another verdict. Gives those that had not moved themselves, as they
/// were, and takes them away from there.
fn tell(
    told: BTreeMap<ObjectRef, Refusals>,
    moved: &Moved,
    (parents, lookup): (&Parents<'_>, &Lookup<'_>),
    (memo, routes): (&mut route::Memo, &mut Routes),
) -> Vec<(ObjectRef, Option<Known>)> {
    let mut bystanders = Vec::new();
    if told.is_empty() {
        return bystanders;
    }
    let moved: Option<BTreeSet<&ObjectRef>> = match moved {
        Moved::All => None,
        Moved::Some(moved) => Some(moved.iter().map(|(key, _)| key).collect()),
    };
    for (key, news) in told {
        let Some(known) = memo.get(&key) else {
            continue;
        };
        if moved.as_ref().is_some_and(|moved| !moved.contains(&key)) {
            routes.remove(&key, known);
            bystanders.push((key.clone(), Some(known.clone())));
        }
        let spots = known.place.iter().flat_map(|place| &place.spots);
        let mut refusals: Refusals = spots
            .map(|spot| (spot.listener, spot.refused.clone()))
            .collect();
        refusals.extend(news);
        memo.replace(&key, lookup, |route, known| {
            place(route, &known.outcome, (parents, &refusals), lookup)
        });
    }
    bystanders
}

/// Where a route attaches, if these refusals stand against it.
fn place(
    (reference, route): (&ObjectRef, Declared<'_>),
    translated: &TranslatedRoute,
    (parents, refusals): (&Parents<'_>, &Refusals),
    lookup: &Lookup<'_>,
) -> Option<Place> {
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
        let found = outcome.as_ref().map(|found| found.keys().copied());
        let conditions = conditions(translated, found, (parents, refusals));
        for (listener, found) in outcome.into_iter().flatten() {
            hosts.entry(listener).or_default().extend(found);
        }
        entries.push(RouteParentStatus {
            parent_ref: parent,
            conditions,
        });
    }
    let waits = translated.awaits.as_ref();
    if waits.is_some_and(|awaited| !is_served(awaited, parents)) {
        hosts.clear();
    }
    let spots = hosts.into_iter().map(|(listener, hosts)| Spot {
        listener,
        hosts: hosts.into_iter().collect(),
        refused: refusals.get(&listener).cloned().flatten(),
    });
    Some(Place {
        spots: spots.collect(),
        status: Arc::new(RouteStatus { parents: entries }),
    })
}

/// Whether a listener that a route waits for is there and served.
fn is_served(awaited: &Awaited, parents: &Parents<'_>) -> bool {
    let meant = parents.meant(Kind::ListenerSet, &awaited.set).iter();
    let mut meant = meant.filter(|listener| listener.name == &*awaited.listener);
    meant.any(Listener::programmed)
}

/// What is said to a parent, if the route attaches to these listeners of it.
fn conditions(
    translated: &TranslatedRoute,
    listeners: Result<impl ExactSizeIterator<Item = usize> + Clone, &Fault>,
    (parents, refusals): (&Parents<'_>, &Refusals),
) -> Vec<Condition> {
    let listeners = match listeners {
        Ok(listeners) => listeners,
        Err(fault) => return translated.conditions(Err(fault), false),
    };
    let open = listeners.clone().any(|listener| {
        let protocol = parents.listeners[listener].protocol;
        protocol.is_some_and(Protocol::opens)
    });
    let lost = listeners.clone().filter_map(|listener| {
        let refusal = refusals.get(&listener)?.as_ref()?;
        Some(refusal.message(parents.listeners[listener].name))
    });
    let lost: Vec<_> = lost.collect();
    let everywhere = !lost.is_empty() && lost.len() == listeners.len();
    // A route that nobody can accept says why itself.
    if everywhere && translated.acceptable() {
        let message = fault::join(lost.iter().map(String::as_str));
        let conflict = Fault::new(reasons::HOSTNAME_CONFLICT, message);
        return translated.conditions(Err(&conflict), open);
    }
    translated.conditions(Ok(&lost), open)
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
