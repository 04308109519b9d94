//! `RoutePolicy`: behaviour of a route, or one of its rules, that HTTPRoute has no word for.

mod told;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use told::{
    AnyOrigin, CorsAllowances, CorsAnswers, ForwardedHeader, GatewayStatuses, OriginWildcard,
    StrictTransportSecurity,
};

use crate::{PolicyStatus, PolicyTarget, SecretRef};

/// Settings for HTTPRoutes and GRPCRoutes in the same namespace (GEP-713 direct attachment). Of two policies with the
/// same target the older one wins, then the first by name; each setting of a policy for one rule wins over that of one
/// for the whole route.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "postern.dev",
    version = "v1alpha1",
    kind = "RoutePolicy",
    plural = "routepolicies",
    doc = "Settings for HTTPRoutes and GRPCRoutes, or single rules, that these have no word for.",
    namespaced,
    derive = "PartialEq",
    status = "PolicyStatus",
    shortname = "prp",
    category = "postern",
    category = "gateway-api",
    printcolumn = r#"{"name":"Target","type":"string","jsonPath":".spec.targetRefs[0].name"}"#,
    printcolumn = r#"{"name":"Accepted","type":"string","jsonPath":".status.ancestors[0].conditions[?(@.type=='Accepted')].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct RoutePolicySpec {
    /// What it applies to: HTTPRoutes and GRPCRoutes of `gateway.networking.k8s.io`; `sectionName` is the name of a
    /// rule.
    #[schemars(
        length(min = 1, max = 16),
        extend(
            "x-kubernetes-list-type" = "atomic",
            "x-kubernetes-validations" = crate::policy::target_rules(&[
                ("gateway.networking.k8s.io", "HTTPRoute"),
                ("gateway.networking.k8s.io", "GRPCRoute"),
            ])
        )
    )]
    pub target_refs: Vec<PolicyTarget>,
    /// When the rule's `retry` repeats a request, beyond the status codes that it lists itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// How many requests may pass in a time. All of these limits hold: a request takes a token from each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub rate_limits: Vec<RateLimit>,
    /// How many requests a client may have in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<ConcurrencyLimit>,
    /// Which clients may ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_addresses: Option<ClientAddresses>,
    /// The largest request body, in bytes; a larger one is answered with 413, or ends the request when the answer has
    /// begun. `0`, the default, is no limit. Nothing is buffered for it, and what follows an upgrade is not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_125_899_906_842_624_u64))]
    pub max_request_body_bytes: Option<u64>,
    /// Protocols that a request may switch to with `Upgrade`, beside `websocket`: names as HTTP has them, such as
    /// `spdy/3.1`. Versions of HTTP are not possible.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(length(min = 1, max = 64), regex(pattern = r"^[!#$%&'*+.^_`|~0-9A-Za-z/-]+$")),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub upgrades: Vec<String>,
    /// Whether requests have their line in the access log. Default true. Metrics and traces are not touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_log: Option<bool>,
    /// Who answers where a backend cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// Whether `Exact` and `PathPrefix` matches take ASCII letters in any case: `/Shop` matches `/shop`. Precedence is
    /// as without, and a replaced prefix is replaced in whatever case it came. Regular expressions are not touched:
    /// write `(?i)` there. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore_path_case: Option<bool>,
    /// User name and password that clients have to give. CORS preflights, which browsers send without, are answered all
    /// the same; addresses and rate limits come first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// Somebody else who has to let each request pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_auth: Option<ExternalAuth>,
    /// What backends are told of clients in headers, beside `X-Forwarded-For`, `-Proto` and `-Host`. Filters of the
    /// rule may change these. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"))]
    pub forwarded_headers: Vec<ForwardedHeader>,
    /// `Strict-Transport-Security` in answers over https. Default: what the backend says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict_transport_security: Option<StrictTransportSecurity>,
    /// How CORS filters of the rule speak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<CorsAnswers>,
    /// Statuses of the gateway's own answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_statuses: Option<GatewayStatuses>,
}

/// Who answers where a backend cannot. A Service that cannot be used (it does not exist, or no ReferenceGrant of its
/// namespace lets RoutePolicies of this one use it) stands in for nobody, and the route says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fallback {
    /// Services in order. When the backend that a request is for has no usable endpoint, or cannot be used at all, the
    /// first of these that has one gets the request as it is. What BackendPolicies say for the rule holds for those
    /// that the rule itself names, be it with weight 0; the others have only what is said for their Service.
    #[schemars(length(min = 1, max = 4))]
    pub backend_refs: Vec<FallbackRef>,
    /// Statuses, of a backend or because one did not answer, in whose stead the last of the Services is asked, once:
    /// GET (or HEAD) of `/` with the host that the client asked for, and `X-Code` (the status), `X-Format` (the
    /// client's `Accept`) and `X-Original-URI`, without `Authorization`. What it says is the answer; of 401, 403 and
    /// 407 the status stays. When it does not answer either, the first answer counts. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(range(min = 400, max = 599)))]
    pub status_codes: Vec<u16>,
    /// Whether the last of the Services is told more of why it is asked: `X-Namespace`, `X-Ingress-Name` (the Ingress
    /// that the route was made from, else the route), `X-Service-Name` and `X-Service-Port` (the first backendRef of
    /// the rule). A request that it gets because there is no endpoint then has these too, with `X-Code: 503` and
    /// `X-Format`. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tell_why: bool,
    /// Whether the last of the Services is asked in the stead of what the gateway itself refuses, too, where that has
    /// one of `statusCodes`: 401, 403, 413, 429, 500, 503. Nothing of the request's body is read for it. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refusals: bool,
}

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FallbackRef {
    /// The Service.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace. Default: that of the policy; another one needs a ReferenceGrant there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// Number of the port.
    #[schemars(range(min = 1, max = 65_535))]
    pub port: u16,
}

/// Conditions for the retries of a rule that has `retry`. Without this policy: the listed codes and failed
/// connections, for every method.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetryPolicy {
    /// Retry when no connection could be made, or it was lost before the response. Default false.
    #[serde(default)]
    pub connection_failure: bool,
    /// Retry when the attempt ran into `timeouts.backendRequest`. Default false.
    #[serde(default)]
    pub timeout: bool,
    /// Retry on every status from 500 to 599. Default false.
    #[serde(default)]
    pub server_errors: bool,
    /// Retry methods that are not idempotent too, such as POST, PATCH and LOCK. Default false.
    #[serde(default)]
    pub non_idempotent: bool,
}

/// A token bucket for each rule and gateway instance: full at first, refilled evenly, one token a request. Without a
/// token the answer is 429 with `Retry-After`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Requests in each period.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub requests: u32,
    /// The period.
    pub unit: RateUnit,
    /// Size of the bucket: how many requests may come at once. Default: `requests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub burst: Option<u32>,
    /// Whom a bucket is for. Default `Rule`.
    #[serde(default)]
    pub scope: RateScope,
    /// Networks (CIDR) or addresses of clients that are not counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 256),
        inner(length(max = 64), regex(pattern = "^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$")),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub exempt: Vec<String>,
}

/// Requests that one client address (of IPv6, each /64) may have in flight at once, for each rule and gateway instance:
/// from the request's head to the end of the answer, or of the tunnel after an upgrade. One more is answered with 429.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConcurrencyLimit {
    /// How many.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub requests: u32,
    /// Networks (CIDR) or addresses of clients that are not counted. One that cannot be read closes the rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub exempt: Vec<String>,
}

/// The period of a rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RateUnit {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
}

/// Whom a bucket is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RateScope {
    /// All clients of the rule together.
    #[default]
    Rule,
    /// Each client address by itself (of IPv6, each /64).
    Client,
}

/// Which clients may ask; others are answered 403, or `gatewayStatuses.forbidden`. An entry that cannot be read closes
/// the rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClientAddresses {
    /// Networks (CIDR) or addresses that may ask; empty: every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 1024),
        inner(length(max = 64), regex(pattern = "^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$")),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub allow: Vec<String>,
    /// Networks or addresses that may not, even if they are in `allow`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 1024),
        inner(length(max = 64), regex(pattern = "^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$")),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub deny: Vec<String>,
}

/// Networks with every address.
const EVERYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

impl ClientAddresses {
    /// No client may ask: what a setting becomes that restricts access and cannot be honoured.
    #[must_use]
    pub fn none() -> Self {
        Self {
            allow: Vec::new(),
            deny: EVERYWHERE.map(str::to_owned).into(),
        }
    }

    /// Whether no client may ask.
    #[must_use]
    pub fn is_none(&self) -> bool {
        let denied = |network: &&str| self.deny.iter().any(|denied| denied == network);
        EVERYWHERE.iter().all(denied)
    }
}

/// User name and password (RFC 7617). Whoever gives none, or wrong ones, is answered 401. A Secret that is not there,
/// cannot be read, or has no user in it closes the rule: 500, unless `gatewayStatuses.invalidRule` says another status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuth {
    /// Secret with users and passwords: bcrypt (`$2y$`, cost up to 15), `$apr1$`, `{SHA}`, `{SSHA}`, `$1$`, `$5$` or
    /// `$6$` (up to 1,000,000 rounds), or `{PLAIN}`. An entry that cannot be read, such as one of DES crypt, is named
    /// in the route's status by its user and line, and cannot log in.
    pub secret_ref: SecretRef,
    /// How the Secret holds them. Default `File`.
    #[serde(default)]
    pub format: BasicAuthFormat,
    /// Realm that the prompt for a password shows. Default `Authentication Required`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub realm: Option<String>,
    /// Whether the backend gets the client's `Authorization`. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_authorization: Option<bool>,
}

/// How a Secret holds users.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BasicAuthFormat {
    /// The key `auth` holds a file as htpasswd writes it: a line `user:hash` for each user.
    #[default]
    File,
    /// Each key is a user, its value the hash.
    Map,
}

/// Somebody else who decides, request by request, who comes in: any 2xx lets a request pass, 401 and 403 are answered
/// to the client, and anything else, or nothing in time, is answered 5xx. It comes after addresses, rate limits and
/// `basicAuth`; CORS preflights are answered without it. A field that cannot be honoured closes the rule: 500.
///
/// It is asked without the request's body and with its headers, and told the rest in `X-Original-URL`,
/// `X-Original-Method`, `X-Original-URI`, `X-Auth-Request-Redirect` and `X-Forwarded-*`, which clients cannot set.
///
/// Where variables may stand, these are `$host`, `$http_host`, `$best_http_host`, `$scheme`, `$pass_access_scheme`,
/// `$request_uri`, `$escaped_request_uri`, `$uri`, `$document_uri`, `$args`, `$query_string`, `$is_args`,
/// `$request_method` and `$remote_addr`; any of them also as `${host}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalAuth {
    /// Who is asked: an absolute URL. Variables may stand in its path and query, not in its host. The name of a
    /// Service, `NAME.NAMESPACE.svc` with or without the cluster's domain, leads to its endpoints, with what
    /// BackendPolicies say of it; any other is resolved. The certificate behind `https` is verified.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// With which method. Default `GET`.
    #[serde(default)]
    pub method: ExternalAuthMethod,
    /// Headers of its answer that go to the backend. What clients send under these names never does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub response_headers: Vec<String>,
    /// Where a client is sent (302) that would be answered 401: a URL or path, in which variables may stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub sign_in_url: Option<String>,
    /// What `X-Auth-Request-Redirect` says; variables may stand in it. Default `$request_uri`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub request_redirect: Option<String>,
    /// With which answers cookies that it sets go to the client. Default `Successes`.
    #[serde(default)]
    pub cookies: AuthCookies,
    /// How long it may take, as Gateway API writes durations. Default `10s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub timeout: Option<String>,
}

/// Method of requests to an authenticator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "they are what they are called")]
pub enum ExternalAuthMethod {
    #[default]
    GET,
    HEAD,
    POST,
    PUT,
    PATCH,
    DELETE,
    OPTIONS,
}

/// With which answers an authenticator's cookies go to the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AuthCookies {
    /// With 200, 201, 204, 206, 301, 302, 303, 304, 307 and 308.
    #[default]
    Successes,
    /// With every answer.
    Always,
}
