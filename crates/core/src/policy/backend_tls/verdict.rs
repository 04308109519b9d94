//! What is to be said about BackendTLSPolicies: one entry for each Gateway through which requests come to their
//! targets.
//!
//! > For example, in BackendTLSPolicy, the Policy attaches to a Service that is used as a backend in a HTTPRoute that
//! > is itself attached to a Gateway. In this case, the relevant object for status is the Gateway.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{
    Condition, GATEWAY_GROUP, Kind, ObjectKey,
    condition::{reasons, types},
    gateway::BackendTlsPolicy,
};
use tracked::Changes;

use super::Policy;
use crate::{
    ParentRef,
    attach::Place,
    fault::Fault,
    gateway::Parents,
    lookup::Lookup,
    policy::{Held, Verdicts, named},
    protocol::Protocol,
    route::{self, Known, Moved},
    status::{PolicyAncestorStatus, PolicyStatus},
};

/// Which Services routes lead to, and from which Gateways.
pub(crate) struct Ancestry<'a> {
    pub(crate) moved: &'a Moved,
    pub(crate) routes: &'a route::Memo,
    pub(crate) parents: &'a Parents<'a>,
}

impl Ancestry<'_> {
    fn of_route(&self, route: &Known) -> BTreeSet<&ObjectKey> {
        let spots = route.place.iter().flat_map(Place::served);
        // What is passed on unopened is not for us to encrypt.
        let opened = spots.filter(|spot| {
            let protocol = self.parents.listeners[spot.listener].protocol;
            protocol.is_some_and(Protocol::opens)
        });
        let gateways = opened.filter_map(|spot| self.parents.gateway_of(spot.listener));
        gateways.map(|gateway| gateway.key).collect()
    }

    /// Gateways through which requests come to a Service, or to one of these ports of it.
    fn of_service(&self, service: &ObjectKey, ports: Option<&[u16]>) -> BTreeSet<&ObjectKey> {
        let uses = |route: &&Known| {
            let mut ways = route.services();
            ways.any(|(to, port)| to == service && ports.is_none_or(|ports| ports.contains(&port)))
        };
        let routes = self.routes.users_of(service).filter(uses);
        routes.flat_map(|route| self.of_route(route)).collect()
    }

    /// Policies to whose targets requests may come from other Gateways than before.
    fn stale(&self, held: &Held<BackendTlsPolicy>, lookup: &Lookup<'_>) -> BTreeSet<ObjectKey> {
        let Moved::Some(moved) = self.moved else {
            let all = lookup.view().all::<BackendTlsPolicy>();
            return all.keys().cloned().collect();
        };
        let mut stale = BTreeSet::new();
        for (key, before) in moved {
            let (before, now) = (before.as_ref(), self.routes.get(key));
            let way = |route: &'_ Known| {
                let services = route.services().map(|(to, port)| (to.clone(), port));
                let services: BTreeSet<_> = services.collect();
                let gateways = self.of_route(route).into_iter().cloned();
                (services, gateways.collect::<BTreeSet<_>>())
            };
            let (before, now) = (before.map(way), now.map(way));
            if before == now {
                continue;
            }
            for (services, _) in before.into_iter().chain(now) {
                let of_service = |service| held.keys(Kind::Service, service).cloned();
                let services = services.iter().map(|(service, _)| service);
                stale.extend(services.flat_map(of_service));
            }
        }
        stale
    }
}

/// What is to be said about each policy whose target requests of ours come to.
pub(crate) fn verdicts(
    verdicts: &mut Verdicts,
    held: &Held<BackendTlsPolicy>,
    (lookup, changes): (&Lookup<'_>, &Changes),
    ancestry: &Ancestry<'_>,
) -> BTreeMap<ObjectKey, Arc<PolicyStatus>> {
    let judge = |key: &ObjectKey, policy: &Arc<BackendTlsPolicy>| {
        judge(held, (key, policy), ancestry, lookup)
    };
    // Most clusters have none, and then there is nothing to look for.
    let stale = match lookup.view().all::<BackendTlsPolicy>().is_empty() {
        true => BTreeSet::new(),
        false => ancestry.stale(held, lookup),
    };
    verdicts.update((lookup, changes), stale, judge)
}

fn judge(
    held: &Held<BackendTlsPolicy>,
    (key, policy): (&ObjectKey, &BackendTlsPolicy),
    ancestry: &Ancestry<'_>,
    lookup: &Lookup<'_>,
) -> PolicyStatus {
    let reading = lookup.backend_tls_reading(key, policy);
    let targets = policy.targets();
    let lost = targets.iter().filter_map(|target| {
        let accepted = held.accept(lookup.view(), key, target);
        accepted.err()
    });
    let lost: Vec<_> = lost.collect();
    let accepted = match (Fault::join(&lost), &reading.tls) {
        (Some(fault), _) => fault.fails(types::ACCEPTED),
        (None, Err(fault)) => fault.fails(types::ACCEPTED),
        (None, Ok(_)) => {
            Condition::holds(types::ACCEPTED, reasons::ACCEPTED, reading.warning.clone())
        }
    };
    let resolved = match &reading.unresolved {
        Some(fault) => fault.fails(types::RESOLVED_REFS),
        None => Condition::ok(types::RESOLVED_REFS),
    };
    let gateways = targets.iter().filter_map(|target| {
        let (_, service) = named::<BackendTlsPolicy>(key, target)?;
        let ports = ports(lookup, &service, target.section_name.as_deref());
        Some(ancestry.of_service(&service, ports.as_deref()))
    });
    let gateways: BTreeSet<_> = gateways.flatten().collect();
    let ancestors = gateways.into_iter().map(|gateway| PolicyAncestorStatus {
        ancestor_ref: reference(gateway),
        conditions: vec![accepted.clone(), resolved.clone()],
    });
    PolicyStatus {
        ancestors: ancestors.collect(),
    }
}

/// The ports that a section of a Service means; `None`: all of them. So does one that the Service does not have:
/// whoever uses the Service is to hear of that.
fn ports(lookup: &Lookup<'_>, service: &ObjectKey, section: Option<&str>) -> Option<Vec<u16>> {
    let section = section?;
    let spec = lookup.service(service)?.spec.as_ref()?;
    let ports = spec.ports.iter().flatten();
    let meant = ports
        .filter(|port| port.name.as_deref() == Some(section) || port.port.to_string() == section);
    let meant: Vec<_> = meant
        .filter_map(|port| u16::try_from(port.port).ok())
        .collect();
    (!meant.is_empty()).then_some(meant)
}

fn reference(gateway: &ObjectKey) -> ParentRef {
    ParentRef {
        group: GATEWAY_GROUP.to_owned(),
        kind: Kind::Gateway.as_str().to_owned(),
        namespace: Some(gateway.namespace.as_ref().to_owned()),
        name: gateway.name.as_ref().to_owned(),
        section_name: None,
        port: None,
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
