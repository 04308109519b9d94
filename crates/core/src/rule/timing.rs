//! Deadlines and retries of a rule.

use std::{str::FromStr, time::Duration};

use api::{
    RetryPolicy,
    gateway::httproutes::{HttpRouteRulesRetry, HttpRouteRulesTimeouts},
};
use http::StatusCode;
use ir::{Retry, RetryOn, Timeouts};

use super::TranslatedRule;
use crate::{fault::Fault, filter::unsupported};

/// The default of Gateway API 1.7; before, it was for implementations to say.
const DEFAULT_RETRIES: i64 = 1;

/// More would hammer a backend that is down, without end when there is no deadline.
const MAX_RETRIES: i64 = 100;

/// `0s` means no limit, as the specification has it.
pub(super) fn timeouts(
    declared: Option<&HttpRouteRulesTimeouts>,
    faults: &mut Vec<Fault>,
) -> Timeouts {
    let Some(declared) = declared else {
        return Timeouts::default();
    };
    let mut read = |field: &str, text: Option<&str>| match duration(field, text) {
        Ok(duration) => duration,
        Err(fault) => {
            faults.push(fault);
            None
        }
    };
    Timeouts {
        request: read("timeouts.request", declared.request.as_deref()),
        attempt: read(
            "timeouts.backendRequest",
            declared.backend_request.as_deref(),
        ),
    }
}

/// A duration of Gateway API; `0s` is none.
pub(crate) fn duration(field: &str, text: Option<&str>) -> Result<Option<Duration>, Fault> {
    let Some(text) = text else {
        return Ok(None);
    };
    gateway_api::Duration::from_str(text)
        .map(|d| Some(Duration::new(d.as_secs(), d.subsec_nanos())).filter(|d| !d.is_zero()))
        .map_err(|_| {
            unsupported(format!(
                "{field} {text:?} is not a duration such as 500ms or 1m30s"
            ))
        })
}

/// Without a policy: the listed codes, failed connections, and, where 504 is listed, attempts that ran into their
/// deadline, since that is what 504 says; for every method. Where a connection was lost after the request had been
/// sent, only methods that are idempotent. No attempts beyond the first is a rule too: the data plane tries nothing by
/// itself then.
///
/// > Implementations SHOULD retry when a retry stanza is configured and the connection could not be established, or the
/// > backend explicitly rejected the request before processing it. Implementations SHOULD NOT retry by default on
/// > failures where the request may have been processed. An explicit zero value MUST disable retries.
///
/// (`HTTPRouteRetry` of Gateway API 1.7.)
pub(super) fn retry(
    declared: &HttpRouteRulesRetry,
    policy: Option<&RetryPolicy>,
    rule: &mut TranslatedRule,
) -> Option<Retry> {
    let attempts = declared.attempts.unwrap_or(DEFAULT_RETRIES);
    if attempts < 0 {
        rule.faults.push(unsupported(format!(
            "retry.attempts {attempts} is negative"
        )));
        return None;
    }
    if attempts > MAX_RETRIES {
        rule.warnings.push(format!(
            "retry.attempts {attempts} is lowered to {MAX_RETRIES}"
        ));
    }
    let mut statuses: Vec<StatusCode> = Vec::new();
    for code in declared.codes.iter().flatten() {
        let status = u16::try_from(*code)
            .ok()
            .filter(|code| (400..600).contains(code))
            .and_then(|code| StatusCode::from_u16(code).ok());
        match status {
            Some(status) if statuses.contains(&status) => {}
            Some(status) => statuses.push(status),
            None => rule.faults.push(unsupported(format!(
                "retry.codes: {code} is not between 400 and 599"
            ))),
        }
    }
    let backoff = duration("retry.backoff", declared.backoff.as_deref());
    let backoff = backoff.unwrap_or_else(|fault| {
        rule.faults.push(fault);
        None
    });
    let retries = u32::try_from(attempts.min(MAX_RETRIES)).ok()?;
    let on = match policy {
        Some(policy) => RetryOn {
            connect: policy.connection_failure,
            timeout: policy.timeout,
            any_5xx: policy.server_errors,
            statuses,
        },
        None => RetryOn {
            connect: true,
            timeout: statuses.contains(&StatusCode::GATEWAY_TIMEOUT),
            any_5xx: false,
            statuses,
        },
    };
    Some(Retry {
        retries,
        backoff,
        on,
        non_idempotent: policy.is_none_or(|policy| policy.non_idempotent),
        spares_lost: policy.is_none(),
    })
}
