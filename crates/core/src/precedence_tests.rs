use std::sync::Arc;

use api::gateway::HttpRoute;
use ir::{HeaderMatch, PathMatch, Pattern, QueryMatch, RequestMatch, ValueMatch};

use super::{Age, Precedence, RouteOrder};

/// `METHOD PATH headers queries`; a path starts with `=` (exact), `^` (exact in any case) or `~` (expression), or is a
/// prefix.
fn parse(text: &str) -> RequestMatch {
    let mut words = text.split(' ');
    let method = words.next().filter(|m| *m != "*");
    let path = words.next().unwrap();
    let mut count = || words.next().map_or(0, |n| n.parse::<usize>().unwrap());
    let (headers, queries) = (count(), count());
    let value = || ValueMatch::Exact("v".into());
    RequestMatch {
        path: match path.split_at(1) {
            ("=", exact) => PathMatch::Exact(exact.into()),
            ("^", exact) => PathMatch::Exact(exact.into()).ignoring_case(),
            ("~", regex) => PathMatch::Regex(Pattern::full(regex).unwrap()),
            _ => PathMatch::prefix(path),
        },
        method: method.map(|m| m.parse().unwrap()),
        headers: (0..headers)
            .map(|n| HeaderMatch {
                name: format!("h{n}").parse().unwrap(),
                value: value(),
            })
            .collect(),
        query: (0..queries)
            .map(|n| QueryMatch {
                name: format!("q{n}").into(),
                value: value(),
            })
            .collect(),
    }
}

fn order(metadata: &str) -> (Arc<RouteOrder>, Vec<String>) {
    let text = format!("{{metadata: {metadata}, spec: {{}}}}");
    let route: HttpRoute = serde_saphyr::from_str(&format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, {}",
        &text[1..]
    ))
    .unwrap();
    let mut warnings = Vec::new();
    (Arc::new(RouteOrder::of(&route, &mut warnings)), warnings)
}

#[test]
fn matches_from_first_to_last() {
    let ranked = [
        "GET =/a 0 0",
        "* =/long/er 1 0",
        "* ^/A 0 1",
        "* =/a 0 0",
        "* /long/er 0 0",
        "GET /long 0 0",
        "* /long 2 0",
        "* /long 1 9",
        "* /long 1 0",
        "* /long 0 1",
        "* /long/ 0 0",
        "* ~/long/pattern.* 0 0",
        "* ~/pattern 0 0",
        "GET / 9 9",
        "* / 0 0",
    ];
    let (route, _) = order("{name: r, namespace: n}");
    let all: Vec<_> = ranked
        .iter()
        .map(|text| Precedence::of(&parse(text), &route, 0, 0))
        .collect();
    for (index, pair) in all.windows(2).enumerate() {
        assert!(
            pair[0] < pair[1],
            "{} before {}",
            ranked[index],
            ranked[index + 1]
        );
    }
}

#[test]
fn routes_from_first_to_last() {
    let ranked = [
        r#"{name: z, namespace: z, creationTimestamp: "2026-01-01T00:00:00Z"}"#,
        r#"{name: y, namespace: z, creationTimestamp: "2026-12-01T00:00:00Z", annotations: {postern.dev/created: "2026-01-02T01:00:00+01:00"}}"#,
        r#"{name: a, namespace: a, creationTimestamp: "2026-01-02T00:00:01Z"}"#,
        r#"{name: b, namespace: a, creationTimestamp: "2026-02-01T00:00:00Z", annotations: {postern.dev/order: "-1"}}"#,
        r#"{name: z, namespace: a-b, creationTimestamp: "2026-02-01T00:00:00Z"}"#,
        r#"{name: a, namespace: a, creationTimestamp: "2026-02-01T00:00:00Z"}"#,
        r#"{name: z, namespace: a, creationTimestamp: "2026-02-01T00:00:00Z"}"#,
        r#"{name: a, namespace: b, creationTimestamp: "2026-02-01T00:00:00Z"}"#,
        r#"{name: a, namespace: a, creationTimestamp: "2026-02-01T00:00:00Z", annotations: {postern.dev/order: "2"}}"#,
        r#"{name: a, namespace: a, creationTimestamp: "2026-02-01T00:00:00Z", annotations: {postern.dev/order: "10"}}"#,
        "{name: a, namespace: a}",
    ];
    let orders: Vec<_> = ranked.iter().map(|text| order(text).0).collect();
    for (index, pair) in orders.windows(2).enumerate() {
        assert!(
            pair[0] < pair[1],
            "{} before {}",
            ranked[index],
            ranked[index + 1]
        );
    }
}

#[test]
fn position_decides_within_a_route() {
    let (route, _) = order("{name: r, namespace: n}");
    let at = |rule, index| Precedence::of(&parse("* /a"), &route, rule, index);
    assert!(at(0, 0) < at(0, 1));
    assert!(at(0, 1) < at(1, 0));
}

#[test]
fn annotations_that_cannot_be_read_are_told() {
    let (bad, warnings) = order(
        r#"{name: r, namespace: n, creationTimestamp: "2026-01-01T00:00:00Z", annotations: {postern.dev/created: soon, postern.dev/order: "1.5"}}"#,
    );
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let (plain, warnings) =
        order(r#"{name: r, namespace: n, creationTimestamp: "2026-01-01T00:00:00Z"}"#);
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(bad, plain);
    assert!(Age::parse("2026-01-01T00:00:00Z") < Some(Age::Unknown));
}
