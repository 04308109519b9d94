//! Drafts to objects: HTTPRoute, ListenerSet, RouteFilter, RoutePolicy, and the Gateway they hang on.

mod memo;

use std::{collections::BTreeMap, sync::Arc};

use api::{
    BackendPolicy, ClientPolicy, Object, ObjectKey, Resources, RouteFilter, RoutePolicy,
    annotation,
    gateway::{Gateway, GatewayClass, HttpRoute, ListenerSet},
};
use k8s_openapi::api::core::v1::Service;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    Options,
    annotations::{Fallback, external_auth_for},
    draft::{self, Draft},
    ingress::Source,
    lookup::Lookup,
    merge::{ClientTls, HostGroup, TlsOwner},
    value::{object_name, short_hash},
};

pub(crate) use memo::{Memo, Plans};

/// Gateway API's limit of rules in a route.
const RULES: usize = 16;
/// Gateway API's limit of matches in all rules of a route.
const MATCHES: usize = 127;
/// Gateway API's limit of listeners in a ListenerSet.
const LISTENERS: usize = 64;

/// A ListenerSet to be.
#[derive(PartialEq)]
pub(crate) struct SetPlan {
    owner: TlsOwner,
    created: Option<Value>,
    /// Hosts with something to serve.
    listeners: Vec<(Arc<str>, Option<ClientTls>)>,
}

/// Names the ListenerSet of each host with a certificate; full sets are followed by another.
pub(crate) fn listener_sets(
    owners: &BTreeMap<Arc<str>, TlsOwner>,
) -> BTreeMap<Arc<str>, Arc<ObjectKey>> {
    let mut sets: BTreeMap<&TlsOwner, (usize, Arc<ObjectKey>)> = BTreeMap::new();
    let place = |(host, owner)| {
        let (held, set) = sets
            .entry(owner)
            .or_insert_with(|| (0, Arc::new(set_key(owner, 0))));
        if *held > 0 && *held % LISTENERS == 0 {
            *set = Arc::new(set_key(owner, *held / LISTENERS));
        }
        *held += 1;
        (Arc::clone(host), Arc::clone(set))
    };
    owners.iter().map(place).collect()
}

fn set_key(owner: &TlsOwner, part: usize) -> ObjectKey {
    let name = object_name(&owner.ingress.name, &short_hash(&["tls", &owner.secret]));
    let name = match part {
        0 => name,
        part => object_name(&name, &part.to_string()),
    };
    ObjectKey::new(&owner.ingress.namespace, name)
}

/// Listeners for every host with a certificate that anything is served on.
pub(crate) fn plans(
    groups: &[HostGroup],
    owners: &BTreeMap<Arc<str>, TlsOwner>,
    clients: &BTreeMap<Arc<str>, ClientTls>,
    resources: &Resources,
) -> BTreeMap<Arc<ObjectKey>, SetPlan> {
    let served: BTreeMap<&Arc<str>, &Arc<ObjectKey>> = groups
        .iter()
        .filter_map(|group| Some((&group.host, group.listener_set.as_ref()?)))
        .collect();
    let mut plans: BTreeMap<Arc<ObjectKey>, SetPlan> = BTreeMap::new();
    for (host, set) in served {
        let Some(owner) = owners.get(host) else {
            continue;
        };
        let plan = plans.entry(Arc::clone(set)).or_insert_with(|| {
            let ingress = resources.ingresses.get(&owner.ingress);
            let created = ingress.and_then(|i| i.metadata.creation_timestamp.as_ref());
            SetPlan {
                owner: owner.clone(),
                created: created.map(|created| json!(created)),
                listeners: Vec::new(),
            }
        });
        let listener = (Arc::clone(host), clients.get(host).cloned());
        plan.listeners.push(listener);
    }
    plans
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

    fn add<T: DeserializeOwned + Into<Object>>(&mut self, value: Value) {
        let object: T =
            serde_json::from_value(value).expect("generated objects fit their own types");
        self.made.push(object.into());
    }

    fn group(&mut self, group: &HostGroup) {
        let source = &*group.source;
        let name = object_name(&source.object.key.name, &short_hash(&[&group.host]));
        let canaries = group.paths.iter().flat_map(|owned| &owned.canaries);
        for source in std::iter::once(source).chain(canaries.map(|canary| &*canary.source)) {
            for external in &source.settings.externals {
                let metadata = metadata(source, &external.name);
                let body = json!({ "metadata": metadata, "spec": external.spec });
                self.add::<Service>(typed(body, "v1", "Service"));
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
                let body = json!({ "metadata": metadata(source, &filter), "spec": spec });
                self.add::<RouteFilter>(typed(body, "postern.dev/v1alpha1", "RouteFilter"));
            }
        }
        let scheme = source.settings.matching.https;
        let http = (scheme != Some(true)).then(|| self.http_parent());
        let https = group
            .listener_set
            .as_ref()
            .filter(|_| scheme != Some(false))
            .map(|set| https_parent(source, &group.host, set));
        let parents: Vec<Value> = http.iter().chain(&https).cloned().collect();
        if !group.https {
            return self.routes(group, &name, (&parents, None), rules);
        }
        let redirects = group.paths.iter().map(|owned| {
            if owned.is_default {
                draft::draft(group, owned).rules
            } else {
                vec![draft::https_redirect(group, owned)]
            }
        });
        let redirects = redirects.flatten().collect();
        let plain = format!("{name}-http");
        if group.certificates || !self.options.behind_proxies {
            // Where clients have to show certificates, there is no way in by plain HTTP, whatever a proxy says.
            self.routes(group, &plain, (http.as_slice(), None), redirects);
            self.routes(group, &name, (https.as_slice(), None), rules);
        } else {
            // A trusted proxy may end TLS in front of the listener, and say so.
            self.routes(group, &plain, (&parents, Some("http")), redirects);
            self.routes(group, &name, (&parents, Some("https")), rules);
        }
    }

    /// One HTTPRoute, or several in order where the schema takes no more rules.
    /// `scheme` is that of the clients that are meant.
    fn routes(
        &mut self,
        group: &HostGroup,
        name: &str,
        (parents, scheme): (&[Value], Option<&str>),
        rules: Vec<Value>,
    ) {
        let source = &*group.source;
        if parents.is_empty() {
            return;
        }
        let parts = parts(rules);
        let count = parts.len();
        for (order, rules) in parts.into_iter().enumerate() {
            let name = if count == 1 {
                name.to_owned()
            } else {
                object_name(name, &order.to_string())
            };
            let mut metadata = metadata(source, &name);
            let annotations = &mut metadata["annotations"];
            annotations[annotation::HOST_FALLTHROUGH] = json!("true");
            if let Some(scheme) = scheme {
                annotations[annotation::SCHEME] = json!(scheme);
            }
            if let Some(created) = &source.ingress.metadata.creation_timestamp {
                annotations[annotation::CREATED] = json!(created);
            }
            if count > 1 {
                annotations[annotation::ORDER] = json!(order.to_string());
            }
            let mut spec = json!({ "parentRefs": parents, "rules": rules });
            if !group.host.is_empty() {
                spec["hostnames"] = json!([group.host]);
            }
            let retried = rules_with_retry(&spec["rules"]);
            let redirects = route_redirects(&spec["rules"]);
            let rules = spec["rules"].as_array().into_iter().flatten();
            let names: Vec<Value> = rules.map(|rule| rule["name"].clone()).collect();
            let body = json!({ "metadata": metadata, "spec": spec });
            self.add::<HttpRoute>(typed(body, "gateway.networking.k8s.io/v1", "HTTPRoute"));
            if redirects {
                self.policy::<RoutePolicy>("RoutePolicy", source, &name, always(source));
            } else {
                self.route_policy(group, &name, retried);
                self.standby_policies(group, &name, &names);
                self.backend_policy(source, &name);
            }
        }
    }

    fn route_policy(&mut self, group: &HostGroup, route: &str, retried: bool) {
        let source = &*group.source;
        let settings = &source.settings;
        let mut spec = always(source);
        let retry = settings.retry.as_ref().filter(|retry| retry.retries > 0);
        if let Some(retry) = retry.filter(|_| retried) {
            spec["retry"] = json!({
                "connectionFailure": retry.connection_failure,
                "timeout": retry.timeout,
                "serverErrors": retry.server_errors,
                "nonIdempotent": retry.non_idempotent,
            });
        }
        if !settings.rate_limits.is_empty() {
            spec["rateLimits"] = json!(settings.rate_limits);
        }
        if let Some(limit) = &settings.concurrency {
            spec["concurrency"] = limit.clone();
        }
        if let Some(addresses) = &settings.client_addresses {
            spec["clientAddresses"] = addresses.clone();
        }
        if let Some(bytes) = settings.max_request_body.filter(|bytes| *bytes > 0) {
            spec["maxRequestBodyBytes"] = json!(bytes);
        }
        if let Some(fallback) = Fallback::policy(settings.fallback.as_ref(), &[]) {
            spec["fallback"] = fallback;
        }
        if let Some(auth) = &settings.basic_auth {
            spec["basicAuth"] = auth.clone();
        }
        if let Some(auth) = &settings.external_auth {
            spec["externalAuth"] = external_auth_for(auth, &group.host);
        }
        self.policy::<RoutePolicy>("RoutePolicy", source, route, spec);
    }

    /// A policy for the rules of a route that lead to canaries of the same base: where a canary has no endpoints, its base
    /// answers, as in Higress.
    fn standby_policies(&mut self, group: &HostGroup, route: &str, names: &[Value]) {
        let source = &*group.source;
        let standbys = draft::standbys(group);
        if standbys.is_empty() {
            return;
        }
        let mut by_base: BTreeMap<String, (Vec<Value>, Vec<Value>)> = BTreeMap::new();
        for (rule, base) in standbys {
            if names.contains(&json!(rule)) {
                let target = json!({
                    "group": api::GATEWAY_GROUP, "kind": "HTTPRoute", "name": route, "sectionName": rule,
                });
                let slot = by_base.entry(json!(base).to_string());
                slot.or_insert_with(|| (base, Vec::new())).1.push(target);
            }
        }
        for (text, (base, targets)) in by_base {
            let name = object_name(route, &short_hash(&["standby", &text]));
            let fallback = Fallback::policy(source.settings.fallback.as_ref(), &base);
            let spec = json!({ "targetRefs": targets, "fallback": fallback });
            let body = json!({ "metadata": metadata(source, &name), "spec": spec });
            self.add::<RoutePolicy>(typed(body, "postern.dev/v1alpha1", "RoutePolicy"));
        }
    }

    fn backend_policy(&mut self, source: &Source, route: &str) {
        let fields = source.settings.backend.fields();
        let fields: serde_json::Map<_, _> = fields
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        self.policy::<BackendPolicy>("BackendPolicy", source, route, Value::Object(fields));
    }

    /// A policy for a whole route, unless it would say nothing.
    fn policy<T: DeserializeOwned + Into<Object>>(
        &mut self,
        kind: &str,
        source: &Source,
        route: &str,
        mut spec: Value,
    ) {
        if spec.as_object().is_none_or(serde_json::Map::is_empty) {
            return;
        }
        spec["targetRefs"] =
            json!([{ "group": api::GATEWAY_GROUP, "kind": "HTTPRoute", "name": route }]);
        let body = json!({ "metadata": metadata(source, route), "spec": spec });
        self.add::<T>(typed(body, "postern.dev/v1alpha1", kind));
    }

    fn http_parent(&self) -> Value {
        let gateway = &self.options.gateway;
        json!({
            "group": api::GATEWAY_GROUP, "kind": "Gateway",
            "namespace": gateway.namespace, "name": gateway.name, "sectionName": "http",
        })
    }

    /// A ListenerSet, with what its listeners ask of clients.
    fn listener_set(&mut self, key: &ObjectKey, plan: &SetPlan) {
        let owner = &plan.owner;
        let mut listeners = Vec::new();
        for (host, clients) in &plan.listeners {
            let mut listener = json!({
                "name": listener_name(host),
                "port": self.options.https_port,
                "protocol": "HTTPS",
                "tls": { "mode": "Terminate", "certificateRefs": [{ "name": owner.secret }] },
                "allowedRoutes": { "namespaces": { "from": "All" } },
            });
            if !host.is_empty() {
                listener["hostname"] = json!(host);
            }
            if let Some(clients) = clients {
                self.add::<ClientPolicy>(client_policy(clients, key, host));
            }
            listeners.push(listener);
        }
        let gateway = &self.options.gateway;
        let parent = json!({ "namespace": gateway.namespace, "name": gateway.name });
        let mut metadata = json!({
            "namespace": key.namespace,
            "name": key.name,
            "labels": { annotation::MANAGED_BY: annotation::MANAGED_BY_VALUE },
            "annotations": { annotation::ORIGIN: format!("Ingress/{}", owner.ingress) },
        });
        if let Some(created) = &plan.created {
            metadata["annotations"][annotation::CREATED] = created.clone();
        }
        let body = json!({ "metadata": metadata, "spec": { "parentRef": parent, "listeners": listeners } });
        self.add::<ListenerSet>(typed(body, "gateway.networking.k8s.io/v1", "ListenerSet"));
    }

    /// The class and the Gateway, unless they are there.
    fn gateway(&mut self) {
        let labels = json!({ annotation::MANAGED_BY: annotation::MANAGED_BY_VALUE });
        let resources = self.lookup.resources;
        let class = &self.options.gateway_class;
        if !resources
            .gateway_classes
            .contains_key(&ObjectKey::new("", class))
        {
            let body = json!({
                "metadata": { "name": class, "labels": labels },
                "spec": { "controllerName": self.options.controller_name },
            });
            self.add::<GatewayClass>(typed(body, "gateway.networking.k8s.io/v1", "GatewayClass"));
        }
        let key = &self.options.gateway;
        if !resources.gateways.contains_key(key) {
            let all = json!({ "namespaces": { "from": "All" } });
            let listener = json!({
                "name": "http", "port": self.options.http_port, "protocol": "HTTP", "allowedRoutes": all,
            });
            let body = json!({
                "metadata": { "namespace": key.namespace, "name": key.name, "labels": labels },
                "spec": { "gatewayClassName": class, "listeners": [listener], "allowedListeners": all },
            });
            self.add::<Gateway>(typed(body, "gateway.networking.k8s.io/v1", "Gateway"));
        }
    }
}

fn https_parent(source: &Source, host: &str, set: &ObjectKey) -> Value {
    let mut parent = json!({
        "group": api::GATEWAY_GROUP, "kind": "ListenerSet",
        "name": set.name, "sectionName": listener_name(host),
    });
    if set.namespace != source.object.key.namespace {
        parent["namespace"] = json!(set.namespace);
    }
    parent
}

/// Rules in parts that a route can hold, in order.
fn parts(rules: Vec<Value>) -> Vec<Vec<Value>> {
    let mut parts: Vec<Vec<Value>> = Vec::new();
    let mut matches = 0;
    for rule in rules {
        let more = rule["matches"].as_array().map_or(1, Vec::len);
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

/// What a RoutePolicy says whatever the route does, redirects too.
fn always(source: &Source) -> Value {
    let mut spec = json!({});
    if source.settings.ignore_path_case {
        spec["ignorePathCase"] = json!(true);
    }
    if source.settings.unlogged {
        spec["accessLog"] = json!(false);
    }
    spec
}

/// Whether a route does nothing but send clients elsewhere.
fn route_redirects(rules: &Value) -> bool {
    let rules = rules.as_array().into_iter().flatten();
    let redirects = |filter: &Value| filter["type"] == "RequestRedirect";
    rules.clone().count() > 0
        && rules.clone().all(|rule| {
            rule["filters"]
                .as_array()
                .into_iter()
                .flatten()
                .any(redirects)
        })
}

fn rules_with_retry(rules: &Value) -> bool {
    rules
        .as_array()
        .is_some_and(|rules| rules.iter().any(|rule| rule.get("retry").is_some()))
}

/// What a host's HTTPS listener asks of clients. It stands in the namespace of the listener, whoever asks for it.
fn client_policy(clients: &ClientTls, set: &ObjectKey, host: &str) -> Value {
    let listener = listener_name(host);
    let target = json!({
        "group": api::GATEWAY_GROUP, "kind": "ListenerSet", "name": set.name, "sectionName": listener,
    });
    let body = json!({
        "metadata": {
            "namespace": set.namespace,
            "name": object_name(&set.name, &short_hash(&["clients", host])),
            "labels": { annotation::MANAGED_BY: annotation::MANAGED_BY_VALUE },
            "annotations": { annotation::ORIGIN: clients.origin },
        },
        "spec": { "targetRefs": [target], "tls": clients.tls },
    });
    typed(body, "postern.dev/v1alpha1", "ClientPolicy")
}

fn listener_name(host: &str) -> String {
    format!("https-{}", short_hash(&[host]))
}

fn typed(mut body: Value, api_version: &str, kind: &str) -> Value {
    body["apiVersion"] = json!(api_version);
    body["kind"] = json!(kind);
    body
}

fn metadata(source: &Source, name: &str) -> Value {
    json!({
        "namespace": source.object.key.namespace,
        "name": name,
        "labels": { annotation::MANAGED_BY: annotation::MANAGED_BY_VALUE },
        "annotations": { annotation::ORIGIN: source.object.to_string() },
    })
}
