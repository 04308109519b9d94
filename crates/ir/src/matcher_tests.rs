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
fn patterns_are_anchored_and_bounded() {
    assert!(Pattern::full("a|b").unwrap().is_match("b"));
    assert!(!Pattern::full("a|b").unwrap().is_match("ab"));
    assert!(Pattern::in_path("^/a").unwrap().is_match("/abc"));
    assert!(Pattern::full("a)|(b").is_err());
    let big = Pattern::full(r"\w{1000}{100}").unwrap_err();
    assert!(big.to_string().contains("larger than"), "{big}");
    assert_eq!(
        Pattern::full("(").unwrap_err().to_string(),
        "regular expression \"(\": unclosed group"
    );
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

#[test]
fn patterns_of_paths_mean_the_same_in_ascii() {
    for (pattern, path) in [
        ("/a/(.*)", "/a/b/c"),
        (r"/\w+/[^/]*", "/a_b/%C3%A9"),
        (r"/\p{L}+", "/abc"),
        ("(?i)/A[é]?", "/a"),
        ("/.", "/"),
    ] {
        let [text, path_only] =
            [Pattern::full, Pattern::full_path].map(|new| new(pattern).unwrap());
        assert_eq!(text.is_match(path), path_only.is_match(path), "{pattern}");
    }
    assert!(Pattern::full_path("a)|(b").is_err());
    let replaced = Pattern::in_path("^/v1/(.*)$").unwrap();
    assert_eq!(replaced.replace("/v1/x", "/$1/${1}"), "/x/x");
    assert_eq!(replaced.replace("/v2/x", "/$1"), "/v2/x");
}
