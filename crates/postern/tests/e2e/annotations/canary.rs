//! Canaries that meet: "the priority of canary selection is: Header-based > Cookie-based > Weight-based", within one
//! Ingress and among several.

use super::{Annotations, both, ingress};

const CLASS: &str = "higress";

/// What a client sends to a host, and who answers.
type Case = (&'static str, Annotations<'static>, &'static str);

const CASES: &[Case] = &[
    ("one", &[], "base"),
    ("one", &[("x-gray", "always")], "header"),
    ("one", &[("cookie", "gray=always")], "header"),
    (
        "one",
        &[("x-gray", "never"), ("cookie", "gray=always")],
        "base",
    ),
    (
        "one",
        &[("x-gray", "other"), ("cookie", "gray=always")],
        "header",
    ),
    ("several", &[], "weight"),
    ("several", &[("x-gray", "always")], "header"),
    ("several", &[("x-gray", "v2")], "value"),
    (
        "several",
        &[("x-gray", "v2"), ("cookie", "gray=always")],
        "value",
    ),
    (
        "several",
        &[("x-gray", "always"), ("cookie", "gray=never")],
        "header",
    ),
    ("several", &[("cookie", "gray=always")], "cookie"),
    ("several", &[("cookie", "gray=never")], "base"),
    (
        "several",
        &[("x-gray", "never"), ("cookie", "gray=always")],
        "base",
    ),
    (
        "several",
        &[("x-gray", "v1"), ("cookie", "gray=always")],
        "cookie",
    ),
];

/// Canaries of the two hosts: the name, the host, what sends requests there, and the Service.
const CANARIES: &[(&str, &str, Annotations<'_>, &str)] = &[
    (
        "one",
        "one.com",
        &[
            ("canary-weight", "0"),
            ("canary-by-cookie", "gray"),
            ("canary-by-header", "x-gray"),
        ],
        "header",
    ),
    // The weakest comes first by its name, and is asked last all the same.
    (
        "a-weight",
        "several.com",
        &[("canary-weight", "100")],
        "weight",
    ),
    (
        "b-cookie",
        "several.com",
        &[("canary-by-cookie", "gray")],
        "cookie",
    ),
    (
        "c-header",
        "several.com",
        &[("canary-by-header", "x-gray")],
        "header",
    ),
    (
        "d-value",
        "several.com",
        &[
            ("canary-by-header", "x-gray"),
            ("canary-by-header-value", "v2"),
        ],
        "value",
    ),
];

#[test]
fn a_chain_within_and_across() {
    let bases = ["one", "several"].map(|name| {
        let host = format!("{name}.com");
        ingress(
            &format!("{name}-base"),
            (CLASS, &host),
            &[],
            &[("Prefix", "/", "base")],
            "",
        )
    });
    let canaries = CANARIES.iter().map(|(name, host, keys, service)| {
        let annotations = [&[("canary", "true")][..], keys].concat();
        ingress(
            name,
            (CLASS, host),
            &annotations,
            &[("Prefix", "/", service)],
            "",
        )
    });
    let manifests = bases.concat() + &canaries.collect::<String>();
    let services = ["base", "weight", "cookie", "header", "value"];
    both(&[CLASS], &services, &manifests, |site| {
        for (host, headers, wanted) in CASES {
            let met = site.get_with(&format!("http://{host}.com/"), headers);
            assert_eq!(met, format!("{wanted} /"), "{host} {headers:?}");
        }
    });
}
