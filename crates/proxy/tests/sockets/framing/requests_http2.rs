//! What clients send over HTTP/2: as frames, and as a backend of either version gets it.

use super::{
    frames::{self, End, Heard, Say},
    wire,
};
use crate::support::{http, serve, simple, start};
use ir::Upstream;

const OK: Option<u16> = Some(200);
/// PROTOCOL_ERROR, which RFC 9113 section 8.1.1 has for malformed messages.
const MALFORMED: End = End::Reset(1);

struct Row {
    says: &'static [Say],
    status: Option<u16>,
    end: End,
    /// What a backend over HTTP/1.1 sees after the head, and one over HTTP/2 as the body; none is nothing whole.
    backend: Option<(&'static str, &'static str)>,
}

const fn row(
    says: &'static [Say],
    status: Option<u16>,
    end: End,
    backend: Option<(&'static str, &'static str)>,
) -> Row {
    Row {
        says,
        status,
        end,
        backend,
    }
}

const fn refused(says: &'static [Say], status: Option<u16>, end: End) -> Row {
    row(says, status, end, None)
}

type Fields = &'static [(&'static str, &'static str)];

macro_rules! fields {
    ($method:literal, $path:literal $(, $name:literal: $value:literal)*) => {
        &[(":method", $method), (":scheme", "http"), (":authority", "a.com"), (":path", $path) $(, ($name, $value))*]
    };
}

const GET: Fields = fields!("GET", "/");
const POST: Fields = fields!("POST", "/");

#[rustfmt::skip]
const BODIES: &[Row] = &[
    row(&[Say::Last(GET)], OK, End::Stream, Some(("", ""))),
    row(&[Say::Head(GET), Say::End("hello")], OK, End::Stream, Some(("5\r\nhello\r\n0\r\n\r\n", "hello"))),
    row(&[Say::Head(fields!("HEAD", "/")), Say::End("hello")], OK, End::Stream, Some(("5\r\nhello\r\n0\r\n\r\n", "hello"))),
    row(&[Say::Head(fields!("DELETE", "/")), Say::End("hello")], OK, End::Stream, Some(("5\r\nhello\r\n0\r\n\r\n", "hello"))),
    row(&[Say::Head(POST), Say::Data("hel"), Say::End("lo")], OK, End::Stream, Some(("3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello"))),
    row(&[Say::Head(fields!("GET", "/", "content-length": "5")), Say::End("hello")], OK, End::Stream, Some(("hello", "hello"))),
    row(&[Say::Head(fields!("POST", "/", "content-length": "5")), Say::Data("hello"), Say::End("")], OK, End::Stream, Some(("hello", "hello"))),
    // No body, said late.
    row(&[Say::Head(GET), Say::End("")], OK, End::Stream, Some(("", ""))),
    row(&[Say::Head(fields!("GET", "/", "content-length": "0")), Say::End("")], OK, End::Stream, Some(("", ""))),
];

/// RFC 9113 sections 8.1 to 8.3.
#[rustfmt::skip]
const MALFORMED_ONES: &[Row] = &[
    refused(&[Say::Head(fields!("POST", "/", "content-length": "5, 5")), Say::End("hello")], None, MALFORMED),
    refused(&[Say::Head(fields!("POST", "/", "content-length": "5", "content-length": "5")), Say::End("hello")], Some(400), End::Stream),
    refused(&[Say::Head(fields!("POST", "/", "content-length": "5", "content-length": "6")), Say::End("hello")], None, MALFORMED),
    refused(&[Say::Last(fields!("POST", "/", "content-length": ""))], Some(400), End::Stream),
    refused(&[Say::Head(fields!("POST", "/", "content-length": "+5")), Say::End("hello")], None, MALFORMED),
    refused(&[Say::Head(fields!("POST", "/", "content-length": "9")), Say::End("hello")], None, MALFORMED),
    refused(&[Say::Head(fields!("POST", "/", "content-length": "3")), Say::End("hello")], None, MALFORMED),
    refused(&[Say::Last(fields!("POST", "/", "content-length": "3"))], None, MALFORMED),
    refused(&[Say::Last(fields!("GET", "/", "connection": "close"))], None, MALFORMED),
    refused(&[Say::Last(fields!("GET", "/", "transfer-encoding": "chunked"))], None, MALFORMED),
    refused(&[Say::Last(fields!("GET", "/", "keep-alive": "1"))], None, MALFORMED),
    refused(&[Say::Last(fields!("GET", "/", "proxy-connection": "close"))], None, MALFORMED),
    refused(&[Say::Last(fields!("GET", "/", "upgrade": "websocket"))], None, MALFORMED),
    refused(&[Say::Last(fields!("GET", "/", "te": "gzip"))], None, MALFORMED),
    refused(&[Say::Last(fields!("GET", "/", ":path": "/b"))], None, MALFORMED),
    refused(&[Say::Last(&[(":method", "GET"), (":path", "/"), (":authority", "a.com")])], None, MALFORMED),
    refused(&[Say::Last(&[(":method", "GET"), (":scheme", "ftp"), (":path", "/"), (":authority", "a.com")])], Some(400), End::Stream),
    refused(&[Say::Last(fields!("GET", ""))], None, MALFORMED),
    refused(&[Say::Last(fields!("GET", "*"))], Some(400), End::Stream),
    refused(&[Say::Last(fields!("GET", "foo"))], None, MALFORMED),
    refused(&[Say::Last(fields!("OPTIONS", "*"))], Some(404), End::Stream),
];

/// Trailers pass over HTTP/2; over HTTP/1.1 only those that `Trailer` names.
#[rustfmt::skip]
const TRAILERS: &[Row] = &[
    row(&[Say::Head(POST), Say::Data("a"), Say::Last(&[("x-sum", "1")])], OK, End::Stream, Some(("1\r\na\r\n0\r\n\r\n", "a+"))),
    row(&[Say::Head(fields!("POST", "/", "trailer": "x-sum")), Say::Data("a"), Say::Last(&[("x-sum", "1")])], OK, End::Stream, Some(("1\r\na\r\n0\r\nx-sum: 1\r\n\r\n", "a+"))),
    row(&[Say::Head(POST), Say::Data("a"), Say::Last(&[("x-forwarded-for", "9.9.9.9"), ("host", "b.com"), ("authorization", "x"), ("content-length", "1")])], OK, End::Stream, Some(("1\r\na\r\n0\r\n\r\n", "a"))),
    // Trailers that would be a head: h2 leaves the pseudo-header fields away.
    row(&[Say::Head(POST), Say::Data("a"), Say::Last(&[(":path", "/admin"), (":method", "PUT")])], OK, End::Stream, Some(("1\r\na\r\n0\r\n\r\n", "a"))),
    refused(&[Say::Head(POST), Say::Data("a"), Say::Last(&[("connection", "close")])], None, MALFORMED),
    refused(&[Say::Head(POST), Say::Data("a"), Say::Last(&[("transfer-encoding", "chunked")])], None, MALFORMED),
];

#[test]
fn bodies_reach_the_backend_whatever_the_method() {
    check(BODIES);
}

#[test]
fn malformed_requests_are_refused() {
    check(MALFORMED_ONES);
}

#[test]
fn trailers_hold_nothing_that_a_head_decides() {
    check(TRAILERS);
}

fn check(rows: &[Row]) {
    let http1 = wire::Backend::start(&[wire::Step::Say(
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nlater",
    )]);
    let http2 = frames::Backend::start(&[Say::Last(&[(":status", "200")])]);
    let mut wrong = Vec::new();
    for upstream in [Upstream::Http1, Upstream::Http2] {
        let address = match upstream {
            Upstream::Http1 => http1.address,
            Upstream::Http2 => http2.address,
        };
        let mut config = simple(address);
        config.clusters[0].upstream = upstream;
        let proxy = start(|config| config.workers = 1);
        serve(&proxy, config.ir());
        for row in rows {
            let before = (http1.seen().len(), http2.heard().len());
            let heard = frames::ask(http(&proxy), row.says);
            let saw: Vec<String> = match upstream {
                Upstream::Http1 => http1.seen().split_off(before.0),
                Upstream::Http2 => http2.heard().split_off(before.1).iter().map(body).collect(),
            };
            let whole: Vec<&str> = saw
                .iter()
                .filter(|saw| !saw.contains("(broken off)"))
                .map(|saw| {
                    saw.split_once("\r\n\r\n")
                        .map_or(saw.as_str(), |(_, body)| body)
                })
                .collect();
            let wanted = row.backend.map(|(http1, http2)| match upstream {
                Upstream::Http1 => http1,
                Upstream::Http2 => http2,
            });
            let reached = whole == Vec::from_iter(wanted);
            if (heard.status, heard.end) != (row.status, Some(row.end)) || !reached {
                wrong.push(format!(
                    "{upstream:?} {:?}\n  gets {heard:?}, not {:?} {:?}; backend {saw:?}, not {wanted:?}",
                    row.says, row.status, row.end
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

/// A body, with a plus where there were trailers.
fn body(heard: &Heard) -> String {
    match heard.end {
        Some(End::Stream) => format!("{}{}", heard.body, if heard.trailers { "+" } else { "" }),
        _ => "(broken off)".to_owned(),
    }
}
