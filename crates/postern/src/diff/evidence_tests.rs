use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use std::sync::Arc;

use super::*;
use crate::pipeline::Pipeline;

fn looking() -> Looking {
    Looking {
        backend_header: HeaderName::from_static("x-backend"),
        headers: Vec::new(),
        ports: Vec::new(),
    }
}

fn ask(host: &str) -> Ask {
    Ask {
        host: host.to_owned(),
        target: "/x".to_owned(),
        method: "GET".to_owned(),
        https: false,
        headers: Vec::new(),
    }
}

fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> Answer {
    let pairs = headers.iter().map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    });
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: pairs.collect::<HeaderMap>(),
        body: Bytes::from_static(body.as_bytes()),
        certificate_fits: None,
    }
}

fn shown(here: Answer, there: Answer, known: bool, met: bool) -> Evidence {
    let both = Both {
        ask: ask("a.test"),
        here: Ok(here),
        there: Ok(there),
    };
    let met = Met {
        rule: met.then(rule),
        knows_host: known,
    };
    evidence(&both, &met, &looking())
}

/// Some rule.
fn rule() -> Arc<ir::Rule> {
    let route = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec: {gatewayClassName: postern, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec: {parentRefs: [{name: g}], rules: [{}]}
";
    let resources = api::yaml::read(route).into_resources();
    let made = Pipeline::new(converter::Options::default()).run(&resources);
    let port = made.ir.ports.values().next().unwrap();
    Arc::clone(&port.listeners[0].hosts[0].routes[0].rule)
}

#[test]
fn answers_prove_what_they_show() {
    let same = |status, headers: &[_], body| {
        let one = || answer(status, headers, body);
        shown(one(), one(), true, true)
    };
    let nothing = Evidence::Nothing;
    let to = |location: &'static str| [("location", location)];
    for (found, wanted) in [
        (same(200, &[("x-backend", "a")], ""), Evidence::Backend),
        (same(404, &[("x-backend", "a")], ""), Evidence::Backend),
        (same(200, &[], "hello"), Evidence::Backend),
        (same(200, &[], ""), Evidence::Status),
        (same(404, &[], "an own page"), Evidence::Backend),
        (same(404, &[], ""), nothing(Why::NotFound)),
        (
            same(308, &to("https://a.test/x"), ""),
            nothing(Why::RedirectToHttps),
        ),
        (
            same(308, &to("https://a.test:8443/"), ""),
            nothing(Why::RedirectToHttps),
        ),
        (same(301, &to("https://b.test/x"), ""), Evidence::Redirect),
        (same(302, &to("http://a.test/y"), ""), Evidence::Redirect),
        (same(401, &[], "unauthorized"), Evidence::Refused),
        (same(503, &[], ""), nothing(Why::Failed)),
    ] {
        assert_eq!(found, wanted);
    }
    let word = || answer(503, &[("content-type", "text/plain")], "no_endpoint");
    assert_eq!(
        shown(word(), word(), true, true),
        nothing(Why::Failed),
        "two of ours"
    );
    let gone = || answer(404, &[], "nothing here");
    assert_eq!(shown(gone(), gone(), true, false), nothing(Why::NotFound));
    assert_eq!(
        shown(gone(), gone(), false, false),
        nothing(Why::UnknownHost)
    );
    let neither = Both {
        ask: ask("a.test"),
        here: Err("no".to_owned()),
        there: Err("no".to_owned()),
    };
    assert_eq!(
        evidence(&neither, &Met::default(), &looking()),
        nothing(Why::NoAnswer)
    );
    let told = answer(200, &[("x-backend", "a")], "");
    assert_eq!(
        shown(told, answer(200, &[], "x"), true, true),
        Evidence::Status,
        "one of them tells"
    );
}

#[test]
fn what_else_was_answered_decides_what_proves_nothing() {
    let mut tally = Tally::default();
    let mut add = |host: &str, https, evidence| {
        let both = Both {
            ask: Ask { https, ..ask(host) },
            here: Err("here".to_owned()),
            there: Err("there".to_owned()),
        };
        tally.add(&both, evidence);
    };
    let nothing = Evidence::Nothing;
    add("known.test", false, Evidence::Status);
    add("known.test", false, nothing(Why::NotFound));
    add("perhaps.test", false, nothing(Why::NotFound));
    add("perhaps.test", false, nothing(Why::NoAnswer));
    add("secure.test", false, nothing(Why::NotFound));
    add("secure.test", false, nothing(Why::RedirectToHttps));
    add("both.test", false, nothing(Why::RedirectToHttps));
    add("both.test", true, Evidence::Backend);
    let told: Vec<_> = tally
        .unproven()
        .into_iter()
        .map(|one| {
            let hosts = one.hosts.into_iter().collect::<Vec<_>>().join(" ");
            let error = one.error.unwrap_or_default();
            format!("{:?} {} {hosts} {error}", one.why, one.requests)
        })
        .collect();
    assert_eq!(
        told,
        [
            "RedirectToHttps 1 secure.test ",
            "NotFound 1 perhaps.test ",
            "NoAnswer 1 perhaps.test there",
        ]
    );
    assert_eq!(tally.of(Evidence::Status), 1);
}

#[test]
fn words_of_ours_are_known() {
    let plain = [("content-type", "text/plain; charset=utf-8")];
    let down = Ok(answer(503, &plain, "connect_failed"));
    assert!(is_unreached(&down));
    assert!(!is_unreached(&Ok(answer(
        503,
        &plain,
        "Service Unavailable"
    ))));
    assert!(!is_unreached(&Ok(answer(404, &plain, "no_route"))));
    assert!(!is_unreached(&Err("no".to_owned())));
    assert_eq!(
        gateways_word(&answer(404, &plain, "no_route")),
        Some("no_route")
    );
    assert_eq!(gateways_word(&answer(200, &plain, "no_route")), None);
}
