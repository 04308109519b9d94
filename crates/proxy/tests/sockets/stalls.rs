//! Clients that neither take nor give what is waited for, and what is told of them.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use ir::Action;
use proxy::{Deadlines, Proxy};
use testkit::{
    echo::Backend as Echo,
    wait::{DEADLINE, eventually},
};

use crate::{
    logged::Logged,
    support::{Config1, cluster, forward, http, route, serve, simple, start_with},
    wire::{
        ACK, CANCEL, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, Source, Wire,
        frame, head,
    },
};

const STALL: Duration = Duration::from_secs(1);

const STALLED: &str = "postern_gateway_responses_total{reason=\"client_stalled\"}";

fn rejected(reason: &str) -> String {
    format!("postern_connections_rejected_total{{reason=\"{reason}\"}}")
}

fn impatient(logged: &Logged, change: impl FnOnce(&mut Deadlines)) -> Proxy {
    let change = |config: &mut proxy::Config| {
        config.deadlines.stall = STALL;
        change(&mut config.deadlines);
    };
    start_with(change, &logged.telemetry)
}

/// So many streams are asked, and each is reset.
fn are_reset(wire: &mut Wire, streams: usize) {
    for at in 0..streams {
        let reset = wire.until(&format!("reset {at}"), |frame| frame.kind == RST_STREAM);
        assert_eq!(reset.payload, CANCEL);
    }
}

/// The connection serves others.
fn goes_on(wire: &mut Wire, stream: u32, path: &str) {
    wire.window(1_000_000);
    wire.more(0, 10_000_000);
    wire.get(stream, path);
    wire.until("an answer", |frame| {
        frame.stream == stream && frame.flags & END_STREAM != 0 && frame.kind == DATA
    });
}

#[test]
fn streams_whose_windows_take_nothing_are_reset() {
    let source = Source::start(500_000);
    let logged = Logged::new();
    let proxy = impatient(&logged, |_| ());
    serve(&proxy, simple(source.address()).ir());
    let mut wire = Wire::open(http(&proxy), 0);
    for at in 0..100 {
        wire.get(2 * at + 1, "/held");
    }
    eventually("the backend has answered", || source.served() == 100);
    let begun = Instant::now();
    are_reset(&mut wire, 100);
    assert!(begun.elapsed() > STALL / 2, "{:?}", begun.elapsed());
    eventually("the backend's connections are closed", || {
        source.open() == 0
    });
    eventually("all are logged", || logged.outcomes("/held").len() == 100);
    let stalled = (200, "client_stalled".to_owned());
    let outcomes = logged.outcomes("/held");
    assert!(outcomes.iter().all(|outcome| *outcome == stalled));
    assert!(logged.lines().iter().all(|line| line["bytes_out"] == 0));
    assert_eq!(logged.number(STALLED), Some(100));
    goes_on(&mut wire, 201, "/then");
    eventually("an answer that was taken", || {
        logged.outcomes("/then") == [(200, String::new())]
    });
}

/// hyper may hold all of an answer or part of it, the last part too.
#[test]
fn streams_of_every_length_are_reset() {
    for (bytes, window) in [(1, 0), (500_000, 1), (10_000, 9_999), (100_000, 99_999)] {
        let source = Source::start(bytes);
        let logged = Logged::new();
        let proxy = impatient(&logged, |_| ());
        serve(&proxy, simple(source.address()).ir());
        let mut wire = Wire::open(http(&proxy), window);
        wire.more(0, 1_000_000);
        wire.get(1, "/held");
        are_reset(&mut wire, 1);
        eventually("it is logged", || {
            logged.outcomes("/held") == [(200, "client_stalled".to_owned())]
        });
        assert_eq!(logged.lines()[0]["bytes_out"], window, "{bytes}");
        goes_on(&mut wire, 3, "/then");
        assert_eq!(logged.number(&rejected("stalled")), Some(0));
    }
}

#[test]
fn streams_that_wait_for_their_connections_window_are_reset() {
    let source = Source::start(500_000);
    let logged = Logged::new();
    let proxy = impatient(&logged, |_| ());
    serve(&proxy, simple(source.address()).ir());
    let mut wire = Wire::open(http(&proxy), 1_000_000);
    for at in 0..5 {
        wire.get(2 * at + 1, "/held");
    }
    are_reset(&mut wire, 5);
    goes_on(&mut wire, 101, "/then");
    assert_eq!(logged.number(STALLED), Some(5));
}

#[test]
fn answers_of_our_own_are_held_up_no_longer() {
    let logged = Logged::new();
    let proxy = impatient(&logged, |_| ());
    let only = route("/only", vec![], Action::Forward(forward("a")));
    let echo = Echo::start("a");
    let config = Config1 {
        routes: vec![only],
        clusters: vec![cluster("a", &[echo.address()])],
    };
    serve(&proxy, config.ir());
    let mut wire = Wire::open(http(&proxy), 0);
    wire.get(1, "/other");
    are_reset(&mut wire, 1);
    eventually("it is logged", || {
        logged.outcomes("/other") == [(404, "client_stalled".to_owned())]
    });
}

#[test]
fn streams_whose_bodies_do_not_come_are_reset() {
    let echo = Echo::start("a");
    let logged = Logged::new();
    let proxy = impatient(&logged, |_| ());
    serve(&proxy, simple(echo.address()).ir());
    let mut wire = Wire::open(http(&proxy), 65_535);
    for at in 0..50 {
        wire.post(2 * at + 1, "/held", &[("content-length", "5")]);
    }
    // Half of it is no better.
    wire.send(&frame(DATA, 0, 1, b"xx"));
    are_reset(&mut wire, 50);
    eventually("all are logged", || logged.outcomes("/held").len() == 50);
    let stalled = (0, "client_stalled".to_owned());
    assert!(logged.outcomes("/held").iter().all(|o| *o == stalled));
    assert_eq!(logged.number(STALLED), Some(50));
    goes_on(&mut wire, 201, "/then");
}

#[test]
fn what_moves_is_left_alone() {
    let source = Source::start(40_000);
    let logged = Logged::new();
    let proxy = impatient(&logged, |_| ());
    serve(&proxy, simple(source.address()).ir());
    let mut wire = Wire::open(http(&proxy), 0);
    wire.get(1, "/slow");
    let begun = Instant::now();
    let mut taken = 0;
    while taken < 40_000 {
        wire.more(1, 5_000);
        let end = taken + 5_000;
        while taken < end {
            let data = wire.until("some of it", |frame| frame.kind == DATA);
            taken += data.payload.len();
        }
        thread::sleep(STALL / 3);
    }
    assert!(begun.elapsed() > 2 * STALL);
    eventually("it is logged", || {
        logged.outcomes("/slow") == [(200, String::new())]
    });
}

#[test]
fn backends_may_take_their_time() {
    let echo = Echo::start("a");
    let logged = Logged::new();
    let proxy = impatient(&logged, |_| ());
    serve(&proxy, simple(echo.address()).ir());
    let mut wire = Wire::open(http(&proxy), 65_535);
    wire.get(1, "/late?delay=2500");
    wire.until("the answer", |frame| {
        frame.stream == 1 && frame.flags & END_STREAM != 0 && frame.kind == DATA
    });
    assert_eq!(logged.number(STALLED), None);
}

/// Both sides of a call may be silent; a body that is only announced may not.
#[test]
fn calls_that_have_been_answered_may_be_silent() {
    let echo = Echo::start("a");
    let logged = Logged::new();
    let proxy = impatient(&logged, |_| ());
    serve(&proxy, simple(echo.address()).ir());
    let mut wire = Wire::open(http(&proxy), 65_535);
    wire.post(1, "/echo", &[("content-type", "application/grpc")]);
    wire.post(3, "/echo", &[("content-type", "text/plain")]);
    let reset = wire.until("the reset", |frame| frame.kind == RST_STREAM);
    assert_eq!(reset.stream, 3);
    let silent = wire.next_within(STALL).unwrap();
    assert!(silent.is_none(), "{silent:?}");
    wire.send(&frame(DATA, END_STREAM, 1, b"hello"));
    let echoed = wire.until("the echo", |frame| frame.kind == DATA && frame.stream == 1);
    assert_eq!(echoed.payload, b"hello");
}

#[test]
fn half_a_head_beside_other_streams_has_the_deadline_of_heads() {
    let half = |part: usize| {
        let mut head = frame(HEADERS, END_STREAM, 5, &head("GET", "/half", &[]));
        head.truncate(part);
        head
    };
    for part in [5, 20, usize::MAX] {
        let echo = Echo::start("a");
        let logged = Logged::new();
        let proxy = impatient(&logged, |deadlines| {
            deadlines.header = Duration::from_millis(700);
            deadlines.stall = DEADLINE;
        });
        serve(&proxy, simple(echo.address()).ir());
        let mut wire = Wire::open(http(&proxy), 65_535);
        // Acknowledges settings, which may not come between the parts of a head.
        goes_on(&mut wire, 1, "/");
        wire.get(3, "/whole?delay=60000");
        eventually("it is asked", || echo.hits() == 2);
        wire.send(&half(part));
        wire.ends();
        eventually("it is counted", || {
            logged.number(&rejected("header_timeout")) == Some(1)
        });
        eventually("the other stream is over too", || {
            logged.outcomes("/whole") == [(0, "client_stalled".to_owned())]
        });
    }
}

#[test]
fn half_a_head_of_http1_is_counted() {
    let echo = Echo::start("a");
    let logged = Logged::new();
    let proxy = impatient(&logged, |deadlines| {
        deadlines.header = Duration::from_millis(500);
    });
    serve(&proxy, simple(echo.address()).ir());
    let mut client = TcpStream::connect(http(&proxy)).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a").unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    eventually("it is counted", || {
        logged.number(&rejected("header_timeout")) == Some(1)
    });
}

#[test]
fn half_a_head_behind_a_whole_request_has_the_deadline_of_heads() {
    for half in ["G", "GET /x HTTP/1.1\r\n", "GET /x HTTP/1.1\r\nHost: a"] {
        let echo = Echo::start("a");
        let logged = Logged::new();
        let proxy = impatient(&logged, |deadlines| {
            deadlines.header = Duration::from_millis(500);
            deadlines.idle = 6 * DEADLINE;
        });
        serve(&proxy, simple(echo.address()).ir());
        let mut client = TcpStream::connect(http(&proxy)).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        let whole = format!("GET / HTTP/1.1\r\nHost: a.com\r\n\r\n{half}");
        client.write_all(whole.as_bytes()).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{half:?}");
        eventually("it is counted", || {
            logged.number(&rejected("header_timeout")) == Some(1)
        });
    }
}

#[test]
fn idle_connections_of_http2_end_whatever_they_answer() {
    for mute in [false, true] {
        let echo = Echo::start("a");
        let logged = Logged::new();
        let proxy = impatient(&logged, |deadlines| {
            deadlines.idle = Duration::from_millis(500);
            deadlines.header = Duration::from_millis(500);
        });
        serve(&proxy, simple(echo.address()).ir());
        let mut wire = Wire::open(http(&proxy), 65_535);
        goes_on(&mut wire, 1, "/");
        if mute {
            wire.is_mute();
        }
        // What is no request keeps no connection.
        wire.send(&frame(6, ACK, 0, &[0; 8]));
        wire.until("GOAWAY", |frame| frame.kind == GOAWAY);
        wire.ends();
        assert_eq!(logged.number(&rejected("stalled")), Some(0));
    }
}

/// More than the kernel holds for two sockets.
const LARGE: usize = 30_000_000;

/// A client that has read the first bytes of an answer.
fn reader(proxy: &Proxy) -> TcpStream {
    let mut client = TcpStream::connect(http(proxy)).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client
        .write_all(b"GET /large HTTP/1.1\r\nHost: a.com\r\n\r\n")
        .unwrap();
    client.read_exact(&mut [0; 1_000]).unwrap();
    client
}

#[test]
fn a_reader_that_is_cut_off_has_not_had_its_answer() {
    let source = Source::start(LARGE);
    let logged = Logged::new();
    let proxy = impatient(&logged, |_| ());
    serve(&proxy, simple(source.address()).ir());
    let stalled = reader(&proxy);
    eventually("it is logged", || {
        logged.outcomes("/large") == [(200, "client_stalled".to_owned())]
    });
    eventually("it is counted", || {
        logged.number(&rejected("stalled")) == Some(1)
    });
    assert!(logged.lines()[0]["bytes_out"].as_u64().unwrap() < LARGE as u64);
    drop(stalled);
    eventually("the backend's connection is closed", || source.open() == 0);
}

#[test]
fn a_reader_that_leaves_has_not_had_its_answer() {
    let source = Source::start(LARGE);
    let logged = Logged::new();
    let proxy = impatient(&logged, |deadlines| deadlines.stall = DEADLINE);
    serve(&proxy, simple(source.address()).ir());
    drop(reader(&proxy));
    let closed = (200, "client_closed".to_owned());
    eventually("it is logged", || {
        logged.outcomes("/large") == [closed.clone()]
    });
    // With HTTP/2 a stream may go alone.
    let mut wire = Wire::open(http(&proxy), 1_000);
    wire.get(1, "/large");
    wire.until("some of it", |frame| frame.kind == DATA);
    wire.send(&frame(RST_STREAM, 0, 1, CANCEL));
    eventually("it is logged too", || {
        logged.outcomes("/large") == [closed.clone(), closed.clone()]
    });
    assert_eq!(logged.lines()[1]["bytes_out"], 1_000);
    wire.send(&frame(HEADERS, END_HEADERS, 3, &head("HEAD", "/head", &[])));
    eventually("an answer that has no body is whole", || {
        logged.outcomes("/head").len() == 1
    });
    let answers = logged.number("postern_connections_rejected_total{reason=\"stalled\"}");
    assert_eq!(answers, Some(0));
}
