use std::fs;

use super::{MODULE, Program, REASONS, announced, images, is_of, reasons};
use crate::terminal::Terminal;

#[test]
fn the_version_is_the_one_that_the_module_requires() {
    let root = crate::workspace::root().unwrap();
    let module = fs::read_to_string(root.join("conformance/gateway-api/go.mod")).unwrap();
    let (name, version) = MODULE.split_once('@').unwrap();
    assert!(module.contains(&format!("\t{name} {version}\n")));
}

#[test]
fn a_line_of_the_log_is_for_people_if_it_tells_how_a_test_went() {
    let terminal = Terminal::with_colour(false);
    let line = announced("conformance: HTTPRouteWeight FAILED 12.3", terminal).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words, ["HTTPRouteWeight", "FAILED", "12.3", "s"]);
    for other in ["=== RUN   TestConformance", "conformance: HTTPRouteWeight"] {
        assert_eq!(announced(other, terminal), None, "{other}");
    }
}

#[test]
fn images_are_found_in_manifests_by_their_last_part() {
    let manifest = "\
spec:
  containers:
  - image: example.test/suite/echo-basic:v1
    name: a
  - name: b
    image: \"example.test/suite/echo-basic-more:v2\"
";
    let found: Vec<&str> = images(manifest).collect();
    assert_eq!(
        found,
        [
            "example.test/suite/echo-basic:v1",
            "example.test/suite/echo-basic-more:v2"
        ]
    );
    let ours = found.iter().map(|name| is_of(name, Program::EchoBasic));
    assert_eq!(ours.collect::<Vec<_>>(), [true, false]);
}

#[test]
fn why_a_test_failed_is_found_in_the_log() {
    let log = "\
=== RUN   TestConformance/A
    http.go:1: GET
        \tError Trace:\t/suite/http.go:9
        \tError:      \texpected 200
    --- FAIL: TestConformance/A (1.00s)
";
    let found: Vec<&str> = reasons(log).map(str::trim).collect();
    assert_eq!(
        found,
        [
            "Error Trace:\t/suite/http.go:9",
            "Error:      \texpected 200",
            "--- FAIL: TestConformance/A (1.00s)"
        ]
    );
    assert_eq!(reasons(&log.repeat(100)).count(), REASONS);
}
