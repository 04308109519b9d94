//! What RFC 9113 asks of an intermediary and no other test shows; `docs/http.md` is the whole list.

use super::{
    frames::{self, End, Say},
    http::{GET, OK, ask, before},
    wire::field,
};
use crate::support::{http, serve, simple, start};
use ir::Upstream;

/// RFC 9113 section 8.2.2: h2 would refuse to send them.
#[test]
fn what_concerns_a_connection_does_not_reach_http2() {
    let backend = frames::Backend::start(&[Say::Last(&[(":status", "200")])]);
    let mut config = simple(backend.address);
    config.clusters[0].upstream = Upstream::Http2;
    let proxy = start(|config| config.workers = 1);
    serve(&proxy, config.ir());
    for lines in [
        "Connection: keep-alive, x\r\nKeep-Alive: 1\r\nX: 1\r\nContent-Length: 2\r\n\r\nab",
        "Proxy-Connection: close\r\nTE: gzip\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 2\r\n\r\nab",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    ] {
        let (answer, _) = ask(
            &proxy,
            &format!("POST / HTTP/1.1\r\nHost: a.com\r\n{lines}"),
        );
        assert_eq!(answer.status, 200, "{lines:?}");
        let heard = backend.heard().pop().unwrap();
        assert_eq!(
            (&*heard.body, heard.end),
            ("ab", Some(End::Stream)),
            "{lines:?}"
        );
    }
    assert_eq!(backend.heard().len(), 3);
}

/// RFC 9113 section 8.2.3, and 8.3.1: what HTTP/2 says in parts, HTTP/1.1 says in one field.
#[test]
fn http_1_1_has_one_cookie_and_one_host() {
    let (backend, proxy) = before(OK);
    for (extra, host) in [
        (&[("cookie", "a=1"), ("cookie", "b=2; c=3")][..], "a.com"),
        (&[("cookie", "a=1; b=2; c=3"), ("host", "a.com")], "a.com"),
    ] {
        let fields = [GET, extra].concat();
        let heard = frames::ask(http(&proxy), &[Say::Last(fields.leak())]);
        assert_eq!(heard.status, Some(200));
        let seen = backend.seen().pop().unwrap();
        let cookie = field(&seen, "cookie");
        assert_eq!(cookie.as_deref(), Some("a=1; b=2; c=3"), "{extra:?}");
        assert_eq!(field(&seen, "host").as_deref(), Some(host), "{extra:?}");
    }
}

/// RFC 9113 section 10.3 and 8.2.1: what HTTP/1.1 could not say does not reach it.
#[test]
fn fields_that_http_1_1_could_not_say_are_refused() {
    let (backend, proxy) = before(OK);
    let reset = (None, Some(End::Reset(1)));
    // h2 makes more of it than the stream's error that it is.
    let closed = (None, Some(End::Connection));
    let refused = (Some(400), Some(End::Stream));
    for (extra, expected) in [
        (&[("X-Upper", "1")][..], closed),
        (&[("x a", "1")], closed),
        (&[("x:a", "1")], closed),
        (&[("x\r\ny", "1")], closed),
        (&[("", "1")], closed),
        (&[("x", "1\r\ny: 2")], closed),
        (&[("x", "1\n")], closed),
        (&[("x", "1\r2")], closed),
        (&[("x", "1\u{0}2")], closed),
        (&[(":other", "1")], closed),
        (&[("x", "1"), (":path", "/b")], reset),
        (&[(":status", "200")], reset),
        (&[(":protocol", "websocket")], reset),
        (&[("host", "b.com")], refused),
        (&[("host", "a.com"), ("host", "a.com")], refused),
    ] {
        let fields = [GET, extra].concat();
        let heard = frames::ask(http(&proxy), &[Say::Last(fields.leak())]);
        assert_eq!((heard.status, heard.end), expected, "{extra:?}");
    }
    for (method, authority, path, expected) in [
        ("GET", "u@a.com", "/", refused),
        ("GET", "a.com", "/ HTTP/1.1\r\nX: y", reset),
        ("GET / HTTP/1.1\r\nX: y", "a.com", "/", closed),
    ] {
        let fields = [
            (":method", method),
            (":scheme", "http"),
            (":authority", authority),
            (":path", path),
        ];
        let heard = frames::ask(http(&proxy), &[Say::Last(fields.to_vec().leak())]);
        assert_eq!((heard.status, heard.end), expected, "{fields:?}");
    }
    // Section 8.5.
    let connect = &[(":method", "CONNECT"), (":authority", "a.com:80")];
    let heard = frames::ask(http(&proxy), &[Say::Last(connect)]);
    assert_eq!((heard.status, heard.end), refused);
    assert_eq!(backend.seen().len(), 0, "{:?}", backend.seen());
}

/// RFC 9113 section 8.3.2, and 8.2.1 for answers.
#[test]
fn answers_that_are_malformed_are_no_answers() {
    for says in [
        &[Say::Last(&[("x", "1")])][..],
        &[Say::Last(&[(":status", "abc")])],
        &[Say::Last(&[(":status", "200"), (":status", "200")])],
        &[Say::Last(&[("x", "1"), (":status", "200")])],
        &[Say::Last(&[(":status", "200"), ("X-Upper", "1")])],
        &[Say::Last(&[(":status", "200"), ("x", "1\r\ny: 2")])],
    ] {
        let backend = frames::Backend::start(says);
        let mut config = simple(backend.address);
        config.clusters[0].upstream = Upstream::Http2;
        let proxy = start(|config| config.workers = 1);
        serve(&proxy, config.ir());
        let (answer, _) = ask(&proxy, "GET / HTTP/1.1\r\nHost: a.com\r\n\r\n");
        let outcome = (answer.status, answer.body.as_str());
        assert_eq!(outcome, (502, "upstream_closed"), "{says:?}");
    }
}

/// RFC 9113 section 8.2.1: HTTP/1.1 would take the blanks for its own, and see another value than we did.
#[test]
fn values_with_blanks_around_them_are_refused() {
    let (backend, proxy) = before(OK);
    for value in [" 1", "1 ", "\t1", "1\t", " "] {
        let extra: &[_] = &[("x", value)];
        let heard = frames::ask(http(&proxy), &[Say::Last([GET, extra].concat().leak())]);
        let outcome = (heard.status, heard.end);
        assert_eq!(outcome, (Some(400), Some(End::Stream)), "{value:?}");
    }
    assert_eq!(backend.seen().len(), 0);
    for value in ["", "a b", "a\tb"] {
        let extra: &[_] = &[("x", value)];
        let heard = frames::ask(http(&proxy), &[Say::Last([GET, extra].concat().leak())]);
        assert_eq!(heard.status, Some(200), "{value:?}");
    }
}

/// RFC 9110 section 10.1.1 asks for 100 over HTTP/2 too; hyper has none. The first head that comes is the answer's.
#[test]
fn http2_has_no_continue() {
    let (backend, proxy) = before(OK);
    let extra: &[_] = &[("expect", "100-continue")];
    let says = [Say::Head([GET, extra].concat().leak()), Say::End("hello")];
    let heard = frames::ask(http(&proxy), &says);
    assert_eq!((heard.status, heard.end), (Some(200), Some(End::Stream)));
    let seen = backend.seen().pop().unwrap();
    assert_eq!(field(&seen, "expect"), None);
    assert!(seen.contains("hello"), "{seen}");
}
