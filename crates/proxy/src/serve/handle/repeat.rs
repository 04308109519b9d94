//! Which requests may be sent again: by their method, when it is not known what became of them, and by the rule for
//! retries.

use http::{Method, StatusCode};
use ir::Retry;

use crate::{
    http::error::ProxyError,
    upstream::{Failure, Progress},
};

/// Methods beyond RFC 9110 that the IANA registry of HTTP methods has as idempotent.
const REGISTERED: &[&str] = &[
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "LABEL",
    "LINK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "ORDERPATCH",
    "PROPFIND",
    "PROPPATCH",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

/// Whether a method does the same once and twice (RFC 9110 section 9.2.2). One that is not known does not.
pub(super) fn is_idempotent(method: &Method) -> bool {
    match *method {
        Method::GET
        | Method::HEAD
        | Method::PUT
        | Method::DELETE
        | Method::OPTIONS
        | Method::TRACE => true,
        Method::POST | Method::PATCH | Method::CONNECT => false,
        ref other => REGISTERED.contains(&other.as_str()),
    }
}

/// Whether the rule has an answer with this status asked for again. `safe`: the method is idempotent.
pub(super) fn wants_again(policy: Option<&Retry>, status: StatusCode, safe: bool) -> bool {
    policy.is_some_and(|p| p.on.status(status) && (p.non_idempotent || safe))
}

/// Whether the rule has a failure tried again.
pub(super) fn failed_again(policy: Option<&Retry>, failure: &Failure, safe: bool) -> bool {
    policy.is_some_and(|p| match (failure.error, &failure.progress) {
        // There is nobody to ask, or nobody who asks; that does not change within a pause.
        (
            ProxyError::NoEndpoint
            | ProxyError::ClientClosed
            | ProxyError::BadRequest
            | ProxyError::BodyTooLarge,
            _,
        ) => false,
        (ProxyError::AttemptTimeout | ProxyError::BackendSilent, _) => {
            p.on.timeout && (p.non_idempotent || safe)
        }
        // Nothing was sent, or nothing was done, so nothing can happen twice.
        (_, Progress::NoConnection(_) | Progress::Unsent(_) | Progress::Refused) => p.on.connect,
        (_, Progress::PooledClosed | Progress::Closed) => {
            p.on.connect && (p.non_idempotent && !p.spares_lost || safe)
        }
    })
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::is_idempotent;

    #[test]
    fn only_registered_methods_are_idempotent() {
        for (method, expected) in [
            ("GET", true),
            ("HEAD", true),
            ("PUT", true),
            ("DELETE", true),
            ("OPTIONS", true),
            ("PROPFIND", true),
            ("QUERY", true),
            ("POST", false),
            ("PATCH", false),
            ("LOCK", false),
            ("CONNECT", false),
            ("PURGE", false),
            ("get", false),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(is_idempotent(&method), expected, "{method}");
        }
    }
}
