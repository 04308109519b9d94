//! XBackend in version v1alpha1 of Gateway API 1.7, experimental channel (`BackendSpec`), which the `gateway-api` crate
//! does not have; to be deleted once it does. Status is not read.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::backendtlspolicies::BackendTlsPolicyValidation;

/// Where requests of a backendRef go.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "gateway.networking.x-k8s.io",
    version = "v1alpha1",
    kind = "XBackend",
    plural = "xbackends",
    namespaced,
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct XBackendSpec {
    /// Which of the fields below says where.
    pub r#type: XBackendType,
    /// The port there.
    pub port: XBackendPort,
    /// A host outside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_hostname: Option<XBackendHostname>,
    /// Pods by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_selector: Option<Value>,
    /// Of pods, which one is asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_persistence: Option<Value>,
    /// What is spoken; absent: what the route is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<XBackendProtocol>,
    /// How connections are secured; absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<XBackendTls>,
}

/// What a backend is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum XBackendType {
    /// A host outside the cluster.
    ExternalHostname,
    /// Pods.
    EndpointSelector,
}

/// A port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct XBackendPort {
    /// Its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i32>,
}

/// A host outside the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct XBackendHostname {
    /// Its name; no address.
    pub hostname: String,
}

/// What is spoken to a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum XBackendProtocol {
    /// Bytes.
    Tcp,
    /// HTTP, in a version that is left to us.
    Http,
    /// HTTP/2 inside TLS.
    Http2,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2 in the open.
    H2c,
    /// Model Context Protocol.
    Mcp,
    /// gRPC.
    Grpc,
    /// WebSocket inside TLS.
    Wss,
}

/// How connections to a backend are secured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct XBackendTls {
    /// Who shows a certificate.
    pub mode: XBackendTlsMode,
    /// The Secret with the gateway's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_ref: Option<XBackendSecretRef>,
    /// Whom to trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<BackendTlsPolicyValidation>,
}

/// Who shows a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum XBackendTlsMode {
    /// Nobody: there is no TLS.
    None,
    /// The backend.
    ServerOnly,
    /// Both.
    ClientAndServer,
}

/// A reference to a Secret.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct XBackendSecretRef {
    /// API group; absent: the core group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Kind; absent: `Secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Namespace; absent: the backend's. Another one needs a ReferenceGrant there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}
