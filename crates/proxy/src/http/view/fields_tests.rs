use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Came, is_alias_of, remove_aliases, sanitise, sanitise_answer};

const STRANGER: Came = Came {
    trusted: false,
    http2: false,
};

fn map(lines: &[&str]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        map.append(name, HeaderValue::from_str(value).unwrap());
    }
    map
}

#[test]
fn what_concerns_a_connection_goes_whether_it_is_named_or_not() {
    let mut head = map(&[
        "Connection: keep-alive, X-Own",
        "Connection: x-other",
        "X-Own: 1",
        "X-Other: 1",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "TE: trailers",
        "Transfer-Encoding: chunked",
        "Upgrade: websocket",
        "HTTP2-Settings: AAMAAABk",
        "Proxy: http://evil",
        "Content-Length: 3",
        "Accept: */*",
    ]);
    let found = sanitise(&mut head, STRANGER);
    assert_eq!(head, map(&["Content-Length: 3", "Accept: */*"]));
    assert_eq!(found.offered, None, "Connection does not name Upgrade");
}

#[test]
fn framing_stays_whatever_connection_names() {
    let mut head = map(&["Connection: content-length, close", "Content-Length: 3"]);
    sanitise(&mut head, STRANGER);
    assert_eq!(head, map(&["Content-Length: 3"]));
}

#[test]
fn trailers_are_taken_where_the_client_means_this_connection() {
    for (lines, http2, stays) in [
        (&["TE: trailers"][..], false, false),
        (&["TE: trailers"], true, true),
        (
            &["Connection: TE", "TE: gzip", "TE: deflate, Trailers"],
            false,
            true,
        ),
        (&["Connection: te", "TE: gzip"], false, false),
    ] {
        let mut head = map(lines);
        let came = Came { http2, ..STRANGER };
        sanitise(&mut head, came);
        let expected = if stays {
            map(&["TE: trailers"])
        } else {
            map(&[])
        };
        assert_eq!(head, expected, "{lines:?}");
    }
}

#[test]
fn an_upgrade_is_offered_on_any_line() {
    for (lines, offered) in [
        (
            &[
                "Connection: keep-alive",
                "Connection: Upgrade",
                "Upgrade: websocket",
            ][..],
            Some("websocket"),
        ),
        (
            &["Connection: upgrade", "Upgrade: websocket", "Upgrade: h2c"],
            Some("websocket, h2c"),
        ),
        (&["Connection: close", "Upgrade: websocket"], None),
        (&["Connection: upgrade"], None),
    ] {
        let found = sanitise(&mut map(lines), STRANGER);
        let got = found.offered.as_ref().map(|value| value.to_str().unwrap());
        assert_eq!(got, offered, "{lines:?}");
    }
    let came = Came {
        http2: true,
        ..STRANGER
    };
    let mut head = map(&["connection: upgrade", "upgrade: websocket"]);
    assert_eq!(sanitise(&mut head, came).offered, None);
}

#[test]
fn strangers_do_not_say_who_asks() {
    let lines = [
        "X-Forwarded-For: 6.6.6.6",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Prefix: /x",
        "X-Forwarded-Scheme: https",
        "X-Forwarded-User: root",
        "X-Real-IP: 6.6.6.6",
        "X-Scheme: https",
        "Forwarded: for=6.6.6.6",
    ];
    let mut head = map(&lines);
    sanitise(&mut head, STRANGER);
    assert_eq!(head, map(&[]));
    let mut head = map(&lines);
    let trusted = Came {
        trusted: true,
        http2: false,
    };
    sanitise(&mut head, trusted);
    assert_eq!(head, map(&lines));
}

#[test]
fn other_spellings_of_ours_go_and_other_fields_stay() {
    for trusted in [false, true] {
        let mut head = map(&[
            "X_Forwarded_For: 6.6.6.6",
            "X.Forwarded.For: 6.6.6.6",
            "x-forwarded_proto: https",
            "X_Real_IP: 6.6.6.6",
            "X.Real-IP: 6.6.6.6",
            "X~Forwarded~For: 6.6.6.6",
            "X+Forwarded+Proto: https",
            "X'Real'IP: 6.6.6.6",
            "Content_Length: 9",
            "Transfer.Encoding: chunked",
            "Postern_Hops: 0",
            "my_own: 1",
            "v1.2: 1",
        ]);
        let came = Came {
            trusted,
            http2: false,
        };
        let found = sanitise(&mut head, came);
        assert_eq!(head, map(&["my_own: 1", "v1.2: 1"]));
        assert!(found.aliases);
    }
    assert!(!sanitise(&mut map(&["accept: */*"]), STRANGER).aliases);
}

#[test]
fn aliases_are_told_from_the_names_that_they_stand_for() {
    for (text, name, alias) in [
        ("x_auth_user", "x-auth-user", true),
        ("x.auth.user", "x-auth-user", true),
        ("x-auth_user", "x-auth-user", true),
        ("x~auth!user", "x-auth-user", true),
        ("x-auth-user", "x-auth-user", false),
        ("x_auth_users", "x-auth-user", false),
        ("x-a", "x_a", false),
    ] {
        assert_eq!(is_alias_of(text, name), alias, "{text} {name}");
    }
    let names = ["x-auth-user", "x_own"].map(HeaderName::from_static);
    let mut head = map(&[
        "x-auth-user: a",
        "x.auth.user: b",
        "x_auth_user: c",
        "x_own: d",
    ]);
    remove_aliases(&mut head, names.iter());
    assert_eq!(head, map(&["x-auth-user: a", "x_own: d"]));
}

#[test]
fn answers_lose_what_concerns_the_backend_s_connection() {
    let mut head = map(&[
        "Connection: close",
        "Connection: X-Hop",
        "X-Hop: 1",
        "Keep-Alive: timeout=5",
        "Upgrade: h2c",
        "Transfer-Encoding: chunked",
        "Server: x",
        "X-Forwarded-For: kept",
    ]);
    sanitise_answer(&mut head);
    assert_eq!(head, map(&["Server: x", "X-Forwarded-For: kept"]));
}
