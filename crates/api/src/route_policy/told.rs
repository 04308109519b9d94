//! What a RoutePolicy has backends and clients told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A header of requests that tells a backend who asks, and how. What the client sent under its name, in any spelling,
/// is replaced. What trusted proxies say counts, as everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ForwardedHeader {
    /// `X-Request-ID`: the client's own if it sent one, else 32 hexadecimal digits at random. Authenticators get it
    /// too.
    XRequestID,
    /// `X-Real-IP`: the client's address.
    XRealIP,
    /// `X-Forwarded-For`: the client's address alone, rather than all that trusted proxies said about the way, and the
    /// peer.
    XForwardedFor,
    /// `X-Original-Forwarded-For`: what came as `X-Forwarded-For`, from a trusted proxy or from anybody. A backend must
    /// not believe it.
    XOriginalForwardedFor,
    /// `X-Forwarded-Host`: the first host alone that a trusted proxy says there, else the one that was asked for; and
    /// `Host` is the same, unless a rewrite says another. Rules are found by the host that was asked for in any case.
    XForwardedHost,
    /// `X-Forwarded-Port`: the port that the client connected to.
    XForwardedPort,
    /// `X-Forwarded-Scheme`: `http` or `https`.
    XForwardedScheme,
    /// `X-Scheme`: likewise.
    XScheme,
}

/// `Strict-Transport-Security` (RFC 6797). It is put into every answer over a TLS connection that ends at the gateway,
/// also of the gateway itself, in the place of what a backend says about it. Plain HTTP never has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StrictTransportSecurity {
    /// For how long clients shall keep to https, in seconds. `0` has them forget it.
    #[schemars(range(max = 2_147_483_647))]
    pub max_age: u32,
    /// Whether it holds for all subdomains too. Default false.
    #[serde(default)]
    pub include_sub_domains: bool,
    /// Whether browsers may have the host in their built-in list. Default false.
    #[serde(default)]
    pub preload: bool,
}

/// How a CORS filter of the rule speaks, where it may be done in more than one way. Without such a filter it does
/// nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CorsAnswers {
    /// What is answered where any origin is allowed, and credentials too. Default `Echo`.
    #[serde(default)]
    pub any_origin: AnyOrigin,
    /// What a `*` in front of a domain stands for. Default `AnyDepth`.
    #[serde(default)]
    pub wildcard: OriginWildcard,
    /// Which answers have methods, headers and maximum age. Default `Preflights`.
    #[serde(default)]
    pub allowances: CorsAllowances,
}

/// The answer where any origin is allowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AnyOrigin {
    /// With credentials the origin that asks, as browsers take no `*` then; else `*`.
    #[default]
    Echo,
    /// `*` in any case, with `Access-Control-Allow-Credentials` beside it if the filter allows them, and to requests
    /// without `Origin` too. Browsers do not let scripts read answers to requests with cookies then.
    Literal,
}

/// What the `*` of `https://*.example.com` stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OriginWildcard {
    /// One or more labels.
    #[default]
    AnyDepth,
    /// One label.
    OneLabel,
}

/// Which answers say what CORS allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CorsAllowances {
    /// Those to preflights. What the backend says about origins is replaced.
    #[default]
    Preflights,
    /// All to an allowed origin. Each OPTIONS from there is answered as a preflight, before client addresses are looked
    /// at, unless these let nobody in. Requests of other origins, OPTIONS too, go to the backend, and what it says
    /// about them stands.
    EveryAnswer,
}

/// Statuses of the gateway's own answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayStatuses {
    /// No connection could be made, to any endpoint. Default 503.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 500, max = 599))]
    pub connect_failed: Option<u16>,
    /// A backendRef cannot be used: the Service or its port does not exist, or may not be used from here. Default 500,
    /// as Gateway API has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 500, max = 599))]
    pub invalid_backend: Option<u16>,
    /// The rule has neither a backendRef nor a filter that answers. Default 500, as Gateway API has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 400, max = 599))]
    pub no_backend: Option<u16>,
    /// The rule is closed as a whole, because something in it or in a policy of it cannot be honoured: a Secret with
    /// users that does not exist, a filter that is not known. Default 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 500, max = 599))]
    pub invalid_rule: Option<u16>,
    /// `clientAddresses` do not let the client in. Default 403.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 400, max = 599))]
    pub forbidden: Option<u16>,
}
