use std::fs;

use gateway_core::Channel;

use super::{
    super::bundle::Version, Bundle, Conformance, Program, REASONS, Suite, announced, features,
    images, is_of, reasons, selects, without,
};
use crate::terminal::Terminal;

#[test]
fn each_version_is_the_one_that_its_module_requires() {
    let root = crate::workspace::root().unwrap();
    for (version, file) in [(Version::V1_6_3, "go.mod"), (Version::V1_7_0, "v1.7.0.mod")] {
        let module = fs::read_to_string(root.join("conformance/gateway-api").join(file)).unwrap();
        let required = format!(
            "\tsigs.k8s.io/gateway-api/conformance v{}\n",
            version.as_str()
        );
        assert!(module.contains(&required), "{file}");
    }
}

fn asked(profiles: Vec<&'static str>, test: Option<&str>) -> Conformance {
    Conformance {
        bundles: vec![Bundle::NEWEST],
        said: false,
        profiles,
        test: test.map(str::to_owned),
        report: None,
        flags: Vec::new(),
    }
}

fn line(asked: &Conformance, ours: bool) -> String {
    let bundle = Bundle::NEWEST;
    let suite = Suite { asked, bundle };
    suite.arguments("out.yaml".as_ref(), ours).join(" ")
}

#[test]
fn a_whole_run_writes_a_report_and_leaves_the_features_to_the_class() {
    let whole = line(&asked(super::PROFILES.to_vec(), None), true);
    assert!(whole.contains("-report-output=out.yaml") && whole.contains("-organization=postern"));
    assert!(!whole.contains("-supported-features"), "{whole}");
    assert!(whole.contains("-usable-address="));
    let of_others = line(&asked(super::PROFILES.to_vec(), None), false);
    assert!(!of_others.contains("usable-address"), "{of_others}");
    let test = line(
        &asked(super::PROFILES.to_vec(), Some("HTTPRouteWeight")),
        true,
    );
    assert!(test.ends_with("-run-test=HTTPRouteWeight") && !test.contains("-report"));
}

#[test]
fn a_profile_runs_with_its_own_features() {
    let udp = line(&asked(vec!["GATEWAY-UDP"], None), true);
    let features = udp
        .split(' ')
        .find_map(|word| word.strip_prefix("-supported-features="));
    let features: Vec<_> = features.unwrap().split(',').collect();
    assert!(features.contains(&"UDPRoute") && features.contains(&"ListenerSet"));
    assert!(!features.contains(&"HTTPRoute") && !features.contains(&"BackendTLSPolicy"));
}

#[test]
fn features_follow_the_bundle() {
    let of =
        |version, channel| -> Vec<_> { features(Bundle { version, channel }, |_| true).collect() };
    assert_eq!(of(Version::V1_6_3, Channel::Experimental).len(), 48);
    assert!(!of(Version::V1_6_3, Channel::Standard).contains(&"HTTPRouteRetry"));
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
    let ours = found
        .iter()
        .map(|name| is_of(name, Program::EchoBasic(Version::V1_7_0)));
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

#[test]
fn a_suite_that_cannot_start_says_why() {
    let log = "\
    conformance.go:70: Running conformance tests with:
    conformance.go:80: 
        \tError Trace:\t/suite/conformance.go:80
        \t            \t\t\t/suite/conformance_test.go:17
        \tError:      \tReceived unexpected error:
        \t            \tmultiple gateway API CRDs versions detected
        \tTest:       \tTestConformance
        \tMessages:   \terror initializing conformance suite
--- FAIL: TestConformance (0.10s)
FAIL
";
    let found: Vec<&str> = reasons(log).map(str::trim).collect();
    assert!(
        found.contains(&"multiple gateway API CRDs versions detected"),
        "{found:?}"
    );
    assert!(found.contains(&"Messages:   \terror initializing conformance suite"));
    assert!(
        !found.iter().any(|line| line.starts_with("Test:")),
        "{found:?}"
    );
    assert_eq!(found.last(), Some(&"--- FAIL: TestConformance (0.10s)"));
}

#[test]
fn claims_that_differ_are_named_and_no_others() {
    assert_eq!(without(&["a", "b", "c"], &["b"]), "a, c");
    assert_eq!(without(&["a"], &["a", "b"]), "nothing");
}

#[test]
fn flags_that_leave_tests_out_are_known() {
    for flag in ["-skip-tests=A", "--supported-features", "-run-test=B"] {
        assert!(selects(flag), "{flag}");
    }
    for flag in ["-disable-parallel-tests=false", "-debug", "-fail-fast"] {
        assert!(!selects(flag), "{flag}");
    }
}
