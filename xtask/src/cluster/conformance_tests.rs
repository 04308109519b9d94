use std::fs;

use super::{MODULE, Program, Report, announced, images, is_of};
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
fn a_report_is_summed_up_by_profile() {
    let text = "\
kind: ConformanceReport
profiles:
- name: GATEWAY-UDP
  summary: Core tests succeeded.
  core:
    result: success
    statistics: { Passed: 19, Failed: 0, Skipped: 0 }
  extended:
    result: failure
    statistics: { Passed: 10, Failed: 1, Skipped: 0 }
    unsupportedFeatures: [ListenerSet, GatewayPort8080]
- name: GATEWAY-TCP
  summary: Nothing was run.
";
    assert_eq!(
        Report::read(text).unwrap().summary(),
        "GATEWAY-TCP     core: nothing, 0 passed, 0 failed, 0 skipped  extended: nothing, 0 passed, 0 failed, 0 skipped\n\
         GATEWAY-UDP     core: success, 19 passed, 0 failed, 0 skipped  \
         extended: failure, 10 passed, 1 failed, 0 skipped, 2 features not supported\n"
    );
    assert_eq!(Report::read("profiles: null").unwrap().summary(), "");
}
