//! Cross-origin resource sharing, as the Fetch standard and Gateway API's `HTTPCORSFilter` have it.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use ir::{Cors, OriginMatch};

/// The method that a preflight asks about; `None` for every other request.
#[must_use]
pub fn asked_method(method: &Method, headers: &HeaderMap) -> Option<Method> {
    if *method != Method::OPTIONS || !headers.contains_key(header::ORIGIN) {
        return None;
    }
    let asked = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    Method::from_bytes(asked.as_bytes()).ok()
}

/// The gateway's own answer to a preflight; `None` for every other request. An origin that is not allowed gets an answer
/// without a word of permission.
#[must_use]
pub fn preflight(cors: &Cors, method: &Method, headers: &HeaderMap) -> Option<Response<()>> {
    let asked = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    let origin = headers.get(header::ORIGIN)?;
    if *method != Method::OPTIONS {
        return None;
    }
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if allows(cors, origin) {
        let map = response.headers_mut();
        let methods = list(
            cors.methods.as_deref(),
            Method::as_str,
            cors.credentials.then_some(asked),
        );
        set(map, header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
        let names = match (&cors.headers, wanted) {
            (None, None) if cors.credentials => None,
            _ => list(
                cors.headers.as_deref(),
                HeaderName::as_str,
                wanted.filter(|_| cors.credentials),
            ),
        };
        set(map, header::ACCESS_CONTROL_ALLOW_HEADERS, names);
        map.insert(
            header::ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from(cors.max_age),
        );
    }
    Some(response)
}

/// Says in an answer what the origin may do with it. What the backend said about that is replaced.
pub fn decorate(cors: &Cors, origin: Option<&HeaderValue>, map: &mut HeaderMap) {
    for name in [
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
    ] {
        map.remove(name);
    }
    let any = cors.origins.contains(&OriginMatch::Any);
    if !any || cors.credentials {
        vary(map);
    }
    let Some(origin) = origin.filter(|origin| allows(cors, origin)) else {
        return;
    };
    let answer = if any && !cors.credentials {
        HeaderValue::from_static("*")
    } else {
        origin.clone()
    };
    map.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, answer);
    if cors.credentials {
        map.insert(
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
    }
    // A `*` beside credentials would be taken as the name of a header; then there is no way to say "all".
    if cors.expose.is_some() || !cors.credentials {
        set(
            map,
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            list(cors.expose.as_deref(), HeaderName::as_str, None),
        );
    }
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

fn allows(cors: &Cors, origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    cors.origins.iter().any(|allowed| match allowed {
        OriginMatch::Any => true,
        OriginMatch::Exact(exact) => exact.eq_ignore_ascii_case(origin),
        OriginMatch::Wildcard { scheme, suffix } => {
            let host = cut(origin, 0, scheme).and_then(|rest| {
                let at = rest.len().checked_sub(suffix.len())?;
                cut_end(rest, at, suffix)
            });
            // `https://*` names no port, and means any.
            let port = suffix.is_empty();
            let foreign = |c: char| matches!(c, '/' | '@') || (c == ':' && !port);
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

/// A list as a header's value; `None` as list means everything: `*`, or `echo` where `*` may not be said.
fn list<T>(
    items: Option<&[T]>,
    text: impl Fn(&T) -> &str,
    echo: Option<&HeaderValue>,
) -> Option<HeaderValue> {
    match (items, echo) {
        (Some([]), _) => None,
        (Some(items), _) => {
            HeaderValue::try_from(items.iter().map(text).collect::<Vec<_>>().join(", ")).ok()
        }
        (None, Some(echo)) => Some(echo.clone()),
        (None, None) => Some(HeaderValue::from_static("*")),
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
