//! What backends send over HTTP/2, and what clients of both versions make of it.

use super::{
    frames::{self, Backend, End, Say},
    wire::{Client, Response},
};
use crate::support::{Config1, cluster, forward, http, route, serve, start};
use ir::{Action, Upstream};

/// What a client gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gets {
    /// A whole answer.
    Whole(u16, &'static str),
    /// An answer that the client can tell from a whole one, or 502: the fault may be found before or after the head
    /// went on.
    NotWhole,
}
use Gets::{NotWhole, Whole};

struct Row {
    method: &'static str,
    says: &'static [Say],
    gets: Gets,
}

const fn get(says: &'static [Say], gets: Gets) -> Row {
    Row {
        method: "GET",
        says,
        gets,
    }
}

const fn head(says: &'static [Say], gets: Gets) -> Row {
    Row {
        method: "HEAD",
        says,
        gets,
    }
}

const OK: Say = Say::Head(&[(":status", "200")]);
const FIVE: Say = Say::Head(&[(":status", "200"), ("content-length", "5")]);
const NONE: Say = Say::Head(&[(":status", "200"), ("content-length", "0")]);
const TRAILERS: Say = Say::Last(&[("x-sum", "1")]);

/// RFC 9113 section 8.1.1.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    get(&[OK, Say::End("hello")], Whole(200, "hello")),
    get(&[FIVE, Say::End("hello")], Whole(200, "hello")),
    get(&[FIVE, Say::Data("hel"), Say::Data("lo"), Say::End("")], Whole(200, "hello")),
    get(&[FIVE, Say::Data("hello"), TRAILERS], Whole(200, "hello")),
    get(&[FIVE, Say::End("hello"), Say::Reset(0)], Whole(200, "hello")),
    get(&[NONE, Say::End("")], Whole(200, "")),
    get(&[NONE, TRAILERS], Whole(200, "")),
    get(&[Say::Last(&[(":status", "200"), ("content-length", "0")])], Whole(200, "")),
    get(&[Say::Head(&[(":status", "200"), ("content-length", "5"), ("content-length", "5")]), Say::End("hello")], Whole(200, "hello")),
    // Short.
    get(&[FIVE, Say::End("hel")], NotWhole),
    get(&[FIVE, Say::Data("hel"), Say::End("")], NotWhole),
    get(&[FIVE, Say::Data("hel"), TRAILERS], NotWhole),
    get(&[Say::Last(&[(":status", "200"), ("content-length", "5")])], NotWhole),
    get(&[FIVE, Say::Data("hel"), Say::Reset(0)], NotWhole),
    get(&[FIVE, Say::Data("hel"), Say::Reset(2)], NotWhole),
    get(&[OK, Say::Data("hel"), Say::Reset(0)], NotWhole),
    get(&[OK, Say::Data("hel"), Say::Reset(2)], NotWhole),
    get(&[OK, Say::Reset(8)], NotWhole),
    // Long.
    get(&[FIVE, Say::End("hello!")], NotWhole),
    get(&[FIVE, Say::Data("hello"), Say::End("!")], NotWhole),
    get(&[FIVE, Say::Data("hello"), Say::Data("!"), Say::End("")], NotWhole),
    get(&[NONE, Say::End("hello")], NotWhole),
    // Lengths that do not agree, or are none.
    get(&[Say::Head(&[(":status", "200"), ("content-length", "5"), ("content-length", "6")]), Say::End("hello")], NotWhole),
    get(&[Say::Head(&[(":status", "200"), ("content-length", "5, 5")]), Say::End("hello")], NotWhole),
    get(&[Say::Last(&[(":status", "200"), ("content-length", "")])], NotWhole),
    // Fields that have no place here.
    get(&[Say::Head(&[(":status", "200"), ("transfer-encoding", "chunked")]), Say::End("hello")], NotWhole),
    get(&[Say::Head(&[(":status", "200"), ("connection", "close")]), Say::End("hello")], NotWhole),
    get(&[OK, Say::Data("hello"), Say::Last(&[("connection", "close")])], NotWhole),
    get(&[OK, Say::Data("hello"), Say::Last(&[("set-cookie", "a=b")])], Whole(200, "hello")),
    // Answers without a body.
    head(&[Say::Last(&[(":status", "200"), ("content-length", "5")])], Whole(200, "")),
    head(&[FIVE, Say::End("")], Whole(200, "")),
    get(&[Say::Last(&[(":status", "304"), ("content-length", "5")])], Whole(304, "")),
    get(&[Say::Last(&[(":status", "204")])], Whole(204, "")),
    get(&[Say::Head(&[(":status", "204")]), Say::End("hello")], Whole(204, "")),
    // Interim answers are for us.
    get(&[Say::Head(&[(":status", "103"), ("link", "</a.css>")]), FIVE, Say::End("hello")], Whole(200, "hello")),
    get(&[Say::Head(&[(":status", "100")]), Say::Head(&[(":status", "102")]), FIVE, Say::End("hello")], Whole(200, "hello")),
];

#[test]
fn an_answer_is_whole_or_it_is_seen_not_to_be() {
    let mut wrong = Vec::new();
    let backends: Vec<Backend> = ROWS.iter().map(|row| Backend::start(row.says)).collect();
    let names: Vec<String> = (0..ROWS.len()).map(|at| format!("c{at}")).collect();
    let config = Config1 {
        routes: names
            .iter()
            .map(|name| route(&format!("/{name}"), vec![], Action::Forward(forward(name))))
            .collect(),
        clusters: names
            .iter()
            .zip(&backends)
            .map(|(name, backend)| {
                let mut cluster = cluster(name, &[backend.address]);
                cluster.upstream = Upstream::Http2;
                cluster
            })
            .collect(),
    };
    let proxy = start(|config| config.workers = 1);
    serve(&proxy, config.ir());
    for (row, name) in ROWS.iter().zip(&names) {
        for http2 in [false, true] {
            let seen = match http2 {
                false => over_http1(http(&proxy), row.method, name),
                true => over_http2(http(&proxy), row.method, name),
            };
            let right = match (&seen, row.gets) {
                (Some((status, body)), Whole(wanted, text)) => {
                    (*status, body.as_str()) == (wanted, text)
                }
                (Some((502, _)), NotWhole) | (None, NotWhole) => true,
                _ => false,
            };
            if !right {
                wrong.push(format!(
                    "{} HTTP/2: {http2}: {:?}\n  gets {seen:?}, not {:?}",
                    row.method, row.says, row.gets
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        2 * ROWS.len(),
        wrong.join("\n")
    );
}

/// Status and body of a whole answer.
fn over_http1(address: std::net::SocketAddr, method: &str, name: &str) -> Option<(u16, String)> {
    let mut client = Client::connect(address);
    client.send(&format!("{method} /{name} HTTP/1.1\r\nHost: a.com\r\n\r\n"));
    let response = client.response(method, &mut Vec::new());
    response.and_then(
        |Response {
             status,
             body,
             whole,
             ..
         }| whole.then_some((status, body)),
    )
}

fn over_http2(
    address: std::net::SocketAddr,
    method: &'static str,
    name: &str,
) -> Option<(u16, String)> {
    let path: &'static str = Box::leak(format!("/{name}").into_boxed_str());
    let fields = vec![
        (":method", method),
        (":scheme", "http"),
        (":authority", "a.com"),
        (":path", path),
    ];
    let heard = frames::ask(address, &[Say::Last(Box::leak(fields.into_boxed_slice()))]);
    let whole = heard.end == Some(End::Stream);
    heard
        .status
        .filter(|_| whole)
        .map(|status| (status, heard.body))
}
