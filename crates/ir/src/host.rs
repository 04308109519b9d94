//! What holds for a host as a whole, before any of its rules is asked.

use serde::Serialize;

use crate::{Paths, Underscores};

/// What holds for a host of a listener, known as soon as the host is looked up. The default is what Gateway API says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostSettings {
    /// A request that none of the host's routes matches is answered 404, whatever routes of wider hosts allow
    /// ([`Route::host_fallthrough`](crate::Route::host_fallthrough)).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub isolated: bool,
    /// A wildcard stands for one label: `*.example.com` is not for `a.b.example.com`, which goes to the next wider
    /// host.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub one_label: bool,
    /// Requests may come on a TLS connection that was made for another listener's name, where
    /// [`TlsTermination::takes_over`](crate::TlsTermination::takes_over) allows it; else they are answered 421.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub any_server_name: bool,
    /// How paths are read, together with what the listener says.
    #[serde(skip_serializing_if = "Paths::is_default")]
    pub paths: Paths,
    /// What becomes of request fields with an underscore in their name, unless the listener is stricter.
    #[serde(skip_serializing_if = "Underscores::is_default")]
    pub underscores: Underscores,
}

impl HostSettings {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The safe side of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            isolated: self.isolated || other.isolated,
            one_label: self.one_label || other.one_label,
            any_server_name: self.any_server_name && other.any_server_name,
            paths: self.paths.and(other.paths),
            underscores: self.underscores.max(other.underscores),
        }
    }
}
