//! What a rule counts by client, over real sockets: rates, requests in flight, and whom the access log is about.

use std::{io::Write, net::SocketAddr, num::NonZeroU32, sync::Arc, thread::JoinHandle};

use http::StatusCode;
use ir::{Action, ConcurrencyLimit, RateLimit, RateUnit};
use proxy::Proxy;
use testkit::{
    call::{Answer, Call},
    echo::Backend as Echo,
    wait::eventually,
};

use crate::{
    logged::Logged,
    support::{Config1, Phase, cluster, forward, http, route, serve, start, start_with},
};

const A: &str = "203.0.113.1";
const B: &str = "203.0.113.2";

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

/// So many at once, and none comes back while a test lasts.
fn rate(burst: u32, per_client: bool) -> RateLimit {
    RateLimit {
        requests: number(1),
        unit: RateUnit::Hour,
        burst: number(burst),
        per_client,
        exempt: vec![],
    }
}

fn concurrency(requests: u32) -> ConcurrencyLimit {
    ConcurrencyLimit {
        requests: number(requests),
        exempt: vec!["198.51.100.0/24".parse().unwrap()],
    }
}

fn config(echo: &Echo, filters: Vec<Phase>) -> Config1 {
    Config1 {
        routes: vec![route("/", filters, Action::Forward(forward("a")))],
        clusters: vec![cluster("a", &[echo.address()])],
    }
}

/// A data plane behind a proxy that it believes.
fn behind_proxy() -> Proxy {
    start(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()])
}

fn ask(address: SocketAddr, client: &str, target: &str) -> Answer {
    Call::get(address, &format!("http://a.com{target}"))
        .header("x-forwarded-for", client)
        .send_blocking()
        .unwrap()
}

fn passes(proxy: &Proxy, client: &str) -> bool {
    match ask(http(proxy), client, "/").status {
        StatusCode::OK => true,
        StatusCode::TOO_MANY_REQUESTS => false,
        other => panic!("{other}"),
    }
}

#[test]
fn a_client_behind_a_trusted_proxy_has_a_bucket_of_its_own() {
    let echo = Echo::start("a");
    let proxy = behind_proxy();
    let filters = vec![Phase::Rate(rate(2, true))];
    serve(&proxy, config(&echo, filters.clone()).ir());
    assert!(passes(&proxy, A) && passes(&proxy, A) && !passes(&proxy, A));
    assert!(
        !passes(&proxy, &format!("6.6.6.6, {A}")),
        "what a client claims before the proxy's word changes nothing"
    );
    assert!(passes(&proxy, B));
    // Nobody vouches for the header here, so all are one client: the one that connects.
    let direct = start(|_| ());
    serve(&direct, config(&echo, filters).ir());
    assert!(passes(&direct, A) && passes(&direct, B) && !passes(&direct, "203.0.113.3"));
}

#[test]
fn limits_of_a_rule_hold_together() {
    let echo = Echo::start("a");
    let proxy = behind_proxy();
    let filters = [rate(2, true), rate(4, true), rate(3, false)].map(Phase::Rate);
    serve(&proxy, config(&echo, filters.into()).ir());
    assert!(passes(&proxy, A) && passes(&proxy, A));
    assert!((0..5).all(|_| !passes(&proxy, A)), "its own is used up");
    assert!(passes(&proxy, B), "which cost the others nothing");
    assert!(!passes(&proxy, "203.0.113.3"), "the rule's is used up");
}

#[test]
fn buckets_outlive_what_does_not_concern_them() {
    let echo = Echo::start("a");
    let proxy = behind_proxy();
    let (client, rule) = (rate(2, true), rate(9, false));
    let before = [client.clone(), rule.clone()].map(Phase::Rate);
    serve(&proxy, config(&echo, before.into()).ir());
    assert!(passes(&proxy, A) && passes(&proxy, A));
    // Another order, somebody exempt, one more limit, and a rule in front.
    let mut exempt = client;
    exempt.exempt = vec!["198.51.100.0/24".parse().unwrap()];
    let after = [rule, rate(8, true), exempt].map(Phase::Rate);
    let mut config = config(&echo, after.into());
    let other = route("/other", vec![], Action::Forward(forward("a")));
    config.routes.insert(0, other);
    serve(&proxy, config.ir());
    assert!(!passes(&proxy, A), "nothing was poured in");
    assert!((0..5).all(|_| passes(&proxy, "198.51.100.7")));
}

/// Requests that last until the backend has slept.
fn slow(proxy: &Proxy, client: &'static str) -> JoinHandle<StatusCode> {
    let address = http(proxy);
    std::thread::spawn(move || ask(address, client, "/?delay=3000").status)
}

#[test]
fn a_client_has_only_so_many_requests_in_flight() {
    let echo = Echo::start("a");
    let proxy = behind_proxy();
    serve(
        &proxy,
        config(&echo, vec![Phase::Concurrency(concurrency(2))]).ir(),
    );
    let busy = [slow(&proxy, A), slow(&proxy, A)];
    eventually("both requests arrive", || echo.hits() == 2);
    let refused = ask(http(&proxy), A, "/");
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(&refused.body[..], b"concurrency_limited");
    assert_eq!(refused.header("retry-after"), "1");
    assert!(passes(&proxy, B));
    // Counts outlive a change of the limit.
    let mut changed = config(&echo, vec![Phase::Concurrency(concurrency(1))]);
    changed
        .routes
        .push(route("/other", vec![], Action::Forward(forward("a"))));
    serve(&proxy, changed.ir());
    assert!(!passes(&proxy, A) && passes(&proxy, B));
    assert!(passes(&proxy, "198.51.100.7"), "exempt");
    for busy in busy {
        assert_eq!(busy.join().unwrap(), StatusCode::OK);
    }
    eventually("the requests are over", || passes(&proxy, A));
}

#[test]
fn a_client_that_leaves_makes_room() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(
        &proxy,
        config(&echo, vec![Phase::Concurrency(concurrency(1))]).ir(),
    );
    let mut stream = std::net::TcpStream::connect(http(&proxy)).unwrap();
    stream
        .write_all(b"GET /?delay=60000 HTTP/1.1\r\nHost: a.com\r\n\r\n")
        .unwrap();
    eventually("the request arrives", || echo.hits() == 1);
    assert!(!passes(&proxy, A));
    drop(stream);
    eventually("there is room", || passes(&proxy, A));
}

#[test]
fn rules_may_stay_out_of_the_access_log() {
    let echo = Echo::start("a");
    let logged = Logged::new();
    let proxy = start_with(|_| (), &logged.telemetry);
    let mut config = config(&echo, vec![]);
    let mut quiet = route("/quiet", vec![], Action::Forward(forward("a")));
    let mut rule = (*quiet.rule).clone();
    rule.unlogged = true;
    quiet.rule = Arc::new(rule);
    config.routes.push(quiet);
    serve(&proxy, config.ir());
    for target in ["/quiet", "/loud", "/quiet/2"] {
        assert_eq!(ask(http(&proxy), A, target).status, StatusCode::OK);
    }
    // A request's account ends after its answer.
    eventually("all are counted", || {
        let metrics = logged.telemetry.metrics.encode();
        let counted =
            |line: &str| line.starts_with("postern_requests_total") && line.ends_with(" 3");
        metrics.lines().any(counted)
    });
    eventually("what is logged is written", || !logged.lines().is_empty());
    let lines = logged.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["path"], "/loud");
}
