//! `RoutePolicy`: behaviour of a route, or one of its rules, that HTTPRoute has no word for.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings for HTTPRoutes in the same namespace (GEP-713 direct attachment). Of two policies with the same target the
/// older one wins, then the first by name; a policy for one rule wins over one for the whole route.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "postern.dev",
    version = "v1alpha1",
    kind = "RoutePolicy",
    plural = "routepolicies",
    namespaced,
    derive = "PartialEq",
    status = "RoutePolicyStatus",
    shortname = "prp",
    category = "postern",
    category = "gateway-api",
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct RoutePolicySpec {
    /// What it applies to.
    #[schemars(length(min = 1, max = 16))]
    pub target_refs: Vec<PolicyTarget>,
    /// When the rule's `retry` repeats a request, beyond the status codes that it lists itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
}

/// A route, or one of its rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyTarget {
    /// `gateway.networking.k8s.io`.
    pub group: String,
    /// `HTTPRoute`.
    pub kind: String,
    /// Name, in the policy's namespace.
    pub name: String,
    /// Name of one rule; absent: all rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}

/// Conditions for the retries of a rule that has `retry`. Without this policy: the listed codes and failed
/// connections, for every method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetryPolicy {
    /// Retry when no connection could be made, or it was lost before the response. Default false.
    #[serde(default)]
    pub connection_failure: bool,
    /// Retry when the attempt ran into `timeouts.backendRequest`. Default false.
    #[serde(default)]
    pub timeout: bool,
    /// Retry on every status from 500 to 599. Default false.
    #[serde(default)]
    pub server_errors: bool,
    /// Retry POST, PATCH and LOCK too. Default false.
    #[serde(default)]
    pub non_idempotent: bool,
}

/// Status, as GEP-713 lays it out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoutePolicyStatus {
    /// One entry for each target.
    #[schemars(length(max = 16))]
    pub ancestors: Vec<RoutePolicyAncestor>,
}

/// How the policy fares on one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoutePolicyAncestor {
    /// The target.
    pub ancestor_ref: RoutePolicyAncestorRef,
    /// Who wrote this entry.
    pub controller_name: String,
    /// `Accepted`, with reasons `Accepted`, `Conflicted`, `TargetNotFound` or `Invalid`.
    #[schemars(length(max = 8))]
    pub conditions: Vec<Condition>,
}

/// The target in a status entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoutePolicyAncestorRef {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Name of one rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}
