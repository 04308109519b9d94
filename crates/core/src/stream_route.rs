//! TLSRoutes, TCPRoutes and UDPRoutes: where streams and datagrams go that nobody looks into.

use std::{num::NonZeroU32, sync::Arc};

use api::{
    Kind, ObjectRef,
    gateway::{StreamBackendRef, StreamRule, TlsRoute},
};
use ir::{ClusterKey, Reason, RuleKey, StreamBackend, Target};
use kube::ResourceExt;

use crate::{
    backend::{self, BackendRef, ClusterRef, Traffic},
    fault::{self, Fault},
    filter::unsupported,
    http_route::hosts,
    lookup::Lookup,
    precedence::RouteOrder,
    route::TranslatedRoute,
};

/// What a route for streams or datagrams comes to.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Of the routes of a host, the first one's streams are passed on.
    pub(crate) order: Arc<RouteOrder>,
    plain: Arc<ir::StreamRule>,
    /// If that is another one: for what was inside TLS that ended here.
    decrypted: Option<Arc<ir::StreamRule>>,
}

impl Stream {
    /// The same, with another rule for what was inside TLS.
    pub(crate) fn with_decrypted(
        &self,
        change: impl FnOnce(&ir::StreamRule) -> ir::StreamRule,
    ) -> Self {
        Self {
            order: Arc::clone(&self.order),
            plain: Arc::clone(&self.plain),
            decrypted: self.decrypted.as_deref().map(change).map(Arc::new),
        }
    }

    /// The clusters of both rules.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = &ClusterKey> {
        let rules = [Some(&self.plain), self.decrypted.as_ref()];
        let backends = rules.into_iter().flatten().flat_map(|rule| &rule.backends);
        backends.filter_map(|backend| match &backend.target {
            Target::Cluster(cluster) => Some(cluster),
            Target::Invalid(_) => None,
        })
    }

    /// The rule on a listener that does, or does not, end clients' TLS.
    pub(crate) fn rule(&self, terminated: bool) -> &Arc<ir::StreamRule> {
        let decrypted = self.decrypted.as_ref().filter(|_| terminated);
        decrypted.unwrap_or(&self.plain)
    }
}

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
    let mut translated = bare(reference, route, &rules, lookup);
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
    route: &impl ResourceExt,
    rules: &[StreamRule],
    lookup: &Lookup<'_>,
) -> TranslatedRoute {
    let mut warnings = Vec::new();
    let order = Arc::new(RouteOrder::of(route, &mut warnings));
    let [rule, rest @ ..] = rules else {
        return TranslatedRoute::rejected(unsupported("the route has no rule"));
    };
    if !rest.is_empty() {
        warnings.push("rules after the first one are not used".to_owned());
    }
    let text: Arc<str> = reference.to_string().into();
    let mut draft = Draft {
        reference,
        lookup,
        clusters: Vec::new(),
        unresolved: Vec::new(),
        rejected: Vec::new(),
    };
    let name = rule.name.as_deref().unwrap_or("0");
    let built = |apart: &str, backends| {
        Arc::new(ir::StreamRule {
            key: RuleKey(format!("{text}/{name}{apart}").into()),
            route: Arc::clone(&text),
            backends,
        })
    };
    let plain = draft.backends(rule, Traffic::of(reference.kind));
    let decrypted = (reference.kind == Kind::TlsRoute).then(|| {
        let faults = (draft.unresolved.len(), draft.rejected.len());
        let backends = draft.backends(rule, Traffic::Decrypted);
        draft.unresolved.truncate(faults.0);
        draft.rejected.truncate(faults.1);
        backends
    });
    let decrypted = decrypted.filter(|decrypted| *decrypted != plain);
    TranslatedRoute {
        stream: Some(Stream {
            order,
            plain: built("", plain),
            decrypted: decrypted.map(|decrypted| built("~decrypted", decrypted)),
        }),
        clusters: draft.clusters,
        rejected: Fault::join(&draft.rejected),
        unresolved: Fault::join(&draft.unresolved),
        warnings: fault::join(warnings.iter().map(String::as_str)),
        ..TranslatedRoute::default()
    }
}

/// What the backends of a rule come to.
struct Draft<'a> {
    reference: &'a ObjectRef,
    lookup: &'a Lookup<'a>,
    clusters: Vec<Arc<ClusterRef>>,
    unresolved: Vec<Fault>,
    rejected: Vec<Fault>,
}

impl Draft<'_> {
    /// > If an invalid backend is requested to have 80% of requests, then 80% of requests must be rejected instead.
    fn backends(&mut self, rule: &StreamRule, traffic: Traffic) -> Vec<StreamBackend> {
        let mut backends = Vec::with_capacity(rule.backend_refs.len());
        for declared in &rule.backend_refs {
            let weight = declared.weight.unwrap_or(1);
            let Ok(weight) = u32::try_from(weight) else {
                self.rejected.push(unsupported(format!(
                    "backendRef {}: weight {weight} is negative",
                    declared.name
                )));
                continue;
            };
            let resolved = self.resolve(declared, traffic);
            let Some(weight) = NonZeroU32::new(weight) else {
                self.unresolved.extend(resolved.err());
                continue;
            };
            let target = match resolved {
                Ok(cluster) => {
                    let key = cluster.key.clone();
                    self.clusters.push(Arc::new(cluster));
                    Target::Cluster(key)
                }
                Err(fault) => {
                    self.unresolved.push(fault);
                    Target::Invalid(Reason::InvalidBackend)
                }
            };
            backends.push(StreamBackend { weight, target });
        }
        backends
    }

    fn resolve(&self, declared: &StreamBackendRef, traffic: Traffic) -> Result<ClusterRef, Fault> {
        let reference = BackendRef {
            from: self.reference.kind,
            group: declared.group.as_deref(),
            kind: declared.kind.as_deref(),
            namespace: declared.namespace.as_deref(),
            name: &declared.name,
            port: declared.port,
        };
        let at = (&*self.reference.key.namespace, None);
        Ok(backend::resolve_for(&reference, traffic, at, self.lookup)?)
    }
}
