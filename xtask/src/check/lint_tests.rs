use super::{LONGEST, of_name, of_text};

/// A text of that many lines.
fn lines(count: usize) -> String {
    "// a line\n".repeat(count)
}

#[test]
fn long_sources_are_refused() {
    for path in [
        "crates/proxy/src/server.rs",
        "crates/core/src/rule/timing.rs",
        "xtask/src/main.rs",
    ] {
        assert_eq!(of_text(path, &lines(LONGEST)), [""; 0], "{path}");
        let findings = of_text(path, &lines(LONGEST + 1));
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(
            findings[0].starts_with(&format!("{path}:501: more than 500 lines, ")),
            "{findings:?}"
        );
    }
}

#[test]
fn tests_and_other_files_may_be_long() {
    for path in [
        "crates/proxy/src/router_tests.rs",
        "crates/proxy/src/router/tests.rs",
        "crates/proxy/tests/forwarding.rs",
        "crates/core/testdata/listener/many.in.yaml",
        "Cargo.lock",
    ] {
        assert_eq!(of_text(path, &lines(LONGEST + 1)), [""; 0], "{path}");
    }
}

#[test]
fn names_must_say_something() {
    for path in [
        "crates/proxy/src/utils.rs",
        "crates/proxy/tests/common.rs",
        "crates/ir/src/types.rs",
        "crates/postern/src/lease/manager.rs",
        "xtask/src/helpers.rs",
    ] {
        let finding = of_name(path).unwrap();
        assert!(
            finding.starts_with(&format!("{path}:1: the name ")),
            "{finding}"
        );
    }
    assert!(
        of_name("crates/proxy/tests/support/mod.rs")
            .unwrap()
            .contains("a mod.rs, ")
    );
}

#[test]
fn other_names_pass() {
    for path in [
        "crates/ir/src/route.rs",
        "crates/ir/src/model.rs",
        "docs/types.md",
        "conformance/utils.go",
    ] {
        assert_eq!(of_name(path), None, "{path}");
    }
}

#[test]
fn paths_of_a_machine_are_found_where_they_stand() {
    for folder in ["wo rk", "ro ot", "ho me"].map(|f| f.replace(' ', "")) {
        let text = format!("all is well\nsee '/{folder}/main/README.md'\n");
        let findings = of_text("docs/operations.md", &text);
        assert_eq!(findings.len(), 1, "{findings:?}");
        let start = format!("docs/operations.md:2: `/{folder}/`, a path of one machine");
        assert!(findings[0].starts_with(&start), "{findings:?}");
        assert_eq!(of_text("docs/a.md", &format!("/{folder}/x")).len(), 1);
    }
}

#[test]
fn a_folder_inside_a_path_or_a_url_is_harmless() {
    let home = ["/ho", "me/"].concat();
    for text in [
        format!("https://example.com{home}index.html"),
        format!("${{PREFIX}}{home}"),
        format!("..{home}notes"),
        home.trim_end_matches('/').to_owned(),
    ] {
        assert_eq!(
            of_text("examples/redirect/README.md", &text),
            [""; 0],
            "{text}"
        );
    }
}

#[test]
fn an_image_has_folders_of_its_own() {
    let text = format!("WORKDIR {}", ["/ho", "me/postern"].concat());
    assert_eq!(of_text("deploy/Dockerfile", &text), [""; 0]);
    assert_eq!(of_text("deploy/README.md", &text).len(), 1);
}

#[test]
fn tests_that_do_not_run_and_code_that_is_not_there_are_refused() {
    let ignored = format!("    {}]\n    fn slow() {{}}", ["#[ig", "nore"].concat());
    let reasoned = format!("{} = \"slow\"]", ["#[ig", "nore"].concat());
    let missing = format!("fn later() {{ {}) }}", ["to", "do!("].concat());
    for text in [&ignored, &reasoned, &missing] {
        let findings = of_text("crates/ir/src/route_tests.rs", text);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(
            findings[0].starts_with("crates/ir/src/route_tests.rs:1: `"),
            "{findings:?}"
        );
        assert_eq!(of_text("docs/contributing.md", text), [""; 0]);
    }
}
