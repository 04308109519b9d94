use std::{collections::BTreeSet, fs, path::Path};

use api::Kind;

use super::*;

const ALL: &[&str] = &[
    "backendtlspolicies",
    "gateways",
    "grpcroutes",
    "httproutes",
    "listenersets",
    "referencegrants",
    "tcproutes",
    "tlsroutes",
    "udproutes",
];

fn definition(version: &str, channel: &str) -> Definition {
    Definition {
        version: Some(version.to_owned()),
        channel: Some(channel.to_owned()),
        lacks: BTreeSet::new(),
    }
}

fn all(version: &str, channel: &str) -> Definitions {
    { ALL.iter() }
        .map(|plural| ((*plural).to_owned(), definition(version, channel)))
        .collect()
}

fn claims(version: &str, channel: &str) -> BTreeSet<&'static str> {
    claimed(&all(version, channel)).into_iter().collect()
}

#[track_caller]
fn differ(before: &BTreeSet<&str>, after: &BTreeSet<&str>, gone: &[&str], new: &[&str]) {
    assert_eq!(before.difference(after).copied().collect::<Vec<_>>(), gone);
    assert_eq!(after.difference(before).copied().collect::<Vec<_>>(), new);
}

#[test]
fn claims_are_sorted_few_enough_and_said_once() {
    for (version, channel) in [
        ("v1.5.1", "standard"),
        ("v1.6.3", "experimental"),
        ("v1.7.0", "experimental"),
        ("v1.99.0", "experimental"),
    ] {
        let claims = claimed(&all(version, channel));
        assert!(claims.is_sorted_by(|a, b| a < b), "{version}: {claims:?}");
        assert!(claims.len() <= 64, "the API server takes at most 64");
    }
}

#[test]
fn every_feature_has_a_definition_and_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for feature in FEATURES {
        assert!(ALL.contains(&feature.definition), "{}", feature.name);
        match feature.test {
            Test::Suite(name) => assert!(!name.is_empty(), "{}", feature.name),
            Test::Golden(case) => {
                let file = root.join("crates/core/testdata").join(case);
                assert!(file.with_extension("out.yaml").is_file(), "{case}");
            }
            Test::Own(file, name) => {
                let text = fs::read_to_string(root.join(file)).unwrap();
                assert!(text.contains(&format!("fn {name}(")), "{file}: {name}");
            }
        }
    }
}

#[test]
fn what_is_experimental_is_claimed_with_experimental_definitions_only() {
    let (standard, experimental) = (
        claims("v1.6.3", "standard"),
        claims("v1.6.3", "experimental"),
    );
    let more = [
        "HTTPRouteDestinationPortMatching",
        "HTTPRouteRetry",
        "HTTPRouteRetryBackendTimeout",
        "HTTPRouteRetryConnectionError",
    ];
    differ(&standard, &experimental, &[], &more);
    assert_eq!(experimental.len(), 48);
    let (standard, experimental) = (
        claims("v1.7.0", "standard"),
        claims("v1.7.0", "experimental"),
    );
    let more = [
        "ClusterTrustBundle",
        "GatewayAddressRoutability",
        "GatewayAddressRoutabilityCluster",
        "GatewayListenerFilters",
        "HTTPRouteDestinationPortMatching",
    ];
    differ(&standard, &experimental, &[], &more);
    assert_eq!(experimental.len(), 54);
}

#[test]
fn names_follow_the_release() {
    let gone = ["HTTPRouteRetry", "HTTPRouteRetryBackendTimeout"];
    let new = [
        "GRPCRouteRequestHeaderModifier",
        "GatewayRouteHostnameIntersectionPrecedence",
        "HTTPRouteBackendURLRewrite",
        "HTTPRouteRetryCodes",
        // In the experimental channel of 1.6.
        "HTTPRouteRetryConnectionError",
    ];
    let (old, now) = (claims("v1.6.3", "standard"), claims("v1.7.0", "standard"));
    differ(&old, &now, &[], &new);
    let at = |version: &str| claims(version, "experimental");
    let lost: Vec<_> = at("v1.6.3").difference(&at("v1.7.0")).copied().collect();
    assert_eq!(lost, gone);
    differ(&at("v1.7.0"), &at("v1.7.0-rc.1"), &[], &[]);
    differ(&at("v1.7.0"), &at("v1.99.0"), &[], &[]);
    let renamed = ("GatewayInfrastructurePropagation", "GatewayInfrastructure");
    differ(&at("v1.6.2"), &at("v1.6.3"), &[renamed.0], &[renamed.1]);
    let (old, new) = (claims("v1.5.1", "standard"), claims("v1.6.2", "standard"));
    differ(&old, &new, &[], &["TCPRoute", "UDPRoute"]);
}

#[test]
fn each_feature_goes_by_its_own_definition() {
    let mut mixed = all("v1.7.0", "standard");
    mixed.insert(
        "httproutes".to_owned(),
        definition("v1.6.3", "experimental"),
    );
    mixed.remove("listenersets");
    let found: BTreeSet<_> = claimed(&mixed).into_iter().collect();
    assert!(found.contains("HTTPRouteRetry") && !found.contains("HTTPRouteRetryCodes"));
    assert!(found.contains("GRPCRouteRequestHeaderModifier"));
    assert!(!found.contains("ListenerSet"), "there is none");
}

#[test]
fn what_the_api_server_drops_or_has_behind_a_gate_is_not_claimed() {
    let retry = Need::Field("spec.rules[].retry");
    let bundle = Need::Kind(Kind::ClusterTrustBundle);
    assert!(needs("httproutes").any(|need| need == retry));
    assert!(needs("gateways").any(|need| need == bundle));
    let without = |plural: &str, need: Need, gone: &[&str]| {
        let mut definitions = all("v1.7.0", "experimental");
        definitions.get_mut(plural).unwrap().lacks.insert(need);
        let found: BTreeSet<_> = claimed(&definitions).into_iter().collect();
        differ(&claims("v1.7.0", "experimental"), &found, gone, &[]);
    };
    let retries = ["HTTPRouteRetryCodes", "HTTPRouteRetryConnectionError"];
    without("httproutes", retry, &retries);
    without("gateways", bundle, &["ClusterTrustBundle"]);
}

#[test]
fn what_is_not_known_is_not_claimed() {
    let certain: BTreeSet<_> = claimed(&Definitions::new()).into_iter().collect();
    assert!(certain.contains("HTTPRoute") && certain.contains("ListenerSet"));
    for known in ["v1.5.0", "v1.6.0", "v1.6.3", "v1.7.0"] {
        assert!(certain.is_subset(&claims(known, "standard")), "{known}");
    }
    let silent = { ALL.iter() }.map(|plural| ((*plural).to_owned(), Definition::default()));
    let silent: BTreeSet<_> = claimed(&silent.collect()).into_iter().collect();
    assert_eq!(silent, certain, "no annotations");
    let standard = claims("v1.6.3", "standard");
    assert_eq!(claims("v1.6.3", "nightly"), standard, "no such channel");
}

#[test]
fn releases_are_read() {
    for (text, release) in [
        ("v1.6.3", Some(Release(1, 6, 3))),
        ("v1.7.0-rc.1", Some(Release(1, 7, 0))),
        ("v1.7", Some(Release(1, 7, 0))),
        ("v1.7-dev", Some(Release(1, 7, 0))),
        ("1.7.0", None),
        ("main", None),
        ("v1", None),
        ("", None),
    ] {
        assert_eq!(Release::parse(text), release, "{text}");
    }
}
