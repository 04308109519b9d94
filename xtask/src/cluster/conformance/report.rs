//! What the suite reports: <https://github.com/kubernetes-sigs/gateway-api/tree/main/conformance/reports>.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;

use super::PROFILES;

/// What a profile consists of.
const LEVELS: [&str; 2] = ["core", "extended"];

/// A report, as far as it is read here.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
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

    /// What keeps it from being complete: every profile, nothing failed or passed over, no feature left out.
    pub(super) fn lacking(&self) -> Vec<String> {
        let mut lacking = Vec::new();
        for name in PROFILES.split(',') {
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
                let features = &profile.level(level)["unsupportedFeatures"];
                let features =
                    { features.as_array().into_iter().flatten() }.filter_map(Value::as_str);
                for feature in features {
                    lacking.push(format!("{name}: the GatewayClass does not claim {feature}"));
                }
            }
        }
        lacking
    }
}

impl Profile {
    fn level(&self, name: &str) -> &Value {
        self.levels.get(name).unwrap_or(&Value::Null)
    }

    /// How many have passed, failed, and been skipped.
    fn counts(&self, level: &str) -> [u64; 3] {
        let statistics = &self.level(level)["statistics"];
        ["Passed", "Failed", "Skipped"].map(|what| statistics[what].as_u64().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::{PROFILES, Report};

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
        let profiles = PROFILES
            .split(',')
            .map(|name| PROFILE.replace("NAME", name));
        format!("profiles:\n{}", profiles.collect::<String>())
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
        let lacking = |text: &str| Report::read(text).unwrap().lacking();
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
}
