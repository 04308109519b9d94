//! What `postern run` asks of a cluster: the one list of permissions. The chart's roles say the same, or a check fails.

use std::collections::{BTreeMap, BTreeSet};

use api::{GATEWAY_GROUP, Kind};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use crate::source::kube::has_status;

/// What Ingresses become, and what Gateways are reached by.
const WRITTEN: &[Kind] = &[
    Kind::ListenerSet,
    Kind::HttpRoute,
    Kind::RouteFilter,
    Kind::RoutePolicy,
    Kind::BackendPolicy,
    Kind::ClientPolicy,
    Kind::Service,
    Kind::EndpointSlice,
];

type Rules = BTreeMap<(String, String), BTreeSet<&'static str>>;

/// Resource of definitions, of which only those of the Gateway API are read.
const DEFINITIONS: &str = "customresourcedefinitions";

/// Everywhere in the cluster.
fn cluster() -> Rules {
    let mut rules = Rules::new();
    let mut allow = |kind: Kind, sub: &str, verbs: &[&'static str]| {
        let (group, plural) = resource(kind);
        rules
            .entry((group, plural + sub))
            .or_default()
            .extend(verbs);
    };
    for kind in Kind::ALL {
        allow(*kind, "", &["list", "watch"]);
        if has_status(*kind) {
            allow(*kind, "/status", &["patch"]);
        }
    }
    for kind in [Kind::Secret, Kind::ConfigMap] {
        allow(kind, "", &["get"]);
    }
    for kind in WRITTEN {
        allow(*kind, "", &["create", "patch", "delete"]);
    }
    // Made for Ingresses when there is none, and never deleted.
    allow(Kind::Gateway, "", &["create", "patch"]);
    let events = ("events.k8s.io".to_owned(), "events".to_owned());
    rules.insert(events, BTreeSet::from(["create"]));
    let definitions = ("apiextensions.k8s.io".to_owned(), DEFINITIONS.to_owned());
    rules.insert(definitions, BTreeSet::from(["get"]));
    rules
}

/// The objects that a rule is about; none: all.
fn names(of: &str) -> Vec<String> {
    let ours = Kind::ALL
        .iter()
        .filter(|kind| kind.group() == GATEWAY_GROUP);
    let names = ours.map(|kind| format!("{}.{GATEWAY_GROUP}", resource(*kind).1));
    let mut names: Vec<_> = names.filter(|_| of == DEFINITIONS).collect();
    names.sort();
    names
}

/// In the namespace of the installation.
fn namespace() -> Rules {
    let leases = ("coordination.k8s.io".to_owned(), "leases".to_owned());
    Rules::from([(leases, BTreeSet::from(["create", "get", "update"]))])
}

fn resource(kind: Kind) -> (String, String) {
    let version = kind.api_version();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind.as_str()));
    (resource.group, resource.plural)
}

/// One rule for each group and set of verbs.
fn rules(rules: &Rules) -> Value {
    let mut merged: BTreeMap<(&str, &BTreeSet<&str>), Vec<&str>> = BTreeMap::new();
    for ((group, resource), verbs) in rules {
        merged.entry((group, verbs)).or_default().push(resource);
    }
    let rule = |((group, verbs), resources): ((&str, &BTreeSet<&str>), Vec<&str>)| {
        let mut rule = json!({ "apiGroups": [group], "resources": resources, "verbs": verbs });
        let names: Vec<_> = resources.iter().flat_map(|of| names(of)).collect();
        if !names.is_empty() {
            rule["resourceNames"] = json!(names);
        }
        rule
    };
    merged.into_iter().map(rule).collect()
}

/// A ClusterRole and a Role as YAML.
///
/// # Errors
/// None that plain data could bring.
pub(crate) fn manifests(name: &str) -> anyhow::Result<String> {
    let role = |kind: &str, list: &Rules| {
        serde_saphyr::to_string(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": { "name": name },
            "rules": rules(list),
        }))
    };
    Ok(format!(
        "{}---\n{}",
        role("ClusterRole", &cluster())?,
        role("Role", &namespace())?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_may_be_watched_and_secrets_may_not_be_written() {
        let rules = cluster();
        for kind in Kind::ALL {
            let verbs = &rules[&resource(*kind)];
            assert!(verbs.contains("list") && verbs.contains("watch"), "{kind}");
        }
        let secrets = &rules[&(String::new(), "secrets".to_owned())];
        assert_eq!(*secrets, BTreeSet::from(["get", "list", "watch"]));
        assert!(rules.keys().all(|(_, resource)| resource != "*"));
        assert!(!rules.values().any(|verbs| verbs.contains("*")));
    }

    #[test]
    fn the_chart_s_roles_allow_just_this() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../deploy/charts/postern/files/permissions.yaml"
        );
        let text = std::fs::read_to_string(path).unwrap();
        let chart: Value = serde_saphyr::from_str(&text).unwrap();
        let texts = |value: &Value| -> Vec<String> {
            let texts = value.as_array().unwrap().iter();
            texts
                .map(|text| text.as_str().unwrap().to_owned())
                .collect()
        };
        let granted = |place: &str| {
            let mut all = BTreeMap::<_, BTreeSet<String>>::new();
            for rule in chart[place].as_array().unwrap() {
                for resource in texts(&rule["resources"]) {
                    let only = match &rule["resourceNames"] {
                        Value::Null => Vec::new(),
                        only => texts(only),
                    };
                    assert_eq!(only, names(&resource), "{resource}");
                    let key = (texts(&rule["apiGroups"])[0].clone(), resource);
                    all.entry(key).or_default().extend(texts(&rule["verbs"]));
                }
            }
            all
        };
        for (place, declared) in [("cluster", cluster()), ("namespace", namespace())] {
            let owned = |verbs: BTreeSet<&str>| verbs.into_iter().map(str::to_owned).collect();
            let declared: BTreeMap<_, BTreeSet<String>> = declared
                .into_iter()
                .map(|(key, verbs)| (key, owned(verbs)))
                .collect();
            assert_eq!(granted(place), declared, "{place}");
        }
    }

    #[test]
    fn names_are_those_of_the_api_server() {
        let names: Vec<_> = Kind::ALL.iter().map(|kind| resource(*kind).1).collect();
        for name in [
            "ingresses",
            "gatewayclasses",
            "httproutes",
            "endpointslices",
            "routepolicies",
            "namespaces",
        ] {
            assert!(
                names.iter().any(|found| found == name),
                "{name} is not in {names:?}"
            );
        }
    }

    #[test]
    fn the_roles_are_yaml() {
        let text = manifests("postern").unwrap();
        let documents = api::yaml::read(&text);
        assert_eq!(
            (documents.errors.len(), documents.skipped.len()),
            (0, 2),
            "{text}"
        );
        assert!(
            text.contains("coordination.k8s.io") && text.contains("httproutes/status"),
            "{text}"
        );
    }
}
