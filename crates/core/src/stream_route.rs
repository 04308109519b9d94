//! TLSRoutes, TCPRoutes and UDPRoutes: where streams and datagrams go that nobody looks into.

use std::sync::Arc;

use api::{
    ObjectRef,
    gateway::{StreamBackendRef, StreamRule, TlsRoute},
};

use crate::{
    backend::{self, BackendRef},
    fault::{self, Fault},
    filter::unsupported,
    http_route::hosts,
    lookup::Lookup,
    route::TranslatedRoute,
};

/// Translates a TLSRoute.
pub(crate) fn tls(reference: &ObjectRef, route: &TlsRoute, lookup: &Lookup<'_>) -> TranslatedRoute {
    let rules = route.spec.rules.iter().map(|rule| StreamRule {
        name: rule.name.clone(),
        backend_refs: rule
            .backend_refs
            .iter()
            .map(|backend| StreamBackendRef {
                group: backend.group.clone(),
                kind: backend.kind.clone(),
                namespace: backend.namespace.clone(),
                name: backend.name.clone(),
                port: backend.port,
                weight: backend.weight,
            })
            .collect(),
    });
    let rules: Vec<_> = rules.collect();
    let (hosts, faults) = hosts(&route.spec.hostnames);
    let mut translated = bare(reference, &rules, lookup);
    if hosts.as_ref().is_some_and(Vec::is_empty) {
        translated.rejected = Fault::join(&faults);
    } else {
        translated.partially_invalid = Fault::join(&faults);
    }
    TranslatedRoute {
        hosts,
        ..translated
    }
}

/// Translates a route that has nothing but backends.
pub(crate) fn bare(
    reference: &ObjectRef,
    rules: &[StreamRule],
    lookup: &Lookup<'_>,
) -> TranslatedRoute {
    let mut warnings = Vec::new();
    // > There MUST be exactly one rule. (Which the API server sees to.)
    let (first, rest) = match rules {
        [] => return TranslatedRoute::rejected(unsupported("the route has no rule")),
        [first, rest @ ..] => (first, rest),
    };
    if !rest.is_empty() {
        warnings.push("rules after the first one are not used".to_owned());
    }
    let (mut clusters, mut unresolved) = (Vec::new(), Vec::new());
    for declared in &first.backend_refs {
        match resolve(reference, declared, lookup) {
            Ok(cluster) => clusters.push(Arc::new(cluster)),
            Err(fault) => unresolved.push(fault),
        }
    }
    TranslatedRoute {
        clusters,
        unresolved: Fault::join(&unresolved),
        warnings: fault::join(warnings.iter().map(String::as_str)),
        ..TranslatedRoute::default()
    }
}

fn resolve(
    route: &ObjectRef,
    declared: &StreamBackendRef,
    lookup: &Lookup<'_>,
) -> Result<backend::ClusterRef, Fault> {
    let reference = BackendRef {
        from: route.kind,
        group: declared.group.as_deref(),
        kind: declared.kind.as_deref(),
        namespace: declared.namespace.as_deref(),
        name: &declared.name,
        port: declared.port,
    };
    let from = &route.key.namespace;
    Ok(backend::resolve(&reference, (from, None), lookup)?)
}
