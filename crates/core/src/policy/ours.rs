//! Targets that are somebody else's: another controller says how policies fare there.

use std::{collections::BTreeMap, sync::Arc};

use api::{Kind, ObjectKey, ObjectRef, Resources};

use crate::{ParentRef, PolicyStatus, Status};

/// Takes back what was said about policies of routes, Gateways and ListenerSets that are there and not ours. A target
/// that is missing is everybody's, and so is a Service, of which nobody can tell.
pub(crate) fn keep(status: &mut Status, resources: &Resources) {
    // Most clusters have one controller, and then there is nothing to look for.
    let routes = resources.http_routes.len()
        + resources.grpc_routes.len()
        + resources.tls_routes.len()
        + resources.tcp_routes.len()
        + resources.udp_routes.len();
    let all = status.routes.len() == routes
        && status.gateways.len() == resources.gateways.len()
        && status.listener_sets.len() == resources.listener_sets.len();
    if all {
        return;
    }
    let Status {
        gateways,
        listener_sets,
        routes,
        route_policies,
        backend_policies,
        client_policies,
        ..
    } = status;
    let foreign = |target: &ParentRef| {
        let namespace = target.namespace.as_deref().unwrap_or_default();
        let key = ObjectKey::new(namespace, &target.name);
        match Kind::find(&target.group, &target.kind) {
            Some(kind @ (Kind::HttpRoute | Kind::GrpcRoute)) => {
                let route = ObjectRef::new(kind, key);
                resources.get(&route).is_some() && !routes.contains_key(&route)
            }
            Some(Kind::Gateway) => {
                resources.gateways.contains_key(&key) && !gateways.contains_key(&key)
            }
            Some(Kind::ListenerSet) => {
                resources.listener_sets.contains_key(&key) && !listener_sets.contains_key(&key)
            }
            _ => false,
        }
    };
    for policies in [route_policies, backend_policies, client_policies] {
        without(policies, foreign);
    }
}

fn without(
    policies: &mut BTreeMap<ObjectKey, Arc<PolicyStatus>>,
    foreign: impl Fn(&ParentRef) -> bool,
) {
    policies.retain(|_, status| {
        let of_others = |status: &PolicyStatus| {
            let mut ancestors = status.ancestors.iter();
            ancestors.any(|ancestor| foreign(&ancestor.ancestor_ref))
        };
        if of_others(status) {
            let ancestors = status.ancestors.iter();
            let ours = ancestors.filter(|ancestor| !foreign(&ancestor.ancestor_ref));
            *status = Arc::new(PolicyStatus {
                ancestors: ours.cloned().collect(),
            });
        }
        !status.ancestors.is_empty()
    });
}
