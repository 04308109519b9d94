//! Who answers where a backend cannot.

use std::{num::NonZeroU32, sync::Arc};

use crate::support::{Config1, Phase, cluster, forward, http, route, serve, simple, start};
use http::StatusCode;
use ir::{
    Action, Backend, BackendTimeouts, BasicAuth, ClusterKey, Fallback, Forward, HeaderMods,
    PasswordHash, RateLimit, RateUnit, Reason, Redacted, Rewrite, SessionToken, Target, Users,
};
use testkit::{
    call::{Answer, Call},
    echo::{Backend as Echo, unused_address},
};

fn get(proxy: &proxy::Proxy, target: &str) -> Answer {
    Call::get(http(proxy), &format!("http://a.com{target}"))
        .header("accept", "text/html")
        .header("if-none-match", "*")
        .send_blocking()
        .unwrap()
}

fn falling(mut action: Forward, clusters: &[&str], statuses: &[u16]) -> Forward {
    action.fallback = Some(Fallback {
        clusters: clusters
            .iter()
            .map(|name| ClusterKey((*name).into()))
            .collect(),
        statuses: statuses
            .iter()
            .map(|status| StatusCode::from_u16(*status).unwrap())
            .collect(),
        told: None,
        refusals: false,
    });
    action
}

fn config(main: &Echo, action: Forward) -> Config1 {
    let mut config = simple(main.address());
    config.routes = vec![route("/", vec![], Action::Forward(action))];
    config.clusters.push(cluster("empty", &[]));
    config.clusters.push(cluster("down", &[unused_address()]));
    config
}

fn seen(echo: &Echo, at: usize, header: &str) -> String {
    let seen = echo.seen();
    let value = seen[at].headers.get(header);
    value
        .map(|v| v.to_str().unwrap().to_owned())
        .unwrap_or_default()
}

#[test]
fn without_endpoints_the_request_goes_on_as_it_is() {
    let (main, page) = (Echo::start("main"), Echo::start("page"));
    let proxy = start(|_| ());
    for from in ["empty", "invalid"] {
        let mut action = falling(forward("empty"), &["empty", "page"], &[]);
        if from == "invalid" {
            action.backends[0].target = Target::Invalid(Reason::InvalidBackend);
        }
        let mut config = config(&main, action);
        config.clusters.push(cluster("page", &[page.address()]));
        serve(&proxy, config.ir());
        let answer = Call::new(http(&proxy), "POST", "http://a.com/x?y=z")
            .body("hello")
            .send_blocking()
            .unwrap();
        assert_eq!(answer.backend(), "page", "{from}");
        assert_eq!(
            (
                answer.json()["path"].as_str(),
                answer.json()["bodyBytes"].as_u64()
            ),
            (Some("/x?y=z"), Some(5))
        );
    }
    let mut action = falling(forward("empty"), &["page"], &[]);
    action.backends[0].target = Target::Invalid(Reason::InvalidRule);
    let mut broken = config(&main, action);
    broken.clusters.push(cluster("page", &[page.address()]));
    serve(&proxy, broken.ir());
    assert_eq!(get(&proxy, "/").status, 500, "what is quarantined stays so");
    serve(
        &proxy,
        config(&main, falling(forward("empty"), &["empty"], &[])).ir(),
    );
    assert_eq!(get(&proxy, "/").status, 503, "nobody stands by");
    serve(
        &proxy,
        config(&main, falling(forward("a"), &["empty"], &[])).ir(),
    );
    assert_eq!(get(&proxy, "/").backend(), "main");
}

#[test]
fn a_backend_that_stands_in_for_another_keeps_its_own_filters() {
    let main = Echo::start("main");
    let proxy = start(|_| ());
    let colour = |name: &str| {
        vec![HeaderMods {
            set: vec![("x-colour".parse().unwrap(), name.parse().unwrap())],
            ..HeaderMods::default()
        }]
    };
    let mut action = falling(forward("empty"), &["a"], &[]);
    action.backends[0].request = colour("canary");
    action.backends[0].weight = NonZeroU32::new(1000).unwrap();
    action.backends.push(Backend {
        weight: NonZeroU32::MIN,
        target: Target::Cluster(ClusterKey("a".into())),
        request: colour("base"),
        response: vec![],
        url: None,
    });
    serve(&proxy, config(&main, action).ir());
    for _ in 0..3 {
        assert_eq!(get(&proxy, "/").json()["headers"]["x-colour"][0], "base");
    }
}

#[test]
fn error_pages_are_asked_once_and_told_why() {
    let (main, page) = (Echo::start("main"), Echo::start("page"));
    let proxy = start(|_| ());
    let action = falling(forward("a"), &["page"], &[404, 503]);
    let mut config = config(&main, action.clone());
    config.clusters.push(cluster("page", &[page.address()]));
    let rewrite = Phase::Rewrite(Rewrite {
        host: Some(ir::HostRewrite("inner.test".parse().unwrap())),
        path: None,
    });
    config.routes = vec![route("/", vec![rewrite], Action::Forward(action))];
    serve(&proxy, config.ir());
    let answer = Call::new(http(&proxy), "POST", "http://a.com/x?status=404")
        .header("accept", "text/html")
        .header("if-none-match", "*")
        .header("x-code", "999")
        .header("authorization", "Basic eDp5")
        .header("proxy-authorization", "Basic eDp5")
        .body("hello")
        .send_blocking()
        .unwrap();
    assert_eq!((answer.status.as_u16(), answer.backend()), (200, "page"));
    let asked = &page.seen()[0];
    assert_eq!(
        (
            asked.method.as_str(),
            &*asked.target,
            &*asked.host,
            asked.body
        ),
        ("GET", "/", "a.com", 0)
    );
    for (header, value) in [
        ("x-code", "404"),
        ("x-format", "text/html"),
        ("x-original-uri", "/x?status=404"),
        ("if-none-match", ""),
        ("authorization", ""),
        ("proxy-authorization", ""),
        ("content-length", ""),
    ] {
        assert_eq!(seen(&page, 0, header), value, "{header}");
    }
    assert_eq!(
        get(&proxy, "/x?status=502").backend(),
        "main",
        "another status"
    );
    assert_eq!(get(&proxy, "/x?status=503").backend(), "page");
    assert_eq!((main.hits(), page.hits()), (3, 2), "one page for each");
}

#[test]
fn a_backend_that_does_not_answer_has_a_page_too() {
    let (main, page) = (Echo::start("main"), Echo::start("page"));
    let proxy = start(|_| ());
    for (cluster_name, statuses, who) in [
        ("down", &[503][..], "page"),
        ("down", &[504], ""),
        ("slow", &[504], "page"),
    ] {
        let action = falling(forward(cluster_name), &["page"], statuses);
        let mut config = config(&main, action);
        config.clusters.push(cluster("page", &[page.address()]));
        let mut slow = cluster("slow", &[main.address()]);
        slow.timeouts = BackendTimeouts {
            read: Some(std::time::Duration::from_millis(200)),
            ..BackendTimeouts::default()
        };
        config.clusters.push(slow);
        serve(&proxy, config.ir());
        let answer = get(&proxy, "/?delay=5000");
        assert_eq!(answer.backend(), who, "{cluster_name} {statuses:?}");
    }
}

#[test]
fn without_a_page_the_first_answer_counts() {
    let main = Echo::start("main");
    let proxy = start(|_| ());
    for nobody in ["down", "empty"] {
        let action = falling(forward("a"), &[nobody], &[404]);
        serve(&proxy, config(&main, action).ir());
        let answer = get(&proxy, "/?status=404&set=x-first:1");
        assert_eq!(
            (
                answer.status.as_u16(),
                answer.backend(),
                answer.header("x-first")
            ),
            (404, "main", "1")
        );
        assert_eq!(answer.json()["backend"], "main", "with its body");
    }
}

#[test]
fn a_page_takes_no_denial_back() {
    let (main, page) = (Echo::start("main"), Echo::start("page"));
    let proxy = start(|_| ());
    let action = falling(forward("a"), &["page"], &[401, 403, 404]);
    let mut config = config(&main, action);
    config.clusters.push(cluster("page", &[page.address()]));
    serve(&proxy, config.ir());
    let answer = get(&proxy, "/?status=401&set=www-authenticate:Basic");
    assert_eq!(
        (
            answer.status.as_u16(),
            answer.backend(),
            answer.header("www-authenticate")
        ),
        (401, "page", "Basic")
    );
    assert_eq!(get(&proxy, "/?status=403").status, 403);
    let denied = Phase::Addresses(ir::ClientAddresses {
        allow: vec![],
        deny: vec!["127.0.0.0/8".parse().unwrap()],
    });
    let before = page.hits();
    config.routes = vec![route(
        "/",
        vec![denied],
        config.routes[0].rule.action.clone(),
    )];
    serve(&proxy, config.ir());
    assert_eq!(get(&proxy, "/?status=404").status, 403);
    assert_eq!(page.hits(), before, "what the gateway refuses has no page");
}

/// What a rule asks of clients, the status of those that are refused for it, that of the page in its stead, and a field
/// of both.
type Refusing = (
    &'static str,
    Vec<Phase>,
    u16,
    u16,
    (&'static str, &'static str),
);

fn refusing() -> [Refusing; 4] {
    let denied = || {
        Phase::Addresses(ir::ClientAddresses {
            allow: vec![],
            deny: vec!["127.0.0.0/8".parse().unwrap()],
        })
    };
    let login = || {
        let john = PasswordHash::parse("$apr1$salt$VEpBc9VHGUKwI9.yg13Iu0").unwrap();
        Phase::BasicAuth(Arc::new(BasicAuth {
            challenge: BasicAuth::challenge("office").unwrap(),
            source: "Secret/test/users".into(),
            users: Redacted::new(Users::new(vec![("john".into(), john)]).unwrap()),
            kept_back: false,
        }))
    };
    let empty = Phase::Rate(RateLimit {
        requests: NonZeroU32::MIN,
        unit: RateUnit::Hour,
        burst: NonZeroU32::MIN,
        per_client: false,
        exempt: vec![],
    });
    [
        ("addresses", vec![denied()], 403, 403, ("", "")),
        (
            "login",
            vec![login()],
            401,
            401,
            ("www-authenticate", "Basic realm=\"office\""),
        ),
        ("body", vec![Phase::MaxBody(3)], 413, 200, ("", "")),
        ("rate", vec![empty], 429, 200, ("retry-after", "3600")),
    ]
}

/// What the gateway refuses has a page where the rule says so; what it was refused for stays.
#[test]
fn refusals_have_pages_too() {
    let (main, page) = (Echo::start("main"), Echo::start("page"));
    let proxy = start(|_| ());
    for (name, phases, refused, paged, about) in refusing() {
        for (statuses, refusals, status, who) in [
            (&[401, 403, 413, 429, 503][..], true, paged, "page"),
            (&[401, 403, 413, 429, 503], false, refused, ""),
            (&[404], true, refused, ""),
        ] {
            let mut action = falling(forward("a"), &["page"], statuses);
            action.fallback.as_mut().unwrap().refusals = refusals;
            let mut config = config(&main, action.clone());
            config.routes = vec![route("/", phases.clone(), Action::Forward(action))];
            config.clusters.push(cluster("page", &[page.address()]));
            serve(&proxy, config.ir());
            let ask = || {
                Call::new(http(&proxy), "POST", "http://a.com/x?y=z")
                    .header("accept", "text/html")
                    .header("x-code", "999")
                    .header("authorization", "Basic eDp5")
                    .body("hello")
                    .send_blocking()
                    .unwrap()
            };
            if name == "rate" {
                // The one that there is a token for; state is kept while the rule stays the same.
                ask();
            }
            let before = page.hits();
            let answer = ask();
            assert_eq!(
                (answer.status.as_u16(), answer.backend()),
                (status, who),
                "{name} {statuses:?} {refusals}"
            );
            if !about.0.is_empty() {
                assert_eq!(answer.header(about.0), about.1, "{name}");
            }
            if who == "page" {
                assert_eq!(page.hits(), before + 1);
                let asked = &page.seen()[before];
                assert_eq!(
                    (
                        asked.method.as_str(),
                        &*asked.target,
                        &*asked.host,
                        asked.body
                    ),
                    ("GET", "/", "a.com", 0)
                );
                for (header, value) in [
                    ("x-code", refused.to_string().as_str()),
                    ("x-format", "text/html"),
                    ("x-original-uri", "/x?y=z"),
                    ("authorization", ""),
                    ("content-length", ""),
                ] {
                    assert_eq!(seen(&page, before, header), value, "{name} {header}");
                }
            }
        }
    }
    assert!(main.seen().iter().all(|seen| seen.target == "/x?y=z"));
}

fn sessions(after_weights: bool, kept_on_failure: bool) -> SessionToken {
    SessionToken {
        after_weights,
        kept_on_failure,
        ..SessionToken::in_cookie("s", "")
    }
}

#[test]
fn weights_may_go_before_sessions() {
    let (a, b) = (Echo::start("a"), Echo::start("b"));
    let proxy = start(|_| ());
    for (after_weights, met) in [(false, 1), (true, 2)] {
        let mut action = forward("a");
        action.backends.push(Backend {
            weight: NonZeroU32::MIN,
            target: Target::Cluster(ClusterKey("b".into())),
            request: vec![],
            response: vec![],
            url: None,
        });
        action.session = Some(sessions(after_weights, false));
        let mut config = config(&a, action);
        config.clusters.push(cluster("b", &[b.address()]));
        serve(&proxy, config.ir());
        let first = get(&proxy, "/");
        let cookie = first.header("set-cookie").to_owned();
        let who: std::collections::BTreeSet<String> = (0..6)
            .map(|_| {
                let call = Call::get(http(&proxy), "http://a.com/").header("cookie", &cookie);
                call.send_blocking().unwrap().backend().to_owned()
            })
            .collect();
        assert_eq!(who.len(), met, "after weights: {after_weights}");
    }
}

#[test]
fn a_client_may_stay_with_its_endpoint_through_a_failure() {
    let (a, dying) = (Echo::start("a"), Echo::start("b"));
    let proxy = start(|_| ());
    let addresses = [a.address(), dying.address()];
    let serve_with = |kept: bool| {
        let mut action = forward("a");
        action.session = Some(sessions(false, kept));
        action.retry = Some(ir::Retry {
            retries: 3,
            backoff: None,
            on: ir::RetryOn {
                connect: true,
                timeout: false,
                any_5xx: false,
                statuses: vec![],
            },
            non_idempotent: false,
            spares_lost: false,
        });
        let mut config = simple(addresses[0]);
        config.routes = vec![route("/", vec![], Action::Forward(action))];
        config.clusters = vec![cluster("a", &addresses)];
        serve(&proxy, config.ir());
    };
    serve_with(true);
    let met = std::iter::repeat_with(|| get(&proxy, "/")).take(10);
    let cookie = met
        .filter(|answer| answer.backend() == "b")
        .map(|answer| answer.header("set-cookie").to_owned())
        .next()
        .unwrap();
    let again = || {
        let call = Call::get(http(&proxy), "http://a.com/").header("cookie", &cookie);
        call.send_blocking().unwrap()
    };
    assert_eq!((again().backend(), again().header("set-cookie")), ("b", ""));
    drop(dying);
    let kept = again();
    assert_eq!((kept.status.as_u16(), kept.header("set-cookie")), (503, ""));
    serve_with(false);
    let moved = again();
    assert_eq!(moved.backend(), "a");
    assert!(moved.header("set-cookie").starts_with("s="), "{moved:?}");
}
