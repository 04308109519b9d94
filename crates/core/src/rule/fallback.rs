//! Who answers where a backend of the rule cannot.

use std::sync::Arc;

use api::{Fallback, FallbackRef, Kind, gateway::httproutes::HttpRouteRules};

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
    })
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
