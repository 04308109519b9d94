//! Cookies that tie clients to endpoints: every attribute, and what becomes of them when an endpoint fails.

use std::{cell::RefCell, collections::BTreeSet};

use testkit::{
    call::{Answer, Call},
    echo::Backend,
};

use super::{Annotations, Site, both, both_around, ingress};
use crate::support::service;

const CLASS: &str = "nginx";

fn get(site: &Site, url: &str, cookie: Option<&str>) -> Answer {
    let call = Call::get(site.http, url);
    let call = match cookie {
        Some(cookie) => call.header("cookie", cookie),
        None => call,
    };
    call.send_blocking().unwrap()
}

#[test]
fn attributes() {
    let cases: [(&str, Annotations<'_>, &str); 7] = [
        ("plain", &[], "INGRESSCOOKIE=…; Path=/; HttpOnly"),
        (
            "age",
            &[
                ("session-cookie-max-age", "60"),
                ("session-cookie-expires", "90"),
            ],
            "INGRESSCOOKIE=…; Path=/; Max-Age=60; HttpOnly",
        ),
        (
            "expires",
            &[("session-cookie-expires", "90")],
            "INGRESSCOOKIE=…; Path=/; Max-Age=90; HttpOnly",
        ),
        (
            "strict",
            &[("session-cookie-samesite", "Strict")],
            "INGRESSCOOKIE=…; Path=/; SameSite=Strict; HttpOnly",
        ),
        (
            "cross",
            &[
                ("session-cookie-samesite", "None"),
                ("session-cookie-secure", "true"),
            ],
            "INGRESSCOOKIE=…; Path=/; SameSite=None; Secure; HttpOnly",
        ),
        (
            "domain",
            &[
                ("session-cookie-domain", "example.com"),
                ("session-cookie-path", "/shop"),
                ("session-cookie-name", "shop"),
            ],
            "shop=…; Path=/shop; Domain=example.com; HttpOnly",
        ),
        (
            "bad",
            &[
                ("session-cookie-samesite", "maybe"),
                ("session-cookie-max-age", "-1"),
                ("session-cookie-path", "/;Secure"),
                ("session-cookie-name", "a b"),
            ],
            "INGRESSCOOKIE=…; Path=/; HttpOnly",
        ),
    ];
    let manifests: String = cases
        .iter()
        .map(|(name, keys, _)| {
            let annotations = [&[("affinity", "cookie")][..], keys].concat();
            ingress(
                name,
                (CLASS, &format!("{name}.com")),
                &annotations,
                &[("Prefix", "/", "one")],
                "",
            )
        })
        .collect();
    both(&[CLASS], &["one"], &manifests, |site| {
        for (name, _, wanted) in cases {
            let answer = get(site, &format!("http://{name}.com/"), None);
            let set = answer.header("set-cookie");
            let (cookie, attributes) = set.split_once("; ").unwrap();
            let (cookie, value) = cookie.split_once('=').unwrap();
            assert!(value.len() >= 8, "{set}");
            assert_eq!(format!("{cookie}=…; {attributes}"), wanted, "{name}");
        }
    });
}

/// A client whose endpoint fails is answered by another. It gets that one's cookie, unless `change-on-failure` says that it
/// keeps its own.
#[test]
fn failures() {
    for change in ["true", "false"] {
        let dying = RefCell::new(None);
        let manifests = |backends: &[Backend]| {
            let backend = Backend::start("dying");
            let all = service("all", &[&backends[0], &backend]);
            dying.replace(Some(backend));
            let annotations = [
                ("affinity", "cookie"),
                ("session-cookie-change-on-failure", change),
            ];
            all + &ingress(
                "site",
                (CLASS, "example.com"),
                &annotations,
                &[("Prefix", "/", "all")],
                "",
            )
        };
        both_around(&[CLASS], &["other"], manifests, |site| {
            let url = "http://example.com/";
            let first = (0..10).map(|_| get(site, url, None));
            let first = first
                .into_iter()
                .find(|answer| answer.backend() == "dying")
                .unwrap();
            let cookie = first.cookie().to_owned();
            let again = get(site, url, Some(&cookie));
            assert_eq!((again.backend(), again.header("set-cookie")), ("dying", ""));
            drop(dying.take());
            let moved = get(site, url, Some(&cookie));
            assert_eq!(moved.backend(), "other");
            let replaced = moved.header("set-cookie").starts_with("INGRESSCOOKIE=");
            assert_eq!(replaced, change == "true", "{moved:?}");
        });
    }
}

/// Whether a client stays with its endpoint, or with the share of the canary that the weights give it to.
#[test]
fn canaries() {
    for (behaviour, met) in [("sticky", 1), ("legacy", 2)] {
        let base = [
            ("affinity", "cookie"),
            ("affinity-canary-behavior", behaviour),
        ];
        let canary = [("canary", "true"), ("canary-weight", "50")];
        let host = (CLASS, "example.com");
        let manifests = [
            ingress("base", host, &base, &[("Prefix", "/", "one")], ""),
            ingress("canary", host, &canary, &[("Prefix", "/", "two")], ""),
        ]
        .concat();
        both(&[CLASS], &["one", "two"], &manifests, |site| {
            let url = "http://example.com/";
            let first = get(site, url, None);
            let cookie = first.cookie().to_owned();
            let again = (0..8).map(|_| get(site, url, Some(&cookie)).backend().to_owned());
            assert_eq!(again.collect::<BTreeSet<_>>().len(), met, "{behaviour}");
        });
    }
}
