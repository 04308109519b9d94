//! Status, from what translation says to what the API server holds.
//!
//! [`merge`] makes the status that a live object should have, [`published`] that of Ingresses, [`plan`] decides which
//! objects are written when, and [`writer`] writes them, if this replica holds the Lease.

mod merge;
mod plan;
pub(crate) mod published;
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
    /// Of an Ingress.
    const fn addresses(self) -> &'a [Address] {
        match self {
            Self::Ingress(addresses) => addresses,
            _ => &[],
        }
    }

    /// `None`: nothing is said about the object, and what we have said before is taken back.
    fn find(status: &'a Status, kind: Kind, key: &ObjectKey) -> Option<Self> {
        match kind {
            Kind::GatewayClass => status.gateway_classes.get(key).map(Self::Class),
            Kind::Gateway => status.gateways.get(key).map(Self::Gateway),
            Kind::ListenerSet => status.listener_sets.get(key).map(Self::Set),
            _ if Kind::ROUTES.contains(&kind) => {
                let route = ObjectRef::new(kind, key.clone());
                status.routes.get(&route).map(|s| Self::Route(s))
            }
            Kind::RoutePolicy => status.route_policies.get(key).map(|s| Self::Policy(s)),
            Kind::BackendPolicy => status.backend_policies.get(key).map(|s| Self::Policy(s)),
            Kind::ClientPolicy => status.client_policies.get(key).map(|s| Self::Policy(s)),
            Kind::BackendTlsPolicy => {
                (status.backend_tls_policies.get(key)).map(|s| Self::Policy(s))
            }
            Kind::Ingress => status.ingresses.get(key).map(|a| Self::Ingress(a)),
            _ => None,
        }
    }
}
