//! What the translation of one object may read of others, and what it did read.

use std::{cell::RefCell, sync::Arc};

use api::{BackendPolicy, ClientPolicy, Kind, ObjectKey, Resources, RouteFilter, RoutePolicy};
use k8s_openapi::api::core::v1::{Secret, Service};

use crate::{
    grant::Grants,
    policy::{BackendScope, Held},
};

/// All objects, with the indexes over them. Every answer is noted: what came of an object holds for as long as the
/// answers stay the same.
pub(crate) struct Lookup<'a> {
    pub(crate) resources: &'a Resources,
    grants: Grants<'a>,
    pub(crate) route_policies: Held<'a, RoutePolicy>,
    pub(crate) backend_policies: Held<'a, BackendPolicy>,
    pub(crate) client_policies: Held<'a, ClientPolicy>,
    noted: RefCell<Vec<Read>>,
}

/// A question and its answer.
#[derive(Debug)]
pub(crate) enum Read {
    Service(ObjectKey, Option<Arc<Service>>),
    RouteFilter(ObjectKey, Option<Arc<RouteFilter>>),
    Secret(ObjectKey, Option<Arc<Secret>>),
    RoutePolicies(ObjectKey, Option<String>, Vec<Arc<RoutePolicy>>),
    BackendPolicies(BackendScope, Vec<Arc<BackendPolicy>>),
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
    pub(crate) fn new(resources: &'a Resources) -> Self {
        Self {
            resources,
            grants: Grants::of(resources),
            route_policies: Held::of(resources),
            backend_policies: Held::of(resources),
            client_policies: Held::of(resources),
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
        fn all_same<'p, T: 'p>(now: impl IntoIterator<Item = &'p Arc<T>>, then: &[Arc<T>]) -> bool {
            let mut now = now.into_iter();
            then.iter()
                .all(|then| now.next().is_some_and(|now| Arc::ptr_eq(now, then)))
                && now.next().is_none()
        }
        match read {
            Read::Service(key, then) => same(self.resources.services.get(key), then.as_ref()),
            Read::RouteFilter(key, then) => {
                same(self.resources.route_filters.get(key), then.as_ref())
            }
            Read::Secret(key, then) => same(self.resources.secrets.get(key), then.as_ref()),
            Read::RoutePolicies(route, rule, then) => {
                all_same(self.policies_of_rule(route, rule.as_deref()), then)
            }
            Read::BackendPolicies(scope, then) => {
                let now = self.policies_of_backend(scope);
                all_same(now.into_iter().map(|(_, policy, _)| policy), then)
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

    pub(crate) fn secret(&self, key: &ObjectKey) -> Option<&'a Secret> {
        let secret = self.resources.secrets.get(key);
        self.note(Read::Secret(key.clone(), secret.cloned()));
        secret.map(|secret| &**secret)
    }

    fn policies_of_rule(&self, route: &ObjectKey, rule: Option<&str>) -> Vec<&'a Arc<RoutePolicy>> {
        let at = |section| self.route_policies.at(Kind::HttpRoute, route, section);
        let own = rule.and_then(|rule| at(Some(rule)));
        own.into_iter()
            .chain(at(None))
            .map(|(_, policy)| policy)
            .collect()
    }

    /// RoutePolicies of a rule, the one for the rule before the one for its route.
    pub(crate) fn route_policies(
        &self,
        route: &ObjectKey,
        rule: Option<&str>,
    ) -> Vec<&'a RoutePolicy> {
        let found = self.policies_of_rule(route, rule);
        let noted = found.iter().map(|policy| Arc::clone(policy)).collect();
        self.note(Read::RoutePolicies(
            route.clone(),
            rule.map(str::to_owned),
            noted,
        ));
        found.into_iter().map(|policy| &**policy).collect()
    }

    fn policies_of_backend(
        &self,
        scope: &BackendScope,
    ) -> Vec<(&'a ObjectKey, &'a Arc<BackendPolicy>, bool)> {
        let policies = &self.backend_policies;
        let rule = scope.rule.iter().flat_map(|(route, rule)| {
            let own = rule
                .as_deref()
                .and_then(|rule| policies.at(Kind::HttpRoute, route, Some(rule)));
            own.into_iter()
                .chain(policies.at(Kind::HttpRoute, route, None))
        });
        let number = scope.port.to_string();
        let sections = [scope.port_name.as_deref(), Some(number.as_str()), None];
        let named = sections
            .into_iter()
            .enumerate()
            .filter(|(at, section)| *at > 0 || section.is_some());
        let service =
            named.filter_map(|(_, section)| policies.at(Kind::Service, &scope.service, section));
        let rule = rule.map(|(key, policy)| (key, policy, true));
        rule.chain(service.map(|(key, policy)| (key, policy, false)))
            .collect()
    }

    /// BackendPolicies of a backend, the most specific first, each with whether it is attached to a route.
    pub(crate) fn backend_policies(
        &self,
        scope: &BackendScope,
    ) -> Vec<(&'a ObjectKey, &'a BackendPolicy, bool)> {
        let found = self.policies_of_backend(scope);
        let noted = found
            .iter()
            .map(|(_, policy, _)| Arc::clone(policy))
            .collect();
        self.note(Read::BackendPolicies(scope.clone(), noted));
        found
            .into_iter()
            .map(|(key, policy, own)| (key, &**policy, own))
            .collect()
    }

    /// BackendPolicies of a rule and its route, whatever its backends.
    pub(crate) fn rule_backend_policies(
        &self,
        route: &ObjectKey,
        rule: Option<&str>,
    ) -> Vec<&'a BackendPolicy> {
        // No Service has an empty name.
        let scope = BackendScope {
            rule: Some((route.clone(), rule.map(str::to_owned))),
            service: ObjectKey::new("", ""),
            port: 0,
            port_name: None,
        };
        self.backend_policies(&scope)
            .into_iter()
            .map(|(_, policy, _)| policy)
            .collect()
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
