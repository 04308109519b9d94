//! `RouteFilter`: changes, and redirects, that HTTPRoute has no word for, used by `ExtensionRef` in a rule.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A filter for the rules that name it with an `ExtensionRef`. Same namespace only.
#[derive(
    CustomResource, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema,
)]
#[kube(
    group = "postern.dev",
    version = "v1alpha1",
    kind = "RouteFilter",
    doc = "A change of requests or answers, or a redirect, that HTTPRoute has no word for, named by an ExtensionRef in a rule.",
    namespaced,
    derive = "PartialEq",
    shortname = "prf",
    category = "postern",
    printcolumn = r#"{"name":"Pattern","type":"string","jsonPath":".spec.regexRewrite.pattern"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "has(self.regexRewrite) || has(self.rewrite) || has(self.redirect) || has(self.requestHeaders) || has(self.responseHeaders)",
        "message": "a filter has one of regexRewrite, rewrite, redirect, requestHeaders and responseHeaders",
    },
    {
        "rule": "!(has(self.regexRewrite) && has(self.rewrite))",
        "message": "regexRewrite and rewrite exclude each other",
    },
    {
        "rule": "!has(self.redirect) || !(has(self.regexRewrite) || has(self.rewrite) || has(self.requestHeaders))",
        "message": "with redirect no request is sent to a backend, so nothing of it can be changed",
    },
]))]
pub struct RouteFilterSpec {
    /// Rewrite the path by regular expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex_rewrite: Option<RegexRewrite>,
    /// Regular expression (RE2 syntax) that is searched for in the path, as it came. Its groups are `$1` to `$9` in the
    /// templates below, and `$name` where it names them with `(?<name>...)`. In a path without a match they are empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub path_pattern: Option<String>,
    /// New host, path and query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Box<TemplateRewrite>>,
    /// Send the client to another URL. The rule has no backendRefs then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<Box<TemplateRedirect>>,
    /// Headers of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_headers: Option<Box<TemplateHeaders>>,
    /// Headers of the backend's answer, or of the redirect. They are set after those of all ResponseHeaderModifiers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_headers: Option<Box<TemplateHeaders>>,
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

/// A new host, path or query, made of templates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.host) || has(self.path) || has(self.query) || has(self.requestQuery)", "a rewrite has host, path, query or requestQuery"))]
pub struct TemplateRewrite {
    /// Template of the `Host` that the backend sees, with a port or without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub host: Option<String>,
    /// Template of the whole path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub path: Option<String>,
    /// Template of what the query begins with, without question mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub query: Option<String>,
    /// What becomes of the request's own query. Default Append.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_query: Option<RequestQuery>,
}

/// What becomes of the request's own query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RequestQuery {
    /// It follows, behind what the filter says.
    Append,
    /// It is left out.
    Drop,
}

/// A redirect to a URL that is made of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateRedirect {
    /// Template of the URL, which is sent as it comes out, with nothing added: it begins with `http://`, `https://` or
    /// `$scheme://`, or it is a path on the same host and begins with one slash, `$uri` or `$request_uri`.
    #[schemars(length(min = 1, max = 2048))]
    pub location: String,
    /// 301, 302, 303, 307 or 308. Default 302.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [301, 302, 303, 307, 308]))]
    pub status_code: Option<u16>,
    /// What becomes of the request's own query. Default Drop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_query: Option<RequestQuery>,
    /// Whether clients are redirected before or after a RoutePolicy's guards have let them in. Default AfterGuards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<RedirectOrder>,
}

/// When clients are redirected. The guards are client addresses, rate and concurrency limits, and authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RedirectOrder {
    /// Only who passes the guards is redirected.
    AfterGuards,
    /// Every client is redirected, and the guards are not asked. Where a guard cannot be honoured, or client addresses
    /// let nobody in, the rule stays closed.
    BeforeGuards,
}

/// Headers that are made of templates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateHeaders {
    /// Headers that are overwritten, or created. One whose value comes out empty is taken off.
    #[schemars(
        length(min = 1, max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub set: Vec<TemplateHeader>,
}

/// A header that is made of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateHeader {
    /// Its name.
    #[schemars(
        length(min = 1, max = 256),
        regex(pattern = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
    )]
    pub name: String,
    /// Template of its value.
    #[schemars(length(max = 4096))]
    pub value: String,
}
