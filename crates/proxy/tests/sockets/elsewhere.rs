//! Connections that cannot be made: another endpoint is tried, also without a rule for retries.

use std::{
    net::{SocketAddr, TcpStream},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use http::{Method, StatusCode};
use ir::{
    Action, AuthCookies, Backend, ClusterKey, ExternalAuth, Fallback, Forward, Retry, RetryOn,
    SessionToken, Target, Template, Variable,
};
use proxy::{Proxy, Telemetry};
use testkit::{
    call::{Answer, Call},
    echo::{Backend as Echo, unused_address},
    wait::eventually,
};

use crate::support::{Config1, Phase, cluster, forward, http, route, serve, start, start_with};

/// Everything to these addresses, one after another.
fn to(addresses: &[SocketAddr], change: impl FnOnce(&mut Forward)) -> Config1 {
    let mut forward = forward("a");
    change(&mut forward);
    Config1 {
        routes: vec![route("/", vec![], Action::Forward(forward))],
        clusters: vec![cluster("a", addresses)],
    }
}

fn dead<const N: usize>() -> [SocketAddr; N] {
    std::array::from_fn(|_| unused_address())
}

fn post(proxy: &Proxy) -> Answer {
    // Longer than what is kept for retries.
    let call = Call::new(http(proxy), "POST", "http://a.com/").body(vec![b'x'; 200_000]);
    call.send_blocking().unwrap()
}

/// How many attempts came to an end with this word.
fn attempts(telemetry: &Telemetry, word: &str) -> u64 {
    let text = telemetry.metrics.encode();
    let start = format!("postern_upstream_attempts_total{{result=\"{word}\"}} ");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(&start));
    lines.next().map_or(0, |count| count.parse().unwrap())
}

#[test]
fn two_more_endpoints_are_tried_with_the_body_that_nobody_has_read() {
    let echo = Echo::start("a");
    let telemetry = Telemetry::default();
    let proxy = start_with(|_| (), &telemetry);
    let [one, two] = dead();
    serve(&proxy, to(&[one, two, echo.address()], |_| ()).ir());
    for at in 0..6 {
        let answer = post(&proxy);
        assert_eq!(answer.status, 200, "request {at}");
        assert_eq!(answer.json()["bodyBytes"], 200_000, "request {at}");
    }
    let answered = || attempts(&telemetry, "answered") == 6;
    eventually("each answer is counted", answered);
    let failed = attempts(&telemetry, "connect_failed");
    assert!((6..=12).contains(&failed), "each attempt counts: {failed}");
}

#[test]
fn no_more_than_two_and_none_twice() {
    let echo = Echo::start("a");
    let telemetry = Telemetry::default();
    let proxy = start_with(|_| (), &telemetry);
    let [one, two, three] = dead();
    let all = [one, two, three, echo.address()];
    serve(&proxy, to(&all, |_| ()).ir());
    let answer = post(&proxy);
    assert_eq!(
        (answer.status.as_u16(), &*answer.body),
        (503, &b"connect_failed"[..])
    );
    assert_eq!(attempts(&telemetry, "connect_failed"), 3);
    serve(&proxy, to(&[one], |_| ()).ir());
    assert_eq!(post(&proxy).status, 503);
    let failed = attempts(&telemetry, "connect_failed");
    assert_eq!(failed, 4, "a single endpoint is tried once");
}

#[test]
fn a_rule_that_says_how_often_is_followed() {
    let echo = Echo::start("a");
    let [one, two, three] = dead();
    let retry = |retries, connect| Retry {
        retries,
        backoff: None,
        on: RetryOn {
            connect,
            timeout: false,
            statuses: vec![],
            any_5xx: false,
        },
        non_idempotent: false,
        spares_lost: false,
    };
    for (retry, tried) in [
        (retry(0, true), 1),
        (retry(5, false), 1),
        (retry(1, true), 2),
    ] {
        let what = format!("{retry:?}");
        let telemetry = Telemetry::default();
        let proxy = start_with(|_| (), &telemetry);
        let all = [one, two, three, echo.address()];
        serve(&proxy, to(&all, |forward| forward.retry = Some(retry)).ir());
        let answer = Call::get(http(&proxy), "http://a.com/").send_blocking();
        assert_eq!(answer.unwrap().status, 503, "{what}");
        let failed = attempts(&telemetry, "connect_failed");
        assert_eq!(failed, tried, "{what}");
    }
}

#[test]
fn whoever_is_bound_to_an_endpoint_out_of_reach_is_bound_to_another() {
    let (a, b) = (Echo::start("a"), Echo::start("b"));
    let proxy = start(|_| ());
    let cookie = SessionToken::in_cookie("bound", "");
    let bound = |addresses: &[SocketAddr]| {
        to(addresses, |forward| forward.session = Some(cookie.clone())).ir()
    };
    serve(&proxy, bound(&[a.address(), b.address()]));
    let get = |cookie: &str| {
        let call = Call::get(http(&proxy), "http://a.com/").header("cookie", cookie);
        call.send_blocking().unwrap()
    };
    let first = get("x=y");
    let cookie = first.cookie().to_owned();
    let (gone, _other) = if first.backend() == "a" {
        (a, b)
    } else {
        (b, a)
    };
    let address = gone.address();
    drop(gone);
    eventually("the backend is gone", || {
        TcpStream::connect(address).is_err()
    });
    let moved = get(&cookie);
    assert_eq!(moved.status, 200);
    assert_ne!(moved.backend(), first.backend());
    assert!(!moved.cookie().is_empty() && moved.cookie() != cookie);
    let again = get(moved.cookie());
    assert_eq!(again.backend(), moved.backend());
}

#[test]
fn another_share_of_the_rule_is_not_asked_instead() {
    let b = Echo::start("b");
    let proxy = start(|config| config.workers = 1);
    let [gone] = dead();
    let mut config = to(&[gone], |forward| {
        let share = |name: &str| Backend {
            weight: NonZeroU32::MIN,
            target: Target::Cluster(ClusterKey(name.into())),
            request: vec![],
            response: vec![],
            url: None,
        };
        forward.backends = vec![share("a"), share("b")];
    });
    config.clusters.push(cluster("b", &[b.address()]));
    serve(&proxy, config.ir());
    let statuses: Vec<_> = (0..10).map(|_| post(&proxy).status.as_u16()).collect();
    let failed = statuses.iter().filter(|status| **status == 503).count();
    assert_eq!(failed, 5, "{statuses:?}");
}

#[test]
fn whoever_is_asked_beside_the_backend_is_tried_elsewhere_too() {
    let [app, auth, page] = ["app", "auth", "page"].map(Echo::start);
    let [one, two] = dead();
    let auth_by = ExternalAuth {
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
    let mut action = forward("app");
    action.fallback = Some(Fallback {
        clusters: vec![ClusterKey("page".into())],
        statuses: vec![StatusCode::BAD_GATEWAY],
        told: None,
        refusals: false,
    });
    let phases = vec![Phase::ExternalAuth(Arc::new(auth_by))];
    let config = Config1 {
        routes: vec![route("/", phases, Action::Forward(action))],
        clusters: vec![
            cluster("app", &[app.address()]),
            cluster("auth", &[one, two, auth.address()]),
            cluster("page", &[one, two, page.address()]),
        ],
    };
    let proxy = start(|_| ());
    serve(&proxy, config.ir());
    for at in 0..6 {
        let url = format!("http://a.com/?fail=1&id={at}&status=502");
        let answer = Call::get(http(&proxy), &url).send_blocking().unwrap();
        assert_eq!(answer.backend(), "page");
    }
    assert_eq!([&app, &auth, &page].map(Echo::hits), [6; 3]);
}
