//! Whether the definitions of the Gateway API in a cluster are of a version that we know.

use std::collections::{BTreeMap, BTreeSet};

use api::{
    Condition,
    condition::{reasons, types},
};

use crate::claim::{Need, Release};

/// Definitions of the Gateway API in a cluster, by the plural names of kinds. Empty where there is no cluster, or where
/// nobody may look.
pub type Definitions = BTreeMap<String, Definition>;

/// A definition as it is installed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definition {
    /// Its release, by the annotation `gateway.networking.k8s.io/bundle-version`. `None`: it does not say.
    pub version: Option<String>,
    /// `standard` or `experimental`, by the annotation `gateway.networking.k8s.io/channel`. `None`: it does not say.
    pub channel: Option<String>,
    /// Of what features need ([`crate::needs`]), what is not there. Default nothing.
    pub lacks: BTreeSet<Need>,
}

/// Major and minor, oldest first. Of these we know every field of the kinds that we read.
const KNOWN: &[(u32, u32)] = &[(1, 5), (1, 6), (1, 7)];

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
    for (plural, definition) in definitions {
        match &definition.version {
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
    let message = format!(
        "the cluster has definitions of the Gateway API of {}, and known are {}: what is known of them is served, other \
         fields are passed over; install a version that is known",
        found.join("; "),
        known()
    );
    Some(Condition::fails(
        types::SUPPORTED_VERSION,
        reasons::UNSUPPORTED_VERSION,
        message,
    ))
}

/// `v1.6.3`, with whatever comes after the minor version.
fn is_known(version: &str) -> bool {
    Release::parse(version).is_some_and(|Release(major, minor, _)| KNOWN.contains(&(major, minor)))
}

/// All of them, in words.
fn known() -> String {
    let names: Vec<_> = { KNOWN.iter() }
        .map(|(major, minor)| format!("v{major}.{minor}"))
        .collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(definitions: &[(&str, Option<&str>)]) -> String {
        let definitions = definitions.iter().map(|(plural, version)| {
            let definition = Definition {
                version: version.map(str::to_owned),
                ..Definition::default()
            };
            ((*plural).to_owned(), definition)
        });
        let condition = condition(&definitions.collect());
        condition.map_or_else(String::new, |condition| condition.to_string())
    }

    #[test]
    fn versions_are_known_or_not() {
        for known in ["v1.5.0", "v1.5.1", "v1.6.3", "v1.6.0-rc.1", "v1.7.0"] {
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
                 (referencegrants); v1.9.0 (gateways, httproutes), and known are v1.5, v1.6 and v1.7: "
            ),
            "{said}"
        );
    }
}
