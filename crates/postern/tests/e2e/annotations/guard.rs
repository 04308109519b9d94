//! Guards of an Ingress hold wherever its rules go: for canaries, aliases, other spellings of a path, and HTTPS.

use testkit::call::Call;

use super::{Annotations, both, certificate, ingress};
use crate::support::secret;

const CLASS: &str = "nginx";

/// Ways to be kept out, and the status that says so.
const GUARDS: &[(&str, Annotations<'_>, u16)] = &[
    (
        "basic",
        &[("auth-type", "basic"), ("auth-secret", " users ")],
        401,
    ),
    (
        "external",
        &[(
            "auth-url",
            "http://auth.default.svc.cluster.local/?status=403",
        )],
        403,
    ),
    ("addresses", &[("denylist-source-range", "127.0.0.1")], 403),
    ("snippet", &[("configuration-snippet", "deny all;")], 403),
];

/// What may stand for one of the two paths.
const PATHS: &[&str] = &[
    "/a",
    "/a/x",
    "/A/x",
    "/a//x",
    "/%61/x",
    "/a/../a/x",
    "/b",
    "/B",
];

/// What chooses among base and canaries.
const HEADERS: &[(&str, &str)] = &[
    ("x-canary", "always"),
    ("x-canary", "never"),
    ("cookie", "canary=always"),
    ("x", "y"),
];

/// A host with two paths, an alias, and canaries of every kind; the base alone has the guard.
fn guarded(name: &str, guard: Annotations<'_>) -> String {
    let (host, alias) = (format!("{name}.com"), format!("alias-{name}.com"));
    let tls = format!("  tls: [{{hosts: [{host}], secretName: cert}}]\n");
    let more = [
        ("server-alias", alias.as_str()),
        ("ssl-redirect", "false"),
        ("ignore-path-case", "true"),
    ];
    let site = (CLASS, host.as_str());
    let paths = |service| [("Prefix", "/a", service), ("Exact", "/b", service)];
    let base = ingress(
        name,
        site,
        &[guard, &more[..]].concat(),
        &paths("base"),
        &tls,
    );
    let canaries = [
        ("canary-by-header", "x-canary"),
        ("canary-by-cookie", "canary"),
        ("canary-weight", "50"),
    ]
    .map(|kind| {
        let annotations = [("canary", "true"), kind];
        ingress(
            &format!("{name}-{}", kind.0),
            site,
            &annotations,
            &paths("canary"),
            "",
        )
    });
    base + &canaries.concat()
}

#[test]
fn nobody_gets_around_them() {
    let users = secret(
        "users",
        &[("auth", "john:$apr1$salt$VEpBc9VHGUKwI9.yg13Iu0")],
    );
    let hosts: Vec<_> = GUARDS
        .iter()
        .map(|(name, ..)| format!("{name}.com"))
        .collect();
    let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
    let (cert, client) = certificate("cert", &hosts);
    let sites = GUARDS.iter().map(|(name, guard, _)| guarded(name, guard));
    let manifests = format!("{users}---\n{cert}{}", sites.collect::<String>());
    both(&[CLASS], &["base", "canary", "auth"], &manifests, |site| {
        for (name, _, status) in GUARDS {
            let denied = |call: Call, case: &str| {
                for (header, value) in HEADERS {
                    let answer = call.clone().header(header, value).send_blocking().unwrap();
                    assert_eq!(answer.status.as_u16(), *status, "{case} {header}: {value}");
                }
            };
            let host = format!("{name}.com");
            for path in PATHS {
                for url in [
                    format!("http://{host}{path}"),
                    format!("http://alias-{host}{path}"),
                ] {
                    denied(Call::get(site.http, &url), &url);
                }
            }
            let url = format!("https://{host}/a");
            denied(
                Call::get(site.https.unwrap(), &url).tls(client.clone(), &host),
                &url,
            );
        }
        assert_eq!((site.hits(0), site.hits(1)), (0, 0));
        let login = [
            ("authorization", "Basic am9objpzZWNyZXQ="),
            ("x-canary", "always"),
        ];
        assert_eq!(site.get_with("http://basic.com/a", &login), "canary /a");
    });
}

/// nginx redirects before it asks who comes; what it denies altogether stays denied.
#[test]
fn a_redirect_of_everything_comes_before_them() {
    const TO: &str = "http://secret.example.com/";
    let users = secret(
        "users",
        &[("auth", "john:$apr1$salt$VEpBc9VHGUKwI9.yg13Iu0")],
    );
    let moved = [("permanent-redirect", TO)];
    let root = [("app-root", "/a")];
    let site = |name: &str, host: &str, guard: Annotations<'_>, to: Annotations<'_>| {
        let annotations = [guard, to].concat();
        let paths = [("Prefix", "/", "base")];
        ingress(name, (CLASS, host), &annotations, &paths, "")
    };
    let denied: [(&str, Annotations<'_>, u16); 3] = [
        ("typo", &[("whitelist-source-range", "10.0.0.0/33")], 503),
        (
            "nobody",
            &[("auth-type", "basic"), ("auth-secret", "gone")],
            503,
        ),
        ("snippet", &[("configuration-snippet", "deny all;")], 403),
    ];
    let guards = || GUARDS.iter().filter(|(name, ..)| *name != "snippet");
    let sites = guards().map(|(name, guard, _)| {
        let (host, root_host) = (format!("{name}.com"), format!("root-{name}.com"));
        let rooted = site(&format!("root-{name}"), &root_host, guard, &root);
        site(name, &host, guard, &moved) + &rooted
    });
    let closed = denied
        .iter()
        .map(|(name, guard, _)| site(name, &format!("{name}.com"), guard, &moved));
    let manifests = format!(
        "{users}---\n{}{}",
        sites.collect::<String>(),
        closed.collect::<String>()
    );
    both(&[CLASS], &["base", "auth"], &manifests, |site| {
        for (name, _, status) in guards() {
            let url = format!("http://{name}.com/");
            assert_eq!(site.get(&url), format!("301 {TO}"), "{name}");
            let url = format!("http://root-{name}.com/");
            let to = format!("302 http://root-{name}.com/a");
            assert_eq!(site.get(&url), to, "{name}");
            let guarded = Call::get(site.http, &format!("{url}x"));
            let answer = guarded.send_blocking().unwrap();
            assert_eq!(answer.status.as_u16(), *status, "{name}");
        }
        for (name, _, status) in &denied {
            let url = format!("http://{name}.com/");
            let answer = Call::get(site.http, &url).send_blocking().unwrap();
            assert_eq!(answer.status.as_u16(), *status, "{name}");
            assert_eq!(answer.header("location"), "", "{name}");
        }
        assert_eq!(site.hits(0), 0);
    });
}

/// nginx answers the preflight of an allowed origin before it looks at who asks.
#[test]
fn a_preflight_comes_before_them() {
    let users = secret(
        "users",
        &[("auth", "john:$apr1$salt$VEpBc9VHGUKwI9.yg13Iu0")],
    );
    let cors = [
        ("enable-cors", "true"),
        ("cors-allow-origin", "http://app.com"),
    ];
    let guards = || GUARDS.iter().filter(|(name, ..)| *name != "snippet");
    let typo: (&str, Annotations<'_>, u16) =
        ("typo", &[("whitelist-source-range", "10.0.0.0/33")], 503);
    let sites = guards().chain([&typo]).map(|(name, guard, _)| {
        let host = format!("{name}.com");
        let annotations = [*guard, &cors[..]].concat();
        let paths = [("Prefix", "/", "base")];
        ingress(name, (CLASS, &host), &annotations, &paths, "")
    });
    let manifests = format!("{users}---\n{}", sites.collect::<String>());
    both(&[CLASS], &["base", "auth"], &manifests, |site| {
        let ask = |name: &str, method: &str, origin: &str| {
            let call = Call::new(site.http, method, &format!("http://{name}.com/"));
            let call = call.header("origin", origin);
            let call = call.header("access-control-request-method", "PUT");
            call.send_blocking().unwrap().status.as_u16()
        };
        for (name, _, status) in guards() {
            let from = |origin| ask(name, "OPTIONS", origin);
            assert_eq!(from("http://app.com"), 204, "{name}");
            assert_eq!(from("http://other.com"), *status, "{name}");
            assert_eq!(ask(name, "GET", "http://app.com"), *status, "{name}");
        }
        assert_eq!(ask("typo", "OPTIONS", "http://app.com"), 503);
        assert_eq!(site.hits(0), 0);
    });
}
