//! Names and attributes of spans, by OpenTelemetry's HTTP semantic conventions.

use std::borrow::Cow;
use std::fmt::Write as _;

use http::{Method, Version};
use opentelemetry::KeyValue;

use super::span::{Attempt, ServerRequest};

pub(super) fn server_attributes(
    method: &'static str,
    request: &ServerRequest<'_>,
) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(14);
    push_method(&mut attributes, method, request.method);
    attributes.push(KeyValue::new("url.scheme", request.scheme.to_owned()));
    attributes.push(KeyValue::new("url.path", request.path.to_owned()));
    if let Some(query) = request.query {
        attributes.push(KeyValue::new("url.query", redacted(query).into_owned()));
    }
    let (address, port) = split_port(request.host);
    if !address.is_empty() {
        attributes.push(KeyValue::new("server.address", address.to_owned()));
    }
    if let Some(port) = port {
        attributes.push(KeyValue::new("server.port", i64::from(port)));
    }
    if let Some(client) = request.client {
        attributes.push(KeyValue::new("client.address", client.to_string()));
    }
    if let Some(route) = request.route {
        attributes.push(KeyValue::new("http.route", route.to_owned()));
    }
    if let Some(agent) = request.user_agent {
        attributes.push(KeyValue::new("user_agent.original", agent.to_owned()));
    }
    let version = match request.version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    };
    attributes.push(KeyValue::new("network.protocol.version", version));
    attributes
}

pub(super) fn client_attributes(method: &'static str, attempt: &Attempt<'_>) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(8);
    push_method(&mut attributes, method, attempt.method);
    let mut url = format!("{}://{}{}", attempt.scheme, attempt.authority, attempt.path);
    if let Some(query) = attempt.query {
        let _ = write!(url, "?{}", redacted(query));
    }
    attributes.push(KeyValue::new("url.full", url));
    let address = attempt.server_address.to_owned();
    attributes.push(KeyValue::new("server.address", address));
    let port = i64::from(attempt.server_port);
    attributes.push(KeyValue::new("server.port", port));
    if attempt.resend_count > 0 {
        let count = i64::from(attempt.resend_count);
        attributes.push(KeyValue::new("http.request.resend_count", count));
    }
    attributes
}

fn push_method(attributes: &mut Vec<KeyValue>, known: &'static str, method: &Method) {
    attributes.push(KeyValue::new("http.request.method", known));
    if known == OTHER {
        let original = method.as_str().to_owned();
        attributes.push(KeyValue::new("http.request.method_original", original));
    }
}

/// What stands for methods nobody knows, so that clients cannot make up span names.
const OTHER: &str = "_OTHER";

pub(super) fn known_method(method: &Method) -> &'static str {
    const KNOWN: [&str; 10] = [
        "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUERY",
    ];
    let found = KNOWN.into_iter().find(|known| *known == method.as_str());
    found.unwrap_or(OTHER)
}

/// "{method} {http.route}", or "{method}"; "if the HTTP method is unknown, it is HTTP".
pub(super) fn span_name(method: &'static str, route: Option<&str>) -> Cow<'static, str> {
    let method = if method == OTHER { "HTTP" } else { method };
    match route {
        Some(route) => Cow::Owned(format!("{method} {route}")),
        None => Cow::Borrowed(method),
    }
}

/// `host:port`, `host`, `[v6]:port`, `[v6]`; brackets are not part of an address.
fn split_port(host: &str) -> (&str, Option<u16>) {
    let end_of_v6 = host.rfind(']').map_or(0, |at| at + 1);
    let (name, port) = match host[end_of_v6..].rfind(':') {
        Some(at) => {
            let at = end_of_v6 + at;
            (&host[..at], host[at + 1..].parse().ok())
        }
        None => (host, None),
    };
    let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    (bare.unwrap_or(name), port)
}

/// The conventions ask for these values to be hidden: they are signatures that grant access.
fn redacted(query: &str) -> Cow<'_, str> {
    if !query.split('&').any(|pair| secret(pair).is_some()) {
        return Cow::Borrowed(query);
    }
    let mut out = String::with_capacity(query.len());
    for (index, pair) in query.split('&').enumerate() {
        if index > 0 {
            out.push('&');
        }
        match secret(pair) {
            Some(name) => {
                out.push_str(name);
                out.push_str("=REDACTED");
            }
            None => out.push_str(pair),
        }
    }
    Cow::Owned(out)
}

/// The name of a parameter whose value must not be told.
fn secret(pair: &str) -> Option<&str> {
    const SECRET: [&str; 4] = ["AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature"];
    let (name, _) = pair.split_once('=')?;
    SECRET.contains(&name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::{redacted, split_port};

    #[test]
    fn hosts_split_into_address_and_port() {
        for (host, expected) in [
            ("a.example", ("a.example", None)),
            ("a.example:8080", ("a.example", Some(8080))),
            ("[::1]:80", ("::1", Some(80))),
            ("[::1]", ("::1", None)),
            ("a:99999", ("a", None)),
            ("a:", ("a", None)),
            ("", ("", None)),
            ("]:1", ("]", Some(1))),
        ] {
            assert_eq!(split_port(host), expected, "{host:?}");
        }
    }

    #[test]
    fn signatures_in_queries_are_hidden() {
        for (query, expected) in [
            ("a=1&b=2", "a=1&b=2"),
            ("sig=abc", "sig=REDACTED"),
            (
                "a=1&Signature=x%3D&signature=y&",
                "a=1&Signature=REDACTED&signature=y&",
            ),
            ("sig", "sig"),
            ("", ""),
        ] {
            assert_eq!(redacted(query), expected);
        }
    }
}
