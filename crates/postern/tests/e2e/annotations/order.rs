//! Which rule a request meets: hosts from narrow to wide until one fits, and within a host Exact, Prefix, expression,
//! and `/` last.

use super::{both, ingress};

const CLASS: &str = "higress";

#[test]
fn hosts_from_narrow_to_wide() {
    let of = |name: &str, host: &str, path: &str| {
        ingress(name, (CLASS, host), &[], &[("Prefix", path, name)], "")
    };
    let everybody = of("every", "", "/every").replace("host: \"\", ", "");
    assert!(!everybody.contains("host:"));
    let default = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: fallback}\nspec:\n  ingressClassName: higress\n  \
                   defaultBackend: {service: {name: default, port: {number: 80}}}\n---\n";
    let manifests = [
        of("exact", "a.b.example.com", "/exact"),
        of("narrow", "*.b.example.com", "/narrow"),
        of("wide", "*.example.com", "/wide"),
        everybody,
        default.to_owned(),
    ]
    .concat();
    let services = ["exact", "narrow", "wide", "every", "default"];
    both(&[CLASS], &services, &manifests, |site| {
        let who = |host: &str, path: &str| {
            let answer = site.get(&format!("http://{host}{path}"));
            answer.split(' ').next().unwrap().to_owned()
        };
        for (host, own) in [
            ("a.b.example.com", &["exact", "narrow", "wide", "every"][..]),
            ("A.B.EXAMPLE.com:80", &["exact", "narrow", "wide", "every"]),
            ("x.b.example.com", &["narrow", "wide", "every"]),
            ("x.y.b.example.com", &["narrow", "wide", "every"]),
            ("b.example.com", &["wide", "every"]),
            ("example.com", &["every"]),
            ("other.org", &["every"]),
        ] {
            for name in ["exact", "narrow", "wide", "every"] {
                let wanted = if own.contains(&name) { name } else { "default" };
                assert_eq!(who(host, &format!("/{name}/x")), wanted, "{host} {name}");
            }
            assert_eq!(who(host, "/"), "default", "{host}");
        }
    });
}

#[test]
fn paths_within_a_host() {
    let host = (CLASS, "example.com");
    let regex = [("use-regex", "true")];
    let conditional = [("exact-match-header-x", "1")];
    let manifests = [
        ingress("all", host, &[], &[("Prefix", "/", "all")], ""),
        ingress(
            "regex",
            host,
            &regex,
            &[
                ("Prefix", "/foo/ba.", "regex"),
                ("Prefix", "/r[0-9]+", "regex"),
            ],
            "",
        ),
        ingress(
            "longer-regex",
            host,
            &regex,
            &[("Prefix", "/r[0-9]+/longer", "longer")],
            "",
        ),
        ingress(
            "prefix",
            host,
            &[],
            &[
                ("Prefix", "/foo", "prefix"),
                ("Prefix", "/foo/bar/baz", "longer"),
            ],
            "",
        ),
        ingress(
            "exact",
            host,
            &[],
            &[("Exact", "/foo", "exact"), ("Exact", "/r1", "exact")],
            "",
        ),
        ingress(
            "conditional",
            host,
            &conditional,
            &[("Prefix", "/foo", "conditional")],
            "",
        ),
    ]
    .concat();
    let services = ["all", "regex", "longer", "prefix", "exact", "conditional"];
    both(&[CLASS], &services, &manifests, |site| {
        for (path, header, wanted) in [
            ("/", "0", "all"),
            ("/x", "1", "all"),
            ("/foo", "0", "exact"),
            ("/foo", "1", "exact"),
            ("/foo/", "0", "prefix"),
            ("/foo/", "1", "conditional"),
            ("/foo/bar", "0", "prefix"),
            ("/foo/bar/baz", "0", "longer"),
            ("/foo/bar/bazaar", "0", "prefix"),
            ("/foobar", "0", "all"),
            ("/r1", "0", "exact"),
            ("/r2", "0", "regex"),
            ("/r2/x", "0", "regex"),
            ("/r2/longer", "0", "longer"),
            ("/R2", "0", "all"),
        ] {
            let answer = site.get_with(&format!("http://example.com{path}"), &[("x", header)]);
            assert_eq!(answer, format!("{wanted} {path}"), "x: {header}");
        }
    });
}
