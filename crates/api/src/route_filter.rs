//! `RouteFilter`: request changes that HTTPRoute has no word for, used by `ExtensionRef` in a rule.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A filter for the rules that name it with an `ExtensionRef`. Same namespace only.
#[derive(CustomResource, Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "postern.dev",
    version = "v1alpha1",
    kind = "RouteFilter",
    doc = "A request change that HTTPRoute has no word for, named by an ExtensionRef in a rule.",
    namespaced,
    derive = "PartialEq",
    shortname = "prf",
    category = "postern",
    printcolumn = r#"{"name":"Pattern","type":"string","jsonPath":".spec.regexRewrite.pattern"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct RouteFilterSpec {
    /// Rewrite the path by regular expression.
    pub regex_rewrite: RegexRewrite,
}

/// A substitution in the request's path; the query string is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegexRewrite {
    /// Regular expression (RE2 syntax) that is searched for in the path. A path without a match is left alone.
    #[schemars(length(min = 1, max = 1024))]
    pub pattern: String,
    /// What replaces the first match: `$1` to `$9` or `${1}` are capture groups, `$$` is a dollar.
    #[schemars(length(max = 1024))]
    pub substitution: String,
}
