//! What cannot be honoured and keeps somebody out lets nobody in; it is said, and nothing else is touched.

use std::{fs, sync::Arc};

use testkit::call::Call;

use super::{Annotations, both, certificate, ingress};
use crate::support::{Start, postern, secret, text};

const CLASS: &str = "nginx";
const PREFIX: &str = "nginx.ingress.kubernetes.io/";

/// An Ingress of a host of its own, with these annotations.
fn site(name: &str, keys: Annotations<'_>, more: &str) -> String {
    ingress(
        name,
        (CLASS, &format!("{name}.com")),
        keys,
        &[("Prefix", "/", "one")],
        more,
    )
}

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
        "503",
        "nobody is let in",
    ),
    (
        "digest",
        &[("auth-type", "digest"), ("auth-secret", "users")],
        "503",
        "digest is not spoken",
    ),
    (
        "unnamed",
        &[("auth-type", "basic"), ("auth-secret", "a/b/c")],
        "503",
        "nobody is let in",
    ),
    (
        "alone",
        &[("auth-secret", "users")],
        "503",
        "nobody is let in",
    ),
    (
        "relative",
        &[("auth-url", "/check")],
        "503",
        "not an absolute http or https URL",
    ),
    (
        "variable",
        &[("auth-url", "http://auth.com/$uid_got")],
        "503",
        "$uid_got has no value here",
    ),
    (
        "mutual",
        &[("proxy-ssl-secret", "a/b/c")],
        "503",
        "proxy-ssl-secret",
    ),
];

fn manifests() -> String {
    let sites = CASES.iter().map(|(name, keys, ..)| site(name, keys, ""));
    sites.chain([site("open", &[], "")]).collect()
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
    fs::write(folder.path().join("all.yaml"), manifests()).unwrap();
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

/// A Secret, the annotations that name it, and what is said of it.
const SECRETS: &[(&str, Annotations<'_>, &str)] = &[
    (
        "lost-users",
        &[("auth-type", "basic"), ("auth-secret", "lost-users")],
        "does not exist",
    ),
    (
        "odd-users",
        &[("auth-type", "basic"), ("auth-secret", "odd-users")],
        "entries that cannot log in",
    ),
    (
        "no-users",
        &[("auth-type", "basic"), ("auth-secret", "no-users")],
        "has no auth",
    ),
    (
        "lost-cert",
        &[
            ("proxy-ssl-secret", "default/lost-cert"),
            ("backend-protocol", "HTTPS"),
        ],
        "does not exist",
    ),
    (
        "odd-cert",
        &[
            ("proxy-ssl-secret", "default/odd-cert"),
            ("backend-protocol", "HTTPS"),
        ],
        "ca.crt",
    ),
    (
        "lost-cacert",
        &[("auth-tls-secret", "lost-cacert")],
        "does not exist",
    ),
];

/// Secrets are looked at when something is served, and not when it is translated: every such route is closed, and
/// `check` and the status name the Secret and what is wrong with it.
#[test]
fn a_secret_that_is_missing_or_broken_is_named() {
    let (certificate, client) = certificate("lost", &["lost-cacert.com"]);
    let sites: String = SECRETS
        .iter()
        .map(|(name, keys, _)| {
            let tls = match *name {
                "lost-cacert" => "  tls: [{hosts: [lost-cacert.com], secretName: lost}]\n",
                _ => "",
            };
            site(name, keys, tls)
        })
        .collect();
    let odd = [
        secret("odd-users", &[("auth", "plain text")]),
        secret("no-users", &[("users", "john:x")]),
        secret(
            "odd-cert",
            &[("tls.crt", "x"), ("tls.key", "x"), ("ca.crt", "x")],
        ),
    ];
    let manifests = [odd.join("---\n"), "---\n".to_owned(), certificate, sites].concat();
    both(&[CLASS], &["one"], &manifests, |site| {
        for (name, ..) in &SECRETS[..5] {
            assert_eq!(site.get(&format!("http://{name}.com/")), "503", "{name}");
        }
        let call = Call::get(site.https.unwrap(), "https://lost-cacert.com/");
        let refused = call
            .tls(Arc::clone(&client), "lost-cacert.com")
            .send_blocking();
        assert!(refused.unwrap_err().contains("handshake"));
        assert_eq!(site.hits(0), 0);
    });
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("all.yaml"), manifests).unwrap();
    let check = postern(&[
        "check",
        "--ingress-class",
        CLASS,
        "-f",
        folder.path().to_str().unwrap(),
    ]);
    let check = text(&check.stdout) + &text(&check.stderr);
    let start = Start::default().arg("--ingress-class").arg(CLASS);
    let status = start.serve(folder.path()).status()["problems"].to_string();
    for said in [check, status] {
        for (name, _, why) in SECRETS {
            let line = format!("Secret default/{name}");
            let mut named = said.match_indices(&line).map(|(at, _)| &said[at..]);
            assert!(
                named.any(|text| text.chars().take(120).collect::<String>().contains(why)),
                "{name}: {why}\n{said}"
            );
        }
    }
}
