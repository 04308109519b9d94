//! Annotations of our own domain on native objects: what Gateway API leaves open or defines otherwise.
//!
//! They make a converted HTTPRoute behave as its Ingress did wherever Postern loads it.

/// On an HTTPRoute or GRPCRoute, `"true"`: its rules stay candidates when the request's host has more specific routes
/// of which none matched. Gateway API answers 404 there; Higress and nginx-style Ingresses go on to the wider host.
pub const HOST_FALLTHROUGH: &str = "postern.dev/host-fallthrough";

/// On an HTTPRoute or GRPCRoute, `"true"`: each of its hosts, on the listeners that the route attaches to, is alone. A
/// request that no route of the most specific host matches is answered 404, whatever [`HOST_FALLTHROUGH`] routes of
/// wider hosts have.
///
/// This and the next four hold for a host as a whole, before any of its routes is asked. Where its routes disagree the
/// safe side holds for all of them, and the listener's `Accepted` condition names the host. A value that cannot be read
/// counts as the strictest.
pub const HOST_ISOLATION: &str = "postern.dev/host-isolation";

/// On an HTTPRoute or GRPCRoute, `one`: its wildcard hosts stand for one label, so that `*.example.com` is not for
/// `a.b.example.com`, which goes to the next wider host. Default `any`, as Gateway API says: one label or more.
pub const WILDCARD_LABELS: &str = "postern.dev/wildcard-labels";

/// On an HTTPRoute or GRPCRoute, `any`: requests for its hosts are answered whatever server name the TLS connection was
/// made for, unless one of the two listeners asks clients for certificates, or the host's listener restricts versions
/// or cipher suites and the connection's listener does not restrict them likewise. Default `own`, as Gateway API says:
/// a request for a host of another listener is answered 421.
pub const SERVER_NAMES: &str = "postern.dev/server-names";

/// On an HTTPRoute or GRPCRoute, `decoded`: paths of requests for its hosts are read as nginx reads them before any
/// rule is asked. Slashes in a row are one, `%2F` is a slash, and every other escape of a character that may stand in a
/// path is undone. A rule that rewrites the path begins with that path. Otherwise the backend gets the path as the
/// client sent it, and where there are dot segments in that, the path that rules were matched with. Default
/// `canonical`: as [`RFC 3986`](https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2) says, or as a ClientPolicy of the
/// listener does.
pub const PATHS: &str = "postern.dev/paths";

/// On an HTTPRoute or GRPCRoute, `drop` or `refuse`: fields with an underscore in their name are taken off requests for
/// its hosts, or such requests are answered 400. Default `allow`, or what a ClientPolicy of the listener says, if that
/// is stricter.
pub const UNDERSCORES: &str = "postern.dev/underscores";

/// On an HTTPRoute or a GRPCRoute: `https` or `http`: only requests that clients send over TLS, or without. A listener
/// serves both where a trusted proxy in front of it ends TLS, and says so with `X-Forwarded-Proto`.
pub const SCHEME: &str = "postern.dev/scheme";

/// On an HTTPRoute, `namespace/name/listener`: a listener of a ListenerSet. While it is not served, because its
/// certificate is not there or cannot be used, the route attaches to nothing. Converted redirects to https wait for the
/// certificate of their host so; until it is there, a route for the same paths with a higher [`ORDER`] serves them over
/// plain HTTP.
pub const WITH_LISTENER: &str = "postern.dev/with-listener";

/// On a route, an RFC 3339 time that stands for `metadata.creationTimestamp` in precedence: the age of the Ingress that
/// the route was made from. Where routes of two kinds have the same host, it counts only without `creationTimestamp`.
pub const CREATED: &str = "postern.dev/created";

/// On a route, a decimal number, which may be negative, compared after age and before namespace and name: the order of
/// the parts of an object that was split because of schema limits. Default 0.
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
/// made, and deleted when the Ingress does not ask for it any more. Take the label off to keep the object as your own,
/// and [`MANAGED_BY`] with it, so that what stands in it counts before what the Ingress becomes.
pub const TRANSLATED: &str = "postern.dev/translated";

/// Label beside [`TRANSLATED`]: the name of the Ingress, in the object's namespace; of a name of more than 63
/// characters, its beginning and a hash.
pub const INGRESS: &str = "postern.dev/ingress";

/// On an object that a controller in the cluster keeps: the controller's name. Others let the object alone.
pub const CONTROLLER: &str = "postern.dev/controller";

/// On an Ingress in a cluster, JSON: by controller, the addresses that it has put into `status.loadBalancer.ingress`.
/// That list has entries of others too, and says of none whose it is.
pub const PUBLISHED: &str = "postern.dev/published";
