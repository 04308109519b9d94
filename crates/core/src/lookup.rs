//! What the translation of one object may read of others, and what it did read.

use std::{cell::RefCell, sync::Arc};

use api::{
    BackendPolicy, Kind, ObjectKey, ObjectRef, Resources, RouteFilter, RoutePolicy,
    gateway::{BackendTlsPolicy, XBackend},
};
use foldhash::{HashMap, HashMapExt as _};
use k8s_openapi::api::{
    certificates::v1beta1::ClusterTrustBundle,
    core::v1::{ConfigMap, Secret, Service},
};

use crate::{
    grant::Grants,
    policy::{BackendScope, BackendTlsReading, Policies},
};

/// All objects, with the indexes over them. Every question is noted: what came of an object holds for as long as the
/// answers stay the same.
///
/// **Invariant:** whoever makes something that is kept from one translation to the next asks here.
pub(crate) struct Lookup<'a> {
    pub(crate) resources: &'a Resources,
    pub(crate) policies: &'a Policies,
    grants: Grants<'a>,
    noted: RefCell<Vec<Read>>,
    /// BackendTLSPolicies that were read already: many routes ask for the same.
    backend_tls: RefCell<HashMap<ObjectKey, Arc<BackendTlsReading>>>,
}

/// A question. What the answer was need not be known: it is another one only if something changed that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Read {
    /// An object of that name.
    Object(Kind, ObjectKey),
    /// The RoutePolicies of a route.
    RoutePolicies(ObjectRef),
    /// The BackendPolicies of a route, if there is one, and of a Service and its port, whose BackendTLSPolicies they are as well.
    BackendPolicies(Option<ObjectRef>, ObjectKey, u16),
    /// ReferenceGrants are few and about many: here the answer counts.
    Permit(Access, bool),
}

/// A reference from a kind in a namespace to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) from: Kind,
    pub(crate) namespace: String,
    pub(crate) to: Kind,
    pub(crate) target: ObjectKey,
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(resources: &'a Resources, policies: &'a Policies) -> Self {
        Self {
            resources,
            policies,
            grants: Grants::of(resources),
            noted: RefCell::default(),
            backend_tls: RefCell::new(HashMap::new()),
        }
    }

    /// What was asked since the last call.
    pub(crate) fn take_reads(&self) -> Vec<Read> {
        self.noted.take()
    }

    fn note(&self, read: Read) {
        let mut noted = self.noted.borrow_mut();
        // Rules of a route ask the same again and again.
        if noted.last() != Some(&read) {
            noted.push(read);
        }
    }

    /// Whether ReferenceGrants let the same pass as when these questions were asked.
    pub(crate) fn grants_stand(&self, reads: &[Read]) -> bool {
        reads.iter().all(|read| match read {
            Read::Permit(access, then) => self.grants.permit(access) == *then,
            _ => true,
        })
    }

    pub(crate) fn service(&self, key: &ObjectKey) -> Option<&'a Service> {
        let service = self.resources.services.get(key);
        self.note(Read::Object(Kind::Service, key.clone()));
        service.map(|service| &**service)
    }

    pub(crate) fn route_filter(&self, key: &ObjectKey) -> Option<&'a RouteFilter> {
        let filter = self.resources.route_filters.get(key);
        self.note(Read::Object(Kind::RouteFilter, key.clone()));
        filter.map(|filter| &**filter)
    }

    pub(crate) fn secret(&self, key: &ObjectKey) -> Option<&'a Secret> {
        let secret = self.resources.secrets.get(key);
        self.note(Read::Object(Kind::Secret, key.clone()));
        secret.map(|secret| &**secret)
    }

    /// The value of an object's annotation.
    pub(crate) fn annotation(&self, of: &ObjectRef, name: &str) -> Option<String> {
        self.note(Read::Object(of.kind, of.key.clone()));
        let object = self.resources.get(of)?;
        object.metadata().annotations.as_ref()?.get(name).cloned()
    }

    pub(crate) fn config_map(&self, key: &ObjectKey) -> Option<&'a ConfigMap> {
        let map = self.resources.config_maps.get(key);
        self.note(Read::Object(Kind::ConfigMap, key.clone()));
        map.map(|map| &**map)
    }

    pub(crate) fn x_backend(&self, key: &ObjectKey) -> Option<&'a XBackend> {
        let backend = self.resources.x_backends.get(key);
        self.note(Read::Object(Kind::XBackend, key.clone()));
        backend.map(|backend| &**backend)
    }

    pub(crate) fn trust_bundle(&self, key: &ObjectKey) -> Option<&'a ClusterTrustBundle> {
        let bundle = self.resources.cluster_trust_bundles.get(key);
        self.note(Read::Object(Kind::ClusterTrustBundle, key.clone()));
        bundle.map(|bundle| &**bundle)
    }

    /// RoutePolicies of a rule, the one for the rule before the one for its route.
    pub(crate) fn route_policies(
        &self,
        route: &ObjectRef,
        rule: Option<&str>,
    ) -> Vec<&'a RoutePolicy> {
        self.note(Read::RoutePolicies(route.clone()));
        let held = &self.policies.route;
        let at = |section| held.at(self.resources, (route.kind, &route.key), section);
        let own = rule.and_then(|rule| at(Some(rule)));
        let found = own.into_iter().chain(at(None));
        found.map(|(_, policy)| &**policy).collect()
    }

    fn policies_of_backend(
        &self,
        scope: &BackendScope,
    ) -> Vec<(&'a ObjectKey, &'a Arc<BackendPolicy>, bool)> {
        let at = |kind, key, section| {
            let held = &self.policies.backend;
            held.at(self.resources, (kind, key), section)
        };
        let rule = scope.rule.iter().flat_map(|(route, rule)| {
            let own = rule
                .as_deref()
                .and_then(|rule| at(route.kind, &route.key, Some(rule)));
            own.into_iter().chain(at(route.kind, &route.key, None))
        });
        let number = scope.port.to_string();
        let sections = scope.sections(&number);
        let service = sections.filter_map(|section| at(Kind::Service, &scope.service, section));
        let rule = rule.map(|(key, policy)| (key, policy, true));
        rule.chain(service.map(|(key, policy)| (key, policy, false)))
            .collect()
    }

    /// BackendPolicies of a backend, the most specific first, each with whether it is attached to a route.
    pub(crate) fn backend_policies(
        &self,
        scope: &BackendScope,
    ) -> Vec<(&'a ObjectKey, &'a BackendPolicy, bool)> {
        let route = scope.rule.as_ref().map(|(route, _)| route.clone());
        let service = scope.service.clone();
        self.note(Read::BackendPolicies(route, service, scope.port));
        self.policies_of_backend(scope)
            .into_iter()
            .map(|(key, policy, own)| (key, &**policy, own))
            .collect()
    }

    /// The BackendTLSPolicy of a Service's port, and what it says. That it was asked for is noted by
    /// [`Self::backend_policies`].
    pub(crate) fn backend_tls(
        &self,
        scope: &BackendScope,
    ) -> Option<(&'a ObjectKey, Arc<BackendTlsReading>)> {
        let held = &self.policies.backend_tls;
        let number = scope.port.to_string();
        let mut sections = scope.sections(&number);
        let target = (Kind::Service, &scope.service);
        let (key, policy) =
            sections.find_map(|section| held.at(self.resources, target, section))?;
        Some((key, self.backend_tls_reading(key, policy)))
    }

    /// What a BackendTLSPolicy says.
    pub(crate) fn backend_tls_reading(
        &self,
        key: &ObjectKey,
        policy: &BackendTlsPolicy,
    ) -> Arc<BackendTlsReading> {
        let known = self.backend_tls.borrow().get(key).cloned();
        if let Some(known) = known {
            let read = known.read.iter();
            read.for_each(|(kind, object)| self.note(Read::Object(*kind, object.clone())));
            return known;
        }
        let reading = Arc::new(BackendTlsReading::of(key, policy, self));
        let mut all = self.backend_tls.borrow_mut();
        all.insert(key.clone(), Arc::clone(&reading));
        reading
    }

    /// BackendPolicies of a rule and its route, whatever its backends.
    pub(crate) fn rule_backend_policies(
        &self,
        route: &ObjectRef,
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
        if *namespace == *target.namespace {
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
