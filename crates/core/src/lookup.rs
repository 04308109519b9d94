//! What the translation of one object may read of others, and what it did read.

use std::{cell::RefCell, sync::Arc};

use api::{
    BackendPolicy, ClientPolicy, Kind, ObjectKey, ObjectRef, Resources, RouteFilter, RoutePolicy,
    Stored,
    gateway::{BackendTlsPolicy, XBackend},
};
use foldhash::{HashMap, HashMapExt as _};
use k8s_openapi::api::{
    certificates::v1beta1::ClusterTrustBundle,
    core::v1::{ConfigMap, Secret, Service},
};
use tracked::{Access, Read, View};

use crate::policy::{BackendScope, BackendTlsReading, Policies};

/// What a BackendTLSPolicy says, and what was read for it.
type TrackedReading = (Arc<BackendTlsReading>, Box<[Read]>);

/// All objects, with the indexes over them. Every read is noted by the [`View`], which is the only way to objects.
pub(crate) struct Lookup<'a> {
    view: View<'a>,
    policies: &'a Policies,
    /// Services whose policies were asked for, each with the port.
    services: RefCell<Vec<(ObjectKey, u16)>>,
    /// BackendTLSPolicies that were read already, with what was read for them: many routes ask for the same.
    backend_tls: RefCell<HashMap<ObjectKey, TrackedReading>>,
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(resources: &'a Resources, policies: &'a Policies) -> Self {
        Self {
            view: View::new(resources),
            policies,
            services: RefCell::default(),
            backend_tls: RefCell::new(HashMap::new()),
        }
    }

    /// The objects, for what is kept.
    pub(crate) const fn view(&self) -> &View<'a> {
        &self.view
    }

    /// Services whose policies were asked for since the last call, each with the port.
    pub(crate) fn take_services(&self) -> Box<[(ObjectKey, u16)]> {
        self.services.take().into_boxed_slice()
    }

    fn get<T: Stored>(&self, key: &ObjectKey) -> Option<&'a T> {
        self.view.get(key).map(|found| &**found)
    }

    pub(crate) fn service(&self, key: &ObjectKey) -> Option<&'a Service> {
        self.get(key)
    }

    pub(crate) fn route_filter(&self, key: &ObjectKey) -> Option<&'a RouteFilter> {
        self.get(key)
    }

    pub(crate) fn secret(&self, key: &ObjectKey) -> Option<&'a Secret> {
        self.get(key)
    }

    /// The value of an object's annotation.
    pub(crate) fn annotation(&self, of: &ObjectRef, name: &str) -> Option<String> {
        let object = self.view.object(of)?;
        object.metadata().annotations.as_ref()?.get(name).cloned()
    }

    pub(crate) fn config_map(&self, key: &ObjectKey) -> Option<&'a ConfigMap> {
        self.get(key)
    }

    pub(crate) fn x_backend(&self, key: &ObjectKey) -> Option<&'a XBackend> {
        self.get(key)
    }

    pub(crate) fn trust_bundle(&self, key: &ObjectKey) -> Option<&'a ClusterTrustBundle> {
        self.get(key)
    }

    /// RoutePolicies of a rule, the one for the rule before the one for its route.
    pub(crate) fn route_policies(
        &self,
        route: &ObjectRef,
        rule: Option<&str>,
    ) -> Vec<&'a RoutePolicy> {
        let at = |section| self.route_policy(route, section);
        let own = rule.and_then(|rule| at(Some(rule)));
        own.into_iter().chain(at(None)).collect()
    }

    fn route_policy(&self, route: &ObjectRef, section: Option<&str>) -> Option<&'a RoutePolicy> {
        let found = self
            .policies
            .route
            .at(&self.view, (route.kind, &route.key), section);
        found.map(|(_, policy)| &**policy)
    }

    /// The policies that hold ClientPolicies' targets.
    pub(crate) fn client_policy(
        &self,
        target: (Kind, &ObjectKey),
        section: Option<&str>,
    ) -> Option<(&'a ObjectKey, &'a Arc<ClientPolicy>)> {
        self.policies.client.at(&self.view, target, section)
    }

    fn policies_of_rule(
        &self,
        (route, rule): (&ObjectRef, Option<&str>),
    ) -> impl Iterator<Item = (&'a ObjectKey, &'a BackendPolicy)> {
        let own = rule.and_then(|rule| self.backend_policy((route.kind, &route.key), Some(rule)));
        let wider = self.backend_policy((route.kind, &route.key), None);
        own.into_iter().chain(wider)
    }

    fn backend_policy(
        &self,
        target: (Kind, &ObjectKey),
        section: Option<&str>,
    ) -> Option<(&'a ObjectKey, &'a BackendPolicy)> {
        let found = self.policies.backend.at(&self.view, target, section);
        found.map(|(key, policy)| (key, &**policy))
    }

    /// BackendPolicies of a backend, the most specific first, each with whether it is attached to a route.
    pub(crate) fn backend_policies(
        &self,
        scope: &BackendScope,
    ) -> Vec<(&'a ObjectKey, &'a BackendPolicy, bool)> {
        let service = &scope.service;
        { self.services.borrow_mut() }.push((service.clone(), scope.port));
        let rule = scope.rule.iter();
        let rule = rule.flat_map(|(route, rule)| self.policies_of_rule((route, rule.as_deref())));
        let rule = rule.map(|(key, policy)| (key, policy, true));
        let number = scope.port.to_string();
        let sections = scope.sections(&number);
        let own =
            sections.filter_map(|section| self.backend_policy((Kind::Service, service), section));
        rule.chain(own.map(|(key, policy)| (key, policy, false)))
            .collect()
    }

    /// The BackendTLSPolicy of a Service's port, and what it says.
    pub(crate) fn backend_tls(
        &self,
        scope: &BackendScope,
    ) -> Option<(&'a ObjectKey, Arc<BackendTlsReading>)> {
        let held = &self.policies.backend_tls;
        let number = scope.port.to_string();
        let mut sections = scope.sections(&number);
        let target = (Kind::Service, &scope.service);
        let (key, policy) = sections.find_map(|section| held.at(&self.view, target, section))?;
        Some((key, self.backend_tls_reading(key, policy)))
    }

    /// What a BackendTLSPolicy says.
    pub(crate) fn backend_tls_reading(
        &self,
        key: &ObjectKey,
        policy: &BackendTlsPolicy,
    ) -> Arc<BackendTlsReading> {
        if let Some((known, reads)) = self.backend_tls.borrow().get(key) {
            self.view.repeat(reads);
            return Arc::clone(known);
        }
        let make = |_: &View<'_>| Arc::new(BackendTlsReading::of(key, policy, self));
        let (reading, reads) = self.view.track(make);
        self.view.repeat(&reads);
        let mut all = self.backend_tls.borrow_mut();
        all.insert(key.clone(), (Arc::clone(&reading), reads));
        reading
    }

    /// BackendPolicies of a rule and its route, whatever its backends.
    pub(crate) fn rule_backend_policies(
        &self,
        route: &ObjectRef,
        rule: Option<&str>,
    ) -> Vec<&'a BackendPolicy> {
        let found = self.policies_of_rule((route, rule));
        found.map(|(_, policy)| policy).collect()
    }

    /// Whether a ReferenceGrant permits the reference. Within a namespace none is needed.
    pub(crate) fn permit(&self, from: Kind, namespace: &str, to: Kind, target: &ObjectKey) -> bool {
        *namespace == *target.namespace
            || self.view.permit(Access {
                from,
                namespace: namespace.into(),
                to: ObjectRef::new(to, target.clone()),
            })
    }
}
