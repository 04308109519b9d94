use std::collections::BTreeSet;

use http::{HeaderMap, Request};
use ipnet::IpNet;
use ir::{ForwardedField, ForwardedFields};

use crate::http::view::{Peer, View};

fn trusted() -> Vec<IpNet> {
    vec!["10.0.0.0/8".parse().unwrap()]
}

fn view(peer: &str, tls: bool, fields: &[(&str, &str)]) -> View {
    let mut request = Request::get("/").header("host", "a.com");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let peer = Peer::new(peer.parse().unwrap(), tls, &trusted());
    let head = request.body(()).unwrap().into_parts().0;
    View::new(&peer, &trusted(), head).unwrap()
}

/// What a backend sees of what the rule has it told, when it is told everything.
fn told(peer: &str, tls: bool, fields: &[(&str, &str)]) -> HeaderMap {
    let all: ForwardedFields = ForwardedField::ALL.into_iter().collect();
    let mut view = view(peer, tls, fields);
    view.identify();
    let mut map = std::mem::take(&mut view.headers);
    view.add_forwarded(&mut map);
    view.tell(all, 8443, &mut map);
    map
}

fn all<'a>(map: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    { map.get_all(name).iter() }
        .map(|v| v.to_str().unwrap())
        .collect()
}

#[test]
fn a_stranger_s_word_is_replaced_in_every_spelling() {
    let map = told(
        "1.2.3.4",
        true,
        &[
            ("x-real-ip", "6.6.6.6"),
            ("x_real_ip", "6.6.6.6"),
            ("x-real.ip", "6.6.6.6"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "7.7.7.7"),
            ("x-original-forwarded-for", "8.8.8.8"),
            ("x_original_forwarded_for", "8.8.8.8"),
            ("x-forwarded-port", "1"),
            ("x-forwarded-scheme", "ftp"),
            ("x-scheme", "ftp"),
            ("x_scheme", "ftp"),
            ("x_request_id", "evil"),
            ("other_field", "1"),
        ],
    );
    for (name, value) in [
        ("x-real-ip", "1.2.3.4"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-original-forwarded-for", "6.6.6.6, 7.7.7.7"),
        ("x-forwarded-port", "8443"),
        ("x-forwarded-scheme", "https"),
        ("x-scheme", "https"),
        ("other_field", "1"),
    ] {
        assert_eq!(all(&map, name), [value], "{name}");
    }
    let odd = map.keys().filter(|name| name.as_str().contains(['_', '.']));
    assert_eq!(odd.collect::<Vec<_>>(), ["other_field"]);
}

#[test]
fn a_trusted_proxy_s_word_counts() {
    let map = told(
        "10.0.0.1",
        false,
        &[
            ("x-forwarded-for", "203.0.113.7, 10.0.0.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-port", "444"),
            ("x-real-ip", "6.6.6.6"),
        ],
    );
    for (name, value) in [
        ("x-real-ip", "203.0.113.7"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-original-forwarded-for", "203.0.113.7, 10.0.0.9"),
        ("x-forwarded-port", "444"),
        ("x-forwarded-scheme", "https"),
        ("x-scheme", "https"),
    ] {
        assert_eq!(all(&map, name), [value], "{name}");
    }
    let unknown = told("10.0.0.1", false, &[("x-forwarded-for", "_hidden")]);
    assert_eq!(unknown["x-real-ip"], "unknown");
}

#[test]
fn nobody_said_where_the_request_came_from() {
    let map = told("1.2.3.4", false, &[]);
    assert!(!map.contains_key("x-original-forwarded-for"));
    assert_eq!(map["x-scheme"], "http");
}

#[test]
fn a_request_has_one_identity() {
    let identity = |fields: &[(&str, &str)]| {
        let mut view = view("1.2.3.4", false, fields);
        view.identify();
        let said = all(&view.headers, "x-request-id");
        assert_eq!(said.len(), 1, "{fields:?}");
        said[0].to_owned()
    };
    assert_eq!(identity(&[("x-request-id", "mine")]), "mine");
    let two = [
        ("x-request-id", "a"),
        ("x-request-id", ""),
        ("x-request-id", "b"),
    ];
    assert_eq!(identity(&two), "a, b");
    let made: BTreeSet<String> = (0..100)
        .flat_map(|_| {
            [
                identity(&[]),
                identity(&[("x-request-id", "")]),
                identity(&[("x-request-id", ""), ("x-request-id", "")]),
                identity(&[("x-request-id", "mine"), ("connection", "x-request-id")]),
            ]
        })
        .collect();
    assert_eq!(made.len(), 400, "no two are the same");
    let hex =
        |id: &String| id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    assert!(made.iter().all(hex), "{made:?}");
}

#[test]
fn an_empty_host_of_a_trusted_proxy_is_none() {
    let map = told("10.0.0.1", false, &[("x-forwarded-host", "")]);
    assert_eq!(
        all(&map, "x-forwarded-host"),
        all(&told("10.0.0.1", false, &[]), "x-forwarded-host")
    );
}

#[test]
fn what_a_rule_does_not_tell_is_not_there() {
    let mut view = view("1.2.3.4", false, &[]);
    let mut map = std::mem::take(&mut view.headers);
    let some: ForwardedFields = [ForwardedField::Scheme].into_iter().collect();
    view.add_forwarded(&mut map);
    view.tell(some, 80, &mut map);
    let mut names: Vec<&str> = map.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "postern-hops",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-scheme"
        ]
    );
}
