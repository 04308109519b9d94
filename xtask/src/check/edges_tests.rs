use serde_json::{Value, json};

use super::{EDGES, EXCEPTIONS, PURE, TEST_ONLY, refused};

/// A dependency as `cargo metadata` prints it.
fn dependency(name: &str, kind: Option<&str>) -> Value {
    json!({ "name": name, "kind": kind, "features": [], "uses_default_features": true, "optional": false })
}

/// kube with those features, and with or without its default ones.
fn kube(features: &[&str], default: bool) -> Value {
    json!({ "name": "kube", "kind": null, "features": features, "uses_default_features": default })
}

/// The whole workspace: every crate uses all it may, and the dependencies given on top.
fn workspace(extra: &[(&str, Value)]) -> String {
    let mut packages: Vec<Value> = EDGES
        .iter()
        .map(|(name, allowed)| {
            let mut dependencies: Vec<Value> =
                allowed.iter().map(|to| dependency(to, None)).collect();
            for (_, to, _) in EXCEPTIONS.iter().filter(|(from, ..)| from == name) {
                dependencies.push(dependency(to, None));
            }
            json!({ "name": name, "dependencies": dependencies })
        })
        .collect();
    for (from, added) in extra {
        let package = packages.iter_mut().find(|p| p["name"] == *from).unwrap();
        package["dependencies"]
            .as_array_mut()
            .unwrap()
            .push(added.clone());
    }
    json!({ "packages": packages, "version": 1 }).to_string()
}

/// The one finding that these dependencies on top lead to.
fn refusal(from: &str, added: Value) -> String {
    let findings = refused(&workspace(&[(from, added)])).unwrap();
    assert_eq!(findings.len(), 1, "{findings:#?}");
    findings.into_iter().next().unwrap()
}

fn accepted(from: &str, added: Value) {
    let findings = refused(&workspace(&[(from, added)])).unwrap();
    assert_eq!(findings, [""; 0], "{from}");
}

#[test]
fn the_edges_of_the_design_pass() {
    assert_eq!(refused(&workspace(&[])).unwrap(), [""; 0]);
}

#[test]
fn an_edge_against_the_arrows_is_refused_with_its_table() {
    let finding = refusal("proxy", dependency("api", None));
    assert!(finding.starts_with("proxy -> api: "), "{finding}");
    assert!(finding.contains("proxy may use ir, telemetry"), "{finding}");
    assert!(finding.contains("EDGES in "), "{finding}");

    let finding = refusal("ir", dependency("api", Some("build")));
    assert!(
        finding.contains("ir may use none of our crates"),
        "{finding}"
    );
}

#[test]
fn a_test_is_no_way_around_an_arrow() {
    let finding = refusal("converter", dependency("ir", Some("dev")));
    assert!(finding.starts_with("converter -> ir: "), "{finding}");
}

#[test]
fn nobody_depends_on_the_binary_or_the_chores() {
    for to in ["postern", "xtask"] {
        for (from, _) in EDGES.iter().filter(|(from, _)| *from != to) {
            let finding = refusal(from, dependency(to, None));
            assert!(
                finding.starts_with(&format!("{from} -> {to}: ")),
                "{finding}"
            );
        }
    }
}

#[test]
fn the_testkit_is_for_tests() {
    accepted("ir", dependency(TEST_ONLY, Some("dev")));
    let finding = refusal("postern", dependency(TEST_ONLY, None));
    assert!(finding.contains("[dev-dependencies]"), "{finding}");
}

#[test]
fn pure_crates_cannot_wait_or_talk() {
    for from in PURE {
        for to in ["tokio", "hyper", "kube-client"] {
            let finding = refusal(from, dependency(to, None));
            assert!(finding.contains("SHELL_ONLY in "), "{finding}");
            accepted(from, dependency(to, Some("dev")));
        }
    }
    accepted("proxy", dependency("tokio", None));
}

#[test]
fn rustls_is_refused_but_where_keys_are_checked() {
    let finding = refusal("ir", dependency("rustls", None));
    assert!(finding.starts_with("ir -> rustls: "), "{finding}");
    accepted("gateway-core", dependency("rustls", None));
}

#[test]
fn kube_is_data_alone_in_pure_crates() {
    accepted("api", kube(&["derive"], false));
    accepted("postern", kube(&["client", "runtime"], false));
    for (features, default, culprit) in [
        (&["derive", "client"][..], false, "\"client\""),
        (&["runtime"], false, "\"runtime\""),
        (&["derive"], true, "\"default\""),
    ] {
        let finding = refusal("api", kube(features, default));
        assert!(finding.contains(culprit), "{finding}");
    }
}

#[test]
fn crates_and_tables_name_each_other() {
    let metadata = json!({ "packages": [{ "name": "novelty", "dependencies": [] }] }).to_string();
    let findings = refused(&metadata).unwrap();
    assert!(
        findings[0].starts_with("novelty: a new crate"),
        "{findings:#?}"
    );
    assert_eq!(findings.len(), 1 + EDGES.len() + EXCEPTIONS.len());
    assert!(
        findings
            .iter()
            .any(|f| f.starts_with("gateway-core -> rustls: no longer there"))
    );
}

#[test]
fn metadata_of_another_form_is_an_error() {
    assert!(refused("{}").is_err());
}
