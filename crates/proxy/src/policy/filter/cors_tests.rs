use http::{HeaderMap, HeaderName, HeaderValue, Method};
use ir::{Allowed, Cors, OriginMatch};

use super::{decorate, preflight};

fn these(list: &'static str) -> Allowed {
    Allowed::These(HeaderValue::from_static(list))
}

fn cors() -> Cors {
    Cors {
        origins: vec![
            OriginMatch::Exact("https://www.foo.com".into()),
            OriginMatch::Wildcard {
                scheme: "https://".into(),
                suffix: ".bar.com".into(),
                one_label: false,
            },
        ],
        credentials: true,
        literal_star: false,
        every_answer: false,
        methods: these("GET, OPTIONS"),
        headers: these("x-header-1, x-header-2"),
        expose: these("x-header-3"),
        max_age: 3600,
    }
}

fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
        .collect()
}

/// What a client sees of a preflight answer: preflight, then decoration, as `handle` does it.
fn ask(
    cors: &Cors,
    origin: &'static str,
    method: &'static str,
    headers: Option<&'static str>,
) -> HeaderMap {
    let mut request = map(&[
        ("origin", origin),
        ("access-control-request-method", method),
    ]);
    if let Some(headers) = headers {
        request.insert(
            "access-control-request-headers",
            HeaderValue::from_static(headers),
        );
    }
    let mut answer = preflight(cors, &Method::OPTIONS, &request).unwrap();
    assert_eq!(answer.status(), 204);
    decorate(cors, request.get("origin"), answer.headers_mut());
    answer.headers().clone()
}

fn simple(cors: &Cors, origin: Option<&'static str>) -> HeaderMap {
    let mut answer = map(&[
        ("access-control-allow-origin", "https://the.backend"),
        ("x", "1"),
    ]);
    decorate(
        cors,
        origin.map(HeaderValue::from_static).as_ref(),
        &mut answer,
    );
    answer
}

fn get<'a>(map: &'a HeaderMap, name: &str) -> Option<&'a str> {
    map.get(name).map(|v| v.to_str().unwrap())
}

#[test]
fn allowed_origins_are_echoed() {
    for origin in [
        "https://www.foo.com",
        "https://a.bar.com",
        "https://a.b.c.bar.com",
    ] {
        let answer = ask(&cors(), origin, "GET", Some("x-header-1"));
        assert_eq!(get(&answer, "access-control-allow-origin"), Some(origin));
        assert_eq!(
            get(&answer, "access-control-allow-methods"),
            Some("GET, OPTIONS")
        );
        assert_eq!(
            get(&answer, "access-control-allow-headers"),
            Some("x-header-1, x-header-2")
        );
        assert_eq!(get(&answer, "access-control-max-age"), Some("3600"));
        assert_eq!(
            get(&answer, "access-control-allow-credentials"),
            Some("true")
        );
        let answer = simple(&cors(), Some(origin));
        assert_eq!(
            get(&answer, "access-control-allow-origin"),
            Some(origin),
            "the backend's word is replaced"
        );
        assert_eq!(
            get(&answer, "access-control-expose-headers"),
            Some("x-header-3")
        );
        assert_eq!(get(&answer, "vary"), Some("Origin"));
    }
}

#[test]
fn other_origins_get_nothing() {
    for origin in [
        "http://www.foo.com",
        "https://foo.com",
        "https://www.foo.com:8443",
        "https://bar.com",
        "https://xbar.com",
        "https://evil.com/.bar.com",
        "https://u@a.bar.com",
        "http://a.bar.com",
        "null",
    ] {
        let answer = ask(&cors(), origin, "GET", None);
        assert_eq!(
            get(&answer, "access-control-allow-origin"),
            None,
            "{origin}"
        );
        assert_eq!(
            get(&answer, "access-control-allow-methods"),
            None,
            "{origin}"
        );
        assert_eq!(
            get(
                &simple(&cors(), Some(origin)),
                "access-control-allow-origin"
            ),
            None,
            "{origin}"
        );
    }
    assert_eq!(
        get(&simple(&cors(), None), "access-control-allow-origin"),
        None
    );
}

#[test]
fn everything_without_credentials_is_a_star() {
    let open = Cors {
        origins: vec![OriginMatch::Any],
        credentials: false,
        literal_star: false,
        every_answer: false,
        methods: Allowed::Everything,
        headers: Allowed::Everything,
        expose: Allowed::Everything,
        max_age: 5,
    };
    let answer = ask(&open, "https://x.y", "PATCH", Some("a,b"));
    for name in ["origin", "methods", "headers"] {
        assert_eq!(
            get(&answer, &format!("access-control-allow-{name}")),
            Some("*")
        );
    }
    assert_eq!(get(&answer, "access-control-allow-credentials"), None);
    let answer = simple(&open, Some("https://x.y"));
    assert_eq!(get(&answer, "access-control-expose-headers"), Some("*"));
    assert_eq!(get(&answer, "vary"), None);
}

#[test]
fn with_credentials_a_star_is_never_said() {
    let open = Cors {
        origins: vec![OriginMatch::Any],
        credentials: true,
        literal_star: false,
        every_answer: false,
        methods: Allowed::Everything,
        headers: Allowed::Everything,
        expose: Allowed::Everything,
        max_age: 5,
    };
    let answer = ask(&open, "https://x.y", "PATCH", Some("a,b"));
    assert_eq!(
        get(&answer, "access-control-allow-origin"),
        Some("https://x.y")
    );
    assert_eq!(get(&answer, "access-control-allow-methods"), Some("PATCH"));
    assert_eq!(get(&answer, "access-control-allow-headers"), Some("a,b"));
    assert_eq!(
        get(
            &ask(&open, "https://x.y", "PATCH", None),
            "access-control-allow-headers"
        ),
        None
    );
    assert_eq!(
        get(
            &simple(&open, Some("https://x.y")),
            "access-control-expose-headers"
        ),
        Some("x, vary"),
        "the headers of this answer, by their names"
    );
}

/// As ingress-nginx answers without further annotations.
fn plain() -> Cors {
    Cors {
        origins: vec![OriginMatch::Any],
        literal_star: true,
        every_answer: true,
        ..cors()
    }
}

/// Fields about CORS, beside those of a backend: names without `access-control-`.
fn said(answer: &HeaderMap) -> Vec<(&str, &str)> {
    let mut said: Vec<(&str, &str)> = answer
        .iter()
        .filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix("access-control-")?;
            Some((name, value.to_str().unwrap()))
        })
        .collect();
    said.sort_unstable();
    said
}

#[test]
fn a_literal_star_goes_to_everybody_in_every_answer() {
    let all = [
        ("allow-credentials", "true"),
        ("allow-headers", "x-header-1, x-header-2"),
        ("allow-methods", "GET, OPTIONS"),
        ("allow-origin", "*"),
        ("expose-headers", "x-header-3"),
        ("max-age", "3600"),
    ];
    for origin in [None, Some("https://evil.example"), Some("null")] {
        let answer = simple(&plain(), origin);
        assert_eq!(said(&answer), all, "{origin:?}");
        assert_eq!(get(&answer, "vary"), None);
    }
    // Every OPTIONS is a preflight, whatever it says.
    for request in [
        map(&[]),
        map(&[("origin", "https://x.y")]),
        map(&[("access-control-request-method", "GET")]),
    ] {
        let mut answer = preflight(&plain(), &Method::OPTIONS, &request).unwrap();
        assert_eq!(answer.status(), 204);
        decorate(&plain(), request.get("origin"), answer.headers_mut());
        assert_eq!(said(answer.headers()), all);
    }
    assert!(preflight(&plain(), &Method::GET, &map(&[])).is_none());
}

#[test]
fn in_every_answer_an_origin_that_is_not_allowed_is_the_backend_s_matter() {
    let cors = Cors {
        every_answer: true,
        ..cors()
    };
    let other = map(&[
        ("origin", "https://evil.example"),
        ("access-control-request-method", "GET"),
    ]);
    assert!(preflight(&cors, &Method::OPTIONS, &other).is_none());
    let answer = simple(&cors, Some("https://evil.example"));
    assert_eq!(said(&answer), [("allow-origin", "https://the.backend")]);
    assert_eq!(get(&answer, "vary"), Some("Origin"));
    let answer = simple(&cors, Some("https://www.foo.com"));
    assert_eq!(
        get(&answer, "access-control-allow-origin"),
        Some("https://www.foo.com")
    );
    assert_eq!(get(&answer, "access-control-max-age"), Some("3600"));
    // Any origin with credentials, echoed: what a preflight asks about is echoed there and nowhere else.
    let open = Cors {
        origins: vec![OriginMatch::Any],
        methods: Allowed::Everything,
        headers: Allowed::Everything,
        ..cors
    };
    let answer = ask(&open, "https://x.y", "PATCH", Some("a,b"));
    assert_eq!(get(&answer, "access-control-allow-methods"), Some("PATCH"));
    assert_eq!(get(&answer, "access-control-allow-headers"), Some("a,b"));
    let answer = simple(&open, Some("https://x.y"));
    assert_eq!(get(&answer, "access-control-allow-methods"), None);
}

#[test]
fn a_star_may_stand_for_one_label() {
    let mut cors = cors();
    cors.origins = vec![OriginMatch::Wildcard {
        scheme: "https://".into(),
        suffix: ".bar.com".into(),
        one_label: true,
    }];
    for (origin, allowed) in [
        ("https://a.bar.com", true),
        ("HTTPS://A.bar.com", true),
        ("https://a.b.bar.com", false),
        ("https://bar.com", false),
        ("https://.bar.com", false),
        ("https://a.bar.com:8443", false),
    ] {
        let answer = simple(&cors, Some(origin));
        let said = get(&answer, "access-control-allow-origin");
        assert_eq!(said, allowed.then_some(origin), "{origin}");
    }
}

#[test]
fn only_preflights_are_answered_here() {
    let cors = cors();
    let full = map(&[
        ("origin", "https://www.foo.com"),
        ("access-control-request-method", "GET"),
    ]);
    assert!(preflight(&cors, &Method::GET, &full).is_none());
    assert!(
        preflight(
            &cors,
            &Method::OPTIONS,
            &map(&[("origin", "https://www.foo.com")])
        )
        .is_none()
    );
    assert!(
        preflight(
            &cors,
            &Method::OPTIONS,
            &map(&[("access-control-request-method", "GET")])
        )
        .is_none()
    );
}

#[test]
fn any_host_of_a_scheme_may_have_any_port() {
    let mut cors = cors();
    cors.origins = vec![OriginMatch::Wildcard {
        scheme: "https://".into(),
        suffix: "".into(),
        one_label: false,
    }];
    for (origin, allowed) in [
        ("https://a.example.com", true),
        ("https://a.example.com:8443", true),
        ("http://a.example.com", false),
        ("https://", false),
        ("https://a.example.com/path", false),
    ] {
        let answer = simple(&cors, Some(origin));
        let said = answer.get("access-control-allow-origin");
        assert_eq!(said.is_some_and(|said| said == origin), allowed, "{origin}");
    }
}
