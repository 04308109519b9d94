//! What becomes of connections, and what is told of what was refused.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::mpsc,
    thread,
    time::Duration,
};

use super::{
    frames::{self, End, Say},
    wire::{self, Client, Step},
};
use crate::support::{forward, http, route, serve, simple, start, start_with};
use ir::{Action, Retry, RetryOn};
use proxy::Telemetry;
use testkit::{call::Call, echo::any, wait::eventually};

/// Bytes that a backend sends before it was asked close its connection.
#[test]
fn bytes_on_an_idle_connection_are_no_response() {
    let listener = TcpListener::bind(any()).unwrap();
    let address = listener.local_addr().unwrap();
    let (answered, go) = mpsc::channel();
    let (closed, done) = mpsc::channel();
    thread::spawn(move || {
        let answer = |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n{body}");
        let mut buffer = [0; 4096];
        let (mut first, _) = listener.accept().unwrap();
        first
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        assert!(first.read(&mut buffer).unwrap() > 0);
        first.write_all(answer("first!").as_bytes()).unwrap();
        go.recv().unwrap();
        first.write_all(answer("poison").as_bytes()).unwrap();
        // No request comes here any more: the next thing is the connection's end.
        closed.send(first.read(&mut buffer).unwrap_or(0)).unwrap();
        let (mut second, _) = listener.accept().unwrap();
        assert!(second.read(&mut buffer).unwrap() > 0);
        second.write_all(answer("second").as_bytes()).unwrap();
    });
    let proxy = start(|config| config.workers = 1);
    serve(&proxy, simple(address).ir());
    let get = || {
        Call::get(http(&proxy), "http://a.com/")
            .send_blocking()
            .unwrap()
            .body
    };
    assert_eq!(get(), "first!");
    answered.send(()).unwrap();
    let after = done.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(
        after, 0,
        "the connection is closed, and nothing is asked on it"
    );
    assert_eq!(get(), "second");
}

/// An answer up to its end.
const HALF: Step = Step::Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");

/// A client of HTTP/1.0 knows the end of a body by the end of the connection.
#[test]
fn an_end_that_would_look_like_one_is_a_reset() {
    let ask = |says: &'static [Step]| {
        let backend = wire::Backend::start(says);
        let proxy = start(|config| config.workers = 1);
        serve(&proxy, simple(backend.address).ir());
        let mut client = Client::connect(http(&proxy));
        client.send("GET / HTTP/1.0\r\nHost: a.com\r\n\r\n");
        let response = client.response("GET", &mut Vec::new());
        (
            response.is_some_and(|response| response.whole),
            client.ended,
        )
    };
    assert_eq!(ask(&[HALF, Step::Say("0\r\n\r\n")]), (true, Some(true)));
    assert_eq!(ask(&[HALF, Step::Close]), (false, Some(false)));
}

#[test]
fn an_answer_to_head_has_no_body_over_http2_either() {
    let backend = wire::Backend::start(&[Step::Close]);
    let proxy = start(|config| config.workers = 1);
    serve(&proxy, simple(backend.address).ir());
    let ask = |fields| frames::ask(http(&proxy), &[Say::Last(fields)]);
    for (method, body) in [("HEAD", ""), ("GET", "upstream_closed")] {
        let fields: &'static [_] = match method {
            "HEAD" => &[
                (":method", "HEAD"),
                (":scheme", "http"),
                (":authority", "a.com"),
                (":path", "/"),
            ],
            _ => &[
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "a.com"),
                (":path", "/"),
            ],
        };
        let heard = ask(fields);
        assert_eq!(
            (heard.status, heard.end),
            (Some(502), Some(End::Stream)),
            "{method}"
        );
        assert_eq!(heard.body, body, "{method}");
    }
}

/// The backend closes once, then answers: both times it gets all of the body.
#[test]
fn a_body_of_unknown_length_is_sent_again_as_it_was() {
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
    for (method, http2) in [("QUERY", false), ("GET", false), ("GET", true)] {
        let (address, seen) = closes_once();
        let mut config = simple(address);
        config.routes = vec![route("/", vec![], Action::Forward(action.clone()))];
        let proxy = start(|config| config.workers = 1);
        serve(&proxy, config.ir());
        let call = Call::new(http(&proxy), method, "http://a.com/");
        let call = call.body("hello").chunked();
        let call = match http2 {
            true => call.http2(),
            // Else the client's own hyper would leave the body of GET out.
            false => call.header("transfer-encoding", "chunked"),
        };
        assert_eq!(call.send_blocking().unwrap().body, "ok");
        for attempt in 1..=2 {
            let request = seen.recv_timeout(Duration::from_secs(10)).unwrap();
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            let what = format!("{method}, HTTP/2: {http2}, attempt {attempt}");
            assert!(
                head.contains("transfer-encoding: chunked"),
                "{what}: {head}"
            );
            assert_eq!(body, "5\r\nhello\r\n0\r\n\r\n", "{what}");
        }
    }
}

/// A backend that reads two chunked requests, each on a connection of its own, and answers the second.
fn closes_once() -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind(any()).unwrap();
    let address = listener.local_addr().unwrap();
    let (saw, seen) = mpsc::channel();
    thread::spawn(move || {
        for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = Vec::new();
            let mut buffer = [0; 4096];
            while !bytes.ends_with(b"0\r\n\r\n") {
                let read = stream.read(&mut buffer).unwrap();
                assert!(read > 0, "half: {:?}", String::from_utf8_lossy(&bytes));
                bytes.extend_from_slice(&buffer[..read]);
            }
            saw.send(String::from_utf8(bytes).unwrap()).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (address, seen)
}

#[test]
fn what_is_refused_is_counted_by_its_word() {
    let backend = wire::Backend::start(&[Step::Say(
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello!",
    )]);
    let telemetry = Telemetry::default();
    let proxy = start_with(|config| config.workers = 1, &telemetry);
    serve(&proxy, simple(backend.address).ir());
    let counted = |parts: &[&str]| {
        let text = telemetry.metrics.encode();
        let mut lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.ends_with(" 0"));
        lines.any(|line| parts.iter().all(|part| line.contains(part)))
    };
    let responses = "postern_gateway_responses_total";
    for (send, parts) in [
        (
            "POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            [responses, "reason=\"unknown_coding\""],
        ),
        (
            "GET ftp://a.com/ HTTP/1.1\r\nHost: a.com\r\n\r\n",
            [responses, "reason=\"bad_request\""],
        ),
        (
            "GET / HTTP/1.1\r\nHost: a.com\r\n\r\n",
            [responses, "reason=\"bad_response\""],
        ),
        // hyper finds it first, and there is no request.
        (
            "POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
            ["postern_connections_rejected_total", "malformed"],
        ),
    ] {
        assert!(!counted(&parts), "{send:?} comes first");
        let mut client = Client::connect(http(&proxy));
        client.send(send);
        assert!(client.response("GET", &mut Vec::new()).is_some());
        eventually("it is counted", || counted(&parts));
    }
}

/// A body that turns out to be faulty on its way is the client's fault, and told as such.
#[test]
fn a_fault_in_the_middle_of_a_body_is_a_bad_request() {
    let backend = wire::Backend::start(&[Step::Close]);
    let telemetry = Telemetry::default();
    let proxy = start_with(|config| config.workers = 1, &telemetry);
    serve(&proxy, simple(backend.address).ir());
    let mut client = Client::connect(http(&proxy));
    client.send("POST / HTTP/1.1\r\nHost: a.com\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
    // The gateway asks for the body, so the request is on its way.
    let mut interim = Vec::new();
    client.interim(&mut interim);
    assert_eq!(interim, [100]);
    client.send("ZZ\r\n");
    let response = client.response("POST", &mut interim).unwrap();
    assert_eq!(
        (response.status, response.body.as_str()),
        (400, "bad_request")
    );
    assert!(client.is_closed());
}
