//! `ClientPolicy`: what listeners ask of clients.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{PolicyStatus, PolicyTarget, SecretRef};

/// Settings for Gateways and ListenerSets, or single listeners, in the same namespace (GEP-713 direct attachment). Each
/// setting of a policy for one listener wins over that of one for the whole object, and that over one for the Gateway
/// that a ListenerSet extends. Of two policies with the same target the older one wins, then the first by name.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "postern.dev",
    version = "v1alpha1",
    kind = "ClientPolicy",
    plural = "clientpolicies",
    doc = "What listeners ask of clients: TLS versions, cipher suites, client certificates.",
    namespaced,
    derive = "PartialEq",
    status = "PolicyStatus",
    shortname = "pcp",
    category = "postern",
    category = "gateway-api",
    printcolumn = r#"{"name":"Target","type":"string","jsonPath":".spec.targetRefs[0].name"}"#,
    printcolumn = r#"{"name":"Accepted","type":"string","jsonPath":".status.ancestors[0].conditions[?(@.type=='Accepted')].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ClientPolicySpec {
    /// What it applies to: Gateways or ListenerSets of `gateway.networking.k8s.io`; `sectionName` is the name of a
    /// listener.
    #[schemars(
        length(min = 1, max = 16),
        extend(
            "x-kubernetes-list-type" = "atomic",
            "x-kubernetes-validations" = crate::policy::target_rules(&[("gateway.networking.k8s.io", "Gateway"), ("gateway.networking.k8s.io", "ListenerSet")])
        )
    )]
    pub target_refs: Vec<PolicyTarget>,
    /// TLS of listeners at which it ends: those of protocol HTTPS, and of TLS unless it is passed on. On all others it
    /// does nothing: `Accepted` names those that pass TLS on, and is `False` where TLS ends at no listener of a target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientTls>,
    /// Header fields of requests, on listeners that serve HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<ClientHeaders>,
    /// How paths of requests are read before any rule is asked, on listeners that serve HTTP. Rules, logs and backends
    /// get the path that was read. A rule whose own path has more slashes in a row, or an escaped one, is met by no
    /// request then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<ClientPaths>,
}

/// How paths of requests are read. What RFC 3986 says is done in any case: dot segments are resolved, and needless
/// escapes undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientPaths {
    /// Several slashes in a row are one, so that `//admin` meets the rule of `/admin`. Default false: they stay, as
    /// some backends tell them apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge_slashes: Option<bool>,
    /// What an escaped slash (`%2F`) is. Default `Keep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escaped_slashes: Option<EscapedSlashes>,
}

/// What an escaped slash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EscapedSlashes {
    /// A character like others: it separates nothing, and stays escaped.
    Keep,
    /// A slash: `/x/..%2Fadmin` is `/admin`.
    Decode,
    /// The request is answered 400.
    Refuse,
}

/// Header fields of requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientHeaders {
    /// What becomes of fields with an underscore in their name, which some backends cannot tell from those with a
    /// hyphen. Default `Allow`. Fields that spell one of the gateway's own (`X_Forwarded_For`) never pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub underscores: Option<Underscores>,
}

/// What becomes of header fields with an underscore in their name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Underscores {
    /// They pass.
    Allow,
    /// They are taken off the request.
    Drop,
    /// The request is answered 400.
    Refuse,
}

/// TLS of a listener.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!(has(self.minVersion) && has(self.maxVersion)) || self.minVersion <= self.maxVersion", "minVersion is above maxVersion"))]
pub struct ClientTls {
    /// Lowest version. Default 1.2, which is the lowest there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_version: Option<TlsVersion>,
    /// Highest version. Default 1.3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_version: Option<TlsVersion>,
    /// Cipher suites for TLS 1.2 in order of preference, by OpenSSL's or IANA's name. Absent: all that there are. Those
    /// of TLS 1.3 cannot be chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 32),
        inner(length(min = 1, max = 64)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub cipher_suites: Option<Vec<String>>,
    /// Certificates of clients. What cannot be honoured closes the listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
}

/// A TLS version.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[serde(rename = "1.2")]
    V12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V13,
}

/// Certificates of clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientCertificate {
    /// Secret with the authorities that clients' certificates must come from, key `ca.crt` or `cacert`.
    pub ca_certificate_ref: SecretRef,
    /// A client without a certificate is served too. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(extend("default" = false))]
    pub optional: bool,
}
