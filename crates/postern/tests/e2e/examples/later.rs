//! Examples of annotations that are known and not supported yet: the report names each of them, and what it does not
//! concern is served.

use crate::support::{Example, Served, postern, text};

/// The examples, and the annotations that the report must name.
pub(crate) const NOT_YET: &[(&str, &[&str])] = &[
    (
        "rate-limit-rpm",
        &["route-limit-rpm", "route-limit-burst-multiplier"],
    ),
    ("rate-limit-rps", &["route-limit-rps"]),
    ("backend-protocol-https", &["backend-protocol"]),
    ("backend-protocol-grpc", &["backend-protocol"]),
    ("load-balance", &["load-balance"]),
    ("hash-by-remote-addr", &["upstream-hash-by"]),
    ("hash-by-header", &["upstream-hash-by"]),
    ("hash-by-query", &["upstream-hash-by"]),
    ("affinity-cookie", &["affinity"]),
    (
        "affinity-cookie-named",
        &["affinity", "session-cookie-name", "session-cookie-max-age"],
    ),
    ("client-mtls", &["auth-tls-secret"]),
    ("backend-mtls", &["proxy-ssl-secret"]),
    (
        "tls-version",
        &["tls-min-protocol-version", "tls-max-protocol-version"],
    ),
];

#[test]
fn the_report_names_what_is_not_supported_yet() {
    for (name, keys) in NOT_YET {
        let example = Example::new(name);
        let output = postern(&["convert", "-f", example.folder.path().to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(3), "{name}: something was lost");
        let report = text(&output.stderr);
        for key in *keys {
            let key = format!("higress.io/{key} ");
            let line = report.lines().find(|line| line.contains(&key));
            assert!(
                line.is_some_and(|line| line.contains("not supported yet")),
                "{name}: {key}\n{report}"
            );
        }
        let count = report
            .lines()
            .filter(|line| line.trim_start().starts_with("not supported yet"))
            .count();
        assert_eq!(count, keys.len(), "{name}\n{report}");
    }
}

#[test]
fn the_rest_of_such_an_ingress_is_served() {
    for (name, path) in [
        ("rate-limit-rps", "/test"),
        ("load-balance", "/order"),
        ("affinity-cookie", "/test"),
    ] {
        let example = Example::new(name);
        let served = Served::new(example.folder.path(), &example.backends);
        let answer = served.get(&format!("http://example.com{path}"));
        assert!(
            answer.backend().starts_with("demo-service"),
            "{name}: {answer:?}"
        );
    }
}
