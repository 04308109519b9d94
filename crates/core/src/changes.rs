//! What changed from one translation to the next, by name.

use api::{Change, Kind, Object};

use crate::reach::gateway_of;

/// Kinds that what listeners are is not made from: routes, and all that is read for them alone.
const OF_ROUTES: &[Kind] = &[
    Kind::HttpRoute,
    Kind::GrpcRoute,
    Kind::TlsRoute,
    Kind::TcpRoute,
    Kind::UdpRoute,
    Kind::RouteFilter,
    Kind::RoutePolicy,
    Kind::BackendPolicy,
    Kind::BackendTlsPolicy,
    Kind::XBackend,
    Kind::Service,
    Kind::EndpointSlice,
    // Only `converter` reads these; what it makes of them comes as objects of other kinds.
    Kind::Ingress,
    Kind::IngressClass,
    Kind::McpBridge,
];

/// Objects that are not what they were at the translation before.
#[derive(Debug)]
pub(crate) enum Changes {
    /// There was none before: nothing is known of anything.
    Everything,
    /// These.
    Some(Vec<Change>),
}

impl Changes {
    /// Whether any object of that kind changed.
    pub(crate) fn any(&self, kind: Kind) -> bool {
        match self {
            Self::Everything => true,
            Self::Some(all) => all.iter().any(|change| change.reference.kind == kind),
        }
    }

    /// Whether listeners are what they were.
    pub(crate) fn spare_listeners(&self) -> bool {
        match self {
            Self::Everything => false,
            Self::Some(all) => {
                let spares = |change: &Change| {
                    OF_ROUTES.contains(&change.reference.kind) && !is_road(change)
                };
                all.iter().all(spares)
            }
        }
    }
}

/// A Gateway's own Service says where its listeners are bound.
fn is_road(change: &Change) -> bool {
    let road = |object: &Option<Object>| match object {
        Some(Object::Service(service)) => gateway_of(service).is_some(),
        _ => false,
    };
    road(&change.before) || road(&change.now)
}
