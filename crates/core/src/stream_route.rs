//! TLSRoutes, TCPRoutes and UDPRoutes: where streams and datagrams go that nobody looks into.

use std::{num::NonZeroU32, sync::Arc};

use api::{
    Kind, ObjectRef,
    condition::reasons,
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
    protocol::Protocol,
    route::TranslatedRoute,
    unknown::Unknown,
};

/// What a route for streams or datagrams comes to.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Of the routes of a host, the first one's streams are passed on.
    pub(crate) order: Arc<RouteOrder>,
    /// For what is in the open here.
    open: Arc<ir::StreamRule>,
    /// For TLS that is passed on as it comes, where that is another one.
    sealed: Option<Arc<ir::StreamRule>>,
}

impl Stream {
    /// The same, with another rule for what is in the open.
    pub(crate) fn with_open(
        &self,
        change: impl FnOnce(&Arc<ir::StreamRule>) -> Arc<ir::StreamRule>,
    ) -> Self {
        let open = change(&self.open);
        let sealed = self.sealed.as_ref().unwrap_or(&self.open);
        Self {
            order: Arc::clone(&self.order),
            sealed: (!Arc::ptr_eq(sealed, &open)).then(|| Arc::clone(sealed)),
            open,
        }
    }

    /// The clusters of both rules.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = &ClusterKey> {
        let rules = [Some(&self.open), self.sealed.as_ref()];
        rules.into_iter().flatten().flat_map(|rule| clusters(rule))
    }

    /// The rule on a listener of that protocol.
    pub(crate) fn rule(&self, protocol: Protocol) -> &Arc<ir::StreamRule> {
        let sealed = self.sealed.as_ref();
        let sealed = sealed.filter(|_| protocol == Protocol::Passthrough);
        sealed.unwrap_or(&self.open)
    }
}

/// The clusters that a rule leads to.
pub(crate) fn clusters(rule: &ir::StreamRule) -> impl Iterator<Item = &ClusterKey> {
    rule.backends
        .iter()
        .filter_map(|backend| match &backend.target {
            Target::Cluster(cluster) => Some(cluster),
            Target::Invalid(_) => None,
        })
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
    let order = Arc::new(RouteOrder::vouched(route, &mut warnings));
    let [rule, rest @ ..] = rules else {
        return TranslatedRoute::rejected(unsupported("the route has no rule"));
    };
    if !rest.is_empty() {
        warnings.push("rules after the first one are not used".to_owned());
    }
    let unknown = Unknown::of(lookup.view(), reference.kind, &reference.key);
    warnings.extend(unknown.unused_in_rules());
    let text: Arc<str> = reference.to_string().into();
    let name = rule.name.as_deref().unwrap_or("0");
    let built = |apart: &str, draft: &Draft| {
        Arc::new(ir::StreamRule {
            key: RuleKey(format!("{text}/{name}{apart}").into()),
            route: Arc::clone(&text),
            backends: draft.backends.clone(),
        })
    };
    if let Some(fault) = unknown.rule(0, reasons::ROUTE_UNSUPPORTED_VALUE) {
        return TranslatedRoute {
            stream: Some(Stream {
                order,
                open: built("", &Draft::closed()),
                sealed: None,
            }),
            ..TranslatedRoute::rejected(fault)
        };
    }
    let draft = |traffic| Draft::of(rule, reference, traffic, lookup);
    let first = draft(Traffic::of(reference.kind));
    // Both, since it may attach to listeners of both modes.
    let open = (reference.kind == Kind::TlsRoute).then(|| draft(Traffic::Stream));
    if let Some(fault) = Fault::join(&first.rejected) {
        return TranslatedRoute::rejected(fault);
    }
    let other = open.as_ref();
    let other = other.filter(|open| open.backends != first.backends);
    let stream = Stream {
        order,
        open: other.map_or_else(|| built("", &first), |open| built("~open", open)),
        sealed: other.map(|_| built("", &first)),
    };
    let (mut clusters, mut unresolved_open) = (first.clusters, None);
    let mut warnings_open = Vec::new();
    for warning in first.warnings {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    if let Some(open) = open {
        clusters.extend(open.clusters);
        let more = open.warnings.into_iter();
        warnings_open.extend(more.filter(|warning| !warnings.contains(warning)));
        unresolved_open = Fault::join(&open.unresolved);
    }
    TranslatedRoute {
        stream: Some(stream),
        clusters,
        unresolved: Fault::join(&first.unresolved),
        unresolved_open,
        warnings: fault::join(warnings.iter().map(String::as_str)),
        warnings_open: fault::join(warnings_open.iter().map(String::as_str)),
        ..TranslatedRoute::default()
    }
}

/// What the backends of a rule come to.
#[derive(Default)]
struct Draft {
    backends: Vec<StreamBackend>,
    clusters: Vec<Arc<ClusterRef>>,
    unresolved: Vec<Fault>,
    rejected: Vec<Fault>,
    warnings: Vec<String>,
}

impl Draft {
    /// Nothing is passed on.
    fn closed() -> Self {
        let refused = StreamBackend {
            weight: NonZeroU32::MIN,
            target: Target::Invalid(Reason::InvalidRule),
        };
        Self {
            backends: vec![refused],
            ..Self::default()
        }
    }

    /// > If an invalid backend is requested to have 80% of requests, then 80% of requests must be rejected instead.
    fn of(rule: &StreamRule, route: &ObjectRef, traffic: Traffic, lookup: &Lookup<'_>) -> Self {
        let mut draft = Self::default();
        for declared in &rule.backend_refs {
            let weight = declared.weight.unwrap_or(1);
            let Ok(weight) = u32::try_from(weight) else {
                draft.rejected.push(unsupported(format!(
                    "backendRef {}: weight {weight} is negative",
                    declared.name
                )));
                continue;
            };
            let resolved = resolve(declared, route, traffic, lookup);
            let weight = NonZeroU32::new(weight);
            let target = match resolved {
                Ok(cluster) if weight.is_some() => draft.target(cluster),
                Ok(_) => continue,
                Err(fault) => {
                    draft.unresolved.push(fault);
                    Target::Invalid(Reason::InvalidBackend)
                }
            };
            let share = weight.map(|weight| StreamBackend { weight, target });
            draft.backends.extend(share);
        }
        draft
    }

    fn target(&mut self, cluster: ClusterRef) -> Target {
        let key = cluster.key.clone();
        self.warnings.extend(cluster.warnings.iter().cloned());
        self.clusters.push(Arc::new(cluster));
        Target::Cluster(key)
    }
}

fn resolve(
    declared: &StreamBackendRef,
    route: &ObjectRef,
    traffic: Traffic,
    lookup: &Lookup<'_>,
) -> Result<ClusterRef, Fault> {
    let reference = BackendRef {
        from: route.kind,
        group: declared.group.as_deref(),
        kind: declared.kind.as_deref(),
        namespace: declared.namespace.as_deref(),
        name: &declared.name,
        port: declared.port,
    };
    let at = (&*route.key.namespace, None);
    Ok(backend::resolve_for(&reference, traffic, at, lookup)?)
}
