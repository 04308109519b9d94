//! Attachment: which routes belong to which listeners.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

use api::{
    GATEWAY_GROUP, Kind, ObjectKey,
    condition::reasons,
    gateway::{HttpRoute, httproutes::HttpRouteParentRefs},
};
use ir::HostPattern;

use crate::{
    changes::Changes,
    fault::Fault,
    gateway::Parents,
    http_route::{self, TranslatedRoute},
    listener::Listener,
    lookup::Lookup,
    status::{ParentRef, RouteParentStatus, RouteStatus},
};

/// Listeners by index, each with the hosts that a route has in common with it.
type Hosts = BTreeMap<usize, Arc<BTreeSet<HostPattern>>>;

/// A route by its index, and the hosts that it shares with a listener.
pub(crate) type Attached = (usize, Arc<BTreeSet<HostPattern>>);

/// All routes that have a parent of ours.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    pub(crate) routes: Vec<Arc<TranslatedRoute>>,
    /// For each listener: routes by index, and hosts.
    pub(crate) attached: BTreeMap<usize, Vec<Attached>>,
}

/// Where a route attaches, and what is to be said about it; `None` without any parent of ours.
pub(crate) type Place = Option<(Hosts, Arc<RouteStatus>)>;

/// Translates and attaches all HTTPRoutes.
pub(crate) fn translate(
    parents: &mut Parents<'_>,
    lookup: &Lookup<'_>,
    changes: &Changes,
    memo: &mut http_route::Memo,
) -> (Routes, BTreeMap<ObjectKey, Arc<RouteStatus>>) {
    let known = memo.update(lookup, changes, |key, route, translated| {
        place((key, route), translated, parents, lookup)
    });
    let mut routes = Routes::default();
    let mut said = Vec::with_capacity(known.len());
    for (key, known) in known {
        let Some((hosts, status)) = &known.place else {
            continue;
        };
        said.push((key.clone(), Arc::clone(status)));
        let index = routes.routes.len();
        for (listener, hosts) in hosts {
            parents.listeners[*listener].attached += u32::from(known.outcome.acceptable());
            let attached = routes.attached.entry(*listener).or_default();
            attached.push((index, Arc::clone(hosts)));
        }
        routes.routes.push(Arc::clone(&known.outcome));
    }
    (routes, said.into_iter().collect())
}

fn place(
    (key, route): (&ObjectKey, &HttpRoute),
    translated: &TranslatedRoute,
    parents: &Parents<'_>,
    lookup: &Lookup<'_>,
) -> Place {
    let declared = route.spec.parent_refs.as_deref().unwrap_or_default();
    let ours: Vec<_> = declared
        .iter()
        .filter_map(|parent| Some((parent, find(parent, key, parents)?)))
        .collect();
    if ours.is_empty() {
        return None;
    }
    let mut hosts: BTreeMap<usize, BTreeSet<HostPattern>> = BTreeMap::new();
    let mut entries = Vec::with_capacity(ours.len());
    for (parent, listeners) in ours {
        let request = Request {
            namespace: &key.namespace,
            parent,
            hosts: translated.hosts.as_deref(),
        };
        let outcome = attach(&request, listeners, &parents.listeners, lookup);
        let accepted = outcome.as_ref().map(drop);
        entries.push(RouteParentStatus {
            parent_ref: filled(parent),
            conditions: translated.conditions(accepted),
        });
        for (listener, found) in outcome.into_iter().flatten() {
            hosts.entry(listener).or_default().extend(found);
        }
    }
    let hosts = hosts.into_iter();
    let hosts = hosts.map(|(at, hosts)| (at, Arc::new(hosts))).collect();
    Some((hosts, Arc::new(RouteStatus { parents: entries })))
}

/// The listeners of a parent of ours.
fn find(
    parent: &HttpRouteParentRefs,
    route: &ObjectKey,
    parents: &Parents<'_>,
) -> Option<Option<Range<usize>>> {
    let group = parent.group.as_deref().unwrap_or(GATEWAY_GROUP);
    let kind = Kind::find(group, parent.kind.as_deref().unwrap_or("Gateway"))?;
    let namespace = parent.namespace.as_deref().unwrap_or(&route.namespace);
    parents.find(kind, &ObjectKey::new(namespace, &parent.name))
}

fn filled(parent: &HttpRouteParentRefs) -> ParentRef {
    let or =
        |text: &Option<String>, default: &str| text.clone().unwrap_or_else(|| default.to_owned());
    ParentRef {
        group: or(&parent.group, GATEWAY_GROUP),
        kind: or(&parent.kind, "Gateway"),
        namespace: parent.namespace.clone(),
        name: parent.name.clone(),
        section_name: parent.section_name.clone(),
        port: parent.port,
    }
}

/// A route that wants to attach to a parent.
struct Request<'a> {
    namespace: &'a str,
    parent: &'a HttpRouteParentRefs,
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
    let allowed: Vec<_> = meant
        .into_iter()
        .filter(|&index| all[index].allows(Kind::HttpRoute, request.namespace, lookup))
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
