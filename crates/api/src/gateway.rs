//! Gateway API types under the names that the specification uses.

pub use gateway_api::experimental::{
    gatewayclasses, gateways, httproutes, listenersets, referencegrants,
};
pub use gateway_api::experimental::{
    gatewayclasses::GatewayClass, gateways::Gateway, httproutes::HttpRoute,
    listenersets::ListenerSet, referencegrants::ReferenceGrant,
};
