//! Higress' `McpBridge`: registries whose names the annotation `destination` may use. It is read and never written.

use std::fmt;

use kube::CustomResource;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, Visitor},
};

use crate::HIGRESS_GROUP;

/// Registries of services.
///
/// Of a registry those fields are held that say where a service of type `dns` or `static` is; of the others, which may
/// hold credentials, nothing is kept.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "networking.higress.io",
    version = "v1",
    kind = "McpBridge",
    plural = "mcpbridges",
    namespaced,
    derive = "PartialEq",
    schema = "disabled"
)]
pub struct McpBridgeSpec {
    /// In order. Of two with the same type and name Higress takes the later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub registries: Vec<Registry>,
    #[serde(flatten, skip_serializing)]
    others: Others,
}

impl McpBridge {
    /// The name of the only one that Higress reads, in the namespace that it runs in.
    pub const NAME: &str = "default";
    /// The namespace that Higress runs in, unless it is installed elsewhere.
    pub const NAMESPACE: &str = "higress-system";
}

/// A registry. One of type `dns` or `static` is a single service, called `NAME.TYPE`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registry {
    /// `dns`, `static`, or what kind of registry else: `nacos`, `consul` …
    #[serde(rename = "type", default)]
    pub type_: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Of type `dns`: names of hosts, separated by commas. Of type `static`: addresses with ports, separated by commas.
    #[serde(default)]
    pub domain: String,
    /// The port of the service; of type `dns` also that of the hosts. Absent, or 0: none.
    #[serde(default)]
    pub port: u32,
    /// What is spoken to it. Default `http`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Name that is sent in the TLS handshake. Default, of type `dns` with one host: that host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// The proxy of the McpBridge that connections go through. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_name: Option<String>,
    #[serde(flatten, skip_serializing)]
    others: Others,
}

/// Fields that are not read: whatever they hold is dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Others;

impl<'de> Deserialize<'de> for Others {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Self)
    }
}

impl<'de> Visitor<'de> for Others {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fields of {HIGRESS_GROUP}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self)
    }
}
