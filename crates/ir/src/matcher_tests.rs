use super::{HostPattern, PathMatch, Pattern};

fn host(text: &str) -> HostPattern {
    HostPattern::parse(text).unwrap()
}

#[test]
fn hosts_are_ordered_by_specificity() {
    let mut hosts: Vec<_> = ["*", "*.com", "b.example.com", "*.example.com", "a.com"]
        .map(host)
        .into();
    hosts.sort();
    let shown: Vec<_> = hosts.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        ["a.com", "b.example.com", "*.example.com", "*.com", "*"]
    );
}

#[test]
fn wildcards_cover_any_depth_but_not_the_bare_name() {
    let wildcard = host("*.wildcard.io");
    assert!(wildcard.matches("a.wildcard.io"));
    assert!(wildcard.matches("a.b.wildcard.io"));
    assert!(!wildcard.matches("wildcard.io"));
    assert!(!wildcard.matches(".wildcard.io"));
    assert!(!wildcard.matches("awildcard.io"));
}

#[test]
fn intersections() {
    for (a, b, expected) in [
        ("*", "a.com", Some("a.com")),
        ("*.com", "a.com", Some("a.com")),
        ("*.com", "*.a.com", Some("*.a.com")),
        ("*.a.com", "a.com", None),
        ("*.a.com", "*.b.com", None),
        ("*.a.com", "*.aa.com", None),
        ("a.com", "b.com", None),
    ] {
        let got = host(a).intersect(&host(b)).map(|h| h.to_string());
        assert_eq!(got.as_deref(), expected, "{a} with {b}");
        assert_eq!(
            host(b)
                .intersect(&host(a))
                .map(|h| h.to_string())
                .as_deref(),
            expected,
            "{b} with {a}"
        );
    }
}

#[test]
fn bad_hosts_are_refused() {
    for text in [
        "a..b",
        "-a.com",
        "a_b.com",
        "*.*.com",
        "a.*.com",
        "*a.com",
        "a b",
        &"a".repeat(64),
    ] {
        assert!(HostPattern::parse(text).is_err(), "{text}");
    }
    assert_eq!(host("EXAMPLE.com.").to_string(), "example.com");
}

#[test]
fn prefixes_match_whole_elements() {
    let prefix = PathMatch::prefix("/v2/");
    for (path, expected) in [
        ("/v2", true),
        ("/v2/", true),
        ("/v2/a", true),
        ("/v2example", false),
        ("/", false),
    ] {
        assert_eq!(prefix.matches(path), expected, "{path}");
    }
    assert!(PathMatch::prefix("/").matches("/anything"));
}

#[test]
fn case_can_be_ignored() {
    let prefix = PathMatch::prefix("/Api/V2").ignoring_case();
    for (path, expected) in [
        ("/api/v2", true),
        ("/API/V2/x", true),
        ("/Api/V2/", true),
        ("/api/v2x", false),
        ("/api", false),
        ("/api/v\u{e9}", false),
    ] {
        assert_eq!(prefix.matches(path), expected, "{path}");
    }
    let exact = PathMatch::Exact("/a%C3%A9".into()).ignoring_case();
    assert!(exact.matches("/A%c3%a9") && !exact.matches("/a%C3%A9/"));
    let letterless = PathMatch::prefix("/");
    assert_eq!(letterless.clone().ignoring_case(), letterless);
    let regex = PathMatch::Regex(Pattern::full("/a").unwrap()).ignoring_case();
    assert!(regex.matches("/a") && !regex.matches("/A"));
}
