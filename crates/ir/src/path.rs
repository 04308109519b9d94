//! The canonical path.
//!
//! Two readings of one path are how rules are walked around. So there is one: dot segments are resolved (`%2e` is a
//! dot), needless escapes are undone, and what cannot be read in one way only is refused. `%2F` stays what it is: an
//! escaped slash separates nothing. Slashes are not merged: some backends tell `//` from `/`, and a prefix rule for
//! `/admin` must not be thought to cover `//admin`.

use std::borrow::Cow;

/// A path that is refused: a NUL or other control byte, a backslash, or `%` without two hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the path cannot be read in one way only")]
pub struct BadPath;

/// The one form of a path, borrowed when it has it already. Requests and the values that they are matched with go through it.
///
/// # Errors
/// [`BadPath`].
pub fn canonical_path(raw: &str) -> Result<Cow<'_, str>, BadPath> {
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
#[must_use]
pub fn resolve_dots(path: &str) -> String {
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
#[path = "path_tests.rs"]
mod tests;
