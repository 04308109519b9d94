//! Rewrites and redirects of single backends.

use std::num::NonZeroU32;

use http::{HeaderName, HeaderValue, StatusCode};
use ir::{
    Action, Backend, ClusterKey, HeaderMods, HostRewrite, PathRewrite, Redirect, RedirectPath,
    Rewrite, Target, UrlChange,
};
use proxy::Proxy;
use testkit::{
    call::{Answer, Call},
    echo::Backend as Echo,
};

use crate::support::{Config1, Phase, cluster, forward, http, route, serve, start};

fn get(proxy: &Proxy, target: &str) -> Answer {
    let url = format!("http://a.com{target}");
    Call::new(http(proxy), "GET", &url).send_blocking().unwrap()
}

fn share(name: &str, weight: u32, url: Option<UrlChange>) -> Backend {
    Backend {
        weight: NonZeroU32::new(weight).unwrap(),
        target: Target::Cluster(ClusterKey(name.into())),
        request: vec![],
        response: vec![],
        url: url.map(Box::new),
    }
}

fn prefix(matched: &str, replacement: &str) -> PathRewrite {
    PathRewrite::Prefix {
        matched: matched.into(),
        replacement: replacement.into(),
    }
}

#[test]
fn a_backend_sees_its_own_url_after_what_the_rule_has_made_of_it() {
    let (a, b) = (Echo::start("a"), Echo::start("b"));
    let proxy = start(|_| ());
    let mut action = forward("a");
    let own = UrlChange::Rewrite(Rewrite {
        host: Some(HostRewrite(HeaderValue::from_static("own.com"))),
        path: Some(prefix("/middle", "/end")),
    });
    action.backends = vec![share("a", 1, Some(own)), share("b", 1, None)];
    let of_rule = Phase::Rewrite(Rewrite {
        host: None,
        path: Some(prefix("/first", "/middle")),
    });
    let config = Config1 {
        routes: vec![route("/first", vec![of_rule], Action::Forward(action))],
        clusters: vec![cluster("a", &[a.address()]), cluster("b", &[b.address()])],
    };
    serve(&proxy, config.ir());
    let mut seen: Vec<_> = (0..4)
        .map(|_| {
            let answer = get(&proxy, "/first/x/%2e?q=1");
            let seen = answer.json();
            let text = |field: &str| seen[field].as_str().unwrap().to_owned();
            (answer.backend().to_owned(), text("host"), text("path"))
        })
        .collect();
    seen.sort();
    let one = |backend: &str, host: &str, target: &str| {
        (backend.to_owned(), host.to_owned(), target.to_owned())
    };
    let ours = one("a", "own.com", "/end/x/?q=1");
    let other = one("b", "a.com", "/middle/x/?q=1");
    assert_eq!(seen, [ours.clone(), ours, other.clone(), other]);
}

#[test]
fn the_share_of_a_backend_is_sent_elsewhere_without_asking_it() {
    let (a, b) = (Echo::start("a"), Echo::start("b"));
    let proxy = start(|_| ());
    let mut action = forward("a");
    let redirect = UrlChange::Redirect(Redirect {
        status: StatusCode::PERMANENT_REDIRECT,
        https: Some(true),
        host: Some("b.com".into()),
        port: None,
        path: Some(RedirectPath::Prefix {
            matched: "/old".into(),
            replacement: "/new".into(),
        }),
    });
    let mut moved = share("a", 1, Some(redirect));
    let mods = |value| HeaderMods {
        add: vec![(
            HeaderName::from_static("x-order"),
            HeaderValue::from_static(value),
        )],
        ..HeaderMods::default()
    };
    moved.response = vec![mods("backend")];
    action.backends = vec![moved, share("b", 3, None)];
    let of_rule = Phase::Response(mods("rule"));
    let config = Config1 {
        routes: vec![route("/old", vec![of_rule], Action::Forward(action))],
        clusters: vec![cluster("a", &[a.address()]), cluster("b", &[b.address()])],
    };
    serve(&proxy, config.ir());
    let answers: Vec<_> = (0..8).map(|_| get(&proxy, "/old/x?q=1")).collect();
    let moved: Vec<_> = { answers.iter() }
        .filter(|answer| answer.status == 308)
        .collect();
    assert_eq!((moved.len(), a.hits(), b.hits()), (2, 0, 6));
    for answer in moved {
        assert_eq!(answer.header("location"), "https://b.com/new/x?q=1");
        assert_eq!(answer.header("x-order"), "backend,rule");
    }
}
