//! Which changes leave listeners as they are.

use api::{Change, Kind, Object};
use tracked::Changes;

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

/// Whether listeners are what they were: only objects changed that they are not made from.
pub(crate) fn spare_listeners(changes: &Changes) -> bool {
    match changes {
        Changes::Everything => false,
        Changes::Some(all) => all
            .iter()
            .all(|change| OF_ROUTES.contains(&change.reference.kind) && !is_road(change)),
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
