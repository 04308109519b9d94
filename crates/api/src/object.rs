//! Names of objects.

use std::{fmt, str::FromStr, sync::Arc};

use kube::ResourceExt;
use serde::{Serialize, Serializer};

/// Namespace and name; the namespace is empty for cluster-scoped kinds. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Namespace, or empty.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl ObjectKey {
    /// A key from its parts.
    #[must_use]
    pub fn new(namespace: impl AsRef<str>, name: impl AsRef<str>) -> Self {
        Self {
            namespace: namespace.as_ref().into(),
            name: name.as_ref().into(),
        }
    }

    /// The key of an object.
    #[must_use]
    pub fn of(object: &impl ResourceExt) -> Self {
        let metadata = object.meta();
        let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
        Self::new(namespace.unwrap_or_default(), name.unwrap_or_default())
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

impl Serialize for ObjectKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident $text:literal $group:literal $namespaced:literal),* $(,)?) => {
        /// The kinds that Postern reads or writes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $variant),*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The kind as written in manifests.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// The API group; empty for core.
            #[must_use]
            pub const fn group(self) -> &'static str {
                match self { $(Self::$variant => $group),* }
            }

            /// Whether objects of the kind live in a namespace.
            #[must_use]
            pub const fn namespaced(self) -> bool {
                match self { $(Self::$variant => $namespaced),* }
            }
        }
    };
}

kinds! {
    /// `networking.k8s.io` Ingress.
    Ingress "Ingress" "networking.k8s.io" true,
    /// `networking.k8s.io` IngressClass.
    IngressClass "IngressClass" "networking.k8s.io" false,
    /// Higress' McpBridge.
    McpBridge "McpBridge" "networking.higress.io" true,
    /// Gateway API GatewayClass.
    GatewayClass "GatewayClass" "gateway.networking.k8s.io" false,
    /// Gateway API Gateway.
    Gateway "Gateway" "gateway.networking.k8s.io" true,
    /// Gateway API ListenerSet.
    ListenerSet "ListenerSet" "gateway.networking.k8s.io" true,
    /// Gateway API HTTPRoute.
    HttpRoute "HTTPRoute" "gateway.networking.k8s.io" true,
    /// Gateway API GRPCRoute.
    GrpcRoute "GRPCRoute" "gateway.networking.k8s.io" true,
    /// Gateway API TLSRoute.
    TlsRoute "TLSRoute" "gateway.networking.k8s.io" true,
    /// Gateway API TCPRoute.
    TcpRoute "TCPRoute" "gateway.networking.k8s.io" true,
    /// Gateway API UDPRoute.
    UdpRoute "UDPRoute" "gateway.networking.k8s.io" true,
    /// Gateway API BackendTLSPolicy.
    BackendTlsPolicy "BackendTLSPolicy" "gateway.networking.k8s.io" true,
    /// Gateway API ReferenceGrant.
    ReferenceGrant "ReferenceGrant" "gateway.networking.k8s.io" true,
    /// Gateway API XBackend, an experiment.
    XBackend "XBackend" "gateway.networking.x-k8s.io" true,
    /// Core Service.
    Service "Service" "" true,
    /// Discovery EndpointSlice.
    EndpointSlice "EndpointSlice" "discovery.k8s.io" true,
    /// Core Secret.
    Secret "Secret" "" true,
    /// Core ConfigMap.
    ConfigMap "ConfigMap" "" true,
    /// Core Namespace.
    Namespace "Namespace" "" false,
    /// Certificates ClusterTrustBundle.
    ClusterTrustBundle "ClusterTrustBundle" "certificates.k8s.io" false,
    /// Our RouteFilter.
    RouteFilter "RouteFilter" "postern.dev" true,
    /// Our RoutePolicy.
    RoutePolicy "RoutePolicy" "postern.dev" true,
    /// Our BackendPolicy.
    BackendPolicy "BackendPolicy" "postern.dev" true,
    /// Our ClientPolicy.
    ClientPolicy "ClientPolicy" "postern.dev" true,
}

impl Kind {
    /// `apiVersion` of the kind, in the version that Postern reads and writes.
    #[must_use]
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::Ingress | Self::IngressClass => "networking.k8s.io/v1",
            Self::GatewayClass
            | Self::Gateway
            | Self::ListenerSet
            | Self::HttpRoute
            | Self::GrpcRoute
            | Self::TlsRoute
            | Self::TcpRoute
            | Self::UdpRoute
            | Self::BackendTlsPolicy
            | Self::ReferenceGrant => "gateway.networking.k8s.io/v1",
            Self::XBackend => "gateway.networking.x-k8s.io/v1alpha1",
            Self::McpBridge => "networking.higress.io/v1",
            Self::EndpointSlice => "discovery.k8s.io/v1",
            Self::ClusterTrustBundle => "certificates.k8s.io/v1beta1",
            Self::Service | Self::Secret | Self::ConfigMap | Self::Namespace => "v1",
            Self::RouteFilter | Self::RoutePolicy | Self::BackendPolicy | Self::ClientPolicy => {
                "postern.dev/v1alpha1"
            }
        }
    }

    /// The kinds that attach to listeners.
    pub const ROUTES: &'static [Self] = &[
        Self::HttpRoute,
        Self::GrpcRoute,
        Self::TlsRoute,
        Self::TcpRoute,
        Self::UdpRoute,
    ];

    /// Versions of the kind, as in `apiVersion`, that read like [`Self::api_version`]; that one comes first. All that
    /// were served by any release and have the same fields.
    #[must_use]
    pub fn versions(self) -> &'static [&'static str] {
        match self {
            Self::Gateway | Self::GatewayClass | Self::HttpRoute | Self::ReferenceGrant => {
                &["v1", "v1beta1", "v1alpha2"]
            }
            Self::GrpcRoute | Self::TcpRoute | Self::UdpRoute => &["v1", "v1alpha2"],
            Self::TlsRoute => &["v1", "v1alpha3", "v1alpha2"],
            // Of v1alpha2, the fields are others.
            Self::BackendTlsPolicy => &["v1", "v1alpha3"],
            Self::IngressClass => &["v1", "v1beta1"],
            Self::ClusterTrustBundle => &["v1beta1", "v1alpha1"],
            Self::XBackend
            | Self::RouteFilter
            | Self::RoutePolicy
            | Self::BackendPolicy
            | Self::ClientPolicy => &["v1alpha1"],
            // Ingress and EndpointSlice of v1beta1 have other fields.
            Self::Ingress
            | Self::McpBridge
            | Self::ListenerSet
            | Self::EndpointSlice
            | Self::Service
            | Self::Secret
            | Self::ConfigMap
            | Self::Namespace => &["v1"],
        }
    }

    /// The kind of that group and name, if it is one of ours.
    #[must_use]
    pub fn find(group: &str, kind: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|k| k.group() == group && k.as_str() == kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A kind and a key: `HTTPRoute/default/demo`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// The kind.
    pub kind: Kind,
    /// Namespace and name.
    pub key: ObjectKey,
}

impl ObjectRef {
    /// A reference from its parts.
    #[must_use]
    pub const fn new(kind: Kind, key: ObjectKey) -> Self {
        Self { kind, key }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.key)
    }
}

impl FromStr for ObjectRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is not KIND/NAMESPACE/NAME");
        let (kind, key) = text.split_once('/').ok_or_else(wrong)?;
        let kind = Kind::ALL
            .iter()
            .copied()
            .find(|k| k.as_str() == kind)
            .ok_or_else(wrong)?;
        let (namespace, name) = key.rsplit_once('/').unwrap_or(("", key));
        if name.is_empty() || kind.namespaced() == namespace.is_empty() {
            return Err(wrong());
        }
        Ok(Self::new(kind, ObjectKey::new(namespace, name)))
    }
}

impl Serialize for ObjectRef {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
