//! Conditions as data, and the types and reasons that the `gateway-api` crate lacks or splits by kind.

mod place;

use std::fmt;

use serde::Serialize;

pub use place::Place;

/// `True` or `False`. (`Unknown` is what the API server defaults to; we always know.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
}

/// One condition, without time and generation: the status writer adds those when it patches the live object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// For example `Accepted`; one of [`types`].
    #[serde(rename = "type")]
    pub type_: &'static str,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// One CamelCase word; one of [`reasons`].
    pub reason: &'static str,
    /// What is wrong, where, and what to do about it; empty when all is well.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl Condition {
    /// A condition that holds, with the type's own name as reason.
    #[must_use]
    pub const fn ok(type_: &'static str) -> Self {
        Self {
            type_,
            status: ConditionStatus::True,
            reason: type_,
            message: String::new(),
        }
    }

    /// A condition that holds for a particular reason.
    #[must_use]
    pub fn holds(type_: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            type_,
            status: ConditionStatus::True,
            reason,
            message: message.into(),
        }
    }

    /// A condition that does not hold.
    #[must_use]
    pub fn fails(type_: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            type_,
            status: ConditionStatus::False,
            reason,
            message: message.into(),
        }
    }

    /// Whether it holds.
    #[must_use]
    pub fn is_true(&self) -> bool {
        self.status == ConditionStatus::True
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:?} ({})", self.type_, self.status, self.reason)?;
        if self.message.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.message)
        }
    }
}

/// Condition types.
pub mod types {
    /// The object, or its attachment to a parent, is valid and taken up.
    pub const ACCEPTED: &str = "Accepted";
    /// Everything it refers to exists and may be used.
    pub const RESOLVED_REFS: &str = "ResolvedRefs";
    /// The data plane serves it.
    pub const PROGRAMMED: &str = "Programmed";
    /// A listener clashes with another.
    pub const CONFLICTED: &str = "Conflicted";
    /// Part of a route was dropped.
    pub const PARTIALLY_INVALID: &str = "PartiallyInvalid";
    /// The bundle version of the installed CRDs is one we know.
    pub const SUPPORTED_VERSION: &str = "SupportedVersion";
    /// Listeners of a port share certificates' names, so connections may be coalesced.
    pub const OVERLAPPING_TLS: &str = "OverlappingTLSConfig";
    /// A Gateway has the addresses that it asks for (Gateway API 1.7, GEP-5093).
    pub const ADDRESSES_ASSIGNED: &str = "AddressesAssigned";
    /// A Gateway lets clients in whose certificates nobody has looked at.
    pub const INSECURE_FRONTEND: &str = "InsecureFrontendValidationMode";
}

/// Condition reasons, as the Gateway API specification spells them.
pub mod reasons {
    /// Taken up.
    pub const ACCEPTED: &str = "Accepted";
    /// All references resolve.
    pub const RESOLVED_REFS: &str = "ResolvedRefs";
    /// Served.
    pub const PROGRAMMED: &str = "Programmed";
    /// Gateway: at least one listener is broken.
    pub const LISTENERS_NOT_VALID: &str = "ListenersNotValid";
    /// Gateway or GatewayClass: `parametersRef` cannot be honoured.
    pub const INVALID_PARAMETERS: &str = "InvalidParameters";
    /// Gateway: an address type we do not know.
    pub const UNSUPPORTED_ADDRESS: &str = "UnsupportedAddress";
    /// Gateway: it has no address yet.
    pub const ADDRESS_NOT_ASSIGNED: &str = "AddressNotAssigned";
    /// Gateway: some of the addresses that it asks for are not assigned (Gateway API 1.7, GEP-5093).
    pub const ADDRESSES_PARTIALLY_ASSIGNED: &str = "PartiallyAssigned";
    /// Gateway: none of them is (Gateway API 1.7, GEP-5093).
    pub const ADDRESSES_NOT_ASSIGNED: &str = "NotAssigned";
    /// Listener: not served yet.
    pub const PENDING: &str = "Pending";
    /// Gateway: an address that cannot be bound.
    pub const ADDRESS_NOT_USABLE: &str = "AddressNotUsable";
    /// Route: an endpoint of a backend is a listener of the gateway itself. A word of ours.
    pub const BACKEND_LOOP: &str = "BackendLoop";
    /// Not served, for the reason another condition gives.
    pub const INVALID: &str = "Invalid";
    /// Listener: protocol we do not speak.
    pub const UNSUPPORTED_PROTOCOL: &str = "UnsupportedProtocol";
    /// Listener: a value we cannot honour.
    pub const UNSUPPORTED_VALUE: &str = "UnsupportedValue";
    /// Listener: a filter that cannot be (Gateway API 1.7, GEP-5224).
    pub const INVALID_LISTENER_FILTER: &str = "InvalidListenerFilter";
    /// Listener: what a filter refers to does not exist (Gateway API 1.7, GEP-5224).
    pub const INVALID_LISTENER_FILTER_REF: &str = "InvalidListenerFilterRef";
    /// Listener: `allowedRoutes.kinds` names a kind that cannot attach.
    pub const INVALID_ROUTE_KINDS: &str = "InvalidRouteKinds";
    /// Listener: certificate missing, of a wrong kind, or unreadable.
    pub const INVALID_CERTIFICATE_REF: &str = "InvalidCertificateRef";
    /// No ReferenceGrant permits the reference.
    pub const REF_NOT_PERMITTED: &str = "RefNotPermitted";
    /// Gateway: the certificate to show to backends is missing, of a wrong kind, or unreadable.
    pub const INVALID_CLIENT_CERTIFICATE_REF: &str = "InvalidClientCertificateRef";
    /// Gateway: references of listeners do not resolve; see there.
    pub const LISTENERS_NOT_RESOLVED: &str = "ListenersNotResolved";
    /// Gateway: the condition follows from the specification of the object.
    pub const CONFIGURATION_CHANGED: &str = "ConfigurationChanged";
    /// Listener or BackendTLSPolicy: authorities are missing or unreadable.
    pub const INVALID_CA_CERTIFICATE_REF: &str = "InvalidCACertificateRef";
    /// Listener: authorities for clients' certificates in an object of a kind we do not read.
    pub const INVALID_CA_CERTIFICATE_KIND: &str = "InvalidCACertificateKind";
    /// Listener or BackendTLSPolicy: certificates have to be looked at, and there is nobody to look at them with.
    pub const NO_VALID_CA_CERTIFICATE: &str = "NoValidCACertificate";
    /// Listener: same hostname and port as another. Route: one of another kind that comes first has a host of it.
    pub const HOSTNAME_CONFLICT: &str = "HostnameConflict";
    /// Listener: another protocol on the same port.
    pub const PROTOCOL_CONFLICT: &str = "ProtocolConflict";
    /// Listener: no clash.
    pub const NO_CONFLICTS: &str = "NoConflicts";
    /// ListenerSet: the Gateway does not allow it.
    pub const NOT_ALLOWED: &str = "NotAllowed";
    /// ListenerSet: its Gateway is not accepted.
    pub const PARENT_NOT_ACCEPTED: &str = "ParentNotAccepted";
    /// ListenerSet: its Gateway is not programmed.
    pub const PARENT_NOT_PROGRAMMED: &str = "ParentNotProgrammed";
    /// Route: the listener does not allow its kind or namespace.
    pub const NOT_ALLOWED_BY_LISTENERS: &str = "NotAllowedByListeners";
    /// Route: no hostname in common with a listener.
    pub const NO_MATCHING_LISTENER_HOSTNAME: &str = "NoMatchingListenerHostname";
    /// Route: the parent has no such section or port.
    pub const NO_MATCHING_PARENT: &str = "NoMatchingParent";
    /// Route: a value we do not support.
    pub const ROUTE_UNSUPPORTED_VALUE: &str = "UnsupportedValue";
    /// Route: filters that exclude each other.
    pub const INCOMPATIBLE_FILTERS: &str = "IncompatibleFilters";
    /// Route: backend of an unknown group or kind. BackendTLSPolicy: authorities of one.
    pub const INVALID_KIND: &str = "InvalidKind";
    /// Route: backend does not exist.
    pub const BACKEND_NOT_FOUND: &str = "BackendNotFound";
    /// Route: backend speaks a protocol we do not.
    pub const UNSUPPORTED_PROTOCOL_BACKEND: &str = "UnsupportedProtocol";
    /// Policy: its target does not exist.
    pub const TARGET_NOT_FOUND: &str = "TargetNotFound";
    /// Policy: an older one holds the target.
    pub const CONFLICTED: &str = "Conflicted";
    /// GatewayClass: CRDs of a version we know.
    pub const SUPPORTED_VERSION: &str = "SupportedVersion";
    /// GatewayClass: CRDs of a version we do not know.
    pub const UNSUPPORTED_VERSION: &str = "UnsupportedVersion";
    /// Listener: hostnames of TLS listeners overlap.
    pub const OVERLAPPING_HOSTNAMES: &str = "OverlappingHostnames";
}
