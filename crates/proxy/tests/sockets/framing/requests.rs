//! What clients send over HTTP/1.1.

use super::wire::{Backend, Client, Response, Step};
use crate::support::{http, serve, simple, start};
use testkit::wait::eventually;

/// How a connection is afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// It takes another request, which is answered as such.
    Open,
    /// It is closed, and nothing more was said.
    Closed,
}
use After::{Closed, Open};

/// Bytes, and what they lead to.
struct Row {
    send: &'static str,
    /// Statuses in order; interim ones too.
    gets: &'static [u16],
    after: After,
    /// What is in each request that the backend saw, in order; none is nothing reached it.
    backend: &'static [&'static str],
}

const fn row(
    send: &'static str,
    gets: &'static [u16],
    after: After,
    backend: &'static [&'static str],
) -> Row {
    Row {
        send,
        gets,
        after,
        backend,
    }
}

/// A refusal: a status, a closed connection, and nothing for the backend.
const fn refused(send: &'static str, gets: &'static [u16]) -> Row {
    row(send, gets, Closed, &[])
}

/// Bodies that say their length and bodies that do not, for any method.
#[rustfmt::skip]
const BODIES: &[Row] = &[
    row("GET /a HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &[200], Open, &["\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]),
    row("HEAD /a HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &[200], Open, &["\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]),
    row("DELETE /a HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &[200], Open, &["\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]),
    row("OPTIONS /a HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &[200], Open, &["\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]),
    row("QUERY /a HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &[200], Open, &["\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]),
    row("GET /a HTTP/1.1\r\nHost: a.com\r\nContent-Length: 5\r\n\r\nhello", &[200], Open, &["\r\n\r\nhello"]),
    row("GET /a HTTP/1.1\r\nHost: a.com\r\n\r\n", &[200], Open, &["GET /a HTTP/1.1\r\n"]),
    row("POST /a HTTP/1.1\r\nHost: a.com\r\nContent-Length: 0\r\n\r\n", &[200], Open, &["content-length: 0\r\n"]),
    row("GET /a HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[200], Open, &["\r\n\r\n0\r\n\r\n"]),
    row("POST /a HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n02 \r\nde\r\n00\r\n\r\n", &[200], Open, &["abc"]),
    row("POST /a HTTP/1.1\r\nHost: a.com\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", &[100, 200], Open, &["\r\n\r\nhello"]),
    row("POST /a HTTP/1.1\r\nHost: a.com\r\nExpect: x\r\nContent-Length: 5\r\n\r\nhello", &[200], Open, &["\r\n\r\nhello"]),
    row("GET /a HTTP/1.0\r\nHost: a.com\r\n\r\n", &[200], Closed, &["GET /a HTTP/1.1\r\n"]),
    // A body that would be a request is a body.
    row("POST /a HTTP/1.1\r\nHost: a.com\r\nContent-Length: 32\r\n\r\nGET /b HTTP/1.1\r\nHost: a.com\r\n\r\nGET /c HTTP/1.1\r\nHost: a.com\r\n\r\n", &[200, 200], Open, &["\r\n\r\nGET /b HTTP/1.1\r\n", "GET /c"]),
    row("\r\nGET /a HTTP/1.1\r\nHost: a.com\r\n\r\n", &[200], Open, &["GET /a"]),
];

/// RFC 9112 sections 6.1 to 6.3.
#[rustfmt::skip]
const LENGTHS: &[Row] = &[
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", &[501]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: x, chunked\r\n\r\n0\r\n\r\n", &[501]),
    refused("GET / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", &[501]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked, gzip, chunked\r\n\r\n0\r\n\r\n", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: \r\n\r\n0\r\n\r\n", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: , chunked\r\n\r\n0\r\n\r\n", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400]),
    refused("POST / HTTP/1.0\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400]),
    refused("POST / HTTP/1.0\r\nHost: a.com\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 5, 5\r\n\r\nhello", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 5, 6\r\n\r\nhello", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: +5\r\n\r\nhello", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 0x5\r\n\r\nhello", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: \r\n\r\nhello", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 99999999999999999999\r\n\r\nhello", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length : 5\r\n\r\nhello", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nX: a\r\n b\r\nContent-Length: 5\r\n\r\nhello", &[400]),
    refused("GET / HTTP/1.1\nHost: a.com\n\n", &[400]),
    refused("GET / HTTP/1.1\r\nHost: a.com\r\nX: a\rb\r\n\r\n", &[400]),
    refused("GET / HTTP/1.1\r\nHost: a.com\r\nX: a\0b\r\n\r\n", &[400]),
];

/// Chunks and what they break: what came before in the same piece is not sent on either.
#[rustfmt::skip]
const CHUNKS: &[Row] = &[
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nhello\r\n0\r\n\r\n", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n", &[400]),
    row("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n", &[400], Closed, &["(broken off)"]),
    // The end does not come.
    row("POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 9\r\n\r\nhello", &[400], Closed, &["(broken off)"]),
    row("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", &[400], Closed, &["(broken off)"]),
    // Only what is wrong is refused.
    row("GET /a HTTP/1.1\r\nHost: a.com\r\n\r\nGET /b HTTP/1.1\nHost: a.com\n\n", &[200, 400], Closed, &["GET /a"]),
    row("POST /a HTTP/1.1\r\nHost: a.com\r\nContent-Length: 5\r\n\r\nhelloPOST /b HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", &[200, 501], Closed, &["hello"]),
    row("\r\nGET /a HTTP/1.1\r\nHost: a.com\r\n\r\n\r\nPOST /b HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", &[200, 400], Closed, &["GET /a"]),
];

/// RFC 9112 section 3.2.
#[rustfmt::skip]
const TARGETS: &[Row] = &[
    row("GET http://a.com/x?y HTTP/1.1\r\nHost: a.com\r\n\r\n", &[200], Open, &["GET /x?y HTTP/1.1\r\n"]),
    row("GET HTTP://a.com HTTP/1.1\r\nHost: a.com\r\n\r\n", &[200], Open, &["GET / HTTP/1.1\r\n"]),
    refused("GET ftp://a.com/x HTTP/1.1\r\nHost: a.com\r\n\r\n", &[400]),
    refused("GET file:///etc/passwd HTTP/1.1\r\nHost: a.com\r\n\r\n", &[400]),
    refused("GET ws://a.com/x HTTP/1.1\r\nHost: a.com\r\n\r\n", &[400]),
    refused("GET foo HTTP/1.1\r\nHost: a.com\r\n\r\n", &[400]),
    refused("GET a.com HTTP/1.1\r\nHost: a.com\r\n\r\n", &[400]),
    refused("GET a.com:80 HTTP/1.1\r\nHost: a.com\r\n\r\n", &[400]),
    refused("GET a.com/x HTTP/1.1\r\nHost: a.com\r\n\r\n", &[400]),
    refused("GET ?x HTTP/1.1\r\nHost: a.com\r\n\r\n", &[400]),
    refused("GET * HTTP/1.1\r\nHost: a.com\r\n\r\n", &[400]),
    refused("CONNECT a.com:80 HTTP/1.1\r\nHost: a.com\r\n\r\n", &[400]),
    refused("CONNECT /x HTTP/1.1\r\nHost: a.com\r\n\r\n", &[400]),
    refused("GET  / HTTP/1.1\r\nHost: a.com\r\n\r\n", &[400]),
    refused("GET /a b HTTP/1.1\r\nHost: a.com\r\n\r\n", &[400]),
    refused("GET / HTTP/2.0\r\nHost: a.com\r\n\r\n", &[400]),
    refused("GET / HTTP/1.2\r\nHost: a.com\r\n\r\n", &[400]),
    refused("GET / HTTP/1.1\r\n\r\n", &[400]),
    refused("GET / HTTP/1.1\r\nHost:\r\n\r\n", &[400]),
    refused("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", &[400]),
    refused("GET / HTTP/1.1\r\nHost: a.com\r\nHost: a.com\r\n\r\n", &[400]),
    refused("GET http://a.com/ HTTP/1.1\r\nHost: b.com\r\n\r\n", &[400]),
    row("OPTIONS http://a.com HTTP/1.1\r\nHost: a.com\r\n\r\n", &[200], Open, &["OPTIONS / HTTP/1.1\r\n"]),
    // No route is for the server as a whole.
    row("OPTIONS * HTTP/1.1\r\nHost: a.com\r\n\r\n", &[404], Open, &[]),
];

/// RFC 9110 section 6.5.1: what would change a message that has been acted on is not said after it.
#[rustfmt::skip]
const TRAILERS: &[Row] = &[
    row("POST / HTTP/1.1\r\nHost: a.com\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n", &[200], Open, &["\r\n0\r\nx-sum: 1\r\n\r\n"]),
    row("POST / HTTP/1.1\r\nHost: a.com\r\nTrailer: x-forwarded-for\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n", &[200], Open, &["ab\r\n0\r\n\r\n"]),
    row("POST / HTTP/1.1\r\nHost: a.com\r\nTrailer: forwarded, x-real-ip\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nForwarded: for=9.9.9.9\r\nX-Real-IP: 9.9.9.9\r\n\r\n", &[200], Open, &["ab\r\n0\r\n\r\n"]),
    row("POST / HTTP/1.1\r\nHost: a.com\r\nTrailer: cookie, x-sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nCookie: a=b\r\nX-Sum: 1\r\n\r\n", &[200], Open, &["ab\r\n0\r\nx-sum: 1\r\n\r\n"]),
    row("POST / HTTP/1.1\r\nHost: a.com\r\nTrailer: host, authorization, content-length, transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nHost: b.com\r\nAuthorization: x\r\nContent-Length: 7\r\nTransfer-Encoding: gzip\r\n\r\n", &[200], Open, &["ab\r\n0\r\n\r\n"]),
    row("POST / HTTP/1.1\r\nHost: a.com\r\nTrailer: connection, keep-alive, upgrade, proxy-connection, te\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nConnection: close\r\nKeep-Alive: 1\r\nUpgrade: h2c\r\nProxy-Connection: close\r\nTE: gzip\r\n\r\n", &[200], Open, &["ab\r\n0\r\n\r\n"]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n:path: /admin\r\n\r\n", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: 1\nY: 2\r\n\r\n", &[400]),
    refused("POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: 1\r\n Y: 2\r\n\r\n", &[400]),
];

#[test]
fn bodies_reach_the_backend_whatever_the_method() {
    check(BODIES);
}

#[test]
fn lengths_that_can_be_read_in_two_ways_are_refused() {
    check(LENGTHS);
}

#[test]
fn broken_chunks_and_bodies_are_no_requests() {
    check(CHUNKS);
}

#[test]
fn targets_are_paths_or_absolute_urls_of_ours() {
    check(TARGETS);
}

#[test]
fn trailers_hold_nothing_that_a_head_decides() {
    check(TRAILERS);
}

fn check(rows: &[Row]) {
    let backend = Backend::start(&[Step::Say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")]);
    let proxy = start(|config| config.workers = 1);
    serve(&proxy, simple(backend.address).ir());
    let mut wrong = Vec::new();
    for row in rows {
        let before = backend.seen().len();
        let mut client = Client::connect(http(&proxy));
        client.send(row.send);
        let (gets, after) = outcome(&mut client, row);
        let due = before + row.backend.len();
        eventually("the backend to see it", || backend.seen().len() >= due);
        let saw = backend.seen().split_off(before);
        let told: Vec<&String> = saw
            .iter()
            .filter(|seen| !seen.contains("/after "))
            .collect();
        let reached = told.len() == row.backend.len()
            && told
                .iter()
                .zip(row.backend)
                .all(|(saw, part)| saw.contains(part));
        if gets != row.gets || after != row.after || !reached {
            wrong.push(format!(
                "{:?}\n  gets {gets:?}, not {:?}; then {after:?}, not {:?}; backend {told:?}, not {:?}",
                row.send, row.gets, row.after, row.backend
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
}

/// Reads as many answers as are due, then asks once more.
fn outcome(client: &mut Client, row: &Row) -> (Vec<u16>, After) {
    let method = row.send.trim_start().split(' ').next().unwrap_or_default();
    let mut gets = Vec::new();
    let mut due = row.gets.iter().filter(|status| **status >= 200).count();
    // What is not whole must not be waited for.
    if row.backend.contains(&"(broken off)") {
        client.finish();
    }
    while due > 0 {
        let Some(Response { status, whole, .. }) = client.response(method, &mut gets) else {
            break;
        };
        assert!(whole, "{:?}: half an answer", row.send);
        gets.push(status);
        due -= 1;
    }
    if client.ended.is_none() {
        client.send("GET /after HTTP/1.1\r\nHost: a.com\r\nConnection: close\r\n\r\n");
    }
    let mut more = Vec::new();
    let after = match client.response("GET", &mut more) {
        Some(Response { status: 200, .. }) if more.is_empty() => Open,
        Some(other) => panic!("{:?}: something else: {other:?}", row.send),
        None => Closed,
    };
    (gets, after)
}
