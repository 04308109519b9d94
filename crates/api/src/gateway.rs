//! Gateway API types under the names that the specification uses.

mod listener_filters;
mod session_persistence;
mod stream_route;
mod x_backend;

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
pub use listener_filters::{ListenerFilter, ListenerFilterType, ListenerFilters};
pub use session_persistence::{
    SessionCookieFields, SessionFields, SessionHeaderFields, SessionLifetime, SessionPersistence,
};
pub use stream_route::{
    StreamBackendRef, StreamParentRef, StreamRule, TcpRoute, TcpRouteSpec, UdpRoute, UdpRouteSpec,
};
pub use x_backend::{
    XBackend, XBackendHostname, XBackendPort, XBackendProtocol, XBackendSecretRef, XBackendSpec,
    XBackendTls, XBackendTlsMode, XBackendType,
};
