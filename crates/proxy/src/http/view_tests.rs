use http::{HeaderMap, Request, Version, request::Parts};
use ipnet::IpNet;
use ir::{EscapedSlashes, Paths};
use proptest::prelude::*;

use super::{Peer, Unreadable, View};

/// A request line `METHOD TARGET [VERSION]` and fields `Name: value`.
fn head(line: &str, fields: &[&str]) -> Parts {
    let mut words = line.split(' ');
    let mut request = Request::builder()
        .method(words.next().unwrap())
        .uri(words.next().unwrap());
    if words.next() == Some("h2") {
        request = request.version(Version::HTTP_2);
    }
    for field in fields {
        let (name, value) = field.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    request.body(()).unwrap().into_parts().0
}

fn trusted() -> Vec<IpNet> {
    vec!["10.0.0.0/8".parse().unwrap()]
}

/// The view of a request from `10.0.0.1`, which is trusted, or from elsewhere.
fn view(peer: &str, tls: bool, line: &str, fields: &[&str]) -> Result<View, Unreadable> {
    let peer = Peer::new(peer.parse().unwrap(), tls, &trusted());
    View::new(&peer, &trusted(), head(line, fields)).map_err(|unreadable| unreadable.0)
}

fn forwarded(view: &View) -> HeaderMap {
    let mut map = view.headers.clone();
    view.add_forwarded(&mut map);
    map
}

#[test]
fn a_stranger_says_nothing_about_itself() {
    let seen = view(
        "1.2.3.4",
        false,
        "GET /a/../b?c=../d",
        &[
            "Host: A.com.:80",
            "X-Forwarded-For: 6.6.6.6",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Port: 443",
            "X-Forwarded-Host: evil.com",
        ],
    )
    .unwrap();
    assert_eq!((seen.host(), seen.path()), ("a.com", "/b"));
    assert_eq!(seen.target().as_str(), "/b?c=../d");
    assert_eq!((seen.https(), seen.port(8080)), (false, 8080));
    assert_eq!(seen.client().address(), Some("1.2.3.4".parse().unwrap()));
    let map = forwarded(&seen);
    assert_eq!(map["x-forwarded-for"], "1.2.3.4");
    assert_eq!(map["x-forwarded-proto"], "http");
    assert_eq!(map["x-forwarded-host"], "a.com");
    assert!(!map.contains_key("x-forwarded-port") && !map.contains_key("host"));
}

#[test]
fn a_trusted_proxy_is_believed() {
    let seen = view(
        "10.0.0.1",
        false,
        "GET /",
        &[
            "Host: a.com",
            "X-Forwarded-For: 6.6.6.6",
            "X-Forwarded-For: 203.0.113.7",
            "X-Forwarded-Proto: HTTPS",
            "X-Forwarded-Host: shop.com",
        ],
    )
    .unwrap();
    assert_eq!((seen.https(), seen.scheme()), (true, "https"));
    assert_eq!(seen.port(80), 443, "not the listener's, which serves http");
    assert_eq!(
        seen.client().address(),
        Some("203.0.113.7".parse().unwrap())
    );
    let map = forwarded(&seen);
    assert_eq!(map["x-forwarded-for"], "6.6.6.6, 203.0.113.7, 10.0.0.1");
    assert_eq!(map.get_all("x-forwarded-for").iter().count(), 1);
    assert_eq!(map["x-forwarded-proto"], "https");
    assert_eq!(map["x-forwarded-host"], "shop.com");
}

#[test]
fn ports_and_schemes_of_trusted_proxies() {
    for (tls, host, fields, expected) in [
        (false, "a.com", &[][..], (false, 8080)),
        (false, "a.com", &["X-Forwarded-Proto: https"], (true, 443)),
        (
            false,
            "a.com:8443",
            &["X-Forwarded-Proto: https"],
            (true, 8443),
        ),
        (
            false,
            "a.com",
            &["X-Forwarded-Proto: https", "X-Forwarded-Port: 9443"],
            (true, 9443),
        ),
        (
            false,
            "a.com",
            &["X-Forwarded-Proto: https, http"],
            (true, 443),
        ),
        (false, "a.com", &["X-Forwarded-Proto: , wss"], (true, 443)),
        (
            false,
            "a.com",
            &["X-Forwarded-Proto: gopher"],
            (false, 8080),
        ),
        (false, "a.com", &["X-Forwarded-Proto: "], (false, 8080)),
        (true, "a.com", &["X-Forwarded-Proto: http"], (false, 80)),
        (true, "a.com", &["X-Forwarded-Port: 0"], (true, 8080)),
    ] {
        let host = format!("Host: {host}");
        let fields: Vec<&str> = [&*host].into_iter().chain(fields.iter().copied()).collect();
        let seen = view("10.0.0.1", tls, "GET /", &fields).unwrap();
        assert_eq!((seen.https(), seen.port(8080)), expected, "{fields:?}");
    }
}

#[test]
fn a_client_that_cannot_be_read_is_nobody() {
    let seen = view("10.0.0.1", false, "GET /", &["X-Forwarded-For: unknown"]).unwrap();
    assert_eq!(seen.client().address(), None);
    assert!(!seen.client().is_in(&["0.0.0.0/0".parse().unwrap()]));
    assert_eq!(
        seen.client().counted(),
        "10.0.0.1".parse::<std::net::IpAddr>().unwrap()
    );
    assert_eq!(forwarded(&seen)["x-forwarded-for"], "unknown, 10.0.0.1");
}

#[test]
fn cookies_of_http2_are_one_field() {
    let fields = ["cookie: a=1", "cookie: b=2"];
    let seen = view("1.2.3.4", false, "GET http://a.com/ h2", &fields).unwrap();
    assert_eq!(seen.headers["cookie"], "a=1; b=2");
    let seen = view("1.2.3.4", false, "GET /", &fields).unwrap();
    assert_eq!(seen.headers.get_all("cookie").iter().count(), 2);
}

#[test]
fn hops_are_counted_and_end() {
    let hops = |told: &[&str]| {
        let seen = view("1.2.3.4", false, "GET /", told).unwrap();
        let next = forwarded(&seen)["postern-hops"]
            .to_str()
            .unwrap()
            .to_owned();
        (seen.is_looping(), next)
    };
    assert_eq!(hops(&[]), (false, "1".to_owned()));
    assert_eq!(hops(&["Postern-Hops: 7"]), (false, "8".to_owned()));
    for told in ["8", "255", "999999", "x", ""] {
        assert!(hops(&[&format!("Postern-Hops: {told}")]).0, "{told:?}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let refused = |line: &str, fields: &[&str]| view("1.2.3.4", false, line, fields).unwrap_err();
    assert!(matches!(
        refused("GET /", &["Host: a", "Host: b"]),
        Unreadable::Host(_)
    ));
    assert!(matches!(
        refused("GET /%00", &["Host: a"]),
        Unreadable::Path(_)
    ));
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
        let form = super::form(&method, &uri);
        assert_eq!(form.is_ok(), ours, "{method} {text}");
    }
}

/// Any way of reading paths.
fn paths() -> impl Strategy<Value = Paths> {
    let slashes = prop_oneof![
        Just(EscapedSlashes::Keep),
        Just(EscapedSlashes::Decode),
        Just(EscapedSlashes::Refuse),
    ];
    let all = (any::<bool>(), slashes, any::<bool>());
    all.prop_map(|(merge_slashes, escaped_slashes, decoded)| Paths {
        merge_slashes,
        escaped_slashes,
        decoded,
    })
}

proptest! {
    #[test]
    fn what_is_passed_on_reads_as_what_was_matched(
        raw in "/([a./;$|é]|//|\\.\\.|%2[eEfF4]|%25|%7[cC]|%41){0,12}",
        paths in paths(),
        rewritten in any::<bool>(),
    ) {
        let mut view = view("1.2.3.4", false, &format!("GET {raw}?q=//"), &["Host: a.com"]).unwrap();
        let own = view.path().to_owned();
        let expected = paths.read(&raw).map(|read| read.path.into_owned());
        prop_assert_eq!(view.read_path(paths).is_ok(), expected.is_ok());
        let Ok(expected) = expected else { return Ok(()) };
        prop_assert_eq!(view.path(), &expected);
        if paths.is_default() {
            prop_assert_eq!(&own, &expected);
        }
        prop_assert_eq!(view.query(), Some("q=//"));
        // By ours, and without dot segments by anybody's.
        let passed = view.into_target(rewritten);
        prop_assert_eq!(paths.read(passed.path()).map(|read| read.path), Ok(expected.clone().into()));
        prop_assert!(!paths.read(passed.path()).unwrap().dots);
        prop_assert!(!rewritten || passed.path() == expected);
        prop_assert_eq!(passed.query(), Some("q=//"));
    }
}
