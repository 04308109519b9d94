//! Drafts to objects: HTTPRoute, RouteFilter, RoutePolicy, BackendPolicy. ListenerSets and the Gateway are in
//! `listener`.

mod listener;
mod memo;
mod policies;

use std::collections::BTreeMap;

use api::{
    Object, ObjectKey, RouteFilter, annotation,
    gateway::{HttpRoute, httproutes::HttpRouteSpec},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use crate::{
    Options,
    draft::{self, Draft},
    ingress::{Backend, Source},
    lookup::Lookup,
    merge::HostGroup,
    native::{ParentRef, Rule},
    tls::Redirect,
    value::{object_name, short_hash},
};

use listener::listener_name;
pub(crate) use listener::{SetPlan, any_host, listener_sets, plans};
pub(crate) use memo::{Memo, Plans};

/// Gateway API's limit of rules in a route.
const RULES: usize = 16;
/// Gateway API's limit of matches in all rules of a route.
const MATCHES: usize = 127;

/// Where routes attach, and for whom.
struct Attachment<'a> {
    parents: &'a [ParentRef],
    /// That of the clients that are meant.
    scheme: Option<&'static str>,
    /// The listener that they wait for.
    with: Option<String>,
}

/// Writes objects.
pub(crate) struct Emitter<'a> {
    /// For whatever of other objects takes part in what an Ingress becomes.
    lookup: &'a Lookup<'a>,
    options: &'a Options,
    made: Vec<Object>,
}

impl<'a> Emitter<'a> {
    const fn new(lookup: &'a Lookup<'a>, options: &'a Options) -> Self {
        Self {
            lookup,
            options,
            made: Vec::new(),
        }
    }

    fn add(&mut self, object: impl Into<Object>) {
        self.made.push(object.into());
    }

    fn group(&mut self, group: &HostGroup) {
        let source = &*group.source;
        let hash = match (group.challenges, group.unmatched) {
            (true, _) => short_hash(&[&group.host, "challenges"]),
            (false, true) => short_hash(&[&group.host, "unmatched"]),
            (false, false) => short_hash(&[&group.host]),
        };
        let name = object_name(&source.object.key.name, &hash);
        let canaries = group.paths.iter().flat_map(|owned| &owned.canaries);
        for source in std::iter::once(source).chain(canaries.map(|canary| &*canary.source)) {
            for external in &source.settings.externals {
                self.made
                    .extend(external.objects(|name| metadata(source, name)));
            }
        }
        let mut rules = Vec::new();
        for owned in &group.paths {
            let Draft {
                rules: more,
                filters,
            } = draft::draft(group, owned);
            rules.extend(more);
            for (filter, spec) in filters {
                self.add(RouteFilter {
                    metadata: metadata(source, &filter),
                    spec,
                });
            }
        }
        self.place(group, &name, rules);
    }

    /// Writes the routes of a group: one, or where plain HTTP is sent to https, one for that and one for the rest.
    fn place(&mut self, group: &HostGroup, name: &str, rules: Vec<Rule>) {
        let source = &*group.source;
        let scheme = source.settings.matching.https;
        let http = (scheme != Some(true)).then(|| self.http_parent());
        let own = group.listener_set.as_ref();
        let own = own.map(|set| https_parent(source, &group.host, set));
        let wider = group.wider.as_ref();
        let wider = wider.map(|wider| https_parent(source, &wider.host, &wider.set));
        let https = own.into_iter().chain(wider);
        let https: Vec<_> = https.filter(|_| scheme != Some(false)).collect();
        let parents: Vec<_> = http.iter().chain(&https).cloned().collect();
        // Where clients have to show certificates, there is no way in by plain HTTP, whatever a proxy says.
        let closed = group.certificates;
        let by_scheme = self.options.behind_proxies && !closed;
        let plain = Attachment {
            parents: if by_scheme { &parents } else { http.as_slice() },
            // A trusted proxy may end TLS in front of the listener, and say so.
            scheme: by_scheme.then_some("http"),
            with: None,
        };
        let all = Attachment {
            parents: &parents,
            scheme: None,
            with: None,
        };
        let (plain, rest) = match group.https {
            Redirect::Never => return self.routes(group, name, all, rules),
            Redirect::Always if by_scheme => {
                let scheme = Some("https");
                (plain, Attachment { scheme, ..all })
            }
            Redirect::Always => (
                plain,
                Attachment {
                    parents: &https,
                    ..all
                },
            ),
            Redirect::WithListener => {
                let with = group.listener_set.as_ref();
                let with = with.map(|set| format!("{set}/{}", listener_name(&group.host)));
                let parents = if closed { &https } else { &parents };
                (Attachment { with, ..plain }, Attachment { parents, ..all })
            }
        };
        let redirects = group.paths.iter().map(|owned| {
            let redirect = draft::https_redirect(group, owned);
            // nginx asks for exactly / of a host before anything else.
            let redirect = redirect.filter(|_| !matches!(owned.path.backend, Backend::Location(_)));
            redirect.map_or_else(|| draft::draft(group, owned).rules, |rule| vec![rule])
        });
        let redirects = redirects.flatten().collect();
        self.routes(group, &format!("{name}-http"), plain, redirects);
        self.routes(group, name, rest, rules);
    }

    /// One HTTPRoute, or several in order where the schema takes no more rules.
    fn routes(&mut self, group: &HostGroup, name: &str, to: Attachment<'_>, rules: Vec<Rule>) {
        if to.parents.is_empty() {
            return;
        }
        let parts = parts(rules);
        let count = parts.len();
        for (part, rules) in parts.into_iter().enumerate() {
            let name = match count {
                1 => name.to_owned(),
                _ => object_name(name, &part.to_string()),
            };
            let order = match (&to.with, count) {
                (None, 1) => None,
                (None, _) => Some(part.to_string()),
                // Before what serves the same paths while it waits.
                (Some(_), _) => Some(format!("-{}", count - part)),
            };
            self.policies(group, &name, &rules);
            let hostname = (!group.host.is_empty()).then(|| vec![group.host.to_string()]);
            self.add(HttpRoute {
                metadata: route_metadata(group, &name, &to, order),
                spec: HttpRouteSpec {
                    parent_refs: Some(to.parents.to_vec()),
                    hostnames: hostname,
                    rules: Some(rules),
                    ..HttpRouteSpec::default()
                },
                status: None,
            });
        }
    }

    fn http_parent(&self) -> ParentRef {
        let gateway = &self.options.gateway;
        ParentRef {
            group: Some(api::GATEWAY_GROUP.to_owned()),
            kind: Some("Gateway".to_owned()),
            namespace: Some(gateway.namespace.to_string()),
            name: gateway.name.to_string(),
            section_name: Some("http".to_owned()),
            port: None,
        }
    }
}

fn https_parent(source: &Source, host: &str, set: &ObjectKey) -> ParentRef {
    let namespace = set.namespace != source.object.key.namespace;
    ParentRef {
        group: Some(api::GATEWAY_GROUP.to_owned()),
        kind: Some("ListenerSet".to_owned()),
        namespace: namespace.then(|| set.namespace.to_string()),
        name: set.name.to_string(),
        section_name: Some(listener_name(host)),
        port: None,
    }
}

/// Rules in parts that a route can hold, in order.
fn parts(rules: Vec<Rule>) -> Vec<Vec<Rule>> {
    let mut parts: Vec<Vec<Rule>> = Vec::new();
    let mut matches = 0;
    for rule in rules {
        let more = rule.matches.as_ref().map_or(1, Vec::len);
        match parts.last_mut() {
            Some(part) if part.len() < RULES && matches + more <= MATCHES => {
                matches += more;
                part.push(rule);
            }
            _ => {
                matches = more;
                parts.push(vec![rule]);
            }
        }
    }
    parts
}

fn metadata(source: &Source, name: &str) -> ObjectMeta {
    let origin = source.object.to_string();
    generated(&source.object.key.namespace, name, Some(origin))
}

/// Metadata of an object that we make, of the Ingress `origin` if of any.
pub(crate) fn generated(namespace: &str, name: &str, origin: Option<String>) -> ObjectMeta {
    let pair = |name: &str, value: String| (name.to_owned(), value);
    let label = pair(
        annotation::MANAGED_BY,
        annotation::MANAGED_BY_VALUE.to_owned(),
    );
    ObjectMeta {
        namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
        name: Some(name.to_owned()),
        labels: Some(BTreeMap::from([label])),
        annotations: origin.map(|origin| BTreeMap::from([pair(annotation::ORIGIN, origin)])),
        ..ObjectMeta::default()
    }
}

fn route_metadata(
    group: &HostGroup,
    name: &str,
    to: &Attachment<'_>,
    order: Option<String>,
) -> ObjectMeta {
    let source = &*group.source;
    let mut metadata = metadata(source, name);
    let annotations = metadata.annotations.get_or_insert_default();
    let mut annotate = |name: &str, value| annotations.insert(name.to_owned(), value);
    for (name, value) in source.profile.host_annotations(&group.host) {
        annotate(name, (*value).to_owned());
    }
    if let Some(scheme) = to.scheme {
        annotate(annotation::SCHEME, scheme.to_owned());
    }
    if let Some(with) = &to.with {
        annotate(annotation::WITH_LISTENER, with.clone());
    }
    if let Some(created) = &source.ingress.metadata.creation_timestamp {
        annotate(annotation::CREATED, timestamp(created));
    }
    if let Some(order) = order {
        annotate(annotation::ORDER, order);
    }
    metadata
}

/// A time as Kubernetes writes it.
fn timestamp(time: &Time) -> String {
    time.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
