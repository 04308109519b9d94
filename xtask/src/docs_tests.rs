use std::fs;

use super::{annotations, cell, chart, crds, findings};
use crate::workspace;

/// Every annotation of the annotation document, and those beyond it that we promise to answer for by name.
const PROMISED: &str = "
canary canary-by-header canary-by-header-value canary-by-header-pattern canary-by-cookie canary-weight canary-weight-total
enable-cors cors-allow-origin cors-allow-methods cors-allow-headers cors-expose-headers cors-allow-credentials cors-max-age
rewrite-target upstream-vhost ssl-redirect force-ssl-redirect permanent-redirect permanent-redirect-code temporal-redirect
request-header-control-add request-header-control-update request-header-control-remove
response-header-control-add response-header-control-update response-header-control-remove
proxy-next-upstream-tries proxy-next-upstream-timeout proxy-next-upstream timeout
route-limit-rpm route-limit-rps route-limit-burst-multiplier backend-protocol load-balance upstream-hash-by
affinity affinity-mode session-cookie-name session-cookie-path session-cookie-max-age session-cookie-expires
auth-tls-secret proxy-ssl-secret proxy-ssl-name proxy-ssl-server-name
tls-min-protocol-version tls-max-protocol-version ssl-cipher
app-root use-regex full-path-regex rewrite-path ignore-path-case match-method
exact-match-header-NAME prefix-match-header-NAME regex-match-header-NAME
exact-match-query-NAME prefix-match-query-NAME regex-match-query-NAME
exact-match-pseudo-header-NAME prefix-match-pseudo-header-NAME regex-match-pseudo-header-NAME
whitelist-source-range denylist-source-range default-backend custom-http-errors
mirror-target-service mirror-percentage destination
proxy-connect-timeout proxy-read-timeout proxy-send-timeout proxy-body-size
limit-rps limit-rpm limit-connections limit-whitelist server-alias from-to-www-redirect
auth-type auth-secret auth-url auth-signin auth-response-headers
session-cookie-samesite session-cookie-secure session-cookie-domain session-cookie-change-on-failure
affinity-canary-behavior enable-access-log x-forwarded-prefix service-upstream configuration-snippet server-snippet
";

#[test]
fn the_pages_are_what_would_be_written_now() {
    assert_eq!(findings(&workspace::root().unwrap()).unwrap(), [""; 0]);
}

#[test]
fn every_promised_key_is_on_the_page() {
    let page = annotations::page();
    let missing: Vec<&str> = PROMISED
        .split_whitespace()
        .filter(|key| !page.contains(&format!("\n| `{key}` | ")))
        .collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn what_a_key_becomes_is_told_apart() {
    assert_eq!(
        annotations::parts(
            "`weight`. And more. No effect: alone. Approximated: clamped. Refused: no number; 1. counts. Dropped: a path."
        ),
        [
            "`weight`. And more.",
            "alone.",
            "clamped.",
            "no number; 1. counts. a path."
        ]
    );
    assert_eq!(
        annotations::parts("Refused: always."),
        ["", "", "", "always."]
    );
    assert_eq!(cell("a\n  b | c"), "a b \\| c");
}

#[test]
fn every_kind_has_fields_rules_and_conditions() {
    let page = crds::page(&workspace::root().unwrap()).unwrap();
    for wanted in [
        "\n## RouteFilter\n",
        "\n| `regexRewrite.pattern` | string | required | 1 to 1024 characters |",
        "\n| `rateLimits.scope` | string | `Rule` | `Rule`, `Client` |",
        "\n| `targetRefs` | list of objects | required | 1 to 16 entries |",
        "\n- `spec.targetRefs`: a target is named once (",
        "\n- `spec.tls`: minVersion is above maxVersion (",
        "\n`status.ancestors`: ",
    ] {
        assert!(page.contains(wanted), "{wanted:?} is not on the page");
    }
}

#[test]
fn values_are_told_with_default_type_and_bounds() {
    let schema = serde_json::json!({ "properties": {
        "replicas": { "type": "integer", "minimum": 0 },
        "image": { "properties": { "pullPolicy": { "enum": ["Always", "Never"] } } },
        "labels": { "type": "object" },
    }});
    let values = "# About the file.\n\n# -- How many.\n# More of it.\nreplicas: 2\n\nimage:\n  # -- When.\n  pullPolicy: Never\n";
    let table = |values: &str| chart::table(values, &schema).map_err(|e| e.to_string());
    let wanted = "\
| value | type | default | bounds | meaning |
| --- | --- | --- | --- | --- |
| `replicas` | integer | `2` | at least 0 | How many. More of it. |
| `image.pullPolicy` | string | `Never` | `Always`, `Never` | When. |
";
    assert_eq!(table(values).as_deref(), Ok(wanted));
    let untold = table(&format!("{values}labels: {{}}\n"));
    assert_eq!(
        untold,
        Err("values.yaml says nothing about labels".to_owned())
    );
    let unknown = table(&format!("{values}# -- What?\nlabel: a\n"));
    assert_eq!(unknown, Err("values.schema.json has no label".to_owned()));
}

#[test]
fn a_part_is_replaced_and_the_rest_stays() {
    let page = "a\n<!-- generated: x -->\nold\n<!-- end -->\nb\n";
    let new = super::replaced(page, "x", "new\n").unwrap();
    assert_eq!(new, "a\n<!-- generated: x -->\nnew\n<!-- end -->\nb\n");
    assert!(super::replaced(page, "y", "new\n").is_err());
}

/// The third cell of each row of `MUSTs of our own tests`.
fn named_tests(page: &str) -> Vec<&str> {
    let (_, table) = page.split_once("## MUSTs of our own tests").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| "));
    let cells = rows.filter_map(|row| row.trim_end_matches(" |").rsplit(" | ").next());
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.collect()
}

#[test]
fn the_page_about_gateway_api_names_tests_that_exist() {
    let root = workspace::root().unwrap();
    let page = fs::read_to_string(root.join("docs/gateway-api.md")).unwrap();
    let files = workspace::files(&root).unwrap();
    let rust = |path: &&String| path.starts_with("crates/") && path.ends_with(".rs");
    let sources: Vec<String> = { files.iter().filter(rust) }
        .map(|path| fs::read_to_string(root.join(path)).unwrap())
        .collect();
    let names = named_tests(&page);
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        let found = match name.split_once('/') {
            Some(_) => {
                let golden = format!("crates/core/testdata/{name}.in.yaml");
                root.join(golden).exists()
            }
            None => {
                let start = format!("fn {name}(");
                sources.iter().any(|source| source.contains(&start))
            }
        };
        assert!(found, "there is no test {name}");
    }
}
