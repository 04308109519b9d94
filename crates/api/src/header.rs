//! Names of header fields that mean something to gateways.

/// Whether a field says how a message is framed, or concerns one connection (RFC 9110 section 7.6.1, RFC 9112 section
/// 6): no rule may write it. `name` in lower case.
#[must_use]
pub fn frames_a_message(name: &str) -> bool {
    let known = matches!(
        name,
        "connection"
            | "content-length"
            | "http2-settings"
            | "keep-alive"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    );
    known || name.starts_with("proxy-")
}
