//! Annotations of our own domain on native objects: what Gateway API leaves open or defines otherwise.
//!
//! They make a converted HTTPRoute behave as its Ingress did wherever Postern loads it.

/// On an HTTPRoute or GRPCRoute, `"true"`: its rules stay candidates when the request's host has more specific routes of which
/// none matched. Gateway API answers 404 there; Higress and nginx-style Ingresses go on to the wider host.
pub const HOST_FALLTHROUGH: &str = "postern.dev/host-fallthrough";

/// On an HTTPRoute or a GRPCRoute: `https` or `http`: only requests that clients send over TLS, or without. A listener serves
/// both where a trusted proxy in front of it ends TLS, and says so with `X-Forwarded-Proto`.
pub const SCHEME: &str = "postern.dev/scheme";

/// On a route, an RFC 3339 time that stands for `metadata.creationTimestamp` in precedence: the age of the Ingress that
/// the route was made from. Where routes of two kinds have the same host, it counts only without `creationTimestamp`.
pub const CREATED: &str = "postern.dev/created";

/// On a route, a decimal number compared after age and before namespace and name: the order of the parts of
/// an object that was split because of schema limits. Default 0.
pub const ORDER: &str = "postern.dev/order";

/// On a generated object, `Ingress/namespace/name` of what it was made from.
pub const ORIGIN: &str = "postern.dev/origin";

/// Label on every generated object; its value is [`MANAGED_BY_VALUE`].
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// See [`MANAGED_BY`].
pub const MANAGED_BY_VALUE: &str = "postern";

/// On a Service, comma-separated `host:port` endpoints, for standalone use where the Service has no EndpointSlice.
pub const ENDPOINTS: &str = "postern.dev/endpoints";

/// Label on an object that a controller in the cluster made from an Ingress, with value `"true"`: it is kept as it was
/// made, and deleted when the Ingress does not ask for it any more. Take the label off to keep the object as your own.
pub const TRANSLATED: &str = "postern.dev/translated";

/// On an object that a controller in the cluster keeps: the controller's name. Others let the object alone.
pub const CONTROLLER: &str = "postern.dev/controller";
