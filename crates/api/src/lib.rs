//! The Kubernetes objects that Postern reads and owns.
//!
//! This crate is the one place that names API versions. [`Resources`] holds all objects by kind and is the input of
//! every pure step; [`yaml`] reads and writes it. Postern's own kinds (`postern.dev/v1alpha1`) are [`RouteFilter`],
//! [`RoutePolicy`], [`BackendPolicy`] and [`ClientPolicy`]; [`annotation`] documents what our own annotations on native
//! objects mean.
//!
//! **Invariant:** no sockets, no clients, no clocks.

pub mod annotation;
#[allow(
    unreachable_pub,
    reason = "KubeSchema repeats structs inside functions"
)]
mod backend_policy;
mod beyond;
pub mod certificate;
#[allow(
    unreachable_pub,
    reason = "KubeSchema repeats structs inside functions"
)]
mod client_policy;
pub mod condition;
pub mod gateway;
pub mod header;
mod mcp_bridge;
mod object;
mod paired;
mod policy;
mod resources;
#[allow(
    unreachable_pub,
    reason = "KubeSchema repeats structs inside functions"
)]
mod route_filter;
mod route_policy;
pub mod template;
mod unknown;
pub mod yaml;

pub use backend_policy::{
    BackendPolicy, BackendPolicySpec, BackendProtocol, BackendTimeouts, BackendTls, BackendTlsMode,
    HashOn, HashSource, LoadBalancing, LoadBalancingType, SameSite, SessionCookie, SessionMode,
    SessionScope,
};
pub use beyond::{Beyond, Reading, Step, UnknownField};
pub use client_policy::{
    ClientCertificate, ClientHeaders, ClientPaths, ClientPolicy, ClientPolicySpec, ClientTls,
    EscapedSlashes, TlsVersion, Underscores,
};
pub use condition::{Condition, ConditionStatus};
pub use mcp_bridge::{McpBridge, McpBridgeSpec, Registry};
pub use object::{Kind, ObjectKey, ObjectRef};
pub use paired::paired;
pub use policy::{PolicyAncestor, PolicyAncestorRef, PolicyStatus, PolicyTarget, SecretRef};
pub use resources::{Change, Joined, Object, Resources, Store, Stored};
pub use route_filter::{
    RedirectOrder, RegexRewrite, RequestQuery, RouteFilter, RouteFilterSpec, TemplateHeader,
    TemplateHeaders, TemplateRedirect, TemplateRewrite,
};
pub use route_policy::{
    AnyOrigin, AuthCookies, BasicAuth, BasicAuthFormat, ClientAddresses, ConcurrencyLimit,
    CorsAllowances, CorsAnswers, ExternalAuth, ExternalAuthMethod, Fallback, FallbackRef,
    ForwardedHeader, GatewayStatuses, OriginWildcard, RateLimit, RateScope, RateUnit, RetryPolicy,
    RoutePolicy, RoutePolicySpec, StrictTransportSecurity,
};

/// The controller name that Postern writes into status, and that a GatewayClass must carry to be ours.
pub const CONTROLLER_NAME: &str = "postern.dev/gateway-controller";

/// The API group of Postern's own kinds.
pub const GROUP: &str = "postern.dev";

/// The API group of experiments of Gateway API.
pub const EXPERIMENTS_GROUP: &str = "gateway.networking.x-k8s.io";

/// The API group of Gateway API.
pub const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";

/// The API group of Higress' own kinds.
pub const HIGRESS_GROUP: &str = "networking.higress.io";
