//! Why a backendRef cannot be used.

use api::{Kind, ObjectKey, condition::reasons};
use ir::Transport;

use crate::fault::Fault;

/// Why a backendRef cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BackendRefError {
    #[error("backendRef {name}: {group:?} {kind:?} is not supported; use a Service")]
    InvalidKind {
        group: String,
        kind: String,
        name: String,
    },
    #[error("no ReferenceGrant in namespace {} lets {} of namespace {from} use Service {to}", to.namespace, plural(*kind))]
    NotPermitted {
        kind: Kind,
        from: String,
        to: ObjectKey,
    },
    #[error("Service {0} does not exist")]
    NotFound(ObjectKey),
    #[error("XBackend {0} does not exist")]
    NoXBackend(ObjectKey),
    #[error("XBackend {0}: {message}", message = .1.message)]
    XBackend(ObjectKey, Fault),
    #[error("no ReferenceGrant in namespace {} lets {} of namespace {from} use XBackend {to}", to.namespace, plural(*kind))]
    XBackendNotPermitted {
        kind: Kind,
        from: String,
        to: ObjectKey,
    },
    #[error("backendRef to Service {0} needs a port")]
    NoPort(ObjectKey),
    #[error("Service {0} has no {2} port {1}")]
    UnknownPort(ObjectKey, i32, Transport),
    #[error("Service {0}: BackendPolicy: {1}")]
    Policy(ObjectKey, String),
    #[error("Service {0}: BackendTLSPolicy {1}: {2}")]
    TlsPolicy(ObjectKey, ObjectKey, String),
    #[error("Service {0}: externalName {1:?} is not a DNS name")]
    ExternalName(ObjectKey, String),
    #[error("Service {0}: annotation {annotation}: {1:?} is not host:port", annotation = api::annotation::ENDPOINTS)]
    Endpoints(ObjectKey, String),
}

fn plural(kind: Kind) -> String {
    let word = kind.as_str();
    match word.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{word}s"),
    }
}

impl BackendRefError {
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::InvalidKind { .. } => reasons::INVALID_KIND,
            Self::NotPermitted { .. } | Self::XBackendNotPermitted { .. } => {
                reasons::REF_NOT_PERMITTED
            }
            Self::XBackend(_, fault) => fault.reason,
            Self::Policy(..) | Self::TlsPolicy(..) => reasons::INVALID,
            Self::NotFound(_)
            | Self::NoXBackend(_)
            | Self::NoPort(_)
            | Self::UnknownPort(..)
            | Self::ExternalName(..)
            | Self::Endpoints(..) => reasons::BACKEND_NOT_FOUND,
        }
    }
}

impl From<BackendRefError> for Fault {
    fn from(error: BackendRefError) -> Self {
        Self::new(error.reason(), error.to_string())
    }
}
