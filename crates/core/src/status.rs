//! Status as data: conditions by object, without times and generations. The writer adds those.

mod changes;

use std::{collections::BTreeMap, fmt, sync::Arc};

use api::{
    Condition, Kind, ObjectKey, ObjectRef,
    condition::{types, types::SUPPORTED_VERSION},
};
use serde::Serialize;

use crate::reach::Address;

/// What is to be said about every object that is ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// GatewayClasses that carry our controller name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub gateway_classes: BTreeMap<ObjectKey, GatewayClassStatus>,
    /// Gateways of our classes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub gateways: BTreeMap<ObjectKey, GatewayStatus>,
    /// ListenerSets whose parent is a Gateway of ours.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub listener_sets: BTreeMap<ObjectKey, ListenerSetStatus>,
    /// Routes of every kind with at least one parent of ours.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub routes: BTreeMap<ObjectRef, Arc<RouteStatus>>,
    /// RoutePolicies with a target that is ours, or missing.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub route_policies: BTreeMap<ObjectKey, Arc<PolicyStatus>>,
    /// BackendPolicies with a target that is ours, or missing, or a Service.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub backend_policies: BTreeMap<ObjectKey, Arc<PolicyStatus>>,
    /// ClientPolicies with a target that is ours, or missing.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub client_policies: BTreeMap<ObjectKey, Arc<PolicyStatus>>,
    /// BackendTLSPolicies with a target that requests come to through a Gateway of ours.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub backend_tls_policies: BTreeMap<ObjectKey, Arc<PolicyStatus>>,
    /// Ingresses, and where they are served. Filled in by who knows which of them are ours.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ingresses: BTreeMap<ObjectKey, Arc<[Address]>>,
}

/// Status of a GatewayClass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayClassStatus {
    /// `Accepted`, and `SupportedVersion` in a cluster.
    pub conditions: Vec<Condition>,
    /// Names of the conformance suite, in ascending order: of [`crate::FEATURES`], those that the installed definitions
    /// have.
    pub supported_features: Vec<&'static str>,
}

/// Status of a Gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayStatus {
    /// `Accepted`, `Programmed`, `ResolvedRefs`, `InsecureFrontendValidationMode` where it holds,
    /// and `AddressesAssigned` where the Gateway says from where its addresses are to be reached.
    pub conditions: Vec<Condition>,
    /// One entry for each listener of the spec, in its order.
    pub listeners: Vec<ListenerStatus>,
    /// Accepted ListenerSets.
    pub attached_listener_sets: u32,
    /// Where clients find it, as far as that is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Address>,
}

/// Status of a ListenerSet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerSetStatus {
    /// `Accepted` and `Programmed`.
    pub conditions: Vec<Condition>,
    /// One entry for each listener of the spec, in its order; none when the Gateway does not allow the set.
    pub listeners: Vec<ListenerStatus>,
}

/// Status of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerStatus {
    /// Name of the listener.
    pub name: String,
    /// Kinds (of `gateway.networking.k8s.io`) that may attach.
    pub supported_kinds: Vec<&'static str>,
    /// How many accepted routes are attached.
    pub attached_routes: u32,
    /// `Accepted`, `Programmed`, `ResolvedRefs`, `Conflicted`, and `OverlappingTLSConfig` where it holds.
    pub conditions: Vec<Condition>,
}

/// Status of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteStatus {
    /// One entry for each declared parentRef whose parent exists and is ours, in the order of the spec.
    pub parents: Vec<RouteParentStatus>,
}

/// How a route fares with one parentRef.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteParentStatus {
    /// As declared, with group and kind filled in.
    pub parent_ref: ParentRef,
    /// `Accepted`, `ResolvedRefs`, and `PartiallyInvalid` where it holds.
    pub conditions: Vec<Condition>,
}

/// A parentRef as declared, with the defaults of group and kind filled in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace, if the route names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// One listener of the parent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
    /// One port of the parent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
}

impl fmt::Display for ParentRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)?;
        if let Some(section) = &self.section_name {
            write!(f, "#{section}")?;
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Status of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyStatus {
    /// One entry for each targetRef that is not somebody else's, in the order of the spec; of a BackendTLSPolicy, one
    /// for each Gateway through which requests come to a target.
    pub ancestors: Vec<PolicyAncestorStatus>,
}

/// How a policy fares on one target, or through one Gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyAncestorStatus {
    /// The target, with the policy's namespace; or the Gateway.
    pub ancestor_ref: ParentRef,
    /// `Accepted`, and of a BackendTLSPolicy `ResolvedRefs`.
    pub conditions: Vec<Condition>,
}

impl Status {
    /// Every condition that tells of something wrong, with its object, and where in it: a listener, a parent or a
    /// target; empty when the whole object is meant. A condition that is well but carries a message (a value that
    /// was not honoured although the object is served) counts as well.
    pub fn problems(&self) -> impl Iterator<Item = (ObjectRef, String, &Condition)> {
        let classes = keys(Kind::GatewayClass, &self.gateway_classes);
        let gateways = keys(Kind::Gateway, &self.gateways);
        let sets = keys(Kind::ListenerSet, &self.listener_sets);
        let routes = self.routes.keys().map(|route| (route.kind, &route.key));
        let policies = keys(Kind::RoutePolicy, &self.route_policies)
            .chain(keys(Kind::BackendPolicy, &self.backend_policies))
            .chain(keys(Kind::ClientPolicy, &self.client_policies))
            .chain(keys(Kind::BackendTlsPolicy, &self.backend_tls_policies));
        let all = classes.chain(gateways).chain(sets).chain(routes);
        all.chain(policies).flat_map(|(kind, key)| {
            self.problems_of(kind, key)
                .into_iter()
                .map(move |(place, condition)| {
                    (ObjectRef::new(kind, key.clone()), place, condition)
                })
        })
    }

    /// Those of [`Self::problems`] that one object has.
    #[must_use]
    pub fn problems_of<'a>(&'a self, kind: Kind, key: &ObjectKey) -> Vec<(String, &'a Condition)> {
        let mut found = Vec::new();
        let mut look = |place: &dyn fmt::Display, conditions: &'a [Condition]| {
            let bad = conditions.iter().filter(|condition| is_problem(condition));
            found.extend(bad.map(|condition| (place.to_string(), condition)));
        };
        match kind {
            Kind::GatewayClass => {
                let class = self.gateway_classes.get(key);
                class.into_iter().for_each(|s| look(&"", &s.conditions));
            }
            Kind::Gateway => self.gateways.get(key).into_iter().for_each(|status| {
                look(&"", &status.conditions);
                let listeners = status.listeners.iter();
                listeners.for_each(|l| look(&l.name, &l.conditions));
            }),
            Kind::ListenerSet => self.listener_sets.get(key).into_iter().for_each(|status| {
                look(&"", &status.conditions);
                let listeners = status.listeners.iter();
                listeners.for_each(|l| look(&l.name, &l.conditions));
            }),
            _ if Kind::ROUTES.contains(&kind) => {
                let route = self.routes.get(&ObjectRef::new(kind, key.clone()));
                let route = route.into_iter();
                let parents = route.flat_map(|status| &status.parents);
                parents.for_each(|parent| look(&parent.parent_ref, &parent.conditions));
            }
            Kind::RoutePolicy
            | Kind::BackendPolicy
            | Kind::ClientPolicy
            | Kind::BackendTlsPolicy => {
                let policies = match kind {
                    Kind::RoutePolicy => &self.route_policies,
                    Kind::BackendPolicy => &self.backend_policies,
                    Kind::ClientPolicy => &self.client_policies,
                    _ => &self.backend_tls_policies,
                };
                let policy = policies.get(key).into_iter();
                let ancestors = policy.flat_map(|status| &status.ancestors);
                ancestors.for_each(|ancestor| look(&ancestor.ancestor_ref, &ancestor.conditions));
            }
            _ => {}
        }
        found
    }
}

fn keys<V>(kind: Kind, all: &BTreeMap<ObjectKey, V>) -> impl Iterator<Item = (Kind, &ObjectKey)> {
    all.keys().map(move |key| (kind, key))
}

fn is_problem(condition: &Condition) -> bool {
    match condition.type_ {
        // Good to know, harmless: wildcard certificates overlap by design.
        types::OVERLAPPING_TLS => false,
        types::INSECURE_FRONTEND => condition.is_true(),
        types::CONFLICTED | types::PARTIALLY_INVALID => condition.is_true(),
        SUPPORTED_VERSION => !condition.is_true(),
        _ => !condition.is_true() || !condition.message.is_empty(),
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
