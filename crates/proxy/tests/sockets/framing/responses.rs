//! What backends send over HTTP/1.1, and what clients of both versions make of it.

use super::wire::{
    Backend, Client, Response, Step,
    Step::{Close, Say},
    field,
};
use crate::support::{Config1, cluster, forward, http, route, serve, start};
use ir::Action;
use testkit::call::Call;

/// What a client gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gets {
    /// A whole answer with this status, body (trailers in brackets) and `content-length`.
    Whole(u16, &'static str, Option<&'static str>),
    /// An answer that the client can tell from a whole one.
    Broken,
    /// 502 with this word.
    Refused(&'static str),
}
use Gets::{Broken, Whole};

/// The answer is no answer.
const BAD: Gets = Gets::Refused("bad_response");
/// The connection ended before there was one.
const LOST: Gets = Gets::Refused("upstream_closed");

/// What becomes of the connection to the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It takes the next request.
    Kept,
    /// It takes no other request.
    Dropped,
}
use Then::{Dropped, Kept};

struct Row {
    method: &'static str,
    says: &'static [Step],
    gets: Gets,
    then: Then,
}

const fn get(says: &'static [Step], gets: Gets, then: Then) -> Row {
    Row {
        method: "GET",
        says,
        gets,
        then,
    }
}

const fn head(says: &'static [Step], gets: Gets, then: Then) -> Row {
    Row {
        method: "HEAD",
        says,
        gets,
        then,
    }
}

/// RFC 9112 section 6.3.
#[rustfmt::skip]
const LENGTHS: &[Row] = &[
    get(&[Say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")], Whole(200, "hello", Some("5")), Kept),
    get(&[Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")], Whole(200, "hello", None), Kept),
    get(&[Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n")], Whole(200, "hello", None), Kept),
    get(&[Say("HTTP/1.1 200 OK\r\n\r\nhello"), Close], Whole(200, "hello", None), Dropped),
    get(&[Say("HTTP/1.0 200 OK\r\n\r\nhello"), Close], Whole(200, "hello", None), Dropped),
    get(&[Say("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"), Close], Whole(200, "hello", Some("5")), Dropped),
    // The coding wins, the length goes.
    get(&[Say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")], Whole(200, "hello", None), Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 100\r\n\r\n5\r\nhello\r\n0\r\n\r\n")], Whole(200, "hello", None), Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: x\r\n\r\n5\r\nhello\r\n0\r\n\r\n")], Whole(200, "hello", None), Dropped),
    head(&[Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 100\r\n\r\n")], Whole(200, "", None), Dropped),
    // Lengths that agree are one length.
    get(&[Say("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello")], Whole(200, "hello", Some("5")), Kept),
    get(&[Say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello")], Whole(200, "hello", Some("5")), Kept),
    get(&[Say("HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello!")], BAD, Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")], BAD, Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello")], BAD, Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello")], BAD, Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nhello")], BAD, Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello")], BAD, Dropped),
    // Codings that were not asked for.
    get(&[Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")], BAD, Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")], BAD, Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")], BAD, Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nhello"), Close], BAD, Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello"), Close], BAD, Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello"), Close], BAD, Dropped),
    get(&[Say("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), Close], BAD, Dropped),
    // Answers without a body.
    get(&[Say("HTTP/1.1 204 No Content\r\n\r\n")], Whole(204, "", None), Kept),
    get(&[Say("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n")], Whole(204, "", None), Dropped),
    get(&[Say("HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n")], Whole(304, "", None), Kept),
    head(&[Say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")], Whole(200, "", Some("5")), Kept),
    head(&[Say("HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n")], BAD, Dropped),
    get(&[Say("HTTP/1.1 304 Not Modified\r\nContent-Length: 5, 6\r\n\r\n")], BAD, Dropped),
    // Interim answers are for us.
    get(&[Say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")], Whole(200, "hello", Some("5")), Kept),
    get(&[Say("HTTP/1.1 102 Processing\r\n\r\n"), Say("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")], Whole(200, "hello", Some("5")), Kept),
];

/// What ends too early, or not where it should.
#[rustfmt::skip]
const ENDS: &[Row] = &[
    get(&[Say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), Close], Broken, Dropped),
    get(&[Say("HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\nhello"), Close], Broken, Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), Close], Broken, Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"), Close], Broken, Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"), Close], Broken, Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\nhello\r\n0\r\n\r\n")], Broken, Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n")], Broken, Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n")], Broken, Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n")], Broken, Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n")], Broken, Dropped),
    // More than there should be.
    get(&[Say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")], Whole(200, "hello", Some("5")), Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")], Whole(200, "hello", None), Dropped),
    get(&[Say("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")], Whole(204, "", None), Dropped),
    head(&[Say("HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")], Whole(200, "", Some("43")), Dropped),
    // Heads that end nowhere.
    get(&[Say("HTTP/1.1 200 OK\r\nContent-Le"), Close], LOST, Dropped),
    get(&[Say("HTTP/1.1 103 Early Hints\r\n\r\n"), Close], LOST, Dropped),
    get(&[Close], LOST, Dropped),
];

/// RFC 9112 sections 2.2, 4 and 5: what may be read leniently, and what may not.
#[rustfmt::skip]
const HEADS: &[Row] = &[
    get(&[Say("HTTP/1.1 200 OK\nContent-Length: 5\n\nhello")], Whole(200, "hello", Some("5")), Kept),
    get(&[Say("HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello")], Whole(200, "hello", Some("5")), Kept),
    get(&[Say("HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 5\r\n\r\nhello")], BAD, Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello")], BAD, Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 5\r\n\r\nhello")], BAD, Dropped),
    get(&[Say("HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 5\r\n\r\nhello")], BAD, Dropped),
    get(&[Say("HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello")], BAD, Dropped),
    get(&[Say("HTTP/1.1 099 OK\r\nContent-Length: 5\r\n\r\nhello")], BAD, Dropped),
    get(&[Say("HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")], BAD, Dropped),
    get(&[Say("hello"), Close], BAD, Dropped),
    get(&[Say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")], LOST, Dropped),
];

/// RFC 9110 section 6.5.1; HTTP/1.1 clients get trailers that they asked for.
#[rustfmt::skip]
const TRAILERS: &[Row] = &[
    get(&[Say("HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")], Whole(200, "hello [x-sum: 1]", None), Kept),
    get(&[Say("HTTP/1.1 200 OK\r\nTrailer: connection, set-cookie, x-sum, location\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nConnection: close\r\nSet-Cookie: a=b\r\nX-Sum: 1\r\nLocation: /x\r\n\r\n")], Whole(200, "hello [x-sum: 1]", None), Kept),
    get(&[Say("HTTP/1.1 200 OK\r\nTrailer: content-length, transfer-encoding, keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 7\r\nTransfer-Encoding: gzip\r\nKeep-Alive: 1\r\n\r\n")], Whole(200, "hello", None), Kept),
    get(&[Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n:status: 500\r\n\r\n")], Broken, Dropped),
];

#[test]
fn lengths_decide_as_the_standard_says() {
    check(LENGTHS);
}

#[test]
fn what_ends_in_the_wrong_place_is_never_whole() {
    check(ENDS);
}

#[test]
fn heads_are_read_as_one_may_or_not_at_all() {
    check(HEADS);
}

#[test]
fn trailers_change_nothing_that_was_said_before() {
    check(TRAILERS);
}

/// Both versions of client ask every backend twice: a connection that is kept has the second request, too.
fn check(rows: &[Row]) {
    let mut wrong = Vec::new();
    for http2 in [false, true] {
        let backends: Vec<Backend> = rows.iter().map(|row| Backend::start(row.says)).collect();
        let names: Vec<String> = (0..rows.len()).map(|at| format!("c{at}")).collect();
        let config = Config1 {
            routes: names
                .iter()
                .map(|name| route(&format!("/{name}"), vec![], Action::Forward(forward(name))))
                .collect(),
            clusters: names
                .iter()
                .zip(&backends)
                .map(|(name, backend)| cluster(name, &[backend.address]))
                .collect(),
        };
        let proxy = start(|config| config.workers = 1);
        serve(&proxy, config.ir());
        for ((row, name), backend) in rows.iter().zip(&names).zip(&backends) {
            let ask = |times: usize| {
                let url = format!("http://a.com/{name}?{times}");
                if http2 {
                    over_http2(http(&proxy), row.method, &url)
                } else {
                    over_http1(http(&proxy), row.method, &url)
                }
            };
            let first = ask(1);
            let second = ask(2);
            let kept = second == Seen::Whole(200, later(row.method), Some("5".into()));
            let then = if kept { Kept } else { Dropped };
            let again = kept || matches(&second, row.gets);
            if !matches(&first, row.gets) || then != row.then || !again {
                wrong.push(format!(
                    "{} HTTP/2: {http2}: {:?}\n  gets {first:?}, not {:?}; then {then:?}, not {:?}: {second:?}; backend {:?}",
                    row.method, row.says, row.gets, row.then, backend.seen()
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        2 * rows.len(),
        wrong.join("\n")
    );
}

fn later(method: &str) -> String {
    if method == "HEAD" { "" } else { "later" }.to_owned()
}

/// What a client saw.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Whole(u16, String, Option<String>),
    Broken(String),
}

fn matches(seen: &Seen, gets: Gets) -> bool {
    match (seen, gets) {
        // An answer to HEAD has no body.
        (Seen::Whole(502, body, _), Gets::Refused(word)) => body == word || body.is_empty(),
        (Seen::Whole(status, body, length), Whole(wanted, text, number)) => {
            (*status, body.as_str(), length.as_deref()) == (wanted, text, number)
        }
        (Seen::Broken(_), Broken) => true,
        _ => false,
    }
}

fn over_http1(address: std::net::SocketAddr, method: &str, url: &str) -> Seen {
    let mut client = Client::connect(address);
    client.send(&format!(
        "{method} {url} HTTP/1.1\r\nHost: a.com\r\nTE: trailers\r\nConnection: te\r\n\r\n"
    ));
    let mut interim = Vec::new();
    match client.response(method, &mut interim) {
        Some(Response {
            status,
            head,
            body,
            whole: true,
        }) => {
            assert!(field(&head, "transfer-encoding").is_none_or(|coding| coding == "chunked"));
            Seen::Whole(status, body, field(&head, "content-length"))
        }
        half => Seen::Broken(format!("{half:?}")),
    }
}

fn over_http2(address: std::net::SocketAddr, method: &str, url: &str) -> Seen {
    match Call::new(address, method, url).http2().send_blocking() {
        Err(error) => Seen::Broken(error),
        Ok(answer) => {
            let mut body = String::from_utf8_lossy(&answer.body).into_owned();
            if let Some(trailers) = answer.trailers {
                let fields = trailers
                    .iter()
                    .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
                body.push_str(&format!(" [{}]", fields.collect::<Vec<_>>().join(", ")));
            }
            let lengths = answer.headers.get_all("content-length").iter();
            let lengths: Vec<_> = lengths.map(|value| value.to_str().unwrap()).collect();
            let length = (!lengths.is_empty()).then(|| lengths.join(" | "));
            Seen::Whole(answer.status.as_u16(), body, length)
        }
    }
}
