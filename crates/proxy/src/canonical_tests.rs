use http::{HeaderMap, HeaderValue, Uri, header};

use super::{host, path};

fn host_of(uri: &str, fields: &[&str]) -> Result<String, super::BadHost> {
    let uri: Uri = uri.parse().unwrap();
    let mut headers = HeaderMap::new();
    for field in fields {
        headers.append(header::HOST, HeaderValue::from_str(field).unwrap());
    }
    host(&uri, &headers).map(std::borrow::Cow::into_owned)
}

#[test]
fn hosts() {
    for (uri, fields, expected) in [
        ("/", &["Example.COM:8080"][..], Some("example.com")),
        ("/", &["example.com."], Some("example.com")),
        ("/", &["[::1]:80"], Some("[::1]")),
        ("/", &["a.com", "a.com"], None),
        ("/", &["a.com:x"], None),
        ("/", &["a.com/b"], None),
        ("/", &["a.com@b.com"], None),
        ("/", &["a.com, b.com"], None),
        ("/", &[], Some("")),
        ("http://a.com/", &["a.com"], Some("a.com")),
        ("http://a.com/", &[], Some("a.com")),
        ("http://a.com/", &["b.com"], None),
        ("http://u@a.com/", &[], None),
    ] {
        assert_eq!(
            host_of(uri, fields).ok().as_deref(),
            expected,
            "{uri} {fields:?}"
        );
    }
}

#[test]
fn paths() {
    for (raw, expected) in [
        ("/", Some("/")),
        ("/a/b", Some("/a/b")),
        ("/a/../b", Some("/b")),
        ("/a/./b/.", Some("/a/b/")),
        ("/a/..", Some("/")),
        ("/../../etc", Some("/etc")),
        ("/a/%2e%2e/b", Some("/b")),
        ("/a/%2E./b", Some("/b")),
        ("/%61dmin", Some("/admin")),
        ("/a%2fb", Some("/a%2Fb")),
        ("/a%2Fb/..%2fc", Some("/a%2Fb/..%2Fc")),
        ("/a//b", Some("/a//b")),
        ("//admin", Some("//admin")),
        ("/.well-known/x", Some("/.well-known/x")),
        ("/a;b/..;/c", Some("/a;b/..;/c")),
        ("/a%00b", None),
        ("/a%0ab", None),
        ("/a%5cb", None),
        ("/a\\b", None),
        ("/a%zz", None),
        ("/a%2", None),
        ("/a%", None),
        ("/%E4%b8", Some("/%E4%B8")),
        ("/é", Some("/%C3%A9")),
        ("/%c3%a9/é", Some("/%C3%A9/%C3%A9")),
        ("*", Some("*")),
    ] {
        assert_eq!(path(raw).ok().as_deref(), expected, "{raw}");
    }
}

#[test]
fn canonical_paths_are_borrowed() {
    assert!(matches!(
        path("/a/b.c/d%20e"),
        Ok(std::borrow::Cow::Borrowed(_))
    ));
    assert!(matches!(path("/a/.b"), Ok(std::borrow::Cow::Borrowed(_))));
}

proptest::proptest! {
    #[test]
    fn canonical_is_a_fixed_point(raw in "/[a-z./%2eE5cfé]{0,30}") {
        if let Ok(once) = path(&raw) {
            let twice = path(&once);
            proptest::prop_assert_eq!(twice.as_deref(), Ok(&*once));
            proptest::prop_assert!(!once.split('/').any(|s| s == ".." || s == "."));
        }
    }
}

#[test]
fn the_client_is_whom_no_trusted_proxy_stands_for() {
    let trusted: Vec<ipnet::IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
    let client = |peer: &str, chain: &[&'static str]| {
        let mut headers = http::HeaderMap::new();
        for value in chain {
            headers.append("x-forwarded-for", http::HeaderValue::from_static(value));
        }
        super::client(peer.parse().unwrap(), &headers, &trusted).to_string()
    };
    assert_eq!(
        client("1.2.3.4", &["5.6.7.8"]),
        "1.2.3.4",
        "a stranger may say what it likes"
    );
    assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    assert_eq!(client("10.0.0.1", &["5.6.7.8"]), "5.6.7.8");
    assert_eq!(
        client("10.0.0.1", &["9.9.9.9, 5.6.7.8, 10.0.0.2"]),
        "5.6.7.8"
    );
    assert_eq!(client("10.0.0.1", &["9.9.9.9", "5.6.7.8"]), "5.6.7.8");
    assert_eq!(client("10.0.0.1", &["5.6.7.8, nonsense"]), "10.0.0.1");
    assert_eq!(client("::ffff:10.0.0.1", &["::ffff:5.6.7.8"]), "5.6.7.8");
}

#[test]
fn targets_are_paths_or_urls_of_http() {
    for (method, text, ours) in [
        ("GET", "/", true),
        ("GET", "//x", true),
        ("GET", "/a?b", true),
        ("GET", "http://a.com/x", true),
        ("GET", "HTTPS://a.com", true),
        ("GET", "http://a.com?x", true),
        ("OPTIONS", "*", true),
        ("GET", "*", false),
        ("GET", "ftp://a.com/x", false),
        ("GET", "ws://a.com/x", false),
        ("GET", "a.com", false),
        ("GET", "a.com:80", false),
        ("CONNECT", "a.com:80", false),
    ] {
        let (method, uri) = (method.parse().unwrap(), text.parse().unwrap());
        assert_eq!(
            super::target(&method, &uri).is_ok(),
            ours,
            "{method} {text}"
        );
    }
}
