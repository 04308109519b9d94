//! Cookies that tie clients to endpoints: every attribute, whose they are, and what becomes of them when an endpoint
//! fails.

use std::{cell::RefCell, collections::BTreeSet, sync::Arc};

use testkit::{
    call::{Answer, Call},
    echo::Backend,
};

use super::{Annotations, Site, both, both_around, certificate, ingress};
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
            "INGRESSCOOKIE=…; Path=/; Max-Age=60; HttpOnly; Expires=…",
        ),
        (
            "expires",
            &[("session-cookie-expires", "90")],
            "INGRESSCOOKIE=…; Path=/; HttpOnly; Expires=…",
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
            let attributes = match attributes.split_once("Expires=") {
                None => attributes.to_owned(),
                Some((before, date)) => {
                    assert!(date.len() == 29 && date.ends_with(" GMT"), "{set}");
                    format!("{before}Expires=…")
                }
            };
            assert_eq!(format!("{cookie}=…; {attributes}"), wanted, "{name}");
        }
    });
}

/// A client whose endpoint fails is answered by another and gets that one's cookie if `change-on-failure` says so. Else
/// it stays: with an endpoint that is not there, nobody answers it.
#[test]
fn failures() {
    for (class, change, moves) in [
        ("nginx", Some("true"), true),
        ("nginx", Some("false"), false),
        ("nginx", None, false),
        ("higress", None, true),
        ("higress", Some("false"), false),
    ] {
        let dying = RefCell::new(None);
        let manifests = |backends: &[Backend]| {
            let backend = Backend::start("dying");
            let all = service("all", &[&backends[0], &backend]);
            dying.replace(Some(backend));
            let change = change.map(|change| ("session-cookie-change-on-failure", change));
            let annotations: Vec<_> = [("affinity", "cookie")].into_iter().chain(change).collect();
            let paths = [("Prefix", "/", "all")];
            all + &ingress("site", (class, "example.com"), &annotations, &paths, "")
        };
        both_around(&[class], &["other"], manifests, |site| {
            let url = "http://example.com/";
            let mut all = (0..100).map(|_| get(site, url, None));
            let first = all.find(|answer| answer.backend() == "dying").unwrap();
            let cookie = first.cookie().to_owned();
            let again = get(site, url, Some(&cookie));
            assert_eq!((again.backend(), again.header("set-cookie")), ("dying", ""));
            drop(dying.take());
            let moved = get(site, url, Some(&cookie));
            let replaced = moved.header("set-cookie").starts_with("INGRESSCOOKIE=");
            assert_eq!(replaced, moves, "{class} {change:?} {moved:?}");
            let status = match class {
                _ if moves => 200,
                "nginx" => 502,
                _ => 503,
            };
            assert_eq!(moved.status.as_u16(), status, "{class} {change:?}");
            // Who has no cookie is led to who is there.
            assert_eq!(
                get(site, url, None).backend(),
                "other",
                "{class} {change:?}"
            );
        });
    }
}

/// Whether a client stays with its endpoint, or with the share of the canary that the weights give it to, and who says
/// so.
#[test]
fn canaries() {
    let canary: Annotations<'_> = &[("canary", "true"), ("canary-weight", "50")];
    let base: Annotations<'_> = &[("affinity", "cookie")];
    for (class, on, behaviour, met) in [
        ("nginx", "canary", "sticky", 1),
        ("nginx", "canary", "legacy", 2),
        ("nginx", "base", "legacy", 1),
        ("higress", "base", "sticky", 1),
        ("higress", "base", "legacy", 2),
        ("higress", "canary", "legacy", 2),
    ] {
        let more = |to: &str| (on == to).then_some(("affinity-canary-behavior", behaviour));
        let with = |to: &str, own: Annotations<'static>| -> Vec<_> {
            own.iter().copied().chain(more(to)).collect()
        };
        let host = (class, "example.com");
        let manifests = [
            ingress(
                "base",
                host,
                &with("base", base),
                &[("Prefix", "/", "one")],
                "",
            ),
            ingress(
                "canary",
                host,
                &with("canary", canary),
                &[("Prefix", "/", "two")],
                "",
            ),
        ]
        .concat();
        both(&[class], &["one", "two"], &manifests, |site| {
            let url = "http://example.com/";
            let first = get(site, url, None);
            let cookie = first.cookie().to_owned();
            let again: BTreeSet<_> = (0..8)
                .map(|_| {
                    let answer = get(site, url, Some(&cookie));
                    assert_eq!(answer.header("set-cookie"), "", "{class} {on} {behaviour}");
                    answer.backend().to_owned()
                })
                .collect();
            assert_eq!(again.len(), met, "{class} {on} {behaviour}");
        });
    }
}

/// Two Services of one host, and one name for their cookies: each client stays with an endpoint of each, and no answer
/// takes what the other made.
#[test]
fn services_of_one_host() {
    for class in ["nginx", "higress"] {
        let more = RefCell::new(Vec::new());
        let manifests = |_: &[Backend]| {
            let started: Vec<_> = (0..6).map(|at| Backend::start(&format!("e{at}"))).collect();
            let all: Vec<&Backend> = started.iter().collect();
            let services = service("page", &all[..3]) + &service("api", &all[3..]);
            more.replace(started);
            let paths = [("Prefix", "/api", "api"), ("Prefix", "/", "page")];
            services
                + &ingress(
                    "site",
                    (class, "example.com"),
                    &[("affinity", "cookie")],
                    &paths,
                    "",
                )
        };
        both_around(&[class], &[], manifests, |site| {
            let ask = |path: &str, cookie: Option<&str>| {
                let answer = get(site, &format!("http://example.com{path}"), cookie);
                let set = answer.header("set-cookie").to_owned();
                (answer.backend().to_owned(), set, answer.cookie().to_owned())
            };
            let (page, set, cookie) = ask("/", None);
            assert!(set.contains("; Path=/;"), "{set}");
            let (api, set, _) = ask("/api", Some(&cookie));
            assert_eq!(set, "", "{class}: it has a cookie");
            for _ in 0..6 {
                assert_eq!(ask("/", Some(&cookie)).0, page, "{class}");
                assert_eq!(ask("/api", Some(&cookie)).0, api, "{class}");
            }
            // A client that begins with the API, as browsers send what they were given.
            let (api, set, own) = ask("/api/x", None);
            let narrow = set.contains("; Path=/api;");
            assert_eq!(narrow, class == "nginx", "{set}");
            let both = match narrow {
                true => format!("{own}; {cookie}"),
                false => own.clone(),
            };
            for _ in 0..6 {
                let (again, set, _) = ask("/api/x", Some(&both));
                assert_eq!(
                    (again.as_str(), set.as_str()),
                    (api.as_str(), ""),
                    "{class}"
                );
                let at_root = ask("/", Some(if narrow { &cookie } else { &own }));
                assert_eq!(at_root.1, "", "{class}");
            }
        });
    }
}

/// Over https the cookie is secure in class nginx, as it is with `SameSite=None` in every class.
#[test]
fn over_https() {
    let none: Annotations<'_> = &[("session-cookie-samesite", "None")];
    for (class, more, plain, secure) in [
        ("nginx", &[][..], "/app; HttpOnly", "/app; HttpOnly; Secure"),
        (
            "nginx",
            none,
            "/app; SameSite=None; HttpOnly",
            "/app; SameSite=None; HttpOnly; Secure",
        ),
        ("higress", &[][..], "/; HttpOnly", "/; HttpOnly"),
        (
            "higress",
            none,
            "/; SameSite=None; HttpOnly",
            "/; SameSite=None; HttpOnly; Secure",
        ),
        (
            "nginx",
            &[("session-cookie-secure", "true")],
            "/app; Secure; HttpOnly",
            "/app; Secure; HttpOnly",
        ),
    ] {
        let (secret, client) = certificate("tls", &["example.com"]);
        let own = [("affinity", "cookie"), ("ssl-redirect", "false")];
        let annotations = [&own[..], more].concat();
        let tls = "  tls: [{hosts: [example.com], secretName: tls}]\n";
        let paths = [("Prefix", "/app", "one")];
        let site = ingress("site", (class, "example.com"), &annotations, &paths, tls);
        both(&[class], &["one"], &(secret + &site), |site| {
            let attributes = |answer: &Answer| {
                let set = answer.header("set-cookie");
                set.split_once("; Path=").unwrap().1.to_owned()
            };
            let answer = get(site, "http://example.com/app/x", None);
            assert_eq!(attributes(&answer), plain, "{class}");
            let call = Call::get(site.https.unwrap(), "https://example.com/app/x");
            let answer = call.tls(Arc::clone(&client), "example.com");
            let answer = answer.send_blocking().unwrap();
            assert_eq!(attributes(&answer), secure, "{class}");
        });
    }
}

/// Each path of class nginx has a cookie of its own path, two Ingresses of one Service lead to the same endpoint, and
/// browsers that misread `SameSite=None` are spared it.
#[test]
fn paths_and_old_browsers() {
    let started = RefCell::new(Vec::new());
    let manifests = |_: &[Backend]| {
        let all: Vec<_> = (0..5).map(|at| Backend::start(&format!("e{at}"))).collect();
        let services = service("app", &all.iter().collect::<Vec<_>>());
        started.replace(all);
        let host = (CLASS, "example.com");
        let wide = [
            ("affinity", "cookie"),
            ("session-cookie-samesite", "None"),
            ("session-cookie-conditional-samesite-none", "true"),
        ];
        let paths = [("Prefix", "/", "app"), ("Exact", "/v1.0/x", "app")];
        let narrow = [("affinity", "cookie"), ("proxy-read-timeout", "7")];
        let more = [("ImplementationSpecific", "/start", "app")];
        services
            + &ingress("wide", host, &wide, &paths, "")
            + &ingress("narrow", host, &narrow, &more, "")
    };
    both_around(&[CLASS], &[], manifests, |site| {
        let of = |path: &str, agent: &str| {
            let call = Call::get(site.http, &format!("http://example.com{path}"));
            let answer = call.header("user-agent", agent).send_blocking().unwrap();
            let set = answer.header("set-cookie");
            set.split_once("; Path=").unwrap().1.to_owned()
        };
        let (new, old) = (
            "Mozilla/5.0 Chrome/131.0.0.0",
            "Mozilla/5.0 Chrome/60.0.1.2",
        );
        assert_eq!(of("/x", new), "/; HttpOnly; SameSite=None");
        assert_eq!(of("/x", old), "/; HttpOnly");
        assert_eq!(of("/v1.0/x", new), "/v1.0/x; HttpOnly; SameSite=None");
        assert_eq!(of("/starting", new), "/start; HttpOnly");
        for _ in 0..6 {
            let first = get(site, "http://example.com/", None);
            let other = get(site, "http://example.com/start", Some(first.cookie()));
            let got = (other.backend(), other.header("set-cookie"));
            assert_eq!(got, (first.backend(), ""));
        }
    });
}
