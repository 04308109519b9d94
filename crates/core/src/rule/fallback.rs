//! Who answers where a backend of the rule cannot.

use std::sync::Arc;

use api::{Fallback, FallbackRef, Kind, annotation, gateway::httproutes::HttpRouteRules};
use http::{HeaderName, HeaderValue};
use ir::Told;

use super::{Owner, TranslatedRule};
use crate::{
    backend::{self, BackendRef},
    lookup::Lookup,
    policy,
};

/// `None` where no Service of it can be used: then the rule's own backends answer as they can.
pub(super) fn translate(
    declared: &Fallback,
    (route_rule, owner): (&HttpRouteRules, Owner<'_>),
    lookup: &Lookup<'_>,
    rule: &mut TranslatedRule,
) -> Option<ir::Fallback> {
    let statuses = match policy::fallback_statuses(declared) {
        Ok(statuses) => statuses,
        Err(fault) => {
            rule.faults.push(fault);
            return None;
        }
    };
    let mut clusters = Vec::with_capacity(declared.backend_refs.len());
    let mut last_is_there = false;
    for reference in &declared.backend_refs {
        let wanted = BackendRef {
            from: Kind::RoutePolicy,
            group: None,
            kind: None,
            namespace: reference.namespace.as_deref(),
            name: &reference.name,
            port: Some(i32::from(reference.port)),
        };
        let user = names(route_rule, reference, owner.namespace())
            .then_some((owner.reference, route_rule.name.as_deref()));
        let resolved = backend::resolve(&wanted, (owner.namespace(), user), lookup);
        last_is_there = resolved.is_ok();
        match resolved {
            Ok(cluster) => {
                clusters.push(cluster.key.clone());
                rule.clusters.push(Arc::new(cluster));
            }
            Err(error) => rule.unresolved.push(error.into()),
        }
    }
    (!clusters.is_empty()).then_some(ir::Fallback {
        clusters,
        // Another Service must not speak for the one that was meant to.
        statuses: if last_is_there { statuses } else { Vec::new() },
        told: (declared.tell_why && last_is_there)
            .then(|| Box::new(told(route_rule, owner, lookup))),
        refusals: declared.refusals && last_is_there,
    })
}

/// What a Service is told of the rule that it stands in for.
fn told(rule: &HttpRouteRules, owner: Owner<'_>, lookup: &Lookup<'_>) -> Told {
    let first = rule.backend_refs.iter().flatten().next();
    let port = first.and_then(|first| first.port);
    let fields = [
        ("x-namespace", Some(owner.namespace().to_owned())),
        ("x-ingress-name", Some(ingress_name(owner, lookup))),
        ("x-service-name", first.map(|first| first.name.clone())),
        ("x-service-port", port.map(|port| port.to_string())),
    ];
    let fields = fields.into_iter().filter_map(|(name, value)| {
        let value = HeaderValue::try_from(value?).ok()?;
        Some((HeaderName::from_static(name), value))
    });
    Told(fields.collect())
}

/// The Ingress that a route was made from, else the route.
fn ingress_name(owner: Owner<'_>, lookup: &Lookup<'_>) -> String {
    let origin = lookup.annotation(owner.reference, annotation::ORIGIN);
    let name = origin
        .as_deref()
        .and_then(|origin| origin.rsplit('/').next());
    name.unwrap_or(&owner.reference.key.name).to_owned()
}

/// Whether the rule names that Service and port itself, whatever the weight.
fn names(rule: &HttpRouteRules, reference: &FallbackRef, namespace: &str) -> bool {
    let wanted = reference.namespace.as_deref().unwrap_or(namespace);
    rule.backend_refs.iter().flatten().any(|own| {
        own.name == reference.name
            && own.namespace.as_deref().unwrap_or(namespace) == wanted
            && own.port == Some(i32::from(reference.port))
    })
}
