//! `filters` of listeners, which the `gateway-api` crate does not have yet; to be deleted once it does. Gateway API
//! 1.7, experimental channel, `ListenerFilters` of `GatewaySpec.listeners[]` and `ListenerSetSpec.listeners[]`
//! (GEP-5224).

use serde::{Deserialize, Serialize};

use super::httproutes::{HttpRouteRulesFiltersExtensionRef, HttpRouteRulesFiltersExternalAuth};

/// Filters that run before a route is chosen, by phase.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ListenerFilters {
    /// On every request, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<ListenerFilter>,
}

/// A filter: the field that its type names holds what it does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerFilter {
    /// Which filter it is.
    pub r#type: ListenerFilterType,
    /// Asks an authenticator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_auth: Option<HttpRouteRulesFiltersExternalAuth>,
    /// A filter of an implementation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension_ref: Option<HttpRouteRulesFiltersExtensionRef>,
}

/// Filters that listeners may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListenerFilterType {
    /// An authenticator lets requests pass.
    ExternalAuth,
    /// A filter of an implementation.
    ExtensionRef,
}
