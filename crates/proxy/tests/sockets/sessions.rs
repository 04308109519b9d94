//! Session cookies: who makes them, who keeps them, and what they lead to.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use ir::{
    Action, Backend, Balance, Cluster, ClusterKey, Cookie, Retry, RetryOn, Route, SessionCarrier,
    SessionLifetime, SessionToken, Target, VaryingAttributes,
};
use testkit::{
    call::{Answer, Call},
    certs::Ca,
    echo::Backend as Echo,
};

use crate::support::{Config1, cluster, forward, http, https, route, serve, start};

fn cookie() -> SessionToken {
    SessionToken::in_cookie("s", "; Path=/")
}

/// A rule for a path, with backends by weight.
fn sticky(path: &str, backends: &[(&str, u32)], cookie: &SessionToken) -> Route {
    let mut action = forward("");
    let backends = backends.iter().map(|(name, weight)| Backend {
        weight: NonZeroU32::new(*weight).unwrap(),
        target: Target::Cluster(ClusterKey((*name).into())),
        url: None,
        request: vec![],
        response: vec![],
    });
    action.backends = backends.collect();
    action.session = Some(cookie.clone());
    route(path, vec![], Action::Forward(action))
}

/// Backends that are named after their Service, and its cluster.
fn service(name: &str, count: usize) -> (Vec<Echo>, Cluster) {
    let echoes: Vec<_> = (0..count)
        .map(|at| Echo::start(&format!("{name}{at}")))
        .collect();
    let addresses: Vec<SocketAddr> = echoes.iter().map(Echo::address).collect();
    (echoes, cluster(name, &addresses))
}

fn get(proxy: &proxy::Proxy, path: &str, cookie: &str) -> Answer {
    let call = Call::get(http(proxy), &format!("http://a.com{path}"));
    let call = match cookie {
        "" => call,
        cookie => call.header("cookie", cookie),
    };
    call.send_blocking().unwrap()
}

/// The backend of a request that gets no new cookie.
fn stays(proxy: &proxy::Proxy, path: &str, cookie: &str) -> String {
    let answer = get(proxy, path, cookie);
    assert_eq!(answer.header("set-cookie"), "", "{path} {cookie}");
    answer.backend().to_owned()
}

fn modes() -> [SessionToken; 2] {
    [false, true].map(|rebalanced| SessionToken {
        rebalanced,
        ..cookie()
    })
}

/// Two Services of a host have one name for their cookies: none replaces what the other made.
#[test]
fn services_share_a_name() {
    let (_a, a) = service("a", 3);
    let (_b, b) = service("b", 4);
    let proxy = start(|_| ());
    for cookie in modes() {
        let routes = vec![
            sticky("/a", &[("a", 1)], &cookie),
            sticky("/b", &[("b", 1)], &cookie),
        ];
        let clusters = vec![a.clone(), b.clone()];
        serve(&proxy, Config1 { routes, clusters }.ir());
        let mut met = BTreeSet::new();
        for _ in 0..40 {
            let first = get(&proxy, "/a", "");
            let value = first.cookie();
            let elsewhere = stays(&proxy, "/b", value);
            for _ in 0..3 {
                assert_eq!(stays(&proxy, "/a", value), first.backend());
                assert_eq!(stays(&proxy, "/b", value), elsewhere);
            }
            met.insert(elsewhere);
        }
        assert_eq!(met.len(), 4, "others' clients are spread, too: {met:?}");
        // An application's own cookie, or one of ingress-nginx, or what is no value of anybody.
        for value in ["s=1732.44.5|abcd", "s=%00", "s=x", "s=\"q\"", "a=b; s=y"] {
            let first = stays(&proxy, "/a", value);
            assert_eq!(stays(&proxy, "/a", value), first, "{value}");
        }
        for value in ["s=", "s", "t=x", "s=00000000000000ab"] {
            let answer = get(&proxy, "/a", value);
            assert!(answer.cookie().starts_with("s="), "{value}: {answer:?}");
        }
    }
}

/// Rules whose policies set their clusters apart lead a client to the same endpoint of one Service.
#[test]
fn one_service_by_two_rules() {
    let (_a, mut plain) = service("a", 5);
    plain.service = Some("default/a:80".into());
    let mut apart = plain.clone();
    apart.key = ClusterKey("a@policy".into());
    apart.balance = Balance::LeastRequest;
    let proxy = start(|_| ());
    for cookie in modes() {
        let routes = vec![
            sticky("/", &[("a", 1)], &cookie),
            sticky("/api", &[("a@policy", 1)], &cookie),
        ];
        let clusters = vec![plain.clone(), apart.clone()];
        serve(&proxy, Config1 { routes, clusters }.ir());
        for _ in 0..6 {
            let first = get(&proxy, "/", "");
            assert_eq!(stays(&proxy, "/api", first.cookie()), first.backend());
        }
    }
}

/// Browsers send cookies of longer paths first.
#[test]
fn of_several_values_a_rules_own_one_counts() {
    let (_a, a) = service("a", 4);
    let (_b, b) = service("b", 4);
    let proxy = start(|_| ());
    let routes = vec![
        sticky("/", &[("a", 1)], &cookie()),
        sticky("/b", &[("b", 1)], &cookie()),
    ];
    let clusters = vec![a, b];
    serve(&proxy, Config1 { routes, clusters }.ir());
    for _ in 0..6 {
        let (a, b) = (get(&proxy, "/", ""), get(&proxy, "/b", ""));
        let both = format!("{}; x=y; {}", b.cookie(), a.cookie());
        assert_eq!(stays(&proxy, "/", &both), a.backend());
        assert_eq!(stays(&proxy, "/b", &both), b.backend());
    }
}

/// A client belongs to the base or to the canary, whoever made its cookie, in the shares that the weights say.
#[test]
fn canaries_keep_their_clients() {
    let (_base, base) = service("base", 2);
    let (_canary, canary) = service("canary", 2);
    let (_other, other) = service("other", 8);
    let proxy = start(|_| ());
    let is_canary = |backend: &str| backend.starts_with("canary");
    for cookie in modes() {
        let routes = vec![
            sticky("/", &[("base", 60), ("canary", 40)], &cookie),
            sticky("/other", &[("other", 1)], &cookie),
        ];
        let clusters = vec![base.clone(), canary.clone(), other.clone()];
        let config = Config1 { routes, clusters };
        serve(&proxy, config.ir());
        for _ in 0..10 {
            let first = get(&proxy, "/", "");
            for _ in 0..3 {
                assert_eq!(stays(&proxy, "/", first.cookie()), first.backend());
            }
        }
        // A canary of its own, with values that it never made: 40 of 100, and more of them when it gets more.
        let foreign: Vec<String> = (0..100).map(|at| format!("s=client-{at}")).collect();
        let places = || -> Vec<String> {
            let first = foreign.iter().map(|value| stays(&proxy, "/", value));
            first.collect()
        };
        let first = places();
        assert_eq!(places(), first);
        let share = first.iter().filter(|backend| is_canary(backend)).count();
        assert!((20..=60).contains(&share), "{share} of 100");
        let mut more = config;
        more.routes[0] = sticky("/", &[("base", 30), ("canary", 70)], &cookie);
        serve(&proxy, more.ir());
        let later = places();
        let pairs = first.iter().zip(&later);
        let back = pairs.filter(|(first, later)| is_canary(first) && !is_canary(later));
        assert_eq!(back.count(), 0, "a client of the canary stays there");
        assert!(later.iter().filter(|backend| is_canary(backend)).count() > share);
    }
}

/// Where weights go first, the value leads to an endpoint of each backend, and is nobody's to replace.
#[test]
fn after_weights_a_value_is_kept() {
    let (_base, base) = service("base", 3);
    let (_canary, canary) = service("canary", 3);
    let proxy = start(|_| ());
    for cookie in modes() {
        let cookie = SessionToken {
            after_weights: true,
            ..cookie
        };
        let routes = vec![sticky("/", &[("base", 1), ("canary", 1)], &cookie)];
        let clusters = vec![base.clone(), canary.clone()];
        serve(&proxy, Config1 { routes, clusters }.ir());
        let first = get(&proxy, "/", "");
        let met: BTreeSet<String> = (0..12)
            .map(|_| stays(&proxy, "/", first.cookie()))
            .collect();
        assert_eq!(met.len(), 2, "one of each: {met:?}");
        assert!(met.contains(first.backend()));
    }
}

/// Another mode leaves a client where it is, and what names no endpoint is completed once.
#[test]
fn a_cookie_outlives_its_mode() {
    let (_a, a) = service("a", 4);
    let proxy = start(|_| ());
    let [persistent, balanced] = modes().map(|cookie| Config1 {
        routes: vec![sticky("/", &[("a", 1)], &cookie)],
        clusters: vec![a.clone()],
    });
    for _ in 0..6 {
        serve(&proxy, balanced.ir());
        let first = get(&proxy, "/", "");
        serve(&proxy, persistent.ir());
        let later = get(&proxy, "/", first.cookie());
        assert_eq!(later.backend(), first.backend());
        assert!(later.cookie().starts_with(first.cookie()), "{later:?}");
        assert_eq!(stays(&proxy, "/", later.cookie()), first.backend());
        serve(&proxy, balanced.ir());
        assert_eq!(stays(&proxy, "/", later.cookie()), first.backend());
    }
}

/// What becomes of clients when an endpoint comes, and when theirs goes.
#[test]
fn modes_differ_when_endpoints_come() {
    let (_echoes, all) = service("a", 4);
    let three = Cluster {
        endpoints: all.endpoints[..3].into(),
        ..all.clone()
    };
    let gone = Cluster {
        endpoints: all.endpoints[1..].into(),
        ..all.clone()
    };
    let proxy = start(|_| ());
    for cookie in modes() {
        let with = |cluster: &Cluster| Config1 {
            routes: vec![sticky("/", &[("a", 1)], &cookie)],
            clusters: vec![cluster.clone()],
        };
        serve(&proxy, with(&three).ir());
        let clients: Vec<(String, String)> = (0..60)
            .map(|_| get(&proxy, "/", ""))
            .map(|answer| (answer.cookie().to_owned(), answer.backend().to_owned()))
            .collect();
        let mut met: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, backend) in &clients {
            *met.entry(backend).or_default() += 1;
        }
        assert!(
            met.len() == 3 && met.values().all(|count| *count >= 8),
            "{met:?}"
        );
        serve(&proxy, with(&all).ir());
        let moved = clients
            .iter()
            .filter(|(value, backend)| stays(&proxy, "/", value) != *backend);
        let moved = moved.count();
        match cookie.rebalanced {
            false => assert_eq!(moved, 0),
            true => assert!((4..=30).contains(&moved), "{moved} of 60"),
        }
        serve(&proxy, with(&three).ir());
        let (value, _) = clients.iter().find(|(_, backend)| backend == "a0").unwrap();
        serve(&proxy, with(&gone).ir());
        let answer = get(&proxy, "/", value);
        assert_ne!(answer.backend(), "a0");
        let replaced = answer.cookie().starts_with("s=");
        assert_eq!(replaced, !cookie.rebalanced, "{answer:?}");
        let value = if replaced { answer.cookie() } else { value };
        assert_eq!(stays(&proxy, "/", value), answer.backend());
    }
}

/// An endpoint that is there and does not answer: its clients move for good, or stay and are told.
#[test]
fn failures() {
    let proxy = start(|_| ());
    let retry = |connect| Retry {
        retries: 2,
        backoff: None,
        on: RetryOn {
            connect,
            timeout: false,
            any_5xx: false,
            statuses: vec![],
        },
        non_idempotent: false,
        spares_lost: false,
    };
    for rebalanced in [false, true] {
        for kept in [false, true] {
            for retry in [None, Some(retry(true))] {
                let what = format!("balanced {rebalanced}, kept {kept}, {retry:?}");
                let (mut echoes, a) = service("a", 3);
                let cookie = SessionToken {
                    rebalanced,
                    kept_on_failure: kept,
                    ..cookie()
                };
                let mut rule = sticky("/", &[("a", 1)], &cookie);
                let mut changed = (*rule.rule).clone();
                if let Action::Forward(forward) = &mut changed.action {
                    forward.retry = retry;
                }
                rule.rule = changed.into();
                let config = Config1 {
                    routes: vec![rule],
                    clusters: vec![a],
                };
                serve(&proxy, config.ir());
                let mut all = (0..200).map(|_| get(&proxy, "/", ""));
                let of_first = all.find(|answer| answer.backend() == "a0").unwrap();
                let foreign = (0..200).map(|at| format!("s=client-{at}"));
                let foreign = foreign
                    .into_iter()
                    .find(|value| stays(&proxy, "/", value) == "a0")
                    .unwrap();
                drop(echoes.remove(0));
                for value in [of_first.cookie(), &foreign] {
                    let answer = get(&proxy, "/", value);
                    if kept {
                        let got = (answer.status.as_u16(), answer.header("set-cookie"));
                        assert_eq!(got, (503, ""), "{what}");
                        continue;
                    }
                    assert!(
                        ["a1", "a2"].contains(&answer.backend()),
                        "{what} {answer:?}"
                    );
                    assert!(answer.cookie().starts_with("s="), "{what} {answer:?}");
                    let again = stays(&proxy, "/", answer.cookie());
                    assert_eq!(again, answer.backend(), "{what}");
                }
                // Who belongs nowhere yet is led to where there is somebody.
                for _ in 0..6 {
                    let new = get(&proxy, "/", "");
                    assert_eq!(new.status, 200, "{what}");
                    assert_eq!(stays(&proxy, "/", new.cookie()), new.backend(), "{what}");
                }
            }
        }
    }
}

/// Attributes that an answer has or has not.
#[test]
fn varying_attributes() {
    let (_a, a) = service("a", 2);
    let proxy = start(|_| ());
    let ca = Ca::new("test");
    let issued = ca.issue(&["a.com"]);
    let cookie = SessionToken::new(SessionCarrier::Cookie(Cookie {
        name: "s".into(),
        attributes: "; Path=/".into(),
        varying: VaryingAttributes {
            expires: Some(3600),
            max_age: false,
            secure_over_https: true,
            same_site_none: true,
        },
    }));
    let config = Config1 {
        routes: vec![sticky("/", &[("a", 1)], &cookie)],
        clusters: vec![a],
    };
    serve(&proxy, config.listeners(vec![("a.com", Some(&issued))]));
    let over_tls = |agent: &str| {
        let client = Arc::new(ca.client_config(&["h2"]));
        let call = Call::get(https(&proxy), "https://a.com/").tls(client, "a.com");
        let call = call.http2().header("user-agent", agent);
        let answer = call.send_blocking().unwrap();
        answer.header("set-cookie").to_owned()
    };
    let new = over_tls("Mozilla/5.0 Chrome/131.0.0.0");
    assert!(new.ends_with("; SameSite=None; Secure"), "{new}");
    let (_, date) = new.split_once("; Path=/; Expires=").unwrap();
    let date = date.split(';').next().unwrap();
    assert!(date.len() == 29 && date.ends_with(" GMT"), "{new}");
    let old = over_tls("Mozilla/5.0 Chrome/60.0.1.2");
    assert!(old.ends_with(" GMT; Secure"), "{old}");
    serve(&proxy, config.ir());
    let plain = get(&proxy, "/", "");
    let plain = plain.header("set-cookie");
    assert!(plain.ends_with(" GMT; SameSite=None"), "{plain}");
}

#[test]
fn a_header_ties_a_client_to_an_endpoint() {
    let (_echoes, service) = service("a", 2);
    let proxy = start(|_| ());
    let cookie = SessionToken::new(SessionCarrier::Header("x-session".parse().unwrap()));
    let config = Config1 {
        routes: vec![sticky("/", &[("a", 1)], &cookie)],
        clusters: vec![service],
    };
    serve(&proxy, config.ir());
    let first = get(&proxy, "/", "");
    let token = first.header("x-session").to_owned();
    assert!(
        !token.is_empty() && first.header("set-cookie").is_empty(),
        "{first:?}"
    );
    for _ in 0..4 {
        let call = Call::get(crate::support::http(&proxy), "http://a.com/");
        let answer = call.header("x-session", &token).send_blocking().unwrap();
        assert_eq!(answer.backend(), first.backend());
        assert_eq!(answer.header("x-session"), "", "it is known");
    }
    let others: BTreeSet<_> = (0..4)
        .map(|_| get(&proxy, "/", "").backend().to_owned())
        .collect();
    assert_eq!(others.len(), 2, "others are balanced");
}

/// A token with times: every answer has a new one where sessions end without requests, and what is over begins anew.
#[test]
fn sessions_have_an_end() {
    let (_echoes, service) = service("a", 2);
    let proxy = start(|_| ());
    let millis = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let times = |token: &str| {
        let parts: Vec<_> = token.split('.').collect();
        assert_eq!(parts.len(), 5, "{token}");
        (millis(parts[3]), millis(parts[4]), parts[..3].join("."))
    };
    let header = || SessionCarrier::Header("x-session".parse().unwrap());
    let serve_with = |absolute: Option<u64>, idle: Option<u64>| {
        let token = SessionToken {
            lifetime: SessionLifetime {
                absolute: absolute.map(Duration::from_secs),
                idle: idle.map(Duration::from_secs),
            },
            ..SessionToken::new(header())
        };
        let routes = vec![sticky("/", &[("a", 1)], &token)];
        let clusters = vec![service.clone()];
        serve(&proxy, Config1 { routes, clusters }.ir());
    };
    let ask = |token: &str| {
        let call = Call::get(http(&proxy), "http://a.com/");
        call.header("x-session", token).send_blocking().unwrap()
    };
    serve_with(Some(1_000), None);
    let first = get(&proxy, "/", "");
    let token = first.header("x-session").to_owned();
    let (end, idle, who) = times(&token);
    assert_eq!(idle, 0);
    assert_eq!(ask(&token).header("x-session"), "", "it goes on");
    let over = format!("{who}.{:016x}.{:016x}", end - 1_100_000, 0);
    assert_ne!(ask(&over).header("x-session"), "", "it is over");
    let longer = format!("{who}.{:016x}.{:016x}", end + 1_100_000, 0);
    assert_ne!(ask(&longer).header("x-session"), "", "made up");

    serve_with(Some(1_000), Some(500));
    assert_ne!(
        ask(&token).header("x-session"),
        "",
        "it says nothing of requests"
    );
    let first = get(&proxy, "/", "");
    let (end, idle, who) = times(first.header("x-session"));
    assert_eq!(end - idle, 500_000);
    let earlier = format!("{who}.{:016x}.{:016x}", end - 300_000, idle - 400_000);
    let answer = ask(&earlier);
    assert_eq!(answer.backend(), first.backend());
    let (same_end, later, same) = times(answer.header("x-session"));
    assert_eq!(
        (same_end, same),
        (end - 300_000, who),
        "the session goes on"
    );
    assert!(later >= idle, "the client has asked: {later} {idle}");
}
