//! Where the rules of a path lead: references to backends.

use api::FallbackRef;

use super::{matches::rule_name, role};
use crate::{
    ingress::Backend,
    merge::HostGroup,
    native::{self, BackendRef},
    service::ServiceRef,
};

/// Backend references; a broken backend is none at all, for which there is a status.
pub(super) fn refs(backend: &Backend, weight: Option<u64>) -> Vec<BackendRef> {
    match backend {
        Backend::Broken(_) | Backend::Redirect(_) | Backend::Location(_) | Backend::Unmatched => {
            Vec::new()
        }
        Backend::Service(reference) => vec![native::backend_ref(reference, weight)],
        Backend::Outside(destinations) => {
            let all: u64 = destinations.iter().map(|one| one.share).sum();
            let share = |share| match weight {
                Some(weight) => weight * share / all.max(1),
                None => share,
            };
            let destinations = destinations.iter();
            destinations
                .map(|one| native::backend_ref(&one.reference, Some(share(one.share))))
                .collect()
        }
    }
}

/// Rules that lead to a canary, and the base that stands in where the canary has no endpoints.
pub(crate) fn standbys(group: &HostGroup) -> Vec<(String, Vec<FallbackRef>)> {
    let mut standbys = Vec::new();
    for owned in group
        .paths
        .iter()
        .filter(|owned| !owned.canaries.is_empty())
    {
        let base = standby(&owned.path.backend);
        if base.is_empty() {
            continue;
        }
        let name = rule_name(&owned.path.kind, "");
        for attached in &owned.canaries {
            if attached.canary.header.is_some() {
                standbys.push((role(&name, attached, "header"), base.clone()));
            }
            if attached.canary.cookie.is_some() {
                standbys.push((role(&name, attached, "cookie"), base.clone()));
            }
        }
        if owned
            .canaries
            .iter()
            .any(|attached| attached.canary.weight.is_some())
        {
            standbys.push((name, base));
        }
    }
    standbys
}

/// The Services of a backend, without weights; as many as leave room for another in a RoutePolicy.
fn standby(backend: &Backend) -> Vec<FallbackRef> {
    match backend {
        Backend::Broken(_) | Backend::Redirect(_) | Backend::Location(_) | Backend::Unmatched => {
            Vec::new()
        }
        Backend::Service(reference) => vec![reference.fallback()],
        Backend::Outside(destinations) => {
            let references = destinations.iter().map(|one| &one.reference);
            references.take(3).map(ServiceRef::fallback).collect()
        }
    }
}
