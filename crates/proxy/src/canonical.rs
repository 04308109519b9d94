//! One view of host and path, for matching, policies, rewriting, logging and forwarding alike.
//!
//! Two readings of one path are how rules are walked around. So there is one: dot segments are resolved (`%2e` is a
//! dot), needless escapes are undone, and what cannot be read in one way only is refused. `%2F` stays what it is: an
//! escaped slash separates nothing. Slashes are not merged: some backends tell `//` from `/`, and a prefix rule for
//! `/admin` must not be thought to cover `//admin`.

use std::{borrow::Cow, net::IpAddr};

use http::{HeaderMap, Method, Uri, header};
use ipnet::IpNet;

/// A path that is refused: a NUL or other control byte, a backslash, or `%` without two hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the path cannot be read in one way only")]
pub struct BadPath;

/// A host that is refused: none or several `Host` fields, or one that differs from the request's target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host is missing or ambiguous")]
pub struct BadHost;

/// A target that is refused: neither a path nor an URL of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request's target is neither a path nor an URL of HTTP")]
pub struct BadTarget;

/// Whether a target has a form that its method allows (RFC 9112 section 3.2): a path, an absolute URL with `http` or `https`,
/// or `*` for OPTIONS. The form of CONNECT is none of these.
///
/// # Errors
/// [`BadTarget`].
pub fn target(method: &Method, uri: &Uri) -> Result<(), BadTarget> {
    let ours = match uri.scheme_str() {
        Some("http" | "https") => true,
        Some(_) => false,
        // A name alone, as CONNECT has it; or a path without its slash.
        None => uri.authority().is_none(),
    };
    let path = uri.path();
    let placed = path.starts_with('/') || path == "*" && *method == Method::OPTIONS;
    (ours && placed).then_some(()).ok_or(BadTarget)
}

/// The host of a request: lower case, without port and trailing dot. An IPv6 address keeps its brackets.
///
/// # Errors
/// [`BadHost`]; HTTP/1.0 requests without `Host` have an empty host instead.
pub fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<Cow<'a, str>, BadHost> {
    let mut fields = headers.get_all(header::HOST).iter();
    let field = fields
        .next()
        .map(|value| value.to_str().map_err(|_| BadHost))
        .transpose()?;
    if fields.next().is_some() {
        return Err(BadHost);
    }
    let raw = match (uri.authority(), field) {
        // RFC 9112 section 3.2.2: the target wins; a client that sends both must send them alike.
        (Some(authority), Some(field)) if !authority.as_str().eq_ignore_ascii_case(field) => {
            return Err(BadHost);
        }
        (Some(authority), _) if authority.as_str().contains('@') => return Err(BadHost),
        (Some(authority), _) => authority.as_str(),
        (None, Some(field)) => field,
        (None, None) => "",
    };
    let name = without_port(raw).ok_or(BadHost)?;
    let name = name.strip_suffix('.').unwrap_or(name);
    if !name
        .bytes()
        .all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b'?' | b'#' | b'@' | b'\\' | b','))
    {
        return Err(BadHost);
    }
    Ok(if name.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    })
}

fn without_port(raw: &str) -> Option<&str> {
    let (name, port) = match raw.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']')? + 2;
            (&raw[..end], &raw[end..])
        }
        None => raw.find(':').map_or((raw, ""), |at| raw.split_at(at)),
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    (digits.bytes().all(|b| b.is_ascii_digit()) && (port.is_empty() || port.starts_with(':')))
        .then_some(name)
}

/// The client's address: the peer's, or, of a peer that is trusted, the last one in `X-Forwarded-For` that is not a
/// trusted proxy itself. What cannot be read ends the chain there.
#[must_use]
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut client = peer.to_canonical();
    let fields = headers.get_all("x-forwarded-for").iter().rev();
    let addresses = fields.flat_map(|field| field.to_str().unwrap_or("?").rsplit(','));
    for address in addresses.map(str::trim) {
        if !is_trusted(&client) {
            break;
        }
        match address.parse::<IpAddr>() {
            Ok(address) => client = address.to_canonical(),
            Err(_) => break,
        }
    }
    client
}

/// The path of a request, borrowed when it is canonical already.
///
/// # Errors
/// [`BadPath`].
pub fn path(raw: &str) -> Result<Cow<'_, str>, BadPath> {
    if raw == "*" {
        return Ok(Cow::Borrowed(raw));
    }
    let mut plain = raw.starts_with('/');
    let mut previous = 0_u8;
    for byte in raw.bytes() {
        match byte {
            0..=0x20 | 0x7f | b'\\' => return Err(BadPath),
            b'%' | 0x80.. => plain = false,
            b'.' if previous == b'/' => plain = false,
            _ => {}
        }
        previous = byte;
    }
    if plain {
        return Ok(Cow::Borrowed(raw));
    }
    let unescaped = unescape(raw)?;
    let resolved = resolve_dots(&unescaped);
    Ok(if resolved == raw {
        Cow::Borrowed(raw)
    } else {
        Cow::Owned(resolved)
    })
}

/// Undoes the escapes of unreserved characters (RFC 3986 section 6.2.2.2), writes the others in upper case, and escapes what
/// is not ASCII (RFC 3987 section 3.1).
fn unescape(raw: &str) -> Result<String, BadPath> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('%') {
        push_ascii(&mut out, &rest[..at]);
        let byte = escape(&rest.as_bytes()[at..]).ok_or(BadPath)?;
        match byte {
            0..=0x1f | 0x7f | b'\\' => return Err(BadPath),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte))
            }
            _ => {
                out.push('%');
                out.push_str(&rest[at + 1..at + 3].to_ascii_uppercase());
            }
        }
        rest = &rest[at + 3..];
    }
    push_ascii(&mut out, rest);
    Ok(out)
}

fn push_ascii(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii() {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

fn escape(bytes: &[u8]) -> Option<u8> {
    let digit = |b: &u8| {
        char::from(*b)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    Some(digit(bytes.get(1)?)? * 16 + digit(bytes.get(2)?)?)
}

/// Removes `.` and `..` segments (RFC 3986 section 5.2.4), never above the root.
pub(crate) fn resolve_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let body = path.strip_prefix('/').unwrap_or(path);
    let mut segments = body.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            other => {
                kept.push(other);
                continue;
            }
        }
        if last {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
#[path = "canonical_tests.rs"]
mod tests;
