//! What bounds requests, over real sockets: the size of bodies.

use std::time::Duration;

use http::StatusCode;
use ir::{Action, Forward, Fraction, Mirror, Retry, RetryOn, Upstream};
use proxy::{Proxy, Telemetry};
use testkit::{
    call::{Answer, Call, raw},
    echo::Backend as Echo,
    wait::eventually,
};

use crate::support::{Config1, Phase, cluster, forward, http, route, serve, start, start_with};

const LIMIT: usize = 100_000;

/// Everything to `a`, with bodies of at most [`LIMIT`] bytes.
fn limited(echo: &Echo, change: impl FnOnce(&mut Forward)) -> Config1 {
    let mut forward = forward("a");
    change(&mut forward);
    let phases = vec![Phase::MaxBody(LIMIT as u64)];
    Config1 {
        routes: vec![route("/", phases, Action::Forward(forward))],
        clusters: vec![cluster("a", &[echo.address()])],
    }
}

fn post(proxy: &Proxy, bytes: usize) -> Call {
    Call::new(http(proxy), "POST", "http://a.com/").body(vec![b'x'; bytes])
}

fn sent(call: Call) -> Answer {
    call.send_blocking().unwrap()
}

#[test]
fn a_body_that_says_it_is_too_large_goes_nowhere() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(&proxy, limited(&echo, |_| ()).ir());
    let allowed = sent(post(&proxy, LIMIT));
    assert_eq!(allowed.json()["bodyBytes"], LIMIT);
    for bytes in [LIMIT + 1, 5_000_000] {
        for call in [post(&proxy, bytes), post(&proxy, bytes).http2()] {
            let answer = sent(call);
            assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!(&answer.body[..], b"body_too_large");
        }
    }
    assert_eq!(echo.hits(), 1);
}

#[test]
fn the_connection_of_a_refused_body_goes_on() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(&proxy, limited(&echo, |_| ()).ir());
    let mut text = format!(
        "POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: {}\r\n\r\n",
        2 * LIMIT
    );
    text.push_str(&"x".repeat(2 * LIMIT));
    text.push_str("GET /next HTTP/1.1\r\nHost: a.com\r\nConnection: close\r\n\r\n");
    let answers = raw(http(&proxy), text.as_bytes(), Duration::from_secs(5));
    let answers = String::from_utf8(answers).unwrap();
    assert!(answers.starts_with("HTTP/1.1 413 "), "{answers}");
    assert!(answers.contains("HTTP/1.1 200 OK"), "{answers}");
    // A client that asked first keeps its body to itself, so the connection can say nothing more.
    let text = format!(
        "POST / HTTP/1.1\r\nHost: a.com\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        2 * LIMIT
    );
    let answer = raw(http(&proxy), text.as_bytes(), Duration::from_secs(5));
    let answer = String::from_utf8(answer).unwrap().to_lowercase();
    assert!(answer.starts_with("http/1.1 413 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(!answer.contains("100 continue"), "{answer}");
}

#[test]
fn a_body_of_unknown_length_is_counted_as_it_passes() {
    for upstream in [Upstream::Http1, Upstream::Http2] {
        let echo = Echo::start("a");
        let telemetry = Telemetry::default();
        let proxy = start_with(|_| (), &telemetry);
        let mut config = limited(&echo, |_| ());
        config.clusters[0].upstream = upstream;
        serve(&proxy, config.ir());
        for http2 in [false, true] {
            let call = |bytes| {
                let call = post(&proxy, bytes).chunked();
                if http2 { call.http2() } else { call }
            };
            let allowed = sent(call(LIMIT));
            assert_eq!(allowed.json()["bodyBytes"], LIMIT, "{upstream:?}, {http2}");
            let answer = sent(call(LIMIT + 1));
            assert_eq!(answer.status, 413, "{upstream:?}, {http2}: {answer:?}");
            let answer = sent(call(5_000_000));
            assert_eq!(answer.status, 413, "{upstream:?}, {http2}: {answer:?}");
        }
        let counted = telemetry.metrics.encode();
        assert!(
            counted.contains("reason=\"body_too_large\"} 4"),
            "{counted}"
        );
        assert!(!counted.contains("client_closed"), "{counted}");
    }
}

#[test]
fn an_answer_that_has_begun_is_cut_off() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(&proxy, limited(&echo, |_| ()).ir());
    for http2 in [false, true] {
        // The backend's answer is the request's body, so its head comes long before the limit.
        let call = |bytes| {
            let call = Call::new(http(&proxy), "POST", "http://a.com/echo");
            let call = call.body(vec![b'x'; bytes]).chunked();
            if http2 { call.http2() } else { call }
        };
        assert_eq!(sent(call(LIMIT)).body.len(), LIMIT);
        match call(50 * LIMIT).send_blocking() {
            Err(_) => {}
            // The head may be late on a busy machine.
            Ok(answer) => assert_eq!(answer.status, 413),
        }
    }
}

#[test]
fn too_large_a_body_is_neither_repeated_nor_copied() {
    let (echo, copy) = (Echo::start("a"), Echo::start("copy"));
    let telemetry = Telemetry::default();
    let proxy = start_with(|_| (), &telemetry);
    let mut config = limited(&echo, |forward| {
        forward.retry = Some(Retry {
            retries: 3,
            backoff: None,
            on: RetryOn {
                connect: true,
                timeout: true,
                statuses: vec![StatusCode::SERVICE_UNAVAILABLE],
                any_5xx: true,
            },
            non_idempotent: true,
            spares_lost: false,
        });
    });
    let mirror = Mirror {
        cluster: ir::ClusterKey("copy".into()),
        fraction: Fraction::ALL,
    };
    let Action::Forward(forward) = config.routes[0].rule.action.clone() else {
        unreachable!()
    };
    config.routes = vec![route(
        "/",
        vec![Phase::MaxBody(LIMIT as u64), Phase::Mirror(mirror)],
        Action::Forward(forward),
    )];
    config.clusters.push(cluster("copy", &[copy.address()]));
    serve(&proxy, config.ir());
    for http2 in [false, true] {
        let call = post(&proxy, 2 * LIMIT).chunked();
        let answer = sent(if http2 { call.http2() } else { call });
        assert_eq!(answer.status, 413);
    }
    eventually("both copies are dropped", || {
        telemetry.metrics.encode().contains("\"mirror_dropped\"} 2")
    });
    assert_eq!(copy.hits(), 0);
    let metrics = telemetry.metrics.encode();
    assert!(
        metrics
            .lines()
            .any(|line| line.starts_with("postern_upstream_attempts")
                && line.ends_with("\"body_too_large\"} 2")),
        "an attempt each: {metrics}"
    );
    assert!(
        echo.hits() <= 2,
        "the backend may not even have seen the head"
    );
    // A body within the limit is read once, sent as often as it takes, and counted once.
    let url = "http://a.com/?fail=2&id=once";
    let call = Call::new(http(&proxy), "POST", url).body(vec![b'x'; LIMIT * 2 / 5]);
    let answer = sent(call.chunked());
    assert_eq!(answer.json()["bodyBytes"], LIMIT * 2 / 5);
}
