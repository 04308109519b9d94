//! Routes: a match, and the rule it leads to.

use std::{fmt, num::NonZeroU32, sync::Arc};

use http::{HeaderName, HeaderValue, StatusCode};
use serde::{Serialize, Serializer};

use crate::{
    ClusterKey, HeaderMods, Location, Redirect, RequestMatch, Retry, Rewrite, Rule, SessionToken,
    Timeouts, serialize,
};

/// The lasting identity of a rule: object, and rule name or content, never a list index. State such as
/// the position of a weighted split is kept under it across unrelated changes, reorders and renames of others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RuleKey(pub Arc<str>);

impl fmt::Display for RuleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One match and its rule. Several routes may share a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Route {
    /// What a request must look like.
    #[serde(rename = "match")]
    pub matches: RequestMatch,
    /// Whether this route is still a candidate when the request's host has more specific routes of which none
    /// matched. Gateway API says no; converted Ingresses say yes, as Higress does.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub host_fallthrough: bool,
    /// Whether only requests over TLS (`true`) or without (`false`) are meant, where the listener serves both because
    /// trusted proxies end TLS in front of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https: Option<bool>,
    /// What to do.
    pub rule: Arc<Rule>,
}

/// Where a request ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// To a backend.
    Forward(Forward),
    /// To another address.
    Redirect(Redirect),
    /// To a URL that is made for each request.
    Location(Box<Location>),
    /// With an answer of our own.
    Respond {
        /// Status of the answer.
        #[serde(serialize_with = "serialize::status")]
        status: StatusCode,
        /// One word for log and metrics.
        reason: Reason,
    },
}

/// Why the gateway answers itself instead of a backend, known from configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The rule names no backend.
    NoBackend,
    /// The backend does not exist, is of an unknown kind, or may not be used from here.
    InvalidBackend,
    /// The rule is broken in itself (a filter or expression that cannot be honoured) and is quarantined.
    InvalidRule,
    /// A security setting could not be honoured; denied rather than served open.
    PolicyFailed,
}

impl Reason {
    /// The word as it appears in access log and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoBackend => "no_backend",
            Self::InvalidBackend => "invalid_backend",
            Self::InvalidRule => "invalid_rule",
            Self::PolicyFailed => "policy_failed",
        }
    }
}

/// Forwarding to one of several backends by weight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Forward {
    /// At least one, each with a share above zero; zero weights are dropped before they get here.
    pub backends: Vec<Backend>,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Retries. `None` leaves what the data plane does by itself: one more try when a pooled connection died before any
    /// byte of the answer, and up to two other endpoints when no connection could be made. With a rule, this one alone
    /// says how often another endpoint is tried; with 0 retries, none is, and nothing is sent twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Stickiness; it goes before weights and before the clusters' own balancing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionToken>,
    /// Who answers where a backend cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
}

/// Who answers where a backend cannot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fallback {
    /// At least one. The first of these that has endpoints gets the requests of a backend that has none, or that cannot
    /// be used.
    pub clusters: Vec<ClusterKey>,
    /// Statuses, of a backend or because one did not answer, in whose stead the last cluster is asked.
    #[serde(
        serialize_with = "serialize::statuses",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub statuses: Vec<StatusCode>,
    /// The last cluster is told why it is asked, also where it gets the request of a backend without endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told: Option<Box<Told>>,
    /// It is asked in the stead of what the gateway itself refuses, too, with one of the statuses.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub refusals: bool,
}

/// What the last cluster of a [`Fallback`] is told beside the status (`X-Code`) and the client's `Accept` (`X-Format`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told(#[serde(serialize_with = "serialize::pairs")] pub Vec<(HeaderName, HeaderValue)>);

/// A share of a rule's requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backend {
    /// Share, relative to the sum over the rule.
    pub weight: NonZeroU32,
    /// Where to.
    pub target: Target,
    /// Changes of the request's headers for this backend alone, after those of the rule.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request: Vec<HeaderMods>,
    /// Changes of this backend's answers, before those of the rule.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub response: Vec<HeaderMods>,
    /// What becomes of the URL of its requests, after what the rule has made of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Box<UrlChange>>,
}

/// What becomes of the URL of requests for one backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum UrlChange {
    /// The backend sees another one.
    Rewrite(Rewrite),
    /// The client is sent there; the backend is not asked. A [`Target::Invalid`] answers with its error all the same.
    Redirect(Redirect),
}

impl Backend {
    /// Where the client is sent instead of this backend, if it is.
    #[must_use]
    pub fn redirect(&self) -> Option<&Redirect> {
        match (&self.target, self.url.as_deref()?) {
            (Target::Cluster(_), UrlChange::Redirect(redirect)) => Some(redirect),
            (Target::Invalid(_), _) | (_, UrlChange::Rewrite(_)) => None,
        }
    }

    /// How the URL that this backend sees differs from what the rule has made of it.
    #[must_use]
    pub fn rewrite(&self) -> Option<&Rewrite> {
        match self.url.as_deref()? {
            UrlChange::Rewrite(rewrite) => Some(rewrite),
            UrlChange::Redirect(_) => None,
        }
    }
}

/// A backend, or the answer that stands in for one that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// A cluster of the same [`crate::Ir`].
    Cluster(ClusterKey),
    /// An error with this reason: 500, unless [`Rule::statuses`] says otherwise.
    Invalid(Reason),
}

/// An exact share: `numerator` out of `denominator`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fraction {
    numerator: u32,
    denominator: NonZeroU32,
}

impl Fraction {
    /// All of it.
    pub const ALL: Self = Self {
        numerator: 1,
        denominator: NonZeroU32::MIN,
    };

    /// `numerator / denominator`, or `None` when that is more than one.
    #[must_use]
    pub const fn new(numerator: u32, denominator: NonZeroU32) -> Option<Self> {
        if numerator > denominator.get() {
            None
        } else {
            Some(Self {
                numerator,
                denominator,
            })
        }
    }

    /// How many of [`Self::denominator`] are meant.
    #[must_use]
    pub const fn numerator(self) -> u32 {
        self.numerator
    }

    /// Out of how many.
    #[must_use]
    pub const fn denominator(self) -> u32 {
        self.denominator.get()
    }
}

impl Serialize for Fraction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}/{}", self.numerator, self.denominator))
    }
}
