//! `BackendPolicy`: how requests reach a backend.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{PolicyStatus, PolicyTarget, SecretRef};

/// Settings for Services, or for the backends of HTTPRoutes and GRPCRoutes, in the same namespace (GEP-713 direct
/// attachment). The more specific target wins, setting by setting: a rule, its route, a port of the Service, the
/// Service. Of two policies with the same target the older one wins, then the first by name.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "postern.dev",
    version = "v1alpha1",
    kind = "BackendPolicy",
    plural = "backendpolicies",
    doc = "How requests reach a Service, or the backends of an HTTPRoute or GRPCRoute: balancing, stickiness, protocol, TLS.",
    namespaced,
    derive = "PartialEq",
    status = "PolicyStatus",
    shortname = "pbp",
    category = "postern",
    category = "gateway-api",
    printcolumn = r#"{"name":"Target","type":"string","jsonPath":".spec.targetRefs[0].name"}"#,
    printcolumn = r#"{"name":"Accepted","type":"string","jsonPath":".status.ancestors[0].conditions[?(@.type=='Accepted')].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.sessionCookie) || self.targetRefs.all(t, t.kind != 'Service')",
    "message": "sessionCookie is for routes and their rules, not for Services",
}]))]
pub struct BackendPolicySpec {
    /// What it applies to: Services (`sectionName` is a port's name or number), or HTTPRoutes or GRPCRoutes of
    /// `gateway.networking.k8s.io` (`sectionName` is the name of a rule).
    #[schemars(
        length(min = 1, max = 16),
        extend(
            "x-kubernetes-list-type" = "atomic",
            "x-kubernetes-validations" = crate::policy::target_rules(&[
                ("", "Service"),
                ("gateway.networking.k8s.io", "HTTPRoute"),
                ("gateway.networking.k8s.io", "GRPCRoute"),
            ])
        )
    )]
    pub target_refs: Vec<PolicyTarget>,
    /// Choice among the endpoints of a Service. Default: one after another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancing: Option<LoadBalancing>,
    /// A cookie that ties clients to endpoints. On rules and routes only, not on Services; it goes before weights and
    /// balancing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_cookie: Option<SessionCookie>,
    /// HTTP version towards the backend. Default: what `appProtocol` or the name of the Service's port says, else
    /// HTTP1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<BackendProtocol>,
    /// TLS towards the backend. On a rule or route it goes before a BackendTLSPolicy of the Service, on the Service
    /// after it. Default: what `appProtocol` or the name of the Service's port says, else none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<BackendTls>,
    /// How long a backend may keep us waiting. Default: five seconds to connect, no limit else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<BackendTimeouts>,
    /// Whether `appProtocol` and the name of the Service's port choose HTTP version and TLS where no policy does.
    /// Default true; with false it is HTTP/1.1 in plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_hints: Option<bool>,
    /// Connect to the Service's own address, and let the cluster's network choose the endpoint. A Service without one
    /// (headless, ExternalName) is reached by its endpoints all the same, and the route says so. Default false.
    #[serde(
        rename = "useClusterIP",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub use_cluster_ip: Option<bool>,
}

/// How long a backend may keep us waiting: durations as in Gateway API (`500ms`, `1m30s`). A limit that is absent, or
/// `0s`, is none. What is no duration closes the backend: its requests are answered 500.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackendTimeouts {
    /// Until a connection is open, TLS included. Absent or `0s`: that of the gateway, five seconds unless it is told
    /// otherwise. Expiry answers 504.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = "^([0-9]{1,5}(h|m|s|ms)){1,4}$"))]
    pub connect: Option<String>,
    /// The longest silence of the backend, before the head of the answer and between any two parts of its body. Expiry
    /// answers 504, or breaks off an answer that has begun. An upgraded connection (WebSocket) ends when nothing has
    /// passed for so long in either direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = "^([0-9]{1,5}(h|m|s|ms)){1,4}$"))]
    pub read: Option<String>,
    /// The longest time for which the backend takes nothing of a request's body that is there to be taken. Expiry
    /// answers 504.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = "^([0-9]{1,5}(h|m|s|ms)){1,4}$"))]
    pub send: Option<String>,
}

/// Choice among endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("(self.type == 'ConsistentHash') == has(self.hashOn)", "hashOn goes with type ConsistentHash, and only with it"))]
pub struct LoadBalancing {
    /// How.
    #[serde(rename = "type")]
    pub type_: LoadBalancingType,
    /// What of a request decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_on: Option<HashOn>,
}

/// How an endpoint is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LoadBalancingType {
    /// One after another.
    RoundRobin,
    /// The one with the fewest requests in flight from this gateway instance.
    LeastRequest,
    /// Any.
    Random,
    /// The same one for the same key; an endpoint that comes or goes moves only its own share of keys.
    ConsistentHash,
}

/// What of a request is hashed. A request that has none of it goes to any endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = ("(self.source in ['Header', 'QueryParam']) == has(self.name)", "name goes with source Header or QueryParam, and only with those"))]
pub struct HashOn {
    /// Which part.
    pub source: HashSource,
    /// Name of the header or query parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub name: Option<String>,
}

/// Part of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HashSource {
    /// Path and query.
    Uri,
    /// Host.
    Host,
    /// The client's address.
    ClientAddress,
    /// A header.
    Header,
    /// A query parameter.
    QueryParam,
}

/// A cookie that ties a client to an endpoint for as long as that is there. A client without one gets it with the first
/// answer. A value that another Service or the application made is kept, and leads to the same endpoint for as long as
/// there are the same ones: Services may share a cookie's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!has(self.unlessMisread) || !self.unlessMisread || has(self.sameSite) && self.sameSite == 'None'", "unlessMisread goes with sameSite None"))]
pub struct SessionCookie {
    /// Its name.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// Path attribute. Default `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), extend("default" = "/"))]
    pub path: Option<String>,
    /// Lifetime in seconds. Absent: the browser's session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_age: Option<u64>,
    /// Lifetime in seconds, which the cookie has as a date, its Expires attribute. Browsers go by `maxAge` where both
    /// are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_294_967_295_u64))]
    pub expires: Option<u64>,
    /// Domain attribute. Absent: the host that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub domain: Option<String>,
    /// SameSite attribute. Absent: the browser's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_site: Option<SameSite>,
    /// Leave `sameSite` None out for browsers that are known to misread it. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(extend("default" = false))]
    pub unless_misread: bool,
    /// Secure attribute, whatever the client asks over. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(extend("default" = false))]
    pub secure: bool,
    /// Secure attribute where the client asks over https. With `sameSite` None it is always so, as browsers want it.
    /// Default false.
    #[serde(
        rename = "secureOverHTTPS",
        default,
        skip_serializing_if = "std::ops::Not::not"
    )]
    #[schemars(extend("default" = false))]
    pub secure_over_https: bool,
    /// What becomes of clients when an endpoint comes. Default `Persistent`.
    #[serde(default, skip_serializing_if = "SessionMode::is_persistent")]
    pub mode: SessionMode,
    /// Among which endpoints a client's one is looked for. Default `Rule`.
    #[serde(default, skip_serializing_if = "SessionScope::is_rule")]
    pub scope: SessionScope,
    /// Whether a client whose endpoint is there and does not answer moves, cookie and all, to the one that answered in
    /// its stead. Default true.
    #[serde(default = "always", skip_serializing_if = "Clone::clone")]
    pub change_on_failure: bool,
}

const fn always() -> bool {
    true
}

/// What becomes of clients with a session cookie when an endpoint comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SessionMode {
    /// They stay where they are.
    #[default]
    Persistent,
    /// It takes its share of them.
    Balanced,
}

impl SessionMode {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    const fn is_persistent(&self) -> bool {
        matches!(self, Self::Persistent)
    }
}

/// Among which endpoints a session cookie counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SessionScope {
    /// All backends of the rule: a client stays with its endpoint, whatever the weights say.
    #[default]
    Rule,
    /// Those of the backend that the weights have chosen: a client may change between backends with each request.
    Backend,
}

impl SessionScope {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    const fn is_rule(&self) -> bool {
        matches!(self, Self::Rule)
    }
}

/// SameSite attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SameSite {
    /// Sent with requests from the same site only.
    Strict,
    /// Sent with navigations from other sites too.
    Lax,
    /// Always sent; browsers want the cookie to be secure with it.
    None,
}

/// HTTP version towards a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BackendProtocol {
    /// HTTP/1.1.
    HTTP1,
    /// HTTP/2: by prior knowledge on plain text, by ALPN on TLS. gRPC needs it.
    HTTP2,
}

/// TLS towards a backend. What cannot be honoured closes the backend: its requests are answered 500.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.mode in ['Verified', 'VerifiedChain'] || !has(self.caCertificateRef)", "caCertificateRef goes with mode Verified or VerifiedChain: in the others nobody is verified"))]
pub struct BackendTls {
    /// Whether there is TLS at all. Default `Verified`.
    #[serde(default)]
    pub mode: BackendTlsMode,
    /// Name that is sent, and that the certificate must be for. Absent: the host that the backend is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub hostname: Option<String>,
    /// Do not send a name. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(extend("default" = false))]
    pub omit_server_name: bool,
    /// Secret with the authorities, key `ca.crt` or `cacert`. Absent: those that the gateway's system trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificate_ref: Option<SecretRef>,
    /// Secret of type `kubernetes.io/tls` that is shown to backends that ask for a certificate. Absent: what the
    /// Gateway shows, if anything (its `tls.backend`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_ref: Option<SecretRef>,
}

/// Whether and how a backend's connections are secured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BackendTlsMode {
    /// TLS, and the backend's certificate is verified.
    #[default]
    Verified,
    /// TLS, and the backend's certificate must come from the authorities, whatever its name.
    VerifiedChain,
    /// TLS, and whoever answers is believed.
    Unverified,
    /// Plain text, whatever the Service's port says.
    Off,
}
