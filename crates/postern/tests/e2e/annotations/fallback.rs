//! `default-backend` and `custom-http-errors`, and that neither lets anybody in.

use testkit::call::{Answer, Call};

use super::{Annotations, Site, both, ingress};
use crate::support::secret;

const CLASS: &str = "higress";
const HOST: (&str, &str) = (CLASS, "example.com");
/// A Service without endpoints.
const EMPTY: &str =
    "apiVersion: v1\nkind: Service\nmetadata: {name: empty}\nspec: {ports: [{port: 80}]}\n---\n";
/// `john`, `secret`.
const LOGIN: &str = "Basic am9objpzZWNyZXQ=";
const USERS: (&str, &str) = ("auth", "john:$apr1$salt$VEpBc9VHGUKwI9.yg13Iu0");

#[test]
fn a_service_without_endpoints_has_somebody_who_stands_in() {
    let fallback = [("default-backend", "page")];
    let paths = [("Prefix", "/empty", "empty"), ("Prefix", "/", "main")];
    let manifests = [
        EMPTY.to_owned(),
        ingress("with", HOST, &fallback, &paths, ""),
        ingress("without", (CLASS, "example.org"), &[], &paths, ""),
    ]
    .concat();
    both(&[CLASS], &["main", "page"], &manifests, |site| {
        assert_eq!(
            site.get("http://example.com/empty/x?a=b"),
            "page /empty/x?a=b",
            "the request as it is"
        );
        let posted = Call::new(site.http, "POST", "http://example.com/empty").body("hello");
        assert_eq!(posted.send_blocking().unwrap().json()["bodyBytes"], 5);
        assert_eq!(site.get("http://example.com/x"), "main /x");
        assert_eq!(
            site.get("http://example.com/?status=503"),
            "main /?status=503",
            "an answer is an answer"
        );
        assert_eq!(site.get("http://example.org/empty"), "503");
    });
}

/// A canary without endpoints is no reason to fail: its base answers. What chose the canary by a header is coloured as
/// the canary's all the same, for the Services behind.
#[test]
fn a_canary_that_is_down_is_its_base() {
    let manifests = [
        EMPTY.to_owned(),
        ingress(
            "base",
            HOST,
            &[("request-header-control-add", "stage base")],
            &[("Prefix", "/", "main")],
            "",
        ),
        ingress(
            "header",
            HOST,
            &[
                ("canary", "true"),
                ("canary-by-header", "x-gray"),
                ("request-header-control-add", "stage gray"),
            ],
            &[("Prefix", "/", "empty")],
            "",
        ),
        ingress(
            "weight",
            HOST,
            &[("canary", "true"), ("canary-weight", "50")],
            &[("Prefix", "/", "empty")],
            "",
        ),
    ]
    .concat();
    both(&[CLASS], &["main"], &manifests, |site| {
        for (value, stage) in [
            ("always", "gray"),
            ("never", "base"),
            ("x", "base"),
            ("x", "base"),
        ] {
            let call = Call::get(site.http, "http://example.com/").header("x-gray", value);
            let answer = call.send_blocking().unwrap();
            assert_eq!(answer.backend(), "main", "{value}");
            assert_eq!(
                answer.json()["headers"]["stage"],
                serde_json::json!([stage]),
                "{value}"
            );
        }
    });
}

#[test]
fn error_pages() {
    let annotations = [
        ("nginx.ingress.kubernetes.io/default-backend", "page"),
        ("nginx.ingress.kubernetes.io/custom-http-errors", "404,503"),
    ];
    let manifests = ingress("site", HOST, &annotations, &[("Prefix", "/", "main")], "");
    both(&[CLASS], &["main", "page"], &manifests, |site| {
        let url = |query: &str| format!("http://example.com/shop/x?{query}");
        let ask = |query: &str| {
            let call = Call::new(site.http, "POST", &url(query)).body("hello");
            let call = call.header("accept", "text/html").header("x-code", "200");
            call.header("authorization", "Bearer x")
                .send_blocking()
                .unwrap()
        };
        for status in ["404", "503"] {
            let answer = ask(&format!("status={status}"));
            assert_eq!(answer.backend(), "page");
            let told = answer.json();
            assert_eq!(
                (&told["method"], &told["path"], &told["bodyBytes"]),
                (&"GET".into(), &"/".into(), &0.into())
            );
            for (name, value) in [
                ("x-code", status),
                ("x-format", "text/html"),
                ("x-original-uri", &*format!("/shop/x?status={status}")),
            ] {
                assert_eq!(told["headers"][name], serde_json::json!([value]), "{name}");
            }
            assert!(
                told["headers"]["authorization"].is_null(),
                "no page needs it: {told}"
            );
        }
        let other = ask("status=502");
        assert_eq!((other.status.as_u16(), other.backend()), (502, "main"));
        assert_eq!(ask("").backend(), "main");
        assert_eq!((site.hits(0), site.hits(1)), (4, 2));
    });
}

/// What keeps somebody out, each for a host of its own.
const GUARDS: &[(&str, Annotations<'_>)] = &[
    ("basic", &[("auth-type", "basic"), ("auth-secret", "users")]),
    // There is no such Secret.
    ("lost", &[("auth-type", "basic"), ("auth-secret", "lost")]),
    (
        "external",
        &[(
            "auth-url",
            "http://auth.default.svc.cluster.local/check?$args",
        )],
    ),
    // Nobody is there to be asked.
    (
        "gone",
        &[("auth-url", "http://empty.default.svc.cluster.local/")],
    ),
    ("addresses", &[("denylist-source-range", "127.0.0.0/8")]),
    (
        "limited",
        &[
            ("route-limit-rpm", "1"),
            ("route-limit-burst-multiplier", "1"),
        ],
    ),
    ("small", &[("proxy-body-size", "4")]),
];

/// Their Ingresses, with pages for the very statuses of denials, and with somebody who stands in for a Service without
/// endpoints.
fn guarded() -> String {
    let pages = [
        ("default-backend", "page"),
        (
            "custom-http-errors",
            "400,401,403,404,407,413,429,500,502,503,504",
        ),
    ];
    let sites = GUARDS.iter().map(|(name, guard)| {
        let annotations = [*guard, &pages[..]].concat();
        let paths = [("Prefix", "/empty", "empty"), ("Prefix", "/", "main")];
        ingress(
            name,
            (CLASS, &format!("{name}.com")),
            &annotations,
            &paths,
            "",
        )
    });
    let users = secret("users", &[USERS]);
    format!("{EMPTY}{users}---\n{}", sites.collect::<String>())
}

/// Whatever denies a request, the denial stays one, and nothing of the request reaches whoever has the pages.
#[test]
fn a_page_lets_nobody_in() {
    both(&[CLASS], &["main", "page", "auth"], &guarded(), |site| {
        let post = |url: &str, login: &str| {
            let call = Call::new(site.http, "POST", url).body("hello");
            call.header("authorization", login).send_blocking().unwrap()
        };
        for (url, status) in [
            ("http://basic.com/", 401),
            ("http://basic.com/empty", 401),
            ("http://external.com/?status=401", 401),
            ("http://external.com/empty?status=403", 403),
            ("http://external.com/?status=500", 500),
            ("http://addresses.com/", 403),
            ("http://addresses.com/empty", 403),
            ("http://gone.com/", 503),
            ("http://gone.com/empty", 503),
            ("http://lost.com/", 500),
            ("http://lost.com/empty", 500),
            ("http://small.com/", 413),
            ("http://small.com/empty", 413),
        ] {
            let answer = post(url, "Basic am9objp3cm9uZw==");
            assert_eq!(answer.status.as_u16(), status, "{url}");
            assert_ne!(answer.backend(), "page", "{url}");
        }
        assert_eq!(
            (site.hits(0), site.hits(1)),
            (0, 0),
            "nobody came through, and no page was asked"
        );
        assert_eq!(post("http://limited.com/", "x").backend(), "main");
        assert_eq!(post("http://limited.com/", "x").status.as_u16(), 429);
        assert_eq!(site.hits(1), 0);
        let_in_and_denied_by_the_backend(site, &post);
    });
}

/// Whoever is let in gets pages; a backend that denies keeps its status.
fn let_in_and_denied_by_the_backend(site: &Site, post: &dyn Fn(&str, &str) -> Answer) {
    let page = post("http://basic.com/?status=404", LOGIN);
    assert_eq!((page.status.as_u16(), page.backend()), (200, "page"));
    assert_eq!(
        post("http://basic.com/empty", LOGIN).backend(),
        "page",
        "let in, so somebody stands in"
    );
    for status in [401, 403, 407] {
        let answer = post(&format!("http://basic.com/?status={status}"), LOGIN);
        assert_eq!((answer.status.as_u16(), answer.backend()), (status, "page"));
        let told = answer.json();
        assert!(
            told["headers"]["authorization"].is_null() && told["bodyBytes"] == 0,
            "{told}"
        );
    }
    assert_eq!(site.hits(1), 5);
}
