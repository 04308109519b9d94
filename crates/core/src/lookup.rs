//! What the translation of one object may read of others, and what it did read.

use std::{cell::RefCell, sync::Arc};

use api::{Kind, ObjectKey, Resources, RetryPolicy, RouteFilter};
use k8s_openapi::api::core::v1::Service;

use crate::{grant::Grants, policy::Policies};

/// All objects, with the indexes over them. Every answer is noted: what came of an object holds for as long as the
/// answers stay the same.
pub(crate) struct Lookup<'a> {
    pub(crate) resources: &'a Resources,
    grants: Grants<'a>,
    policies: Policies<'a>,
    noted: RefCell<Vec<Read>>,
}

/// A question and its answer.
#[derive(Debug)]
pub(crate) enum Read {
    Service(ObjectKey, Option<Arc<Service>>),
    RouteFilter(ObjectKey, Option<Arc<RouteFilter>>),
    Retry(ObjectKey, Option<String>, Option<RetryPolicy>),
    Permit(Access, bool),
}

/// A reference from a kind in a namespace to an object.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) from: Kind,
    pub(crate) namespace: String,
    pub(crate) to: Kind,
    pub(crate) target: ObjectKey,
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(resources: &'a Resources, policies: Policies<'a>) -> Self {
        Self {
            resources,
            grants: Grants::of(resources),
            policies,
            noted: RefCell::default(),
        }
    }

    /// What was asked since the last call.
    pub(crate) fn take_reads(&self) -> Vec<Read> {
        self.noted.take()
    }

    fn note(&self, read: Read) {
        self.noted.borrow_mut().push(read);
    }

    /// Whether the same question would get the same answer.
    pub(crate) fn still(&self, read: &Read) -> bool {
        fn same<T>(now: Option<&Arc<T>>, then: Option<&Arc<T>>) -> bool {
            match (now, then) {
                (Some(now), Some(then)) => Arc::ptr_eq(now, then),
                (None, None) => true,
                _ => false,
            }
        }
        match read {
            Read::Service(key, then) => same(self.resources.services.get(key), then.as_ref()),
            Read::RouteFilter(key, then) => {
                same(self.resources.route_filters.get(key), then.as_ref())
            }
            Read::Retry(route, rule, then) => {
                self.policies.retry(route, rule.as_deref()) == then.as_ref()
            }
            Read::Permit(access, then) => self.grants.permit(access) == *then,
        }
    }

    pub(crate) fn service(&self, key: &ObjectKey) -> Option<&'a Service> {
        let service = self.resources.services.get(key);
        self.note(Read::Service(key.clone(), service.cloned()));
        service.map(|service| &**service)
    }

    pub(crate) fn route_filter(&self, key: &ObjectKey) -> Option<&'a RouteFilter> {
        let filter = self.resources.route_filters.get(key);
        self.note(Read::RouteFilter(key.clone(), filter.cloned()));
        filter.map(|filter| &**filter)
    }

    pub(crate) fn retry_policy(
        &self,
        route: &ObjectKey,
        rule: Option<&str>,
    ) -> Option<&'a RetryPolicy> {
        let policy = self.policies.retry(route, rule);
        let rule = rule.map(str::to_owned);
        self.note(Read::Retry(route.clone(), rule, policy.cloned()));
        policy
    }

    /// Whether a ReferenceGrant permits the reference. Within a namespace none is needed.
    pub(crate) fn permit(&self, from: Kind, namespace: &str, to: Kind, target: &ObjectKey) -> bool {
        if namespace == target.namespace {
            return true;
        }
        let access = Access {
            from,
            namespace: namespace.to_owned(),
            to,
            target: target.clone(),
        };
        let answer = self.grants.permit(&access);
        self.note(Read::Permit(access, answer));
        answer
    }
}
