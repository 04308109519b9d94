//! What of a head may not pass, taken off before anything of ours is added.
//!
//! - Fields that concern one connection (RFC 9110 section 7.6.1): those that `Connection` names, on all of its lines,
//!   and those that are known to, whether `Connection` names them or not.
//! - Fields that say who asks and how, of peers that are not trusted.
//! - Fields that a backend may take for one of these or of ours: `X_Real_IP` and `X.Real.IP` are `X-Real-IP` to a
//!   backend that reads CGI variables.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(crate) const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
/// How many gateways of ours a request has passed.
pub(crate) const HOPS: HeaderName = HeaderName::from_static("postern-hops");

/// What was found on the way.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Protocols that the client offers to switch to, separated by commas.
    pub(crate) offered: Option<HeaderValue>,
    /// There are names with an underscore or a dot.
    pub(crate) aliases: bool,
    /// All lines of `X-Forwarded-For` as one, whoever sent them.
    pub(crate) forwarded_for: Option<HeaderValue>,
}

/// How a message came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Came {
    /// From a peer that may say who asks.
    pub(crate) trusted: bool,
    /// Over HTTP/2, which has no `Connection` and no `Upgrade`.
    pub(crate) http2: bool,
}

/// Takes off a request what may not pass. `TE: trailers` stays where the client meant it for this connection: trailers
/// are passed on.
pub(crate) fn sanitise(map: &mut HeaderMap, came: Came) -> Found {
    let mut found = Found::default();
    let mut gone: Vec<HeaderName> = Vec::new();
    let named = named(map, &mut gone);
    for name in map.keys() {
        let text = name.as_str();
        let alias = text.bytes().any(is_odd);
        found.aliases |= alias;
        let claim = is_claim(text);
        if claim && *name == FORWARDED_FOR {
            found.forwarded_for = super::client::chain(map);
        }
        if is_of_the_connection(text)
            || !came.trusted && claim
            || alias && is_alias(text)
            || *name == header::TE
        {
            gone.push(name.clone());
        }
    }
    let trailers = (came.http2 || named.te) && takes_trailers(map);
    if named.upgrade && !came.http2 {
        found.offered = offered(map);
    }
    for name in gone {
        map.remove(name);
    }
    if trailers {
        map.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    found
}

/// Takes off an answer what concerns the backend's connection.
pub(crate) fn sanitise_answer(map: &mut HeaderMap) {
    let mut gone: Vec<HeaderName> = Vec::new();
    named(map, &mut gone);
    let own = map
        .keys()
        .filter(|name| is_of_the_connection(name.as_str()));
    gone.extend(own.cloned());
    for name in gone {
        map.remove(name);
    }
}

/// The protocol that a client has to switch to, says an answer of 426. It must say so at every step (RFC 9110 section
/// 15.5.22).
pub(crate) fn required_protocol<B>(response: &Response<B>) -> Option<HeaderValue> {
    let required = response.status() == StatusCode::UPGRADE_REQUIRED;
    let named = || response.headers().get(header::UPGRADE).cloned();
    required.then(named).flatten()
}

/// Names a protocol of the next connection in an answer.
pub(crate) fn add_upgrade(map: &mut HeaderMap, protocol: HeaderValue) {
    map.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    map.insert(header::UPGRADE, protocol);
}

/// What `Connection` says beside names of fields.
#[derive(Debug, Default)]
struct Named {
    te: bool,
    upgrade: bool,
}

/// Adds the fields that `Connection` names to `gone`.
fn named(map: &HeaderMap, gone: &mut Vec<HeaderName>) -> Named {
    let mut named = Named::default();
    for line in map.get_all(header::CONNECTION) {
        for token in line.as_bytes().split(|b| *b == b',') {
            let token = token.trim_ascii();
            if token.eq_ignore_ascii_case(b"te") {
                named.te = true;
            } else if token.eq_ignore_ascii_case(b"upgrade") {
                named.upgrade = true;
            } else if !is_option(token)
                && let Ok(name) = HeaderName::from_bytes(token)
                && !is_framing(&name)
            {
                gone.push(name);
            }
        }
    }
    named
}

/// `Connection` has few values that are no names, and these are nearly all that there is.
fn is_option(token: &[u8]) -> bool {
    token.is_empty()
        || token.eq_ignore_ascii_case(b"keep-alive")
        || token.eq_ignore_ascii_case(b"close")
}

/// How long a body is has been read by now, and has to be said whatever a client names.
fn is_framing(name: &HeaderName) -> bool {
    *name == header::CONTENT_LENGTH || *name == header::HOST
}

/// Whether a field concerns one connection only. `Proxy` concerns none: CGI programs take it for their own setting.
pub(crate) fn is_of_the_connection(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
            | "proxy"
    )
}

/// Whether a field says who asks, and how.
pub(crate) fn is_claim(name: &str) -> bool {
    name.starts_with("x-forwarded-") || matches!(name, "forwarded" | "x-real-ip" | "x-scheme")
}

/// Whether a byte of a name, in lower case, is neither a letter, a digit nor a hyphen. Where headers become variables
/// (CGI, WSGI, PHP), such a byte and a hyphen are one: all servers read `_` so, some `.`, and some every other.
const fn is_odd(byte: u8) -> bool {
    !matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')
}

/// Whether a name with odd bytes is, to some backends, one that may not pass or one of ours.
fn is_alias(name: &str) -> bool {
    let plain = name.replace(|c: char| u8::try_from(c).map_or(true, is_odd), "-");
    let ours = matches!(&*plain, "content-length" | "host" | "te" | "postern-hops");
    ours || is_claim(&plain) || is_of_the_connection(&plain)
}

/// Whether a field may stand in no trailers of a message, whoever sent it: those of a head have been acted on by then.
pub(crate) fn is_of_the_head(name: &str) -> bool {
    is_of_the_connection(name) || is_claim(name) || is_alias(name)
}

/// Whether two names are the same to a backend that reads CGI variables.
pub(crate) fn is_alias_of(text: &str, name: &str) -> bool {
    let same = |(a, b): (u8, u8)| a == b || is_odd(a) && b == b'-';
    text.len() == name.len() && text != name && text.bytes().zip(name.bytes()).all(same)
}

/// Removes fields that a backend may take for one of these.
pub(crate) fn remove_aliases<'a>(
    map: &mut HeaderMap,
    names: impl Iterator<Item = &'a HeaderName> + Clone,
) {
    let odd = |name: &&HeaderName| name.as_str().bytes().any(is_odd);
    let alias = |text: &HeaderName| {
        let mut names = names.clone();
        names.any(|name| is_alias_of(text.as_str(), name.as_str()))
    };
    // One of the names may itself be written like that.
    let own = |text: &HeaderName| names.clone().any(|name| name == text);
    let gone: Vec<HeaderName> = { map.keys().filter(odd) }
        .filter(|name| alias(name) && !own(name))
        .cloned()
        .collect();
    for name in gone {
        map.remove(name);
    }
}

fn takes_trailers(map: &HeaderMap) -> bool {
    let all = map.get_all(header::TE).iter();
    let mut tokens = all.flat_map(|line| line.as_bytes().split(|b| *b == b','));
    tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// The protocols on all lines of `Upgrade`.
fn offered(map: &HeaderMap) -> Option<HeaderValue> {
    let mut lines = map.get_all(header::UPGRADE).iter();
    let first = lines.next()?;
    let rest: Vec<&[u8]> = lines.map(HeaderValue::as_bytes).collect();
    if rest.is_empty() {
        return Some(first.clone());
    }
    let mut joined = first.as_bytes().to_vec();
    for line in rest {
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(line);
    }
    HeaderValue::from_maybe_shared(bytes::Bytes::from(joined)).ok()
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
