//! Matching, paths and hosts of classes that keep Higress' rules.

use super::{both, certificate, ingress};

const CLASS: &str = "higress";
const HOST: (&str, &str) = (CLASS, "example.com");

#[test]
fn methods_headers_and_queries() {
    let manifests = [
        ingress(
            "read",
            HOST,
            &[("match-method", "get HEAD")],
            &[("Prefix", "/m", "one")],
            "",
        ),
        ingress(
            "write",
            HOST,
            &[("match-method", "POST brew")],
            &[("Prefix", "/m", "two")],
            "",
        ),
        ingress(
            "none",
            HOST,
            &[("match-method", "brew")],
            &[("Prefix", "/n", "one")],
            "",
        ),
        ingress(
            "header",
            HOST,
            &[
                ("prefix-match-header-X-Stage", "gr."),
                ("regex-match-header-user", "[ab]+"),
            ],
            &[("Exact", "/h", "two")],
            "",
        ),
        ingress("headerless", HOST, &[], &[("Exact", "/h", "one")], ""),
        ingress(
            "query",
            HOST,
            &[("exact-match-query-v", "1 2")],
            &[("Exact", "/q", "one")],
            "",
        ),
        ingress(
            "host",
            (CLASS, "*.example.com"),
            &[("prefix-match-pseudo-header-authority", "Shop.")],
            &[("Prefix", "/", "two")],
            "",
        ),
    ]
    .concat();
    both(&[CLASS], &["one", "two"], &manifests, |site| {
        assert_eq!(site.get("http://example.com/m"), "one /m");
        assert_eq!(site.send("POST", "http://example.com/m"), "two /m");
        assert_eq!(site.send("PUT", "http://example.com/m"), "404");
        assert_eq!(
            site.get("http://example.com/n"),
            "404",
            "no known method matches nothing"
        );
        let url = "http://example.com/h";
        assert_eq!(
            site.get_with(url, &[("x-stage", "gr.1"), ("user", "abba")]),
            "two /h"
        );
        for other in [
            &[("x-stage", "gray"), ("user", "abba")][..],
            &[("x-stage", "gr.1"), ("user", "abbac")],
            &[("x-stage", "gr.1")],
            &[],
        ] {
            assert_eq!(site.get_with(url, other), "one /h", "{other:?}");
        }
        assert_eq!(site.get("http://example.com/q?v=1+2"), "one /q?v=1+2");
        assert_eq!(site.get("http://example.com/q?v=1"), "404");
        assert_eq!(site.get("http://shop.example.com:80/x"), "two /x");
        assert_eq!(site.get("http://shopping.example.com/x"), "404");
    });
}

#[test]
fn a_canary_keeps_the_conditions_of_its_base_and_is_asked_first() {
    let conditions = [("exact-match-header-x", "1"), ("exact-match-header-y", "2")];
    let canary = [
        &[
            ("canary", "true"),
            ("canary-by-header", "user"),
            ("canary-by-header-pattern", "^a|z$"),
        ][..],
        &conditions,
    ]
    .concat();
    let manifests = [
        ingress("base", HOST, &conditions, &[("Prefix", "/a", "base")], ""),
        ingress("open", HOST, &[], &[("Prefix", "/a", "open")], ""),
        ingress("canary", HOST, &canary, &[("Prefix", "/a", "canary")], ""),
    ]
    .concat();
    both(&[CLASS], &["base", "open", "canary"], &manifests, |site| {
        let who = |headers: &[(&str, &str)]| site.get_with("http://example.com/a", headers);
        assert_eq!(who(&[("x", "1"), ("y", "2")]), "base /a");
        for user in ["ab", "az", "z"] {
            assert_eq!(
                who(&[("x", "1"), ("y", "2"), ("user", user)]),
                "canary /a",
                "{user}"
            );
        }
        assert_eq!(who(&[("x", "1"), ("y", "2"), ("user", "ba")]), "base /a");
        assert_eq!(
            who(&[("x", "1"), ("user", "ab")]),
            "open /a",
            "not without the base's conditions"
        );
    });
}

#[test]
fn paths_by_expression_in_any_case_and_rewritten() {
    let manifests = [
        ingress(
            "regex",
            HOST,
            &[("use-regex", "true")],
            &[("Exact", "/v[0-9]+", "one")],
            "",
        ),
        ingress(
            "whole",
            HOST,
            &[("full-path-regex", "true")],
            &[("Prefix", "/w[0-9]+", "one")],
            "",
        ),
        ingress(
            "case",
            HOST,
            &[("ignore-path-case", "true"), ("rewrite-target", "/new")],
            &[("Prefix", "/Old", "two"), ("Exact", "/Page", "two")],
            "",
        ),
        ingress(
            "literal",
            HOST,
            &[("rewrite-path", "/lit"), ("rewrite-target", "/lost")],
            &[("Prefix", "/pre", "two")],
            "",
        ),
    ]
    .concat();
    both(&[CLASS], &["one", "two"], &manifests, |site| {
        assert_eq!(site.get("http://example.com/v12/x"), "one /v12/x");
        assert_eq!(site.get("http://example.com/V12"), "404");
        assert_eq!(site.get("http://example.com/w12"), "one /w12");
        assert_eq!(site.get("http://example.com/w12/x"), "404");
        assert_eq!(
            site.get("http://example.com/oLD/Sub?a=B"),
            "two /new/Sub?a=B"
        );
        assert_eq!(site.get("http://example.com/PAGE"), "two /new");
        assert_eq!(site.get("http://example.com/older"), "404");
        assert_eq!(site.get("http://example.com/pre/x"), "two /lit/x");
    });
}

#[test]
fn hosts() {
    let (secret, client) = certificate("cert", &["example.com", "www.example.com", "example.net"]);
    let tls = "  tls: [{hosts: [example.com, www.example.com], secretName: cert}]\n";
    let annotations = [
        ("app-root", "/app"),
        ("server-alias", "example.net, taken.com"),
        ("from-to-www-redirect", "true"),
        ("ssl-redirect", "true"),
    ];
    let manifests = [
        secret,
        ingress(
            "site",
            HOST,
            &annotations,
            &[("Prefix", "/app", "one"), ("Prefix", "/", "one")],
            tls,
        ),
        ingress(
            "taken",
            (CLASS, "taken.com"),
            &[],
            &[("Prefix", "/", "two")],
            "",
        ),
    ]
    .concat();
    both(&[CLASS], &["one", "two"], &manifests, |site| {
        let tls = |url: &str, name: &str| site.get_tls(url, &client, name);
        assert_eq!(
            site.get("http://example.com/?a"),
            "308 https://example.com/?a"
        );
        assert_eq!(
            tls("https://example.com/?a", "example.com"),
            "302 https://example.com/app?a"
        );
        assert_eq!(tls("https://example.com/app", "example.com"), "one /app");
        assert_eq!(tls("https://example.com/x", "example.com"), "one /x");
        assert_eq!(
            site.get("http://www.example.com/x?a"),
            "308 http://example.com/x?a"
        );
        assert_eq!(
            tls("https://www.example.com/x", "www.example.com"),
            "308 https://example.com/x"
        );
        assert_eq!(
            site.get("http://example.net/x"),
            "308 https://example.net/x"
        );
        assert_eq!(site.get("http://taken.com/x"), "two /x");
    });
}
