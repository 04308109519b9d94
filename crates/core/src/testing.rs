//! What the tests of this crate share.

use std::{collections::BTreeSet, sync::Arc};

use api::{Condition, Resources, condition::Place, yaml::ManifestError};
use ir::{Action, HostPattern, Ir, Protocol, Rule, StreamRule, Target};

use crate::{ListenerStatus, Status};

/// Reads objects; YAML aliases and all. Every document must be readable.
pub(crate) fn resources(text: &str) -> Resources {
    let manifests = api::yaml::read(text);
    let wrong = manifests.errors.iter().filter(|error| !error.taken);
    assert_eq!(
        wrong.collect::<Vec<_>>(),
        Vec::<&ManifestError>::new(),
        "{text}"
    );
    manifests.into_resources()
}

/// Distinct rules of an IR, by key.
pub(crate) fn rules(ir: &Ir) -> Vec<Arc<Rule>> {
    let mut rules: Vec<_> = ir
        .ports
        .values()
        .flat_map(|port| &port.listeners)
        .flat_map(|listener| &listener.hosts)
        .flat_map(|host| &host.routes)
        .map(|route| Arc::clone(&route.rule))
        .collect();
    rules.sort_by(|a, b| a.key.cmp(&b.key));
    rules.dedup();
    rules
}

/// Rules for streams and datagrams.
fn stream_rules(ir: &Ir) -> impl Iterator<Item = &StreamRule> {
    let listeners = ir.ports.values().flat_map(|port| &port.listeners);
    let streams = listeners.flat_map(|listener| listener.streams.iter().flatten());
    let datagrams = ir.datagrams.values();
    let datagrams = datagrams.filter_map(|port| port.rule.as_deref());
    streams.map(|host| &*host.rule).chain(datagrams)
}

/// The promises that the IR makes and its types cannot.
pub(crate) fn assert_sound(ir: &Ir) {
    let rules = rules(ir);
    let keys: BTreeSet<_> = rules.iter().map(|rule| &rule.key).collect();
    assert_eq!(keys.len(), rules.len(), "equal keys mean equal rules");
    let requests = rules.iter().flat_map(|rule| rule.clusters());
    let streams = stream_rules(ir).flat_map(|rule| &rule.backends);
    let streams = streams.filter_map(|backend| match &backend.target {
        Target::Cluster(cluster) => Some(cluster),
        Target::Invalid(_) => None,
    });
    let listeners = ir.ports.values().flat_map(|port| &port.listeners);
    let admitting = listeners.flat_map(|listener| listener.admission.clusters());
    let named: BTreeSet<_> = requests.chain(streams).chain(admitting).collect();
    let present: BTreeSet<_> = ir.clusters.keys().collect();
    assert!(
        named.is_subset(&present),
        "{named:?} are named of {present:?}"
    );
    // Of several routes for the same streams one is served; what the others name is there for when it goes.
    if ir.datagrams.is_empty() && stream_rules(ir).next().is_none() {
        assert_eq!(named, present, "clusters are those that rules name");
    }
    for port in ir.ports.values() {
        let hosts: Vec<_> = port.listeners.iter().map(|l| &l.hostname).collect();
        assert!(hosts.is_sorted() && !hosts.is_empty(), "{hosts:?}");
        for listener in &port.listeners {
            let (tls, streams) = (listener.tls.is_some(), listener.streams.is_some());
            let legal = match port.protocol {
                Protocol::Http => !tls && !streams,
                Protocol::Https => tls && !streams,
                Protocol::Tls => tls || streams,
                Protocol::Tcp => !tls && streams && listener.hostname == HostPattern::Any,
            };
            assert!(legal, "{} on {:?}", listener.key, port.protocol);
            let hosts: Vec<_> = listener.hosts.iter().map(|h| &h.host).collect();
            assert!(hosts.is_sorted_by(|a, b| a < b), "{hosts:?}");
            for host in hosts {
                assert_eq!(host.intersect(&listener.hostname).as_ref(), Some(host));
            }
        }
    }
    for rule in &rules {
        if let Action::Forward(forward) = &rule.action {
            assert!(!forward.backends.is_empty(), "{}", rule.key);
        }
    }
}

/// Every condition is of a type that [`Place::types`] lists: otherwise it would stay when it does not apply any more.
pub(crate) fn assert_ours(status: &Status) {
    let ours = |place: Place, conditions: &[Condition]| {
        for condition in conditions {
            assert!(place.is_ours(condition.type_), "{place:?}: {condition}");
        }
        assert!(conditions.len() <= Place::LONGEST, "{conditions:?}");
    };
    let of_listeners = |listeners: &[ListenerStatus]| {
        let conditions = listeners.iter().map(|listener| &listener.conditions);
        conditions.for_each(|conditions| ours(Place::Listener, conditions));
    };
    let classes = status.gateway_classes.values();
    classes.for_each(|class| ours(Place::Class, &class.conditions));
    for gateway in status.gateways.values() {
        ours(Place::Gateway, &gateway.conditions);
        of_listeners(&gateway.listeners);
    }
    for set in status.listener_sets.values() {
        ours(Place::ListenerSet, &set.conditions);
        of_listeners(&set.listeners);
    }
    let parents = status.routes.values().flat_map(|route| &route.parents);
    parents.for_each(|parent| ours(Place::Parent, &parent.conditions));
    let policies = (status.route_policies.values())
        .chain(status.backend_policies.values())
        .chain(status.client_policies.values())
        .chain(status.backend_tls_policies.values());
    let ancestors = policies.flat_map(|policy| &policy.ancestors);
    ancestors.for_each(|ancestor| ours(Place::Ancestor, &ancestor.conditions));
}
