//! On which listener each host is served.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::ObjectKey;

use super::{ClientTls, HostTls, Hosts, Shown, State, TlsOwner, above};
use crate::{emit, merge::HostGroup, profile::Profile};

/// A listener of a ListenerSet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listening {
    pub(crate) set: ObjectKey,
    /// Its host; empty: any.
    pub(crate) host: Arc<str>,
}

/// Finds each group its listeners. `any` is the listener for every host that has none of its own, and shows the default
/// certificate.
pub(crate) fn place(
    groups: &mut [HostGroup],
    hosts: &mut Hosts,
    clients: &BTreeMap<Arc<str>, ClientTls>,
    any: &Arc<Listening>,
) {
    shadowed(groups, hosts, clients);
    let sets = emit::listener_sets(hosts, any);
    let listening: BTreeMap<&str, &Arc<ObjectKey>> =
        sets.iter().map(|(host, set)| (&**host, set)).collect();
    let wider = |host: &str| {
        let mut hosts = above(host).chain([String::new()]);
        let found = hosts.find_map(|host| Some((listening.get(host.as_str())?, host)));
        found.map_or_else(
            || Arc::clone(any),
            |(set, host)| {
                Arc::new(Listening {
                    set: ObjectKey::clone(set),
                    host: host.into(),
                })
            },
        )
    };
    for group in groups {
        group.listener_set = sets.get(&group.host).cloned();
        let asked = clients.get(&group.host);
        group.certificates = asked.is_some_and(ClientTls::asks_clients);
        let tls = hosts.get(&group.host);
        let pending = tls.is_some_and(|tls| tls.state == State::Pending);
        // Clients that have to show certificates have no way in where they are not asked for them.
        let alone = group.listener_set.is_some() && (!pending || group.certificates);
        if group.source.profile.every_host_has_https() && !alone {
            group.wider = Some(wider(&group.host));
        }
    }
}

/// Hosts with the default certificate have a listener of their own where another one would take their requests, or
/// clients are asked for more.
fn shadowed(groups: &[HostGroup], hosts: &mut Hosts, clients: &BTreeMap<Arc<str>, ClientTls>) {
    let mut taken: BTreeSet<Arc<str>> = hosts
        .iter()
        .filter(|(_, tls)| tls.owner.is_some())
        .map(|(host, _)| Arc::clone(host))
        .collect();
    let mut without: Vec<_> = groups
        .iter()
        .filter(|group| group.source.profile == Profile::Nginx && !taken.contains(&group.host))
        .collect();
    if taken.is_empty() && clients.is_empty() {
        return;
    }
    // Wider hosts first: one that has a listener takes the requests of those below it.
    without.sort_by_key(|group| {
        let labels = group.host.split('.').count();
        (!group.host.is_empty(), labels, !group.host.starts_with('*'))
    });
    for group in without {
        let host = &group.host;
        let is_taken = taken.contains("") || above(host).any(|host| taken.contains(host.as_str()));
        if taken.contains(host) || !(is_taken || clients.contains_key(host)) {
            continue;
        }
        taken.insert(Arc::clone(host));
        let owner = Some(TlsOwner {
            ingress: group.source.object.key.clone(),
            shown: Shown::Default,
        });
        let known = hosts.entry(Arc::clone(host));
        known.or_insert(HostTls {
            owner: None,
            state: State::Unasked,
            subject: None,
        });
        if let Some(known) = hosts.get_mut(host) {
            known.owner = owner;
        }
    }
}
