//! Class `nginx`: what backends are told of clients, and clients of the gateway, without an annotation and with some.

use testkit::{
    call::{Answer, Call},
    echo::unused_address,
};

use super::{Site, both, certificate, ingress};
use crate::support::secret;

const CLASS: &str = "nginx";
const ROOT: &[(&str, &str, &str)] = &[("Prefix", "/", "one")];

fn plain(name: &str, annotations: super::Annotations<'_>) -> String {
    ingress(name, (CLASS, &format!("{name}.com")), annotations, ROOT, "")
}

fn get(site: &Site, url: &str, fields: &[(&str, &str)]) -> Answer {
    asked(site, "GET", url, fields)
}

fn asked(site: &Site, method: &str, url: &str, fields: &[(&str, &str)]) -> Answer {
    let call = Call::new(site.http, method, url);
    let add = |call: Call, (name, value): &(&str, &str)| call.header(name, value);
    fields.iter().fold(call, add).send_blocking().unwrap()
}

#[test]
fn a_backend_knows_who_asks_and_a_browser_keeps_to_https() {
    let (secret, client) = certificate("cert", &["tls.com"]);
    let tls = "  tls: [{hosts: [tls.com], secretName: cert}]\n";
    let manifests = [
        secret,
        ingress(
            "tls",
            (CLASS, "tls.com"),
            &[],
            &[("Prefix", "/app", "one")],
            tls,
        ),
        plain("plain", &[]),
        ingress("other", ("higress", "higress.com"), &[], ROOT, ""),
    ]
    .concat();
    both(&[CLASS, "higress"], &["one"], &manifests, |site| {
        let claims = [
            ("x-real-ip", "6.6.6.6"),
            ("x_real_ip", "6.6.6.6"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-port", "1"),
            ("x-scheme", "gopher"),
        ];
        let answer = get(site, "http://plain.com/", &claims);
        let told = answer.json()["headers"].clone();
        for (name, value) in [
            ("x-real-ip", "127.0.0.1"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-original-forwarded-for", "6.6.6.6"),
            ("x-forwarded-host", "plain.com"),
            ("x-forwarded-port", "80"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-scheme", "http"),
            ("x-scheme", "http"),
        ] {
            assert_eq!(told[name], serde_json::json!([value]), "{name}");
        }
        assert!(told["x_real_ip"].is_null());
        assert_eq!(told["x-request-id"][0].as_str().map(str::len), Some(32));
        assert_eq!(answer.header("strict-transport-security"), "");
        let over_tls = |path: &str| {
            let call = Call::get(site.https.unwrap(), &format!("https://tls.com{path}"));
            call.tls(client.clone(), "tls.com")
        };
        let call = over_tls("/app").header("x-request-id", "mine");
        let answer = call.send_blocking().unwrap();
        let told = answer.json()["headers"].clone();
        assert_eq!(told["x-request-id"][0], "mine");
        assert_eq!(told["x-forwarded-port"][0], "443");
        assert_eq!(told["x-scheme"][0], "https");
        assert_eq!(
            answer.header("strict-transport-security"),
            "max-age=31536000; includeSubDomains"
        );
        let unmatched = over_tls("/other").send_blocking().unwrap();
        assert_eq!(unmatched.status, 404);
        assert_eq!(
            unmatched.header("strict-transport-security"),
            "max-age=31536000; includeSubDomains"
        );
        let told = get(site, "http://higress.com/", &[]).json()["headers"].clone();
        assert!(told["x-real-ip"].is_null() && told["x-request-id"].is_null());
    });
}

#[test]
fn a_password_stays_here() {
    // `secret`.
    let users = secret(
        "users",
        &[("auth", "john:$apr1$salt$VEpBc9VHGUKwI9.yg13Iu0")],
    ) + "---\n";
    let basic = [("auth-type", "basic"), ("auth-secret", "users")];
    let higress = ingress("higress", ("higress", "higress.com"), &basic, ROOT, "");
    let manifests = [users, plain("basic", &basic), higress].concat();
    both(&[CLASS, "higress"], &["one"], &manifests, |site| {
        let login = [("authorization", "Basic am9objpzZWNyZXQ=")];
        let told = get(site, "http://basic.com/", &login).json();
        assert!(told["headers"]["authorization"].is_null());
        let told = get(site, "http://higress.com/", &login).json();
        assert_eq!(told["headers"]["authorization"][0], login[0].1);
    });
}

#[test]
fn origins() {
    let on = ("enable-cors", "true");
    let listed = (
        "cors-allow-origin",
        "https://a.com, https://*.b.com, app://localhost",
    );
    let manifests = [
        plain("alone", &[on]),
        plain("listed", &[on, listed]),
        ingress("higress", ("higress", "higress.com"), &[on], ROOT, ""),
    ]
    .concat();
    both(&[CLASS, "higress"], &["one"], &manifests, |site| {
        let evil = [("origin", "https://evil.example")];
        for (method, status) in [("GET", 200), ("OPTIONS", 204)] {
            let answer = asked(site, method, "http://alone.com/", &evil);
            assert_eq!(answer.status, status);
            for (name, value) in [
                ("origin", "*"),
                ("credentials", "true"),
                ("methods", "GET, PUT, POST, DELETE, PATCH, OPTIONS"),
                (
                    "headers",
                    "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization",
                ),
            ] {
                let name = format!("access-control-allow-{name}");
                assert_eq!(answer.header(&name), value, "{method} {name}");
            }
            assert_eq!(answer.header("access-control-max-age"), "1728000");
        }
        for (origin, allowed) in [
            ("https://a.com", true),
            ("https://x.b.com", true),
            ("app://localhost", true),
            ("app://other", false),
            ("https://y.x.b.com", false),
            ("https://evil.example", false),
        ] {
            let answer = get(site, "http://listed.com/", &[("origin", origin)]);
            let said = answer.header("access-control-allow-origin");
            assert_eq!(said, if allowed { origin } else { "" });
            let said = answer.header("access-control-allow-methods");
            assert_eq!(!said.is_empty(), allowed, "{origin}");
        }
        let answer = get(site, "http://higress.com/", &evil);
        assert_eq!(answer.header("access-control-allow-origin"), evil[0].1);
    });
}

#[test]
fn ports_do_not_say_what_is_spoken() {
    // The backend of `one` speaks plain HTTP.
    let named = |class: &str| {
        let manifests = format!(
            "{}apiVersion: v1\nkind: Service\nmetadata: {{name: named, annotations: {{postern.dev/endpoints: \"ADDRESS\"}}}}\n\
             spec: {{ports: [{{port: 80, name: https}}]}}\n---\n",
            ingress("a", (class, "a.com"), &[], &[("Prefix", "/", "named")], "")
        );
        manifests
    };
    for (class, expected) in [(CLASS, "one /"), ("higress", "502")] {
        let manifests = |backends: &[testkit::echo::Backend]| {
            named(class).replace("ADDRESS", &backends[0].address().to_string())
        };
        super::both_around(&[class], &["one"], manifests, |site| {
            assert_eq!(site.get("http://a.com/"), expected, "{class}");
        });
    }
}

/// Services that lead to nothing that listens, and to nothing at all.
fn unreachable() -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: down, annotations: {{postern.dev/endpoints: \"{}\"}}}}\n\
         spec: {{ports: [{{port: 80}}]}}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: empty}}\nspec: {{ports: [{{port: 80}}]}}\n---\n",
        unused_address()
    )
}

#[test]
fn backends_that_cannot_answer() {
    let page = [("default-backend", "page"), ("custom-http-errors", "404")];
    let paths = |class: &str| {
        let paths = [
            ("Exact", "/down", "down"),
            ("Exact", "/missing", "missing"),
            ("Exact", "/empty", "empty"),
        ];
        ingress(class, (class, &format!("{class}.com")), &[], &paths, "")
    };
    let paged = [("Prefix", "/", "one"), ("Prefix", "/empty", "empty")];
    let manifests = [
        unreachable(),
        paths(CLASS),
        paths("higress"),
        ingress("paged", (CLASS, "paged.com"), &page, &paged, ""),
    ]
    .concat();
    both(&[CLASS, "higress"], &["one", "page"], &manifests, |site| {
        for (class, statuses) in [(CLASS, [502, 503, 503]), ("higress", [503, 500, 503])] {
            for (path, status) in ["down", "missing", "empty"].into_iter().zip(statuses) {
                let answer = get(site, &format!("http://{class}.com/{path}"), &[]);
                assert_eq!(answer.status, status, "{class} {path}");
            }
        }
        for (path, code, service) in [("/?status=404", "404", "one"), ("/empty/x", "503", "empty")]
        {
            let url = format!("http://paged.com{path}");
            let answer = get(site, &url, &[("accept", "text/html")]);
            assert_eq!(answer.backend(), "page");
            let told = answer.json()["headers"].clone();
            for (name, value) in [
                ("x-code", code),
                ("x-format", "text/html"),
                ("x-namespace", "default"),
                ("x-ingress-name", "paged"),
                ("x-service-name", service),
                ("x-service-port", "80"),
            ] {
                assert_eq!(told[name][0], value, "{path} {name}");
            }
            assert_eq!(told["x-request-id"][0].as_str().map(str::len), Some(32));
        }
    });
}

#[test]
fn what_the_gateway_refuses_has_a_page_too() {
    let refusing = [
        ("default-backend", "page"),
        ("custom-http-errors", "401,403,413,502"),
        ("auth-type", "basic"),
        ("auth-secret", "users"),
        ("proxy-body-size", "3"),
    ];
    let manifests = [
        unreachable(),
        ingress("refusing", (CLASS, "refusing.com"), &refusing, ROOT, ""),
        ingress(
            "unreached",
            (CLASS, "unreached.com"),
            &refusing[..2],
            &[("Prefix", "/", "down")],
            "",
        ),
        secret(
            "users",
            &[("auth", "jane:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n")],
        ),
    ]
    .concat();
    both(&[CLASS], &["one", "page"], &manifests, |site| {
        // What the gateway itself refuses, and a backend that cannot be reached, has a page too.
        let url = "http://refusing.com/x?y=z";
        let call = || Call::new(site.http, "POST", url).header("accept", "text/html");
        for (answer, status, code) in [
            (call().send_blocking(), 401, "401"),
            (call().body("hello").send_blocking(), 200, "413"),
            (
                Call::get(site.http, "http://unreached.com/").send_blocking(),
                200,
                "502",
            ),
        ] {
            let answer = answer.unwrap();
            assert_eq!((answer.status.as_u16(), answer.backend()), (status, "page"));
            let told = answer.json();
            assert_eq!(
                (&told["path"], &told["method"]),
                (&"/".into(), &"GET".into())
            );
            let told = &told["headers"];
            assert_eq!(told["x-code"][0], code);
            if code != "502" {
                for (name, value) in [
                    ("x-format", "text/html"),
                    ("x-original-uri", "/x?y=z"),
                    ("x-ingress-name", "refusing"),
                    ("x-service-name", "one"),
                    ("x-service-port", "80"),
                    ("x-namespace", "default"),
                ] {
                    assert_eq!(told[name][0], value, "{code} {name}");
                }
                assert_eq!(told["x-request-id"][0].as_str().map(str::len), Some(32));
            }
        }
        let asked = call().send_blocking().unwrap();
        assert!(asked.header("www-authenticate").starts_with("Basic realm="));
    });
}

#[test]
fn a_guard_that_says_nothing_lets_nobody_in() {
    let guards = [
        ("whitelist", &[("whitelist-source-range", "")][..]),
        ("blank", &[("whitelist-source-range", " ")]),
        (
            "allowlist",
            &[
                ("allowlist-source-range", ""),
                ("whitelist-source-range", "127.0.0.1"),
            ],
        ),
        ("denylist", &[("denylist-source-range", "")]),
        ("type", &[("auth-type", "")]),
        ("secret", &[("auth-type", "basic"), ("auth-secret", "")]),
        ("alone", &[("auth-secret", "")]),
        ("url", &[("auth-url", " ")]),
        ("cn", &[("auth-tls-match-cn", "")]),
    ];
    for class in [CLASS, "higress"] {
        let guarded = guards
            .map(|(name, guard)| ingress(name, (class, &format!("{name}.com")), guard, ROOT, ""));
        both(&[class], &["one"], &guarded.concat(), |site| {
            for (name, _) in &guards {
                let answer = get(site, &format!("http://{name}.com/"), &[]);
                // What ingress-nginx has no such guard for, it does not deny either.
                let denied = class == CLASS && *name != "cn";
                let status = if denied { 503 } else { 403 };
                assert_eq!(answer.status, status, "{class} {name}");
            }
            assert_eq!(site.hits(0), 0);
        });
    }
    let star = [("whitelist-source-range", "*")];
    for (class, status) in [(CLASS, 503), ("higress", 200)] {
        let open = ingress("star", (class, "star.com"), &star, ROOT, "");
        both(&[class], &["one"], &open, |site| {
            assert_eq!(get(site, "http://star.com/", &[]).status, status, "{class}");
        });
    }
}
