//! Deadlines, retries, limits and stickiness of a rule.

use std::{num::NonZeroU32, time::Duration};

use http::{HeaderName, StatusCode};
use ipnet::IpNet;
use serde::{Serialize, Serializer};

use crate::serialize;

/// Deadlines; `None` means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Timeouts {
    /// From the request's head to the end of the response, over all attempts. Expiry answers 504, or aborts a
    /// response that has begun. Upgraded connections are exempt.
    #[serde(serialize_with = "millis", skip_serializing_if = "Option::is_none")]
    pub request: Option<Duration>,
    /// From the start of an attempt to the response's head.
    #[serde(serialize_with = "millis", skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Duration>,
}

/// When and how often a failed attempt is repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retry {
    /// Attempts beyond the first. 0: none, not even where no connection could be made, or where the backend refused to
    /// process the request. A pooled connection that was found dead before anything was sent is no attempt.
    pub retries: u32,
    /// Pause before each repeat.
    #[serde(serialize_with = "millis", skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Duration>,
    /// What counts as failed.
    pub on: RetryOn,
    /// Repeat methods that are not idempotent too.
    pub non_idempotent: bool,
    /// Those methods are not repeated where the connection was lost after the request had been sent: it may have been
    /// processed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub spares_lost: bool,
}

/// What counts as a failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RetryOn {
    /// No connection, or one lost before the response's head.
    pub connect: bool,
    /// The attempt's own deadline.
    pub timeout: bool,
    /// These statuses.
    #[serde(serialize_with = "serialize::statuses")]
    pub statuses: Vec<StatusCode>,
    /// Any status from 500 to 599.
    pub any_5xx: bool,
}

impl RetryOn {
    /// Whether an answer with `status` is to be tried again.
    #[must_use]
    pub fn status(&self, status: StatusCode) -> bool {
        (self.any_5xx && status.is_server_error()) || self.statuses.contains(&status)
    }
}

/// A token bucket: full at first, refilled evenly, one token a request. Without a token the answer is 429 with
/// `Retry-After`. Its state is kept under the rule's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RateLimit {
    /// Tokens that come back in each period.
    pub requests: NonZeroU32,
    /// The period.
    pub unit: RateUnit,
    /// Size of the bucket.
    pub burst: NonZeroU32,
    /// A bucket for each client address, rather than one for all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub per_client: bool,
    /// Clients that are not counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exempt: Vec<IpNet>,
}

/// How many requests one client may have in flight; one more is answered with 429. The counts are kept under the rule's
/// key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConcurrencyLimit {
    /// How many.
    pub requests: NonZeroU32,
    /// Clients that are not counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exempt: Vec<IpNet>,
}

/// The period of a [`RateLimit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RateUnit {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
}

impl RateLimit {
    /// Whether a bucket for the one does for the other: all but who is counted is the same.
    #[must_use]
    pub fn same_bucket(&self, other: &Self) -> bool {
        let bucket = |limit: &Self| (limit.requests, limit.unit, limit.burst, limit.per_client);
        bucket(self) == bucket(other)
    }
}

impl RateUnit {
    /// Its length.
    #[must_use]
    pub const fn duration(self) -> Duration {
        match self {
            Self::Second => Duration::from_secs(1),
            Self::Minute => Duration::from_secs(60),
            Self::Hour => Duration::from_secs(3600),
        }
    }
}

/// A token that ties a client to an endpoint, across all backends of the rule. Its value names the endpoint and the
/// backend that has it, in a way that every replica understands; a client without one gets it with the first answer. A
/// value that another backend made, or an application, is kept: it leads to the same endpoint for as long as there are
/// the same ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionToken {
    /// Where it stands.
    #[serde(flatten)]
    pub carrier: SessionCarrier,
    /// When a session ends. Its values have the times in them, so that replicas need not know of each other.
    #[serde(skip_serializing_if = "SessionLifetime::is_endless")]
    pub lifetime: SessionLifetime,
    /// The weights choose the backend first; the token counts among its endpoints only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub after_weights: bool,
    /// A client stays with its endpoint, which is still there, even where that does not answer: each attempt goes
    /// there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub kept_on_failure: bool,
    /// An endpoint that comes takes its share of the clients: all values are hashed, and none names an endpoint.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rebalanced: bool,
}

impl SessionToken {
    /// A token that goes before weights, names its endpoint, and lasts for as long as that does.
    #[must_use]
    pub const fn new(carrier: SessionCarrier) -> Self {
        Self {
            carrier,
            lifetime: SessionLifetime {
                absolute: None,
                idle: None,
            },
            after_weights: false,
            kept_on_failure: false,
            rebalanced: false,
        }
    }

    /// The same in a cookie of this name, whose attributes are these.
    #[must_use]
    pub fn in_cookie(name: &str, attributes: &str) -> Self {
        Self::new(SessionCarrier::Cookie(Cookie {
            name: name.into(),
            attributes: attributes.into(),
            varying: VaryingAttributes::default(),
        }))
    }
}

/// Where the token of a session stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SessionCarrier {
    /// In a cookie.
    Cookie(Cookie),
    /// In this header of answers and requests.
    Header(#[serde(serialize_with = "serialize::text")] HeaderName),
}

/// A cookie, but for its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cookie {
    /// Its name: a token (RFC 6265 section 4.1.1).
    pub name: Box<str>,
    /// Attributes as they follow the value: `; Path=/; HttpOnly`.
    pub attributes: Box<str>,
    /// Attributes that each answer has its own of, or does not have.
    #[serde(skip_serializing_if = "VaryingAttributes::is_none")]
    pub varying: VaryingAttributes,
}

/// When a session ends, to the millisecond.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SessionLifetime {
    /// So long after it began.
    #[serde(serialize_with = "millis", skip_serializing_if = "Option::is_none")]
    pub absolute: Option<Duration>,
    /// So long after its last request; every answer has a new token.
    #[serde(serialize_with = "millis", skip_serializing_if = "Option::is_none")]
    pub idle: Option<Duration>,
}

impl SessionLifetime {
    /// Whether a session ends only with its endpoint.
    #[must_use]
    pub const fn is_endless(&self) -> bool {
        self.absolute.is_none() && self.idle.is_none()
    }
}

/// Attributes of a cookie that depend on the request, or on when it is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct VaryingAttributes {
    /// `Expires`: so many seconds after the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<u32>,
    /// `Max-Age`: what is left of the session.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub max_age: bool,
    /// `Secure`, where the client asked over https.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub secure_over_https: bool,
    /// `SameSite=None`, unless the client is known to misread that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub same_site_none: bool,
}

impl VaryingAttributes {
    /// Whether there are none.
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

pub(crate) fn millis<S: Serializer>(value: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(d) => s.collect_str(&format_args!("{}ms", d.as_millis())),
        None => s.serialize_none(),
    }
}
