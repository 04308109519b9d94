//! The two fields that tell a body's length, read as strictly for requests as for responses.

use http::{HeaderMap, HeaderValue, header};

/// What a whole `Transfer-Encoding` says (RFC 9112 section 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Chunked, and nothing else.
    Chunked,
    /// Chunked at the end, over codings that are not known here.
    Unknown,
    /// No end can be told: chunked is not last, or there twice, or what stands there is no list of codings.
    Faulty,
}

/// Reads all lines of a `Transfer-Encoding`, joined with commas.
pub(super) fn coding(value: &[u8]) -> Coding {
    let mut parts = value.rsplit(|byte| *byte == b',').map(trim);
    if !parts.next().is_some_and(is_chunked) {
        return Coding::Faulty;
    }
    let mut found = Coding::Chunked;
    for part in parts {
        if part.is_empty() || is_chunked(part) {
            return Coding::Faulty;
        }
        found = Coding::Unknown;
    }
    found
}

fn is_chunked(coding: &[u8]) -> bool {
    coding.eq_ignore_ascii_case(b"chunked")
}

/// Without the blanks that RFC 9110 section 5.6.3 allows around a value.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// A length: plain digits, and no more than fit (RFC 9110 section 8.6).
pub(super) fn length(value: &[u8]) -> Option<u64> {
    let digits = trim(value);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// One length, said once or several times alike.
pub(super) fn lengths<'a>(values: impl Iterator<Item = &'a HeaderValue>) -> Option<u64> {
    let mut parts = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let first = length(parts.next()?)?;
    parts
        .all(|part| length(part) == Some(first))
        .then_some(first)
}

/// Whether a request says its length at most once, and as plain digits.
pub(crate) fn is_one_length(fields: &HeaderMap) -> bool {
    let mut all = fields.get_all(header::CONTENT_LENGTH).iter();
    match (all.next(), all.next()) {
        (None, _) => true,
        (Some(one), None) => length(one.as_bytes()).is_some(),
        (Some(_), Some(_)) => false,
    }
}

/// Whether a value has no blanks around it. HTTP/1.1 cannot say them; where HTTP/2 does, the message is malformed (RFC
/// 9113 section 8.2.1), as a backend over HTTP/1.1 would see another value than we.
pub(crate) fn is_trimmed(value: &HeaderValue) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = value.as_bytes();
    !blank(bytes.first()) && !blank(bytes.last())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::{Coding, coding, length, lengths};

    #[test]
    fn codings() {
        for (value, expected) in [
            ("chunked", Coding::Chunked),
            (" ChunkeD\t", Coding::Chunked),
            ("gzip, chunked", Coding::Unknown),
            ("gzip,deflate ,chunked", Coding::Unknown),
            ("identity, chunked", Coding::Unknown),
            ("", Coding::Faulty),
            ("gzip", Coding::Faulty),
            ("identity", Coding::Faulty),
            ("chunked, gzip", Coding::Faulty),
            ("chunked, chunked", Coding::Faulty),
            ("chunked, gzip, chunked", Coding::Faulty),
            (", chunked", Coding::Faulty),
            ("chunked,", Coding::Faulty),
            ("chunked;q=1", Coding::Faulty),
            ("\x0bchunked", Coding::Faulty),
            ("xchunked", Coding::Faulty),
        ] {
            assert_eq!(coding(value.as_bytes()), expected, "{value:?}");
        }
    }

    #[test]
    fn single_lengths() {
        for (value, expected) in [
            ("0", Some(0)),
            (" 5\t", Some(5)),
            ("007", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("+5", None),
            ("-1", None),
            ("0x5", None),
            ("5, 5", None),
            ("5\x0b", None),
        ] {
            assert_eq!(length(value.as_bytes()), expected, "{value:?}");
        }
    }

    #[test]
    fn lengths_that_agree_are_one() {
        for (values, expected) in [
            (&["5"][..], Some(5)),
            (&["5, 5"], Some(5)),
            (&["5", "5"], Some(5)),
            (&["5, 05", "5"], Some(5)),
            (&["5, 6"], None),
            (&["5", "6"], None),
            (&["5,"], None),
            (&["5", "x"], None),
            (&[], None),
        ] {
            let fields: Vec<_> = values
                .iter()
                .copied()
                .map(HeaderValue::from_static)
                .collect();
            assert_eq!(lengths(fields.iter()), expected, "{values:?}");
        }
    }
}
