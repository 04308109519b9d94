//! Status, from what translation says to what the API server holds.
//!
//! [`merge`] makes the status that a live object should have, [`plan`] decides which objects are written when, and
//! [`writer`] writes them, if this replica holds the Lease. [`unbound`] adds what only the data plane can know.

mod merge;
mod plan;
pub(crate) mod unbound;
pub(crate) mod writer;

use api::{Kind, ObjectKey, ObjectRef};
use gateway_core::{
    Address, GatewayClassStatus, GatewayStatus, ListenerSetStatus, PolicyStatus, RouteStatus,
    Status,
};

/// What is to be said about one object.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wanted<'a> {
    Class(&'a GatewayClassStatus),
    Gateway(&'a GatewayStatus),
    Set(&'a ListenerSetStatus),
    Route(&'a RouteStatus),
    Policy(&'a PolicyStatus),
    Ingress(&'a [Address]),
}

impl<'a> Wanted<'a> {
    /// `None`: nothing is said about the object, and what we have said before is taken back.
    fn find(status: &'a Status, kind: Kind, key: &ObjectKey) -> Option<Self> {
        match kind {
            Kind::GatewayClass => status.gateway_classes.get(key).map(Self::Class),
            Kind::Gateway => status.gateways.get(key).map(Self::Gateway),
            Kind::ListenerSet => status.listener_sets.get(key).map(Self::Set),
            Kind::HttpRoute => status.http_routes.get(key).map(|s| Self::Route(s)),
            Kind::RoutePolicy => status.route_policies.get(key).map(|s| Self::Policy(s)),
            Kind::BackendPolicy => status.backend_policies.get(key).map(|s| Self::Policy(s)),
            Kind::ClientPolicy => status.client_policies.get(key).map(|s| Self::Policy(s)),
            Kind::Ingress => status.ingresses.get(key).map(|a| Self::Ingress(a)),
            _ => None,
        }
    }

    /// Every object that something is said about.
    fn all(status: &'a Status) -> impl Iterator<Item = (Kind, &'a ObjectKey, Self)> {
        let classes = status.gateway_classes.iter();
        let classes = classes.map(|(key, s)| (Kind::GatewayClass, key, Self::Class(s)));
        let gateways = status.gateways.iter();
        let gateways = gateways.map(|(key, s)| (Kind::Gateway, key, Self::Gateway(s)));
        let sets = status.listener_sets.iter();
        let sets = sets.map(|(key, s)| (Kind::ListenerSet, key, Self::Set(s)));
        let routes = status.http_routes.iter();
        let routes = routes.map(|(key, s)| (Kind::HttpRoute, key, Self::Route(s)));
        let policies = [
            (Kind::RoutePolicy, &status.route_policies),
            (Kind::BackendPolicy, &status.backend_policies),
            (Kind::ClientPolicy, &status.client_policies),
        ];
        let policies = policies.into_iter().flat_map(|(kind, policies)| {
            policies
                .iter()
                .map(move |(key, s)| (kind, key, Self::Policy(s)))
        });
        let ingresses = status.ingresses.iter();
        let ingresses = ingresses.map(|(key, a)| (Kind::Ingress, key, Self::Ingress(a)));
        let policies = policies.chain(ingresses);
        classes
            .chain(gateways)
            .chain(sets)
            .chain(routes)
            .chain(policies)
    }

    /// Objects about which the two say different things.
    fn differences(before: &Status, now: &Status) -> Vec<ObjectRef> {
        let changed = Wanted::all(now)
            .filter(|(kind, key, wanted)| Wanted::find(before, *kind, key) != Some(*wanted));
        let gone =
            Wanted::all(before).filter(|(kind, key, _)| Wanted::find(now, *kind, key).is_none());
        let both = changed.chain(gone);
        both.map(|(kind, key, _)| ObjectRef::new(kind, key.clone()))
            .collect()
    }
}
