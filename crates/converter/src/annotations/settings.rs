//! What the annotations of one Ingress ask for.

use api::{BackendPolicySpec, ClientAddresses, RoutePolicySpec};

use super::{
    Canary, Destination, DownstreamTls, ForwardedPrefix, HeaderControl, HostSettings,
    HttpsRedirect, Matching,
};
use crate::{external::External, native, variable::Texts};

/// What the annotations of one Ingress ask for.
///
/// A family writes what it asks for where it stands in the output: into the rule, or into the specs of policies, which
/// are without targets. Only what takes part in more than one place, or is settled between Ingresses, is a fact of its
/// own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) canary: Option<Canary>,
    pub(crate) matching: Matching,
    pub(crate) use_regex: bool,
    pub(crate) full_path_regex: bool,
    pub(crate) host: HostSettings,
    pub(crate) rewrite_target: Option<String>,
    pub(crate) rewrite_path: Option<String>,
    /// See [`Settings::texts_mut`].
    pub(crate) texts: Option<Box<Texts>>,
    pub(crate) https: HttpsRedirect,
    pub(crate) request_headers: HeaderControl,
    pub(crate) response_headers: HeaderControl,
    pub(crate) forwarded_prefix: Option<ForwardedPrefix>,
    /// Where a backend that is no Service leads.
    pub(crate) destinations: Vec<Destination>,
    /// Services that the settings name, and that have to be made.
    pub(crate) externals: Vec<External>,
    pub(crate) downstream_tls: Option<Box<DownstreamTls>>,
    pub(crate) rule: RuleTemplate,
    /// See [`Settings::route_policy_mut`].
    pub(crate) route_policy: Option<Box<RoutePolicySpec>>,
    /// See [`Settings::backend_policy_mut`].
    pub(crate) backend_policy: Option<Box<BackendPolicySpec>>,
    /// See [`Settings::deny`]. `None`: what every client is answered that is not let in.
    pub(crate) denied_status: Option<u16>,
}

/// What every rule of an Ingress has, in HTTPRoute's own types; matches and backends are those of its path.
#[derive(Debug, Clone, Default)]
pub(crate) struct RuleTemplate {
    pub(crate) cors: Option<Box<native::Cors>>,
    /// Where every request is sent. It wins over `Settings::https`.
    pub(crate) redirect: Option<Box<native::RequestRedirect>>,
    pub(crate) mirror: Option<Box<native::RequestMirror>>,
    /// The `hostname` of a URLRewrite.
    pub(crate) hostname: Option<String>,
    /// `timeouts.request`, in seconds.
    pub(crate) timeout: Option<u64>,
    /// `timeouts.backendRequest`, in seconds; it may be no longer than the other.
    pub(crate) attempt_timeout: Option<u64>,
    pub(crate) retry: Option<Box<native::Retry>>,
}

impl Settings {
    /// Texts that are completed for each request, of class nginx.
    pub(crate) fn texts_mut(&mut self) -> &mut Texts {
        self.texts.get_or_insert_default()
    }

    /// Whether clients are sent elsewhere, whatever they ask for.
    pub(crate) fn redirects(&self) -> bool {
        let texts = self.texts.as_ref();
        self.rule.redirect.is_some() || texts.is_some_and(|texts| texts.location.is_some())
    }

    /// The RoutePolicy for the Ingress' routes, to be written into.
    pub(crate) fn route_policy_mut(&mut self) -> &mut RoutePolicySpec {
        self.route_policy.get_or_insert_default()
    }

    /// The BackendPolicy for the Ingress' routes, to be written into.
    pub(crate) fn backend_policy_mut(&mut self) -> &mut BackendPolicySpec {
        self.backend_policy.get_or_insert_default()
    }

    /// Lets nobody in: a security setting could not be honoured.
    pub(crate) fn close(&mut self) {
        self.route_policy_mut().client_addresses = Some(ClientAddresses::none());
    }

    /// Likewise, where the controller that it was written for denies it too, and says so with a status of its own.
    pub(crate) fn deny(&mut self) {
        self.close();
        if self.denied_status.is_some() {
            let status = self.denied_status;
            let statuses = &mut self.route_policy_mut().gateway_statuses;
            statuses.get_or_insert_default().forbidden = status;
        }
    }

    /// Whether requests have to pass anything that not every one does.
    pub(crate) fn has_guards(&self) -> bool {
        let policy = self.route_policy.as_deref();
        policy.is_some_and(|policy| {
            policy.client_addresses.is_some()
                || policy.basic_auth.is_some()
                || policy.external_auth.is_some()
        })
    }

    /// Whether nobody is let in.
    pub(crate) fn is_closed(&self) -> bool {
        let policy = self.route_policy.as_deref();
        let addresses = policy.and_then(|policy| policy.client_addresses.as_ref());
        addresses.is_some_and(ClientAddresses::is_none)
    }
}
