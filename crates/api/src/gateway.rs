//! Gateway API types under the names that the specification uses.

mod stream_route;

pub use gateway_api::{
    apis::standard::backendtlspolicies,
    experimental::{
        gatewayclasses, gateways, grpcroutes, httproutes, listenersets, referencegrants, tlsroutes,
    },
};
pub use gateway_api::{
    apis::standard::backendtlspolicies::BackendTlsPolicy,
    experimental::{
        gatewayclasses::GatewayClass, gateways::Gateway, grpcroutes::GrpcRoute,
        httproutes::HttpRoute, listenersets::ListenerSet, referencegrants::ReferenceGrant,
        tlsroutes::TlsRoute,
    },
};
pub use stream_route::{
    StreamBackendRef, StreamParentRef, StreamRule, TcpRoute, TcpRouteSpec, UdpRoute, UdpRouteSpec,
};
