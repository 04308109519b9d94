//! The router against the rules of Gateway API, spelled out naively.

use std::{num::NonZeroU32, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use ir::{
    Action, HeaderMatch, HostPattern, HostSettings, Listener, ListenerKey, PathMatch, Pattern,
    Port, Protocol, QueryMatch, Reason, RequestMatch, Route, Rule, RuleKey, ValueMatch,
    VirtualHost,
};
use proptest::prelude::*;

use super::{PortRouter, RequestView};

/// One HTTPRoute rule match as a user writes it.
#[derive(Debug, Clone)]
struct Written {
    host: &'static str,
    /// How specific the route's own hostname is; lower is more.
    own: usize,
    path: PathMatch,
    method: Option<Method>,
    headers: Vec<(&'static str, &'static str)>,
    query: Vec<(&'static str, &'static str)>,
    fallthrough: bool,
    /// Its host is alone.
    isolated: bool,
    /// Its host, if it is a wildcard, stands for one label.
    one_label: bool,
}

#[derive(Debug, Clone)]
struct Asked {
    host: &'static str,
    path: String,
    method: Method,
    headers: Vec<(&'static str, &'static str)>,
    query: Option<&'static str>,
}

fn value(text: &'static str) -> ValueMatch {
    text.strip_prefix('~').map_or_else(
        || ValueMatch::Exact(text.into()),
        |pattern| ValueMatch::Regex(Pattern::full(pattern).unwrap()),
    )
}

fn rule(id: usize) -> Arc<Rule> {
    let action = Action::Respond {
        status: http::StatusCode::OK,
        reason: Reason::NoBackend,
    };
    let key = RuleKey(format!("{id}").into());
    Arc::new(Rule::new(key, "HTTPRoute/test/test".into(), action))
}

fn route(id: usize, written: &Written) -> Route {
    Route {
        matches: RequestMatch {
            path: written.path.clone(),
            method: written.method.clone(),
            headers: written
                .headers
                .iter()
                .map(|(n, v)| HeaderMatch {
                    name: HeaderName::from_static(n),
                    value: value(v),
                })
                .collect(),
            query: written
                .query
                .iter()
                .map(|(n, v)| QueryMatch {
                    name: (*n).into(),
                    value: value(v),
                })
                .collect(),
        },
        host_fallthrough: written.fallthrough,
        https: None,
        rule: rule(id),
    }
}

/// Lower is better. The route's own hostname; "Exact" path match; "Prefix" path match with the largest number of
/// characters; expressions are implementation-specific and stand before `/`; then method, number of headers, number of
/// query parameters; then the order in which they were written (age, name, rule).
fn precedence(written: &Written, order: usize) -> impl Ord {
    let path = match &written.path {
        PathMatch::Exact(_) | PathMatch::ExactAnyCase(_) => (0, 0),
        PathMatch::Prefix(p) if p.is_empty() => (3, 0),
        PathMatch::Prefix(p) | PathMatch::PrefixAnyCase(p) => (1, -i64::try_from(p.len()).unwrap()),
        PathMatch::Regex(p) => (2, -i64::try_from(p.as_str().len()).unwrap()),
    };
    let more_is_better = |n: usize| -i64::try_from(n).unwrap();
    (
        written.own,
        path,
        written.method.is_none(),
        more_is_better(written.headers.len()),
        more_is_better(written.query.len()),
        order,
    )
}

fn meets(written: &Written, asked: &Asked) -> bool {
    let holds =
        |wanted: &str, got: &str| value(Box::leak(wanted.to_owned().into_boxed_str())).matches(got);
    let path = match &written.path {
        PathMatch::Exact(p) => **p == *asked.path,
        PathMatch::Prefix(p) => asked.path == **p || asked.path.starts_with(&format!("{p}/")),
        PathMatch::ExactAnyCase(p) => asked.path.to_lowercase() == p.to_lowercase(),
        PathMatch::PrefixAnyCase(p) => {
            let (p, path) = (p.to_lowercase(), asked.path.to_lowercase());
            path == p || path.starts_with(&format!("{p}/"))
        }
        PathMatch::Regex(p) => p.is_match(&asked.path),
    };
    let query: Vec<(&str, &str)> = asked
        .query
        .into_iter()
        .flat_map(|q| q.split('&'))
        .filter_map(|p| p.split_once('='))
        .collect();
    path && written.method.as_ref().is_none_or(|m| *m == asked.method)
        && written
            .headers
            .iter()
            .all(|(n, w)| asked.headers.iter().any(|(m, v)| n == m && holds(w, v)))
        && written.query.iter().all(|(n, w)| {
            query
                .iter()
                .find(|(m, _)| n == m)
                .is_some_and(|(_, v)| holds(w, v))
        })
}

/// The expected rule: the most specific listener; there, the most specific host with any route decides, then, unless
/// that is alone, wider hosts with those routes that fall through; within a host the best precedence.
fn expected(listeners: &[(&'static str, Vec<Written>)], asked: &Asked) -> Option<usize> {
    let covers = |pattern: &str| HostPattern::parse(pattern).unwrap().matches(asked.host);
    let specificity = |pattern: &&str| {
        (
            pattern.contains('*'),
            -i64::try_from(pattern.len()).unwrap(),
        )
    };
    // A listener whose hosts are all wildcards for fewer labels leaves the request to the next wider one.
    let leaves = |routes: &[Written]| {
        let labels = |name: &str| name.split('.').count();
        let mut covering = routes.iter().filter(|r| covers(r.host)).peekable();
        let too_deep = |host: &str| {
            let one = routes.iter().any(|r| r.host == host && r.one_label);
            one && host.starts_with("*.") && labels(host) != labels(asked.host)
        };
        covering.peek().is_some() && covering.all(|r| too_deep(r.host))
    };
    let (at, (_, routes)) = listeners
        .iter()
        .enumerate()
        .filter(|(_, (h, _))| covers(h))
        .min_by_key(|(_, (h, routes))| (leaves(routes), specificity(h)))?;
    let offset: usize = listeners[..at].iter().map(|(_, r)| r.len()).sum();
    let any = |host: &str, of: fn(&Written) -> bool| routes.iter().any(|r| r.host == host && of(r));
    let too_deep = |host: &str| {
        let labels = |name: &str| name.split('.').count();
        host.starts_with("*.") && any(host, |r| r.one_label) && labels(host) != labels(asked.host)
    };
    let mut hosts: Vec<&str> = routes
        .iter()
        .map(|r| r.host)
        .filter(|h| covers(h) && !too_deep(h))
        .collect();
    hosts.sort_by_key(specificity);
    hosts.dedup();
    let alone = hosts.first().is_some_and(|host| any(host, |r| r.isolated));
    hosts.truncate(if alone { 1 } else { hosts.len() });
    hosts.iter().enumerate().find_map(|(wider, host)| {
        routes
            .iter()
            .enumerate()
            .filter(|(_, r)| r.host == *host && (wider == 0 || r.fallthrough) && meets(r, asked))
            .min_by_key(|(order, r)| precedence(r, *order))
            .map(|(order, _)| offset + order)
    })
}

fn port(listeners: &[(&'static str, Vec<Written>)]) -> Port {
    let mut id = 0;
    let mut built: Vec<Arc<Listener>> = Vec::new();
    for (hostname, routes) in listeners {
        let mut hosts: Vec<(HostPattern, Vec<(usize, &Written)>)> = Vec::new();
        for written in routes {
            let host = HostPattern::parse(written.host).unwrap();
            match hosts.iter_mut().find(|(h, _)| *h == host) {
                Some((_, list)) => list.push((id, written)),
                None => hosts.push((host, vec![(id, written)])),
            }
            id += 1;
        }
        let hosts = hosts.into_iter().map(|(host, mut list)| {
            let settings = HostSettings {
                isolated: list.iter().any(|(_, written)| written.isolated),
                one_label: list.iter().any(|(_, written)| written.one_label),
                ..HostSettings::default()
            };
            list.sort_by_key(|(order, written)| precedence(written, *order));
            let routes = list
                .into_iter()
                .map(|(id, written)| route(id, written))
                .collect();
            Arc::new(VirtualHost {
                host,
                settings,
                routes,
            })
        });
        built.push(Arc::new(Listener {
            key: ListenerKey::of_gateway("test", "test", "http"),
            others: vec![],
            hostname: HostPattern::parse(hostname).unwrap(),
            tls: None,
            hosts: hosts.collect(),
            streams: None,
            underscores: ir::Underscores::Allow,
            paths: ir::Paths::default(),
            admission: ir::Admission::Open,
        }));
    }
    Port {
        protocol: Protocol::Http,
        advertised: None,
        listeners: built,
    }
}

fn found(port: &Port, asked: &Asked) -> Option<usize> {
    let router = PortRouter::build(port, &mut |rule| rule.key.0.parse::<usize>().unwrap());
    let headers: HeaderMap = asked
        .headers
        .iter()
        .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
        .collect();
    let view = RequestView {
        https: false,
        host: asked.host,
        path: &asked.path,
        query: asked.query,
        method: &asked.method,
        headers: &headers,
    };
    let listener = router.listener_for(asked.host)?;
    let (host, _) = router.host(listener, asked.host)?;
    router
        .find((listener, host), &view)
        .map(|found| *found.payload)
}

fn hosts() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "*",
        "*.com",
        "*.a.com",
        "a.com",
        "b.a.com",
        "c.b.a.com",
        "b.com",
    ])
}

fn paths() -> impl Strategy<Value = PathMatch> {
    let text = prop::sample::select(vec![
        "/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/b", "/A", "/A/b",
    ]);
    let regex = prop::sample::select(vec!["/a.*", "/[ab]", "/a/b.*", ".*", "/.*/c"]);
    prop_oneof![
        text.clone().prop_map(|p| PathMatch::Exact(p.into())),
        text.clone()
            .prop_map(|p| PathMatch::Exact(p.into()).ignoring_case()),
        text.clone().prop_map(PathMatch::prefix),
        text.prop_map(|p| PathMatch::prefix(p).ignoring_case()),
        regex.prop_map(|p| PathMatch::Regex(Pattern::full(p).unwrap())),
    ]
}

fn written() -> impl Strategy<Value = Written> {
    let pairs = |values: Vec<(&'static str, &'static str)>| {
        prop::sample::subsequence(values, 0..=2).prop_map(|mut chosen| {
            chosen.dedup_by_key(|(name, _)| *name);
            chosen
        })
    };
    (
        (hosts(), 0..3_usize),
        paths(),
        prop::option::of(prop::sample::select(vec![Method::GET, Method::POST])),
        pairs(vec![("x", "1"), ("y", "~[12]"), ("z", "1")]),
        pairs(vec![("p", "1"), ("q", "~1|2")]),
        (
            any::<bool>(),
            prop::bool::weighted(0.1),
            prop::bool::weighted(0.2),
        ),
    )
        .prop_map(
            |((host, own), path, method, headers, query, (fallthrough, isolated, one_label))| {
                Written {
                    host,
                    own,
                    path,
                    method,
                    headers,
                    query,
                    fallthrough,
                    isolated,
                    one_label,
                }
            },
        )
}

fn asked() -> impl Strategy<Value = Asked> {
    (
        prop::sample::select(vec![
            "a.com",
            "b.a.com",
            "c.b.a.com",
            "x.a.com",
            "b.com",
            "org",
        ]),
        prop::sample::select(vec![
            "/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/ab", "/b", "/a/x/c", "/zzz", "/A",
            "/A/B", "/a/B/C", "/AB",
        ]),
        prop::sample::select(vec![Method::GET, Method::POST, Method::PUT]),
        prop::sample::subsequence(vec![("x", "1"), ("y", "2"), ("z", "1"), ("z", "2")], 0..=4),
        prop::sample::select(vec![
            None,
            Some("p=1"),
            Some("q=2&p=1"),
            Some("p=2&p=1"),
            Some("q=3"),
        ]),
    )
        .prop_map(|(host, path, method, headers, query)| Asked {
            host,
            path: path.to_owned(),
            method,
            headers,
            query,
        })
}

fn listeners() -> impl Strategy<Value = Vec<(&'static str, Vec<Written>)>> {
    let hostnames = prop::sample::subsequence(vec!["*", "*.com", "*.a.com", "b.a.com"], 1..=4);
    hostnames.prop_flat_map(|names| {
        names
            .into_iter()
            .map(|name| (Just(name), prop::collection::vec(written(), 0..20)))
            .collect::<Vec<_>>()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn the_router_agrees_with_the_rules(listeners in listeners(), asked in prop::collection::vec(asked(), 1..8)) {
        let port = port(&listeners);
        for asked in &asked {
            prop_assert_eq!(found(&port, asked), expected(&listeners, asked), "{:?}", asked);
        }
    }

    #[test]
    fn in_whatever_order_routes_come_the_first_match_wins(
        routes in prop::collection::vec(written(), 0..20),
        asked in asked(),
    ) {
        let in_order: Vec<Route> = routes.iter().enumerate().map(|(id, w)| route(id, w)).collect();
        let host = Arc::new(VirtualHost { host: HostPattern::Any, settings: HostSettings::default(), routes: in_order });
        let listener = Listener { key: ListenerKey::of_gateway("n", "g", "l"), others: vec![], hostname: HostPattern::Any, tls: None, hosts: vec![host], streams: None, underscores: ir::Underscores::Allow, paths: ir::Paths::default(), admission: ir::Admission::Open };
        let port = Port { protocol: Protocol::Http, advertised: None, listeners: vec![Arc::new(listener)] };
        let first = routes.iter().position(|written| meets(written, &asked));
        prop_assert_eq!(found(&port, &asked), first);
    }
}

#[test]
fn a_rule_shared_by_matches_becomes_one_payload() {
    let shared = rule(0);
    let matches = |path: &str| RequestMatch {
        path: PathMatch::prefix(path),
        method: None,
        headers: vec![],
        query: vec![],
    };
    let routes = ["/a", "/b"].map(|p| Route {
        matches: matches(p),
        host_fallthrough: false,
        https: None,
        rule: shared.clone(),
    });
    let host = Arc::new(VirtualHost {
        host: HostPattern::Any,
        settings: HostSettings::default(),
        routes: routes.into(),
    });
    let listener = Listener {
        underscores: ir::Underscores::Allow,
        paths: ir::Paths::default(),
        admission: ir::Admission::Open,
        key: ListenerKey::of_gateway("n", "g", "l"),
        others: vec![],
        hostname: HostPattern::Any,
        tls: None,
        hosts: vec![host],
        streams: None,
    };
    let port = Port {
        protocol: Protocol::Http,
        advertised: None,
        listeners: vec![Arc::new(listener)],
    };
    let mut calls = 0;
    let router = PortRouter::build(&port, &mut |_| {
        calls += 1;
        NonZeroU32::MIN
    });
    assert_eq!(calls, 1);
    assert_eq!(&*router.listener(0).unwrap().name, "n/g/l");
}

#[test]
fn queries_are_decoded_and_headers_may_repeat() {
    let written = Written {
        host: "*",
        own: 0,
        path: PathMatch::prefix("/"),
        method: None,
        headers: vec![("x", "1,2")],
        query: vec![("a b", "c&d")],
        fallthrough: false,
        isolated: false,
        one_label: false,
    };
    let port = port(&[("*", vec![written])]);
    let asked = |headers: Vec<_>, query| Asked {
        host: "h",
        path: "/".into(),
        method: Method::GET,
        headers,
        query,
    };
    assert_eq!(
        found(
            &port,
            &asked(vec![("x", "1"), ("x", "2")], Some("a+b=c%26d"))
        ),
        Some(0)
    );
    assert_eq!(
        found(&port, &asked(vec![("x", "1,2")], Some("z&a%20b=c%26d"))),
        Some(0)
    );
    assert_eq!(
        found(&port, &asked(vec![("x", "1")], Some("a+b=c%26d"))),
        None
    );
    assert_eq!(
        found(&port, &asked(vec![("x", "1,2")], Some("A+b=c%26d"))),
        None
    );
}

#[test]
fn a_match_of_host_sees_the_canonical_host() {
    let written = Written {
        host: "*",
        own: 0,
        path: PathMatch::prefix("/"),
        method: None,
        headers: vec![("host", "a.com")],
        query: vec![],
        fallthrough: false,
        isolated: false,
        one_label: false,
    };
    let port = port(&[("*", vec![written])]);
    let asked = |host, headers| Asked {
        host,
        path: "/".into(),
        method: Method::GET,
        headers,
        query: None,
    };
    // HTTP/2 has no such header; HTTP/1 may have a port in it.
    assert_eq!(found(&port, &asked("a.com", vec![])), Some(0));
    assert_eq!(
        found(&port, &asked("a.com", vec![("host", "A.com:80")])),
        Some(0)
    );
    assert_eq!(found(&port, &asked("b.com", vec![("host", "a.com")])), None);
}
