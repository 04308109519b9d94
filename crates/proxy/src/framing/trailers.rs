//! Fields after a body. By then the message has been acted on, so nothing may stand there that a head decides.

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::Frame;

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

/// How messages are framed and routed, and what concerns one connection.
fn is_framing(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "content-length"
            | "host"
            | "http2-settings"
            | "keep-alive"
            | "max-forwards"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "via"
    )
}

/// Who asks, and credentials.
fn is_identity(name: &str) -> bool {
    matches!(
        name,
        "authorization"
            | "cookie"
            | "forwarded"
            | "origin"
            | "proxy"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "set-cookie"
            | "www-authenticate"
            | "x-real-ip"
    ) || is_forwarded(name)
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

/// The `X-Forwarded-*` family, however it is spelled: some backends read `_` and `.` as `-`.
fn is_forwarded(name: &str) -> bool {
    let plain = name.bytes().map(|byte| match byte {
        b'_' | b'.' => b'-',
        byte => byte,
    });
    let wanted = b"x-forwarded-";
    name.len() >= wanted.len() && plain.zip(wanted).all(|(byte, wanted)| byte == *wanted)
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
