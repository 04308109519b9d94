//! Backends that are the gateway itself, in the status of the routes that lead there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{
    Condition,
    condition::{reasons, types},
};
use gateway_core::Status;
use ir::{ClusterKey, Ir, StreamRule, Target};
use proxy::Loop;

/// Marks routes with a backend of which an endpoint is a listener of this process. `ir` is what is served.
pub(crate) fn mark(status: &mut Status, ir: &Ir, loops: &[Loop]) {
    if loops.is_empty() {
        return;
    }
    let mut looped: BTreeMap<&ClusterKey, Vec<String>> = BTreeMap::new();
    for found in loops {
        let endpoints = looped.entry(&found.cluster).or_default();
        endpoints.push(found.endpoint.to_string());
    }
    let mut routes: BTreeMap<Arc<str>, BTreeSet<&ClusterKey>> = BTreeMap::new();
    for (route, cluster) in uses(ir) {
        if let Some((cluster, _)) = looped.get_key_value(cluster) {
            routes.entry(route).or_default().insert(cluster);
        }
    }
    for (route, status) in &mut status.routes {
        let Some(clusters) = routes.get(&*route.to_string()) else {
            continue;
        };
        let parts = clusters.iter().map(|cluster| {
            let endpoints = looped.get(cluster).map_or_else(String::new, |all| all.join(", "));
            format!(
                "backend {cluster}: {endpoints} is a listener of this gateway; what would go there is answered with 503 backend_loop"
            )
        });
        let message = parts.collect::<Vec<_>>().join("; ");
        for parent in &mut Arc::make_mut(status).parents {
            let conditions = parent.conditions.iter_mut();
            conditions
                .filter(|condition| condition.type_ == types::RESOLVED_REFS)
                .for_each(|condition| fail(condition, &message));
        }
    }
}

/// A condition that is false already says this, too.
fn fail(condition: &mut Condition, message: &str) {
    *condition = if condition.is_true() {
        Condition::fails(condition.type_, reasons::BACKEND_LOOP, message)
    } else {
        let message = format!("{}; {message}", condition.message);
        Condition::fails(condition.type_, condition.reason, message)
    };
}

/// Every route and every cluster that it sends anything to.
fn uses(ir: &Ir) -> impl Iterator<Item = (Arc<str>, &ClusterKey)> {
    let listeners = ir.ports.values().flat_map(|port| &port.listeners);
    let requests = listeners.clone().flat_map(|listener| &listener.hosts);
    let requests = requests.flat_map(|host| &host.routes).flat_map(|route| {
        let rule = &route.rule;
        rule.clusters()
            .map(|cluster| (Arc::clone(&rule.route), cluster))
    });
    let streams = listeners.flat_map(|listener| listener.streams.iter().flatten());
    let streams = streams.map(|host| &host.rule);
    let datagrams = ir.datagrams.values().filter_map(|port| port.rule.as_ref());
    requests.chain(streams.chain(datagrams).flat_map(|rule| stream(rule)))
}

fn stream(rule: &StreamRule) -> impl Iterator<Item = (Arc<str>, &ClusterKey)> {
    let targets = rule.backends.iter().map(|backend| &backend.target);
    targets.filter_map(|target| match target {
        Target::Cluster(key) => Some((Arc::clone(&rule.route), key)),
        Target::Invalid(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use api::{Resources, yaml};
    use converter::Options;

    use super::*;
    use crate::pipeline::Pipeline;

    const OBJECTS: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: a}
spec:
  gatewayClassName: postern
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: tcp, port: 81, protocol: TCP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: round, namespace: a}
spec:
  parentRefs: [{name: edge, sectionName: http}]
  rules:
  - backendRefs: [{name: self, port: 80}]
  - matches: [{path: {value: /gone}}]
    backendRefs: [{name: gone, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: copy, namespace: a}
spec:
  parentRefs: [{name: edge, sectionName: http}]
  rules:
  - matches: [{path: {value: /copy}}]
    filters: [{type: RequestMirror, requestMirror: {backendRef: {name: self, port: 80}}}]
    backendRefs: [{name: other, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: other, namespace: a}
spec:
  parentRefs: [{name: edge, sectionName: http}]
  rules:
  - matches: [{path: {value: /other}}]
    backendRefs: [{name: other, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: {name: stream, namespace: a}
spec:
  parentRefs: [{name: edge, sectionName: tcp}]
  rules: [{backendRefs: [{name: self, port: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: self, namespace: a, annotations: {postern.dev/endpoints: '10.0.0.7:80,10.0.0.8:80'}}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: other, namespace: a, annotations: {postern.dev/endpoints: '10.0.0.9:80'}}
spec: {ports: [{port: 80}]}
";

    #[test]
    fn routes_that_lead_to_the_gateway_say_so() {
        let mut resources = Resources::default();
        for (object, _) in yaml::read(OBJECTS).objects {
            resources.insert(object);
        }
        let mut made = Pipeline::new(Options::default()).run(&resources);
        let before: Vec<_> = made
            .status
            .problems()
            .map(|(o, ..)| o.to_string())
            .collect();
        assert_eq!(before, ["HTTPRoute/a/round"], "its second rule alone");
        let clusters = made
            .ir
            .clusters
            .keys()
            .filter(|key| key.0.starts_with("a/self"));
        let loops: Vec<_> = clusters
            .map(|cluster| Loop {
                cluster: cluster.clone(),
                endpoint: "10.0.0.7:80".parse().unwrap(),
            })
            .collect();
        mark(&mut made.status, &made.ir, &loops);
        let problems = made.status.problems();
        let problems: Vec<_> = problems
            .map(|(object, _, condition)| format!("{object}: {condition}"))
            .collect();
        let told = "backend a/self:80: 10.0.0.7:80 is a listener of this gateway; what would go there is answered with 503 backend_loop";
        assert_eq!(
            problems,
            [
                format!("HTTPRoute/a/copy: ResolvedRefs=False (BackendLoop): {told}"),
                format!(
                    "HTTPRoute/a/round: ResolvedRefs=False (BackendNotFound): Service a/gone does not exist; {told}"
                ),
                format!("TCPRoute/a/stream: ResolvedRefs=False (BackendLoop): {told}"),
            ]
        );
    }
}
