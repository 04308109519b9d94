//! Whether the definitions of the Gateway API in a cluster are of a version that we know.

use std::collections::BTreeMap;

use api::{
    Condition,
    condition::{reasons, types},
};

/// Bundle versions of the Gateway API's definitions in a cluster, by the plural names of kinds; `None` for one that does
/// not say its version. Empty where there is no cluster, or where nobody may look.
pub type Definitions = BTreeMap<String, Option<String>>;

/// Major and minor, oldest first. Of these we know every field of the kinds that we read.
const KNOWN: &[(u32, u32)] = &[(1, 5), (1, 6)];

/// > If implementations detect any Gateway API CRDs that either do not have this annotation set, or have it set to a
/// > version that is not recognized or supported by the implementation, this condition MUST be set to false.
///
/// What is of such a version is served all the same, as far as it can be read: "best effort" in the words of the
/// specification. `None`: there is nothing to say it of.
pub(crate) fn condition(definitions: &Definitions) -> Option<Condition> {
    if definitions.is_empty() {
        return None;
    }
    let mut unknown = BTreeMap::<&str, Vec<&str>>::new();
    for (plural, version) in definitions {
        match version {
            Some(version) if is_known(version) => {}
            Some(version) => unknown.entry(version).or_default().push(plural),
            None => unknown.entry("no version").or_default().push(plural),
        }
    }
    if unknown.is_empty() {
        return Some(Condition::ok(types::SUPPORTED_VERSION));
    }
    let found: Vec<_> = unknown
        .into_iter()
        .map(|(version, plurals)| format!("{version} ({})", plurals.join(", ")))
        .collect();
    let known: Vec<_> = KNOWN
        .iter()
        .map(|(major, minor)| format!("v{major}.{minor}"))
        .collect();
    let message = format!(
        "the cluster has definitions of the Gateway API of {}, and known are {}: what is known of them is served, other \
         fields are passed over; install a version that is known",
        found.join("; "),
        known.join(" and ")
    );
    Some(Condition::fails(
        types::SUPPORTED_VERSION,
        reasons::UNSUPPORTED_VERSION,
        message,
    ))
}

/// `v1.6.3`, with whatever comes after the minor version.
fn is_known(version: &str) -> bool {
    let mut parts = version.strip_prefix('v').unwrap_or_default().split('.');
    let mut number = || parts.next()?.parse().ok();
    let (major, minor) = (number(), number());
    major.zip(minor).is_some_and(|v| KNOWN.contains(&v))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(definitions: &[(&str, Option<&str>)]) -> String {
        let definitions = definitions.iter().map(|(plural, version)| {
            let version = version.map(str::to_owned);
            ((*plural).to_owned(), version)
        });
        let condition = condition(&definitions.collect());
        condition.map_or_else(String::new, |condition| condition.to_string())
    }

    #[test]
    fn versions_are_known_or_not() {
        for known in ["v1.5.0", "v1.5.1", "v1.6.3", "v1.6.0-rc.1"] {
            assert!(is_known(known), "{known}");
        }
        for unknown in [
            "", "v", "v1", "1.6.3", "v1.4.9", "v1.60.0", "v2.5.0", "v1.x.0", "main",
        ] {
            assert!(!is_known(unknown), "{unknown}");
        }
    }

    #[test]
    fn one_definition_of_an_unknown_version_is_enough() {
        assert_eq!(said(&[]), "");
        let both = [("gateways", Some("v1.6.3")), ("httproutes", Some("v1.5.1"))];
        assert_eq!(said(&both), "SupportedVersion=True (SupportedVersion)");
        let mixed = [
            ("gatewayclasses", Some("v1.6.3")),
            ("gateways", Some("v1.9.0")),
            ("httproutes", Some("v1.9.0")),
            ("referencegrants", None),
        ];
        let said = said(&mixed);
        assert!(
            said.starts_with(
                "SupportedVersion=False (UnsupportedVersion): the cluster has definitions of the Gateway API of no version \
                 (referencegrants); v1.9.0 (gateways, httproutes), and known are v1.5 and v1.6: "
            ),
            "{said}"
        );
    }
}
