//! What an Ingress has without an annotation: the defaults of its class, as specs of policies.
//!
//! Profile nginx is ingress-nginx' own template and ConfigMap defaults. Higress has none that our own do not have.

use api::{
    AnyOrigin, BackendTimeouts, CorsAllowances, CorsAnswers, ForwardedHeader, GatewayStatuses,
    OriginWildcard, StrictTransportSecurity,
};

use super::Profile;
use crate::annotations::Settings;

/// What ingress-nginx tells backends, beside `X-Forwarded-Proto`.
const FORWARDED: [ForwardedHeader; 8] = [
    ForwardedHeader::XRequestID,
    ForwardedHeader::XRealIP,
    ForwardedHeader::XForwardedFor,
    ForwardedHeader::XOriginalForwardedFor,
    ForwardedHeader::XForwardedHost,
    ForwardedHeader::XForwardedPort,
    ForwardedHeader::XForwardedScheme,
    ForwardedHeader::XScheme,
];

/// Its `hsts`, `hsts-max-age`, `hsts-include-subdomains` and `hsts-preload`.
const STRICT: StrictTransportSecurity = StrictTransportSecurity {
    max_age: 31_536_000,
    include_sub_domains: true,
    preload: false,
};

/// A refused connection is a bad gateway; a Service that is not there has no endpoints, and a path that is denied is
/// not served.
const STATUSES: GatewayStatuses = GatewayStatuses {
    connect_failed: Some(502),
    invalid_backend: Some(503),
    no_backend: Some(503),
    invalid_rule: Some(503),
    forbidden: None,
};

/// Its `proxy-connect-timeout`, and `proxy-read-timeout` and `proxy-send-timeout`.
const TIMEOUTS: [&str; 2] = ["5s", "1m"];

/// Keys whose values ingress-nginx reads as a boolean or a number just as they are written.
const BARE: &[&str] = &[
    "auth-always-set-cookie",
    "canary",
    "canary-weight",
    "canary-weight-total",
    "cors-allow-credentials",
    "cors-max-age",
    "enable-access-log",
    "enable-cors",
    "enable-global-auth",
    "force-ssl-redirect",
    "from-to-www-redirect",
    "limit-burst-multiplier",
    "limit-connections",
    "limit-rpm",
    "limit-rps",
    "permanent-redirect-code",
    "proxy-connect-timeout",
    "proxy-next-upstream-timeout",
    "proxy-next-upstream-tries",
    "proxy-read-timeout",
    "proxy-send-timeout",
    "service-upstream",
    "session-cookie-change-on-failure",
    "session-cookie-conditional-samesite-none",
    "session-cookie-secure",
    "ssl-redirect",
    "temporal-redirect-code",
    "use-regex",
];

impl Profile {
    /// Writes what an Ingress of the class has unless its annotations say otherwise.
    pub(crate) fn write_defaults(self, settings: &mut Settings) {
        match self {
            Self::Higress => {}
            Self::Nginx => {
                settings.denied_status = Some(503);
                let policy = settings.route_policy_mut();
                policy.forwarded_headers = FORWARDED.to_vec();
                policy.strict_transport_security = Some(STRICT);
                policy.gateway_statuses = Some(STATUSES);
                let policy = settings.backend_policy_mut();
                policy.port_hints = Some(false);
                let [connect, silence] = TIMEOUTS.map(|text| Some(text.to_owned()));
                policy.timeouts = Some(BackendTimeouts {
                    connect,
                    read: silence.clone(),
                    send: silence,
                });
            }
        }
    }

    /// What paths answer whose backend is none.
    pub(crate) const fn broken_status(self) -> u16 {
        match self {
            Self::Higress => 500,
            Self::Nginx => 503,
        }
    }

    /// Whether TLS to the backend is spoken because `proxy-ssl-secret` is there. ingress-nginx goes by
    /// `backend-protocol` alone.
    pub(crate) const fn secret_means_tls(self) -> bool {
        matches!(self, Self::Higress)
    }

    /// How CORS is spoken. ingress-nginx says what it allows in every answer to an allowed origin, and `*` where that
    /// is any.
    pub(crate) const fn cors(self) -> Option<CorsAnswers> {
        match self {
            Self::Higress => None,
            Self::Nginx => Some(CorsAnswers {
                any_origin: AnyOrigin::Literal,
                wildcard: OriginWildcard::OneLabel,
                allowances: CorsAllowances::EveryAnswer,
            }),
        }
    }

    /// Whether plain HTTP that is sent to https has CORS too: ingress-nginx answers preflights before it redirects.
    pub(crate) const fn shares_before_https(self) -> bool {
        matches!(self, Self::Nginx)
    }

    /// Request headers that CORS allows by default.
    pub(crate) const fn cors_headers(self) -> &'static str {
        match self {
            Self::Higress => {
                "DNT,X-CustomHeader,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Authorization"
            }
            Self::Nginx => {
                "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization"
            }
        }
    }

    /// Whether an origin without scheme stands for http and https. ingress-nginx passes over it.
    pub(crate) const fn takes_origins_without_scheme(self) -> bool {
        matches!(self, Self::Higress)
    }

    /// Whether backends get the `Authorization` that a client showed here; `None`: as is the default.
    pub(crate) const fn forwards_authorization(self) -> Option<bool> {
        match self {
            Self::Higress => None,
            Self::Nginx => Some(false),
        }
    }

    /// Whether a number of seconds may have its unit. ingress-nginx passes over what is no bare number.
    pub(crate) const fn takes_seconds_with_unit(self) -> bool {
        matches!(self, Self::Higress)
    }

    /// Whether blanks around the value of a key do not count. In ingress-nginx no boolean and no number has any.
    pub(crate) fn takes_blanks(self, key: &str) -> bool {
        match self {
            Self::Higress => true,
            Self::Nginx => !BARE.contains(&key),
        }
    }

    /// Whether who stands in for a Service is told why.
    pub(crate) const fn tells_why(self) -> bool {
        matches!(self, Self::Nginx)
    }

    /// Whether `*` in an address list means everybody. In ingress-nginx it is no address, and closes the Ingress.
    pub(crate) const fn star_is_everybody(self) -> bool {
        matches!(self, Self::Higress)
    }
}
