//! Whether a request meets a match, apart from its host.

use std::borrow::Cow;

use ir::{HeaderMatch, QueryMatch, RequestMatch, ValueMatch};

use super::RequestView;

/// All parts must hold. The cheap ones are asked first.
pub(super) fn matches(wanted: &RequestMatch, request: &RequestView<'_>) -> bool {
    wanted
        .method
        .as_ref()
        .is_none_or(|method| method == request.method)
        && wanted.path.matches(request.path)
        && wanted
            .headers
            .iter()
            .all(|header| header_matches(header, request))
        && wanted
            .query
            .iter()
            .all(|query| query_matches(query, request.query.unwrap_or_default()))
}

/// A header given several times matches on any value or on the joined form: whoever reads it later may take either.
/// `Host` is the host as everything else sees it: in lower case, without port, and HTTP/2's `:authority` alike.
fn header_matches(wanted: &HeaderMatch, request: &RequestView<'_>) -> bool {
    if wanted.name == http::header::HOST {
        return wanted.value.matches(request.host);
    }
    let mut values = request.headers.get_all(&wanted.name).iter();
    let Some(first) = values.next() else {
        return false;
    };
    if value_matches(&wanted.value, first.as_bytes()) {
        return true;
    }
    let rest: Vec<_> = values.collect();
    if rest.is_empty() {
        return false;
    }
    if rest
        .iter()
        .any(|value| value_matches(&wanted.value, value.as_bytes()))
    {
        return true;
    }
    // Cookies are joined by semicolons (RFC 9113 section 8.2.3), everything else by commas (RFC 9110 section 5.3).
    let joint: &[u8] = if wanted.name == http::header::COOKIE {
        b"; "
    } else {
        b","
    };
    let mut joined = first.as_bytes().to_vec();
    for value in rest {
        joined.extend_from_slice(joint);
        joined.extend_from_slice(value.as_bytes());
    }
    value_matches(&wanted.value, &joined)
}

fn value_matches(wanted: &ValueMatch, value: &[u8]) -> bool {
    match wanted {
        ValueMatch::Exact(exact) => exact.as_bytes() == value,
        ValueMatch::Regex(pattern) => {
            std::str::from_utf8(value).is_ok_and(|value| pattern.is_match(value))
        }
    }
}

/// Gateway API: "the first occurrence of the parameter" counts when it is repeated.
fn query_matches(wanted: &QueryMatch, query: &str) -> bool {
    query_value(query, &wanted.name).is_some_and(|value| wanted.value.matches(&value))
}

/// The first value of a query parameter, as `application/x-www-form-urlencoded` is read (WHATWG URL section 5.1):
/// borrowed where there is nothing to undo, and with U+FFFD for what is no UTF-8.
pub(crate) fn query_value<'a>(query: &'a str, wanted: &str) -> Option<Cow<'a, str>> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs
        .find(|(name, _)| name == wanted)
        .map(|(_, value)| value)
}
