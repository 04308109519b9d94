//! Where the rules of a path lead: references to backends.

use serde_json::{Value, json};

use super::{role, rule_name};
use crate::{ingress::Backend, merge::HostGroup};

/// Backend references; a broken backend is none at all, which answers 500.
pub(super) fn refs(backend: &Backend, weight: Option<u64>) -> Vec<Value> {
    match backend {
        Backend::Broken | Backend::Redirect(_) => Vec::new(),
        Backend::Service { name, port } => {
            let mut reference = json!({ "name": name, "port": port });
            if let Some(weight) = weight {
                reference["weight"] = json!(weight);
            }
            vec![reference]
        }
        Backend::Outside(destinations) => destinations
            .iter()
            .map(|destination| {
                let mut reference = destination.reference.clone();
                let all: u64 = destinations.iter().map(|one| one.share).sum();
                reference["weight"] = json!(match weight {
                    Some(weight) => weight * destination.share / all.max(1),
                    None => destination.share,
                });
                reference
            })
            .collect(),
    }
}

/// Rules that lead to a canary, and the base that stands in where the canary has no endpoints.
pub(crate) fn standbys(group: &HostGroup) -> Vec<(String, Vec<Value>)> {
    let mut standbys = Vec::new();
    for owned in group
        .paths
        .iter()
        .filter(|owned| !owned.canaries.is_empty())
    {
        let base = standby(&owned.path.backend);
        if base.is_empty() {
            continue;
        }
        let name = rule_name(&owned.path.kind, "");
        for attached in &owned.canaries {
            if attached.canary.header.is_some() {
                standbys.push((role(&name, attached, "header"), base.clone()));
            }
            if attached.canary.cookie.is_some() {
                standbys.push((role(&name, attached, "cookie"), base.clone()));
            }
        }
        if owned
            .canaries
            .iter()
            .any(|attached| attached.canary.weight.is_some())
        {
            standbys.push((name, base));
        }
    }
    standbys
}

/// The Services of a backend, without weights; as many as leave room for another in a RoutePolicy.
fn standby(backend: &Backend) -> Vec<Value> {
    let mut references = refs(backend, None);
    references.truncate(3);
    for reference in &mut references {
        if let Some(fields) = reference.as_object_mut() {
            fields.remove("weight");
        }
    }
    references
}
