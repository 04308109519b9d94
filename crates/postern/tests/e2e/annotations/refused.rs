//! What cannot be honoured and keeps somebody out lets nobody in; it is said, and nothing else is touched.

use super::{both, ingress};
use crate::support::{Start, postern, text};

const CLASS: &str = "nginx";
const PREFIX: &str = "nginx.ingress.kubernetes.io/";

/// A host, its annotations without prefix, the answer that a client gets, and what the report says.
type Case = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static str,
);

const CASES: &[Case] = &[
    (
        "header",
        &[(
            "configuration-snippet",
            "more_set_headers 'X-Frame-Options: DENY';",
        )],
        "one /",
        "response-header-control-update",
    ),
    (
        "code",
        &[("configuration-snippet", "return 403;")],
        "403",
        "nobody is let in until the annotation is gone",
    ),
    (
        "deny",
        &[("server-snippet", "location /admin { deny all; }")],
        "403",
        "denylist-source-range",
    ),
    (
        "login",
        &[(
            "server-snippet",
            "auth_basic \"Office\"; auth_basic_user_file /x;",
        )],
        "403",
        "auth-type: basic",
    ),
    (
        "torn",
        &[("configuration-snippet", "if ($a) { deny all;")],
        "403",
        "cannot be read",
    ),
    (
        "allow",
        &[("whitelist-source-range", "127.0.0.0/33")],
        "403",
        "nobody is let in",
    ),
    (
        "digest",
        &[("auth-type", "digest"), ("auth-secret", "users")],
        "403",
        "digest is not spoken",
    ),
    (
        "unnamed",
        &[("auth-type", "basic"), ("auth-secret", "a/b/c")],
        "403",
        "nobody is let in",
    ),
    (
        "alone",
        &[("auth-secret", "users")],
        "403",
        "nobody is let in",
    ),
    (
        "relative",
        &[("auth-url", "/check")],
        "403",
        "not an absolute http or https URL",
    ),
    (
        "variable",
        &[("auth-url", "http://auth.com/$uid_got")],
        "403",
        "is not known",
    ),
    (
        "mutual",
        &[("proxy-ssl-secret", "a/b/c")],
        "500",
        "proxy-ssl-secret",
    ),
];

fn manifests() -> String {
    let sites = CASES.iter().map(|(name, keys, ..)| {
        let keys: Vec<_> = keys
            .iter()
            .map(|(key, value)| (format!("{PREFIX}{key}"), *value))
            .collect();
        let keys: Vec<_> = keys
            .iter()
            .map(|(key, value)| (key.as_str(), *value))
            .collect();
        ingress(
            name,
            (CLASS, &format!("{name}.com")),
            &keys,
            &[("Prefix", "/", "one")],
            "",
        )
    });
    sites
        .chain([ingress(
            "open",
            (CLASS, "open.com"),
            &[],
            &[("Prefix", "/", "one")],
            "",
        )])
        .collect()
}

#[test]
fn it_closes_its_own_route_and_no_other() {
    both(&[CLASS], &["one"], &manifests(), |site| {
        for (name, _, answer, _) in CASES {
            assert_eq!(site.get(&format!("http://{name}.com/")), *answer, "{name}");
        }
        assert_eq!(site.get("http://open.com/"), "one /");
        assert_eq!(site.hits(0), 2);
    });
}

#[test]
fn it_is_named_by_every_command() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("all.yaml"), manifests()).unwrap();
    let path = folder.path().to_str().unwrap();
    let class = ["--ingress-class", CLASS];
    let report = postern(&[&["convert", "--report", "-", "-f", path][..], &class].concat());
    let check = postern(&[&["check", "-f", path][..], &class].concat());
    let gateway = class
        .iter()
        .fold(Start::default(), |start, arg| start.arg(arg));
    let status = gateway.serve(folder.path()).status().to_string();
    for (command, said) in [
        ("convert", text(&report.stdout) + &text(&report.stderr)),
        ("check", text(&check.stdout) + &text(&check.stderr)),
        ("status", status),
    ] {
        for (name, keys, _, why) in CASES {
            let (key, _) = keys[0];
            assert!(
                said.contains(&format!("{PREFIX}{key}")),
                "{command}: {name}\n{said}"
            );
            assert!(said.contains(why), "{command}: {name}: {why}\n{said}");
        }
    }
    assert_ne!(check.status.code(), Some(0));
}
