//! What the translation of one object may read of others.

use api::{Kind, ObjectKey, Resources, RetryPolicy, RouteFilter};
use k8s_openapi::api::core::v1::Service;

use crate::{grant::Grants, policy::Policies};

/// All objects, with the indexes over them.
pub(crate) struct Lookup<'a> {
    pub(crate) resources: &'a Resources,
    grants: Grants<'a>,
    policies: Policies<'a>,
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(resources: &'a Resources, policies: Policies<'a>) -> Self {
        Self {
            resources,
            grants: Grants::of(resources),
            policies,
        }
    }

    pub(crate) fn service(&self, key: &ObjectKey) -> Option<&'a Service> {
        self.resources.services.get(key).map(|service| &**service)
    }

    pub(crate) fn route_filter(&self, key: &ObjectKey) -> Option<&'a RouteFilter> {
        self.resources
            .route_filters
            .get(key)
            .map(|filter| &**filter)
    }

    pub(crate) fn retry_policy(
        &self,
        route: &ObjectKey,
        rule: Option<&str>,
    ) -> Option<&'a RetryPolicy> {
        self.policies.retry(route, rule)
    }

    pub(crate) fn permit(&self, from: Kind, namespace: &str, to: Kind, target: &ObjectKey) -> bool {
        self.grants.permit(from, namespace, to, target)
    }
}
