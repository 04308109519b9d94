//! What RFC 9110 and 9112 ask of an intermediary and no other test shows; `docs/http.md` is the whole list.

use super::{
    frames::{self, End, Say},
    wire::{Backend, Client, Response, Step, field},
};
use crate::support::{forward, http, route, serve, simple, start};
use ir::{Action, Retry, RetryOn};
use proxy::Proxy;

pub(super) const OK: &[Step] = &[Step::Say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")];

/// A gateway before a backend that says these things.
pub(super) fn before(says: &'static [Step]) -> (Backend, Proxy) {
    let backend = Backend::start(says);
    let proxy = start(|config| config.workers = 1);
    serve(&proxy, simple(backend.address).ir());
    (backend, proxy)
}

/// Sends a request, and gives the answer and the interim ones before it.
pub(super) fn ask(proxy: &Proxy, request: &str) -> (Response, Vec<u16>) {
    let mut client = Client::connect(http(proxy));
    client.send(request);
    let mut interim = Vec::new();
    let method = request.split(' ').next().unwrap();
    let response = client.response(method, &mut interim).unwrap();
    assert!(response.whole, "{request:?}: {response:?}");
    (response, interim)
}

/// RFC 9110 section 5.3: lines of one name keep their order, and none is merged with another.
#[test]
fn lines_of_one_name_stay_as_they_are() {
    let (backend, proxy) = before(&[Step::Say(
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nX-List: 2, 1\r\nSet-Cookie: b=2\r\nX-List: 3\r\ncontent-length: 2\r\n\r\nok",
    )]);
    let (answer, _) = ask(
        &proxy,
        "GET / HTTP/1.1\r\nHost: a.com\r\nX-List: 2, 1\r\nX-Other: 0\r\nX-List: 3\r\n\r\n",
    );
    let seen = backend.seen().pop().unwrap();
    assert_eq!(field(&seen, "x-list").as_deref(), Some("2, 1 | 3"));
    assert_eq!(field(&answer.head, "x-list").as_deref(), Some("2, 1 | 3"));
    let cookies = field(&answer.head, "set-cookie");
    assert_eq!(cookies.as_deref(), Some("a=1 | b=2"));
}

/// RFC 9112 section 9.3.2.
#[test]
fn answers_come_in_the_order_of_the_requests() {
    let (backend, proxy) = before(&[Step::Say(
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst",
    )]);
    let mut client = Client::connect(http(&proxy));
    client.send("POST /a HTTP/1.1\r\nHost: a.com\r\nContent-Length: 2\r\n\r\nabGET /b HTTP/1.1\r\nHost: a.com\r\n\r\nHEAD /c HTTP/1.1\r\nHost: a.com\r\n\r\n");
    let bodies = ["POST", "GET", "HEAD"].map(|method| {
        let answer = client.response(method, &mut Vec::new()).unwrap();
        assert_eq!((answer.status, answer.whole), (200, true), "{answer:?}");
        answer.body
    });
    assert_eq!(bodies, ["first", "later", ""]);
    let targets = backend.seen();
    let targets: Vec<&str> = targets
        .iter()
        .map(|seen| seen.split(' ').nth(1).unwrap())
        .collect();
    assert_eq!(targets, ["/a", "/b", "/c"]);
}

/// RFC 9112 section 9.6: what comes after a request that says `close` is not processed.
#[test]
fn nothing_is_asked_after_close() {
    for close in ["Connection: close", "Connection: x, CLOSE"] {
        let (backend, proxy) = before(OK);
        let mut client = Client::connect(http(&proxy));
        client.send(&format!("GET /a HTTP/1.1\r\nHost: a.com\r\n{close}\r\n\r\nGET /b HTTP/1.1\r\nHost: a.com\r\n\r\n"));
        let answer = client.response("GET", &mut Vec::new()).unwrap();
        let said = field(&answer.head, "connection");
        assert_eq!((answer.status, said.as_deref()), (200, Some("close")));
        assert!(client.is_closed(), "{close}");
        assert_eq!(backend.seen().len(), 1, "{close}");
    }
}

/// RFC 9112 section 9.6: a backend that says `close` gets no other request on that connection.
#[test]
fn a_backend_that_says_close_is_asked_on_another_connection() {
    let (_backend, proxy) = before(&[Step::Say(
        "HTTP/1.1 200 OK\r\nConnection: Close\r\ncontent-length: 5\r\n\r\nfirst",
    )]);
    for _ in 0..2 {
        let (answer, _) = ask(&proxy, "GET / HTTP/1.1\r\nHost: a.com\r\n\r\n");
        assert_eq!(answer.body, "first", "the connection is new");
        assert_eq!(field(&answer.head, "connection"), None);
    }
}

/// RFC 9112 section 6.1, RFC 9110 sections 10.1.1 and 15.2: HTTP/1.0 knows neither chunks nor interim answers.
#[test]
fn clients_of_http_1_0_get_what_they_know() {
    let (backend, proxy) = before(&[Step::Say(
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    )]);
    let (answer, interim) = ask(
        &proxy,
        "POST / HTTP/1.0\r\nHost: a.com\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
    );
    assert_eq!(interim, [0_u16; 0]);
    assert_eq!(answer.body, "hello");
    assert_eq!(field(&answer.head, "transfer-encoding"), None);
    let seen = backend.seen().pop().unwrap();
    assert!(seen.starts_with("POST / HTTP/1.1\r\n"), "{seen}");
    assert_eq!(field(&seen, "expect"), None);
    // Nor does it know upgrades (section 7.8).
    let (backend, proxy) = before(OK);
    let mut client = Client::connect(http(&proxy));
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nHost: a.com\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n");
        let answer = client.response("GET", &mut Vec::new()).unwrap();
        assert_eq!((answer.status, answer.whole), (200, true));
        let seen = backend.seen().pop().unwrap();
        assert_eq!(field(&seen, "upgrade"), None, "{seen}");
    }
}

/// RFC 9110 section 6.6.1: an answer without a date gets one, and one with a date keeps it.
#[test]
fn answers_have_a_date() {
    let (_backend, proxy) = before(OK);
    let (answer, _) = ask(&proxy, "GET / HTTP/1.1\r\nHost: a.com\r\n\r\n");
    assert!(field(&answer.head, "date").is_some(), "{answer:?}");
    let date = "Tue, 15 Nov 1994 08:12:31 GMT";
    let (_backend, proxy) = before(&[Step::Say(
        "HTTP/1.1 200 OK\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\ncontent-length: 2\r\n\r\nok",
    )]);
    let (answer, _) = ask(&proxy, "GET / HTTP/1.1\r\nHost: a.com\r\n\r\n");
    assert_eq!(field(&answer.head, "date").as_deref(), Some(date));
}

/// RFC 9110 section 7.6.2.
#[test]
fn max_forwards_counts_the_steps_of_options() {
    let (backend, proxy) = before(OK);
    for (sent, forwarded) in [
        ("10", Some("9")),
        ("1", Some("0")),
        ("0", None),
        ("000", None),
        ("99999999999999999999", Some("18446744073709551614")),
        // No number: not ours to repair.
        ("x", Some("x")),
    ] {
        let before = backend.seen().len();
        let (answer, _) = ask(
            &proxy,
            &format!("OPTIONS / HTTP/1.1\r\nHost: a.com\r\nMax-Forwards: {sent}\r\n\r\n"),
        );
        let seen = backend.seen().split_off(before).pop();
        let told = seen.as_deref().map(|seen| field(seen, "max-forwards"));
        assert_eq!(told, forwarded.map(|text| Some(text.to_owned())), "{sent}");
        let expected = if forwarded.is_some() { 200 } else { 204 };
        assert_eq!(answer.status, expected, "{sent}");
        let allows = field(&answer.head, "allow").is_some();
        assert_eq!(allows, forwarded.is_none(), "{sent}");
    }
    // For other methods it means nothing.
    let (answer, _) = ask(
        &proxy,
        "GET / HTTP/1.1\r\nHost: a.com\r\nMax-Forwards: 0\r\n\r\n",
    );
    assert_eq!(answer.status, 200);
    let seen = backend.seen().pop().unwrap();
    assert_eq!(field(&seen, "max-forwards").as_deref(), Some("0"));
}

/// RFC 9110 section 15.5.22: an answer of 426 says to what; other answers offer nothing on behalf of the backend.
#[test]
fn an_answer_that_demands_an_upgrade_says_to_what() {
    for (status, told) in [(426, Some("websocket")), (400, None)] {
        let says = format!(
            "HTTP/1.1 {status} X\r\nConnection: upgrade\r\nUpgrade: websocket\r\ncontent-length: 2\r\n\r\nno"
        );
        let says: &'static [Step] = Box::leak(Box::new([Step::Say(says.leak())]));
        let (_backend, proxy) = before(says);
        let (answer, _) = ask(&proxy, "GET / HTTP/1.1\r\nHost: a.com\r\n\r\n");
        assert_eq!(answer.status, status);
        assert_eq!(field(&answer.head, "upgrade").as_deref(), told);
        let connection = told.map(|_| "upgrade");
        assert_eq!(field(&answer.head, "connection").as_deref(), connection);
        // HTTP/2 has no upgrades, and would take the fields for a malformed answer.
        let (_backend, proxy) = before(says);
        let heard = frames::ask(http(&proxy), &[Say::Last(GET)]);
        assert_eq!((heard.status, heard.end), (Some(status), Some(End::Stream)));
    }
}

/// RFC 9110 section 9.2.2: what may not be done twice is not sent twice, and neither is what is not known.
#[test]
fn only_idempotent_methods_are_sent_again() {
    let mut action = forward("a");
    action.retry = Some(Retry {
        retries: 1,
        backoff: None,
        on: RetryOn {
            connect: true,
            timeout: false,
            statuses: vec![],
            any_5xx: false,
        },
        non_idempotent: false,
        spares_lost: false,
    });
    let backend = Backend::start(&[Step::Close]);
    let mut config = simple(backend.address);
    config.routes = vec![route("/", vec![], Action::Forward(action))];
    let proxy = start(|config| config.workers = 1);
    serve(&proxy, config.ir());
    for (method, attempts) in [
        ("GET", 2),
        ("PUT", 2),
        ("PROPFIND", 2),
        ("POST", 1),
        ("PATCH", 1),
        ("LOCK", 1),
        ("PURGE", 1),
    ] {
        let before = backend.seen().len();
        let (answer, _) = ask(
            &proxy,
            &format!("{method} / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 0\r\n\r\n"),
        );
        assert_eq!(answer.status, 502, "{method}");
        assert_eq!(backend.seen().len() - before, attempts, "{method}");
    }
}

pub(super) const GET: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", "a.com"),
    (":path", "/"),
];

/// RFC 9112 section 3: a request line of 8,000 bytes is read.
#[test]
fn request_lines_may_be_long_and_have_an_end() {
    let (_backend, proxy) = before(OK);
    for (bytes, status) in [(8000, 200), (100_000, 431)] {
        let target = "a".repeat(bytes);
        let request = format!("GET /{target} HTTP/1.1\r\nHost: a.com\r\n\r\n");
        assert_eq!(ask(&proxy, &request).0.status, status, "{bytes}");
    }
}
