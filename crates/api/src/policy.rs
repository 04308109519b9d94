//! What our policies have in common: targets and status, as GEP-713 lays them out.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a policy applies to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyTarget {
    /// API group; empty for Services.
    #[schemars(length(max = 253))]
    pub group: String,
    /// Kind.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Name, in the policy's namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Part of the target: a rule of a route, a listener of a Gateway or ListenerSet, a port (by name or number) of a
    /// Service. Absent: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub section_name: Option<String>,
}

/// CEL rules for `targetRefs`: which groups and kinds there may be, and no target twice.
pub(crate) fn target_rules(kinds: &[(&str, &str)]) -> Value {
    let one = |(group, kind): &(&str, &str)| format!("t.group == '{group}' && t.kind == '{kind}'");
    let any: Vec<String> = kinds.iter().map(one).collect();
    let names: Vec<&str> = kinds.iter().map(|(_, kind)| *kind).collect();
    let section = |of: &str| format!("(has({of}.sectionName) ? {of}.sectionName : '')");
    let same = format!(
        "a.group == b.group && a.kind == b.kind && a.name == b.name && {} == {}",
        section("a"),
        section("b")
    );
    json!([
        {
            "rule": format!("self.all(t, {})", any.join(" || ")),
            "message": format!("a target is of the kind {}, and of its group", names.join(" or ")),
        },
        {
            "rule": format!("self.all(a, self.exists_one(b, {same}))"),
            "message": "a target is named once",
        },
    ])
}

/// A Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretRef {
    /// Name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Namespace; absent: the policy's. Another one needs a ReferenceGrant there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// Status of a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyStatus {
    /// One entry for each target, from each controller whose Gateways it concerns.
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub ancestors: Vec<PolicyAncestor>,
}

/// How a policy fares on one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyAncestor {
    /// The target.
    pub ancestor_ref: PolicyAncestorRef,
    /// Who wrote this entry.
    pub controller_name: String,
    /// `Accepted`, with reasons `Accepted`, `Conflicted`, `TargetNotFound` or `Invalid`.
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}

/// The target in a status entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyAncestorRef {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Part of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}
