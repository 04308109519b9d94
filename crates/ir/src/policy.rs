//! Deadlines and retries of a rule.

use std::time::Duration;

use http::StatusCode;
use serde::{Serialize, Serializer};

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
    /// Attempts beyond the first.
    pub retries: u32,
    /// Pause before each repeat.
    #[serde(serialize_with = "millis", skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Duration>,
    /// What counts as failed.
    pub on: RetryOn,
    /// Repeat POST, PATCH and LOCK too.
    pub non_idempotent: bool,
}

/// What counts as a failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RetryOn {
    /// No connection, or one lost before the response's head.
    pub connect: bool,
    /// The attempt's own deadline.
    pub timeout: bool,
    /// These statuses.
    #[serde(serialize_with = "statuses")]
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

fn millis<S: Serializer>(value: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(d) => s.collect_str(&format_args!("{}ms", d.as_millis())),
        None => s.serialize_none(),
    }
}

fn statuses<S: Serializer>(values: &[StatusCode], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(values.iter().map(|v| v.as_u16()))
}
