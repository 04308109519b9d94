//! Backends that have names: how often these are looked up, and which of their addresses are used.

use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use http::{Method, StatusCode};
use ir::{
    Action, AuthCookies, Cluster, ClusterKey, Endpoint, ExternalAuth, Fallback, Fraction, Mirror,
    Retry, RetryOn, Template, Upstream, Variable,
};
use proxy::{Config, Proxy, Telemetry};
use testkit::{
    call::{Answer, Call, raw},
    dns::Dns,
    echo::Backend as Echo,
    stream::TcpBackend,
    wait::eventually,
};

use crate::{
    streams::{connect, echoed, line, rule, tcp},
    support::{Config1, Phase, cluster, forward, http, route, serve, start, start_with},
};

const NAME: &str = "app.test";

fn named(host: &str, port: u16) -> Endpoint {
    let host = host.into();
    Endpoint::Name { host, port }
}

/// A cluster of one endpoint with a name.
fn behind(name: &str, host: &str, port: u16) -> Cluster {
    let mut cluster = cluster(name, &[]);
    cluster.endpoints = [named(host, port)].into();
    cluster
}

/// Everything to the name, at this port.
fn to(port: u16) -> Config1 {
    Config1 {
        routes: vec![route("/", vec![], Action::Forward(forward("a")))],
        clusters: vec![behind("a", NAME, port)],
    }
}

fn asks(dns: &Dns) -> impl Fn(&mut Config) {
    let server = dns.address();
    move |config| config.name_servers = vec![server]
}

fn get(proxy: &Proxy) -> Answer {
    let call = Call::get(http(proxy), "http://a.com/");
    call.send_blocking().unwrap()
}

/// Backends at one port of several addresses of this machine.
fn side_by_side<const N: usize>(builder: impl Fn() -> testkit::echo::Builder) -> [Echo; N] {
    let addresses: [IpAddr; N] = std::array::from_fn(|n| {
        let last = u8::try_from(n + 1).unwrap();
        [127, 0, 0, last].into()
    });
    // A port that is free at the first may be taken at another.
    let free = (0..50).find_map(|_| {
        let first = TcpListener::bind((addresses[0], 0)).ok()?;
        let port = first.local_addr().ok()?.port();
        let others = addresses[1..].iter();
        let others: Result<Vec<_>, _> = others.map(|ip| TcpListener::bind((*ip, port))).collect();
        others.ok().map(|_| port)
    });
    let port = free.unwrap();
    std::array::from_fn(|n| {
        let name = char::from(b'a' + u8::try_from(n).unwrap());
        let builder = builder().at(SocketAddr::new(addresses[n], port));
        builder.start(&name.to_string())
    })
}

fn count(telemetry: &Telemetry, series: &str) -> u64 {
    let text = telemetry.metrics.encode();
    let mut counts = text.lines().filter_map(|line| line.strip_prefix(series));
    counts
        .next()
        .map_or(0, |count| count.trim().parse().unwrap())
}

fn lookups(telemetry: &Telemetry, word: &str) -> u64 {
    count(
        telemetry,
        &format!("postern_lookups_total{{result=\"{word}\"}}"),
    )
}

#[test]
fn many_requests_are_one_lookup() {
    let (dns, echo) = (Dns::start(), Echo::start("a"));
    dns.says(NAME, &["127.0.0.1"], 60);
    for upstream in [Upstream::Http1, Upstream::Http2] {
        let before = dns.asked(NAME);
        let telemetry = Telemetry::default();
        let proxy = start_with(asks(&dns), &telemetry);
        let mut config = to(echo.address().port());
        config.clusters[0].upstream = upstream;
        serve(&proxy, config.ir());
        assert_eq!(dns.asked(NAME), before, "nobody has used it");
        let request = "GET / HTTP/1.1\r\nHost: a.com\r\n\r\n".repeat(51);
        let answers = raw(http(&proxy), request.as_bytes(), Duration::from_millis(500));
        let answers = String::from_utf8(answers).unwrap();
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 51);
        (0..50).for_each(|_| assert_eq!(get(&proxy).status, 200));
        assert_eq!(dns.asked(NAME) - before, 1, "{upstream:?}");
        assert_eq!(lookups(&telemetry, "found"), 1);
    }
}

#[test]
fn those_who_ask_at_once_wait_for_one_lookup() {
    let (dns, echo) = (Dns::start(), Echo::start("a"));
    dns.says(NAME, &["127.0.0.1"], 60);
    dns.takes(Duration::from_millis(300));
    let telemetry = Telemetry::default();
    let proxy = Arc::new(start_with(asks(&dns), &telemetry));
    serve(&proxy, to(echo.address().port()).ir());
    let clients = (0..20).map(|_| {
        let proxy = Arc::clone(&proxy);
        std::thread::spawn(move || get(&proxy).status)
    });
    let clients: Vec<_> = clients.collect();
    for client in clients {
        assert_eq!(client.join().unwrap(), 200);
    }
    // The server may have been asked again: a question over UDP is repeated after a third of a second.
    assert_eq!(lookups(&telemetry, "found"), 1);
}

#[test]
fn connections_take_turns_over_all_addresses() {
    let dns = Dns::start();
    let [a, b] = side_by_side(|| Echo::builder().close_idle_after(1));
    // Nobody listens at the third.
    dns.says(NAME, &["127.0.0.1", "127.0.0.2", "127.0.0.3"], 60);
    let telemetry = Telemetry::default();
    let proxy = start_with(asks(&dns), &telemetry);
    serve(&proxy, to(a.address().port()).ir());
    (0..30).for_each(|_| assert_eq!(get(&proxy).status, 200));
    // The third's turn falls to the one behind it.
    let hits = [a.hits(), b.hits()];
    assert!(hits.iter().all(|hits| *hits >= 7), "{hits:?}");
    assert_eq!(dns.asked(NAME), 1);
    let failed = count(
        &telemetry,
        "postern_upstream_attempts_total{result=\"connect_failed\"}",
    );
    assert_eq!(failed, 0, "an attempt tries them all");
}

#[test]
fn two_addresses_have_as_many_connections_each() {
    let (dns, telemetry) = (Dns::start(), Telemetry::default());
    let [a, b] = side_by_side(|| Echo::builder().close_idle_after(1));
    dns.says(NAME, &["127.0.0.1", "127.0.0.2"], 60);
    let proxy = start_with(asks(&dns), &telemetry);
    serve(&proxy, to(a.address().port()).ir());
    (0..30).for_each(|_| assert_eq!(get(&proxy).status, 200));
    let connections = [a.connections(), b.connections()];
    assert!(
        connections[0].abs_diff(connections[1]) <= 1,
        "{connections:?}"
    );
}

#[test]
fn an_idle_connection_to_any_address_is_used() {
    let dns = Dns::start();
    let [a, b, c] = side_by_side(Echo::builder);
    dns.says(NAME, &["127.0.0.1", "127.0.0.2", "127.0.0.3"], 60);
    let proxy = start(|config| {
        asks(&dns)(config);
        config.workers = 1;
    });
    serve(&proxy, to(a.address().port()).ir());
    (0..20).for_each(|_| assert_eq!(get(&proxy).status, 200));
    let connections = [&a, &b, &c].map(Echo::connections);
    assert_eq!(connections.iter().sum::<usize>(), 1, "{connections:?}");
}

#[test]
fn who_waits_for_an_http2_connection_finds_it_at_the_address_that_answered() {
    let dns = Dns::start();
    let [gone, echo] = side_by_side(Echo::builder);
    let port = gone.address().port();
    drop(gone);
    dns.says(NAME, &["127.0.0.1", "127.0.0.2"], 60);
    dns.takes(Duration::from_millis(100));
    let proxy = Arc::new(start(|config| {
        asks(&dns)(config);
        config.workers = 1;
    }));
    let mut config = to(port);
    config.clusters[0].upstream = Upstream::Http2;
    serve(&proxy, config.ir());
    let clients = (0..20).map(|_| {
        let proxy = Arc::clone(&proxy);
        std::thread::spawn(move || get(&proxy).status)
    });
    let clients: Vec<_> = clients.collect();
    for client in clients {
        assert_eq!(client.join().unwrap(), 200);
    }
    let connections = echo.connections();
    assert!(connections <= 2, "one for each address: {connections}");
    (0..20).for_each(|_| assert_eq!(get(&proxy).status, 200));
    assert_eq!(echo.connections(), connections);
}

#[test]
fn an_address_that_does_not_answer_holds_nothing_up() {
    let dns = Dns::start();
    let [silent, b] = side_by_side(|| Echo::builder().close_idle_after(1));
    let port = b.address().port();
    drop(silent);
    let full = full_queue(([127, 0, 0, 1], port).into());
    dns.says(NAME, &["127.0.0.1", "127.0.0.2"], 60);
    let proxy = start(|config| {
        asks(&dns)(config);
        // Not before this test is over.
        config.deadlines.connect = Duration::from_secs(600);
    });
    serve(&proxy, to(port).ir());
    for _ in 0..4 {
        let answer = get(&proxy);
        assert_eq!((answer.status.as_u16(), answer.backend()), (200, "b"));
    }
    drop(full);
}

/// A socket whose queue is full, so that the kernel answers nobody who connects.
fn full_queue(address: SocketAddr) -> Vec<socket2::Socket> {
    use socket2::{Domain, Socket, Type};
    let make = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let listener = make();
    listener.set_reuse_address(true).unwrap();
    eventually("the address is free", || {
        listener.bind(&address.into()).is_ok()
    });
    listener.listen(0).unwrap();
    let mut held = vec![listener];
    loop {
        let client = make();
        let connected = client.connect_timeout(&address.into(), Duration::from_millis(300));
        if connected.is_err() {
            return held;
        }
        held.push(client);
        assert!(held.len() < 50, "the queue is never full");
    }
}

#[test]
fn a_name_that_moves_is_followed_when_its_time_is_over() {
    let dns = Dns::start();
    let [a, b] = side_by_side(Echo::builder);
    dns.says(NAME, &["127.0.0.1"], 1);
    let proxy = start(asks(&dns));
    serve(&proxy, to(a.address().port()).ir());
    assert_eq!(get(&proxy).backend(), "a");
    dns.says(NAME, &["127.0.0.2"], 60);
    eventually("requests go where the name is now", || {
        get(&proxy).backend() == "b"
    });
    assert_eq!(dns.asked(NAME), 2, "while idle connections were there");
    assert_eq!(get(&proxy).backend(), "b");
    drop(b);
}

#[test]
fn addresses_that_were_known_are_used_while_lookups_fail() {
    let dns = Dns::start();
    let echo = Echo::builder().close_idle_after(1).start("a");
    dns.says(NAME, &["127.0.0.1"], 1);
    let telemetry = Telemetry::default();
    let proxy = start_with(asks(&dns), &telemetry);
    serve(&proxy, to(echo.address().port()).ir());
    assert_eq!(get(&proxy).status, 200);
    dns.fails(NAME);
    let mut served = 0;
    eventually("a lookup fails", || {
        assert_eq!(get(&proxy).status, 200);
        served += 1;
        lookups(&telemetry, "failed") > 0
    });
    (0..20).for_each(|_| assert_eq!(get(&proxy).status, 200));
    assert!(echo.connections() > 20, "each on a connection of its own");
    assert_eq!(lookups(&telemetry, "failed"), 1, "not for every request");
}

#[test]
fn a_name_without_address_is_asked_for_now_and_then() {
    let (dns, echo) = (Dns::start(), Echo::start("a"));
    let telemetry = Telemetry::default();
    let proxy = start_with(asks(&dns), &telemetry);
    serve(&proxy, to(echo.address().port()).ir());
    for _ in 0..50 {
        let answer = get(&proxy);
        assert_eq!(answer.status, 503);
        assert_eq!(&answer.body[..], b"connect_failed");
    }
    assert_eq!((dns.asked(NAME), lookups(&telemetry, "none")), (1, 1));
    let failed = "postern_upstream_attempts_total{result=\"connect_failed\"}";
    assert_eq!(count(&telemetry, failed), 50, "each is an attempt");
    dns.says(NAME, &["127.0.0.1"], 60);
    eventually("it is known by and by", || get(&proxy).status == 200);
}

#[test]
fn a_server_that_says_nothing_holds_a_request_only_so_long() {
    let (dns, echo) = (Dns::start(), Echo::start("a"));
    dns.keeps_silent(NAME);
    let proxy = start(|config| {
        asks(&dns)(config);
        config.deadlines.connect = Duration::from_millis(300);
    });
    serve(&proxy, to(echo.address().port()).ir());
    let answer = get(&proxy);
    assert_eq!(
        (answer.status.as_u16(), &answer.body[..]),
        (504, &b"connect_timeout"[..])
    );
    dns.says(NAME, &["127.0.0.1"], 60);
    eventually("the question is asked again", || get(&proxy).status == 200);
}

#[test]
fn no_address_that_is_kept_from_backends_is_dialled_whatever_a_name_says_later() {
    let dns = Dns::start();
    let [private, b] = side_by_side(|| Echo::builder().close_idle_after(1));
    let address = private.address();
    dns.says(NAME, &["127.0.0.1", "127.0.0.2"], 1);
    let telemetry = Telemetry::default();
    let change = |config: &mut Config| {
        asks(&dns)(config);
        config.private = vec![address];
    };
    let proxy = start_with(change, &telemetry);
    serve(&proxy, to(address.port()).ir());
    (0..10).for_each(|_| assert_eq!(get(&proxy).backend(), "b"));
    dns.says(NAME, &["127.0.0.1"], 60);
    eventually("the name has that address alone", || {
        get(&proxy).status == 503
    });
    assert_eq!(&get(&proxy).body[..], b"connect_failed");
    assert_eq!(private.connections(), 0);
    drop(b);
    let proxy = start(|config| {
        asks(&dns)(config);
        config.local_backends = false;
    });
    serve(&proxy, to(address.port()).ir());
    assert_eq!(&get(&proxy).body[..], b"connect_failed");
    assert_eq!(private.connections(), 0);
}

#[test]
fn the_hosts_file_is_honoured() {
    let (dns, echo) = (Dns::start(), Echo::start("a"));
    let proxy = start(asks(&dns));
    let mut config = to(0);
    config.clusters[0].endpoints = [named("localhost", echo.address().port())].into();
    serve(&proxy, config.ir());
    (0..10).for_each(|_| assert_eq!(get(&proxy).status, 200));
    assert_eq!(dns.asked("localhost"), 0);
}

#[test]
fn a_name_that_cannot_be_reached_is_one_endpoint_among_others() {
    let (dns, echo) = (Dns::start(), Echo::start("a"));
    let proxy = start(asks(&dns));
    let mut config = to(0);
    let endpoints = [named("gone.test", 80), Endpoint::Address(echo.address())];
    config.clusters[0].endpoints = endpoints.into();
    serve(&proxy, config.ir());
    (0..6).for_each(|_| assert_eq!(get(&proxy).status, 200));
    let retry = Retry {
        retries: 0,
        backoff: None,
        on: RetryOn {
            connect: false,
            timeout: false,
            statuses: vec![],
            any_5xx: false,
        },
        non_idempotent: false,
        spares_lost: false,
    };
    let mut action = forward("a");
    action.retry = Some(retry);
    config.routes = vec![route("/", vec![], Action::Forward(action))];
    serve(&proxy, config.ir());
    let statuses: Vec<_> = (0..6).map(|_| get(&proxy).status.as_u16()).collect();
    assert!(
        statuses.contains(&503) && statuses.contains(&200),
        "{statuses:?}"
    );
    assert_eq!(dns.asked("gone.test"), 1);
}

#[test]
fn whoever_is_asked_beside_the_backend_is_looked_up_once_too() {
    let dns = Dns::start();
    let [app, auth, copy, page] = ["app", "auth", "copy", "page"].map(|name| {
        dns.says(&format!("{name}.test"), &["127.0.0.1"], 60);
        Echo::builder().close_idle_after(1).start(name)
    });
    let asked = ExternalAuth {
        cluster: ClusterKey("auth".into()),
        method: Some(Method::GET),
        host: None,
        target: Template::parse("/", None).unwrap(),
        sent: None,
        only_200: false,
        copied: Some(vec![]),
        sign_in: None,
        back_to: Template::prefixed("", Variable::RequestUri),
        cookies: AuthCookies::Successes,
        timeout: Duration::from_secs(5),
    };
    let mirror = Mirror {
        cluster: ClusterKey("copy".into()),
        fraction: Fraction::ALL,
    };
    let mut action = forward("app");
    action.fallback = Some(Fallback {
        clusters: vec![ClusterKey("page".into())],
        statuses: vec![StatusCode::BAD_GATEWAY],
        told: None,
        refusals: false,
    });
    let phases = vec![Phase::ExternalAuth(Arc::new(asked)), Phase::Mirror(mirror)];
    let behind =
        |name: &str, echo: &Echo| behind(name, &format!("{name}.test"), echo.address().port());
    let config = Config1 {
        routes: vec![route("/", phases, Action::Forward(action))],
        clusters: vec![
            behind("app", &app),
            behind("auth", &auth),
            behind("copy", &copy),
            behind("page", &page),
        ],
    };
    let proxy = start(asks(&dns));
    serve(&proxy, config.ir());
    for at in 0..10 {
        let url = format!("http://a.com/?fail=1&id={at}&status=502");
        let answer = Call::get(http(&proxy), &url).send_blocking().unwrap();
        assert_eq!(answer.backend(), "page");
    }
    eventually("all copies have come", || copy.hits() == 10);
    assert_eq!([&app, &auth, &page].map(Echo::hits), [10; 3]);
    let names = ["app.test", "auth.test", "copy.test", "page.test"];
    assert_eq!(names.map(|name| dns.asked(name)), [1; 4]);
}

#[test]
fn streams_are_looked_up_once_too_and_reach_whichever_address_answers() {
    let (dns, backend) = (Dns::start(), TcpBackend::start("a"));
    dns.says(NAME, &["127.0.0.1", "127.0.0.9"], 60);
    let proxy = start(asks(&dns));
    let cluster = behind("a", NAME, backend.address().port());
    serve(&proxy, tcp(Some(rule("one", &[("a", 1)])), vec![cluster]));
    for _ in 0..10 {
        let mut stream = connect(http(&proxy));
        assert_eq!(line(&mut stream), "a");
        echoed(&mut stream, "hello");
    }
    assert_eq!((backend.connections(), dns.asked(NAME)), (10, 1));
}
