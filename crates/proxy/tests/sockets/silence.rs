//! Backends that fall silent: while they are to connect, to take, to answer, and in the middle of an answer.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use crate::support::{forward, http, route, serve, simple, start};
use ir::{Action, BackendTimeouts, Retry, RetryOn, UpstreamName, UpstreamTls, Verify};
use testkit::{
    call::{Answer, Call, raw},
    echo::Backend as Echo,
};

const SHORT: Duration = Duration::from_millis(200);
/// Longer than any of these limits, shorter than any other of the gateway.
const SOON: Duration = Duration::from_secs(4);

fn with(address: SocketAddr, timeouts: BackendTimeouts) -> ir::Ir {
    let mut config = simple(address);
    config.clusters[0].timeouts = timeouts;
    config.ir()
}

fn read(limit: Duration) -> BackendTimeouts {
    BackendTimeouts {
        read: Some(limit),
        ..BackendTimeouts::default()
    }
}

fn told(answer: &Answer) -> (u16, String) {
    (
        answer.status.as_u16(),
        String::from_utf8_lossy(&answer.body).into_owned(),
    )
}

/// A backend that takes one connection, reads a head, says something, and then nothing for as long as it is held.
fn says(text: &'static str) -> (SocketAddr, mpsc::Sender<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (hold, held) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
            head.push(byte[0]);
        }
        stream.write_all(text.as_bytes()).unwrap();
        // Until the test lets go of the other end.
        held.recv()
    });
    (address, hold)
}

#[test]
fn before_the_head_it_is_504() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(&proxy, with(echo.address(), read(SHORT)));
    let begun = Instant::now();
    for method in ["GET", "POST"] {
        let call = Call::new(http(&proxy), method, "http://a.com/?delay=5000");
        let call = if method == "POST" {
            call.body("hello")
        } else {
            call
        };
        let answer = call.send_blocking().unwrap();
        assert_eq!(
            told(&answer),
            (504, "backend_silent".to_owned()),
            "{method}"
        );
    }
    assert!(begun.elapsed() < SOON);
    let quick = Call::get(http(&proxy), "http://a.com/?body=100000");
    assert_eq!(quick.send_blocking().unwrap().body.len(), 100_000);
}

#[test]
fn a_rule_that_retries_what_timed_out_retries_this() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let mut config = simple(echo.address());
    config.clusters[0].timeouts = read(SHORT);
    let mut action = forward("a");
    let on = RetryOn {
        connect: false,
        timeout: true,
        any_5xx: false,
        statuses: vec![],
    };
    action.retry = Some(Retry {
        retries: 1,
        backoff: None,
        on,
        non_idempotent: false,
        spares_lost: false,
    });
    config.routes = vec![route("/", vec![], Action::Forward(action))];
    serve(&proxy, config.ir());
    let answer = Call::get(http(&proxy), "http://a.com/?delay=5000");
    assert_eq!(answer.send_blocking().unwrap().status, 504);
    assert_eq!(echo.hits(), 2);
}

#[test]
fn a_client_that_is_slow_is_not_the_backends_silence() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let limits = BackendTimeouts {
        read: Some(SHORT),
        send: Some(SHORT),
        connect: None,
    };
    serve(&proxy, with(echo.address(), limits));
    let mut stream = TcpStream::connect(http(&proxy)).unwrap();
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: a.com\r\nConnection: close\r\nContent-Length: 10\r\n\r\nhello")
        .unwrap();
    std::thread::sleep(SHORT * 3);
    stream.write_all(b"world").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(
        text.starts_with("HTTP/1.1 200") && text.contains("\"bodyBytes\":10"),
        "{text}"
    );
}

#[test]
fn an_answer_that_has_begun_is_broken_off() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let (address, backend) = says(head);
    let proxy = start(|_| ());
    serve(&proxy, with(address, read(SHORT)));
    let request = b"GET / HTTP/1.1\r\nHost: a.com\r\n\r\n";
    let begun = Instant::now();
    let text = String::from_utf8(raw(http(&proxy), request, Duration::from_secs(8))).unwrap();
    assert!(begun.elapsed() < SOON, "the client need not wait on");
    assert!(
        text.starts_with("HTTP/1.1 200") && text.contains("hello") && !text.ends_with("0\r\n\r\n"),
        "{text}"
    );
    drop(backend);
}

#[test]
fn a_backend_that_takes_nothing_is_given_up() {
    let (address, backend) = says("");
    let proxy = start(|_| ());
    let limits = BackendTimeouts {
        send: Some(SHORT),
        ..BackendTimeouts::default()
    };
    serve(&proxy, with(address, limits));
    let begun = Instant::now();
    // More than all buffers on the way hold.
    let answer = Call::new(http(&proxy), "POST", "http://a.com/")
        .body(vec![b'x'; 48_000_000])
        .http2()
        .send_blocking()
        .unwrap();
    assert_eq!(told(&answer), (504, "backend_silent".to_owned()));
    assert!(begun.elapsed() < SOON);
    drop(backend);
}

#[test]
fn connecting_has_a_limit_of_its_own() {
    let silent = Echo::builder().silent().start("a");
    let proxy = start(|config| config.deadlines.connect = Duration::from_secs(60));
    let mut config = simple(silent.address());
    config.clusters[0].tls = Some(Arc::new(UpstreamTls {
        name: UpstreamName::Host,
        send_name: true,
        verify: Verify::No,
        names: Vec::new(),
        certificate: None,
    }));
    config.clusters[0].timeouts.connect = Some(SHORT);
    serve(&proxy, config.ir());
    let begun = Instant::now();
    let answer = Call::get(http(&proxy), "http://a.com/")
        .send_blocking()
        .unwrap();
    assert_eq!(told(&answer), (504, "connect_timeout".to_owned()));
    assert!(begun.elapsed() < SOON);
}

#[test]
fn a_tunnel_ends_when_nothing_passes() {
    const LIMIT: Duration = Duration::from_secs(1);
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(&proxy, with(echo.address(), read(LIMIT)));
    let mut stream = TcpStream::connect(http(&proxy)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(8)))
        .unwrap();
    stream
        .write_all(
            b"GET /ws HTTP/1.1\r\nHost: a.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        )
        .unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1);
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    let begun = Instant::now();
    while begun.elapsed() < LIMIT * 2 {
        stream.write_all(b"x").unwrap();
        assert_eq!(
            stream.read(&mut byte).unwrap(),
            1,
            "it lives while something passes"
        );
        std::thread::sleep(LIMIT / 5);
    }
    let quiet = Instant::now();
    assert_eq!(stream.read(&mut byte).unwrap(), 0, "and then ends");
    assert!(quiet.elapsed() < LIMIT * 4);
}
