//! Fields after a body. By then the message has been acted on, so nothing may stand there that a head decides.

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::Frame;

use crate::http::view::fields;

/// A frame of trailers without what has no place there; nothing if nothing is left.
pub(crate) fn clean(frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
    let mut trailers = frame.into_trailers().ok()?;
    strip(&mut trailers);
    (!trailers.is_empty()).then(|| Frame::trailers(trailers))
}

/// Removes what has no place in trailers, of requests and of responses.
pub(crate) fn strip(trailers: &mut HeaderMap) {
    if trailers.keys().any(is_of_heads) {
        let gone: Vec<HeaderName> = trailers
            .keys()
            .filter(|name| is_of_heads(name))
            .cloned()
            .collect();
        for name in gone {
            trailers.remove(name);
        }
    }
}

/// Fields that belong to heads alone (RFC 9110 section 6.5.1).
fn is_of_heads(name: &HeaderName) -> bool {
    let name = name.as_str();
    is_framing(name) || is_identity(name) || is_modifier(name) || is_content(name)
}

/// How messages are framed and routed, what concerns one connection, and who asks.
fn is_framing(name: &str) -> bool {
    matches!(
        name,
        "content-length" | "host" | "max-forwards" | "te" | "trailer" | "via"
    ) || fields::is_of_the_head(name)
}

/// Credentials.
fn is_identity(name: &str) -> bool {
    matches!(
        name,
        "authorization"
            | "cookie"
            | "origin"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "set-cookie"
            | "www-authenticate"
    )
}

/// Conditions and other modifiers of a request.
fn is_modifier(name: &str) -> bool {
    matches!(
        name,
        "cache-control" | "expect" | "pragma" | "range" | "refresh" | "retry-after"
    ) || name.starts_with("if-")
}

/// What a response and its content are.
fn is_content(name: &str) -> bool {
    matches!(
        name,
        "age"
            | "content-encoding"
            | "content-location"
            | "content-range"
            | "content-type"
            | "date"
            | "expires"
            | "last-modified"
            | "location"
            | "strict-transport-security"
            | "vary"
    )
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::strip;

    fn left(names: &[&'static str]) -> Vec<String> {
        let fields = names
            .iter()
            .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("1")));
        let mut trailers: HeaderMap = fields.collect();
        strip(&mut trailers);
        trailers.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn what_a_head_decides_goes() {
        for name in [
            "content-length",
            "transfer-encoding",
            "connection",
            "host",
            "authorization",
            "cookie",
            "set-cookie",
            "x-forwarded-for",
            "x_forwarded_for",
            "x.forwarded-proto",
            "x-forwarded-anything",
            "x-real-ip",
            "forwarded",
            "location",
            "if-match",
            "content-type",
        ] {
            assert_eq!(left(&["x-sum", name]), ["x-sum"], "{name}");
        }
    }

    #[test]
    fn what_is_said_about_a_body_stays() {
        let names = [
            "grpc-status",
            "grpc-message",
            "grpc-status-details-bin",
            "server-timing",
            "etag",
            "digest",
            "x-forwarded",
        ];
        assert_eq!(left(&names), names);
    }
}
