//! Requests that the routes make interesting: each path and its neighbours, each condition met and missed, hosts in and
//! beside the patterns.

use std::collections::BTreeSet;

use ir::{HeaderMatch, HostPattern, Ir, PathMatch, QueryMatch, Route, ValueMatch};

use super::{Ask, entrance, sample::samples};

/// A host and a value that nobody has.
const UNKNOWN_HOST: &str = "unknown-host.test";
const OTHER: &str = "postern-diff";

/// Every request worth sending, in order of host and path.
pub(crate) fn requests(ir: &Ir) -> BTreeSet<Ask> {
    let mut asks = BTreeSet::new();
    for https in [false, true] {
        let Some((_, port)) = entrance(ir, https) else {
            continue;
        };
        let plain = |host: &str, target: &str| Ask {
            host: host.to_owned(),
            target: target.to_owned(),
            method: "GET".to_owned(),
            https,
            headers: Vec::new(),
        };
        asks.insert(plain(UNKNOWN_HOST, "/"));
        for host in port.listeners.iter().flat_map(|listener| &listener.hosts) {
            for name in hosts(&host.host) {
                asks.insert(plain(&name, "/"));
                asks.insert(plain(&name, &format!("/{OTHER}")));
                for route in &host.routes {
                    of_route(route, &plain(&name, "/"), &mut asks);
                }
            }
        }
    }
    asks.retain(Ask::is_sound);
    asks
}

/// Hosts that a pattern is for, and one that it just is not.
fn hosts(pattern: &HostPattern) -> Vec<String> {
    match pattern {
        HostPattern::Exact(name) => vec![name.to_string()],
        HostPattern::Wildcard(suffix) => vec![
            format!("one.{suffix}"),
            format!("one.two.{suffix}"),
            suffix.to_string(),
        ],
        HostPattern::Any => vec![UNKNOWN_HOST.to_owned()],
    }
}

fn of_route(route: &Route, plain: &Ask, asks: &mut BTreeSet<Ask>) {
    let matches = &route.matches;
    let met = |path: &str| Ask {
        target: with_query(path, &matches.query, None),
        method: matches
            .method
            .as_ref()
            .map_or("GET", |m| m.as_str())
            .to_owned(),
        headers: headers(&matches.headers, None),
        ..plain.clone()
    };
    let paths = paths(&matches.path);
    for path in paths.iter().flat_map(|path| around(path)) {
        asks.insert(met(&path));
    }
    let Some(path) = paths.first() else {
        return;
    };
    // Each condition missed by itself: not there, and with another value.
    for (at, header) in matches.headers.iter().enumerate() {
        for value in [None, Some(OTHER), Some("never"), Some("always")] {
            let value = value.map(|value| match header.name.as_str() {
                "cookie" => cookie(header, value),
                _ => value.to_owned(),
            });
            let headers = headers(&matches.headers, Some((at, value)));
            asks.insert(Ask {
                headers,
                ..met(path)
            });
        }
    }
    for (at, _) in matches.query.iter().enumerate() {
        for value in [None, Some(OTHER)] {
            let target = with_query(path, &matches.query, Some((at, value)));
            asks.insert(Ask {
                target,
                ..met(path)
            });
        }
    }
    for method in ["HEAD", "POST"] {
        let method = method.to_owned();
        asks.insert(Ask {
            method,
            ..met(path)
        });
    }
    if route.rule.cors.is_some() {
        preflight(plain, path, asks);
    }
}

fn preflight(plain: &Ask, path: &str, asks: &mut BTreeSet<Ask>) {
    for origin in [
        format!("https://{}", plain.host),
        "https://stranger.test".to_owned(),
    ] {
        asks.insert(Ask {
            method: "OPTIONS".to_owned(),
            target: path.to_owned(),
            headers: vec![
                ("access-control-request-method".to_owned(), "GET".to_owned()),
                ("origin".to_owned(), origin),
            ],
            ..plain.clone()
        });
    }
}

fn paths(path: &PathMatch) -> Vec<String> {
    match path {
        PathMatch::Prefix(prefix) if prefix.is_empty() => vec!["/".to_owned()],
        PathMatch::Exact(path)
        | PathMatch::ExactAnyCase(path)
        | PathMatch::Prefix(path)
        | PathMatch::PrefixAnyCase(path) => vec![path.to_string()],
        PathMatch::Regex(pattern) => samples(pattern.as_str()),
    }
}

/// A path and those just beside it: with and without trailing slash, one segment more, the prefix without a boundary,
/// another case, a character encoded, and its parent.
fn around(path: &str) -> Vec<String> {
    let bare = path.trim_end_matches('/');
    let mut all = vec![
        path.to_owned(),
        format!("{bare}/"),
        format!("{bare}/{OTHER}"),
        format!("{bare}/{OTHER}/"),
    ];
    if !bare.is_empty() {
        all.push(bare.to_owned());
        all.push(format!("{bare}{OTHER}"));
        all.push(swapped(bare));
        all.extend(encoded(bare));
        let parent = bare.rsplit_once('/').map_or("", |(parent, _)| parent);
        all.push(format!("{parent}/"));
    }
    all
}

fn swapped(path: &str) -> String {
    let swap = |c: char| match c {
        'a'..='z' => c.to_ascii_uppercase(),
        _ => c.to_ascii_lowercase(),
    };
    path.chars().map(swap).collect()
}

/// The last letter or digit, percent-encoded: to whoever decodes, the same path.
fn encoded(path: &str) -> Option<String> {
    let at = path.rfind(|c: char| c.is_ascii_alphanumeric())?;
    let byte = path.as_bytes().get(at)?;
    Some(format!("{}%{byte:02X}{}", &path[..at], &path[at + 1..]))
}

fn value(matches: &ValueMatch) -> Option<String> {
    match matches {
        ValueMatch::Exact(value) => Some(value.to_string()),
        ValueMatch::Regex(pattern) => {
            let found = samples(pattern.as_str());
            found.into_iter().find(|sample| pattern.is_match(sample))
        }
    }
}

/// Headers that meet every condition, but for one that is to be another, or absent.
fn headers(matches: &[HeaderMatch], but: Option<(usize, Option<String>)>) -> Vec<(String, String)> {
    let of = |(at, header): (usize, &HeaderMatch)| {
        let value = match &but {
            Some((other, value)) if *other == at => value.clone(),
            _ => value(&header.value),
        };
        Some((header.name.to_string(), value?))
    };
    matches.iter().enumerate().filter_map(of).collect()
}

/// The cookie of a match with another value.
fn cookie(header: &HeaderMatch, other: &str) -> String {
    let wanted = value(&header.value).unwrap_or_default();
    let name = wanted.split_once('=').map_or("postern", |(name, _)| name);
    format!("first=1; {name}={other}")
}

fn with_query(path: &str, matches: &[QueryMatch], but: Option<(usize, Option<&str>)>) -> String {
    let of = |(at, query): (usize, &QueryMatch)| {
        let value = match but {
            Some((other, value)) if other == at => value.map(str::to_owned),
            _ => value(&query.value),
        };
        Some(format!("{}={}", query.name, value?))
    };
    let pairs: Vec<String> = matches.iter().enumerate().filter_map(of).collect();
    if pairs.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", pairs.join("&"))
    }
}

#[cfg(test)]
#[path = "generate_tests.rs"]
mod tests;
