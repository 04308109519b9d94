//! Drafts to objects: HTTPRoute, ListenerSet, RouteFilter, RoutePolicy, and the Gateway they hang on.

use std::collections::{BTreeMap, BTreeSet};

use api::{
    BackendPolicy, ClientPolicy, Object, ObjectKey, Resources, RouteFilter, RoutePolicy,
    annotation,
    gateway::{Gateway, GatewayClass, HttpRoute, ListenerSet},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    Options,
    annotations::Redirect,
    draft::{self, Draft},
    ingress::Source,
    merge::{ClientTls, HostGroup, TlsOwner},
    value::{object_name, short_hash},
};

/// Gateway API's limit of rules in a route.
const RULES: usize = 16;
/// Gateway API's limit of listeners in a ListenerSet.
const LISTENERS: usize = 64;
/// The name of the one class.
const CLASS: &str = "postern";

/// Writes objects.
pub(crate) struct Emitter<'a> {
    resources: &'a Resources,
    options: &'a Options,
    owners: &'a BTreeMap<String, TlsOwner>,
    /// By host.
    clients: &'a BTreeMap<String, ClientTls>,
    made: Resources,
}

impl<'a> Emitter<'a> {
    pub(crate) fn new(
        resources: &'a Resources,
        options: &'a Options,
        (owners, clients): (
            &'a BTreeMap<String, TlsOwner>,
            &'a BTreeMap<String, ClientTls>,
        ),
    ) -> Self {
        Self {
            resources,
            options,
            owners,
            clients,
            made: Resources::default(),
        }
    }

    pub(crate) fn objects(mut self, groups: &[HostGroup<'_>]) -> Resources {
        for group in groups {
            self.group(group);
        }
        self.listener_sets(groups);
        if self.options.synthesize_gateway && !groups.is_empty() {
            self.gateway();
        }
        self.made
    }

    fn add<T: DeserializeOwned + Into<Object>>(&mut self, value: Value) {
        let object: T =
            serde_json::from_value(value).expect("generated objects fit their own types");
        self.made.insert(object.into());
    }

    fn group(&mut self, group: &HostGroup<'_>) {
        let source = group.source;
        let name = object_name(&source.object.key.name, &short_hash(&[&group.host]));
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
        let http = self.http_parent();
        let https = self
            .owners
            .get(&group.host)
            .map(|owner| self.https_parent(source, &group.host, owner));
        if source.settings.redirect == Some(Redirect::Https) {
            let redirects = group.paths.iter().map(|owned| {
                if owned.is_default {
                    draft::draft(group, owned).rules
                } else {
                    vec![draft::https_redirect(owned)]
                }
            });
            let redirects = redirects.flatten().collect();
            self.routes(group, &format!("{name}-http"), &[http], redirects);
            if let Some(https) = https {
                self.routes(group, &name, &[https], rules);
            }
        } else {
            let parents: Vec<Value> = std::iter::once(http).chain(https).collect();
            self.routes(group, &name, &parents, rules);
        }
    }

    /// One HTTPRoute, or several in order where the schema takes no more rules.
    fn routes(&mut self, group: &HostGroup<'_>, name: &str, parents: &[Value], rules: Vec<Value>) {
        let source = group.source;
        let parts: Vec<Vec<Value>> = rules.chunks(RULES).map(<[Value]>::to_vec).collect();
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
            let body = json!({ "metadata": metadata, "spec": spec });
            self.add::<HttpRoute>(typed(body, "gateway.networking.k8s.io/v1", "HTTPRoute"));
            if !redirects {
                self.route_policy(source, &name, retried);
                self.backend_policy(source, &name);
            }
        }
    }

    fn route_policy(&mut self, source: &Source, route: &str, retried: bool) {
        let settings = &source.settings;
        let mut spec = json!({});
        if let Some(retry) = settings.retry.as_ref().filter(|_| retried) {
            spec["retry"] = json!({
                "connectionFailure": retry.connection_failure,
                "timeout": retry.timeout,
                "serverErrors": retry.server_errors,
                "nonIdempotent": retry.non_idempotent,
            });
        }
        if let Some(limit) = &settings.local_rate_limit {
            spec["rateLimit"] =
                json!({ "requests": limit.requests, "unit": limit.unit, "burst": limit.burst });
        }
        if let Some(addresses) = &settings.client_addresses {
            spec["clientAddresses"] = addresses.clone();
        }
        if let Some(bytes) = settings.max_request_body.filter(|bytes| *bytes > 0) {
            spec["maxRequestBodyBytes"] = json!(bytes);
        }
        self.policy::<RoutePolicy>("RoutePolicy", source, route, spec);
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

    fn https_parent(&self, source: &Source, host: &str, owner: &TlsOwner) -> Value {
        let mut parent = json!({
            "group": api::GATEWAY_GROUP, "kind": "ListenerSet",
            "name": self.set_name(owner, host), "sectionName": listener_name(host),
        });
        if owner.ingress.namespace != source.object.key.namespace {
            parent["namespace"] = json!(owner.ingress.namespace);
        }
        parent
    }

    /// The set that holds a host's listener; full sets are followed by another.
    fn set_name(&self, owner: &TlsOwner, host: &str) -> String {
        let place = self
            .owners
            .iter()
            .filter(|(_, other)| *other == owner)
            .position(|(other, _)| other == host);
        let name = object_name(&owner.ingress.name, &short_hash(&["tls", &owner.secret]));
        match place.unwrap_or(0) / LISTENERS {
            0 => name,
            part => object_name(&name, &part.to_string()),
        }
    }

    /// Listeners for every host with a certificate that anything is served on.
    fn listener_sets(&mut self, groups: &[HostGroup<'_>]) {
        let served: BTreeSet<&str> = groups.iter().map(|group| group.host.as_str()).collect();
        let mut sets: BTreeMap<ObjectKey, (&TlsOwner, Vec<Value>)> = BTreeMap::new();
        for (host, owner) in self
            .owners
            .iter()
            .filter(|(host, _)| served.contains(host.as_str()))
        {
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
            let key = ObjectKey::new(&owner.ingress.namespace, self.set_name(owner, host));
            if let Some(clients) = self.clients.get(host) {
                let policy = client_policy(clients, &key, host);
                self.add::<ClientPolicy>(policy);
            }
            sets.entry(key)
                .or_insert_with(|| (owner, Vec::new()))
                .1
                .push(listener);
        }
        let gateway = &self.options.gateway;
        let parent = json!({ "namespace": gateway.namespace, "name": gateway.name });
        for (key, (owner, listeners)) in sets {
            let mut metadata = json!({
                "namespace": key.namespace,
                "name": key.name,
                "labels": { annotation::MANAGED_BY: annotation::MANAGED_BY_VALUE },
                "annotations": { annotation::ORIGIN: format!("Ingress/{}", owner.ingress) },
            });
            let ingress = self.resources.ingresses.get(&owner.ingress);
            if let Some(created) = ingress.and_then(|i| i.metadata.creation_timestamp.as_ref()) {
                metadata["annotations"][annotation::CREATED] = json!(created);
            }
            let body = json!({ "metadata": metadata, "spec": { "parentRef": parent, "listeners": listeners } });
            self.add::<ListenerSet>(typed(body, "gateway.networking.k8s.io/v1", "ListenerSet"));
        }
    }

    fn gateway(&mut self) {
        let labels = json!({ annotation::MANAGED_BY: annotation::MANAGED_BY_VALUE });
        if !self
            .resources
            .gateway_classes
            .contains_key(&ObjectKey::new("", CLASS))
        {
            let body = json!({
                "metadata": { "name": CLASS, "labels": labels },
                "spec": { "controllerName": api::CONTROLLER_NAME },
            });
            self.add::<GatewayClass>(typed(body, "gateway.networking.k8s.io/v1", "GatewayClass"));
        }
        let key = &self.options.gateway;
        if !self.resources.gateways.contains_key(key) {
            let all = json!({ "namespaces": { "from": "All" } });
            let listener = json!({
                "name": "http", "port": self.options.http_port, "protocol": "HTTP", "allowedRoutes": all,
            });
            let body = json!({
                "metadata": { "namespace": key.namespace, "name": key.name, "labels": labels },
                "spec": { "gatewayClassName": CLASS, "listeners": [listener], "allowedListeners": all },
            });
            self.add::<Gateway>(typed(body, "gateway.networking.k8s.io/v1", "Gateway"));
        }
    }
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
