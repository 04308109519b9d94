//! ListenerSets: which Gateway they extend, and whether it lets them.

use std::{collections::BTreeMap, ops::Range};

use api::{
    Condition, GATEWAY_GROUP, Kind, ObjectKey,
    condition::{reasons, types},
    gateway::{Gateway, ListenerSet, gateways::GatewayAllowedListenersNamespacesFrom as From},
};
use tracked::View;

use crate::{
    fault::Fault,
    listener::{Listener, selector},
    lookup::Lookup,
    namespace::{Expression, Namespaces, Selector},
    precedence::{Age, Alphabetical},
    status::ListenerSetStatus,
    unknown::Unknown,
};

/// ListenerSets by the Gateway that they name, in order of precedence.
pub(crate) type ByGateway<'a> = BTreeMap<ObjectKey, Vec<(&'a ObjectKey, &'a ListenerSet)>>;

/// > Listeners have precedence in this order: Gateway, then ListenerSets by creation time (oldest first), then by
/// > `{namespace}/{name}`.
pub(crate) fn by_gateway<'a>(view: &View<'a>) -> ByGateway<'a> {
    let mut sets = ByGateway::new();
    for (key, set) in view.all::<ListenerSet>() {
        let parent = &set.spec.parent_ref;
        let group = parent.group.as_deref().unwrap_or(GATEWAY_GROUP);
        let kind = parent.kind.as_deref().unwrap_or("Gateway");
        if Kind::find(group, kind) == Some(Kind::Gateway) {
            let namespace = parent.namespace.as_deref().unwrap_or(&key.namespace);
            let gateway = ObjectKey::new(namespace, &parent.name);
            sets.entry(gateway).or_default().push((key, set));
        }
    }
    for sets in sets.values_mut() {
        sets.sort_by_cached_key(|(key, set)| (Age::of(*set), Alphabetical::new(key)));
    }
    sets
}

/// A ListenerSet of a Gateway of ours.
#[derive(Debug)]
pub(crate) struct Extension<'a> {
    pub(crate) key: &'a ObjectKey,
    /// Its listeners; `None`: the Gateway does not let it attach.
    pub(crate) listeners: Option<Range<usize>>,
    /// Its Gateway is not accepted.
    pub(crate) dormant: bool,
}

impl Extension<'_> {
    /// Whether it counts as attached.
    pub(crate) fn accepted(&self, all: &[Listener<'_>]) -> bool {
        let listeners = self.listeners.clone().map(|range| &all[range]);
        !self.dormant && listeners.is_some_and(|listeners| listeners.iter().any(Listener::usable))
    }

    pub(crate) fn status(&self, all: &[Listener<'_>]) -> ListenerSetStatus {
        let Some(listeners) = self.listeners.clone().map(|range| &all[range]) else {
            let fault = Fault::new(
                reasons::NOT_ALLOWED,
                "allowedListeners of the Gateway does not allow this namespace",
            );
            return ListenerSetStatus {
                conditions: vec![fault.fails(types::ACCEPTED), fault.fails(types::PROGRAMMED)],
                listeners: Vec::new(),
            };
        };
        let told = || listeners.iter().map(Listener::status).collect();
        if self.dormant {
            let why = "the Gateway is not accepted; see its conditions";
            let (accepted, programmed) = (
                Fault::new(reasons::PARENT_NOT_ACCEPTED, why),
                Fault::new(reasons::PARENT_NOT_PROGRAMMED, why),
            );
            return ListenerSetStatus {
                conditions: vec![
                    accepted.fails(types::ACCEPTED),
                    programmed.fails(types::PROGRAMMED),
                ],
                listeners: told(),
            };
        }
        let invalid = |type_| {
            let message = "no listener of this set is usable; see their conditions";
            Condition::fails(type_, reasons::LISTENERS_NOT_VALID, message)
        };
        let accepted = if self.accepted(all) {
            Condition::holds(types::ACCEPTED, reasons::ACCEPTED, "")
        } else {
            invalid(types::ACCEPTED)
        };
        let programmed = if listeners.iter().any(Listener::programmed) {
            Condition::ok(types::PROGRAMMED)
        } else {
            invalid(types::PROGRAMMED)
        };
        ListenerSetStatus {
            conditions: vec![accepted, programmed],
            listeners: told(),
        }
    }
}

/// Whether `gateway` lets a set of that namespace attach. The default is that it does not.
pub(crate) fn allowed(
    (key, gateway): (&ObjectKey, &Gateway),
    set: &ObjectKey,
    lookup: &Lookup<'_>,
) -> bool {
    let namespaces = gateway
        .spec
        .allowed_listeners
        .as_ref()
        .and_then(|allowed| allowed.namespaces.as_ref());
    let chosen = match namespaces.and_then(|n| n.from.as_ref()) {
        None | Some(From::None) => Namespaces::None,
        Some(From::Same) => Namespaces::Same,
        Some(From::All) => Namespaces::All,
        Some(From::Selector) => match namespaces.and_then(|n| n.selector.as_ref()) {
            Some(selector) => Namespaces::Selector(selector!(selector)),
            None => Namespaces::None,
        },
    };
    let unknown = Unknown::of(lookup.view(), Kind::Gateway, key);
    let known = unknown
        .inside("allowedListeners", reasons::NOT_ALLOWED)
        .is_none();
    known && chosen.allow(&key.namespace, &set.namespace, lookup.view())
}
