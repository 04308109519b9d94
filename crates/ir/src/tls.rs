//! TLS that listeners terminate.

use std::sync::Arc;

use serde::Serialize;

use crate::Redacted;

/// A certificate chain and its key, checked to belong together before they get here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// Where it comes from, as `Secret/namespace/name`.
    pub source: Arc<str>,
    /// DNS names it is valid for, lower case, wildcards as written.
    pub names: Vec<Box<str>>,
    /// PEM chain, leaf first.
    #[serde(skip_serializing)]
    pub chain: Arc<str>,
    /// PEM private key.
    pub key: Redacted<Arc<str>>,
}

/// How a listener answers a TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TlsTermination {
    /// At least one; the first whose names cover the SNI is served, else the first.
    pub certificates: Vec<Arc<Certificate>>,
}
