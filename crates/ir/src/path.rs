//! The canonical path.
//!
//! Two readings of one path are how rules are walked around. So there is one: dot segments are resolved (`%2e` is a
//! dot), needless escapes are undone, and what cannot be read in one way only is refused. `%2F` stays what it is: an
//! escaped slash separates nothing. Slashes are not merged: some backends tell `//` from `/`, and a prefix rule for
//! `/admin` must not be thought to cover `//admin`.
//!
//! A listener or a host may have more read as one: [`Paths`].

use std::borrow::Cow;

use serde::Serialize;

/// A path that is refused: a NUL or other control byte, a backslash, `%` without two hexadecimal digits, or an escaped
/// slash where these are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the path cannot be read in one way only")]
pub struct BadPath;

/// What of a path is read as one beyond what RFC 3986 says. The default is nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Paths {
    /// Several slashes in a row are one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub merge_slashes: bool,
    /// What `%2F` is.
    #[serde(skip_serializing_if = "EscapedSlashes::is_default")]
    pub escaped_slashes: EscapedSlashes,
    /// The escapes of all that may stand in a path as it is are undone (`%24` is `$`), and what may not is escaped, so
    /// that every character has one spelling. A backend gets the path as the client sent it where the rule does not
    /// rewrite it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub decoded: bool,
}

/// What an escaped slash is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum EscapedSlashes {
    /// A character of its segment.
    #[default]
    Keep,
    /// A slash.
    Decode,
    /// The request is answered 400.
    Refuse,
}

impl EscapedSlashes {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A path as it was read.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadPath<'a> {
    /// The canonical path, borrowed from the raw one when it has that form already.
    pub path: Cow<'a, str>,
    /// There were dot segments, which are resolved.
    pub dots: bool,
}

impl Paths {
    /// As nginx reads paths before it compares them with anything.
    pub const DECODED: Self = Self {
        merge_slashes: true,
        escaped_slashes: EscapedSlashes::Decode,
        decoded: true,
    };

    /// Nothing beyond what RFC 3986 says.
    #[must_use]
    pub const fn is_default(&self) -> bool {
        !self.merge_slashes && !self.decoded && matches!(self.escaped_slashes, EscapedSlashes::Keep)
    }

    /// What reads as one whatever either reads as one. Of what is to become of escaped slashes the later in the order
    /// of [`EscapedSlashes`] counts.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            merge_slashes: self.merge_slashes || other.merge_slashes,
            escaped_slashes: self.escaped_slashes.max(other.escaped_slashes),
            decoded: self.decoded || other.decoded,
        }
    }

    /// The one form of a path. Requests and the values that they are matched with go through it.
    ///
    /// # Errors
    /// [`BadPath`].
    pub fn read(self, raw: &str) -> Result<ReadPath<'_>, BadPath> {
        let as_it_is = ReadPath {
            path: Cow::Borrowed(raw),
            dots: false,
        };
        if raw == "*" || self.has_form(raw)? {
            return Ok(as_it_is);
        }
        let unescaped = self.unescape(raw)?;
        let (resolved, dots) = resolve(&unescaped, self.merge_slashes);
        let path = if resolved == raw {
            Cow::Borrowed(raw)
        } else {
            Cow::Owned(resolved)
        };
        Ok(ReadPath { path, dots })
    }

    /// Whether a look at each byte is enough to know that nothing is to be done.
    fn has_form(self, raw: &str) -> Result<bool, BadPath> {
        let mut plain = raw.starts_with('/');
        let mut previous = 0_u8;
        for byte in raw.bytes() {
            match byte {
                0..=0x20 | 0x7f | b'\\' => return Err(BadPath),
                b'%' | 0x80.. => plain = false,
                b'.' if previous == b'/' => plain = false,
                b'/' if previous == b'/' && self.merge_slashes => plain = false,
                _ if self.decoded && !may_stand(byte) => plain = false,
                _ => {}
            }
            previous = byte;
        }
        Ok(plain)
    }

    /// Undoes escapes (RFC 3986 section 6.2.2.2), once; writes the others in upper case, and escapes what is not ASCII
    /// (RFC 3987 section 3.1).
    fn unescape(self, raw: &str) -> Result<String, BadPath> {
        let mut out = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(at) = rest.find('%') {
            self.push(&mut out, &rest[..at]);
            let byte = escape(&rest.as_bytes()[at..]).ok_or(BadPath)?;
            if self.undoes(byte)? {
                out.push(char::from(byte));
            } else {
                out.push('%');
                out.push_str(&rest[at + 1..at + 3].to_ascii_uppercase());
            }
            rest = &rest[at + 3..];
        }
        self.push(&mut out, rest);
        Ok(out)
    }

    /// Whether the escape of a byte is undone.
    fn undoes(self, byte: u8) -> Result<bool, BadPath> {
        match (byte, self.escaped_slashes) {
            (0..=0x1f | 0x7f | b'\\', _) | (b'/', EscapedSlashes::Refuse) => Err(BadPath),
            (b'/', EscapedSlashes::Keep) => Ok(false),
            (b'/', EscapedSlashes::Decode) => Ok(true),
            (byte, _) => Ok(is_unreserved(byte) || self.decoded && may_stand(byte)),
        }
    }

    fn push(self, out: &mut String, text: &str) {
        for byte in text.bytes() {
            if byte.is_ascii() && (!self.decoded || may_stand(byte)) {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
}

/// The one form of a path where nothing is said of [`Paths`], borrowed when it has it already.
///
/// # Errors
/// [`BadPath`].
pub fn canonical_path(raw: &str) -> Result<Cow<'_, str>, BadPath> {
    Paths::default().read(raw).map(|read| read.path)
}

/// RFC 3986 section 2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What may stand in a path without an escape (RFC 3986 section 3.3).
const fn may_stand(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'/' | b':'
                | b'@'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
        )
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
    resolve(path, false).0
}

/// Without dot segments and, where slashes are merged, without empty ones; and whether there were dot segments.
fn resolve(path: &str, merge: bool) -> (String, bool) {
    let mut kept: Vec<&str> = Vec::new();
    let mut dots = false;
    let body = path.strip_prefix('/').unwrap_or(path);
    let mut segments = body.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            "" if merge && !last => continue,
            other => {
                kept.push(other);
                continue;
            }
        }
        dots = true;
        if last {
            kept.push("");
        }
    }
    (format!("/{}", kept.join("/")), dots)
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
