//! Requests through real sockets: forwarding, retries, deadlines, mirrors, upgrades, bodies.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    time::{Duration, Instant},
};

use crate::support::{Config1, Phase, cluster, forward, http, route, serve, simple, start};
use http::StatusCode;
use ir::{
    Action, Backend, Balance, ClusterKey, Endpoint, Fraction, Mirror, Reason, Retry, RetryOn,
    Target, Timeouts, Upstream,
};
use testkit::{
    call::{Answer, Call, raw},
    echo::{Backend as Echo, unused_address},
    held::Held,
    wait::eventually,
};

fn get(proxy: &proxy::Proxy, target: &str) -> Answer {
    Call::get(http(proxy), &format!("http://a.com{target}"))
        .send_blocking()
        .unwrap()
}

fn retry(retries: u32, statuses: &[u16]) -> Retry {
    Retry {
        retries,
        backoff: None,
        on: RetryOn {
            connect: true,
            timeout: true,
            statuses: statuses
                .iter()
                .map(|s| StatusCode::from_u16(*s).unwrap())
                .collect(),
            any_5xx: false,
        },
        non_idempotent: false,
        spares_lost: false,
    }
}

#[test]
fn a_request_reaches_its_backend_and_says_who_asked() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(&proxy, simple(echo.address()).ir());
    let answer = Call::get(http(&proxy), "http://a.com/x?y=z")
        .header("x-forwarded-for", "6.6.6.6")
        .header("connection", "x-secret")
        .header("x-secret", "1")
        .send_blocking()
        .unwrap();
    let told = answer.json();
    assert_eq!(
        (told["path"].as_str(), told["host"].as_str()),
        (Some("/x?y=z"), Some("a.com"))
    );
    assert_eq!(
        told["headers"]["x-forwarded-for"],
        serde_json::json!(["127.0.0.1"]),
        "what clients say is replaced"
    );
    assert_eq!(told["headers"]["x-forwarded-proto"][0], "http");
    assert!(
        told["headers"]["x-secret"].is_null(),
        "named by Connection, so for one connection only"
    );
}

#[test]
fn every_worker_and_every_protocol_in_and_out() {
    let echo = Echo::start("a");
    for upstream in [Upstream::Http1, Upstream::Http2] {
        let proxy = start(|_| ());
        let mut config = simple(echo.address());
        config.clusters[0].upstream = upstream;
        serve(&proxy, config.ir());
        for http2 in [false, true] {
            for _ in 0..8 {
                let call = Call::new(http(&proxy), "POST", "http://a.com/x").body("hello");
                let answer = if http2 { call.http2() } else { call }
                    .send_blocking()
                    .unwrap();
                let expected = if upstream == Upstream::Http2 {
                    "HTTP/2.0"
                } else {
                    "HTTP/1.1"
                };
                assert_eq!(answer.json()["proto"], expected);
                assert_eq!(
                    (
                        answer.json()["bodyBytes"].as_u64(),
                        answer.json()["host"].as_str()
                    ),
                    (Some(5), Some("a.com"))
                );
            }
        }
    }
}

#[test]
fn bodies_stream_both_ways_and_trailers_pass() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let mut config = simple(echo.address());
    config.clusters[0].upstream = Upstream::Http2;
    serve(&proxy, config.ir());
    let big = vec![b'y'; 3_000_000];
    let answer = Call::new(http(&proxy), "POST", "http://a.com/echo")
        .body(big.clone())
        .http2()
        .send_blocking()
        .unwrap();
    assert!(answer.body == big);
    let answer = Call::get(http(&proxy), "http://a.com/?trailers=1")
        .http2()
        .send_blocking()
        .unwrap();
    assert_eq!(answer.trailers.unwrap()["x-trailer"], "end");
    assert_eq!(get(&proxy, "/?body=1000000").body.len(), 1_000_000);
}

#[test]
fn what_cannot_be_served_has_a_status_and_a_word() {
    let proxy = start(|config| config.deadlines.connect = Duration::from_millis(300));
    let echo = Echo::start("a");
    let mut config = simple(echo.address());
    let action = |cluster: &str| Action::Forward(forward(cluster));
    config.routes = vec![
        route("/ok", vec![], action("a")),
        route("/down", vec![], action("down")),
        route("/empty", vec![], action("empty")),
        route("/reset", vec![], action("a")),
        route(
            "/none",
            vec![],
            Action::Respond {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                reason: Reason::NoBackend,
            },
        ),
    ];
    config.clusters.push(cluster("down", &[unused_address()]));
    config.clusters.push(cluster("empty", &[]));
    serve(&proxy, config.ir());
    for (target, status, word) in [
        ("/other", 404, "no_route"),
        ("/down", 503, "connect_failed"),
        ("/empty", 503, "no_endpoint"),
        ("/none", 500, "no_backend"),
        ("/reset?reset=1", 502, "upstream_closed"),
        ("/ok%00", 400, "bad_request"),
    ] {
        let answer = get(&proxy, target);
        assert_eq!(
            (answer.status.as_u16(), &*answer.body),
            (status, word.as_bytes()),
            "{target}"
        );
    }
    assert_eq!(
        get(&proxy, "/x/../ok").json()["path"],
        "/ok",
        "dot segments are resolved for match and backend alike"
    );
}

#[test]
fn retries_follow_the_rule() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let mut config = simple(echo.address());
    let mut action = forward("a");
    action.retry = Some(retry(2, &[502]));
    config.routes = vec![route("/", vec![], Action::Forward(action))];
    serve(&proxy, config.ir());
    assert_eq!(get(&proxy, "/?fail=2&id=a&status=502").status, 200);
    assert_eq!(echo.hits(), 3, "two retries");
    assert_eq!(
        get(&proxy, "/?fail=9&id=b&status=502").status,
        502,
        "the last answer is passed on"
    );
    assert_eq!(echo.hits(), 6);
    assert_eq!(
        get(&proxy, "/?fail=1&id=c&status=503").status,
        503,
        "another status is not"
    );
    assert_eq!(echo.hits(), 7);
    let post = |id: &str| {
        let url = format!("http://a.com/?fail=1&id={id}&status=502");
        Call::new(http(&proxy), "POST", &url)
            .body("hello")
            .send_blocking()
            .unwrap()
    };
    assert_eq!(post("d").status, 502, "POST is not repeated");
    let mut action = forward("a");
    action.retry = Some(Retry {
        non_idempotent: true,
        ..retry(2, &[502])
    });
    config.routes = vec![route("/", vec![], Action::Forward(action))];
    serve(&proxy, config.ir());
    let answer = post("e");
    assert_eq!(
        (answer.status.as_u16(), answer.json()["bodyBytes"].as_u64()),
        (200, Some(5)),
        "the body is sent again"
    );
    let url = "http://a.com/?fail=1&id=f&status=502";
    let long = Call::new(http(&proxy), "POST", url)
        .body(vec![b'x'; 100_000])
        .send_blocking()
        .unwrap();
    assert_eq!(long.status, 502, "a body beyond the replay buffer is not");
}

#[test]
fn a_refused_connection_is_tried_elsewhere() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let mut config = simple(echo.address());
    config.clusters = vec![cluster("a", &[unused_address(), echo.address()])];
    let mut action = forward("a");
    action.retry = Some(retry(1, &[]));
    config.routes = vec![route("/", vec![], Action::Forward(action))];
    serve(&proxy, config.ir());
    for _ in 0..6 {
        assert_eq!(get(&proxy, "/").status, 200);
    }
}

#[test]
fn a_pooled_connection_that_died_costs_nothing() {
    let echo = Echo::builder().close_idle_after(1).start("a");
    let proxy = start(|config| config.workers = 1);
    serve(&proxy, simple(echo.address()).ir());
    for at in 0..50 {
        assert_eq!(get(&proxy, "/").status, 200, "request {at}");
    }
}

#[test]
fn deadlines_answer_504() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let with = |timeouts: Timeouts, retries: Option<Retry>| {
        let mut config = simple(echo.address());
        let mut action = forward("a");
        (action.timeouts, action.retry) = (timeouts, retries);
        config.routes = vec![route("/", vec![], Action::Forward(action))];
        config.ir()
    };
    let short = Some(Duration::from_millis(150));
    serve(
        &proxy,
        with(
            Timeouts {
                request: short,
                attempt: None,
            },
            None,
        ),
    );
    let start = Instant::now();
    let answer = get(&proxy, "/?delay=3000");
    assert_eq!(
        (answer.status.as_u16(), &*answer.body),
        (504, &b"request_timeout"[..])
    );
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(get(&proxy, "/").status, 200);
    serve(
        &proxy,
        with(
            Timeouts {
                request: None,
                attempt: short,
            },
            Some(retry(1, &[])),
        ),
    );
    let before = echo.hits();
    let answer = get(&proxy, "/?delay=3000");
    assert_eq!(
        (answer.status.as_u16(), &*answer.body),
        (504, &b"attempt_timeout"[..])
    );
    assert_eq!(echo.hits() - before, 2, "each attempt has its own");
}

#[test]
fn weights_are_exact_over_all_workers() {
    let (a, b, c) = (Echo::start("a"), Echo::start("b"), Echo::start("c"));
    let proxy = start(|_| ());
    let mut config = simple(a.address());
    config.clusters.push(cluster("b", &[b.address()]));
    config.clusters.push(cluster("c", &[c.address()]));
    let mut action = forward("a");
    action.backends = [("a", 50), ("b", 30), ("c", 20)]
        .map(|(name, weight)| Backend {
            weight: NonZeroU32::new(weight).unwrap(),
            target: Target::Cluster(ClusterKey(name.into())),
            request: vec![],
            response: vec![],
            url: None,
        })
        .into();
    config.routes = vec![route("/", vec![], Action::Forward(action))];
    serve(&proxy, config.ir());
    let mut counts = BTreeMap::new();
    for at in 0..200 {
        if at == 70 {
            serve(&proxy, config.ir());
        }
        *counts
            .entry(get(&proxy, "/").backend().to_owned())
            .or_insert(0) += 1;
    }
    let expected = [("a", 100), ("b", 60), ("c", 40)].map(|(n, c)| (n.to_owned(), c));
    assert_eq!(
        counts,
        expected.into(),
        "a swap in between does not start the count anew"
    );
}

#[test]
fn mirrors_get_copies_and_harm_nobody() {
    let (main, mirror) = (Echo::start("main"), Echo::start("mirror"));
    let proxy = start(|_| ());
    let mut config = simple(main.address());
    config.clusters.push(cluster("mirror", &[mirror.address()]));
    config.clusters.push(cluster("down", &[unused_address()]));
    let copy = |cluster: &str, part, of| {
        let fraction = Fraction::new(part, NonZeroU32::new(of).unwrap()).unwrap();
        Phase::Mirror(Mirror {
            cluster: ClusterKey(cluster.into()),
            fraction,
        })
    };
    let filters = vec![copy("mirror", 1, 4), copy("down", 1, 1)];
    config.routes = vec![route("/", filters, Action::Forward(forward("a")))];
    serve(&proxy, config.ir());
    for at in 0..40 {
        let url = format!("http://a.com/copy?n={at}");
        let answer = Call::new(http(&proxy), "POST", &url)
            .body("hello")
            .send_blocking()
            .unwrap();
        assert_eq!((answer.status.as_u16(), answer.backend()), (200, "main"));
    }
    eventually("a quarter of the requests at the mirror", || {
        mirror.seen().len() == 10
    });
    assert!(
        mirror
            .seen()
            .iter()
            .all(|seen| seen.body == 5 && seen.target.starts_with("/copy?n="))
    );
}

#[test]
fn upgrades_become_tunnels() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(&proxy, simple(echo.address()).ir());
    let head = b"GET /ws HTTP/1.1\r\nHost: a.com\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\nping";
    let text =
        String::from_utf8_lossy(&raw(http(&proxy), head, Duration::from_millis(500))).into_owned();
    assert!(
        text.starts_with("HTTP/1.1 101")
            && text.contains("upgrade: websocket")
            && text.ends_with("ping"),
        "{text}"
    );
    let smuggled = b"GET / HTTP/1.1\r\nHost: a.com\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let text = String::from_utf8_lossy(&raw(http(&proxy), smuggled, Duration::from_millis(500)))
        .into_owned();
    assert!(
        text.starts_with("HTTP/1.1 200"),
        "HTTP/2 by upgrade would bypass us: {text}"
    );
}

#[test]
fn a_backend_on_this_machine_is_asked_only_where_the_operator_lets_it() {
    let echo = Echo::start("a");
    let mut by_name = simple(echo.address());
    by_name.clusters[0].endpoints = [Endpoint::Name {
        host: "localhost".into(),
        port: echo.address().port(),
    }]
    .into();
    let by_address = simple(echo.address());
    for config in [by_address, by_name] {
        for (allowed, status) in [(true, 200), (false, 503)] {
            let proxy = start(|config| config.local_backends = allowed);
            serve(&proxy, config.ir());
            let answer = get(&proxy, "/");
            assert_eq!(answer.status, status, "{:?}", config.clusters[0]);
            if !allowed {
                assert_eq!(answer.body, "connect_failed");
            }
        }
    }
    assert_eq!(echo.hits(), 2);
    let proxy = start(|config| config.private = vec![echo.address()]);
    serve(&proxy, simple(echo.address()).ir());
    assert_eq!(get(&proxy, "/").status, 503);
    let other = Echo::start("b");
    serve(&proxy, simple(other.address()).ir());
    assert_eq!(get(&proxy, "/").status, 200);
    assert_eq!(echo.hits(), 2);
}

/// The endpoint's next request may be chosen on another worker before the client's last byte is off this one's hands.
#[test]
fn an_endpoint_that_has_answered_is_free() {
    let echoes = [Echo::start("a"), Echo::start("b"), Echo::start("c")];
    let addresses = echoes.each_ref().map(Echo::address);
    let mut free = cluster("a", &addresses);
    free.balance = Balance::LeastRequest;
    let proxy = start(|_| ());
    let routes = vec![route("/", vec![], Action::Forward(forward("a")))];
    let clusters = vec![free];
    serve(&proxy, Config1 { routes, clusters }.ir());
    let address = http(&proxy);
    let busy = [(); 2].map(|()| Held::begin(address, "a.com", "/"));
    let hits = || echoes.iter().map(Echo::hits).sum::<usize>();
    eventually("the held requests arrive", || hits() == 2);
    let mut met = BTreeSet::new();
    for _ in 0..2_000 {
        let answer = Call::get(address, "http://a.com/").send_blocking().unwrap();
        met.insert(answer.backend().to_owned());
    }
    let busy = busy.map(Held::end);
    assert_ne!(busy[0], busy[1]);
    assert_eq!(met.len(), 1, "{met:?} while {busy:?} were busy");
}
