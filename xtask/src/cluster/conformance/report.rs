//! What the suite reports: <https://github.com/kubernetes-sigs/gateway-api/tree/main/conformance/reports>.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::Context as _;
use gateway_core::Channel;
use serde::Deserialize;
use serde_json::Value;

use super::{super::bundle::Bundle, FEATURES, PROFILES};

/// What a profile consists of.
const LEVELS: [&str; 2] = ["core", "extended"];

/// A report, as far as it is read here.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    #[serde(default, rename = "gatewayAPIVersion")]
    version: String,
    #[serde(default, rename = "gatewayAPIChannel")]
    channel: String,
    /// None when nothing was run.
    profiles: Option<Vec<Profile>>,
}

#[derive(Debug, Deserialize)]
struct Profile {
    name: String,
    #[serde(flatten)]
    levels: BTreeMap<String, Value>,
}

impl Report {
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        serde_saphyr::from_str(text).context("the suite's report cannot be read")
    }

    /// A line for each profile, by name: reports have them in any order.
    pub(super) fn summary(&self) -> String {
        let mut text = String::new();
        let mut profiles: Vec<_> = self.profiles.iter().flatten().collect();
        profiles.sort_by(|a, b| a.name.cmp(&b.name));
        for profile in profiles {
            // Writing to a String cannot fail.
            let _ = write!(text, "{:<14}", profile.name);
            for level in LEVELS {
                let counts = profile.counts(level);
                let [passed, failed, skipped] = counts;
                let _ = write!(
                    text,
                    "  {level}: {passed} passed, {failed} failed, {skipped} skipped"
                );
            }
            text.push('\n');
        }
        text
    }

    /// What keeps it from being complete: every profile, nothing failed or passed over, no feature left out that the
    /// definitions have.
    pub(super) fn lacking(&self, bundle: Bundle, profiles: &[&str]) -> Vec<String> {
        let mut lacking = Vec::new();
        for &name in profiles {
            let profile = { self.profiles.iter().flatten() }.find(|profile| profile.name == name);
            let Some(profile) = profile else {
                lacking.push(format!("{name} was not tested"));
                continue;
            };
            for level in LEVELS {
                let [passed, failed, skipped] = profile.counts(level);
                if passed == 0 || failed + skipped > 0 {
                    lacking.push(format!("{name}: not all {level} tests have passed"));
                }
                for feature in profile.features(level, "unsupportedFeatures") {
                    if !is_experimental_only(feature, bundle) {
                        lacking.push(format!("{name}: the GatewayClass does not claim {feature}"));
                    }
                }
            }
        }
        lacking
    }
}

/// Whether nobody can have that feature with these definitions: they are standard ones, and it is not.
fn is_experimental_only(feature: &str, bundle: Bundle) -> bool {
    let release = bundle.version.release();
    let has = |channel: Channel| {
        let mut rows = FEATURES.iter();
        rows.any(|row| row.name == feature && row.is_of(release, channel))
    };
    bundle.channel == Channel::Standard && !has(Channel::Standard) && has(Channel::Experimental)
}

/// What a report says in numbers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// `v1.7.0`, and `standard` or `experimental`.
    pub(crate) version: String,
    pub(crate) channel: String,
    /// Extended features that are supported, by profile, in the order of [`PROFILES`]; none: not tested.
    pub(crate) features: [Option<usize>; PROFILES.len()],
    /// Tests that have passed, and others, over all profiles.
    pub(crate) passed: u64,
    pub(crate) others: u64,
}

/// Reads the numbers of a report.
pub(crate) fn numbers(text: &str) -> anyhow::Result<Numbers> {
    let report = Report::read(text)?;
    let profile = |name: &str| { report.profiles.iter().flatten() }.find(|p| p.name == name);
    let features = PROFILES.map(|name| {
        let supported = profile(name)?.features("extended", "supportedFeatures");
        Some(supported.count())
    });
    let (mut passed, mut others) = (0, 0);
    for profile in report.profiles.iter().flatten() {
        for level in LEVELS {
            let [good, failed, skipped] = profile.counts(level);
            passed += good;
            others += failed + skipped;
        }
    }
    Ok(Numbers {
        version: report.version,
        channel: report.channel,
        features,
        passed,
        others,
    })
}

impl Profile {
    fn level(&self, name: &str) -> &Value {
        self.levels.get(name).unwrap_or(&Value::Null)
    }

    /// The features of that list.
    fn features(&self, level: &str, list: &str) -> impl Iterator<Item = &str> {
        let features = self.level(level)[list].as_array();
        features.into_iter().flatten().filter_map(Value::as_str)
    }

    /// How many have passed, failed, and been skipped.
    fn counts(&self, level: &str) -> [u64; 3] {
        let statistics = &self.level(level)["statistics"];
        ["Passed", "Failed", "Skipped"].map(|what| statistics[what].as_u64().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::Channel;

    use super::{super::super::bundle::Version, Bundle, PROFILES, Report, numbers};

    const PROFILE: &str = "\
- name: NAME
  summary: Core tests succeeded.
  core:
    result: success
    statistics: { Passed: 19, Failed: 0, Skipped: 0 }
  extended:
    result: success
    statistics: { Passed: 11, Failed: 0, Skipped: 0 }
";

    fn report() -> String {
        let profiles = PROFILES.map(|name| PROFILE.replace("NAME", name));
        let head = "gatewayAPIVersion: v1.7.0\ngatewayAPIChannel: experimental";
        format!("{head}\nprofiles:\n{}", profiles.concat())
    }

    #[test]
    fn a_report_is_summed_up_by_profile() {
        let summary = Report::read(&report()).unwrap().summary();
        assert_eq!(summary.lines().count(), 5);
        let last = summary.lines().last().unwrap();
        let words = "GATEWAY-UDP     core: 19 passed, 0 failed, 0 skipped  \
                     extended: 11 passed, 0 failed, 0 skipped";
        assert_eq!(last, words);
    }

    #[test]
    fn a_report_that_leaves_something_out_is_not_complete() {
        let lacking = |text: &str| {
            Report::read(text)
                .unwrap()
                .lacking(Bundle::NEWEST, &PROFILES)
        };
        assert_eq!(lacking(&report()), [""; 0]);
        assert_eq!(lacking("profiles: null").len(), 5);
        let named = |text: &str| lacking(&report().replacen("Skipped: 0 }\n", text, 1));
        assert_eq!(
            named("Skipped: 1 }\n"),
            ["GATEWAY-HTTP: not all core tests have passed"]
        );
        assert_eq!(
            named("Skipped: 0 }\n    unsupportedFeatures: [ListenerSet]\n"),
            ["GATEWAY-HTTP: the GatewayClass does not claim ListenerSet"]
        );
        let failed = report().replacen("Passed: 11, Failed: 0", "Passed: 10, Failed: 1", 1);
        assert_eq!(
            lacking(&failed),
            ["GATEWAY-HTTP: not all extended tests have passed"]
        );
    }

    #[test]
    fn what_only_experimental_definitions_have_is_not_missed_with_standard_ones() {
        let features =
            "Skipped: 0 }\n    unsupportedFeatures: [HTTPRouteDestinationPortMatching]\n";
        let text = report().replacen("Skipped: 0 }\n", features, 1);
        let lacking = |channel: Channel| {
            let version = Version::V1_7_0;
            let bundle = Bundle { version, channel };
            Report::read(&text)
                .unwrap()
                .lacking(bundle, &PROFILES)
                .len()
        };
        assert_eq!(lacking(Channel::Standard), 0);
        assert_eq!(lacking(Channel::Experimental), 1);
    }

    #[test]
    fn a_report_has_numbers() {
        let features =
            "Skipped: 0 }\n    supportedFeatures: [ListenerSet, GatewayPort8080]\n- name";
        let text = report().replacen("Skipped: 0 }\n- name", features, 1);
        let numbers = numbers(&text).unwrap();
        assert_eq!(
            (numbers.version.as_str(), numbers.channel.as_str()),
            ("v1.7.0", "experimental")
        );
        assert_eq!(
            numbers.features,
            [Some(2), Some(0), Some(0), Some(0), Some(0)]
        );
        assert_eq!((numbers.passed, numbers.others), (150, 0));
    }
}
