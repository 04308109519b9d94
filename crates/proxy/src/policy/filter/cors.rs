//! Cross-origin resource sharing, as the Fetch standard and Gateway API's `HTTPCORSFilter` have it.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use ir::{Allowed, Cors, OriginMatch};

/// The method that a preflight asks about; `None` for every other request.
#[must_use]
pub fn asked_method(method: &Method, headers: &HeaderMap) -> Option<Method> {
    if *method != Method::OPTIONS || !headers.contains_key(header::ORIGIN) {
        return None;
    }
    let asked = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    Method::from_bytes(asked.as_bytes()).ok()
}

/// The gateway's own answer to a preflight; `None` for every other request. An origin that is not allowed gets an
/// answer without a word of permission, or where the backend has the say about others, none.
#[must_use]
pub fn preflight(cors: &Cors, method: &Method, headers: &HeaderMap) -> Option<Response<()>> {
    if *method != Method::OPTIONS {
        return None;
    }
    let asked = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
    let origin = headers.get(header::ORIGIN);
    let permitted = permitted(cors, origin);
    let answered = match cors.every_answer {
        true => permitted.is_some(),
        false => asked.is_some() && origin.is_some(),
    };
    if !answered {
        return None;
    }
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if permitted.is_some() {
        allowances(cors, headers, response.headers_mut());
    }
    Some(response)
}

/// Methods, headers and age. Where everything is allowed and `*` may not be said, what a preflight asks about is
/// echoed.
fn allowances(cors: &Cors, asked: &HeaderMap, map: &mut HeaderMap) {
    let echo = cors.credentials && !cors.literal_star;
    let star = |field: HeaderName| match echo {
        true => asked.get(field).cloned(),
        false => Some(HeaderValue::from_static("*")),
    };
    let methods = list(&cors.methods, || {
        star(header::ACCESS_CONTROL_REQUEST_METHOD)
    });
    let names = list(&cors.headers, || {
        star(header::ACCESS_CONTROL_REQUEST_HEADERS)
    });
    set(map, header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    set(map, header::ACCESS_CONTROL_ALLOW_HEADERS, names);
    map.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from(cors.max_age),
    );
}

/// Says in an answer what the origin may do with it. What the backend said about that is replaced; unless it has the
/// say about other origins, it counts for nobody.
pub fn decorate(cors: &Cors, origin: Option<&HeaderValue>, map: &mut HeaderMap) {
    if !cors.every_answer {
        for name in [
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
        ] {
            map.remove(name);
        }
    }
    let literal = cors.allows_any() && (cors.literal_star || !cors.credentials);
    if !literal {
        vary(map);
    }
    let Some(origin) = permitted(cors, origin) else {
        return;
    };
    // Before the answer has more fields of ours.
    let exposed = list(&cors.expose, || exposed(cors, map));
    let answer = match origin {
        Some(origin) if !literal => origin.clone(),
        _ => HeaderValue::from_static("*"),
    };
    map.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, answer);
    if cors.credentials {
        map.insert(
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
    }
    set(map, header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    if cors.every_answer {
        allowances(cors, &HeaderMap::new(), map);
    }
}

/// Response headers that scripts may read, where that is all of them: a `*` beside credentials is taken as the name of
/// a header, and then those that are there are named.
fn exposed(cors: &Cors, map: &HeaderMap) -> Option<HeaderValue> {
    if !cors.credentials || cors.literal_star {
        return Some(HeaderValue::from_static("*"));
    }
    let hidden = |name: &&HeaderName| {
        **name != header::SET_COOKIE && !name.as_str().starts_with("access-control-")
    };
    let names: Vec<&str> = map.keys().filter(hidden).map(HeaderName::as_str).collect();
    let named = (!names.is_empty()).then(|| names.join(", "));
    named.and_then(|named| HeaderValue::try_from(named).ok())
}

/// Caches must tell answers for one origin from those for another.
fn vary(map: &mut HeaderMap) {
    let named = |value: &HeaderValue| {
        value.to_str().is_ok_and(|v| {
            v.split(',')
                .any(|n| n.trim().eq_ignore_ascii_case("origin") || n.trim() == "*")
        })
    };
    if !map.get_all(header::VARY).iter().any(named) {
        map.append(header::VARY, HeaderValue::from_static("Origin"));
    }
}

/// The origin that asks, if it is allowed; `Some(None)` where none asks and a `*` is said to everybody.
fn permitted<'a>(cors: &Cors, origin: Option<&'a HeaderValue>) -> Option<Option<&'a HeaderValue>> {
    match origin {
        Some(origin) => allows(cors, origin).then_some(Some(origin)),
        None => (cors.literal_star && cors.allows_any()).then_some(None),
    }
}

fn allows(cors: &Cors, origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    cors.origins.iter().any(|allowed| match allowed {
        OriginMatch::Any => true,
        OriginMatch::Exact(exact) => exact.eq_ignore_ascii_case(origin),
        OriginMatch::Wildcard {
            scheme,
            suffix,
            one_label,
        } => {
            let host = cut(origin, 0, scheme).and_then(|rest| {
                let at = rest.len().checked_sub(suffix.len())?;
                cut_end(rest, at, suffix)
            });
            // `https://*` names no port, and means any.
            let port = suffix.is_empty();
            let foreign =
                |c: char| matches!(c, '/' | '@') || (c == ':' && !port) || (c == '.' && *one_label);
            host.is_some_and(|labels| !labels.is_empty() && !labels.contains(foreign))
        }
    })
}

fn cut<'a>(text: &'a str, at: usize, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.get(at..)?.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn cut_end<'a>(text: &'a str, at: usize, suffix: &str) -> Option<&'a str> {
    let (head, tail) = text.split_at_checked(at)?;
    tail.eq_ignore_ascii_case(suffix).then_some(head)
}

/// A list as a header's value; `everything` is that of `*`.
fn list(
    allowed: &Allowed,
    everything: impl FnOnce() -> Option<HeaderValue>,
) -> Option<HeaderValue> {
    match allowed {
        Allowed::Everything => everything(),
        Allowed::Nothing => None,
        Allowed::These(list) => Some(list.clone()),
    }
}

fn set(map: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        map.insert(name, value);
    }
}

#[cfg(test)]
#[path = "cors_tests.rs"]
mod tests;
