//! Our own end: nobody new is let in, and whoever was is answered.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use ir::Action;
use proxy::{Drained, Proxy};
use testkit::{call::Call, certs::Ca, echo::Backend as Echo, wait::eventually};

use crate::{
    streams::drain,
    support::{Config1, cluster, forward, http, route, secured, serve, simple, start},
    wire::{DATA, END_STREAM, Frame, GOAWAY, Wire},
};

const PATIENCE: Duration = Duration::from_secs(10);

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a.com\r\n\r\n";

fn done(step: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(step);
}

fn close(proxy: &Proxy) {
    done(proxy.close());
}

/// The answer, to the end of the connection.
fn answer(stream: &mut impl Read) -> String {
    let mut answer = Vec::new();
    // What TLS says of an end without a farewell is of no concern.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn is_the_last(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close\r\n")
}

#[test]
fn draining_finishes_what_is_in_flight_and_accepts_nothing_new() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(&proxy, simple(echo.address()).ir());
    let address = http(&proxy);
    let slow =
        std::thread::spawn(move || Call::get(address, "http://a.com/?delay=800").send_blocking());
    eventually("the request at the backend", || echo.hits() == 1);
    close(&proxy);
    let refused = TcpStream::connect(address).is_err();
    assert!(refused, "nobody listens any more");
    assert!(!slow.is_finished(), "while the request is in flight");
    assert_eq!(drain(&proxy, PATIENCE), Drained::Complete);
    let answer = slow.join().unwrap().unwrap();
    assert_eq!(
        (answer.status.as_u16(), answer.header("connection")),
        (200, "close")
    );
}

#[test]
fn a_tunnel_lives_until_the_drain_deadline() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(&proxy, simple(echo.address()).ir());
    let mut tunnel = TcpStream::connect(http(&proxy)).unwrap();
    tunnel
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let mut say = |bytes: &[u8]| {
        tunnel.write_all(bytes).unwrap();
        let mut buffer = [0; 1024];
        let read = tunnel.read(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..read]).into_owned()
    };
    let head =
        b"GET / HTTP/1.1\r\nHost: a.com\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert!(say(head).starts_with("HTTP/1.1 101"));
    assert_eq!(say(b"before"), "before");
    let drained = drain(&proxy, Duration::from_millis(300));
    assert_eq!(drained, Drained::Deadline, "the tunnel is still there");
    assert_eq!(say(b"after"), "after");
}

/// More than a task of tokio's takes at a time; some have asked when the listeners close, some ask after it.
#[test]
fn whoever_was_let_in_is_answered() {
    let echo = Echo::start("a");
    let proxy = start(|config| config.deadlines.header = Duration::from_secs(2));
    serve(&proxy, simple(echo.address()).ir());
    let connect = |at: usize| {
        let mut client = TcpStream::connect(http(&proxy)).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        if at.is_multiple_of(2) {
            client.write_all(REQUEST).unwrap();
        }
        client
    };
    let mut clients: Vec<_> = (0..150).map(connect).collect();
    close(&proxy);
    for client in clients.iter_mut().skip(1).step_by(2) {
        client.write_all(REQUEST).unwrap();
    }
    for (at, client) in clients.iter_mut().enumerate() {
        let asked_before = at.is_multiple_of(2);
        let answer = answer(client);
        // One that was answered before knew nothing of the end.
        let well = match asked_before {
            true => answer.starts_with("HTTP/1.1 200"),
            false => is_the_last(&answer),
        };
        assert!(well, "client {at}: {answer:?}");
    }
    assert_eq!(drain(&proxy, PATIENCE), Drained::Complete);
}

#[test]
fn a_client_that_has_only_shaken_hands_may_ask_for_as_long_as_heads_may_take() {
    let ca = Ca::new("test");
    let echo = Echo::start("a");
    let proxy = start(|config| config.deadlines.header = Duration::from_secs(1));
    let issued = ca.issue(&["a.com"]);
    let ir = simple(echo.address()).listeners(vec![("a.com", Some(&issued))]);
    serve(&proxy, ir);
    let connect = || {
        let mut client = secured(&proxy, &ca, "http/1.1");
        client.conn.complete_io(&mut client.sock).unwrap();
        client
    };
    let (mut asks, mut silent) = (connect(), connect());
    close(&proxy);
    asks.write_all(REQUEST).unwrap();
    let answered = answer(&mut asks);
    assert!(is_the_last(&answered), "{answered:?}");
    assert_eq!(drain(&proxy, PATIENCE), Drained::Complete);
    assert_eq!(answer(&mut silent), "");
}

/// A connection that has been served.
fn served(proxy: &Proxy) -> TcpStream {
    let mut client = TcpStream::connect(http(proxy)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(REQUEST).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        let mut some = [0; 1_024];
        let read = client.read(&mut some).unwrap();
        assert!(read > 0, "closed");
        answer.extend(&some[..read]);
    }
    assert!(!String::from_utf8(answer).unwrap().contains("connection"));
    client
}

fn asks(mut client: &TcpStream) -> String {
    client.write_all(REQUEST).unwrap();
    answer(&mut client)
}

/// Nothing comes for so long, not even the end.
fn is_quiet(client: &TcpStream, time: Duration) -> bool {
    client.set_read_timeout(Some(time)).unwrap();
    let quiet = client
        .peek(&mut [0])
        .is_err_and(|error| [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()));
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    quiet
}

#[test]
fn clients_are_told_to_go_while_the_listeners_are_open() {
    let echo = Echo::start("a");
    let proxy = start(|config| config.deadlines.header = Duration::from_millis(500));
    serve(&proxy, simple(echo.address()).ir());
    let (idle, silent) = (served(&proxy), served(&proxy));
    let address = http(&proxy);
    let slow =
        std::thread::spawn(move || Call::get(address, "http://a.com/?delay=800").send_blocking());
    eventually("the request at the backend", || echo.hits() == 3);
    done(proxy.leave());
    assert!(is_the_last(&asks(&idle)), "one that had been asked before");
    let new = TcpStream::connect(address).unwrap();
    assert!(is_the_last(&asks(&new)), "a new one");
    assert_eq!(slow.join().unwrap().unwrap().header("connection"), "close");
    assert!(
        is_quiet(&silent, Duration::from_millis(1_500)),
        "who does not ask cannot be told"
    );
    assert!(is_the_last(&asks(&silent)));
    assert!(TcpStream::connect(address).is_ok());
    assert_eq!(drain(&proxy, PATIENCE), Drained::Complete);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn clients_of_http2_are_told_to_go_once_they_have_asked() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(&proxy, simple(echo.address()).ir());
    let asked = |wire: &mut Wire, stream: u32| {
        wire.get(stream, "/");
        wire.until("an answer", |frame| {
            frame.stream == stream && frame.kind == DATA && frame.flags & END_STREAM != 0
        });
    };
    let address = http(&proxy);
    let mut before = Wire::open(address, 65_535);
    asked(&mut before, 1);
    before.get(3, "/?delay=700");
    eventually("the request at the backend", || echo.hits() == 2);
    done(proxy.leave());
    before.until("GOAWAY", |frame| frame.kind == GOAWAY);
    before.until("what was in flight", |frame| {
        frame.stream == 3 && frame.flags & END_STREAM != 0
    });
    before.ends();
    let mut new = Wire::open(address, 65_535);
    while let Some(frame) = new.next_within(Duration::from_millis(500)).unwrap() {
        assert!(frame.kind != GOAWAY, "it would come back to us");
    }
    new.get(1, "/");
    let rest = new.rest();
    let answered = |frame: &Frame| frame.kind == DATA && frame.flags & END_STREAM != 0;
    let told = |frame: &Frame| frame.kind == GOAWAY;
    assert!(
        rest.iter().any(answered) && rest.iter().any(told),
        "{rest:?}"
    );
    assert_eq!(drain(&proxy, PATIENCE), Drained::Complete);
}

#[test]
fn idle_connections_may_ask_once_more() {
    let echo = Echo::start("a");
    let proxy = start(|config| config.deadlines.header = Duration::from_millis(1_500));
    let config = Config1 {
        routes: vec![
            route("/", vec![], Action::Forward(forward("a"))),
            route("/none", vec![], Action::Forward(forward("none"))),
        ],
        clusters: vec![cluster("a", &[echo.address()]), cluster("none", &[])],
    };
    serve(&proxy, config.ir());
    let (asking, mut at_once, mut silent) = (served(&proxy), served(&proxy), served(&proxy));
    close(&proxy);
    let begun = Instant::now();
    assert!(is_quiet(&asking, Duration::from_millis(500)));
    assert!(is_the_last(&asks(&asking)));
    // An answer of our own is written before anything else is looked at.
    at_once
        .write_all(b"GET /none HTTP/1.1\r\nHost: a.com\r\n\r\n")
        .unwrap();
    let answered = answer(&mut at_once);
    assert!(
        answered.starts_with("HTTP/1.1 503") && answered.contains("connection: close"),
        "{answered}"
    );
    assert_eq!(answer(&mut silent), "");
    let waited = begun.elapsed();
    assert!(waited > Duration::from_secs(1), "{waited:?}");
    assert_eq!(drain(&proxy, PATIENCE), Drained::Complete);
}
