//! Which requests may be sent again when it is not known what became of them.

use http::Method;

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
