//! What backends and clients see: Ingresses in the shapes that Higress' own tests have.

use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use testkit::{
    call::{Answer, Call},
    certs::{Ca, client_config_presenting},
    echo::Backend,
    wait::eventually,
};

use super::{CLASS, ROOT, site};
use crate::{
    annotations::{Annotations, Site, both, both_around, ingress},
    examples::tls::speaking,
    support::{secret, service},
};

/// A request with header fields.
fn ask(site: &Site, method: &str, url: &str, fields: &[(&str, &str)]) -> Answer {
    let call = Call::new(site.http, method, url);
    let call = { fields.iter() }.fold(call, |call, (name, value)| call.header(name, value));
    call.send_blocking().unwrap()
}

/// An Ingress of host `a.com` with a path of its own.
fn at(path: &str, annotations: Annotations<'_>, service: &str) -> String {
    site(
        &path[1..],
        "a.com",
        annotations,
        &[("Exact", path, service)],
    )
}

#[test]
fn header_fields() {
    let manifests = [
        at(
            "/add",
            &[("request-header-control-add", "stage test")],
            "one",
        ),
        at(
            "/adds",
            &[("request-header-control-add", "stage test\ncanary true\n")],
            "one",
        ),
        at(
            "/update",
            &[("request-header-control-update", "stage pro")],
            "one",
        ),
        at(
            "/updates",
            &[("request-header-control-update", "stage pro\ncanary false\n")],
            "one",
        ),
        at(
            "/remove",
            &[("request-header-control-remove", "stage")],
            "one",
        ),
        at(
            "/removes",
            &[("request-header-control-remove", "stage,canary")],
            "one",
        ),
        at(
            "/answer",
            &[("response-header-control-add", "stage test")],
            "one",
        ),
        at(
            "/answers",
            &[(
                "response-header-control-add",
                "stage test\ncanary true\nx-a \"b; c=d\"\n'x-b' \"e; f=g\"\n",
            )],
            "one",
        ),
    ]
    .concat();
    let sent = [("stage", "test"), ("canary", "true")];
    both(&[CLASS], &["one"], &manifests, |site| {
        for (path, sent, stage, canary) in [
            ("/add", &[][..], Some("test"), None),
            ("/adds", &[], Some("test"), Some("true")),
            ("/update", &sent, Some("pro"), Some("true")),
            ("/updates", &sent, Some("pro"), Some("false")),
            ("/remove", &sent, None, Some("true")),
            ("/removes", &sent, None, None),
        ] {
            let told = ask(site, "GET", &format!("http://a.com{path}"), sent).json();
            let field = |name: &str| told["headers"][name][0].as_str().map(str::to_owned);
            assert_eq!(field("stage").as_deref(), stage, "{path}");
            assert_eq!(field("canary").as_deref(), canary, "{path}");
        }
        let answer = ask(site, "GET", "http://a.com/answer", &[]);
        assert_eq!(answer.header("stage"), "test");
        let answer = ask(site, "GET", "http://a.com/answers", &[]);
        for (name, value) in [
            ("stage", "test"),
            ("canary", "true"),
            ("x-a", "b; c=d"),
            ("x-b", "e; f=g"),
        ] {
            assert_eq!(answer.header(name), value, "{name}");
        }
    });
}

#[test]
fn hosts_that_backends_are_told() {
    let vhost = [("nginx.ingress.kubernetes.io/upstream-vhost", "inner.io")];
    let manifests = [
        site("a", "a.com", &vhost, &[("Prefix", "/x", "one")]),
        site("b", "b.com", &vhost, &[("Prefix", "/x", "two")]),
    ]
    .concat();
    both(&[CLASS], &["one", "two"], &manifests, |site| {
        for (host, backend) in [("a.com", "one"), ("b.com", "two")] {
            let answer = ask(site, "GET", &format!("http://{host}/x"), &[]);
            assert_eq!(answer.backend(), backend);
            assert_eq!(answer.json()["host"], "inner.io", "{host}");
        }
    });
}

/// OPTIONS without `Access-Control-Request-Method` is no preflight and gets to the backend.
#[test]
fn other_origins() {
    let nginx = |name: &str| format!("nginx.ingress.kubernetes.io/{name}");
    let enable = nginx("enable-cors");
    let keys = ["methods", "headers", "origin", "credentials"]
        .map(|word| nginx(&format!("cors-allow-{word}")));
    let (expose, age) = (nginx("cors-expose-headers"), nginx("cors-max-age"));
    let strict = [
        (&*enable, "true"),
        (&*keys[0], "POST"),
        (&*keys[1], "Host,Origin"),
        (&*keys[2], "http://yes.com"),
        (&*keys[3], "true"),
        (&*expose, "*"),
        (&*age, "60"),
    ];
    let manifests = [
        site("off", "off.com", &[(&*enable, "false")], ROOT),
        site("on", "on.com", &[(&*enable, "true")], ROOT),
        site("strict", "strict.com", &strict, ROOT),
    ]
    .concat();
    both(&[CLASS], &["one"], &manifests, |site| {
        for (host, origin, allowed) in [
            ("off.com", "http://yes.com", false),
            ("on.com", "http://yes.com", true),
            ("strict.com", "http://yes.com", true),
            ("strict.com", "http://no.com", false),
        ] {
            let url = format!("http://{host}/");
            let answer = ask(site, "OPTIONS", &url, &[("origin", origin)]);
            assert_eq!(
                (answer.status.as_u16(), answer.backend()),
                (200, "one"),
                "{host}"
            );
            let wanted = if allowed { (origin, "true") } else { ("", "") };
            let origin = answer.header("access-control-allow-origin");
            let credentials = answer.header("access-control-allow-credentials");
            assert_eq!((origin, credentials), wanted, "{host}");
            let exposed = answer.header("access-control-expose-headers");
            assert_eq!(
                exposed.is_empty(),
                !(allowed && host == "strict.com"),
                "{host}: {exposed}"
            );
        }
        let fields = [
            ("origin", "http://yes.com"),
            ("access-control-request-method", "POST"),
        ];
        let answer = ask(site, "OPTIONS", "http://strict.com/", &fields);
        for (name, value) in [
            ("access-control-allow-methods", "POST"),
            ("access-control-max-age", "60"),
        ] {
            assert_eq!(answer.header(name), value, "{name}");
        }
        let headers = answer.header("access-control-allow-headers");
        let mut names: Vec<_> = headers
            .split(',')
            .map(|name| name.trim().to_ascii_lowercase())
            .collect();
        names.sort();
        assert_eq!(names, ["host", "origin"]);
    });
}

/// A Service that is not there has another in its place, as have answers of listed statuses.
#[test]
fn services_that_stand_in() {
    let page = ("nginx.ingress.kubernetes.io/default-backend", "two");
    let errors = (
        "nginx.ingress.kubernetes.io/custom-http-errors",
        "400,404,415,503",
    );
    let copies = ("nginx.ingress.kubernetes.io/mirror-target-service", "two");
    let paths = [("Exact", "/there", "one"), ("Exact", "/gone", "missing")];
    let manifests = [
        site("plain", "", &[page], &[("Prefix", "/any", "missing")]),
        site("told", "told.com", &[page, errors], &paths),
        site("copied", "copied.com", &[copies], ROOT),
    ]
    .concat();
    both(&[CLASS], &["one", "two"], &manifests, |site| {
        assert_eq!(site.get("http://any.com/any"), "two /any");
        assert_eq!(site.get("http://told.com/there"), "one /there");
        assert_eq!(site.get("http://told.com/gone"), "two /gone");
        assert_eq!(site.get("http://told.com/there?status=415"), "two /");
        let before = site.hits(1);
        assert_eq!(site.get("http://copied.com/x"), "one /x");
        eventually("a copy arrives", || site.hits(1) == before + 1);
        assert_eq!(site.backends[1].seen().last().unwrap().target, "/x");
    });
}

#[test]
fn who_may_ask_and_for_how_long() {
    let addresses = "nginx.ingress.kubernetes.io/whitelist-source-range";
    let manifests = [
        site("few", "few.com", &[(addresses, "2.2.2.2")], ROOT),
        site("all", "all.com", &[(addresses, "*")], ROOT),
        site("slow", "slow.com", &[("timeout", "1")], ROOT),
    ]
    .concat();
    both(&[CLASS], &["one"], &manifests, |site| {
        assert_eq!(site.get("http://few.com/"), "403");
        assert_eq!(site.get("http://all.com/"), "one /");
        let url = |wait: u32| format!("http://slow.com/?delay={wait}");
        assert_eq!(site.get(&url(10)), "one /?delay=10");
        assert_eq!(site.get(&url(3000)), "504");
    });
}

/// A limit in a second or a minute, and how much of it may come at once.
#[test]
fn how_often() {
    let (second, minute) = ("route-limit-rps", "route-limit-rpm");
    let limits = [
        ("second", second, "10", "1"),
        ("seconds", second, "10", "3"),
        ("minute", minute, "10", "1"),
        ("minutes", minute, "10", "3"),
    ];
    let manifests: String = limits
        .iter()
        .map(|(name, key, limit, burst)| {
            let limit = [(*key, *limit), ("route-limit-burst-multiplier", *burst)];
            at(&format!("/{name}"), &limit, "one")
        })
        .collect();
    both(&[CLASS], &["one"], &manifests, |site| {
        for (name, served) in [("minute", 10), ("minutes", 30)] {
            let url = format!("http://a.com/{name}");
            let found: Vec<_> = (0..40).map(|_| site.get(&url)).collect();
            let yes = found
                .iter()
                .take_while(|found| found.starts_with("one"))
                .count();
            assert_eq!(yes, served, "{name}");
            assert!(found[yes..].iter().all(|found| found == "429"), "{found:?}");
        }
        // A bucket of a second is filled again meanwhile: what is asked at once is at least what may be.
        for (name, served) in [("second", 10), ("seconds", 30)] {
            let url = format!("http://a.com/{name}");
            let yes = (0..400)
                .take_while(|_| site.get(&url).starts_with("one"))
                .count();
            assert!((served..400).contains(&yes), "{name}: {yes}");
        }
    });
}

/// One value of the header field leads to one endpoint; without the field, and with words for balancing, any may
/// answer.
#[test]
fn which_endpoint() {
    let nginx = |name: &str| format!("nginx.ingress.kubernetes.io/{name}");
    let (hash, balance) = (nginx("upstream-hash-by"), nginx("load-balance"));
    let manifests = |backends: &[Backend]| {
        let backends: Vec<_> = backends.iter().collect();
        [
            service("all", &backends),
            site(
                "hash",
                "hash.com",
                &[(&*hash, "$http_x_test_hash")],
                &[("Prefix", "/", "all")],
            ),
            site(
                "least",
                "least.com",
                &[(&*balance, "least_request")],
                &[("Prefix", "/", "all")],
            ),
        ]
        .concat()
    };
    both_around(&[CLASS], &["a", "b", "c"], manifests, |site| {
        let of = |value: &str| site.get_with("http://hash.com/", &[("x-test-hash", value)]);
        let mut all: Vec<_> = (0..30)
            .map(|value| {
                let value = value.to_string();
                let first = of(&value);
                assert!((0..3).all(|_| of(&value) == first), "{value}");
                first
            })
            .collect();
        all.sort();
        all.dedup();
        assert!(all.len() > 1, "{all:?}");
        assert!((0..10).all(|_| site.get("http://least.com/x").ends_with(" /x")));
    });
}

/// Certificates of clients, and suites by their names. Higress' own test has a list with CBC alone: it is none here.
#[test]
fn tls_of_clients() {
    let (ca, clients) = (Ca::new("servers"), Ca::new("clients"));
    let pair = ca.issue(&["mutual.com", "suite.com"]);
    let entries = [("tls.crt", &*pair.cert_pem), ("tls.key", &*pair.key_pem)];
    let with = |name: &str, annotations: Annotations<'_>| {
        let host = format!("{name}.com");
        let tls = format!("  tls: [{{hosts: [{host}], secretName: cert}}]\n");
        ingress(
            name,
            (CLASS, &host),
            annotations,
            &[("Exact", "/x", "one")],
            &tls,
        )
    };
    let suites =
        "ECDHE-ECDSA-AES128-GCM-SHA256,ECDHE-ECDSA-AES256-GCM-SHA384,ECDHE-ECDSA-AES128-SHA";
    let manifests = [
        secret("cert", &entries) + "---\n",
        secret("cert-cacert", &[("cacert", clients.pem())]) + "---\n",
        with("mutual", &[("auth-tls-secret", "cert-cacert")]),
        with("suite", &[("ssl-cipher", suites)]),
    ]
    .concat();
    let known = client_config_presenting(ca.pem(), &clients.issue_client("me"), &["http/1.1"]);
    both(&[CLASS], &["one"], &manifests, |site| {
        let answer = |host: &str, config: &rustls::ClientConfig| {
            let call = Call::get(site.https.unwrap(), &format!("https://{host}/x"));
            call.tls(Arc::new(config.clone()), host).send_blocking()
        };
        assert_eq!(answer("mutual.com", &known).unwrap().backend(), "one");
        answer("mutual.com", &ca.client_config(&["http/1.1"])).unwrap_err();
        for version in [&TLS12, &TLS13] {
            let found = answer("suite.com", &speaking(&ca, version)).unwrap();
            assert_eq!(found.backend(), "one", "{version:?}");
        }
    });
}
