//! Canaries that meet: "the priority of canary selection is: Header-based > Cookie-based > Weight-based", within one Ingress and
//! among several.

use super::{both, ingress};

const CLASS: &str = "higress";

#[test]
fn a_chain_within_and_across() {
    let canary = |name: &str, host: &str, keys: &[(&str, &str)], service: &str| {
        let annotations = [&[("canary", "true")][..], keys].concat();
        ingress(
            name,
            (CLASS, host),
            &annotations,
            &[("Prefix", "/", service)],
            "",
        )
    };
    let all = [
        ("canary-weight", "0"),
        ("canary-by-cookie", "gray"),
        ("canary-by-header", "x-gray"),
    ];
    let manifests = [
        ingress(
            "one-base",
            (CLASS, "one.com"),
            &[],
            &[("Prefix", "/", "base")],
            "",
        ),
        canary("one", "one.com", &all, "header"),
        // The weakest is the oldest by name, and comes last all the same.
        ingress(
            "several-base",
            (CLASS, "several.com"),
            &[],
            &[("Prefix", "/", "base")],
            "",
        ),
        canary(
            "a-weight",
            "several.com",
            &[("canary-weight", "100")],
            "weight",
        ),
        canary(
            "b-cookie",
            "several.com",
            &[("canary-by-cookie", "gray")],
            "cookie",
        ),
        canary(
            "c-header",
            "several.com",
            &[("canary-by-header", "x-gray")],
            "header",
        ),
        canary(
            "d-value",
            "several.com",
            &[
                ("canary-by-header", "x-gray"),
                ("canary-by-header-value", "v2"),
            ],
            "value",
        ),
    ]
    .concat();
    let services = ["base", "weight", "cookie", "header", "value"];
    both(&[CLASS], &services, &manifests, |site| {
        let cookie = |value: &'static str| ("cookie", value);
        for (host, headers, wanted) in [
            ("one", &[][..], "base"),
            ("one", &[("x-gray", "always")], "header"),
            ("one", &[cookie("gray=always")], "header"),
            ("one", &[("x-gray", "never"), cookie("gray=always")], "base"),
            (
                "one",
                &[("x-gray", "other"), cookie("gray=always")],
                "header",
            ),
            ("several", &[], "weight"),
            ("several", &[("x-gray", "always")], "header"),
            ("several", &[("x-gray", "v2")], "value"),
            (
                "several",
                &[("x-gray", "v2"), cookie("gray=always")],
                "value",
            ),
            (
                "several",
                &[("x-gray", "always"), cookie("gray=never")],
                "header",
            ),
            ("several", &[cookie("gray=always")], "cookie"),
            ("several", &[cookie("gray=never")], "base"),
            (
                "several",
                &[("x-gray", "never"), cookie("gray=always")],
                "base",
            ),
            (
                "several",
                &[("x-gray", "v1"), cookie("gray=always")],
                "cookie",
            ),
        ] {
            let met = site.get_with(&format!("http://{host}.com/"), headers);
            assert_eq!(met, format!("{wanted} /"), "{host} {headers:?}");
        }
    });
}
