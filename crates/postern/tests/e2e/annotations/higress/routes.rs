//! Which Service answers, and where a client is sent: Ingresses in the shapes that Higress' own tests have.

use super::{CLASS, site};
use crate::annotations::{Annotations, both, certificate, ingress};

/// Method, URL, header fields, and who answers.
type Asked<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str);

/// Name, host, annotations, and paths with their Services.
type Shape<'a> = (
    &'a str,
    &'a str,
    Annotations<'a>,
    &'a [(&'a str, &'a str, &'a str)],
);

const CANARY: (&str, &str) = ("nginx.ingress.kubernetes.io/canary", "true");
const BY: (&str, &str) = ("nginx.ingress.kubernetes.io/canary-by-header", "tester");
const VALUE: (&str, &str) = ("nginx.ingress.kubernetes.io/canary-by-header-value", "true");
const REGEX: (&str, &str) = ("nginx.ingress.kubernetes.io/use-regex", "true");
const REWRITE: (&str, &str) = ("nginx.ingress.kubernetes.io/rewrite-target", "/$1");

const SHAPES: &[Shape<'_>] = &[
    (
        "headers",
        "headers.com",
        &[
            ("exact-match-header-team", "7"),
            ("regex-match-header-content-type", "text/(css|html)"),
            ("prefix-match-header-client", "a-1"),
        ],
        &[("Exact", "/x", "one")],
    ),
    (
        "queries",
        "queries.com",
        &[
            ("exact-match-query-team", "7"),
            ("regex-match-query-content-type", "text/(css|html)"),
            ("prefix-match-query-client", "a-1"),
        ],
        &[("Exact", "/x", "one")],
    ),
    (
        "methods",
        "methods.com",
        &[("match-method", "POST PUT PATCH")],
        &[("Exact", "/x", "one")],
    ),
    (
        "paths",
        "paths.com",
        &[],
        &[
            ("Exact", "/x", "one"),
            ("Prefix", "/y", "two"),
            ("Prefix", "/z/", "three"),
        ],
    ),
    (
        "cases",
        "cases.com",
        &[("ignore-path-case", "true")],
        &[
            ("Exact", "/x", "one"),
            ("Prefix", "/y", "two"),
            ("Prefix", "/z/", "three"),
        ],
    ),
    (
        "authority-exact",
        "*.names.com",
        &[("exact-match-pseudo-header-authority", "try.names.com")],
        &[("Prefix", "/v1", "one")],
    ),
    (
        "authority-regex",
        "*.names.com",
        &[("regex-match-pseudo-header-authority", r"try.+\.names\.com")],
        &[("Prefix", "/v2", "two")],
    ),
    (
        "path-prefix",
        "*.names.com",
        &[("prefix-match-pseudo-header-path", "/v3/y")],
        &[("Prefix", "/v3", "three")],
    ),
    ("wide", "*.wide.com", &[], &[("Prefix", "/", "one")]),
    ("narrow", "www.wide.com", &[], &[("Exact", "/y", "two")]),
    // Any host.
    (
        "begins",
        "",
        &[REGEX],
        &[("ImplementationSpecific", "/begins/[A-Z0-9]{3}", "one")],
    ),
    (
        "whole",
        "",
        &[("full-path-regex", "true")],
        &[("ImplementationSpecific", "/whole/[A-Z0-9]{3}", "two")],
    ),
    (
        "rewritten",
        "",
        &[REWRITE],
        &[("ImplementationSpecific", "/svc/(.*)", "one")],
    ),
    // The canary's name is before the base's, or after.
    (
        "canary-a",
        "canary.com",
        &[CANARY, BY, VALUE],
        &[("Exact", "/x", "one")],
    ),
    ("canary-b", "canary.com", &[], &[("Exact", "/x", "two")]),
    // A base with conditions that its canary lacks is no base of it.
    (
        "other-a",
        "other.com",
        &[CANARY, BY, VALUE],
        &[("Exact", "/x", "one")],
    ),
    (
        "other-b",
        "other.com",
        &[("exact-match-header-team", "7")],
        &[("Exact", "/x", "two")],
    ),
    (
        "same-a",
        "same.com",
        &[CANARY, BY, VALUE, ("exact-match-header-team", "7")],
        &[("Exact", "/x", "one")],
    ),
    (
        "same-b",
        "same.com",
        &[("exact-match-header-team", "7")],
        &[("Exact", "/x", "two")],
    ),
    // One with conditions that its base lacks has no base, and is left out.
    (
        "more-a",
        "more.com",
        &[CANARY, BY, VALUE, ("exact-match-header-team", "7")],
        &[("Exact", "/x", "one")],
    ),
    ("more-b", "more.com", &[], &[("Exact", "/x", "two")]),
];

const TESTER: (&str, &str) = ("tester", "true");
const TEAM: (&str, &str) = ("team", "7");

const ASKED: &[Asked<'_>] = &[
    ("GET", "headers.com/x", &[], "404"),
    ("GET", "headers.com/x", &[("team", "6")], "404"),
    (
        "GET",
        "headers.com/x",
        &[TEAM, ("content-type", "text/html"), ("client", "a-1-2")],
        "one /x",
    ),
    ("GET", "queries.com/x", &[], "404"),
    (
        "GET",
        "queries.com/x?team=7&content-type=text/html&client=a-1-2",
        &[],
        "one /x?team=7&content-type=text/html&client=a-1-2",
    ),
    ("GET", "methods.com/x", &[], "404"),
    ("POST", "methods.com/x", &[], "one /x"),
    ("PUT", "methods.com/x", &[], "one /x"),
    ("GET", "paths.com/x", &[], "one /x"),
    ("GET", "paths.com/X", &[], "404"),
    ("GET", "paths.com/y", &[], "two /y"),
    ("GET", "paths.com/yard", &[], "404"),
    ("GET", "paths.com/z", &[], "three /z"),
    ("GET", "paths.com/z/ok", &[], "three /z/ok"),
    ("GET", "cases.com/x", &[], "one /x"),
    ("GET", "cases.com/X", &[], "one /X"),
    ("GET", "cases.com/Y", &[], "two /Y"),
    ("GET", "cases.com/Yard", &[], "404"),
    ("GET", "cases.com/Z", &[], "three /Z"),
    ("GET", "cases.com/Z/ok", &[], "three /Z/ok"),
    ("GET", "bad.names.com/v1", &[], "404"),
    ("GET", "try.names.com/v1", &[], "one /v1"),
    ("GET", "try.names.com/v2", &[], "404"),
    ("GET", "try2.names.com/v2", &[], "two /v2"),
    ("GET", "y.names.com/v3", &[], "404"),
    ("GET", "y.names.com/v3/y", &[], "three /v3/y"),
    ("GET", "www.wide.com/y", &[], "two /y"),
    ("GET", "www.wide.com/x", &[], "one /x"),
    ("GET", "any.com/begins/1234", &[], "one /begins/1234"),
    ("GET", "any.com/whole/123", &[], "two /whole/123"),
    ("GET", "any.com/whole/1234", &[], "404"),
    ("GET", "any.com/svc/x", &[], "one /x"),
    ("GET", "canary.com/x", &[TESTER], "one /x"),
    ("GET", "canary.com/x", &[], "two /x"),
    ("GET", "other.com/x", &[TESTER], "404"),
    ("GET", "other.com/x", &[], "404"),
    ("GET", "other.com/x", &[TEAM], "two /x"),
    ("GET", "same.com/x", &[TESTER, TEAM], "one /x"),
    ("GET", "same.com/x", &[TEAM], "two /x"),
    ("GET", "more.com/x", &[TESTER, TEAM], "two /x"),
    ("GET", "more.com/x", &[], "two /x"),
];

#[test]
fn who_answers() {
    let manifests: String = SHAPES
        .iter()
        .map(|(name, host, annotations, paths)| site(name, host, annotations, paths))
        .collect();
    both(&[CLASS], &["one", "two", "three"], &manifests, |site| {
        for (method, url, fields, wanted) in ASKED {
            let found = site.send_with(method, &format!("http://{url}"), fields);
            assert_eq!(found, *wanted, "{method} {url} {fields:?}");
        }
    });
}

#[test]
fn where_clients_are_sent() {
    let key = |name: &str| format!("nginx.ingress.kubernetes.io/{name}");
    let (permanent, temporal) = (key("permanent-redirect"), key("temporal-redirect"));
    let (code, root) = (key("permanent-redirect-code"), key("app-root"));
    let (ssl, force) = (key("ssl-redirect"), key("force-ssl-redirect"));
    let (cert, _) = certificate("cert", &["ssl.com", "force.com"]);
    let with_tls = |name: &str, key: &str| {
        let host = format!("{name}.com");
        let tls = format!("  tls: [{{hosts: [{host}], secretName: cert}}]\n");
        ingress(
            name,
            (CLASS, &host),
            &[(key, "true")],
            &[("Prefix", "/x", "one")],
            &tls,
        )
    };
    let paths = [("Prefix", "/x", "one")];
    let manifests = [
        site(
            "root",
            "root.com",
            &[(&*root, "/home")],
            &[("Prefix", "/", "one")],
        ),
        site(
            "gone",
            "gone.com",
            &[(&*permanent, "http://new.com")],
            &paths,
        ),
        site(
            "code",
            "code.com",
            &[(&*permanent, "http://new.com"), (&*code, "308")],
            &paths,
        ),
        site(
            "away",
            "away.com",
            &[(&*temporal, "http://new.com")],
            &paths,
        ),
        cert,
        with_tls("ssl", &ssl),
        with_tls("force", &force),
    ]
    .concat();
    both(&[CLASS], &["one"], &manifests, |site| {
        for (url, wanted) in [
            ("root.com/", "302 http://root.com/home"),
            ("root.com/home", "one /home"),
            ("gone.com/x", "301 http://new.com/x"),
            ("code.com/x", "308 http://new.com/x"),
            ("away.com/x", "302 http://new.com/x"),
            ("ssl.com/x", "308 https://ssl.com/x"),
            ("force.com/x", "308 https://force.com/x"),
        ] {
            assert_eq!(site.get(&format!("http://{url}")), wanted, "{url}");
        }
        assert_eq!(site.hits(0), 1);
    });
}

/// The weighted share of a canary: nothing, all, and half.
#[test]
fn shares_of_a_canary() {
    let weight = "nginx.ingress.kubernetes.io/canary-weight";
    let shares = ["0", "100", "50"];
    let manifests: String = shares
        .iter()
        .map(|share| {
            let path = format!("/{share}");
            let base = [("Exact", &*path, "one")];
            let canary = [("Exact", &*path, "two")];
            site(
                &format!("canary-{share}"),
                "a.com",
                &[CANARY, (weight, share)],
                &canary,
            ) + &site(&format!("site-{share}"), "a.com", &[], &base)
        })
        .collect();
    both(&[CLASS], &["one", "two"], &manifests, |site| {
        for (share, wanted) in shares.iter().zip([0, 100, 50]) {
            let url = format!("http://a.com/{share}");
            let found = (0..100)
                .filter(|_| site.get(&url).starts_with("two"))
                .count();
            assert_eq!(found, wanted, "{share}");
        }
    });
}
