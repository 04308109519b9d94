//! What is kept from one translation to the next, told by addresses.

use std::{collections::BTreeMap, sync::Arc};

use api::{Object, ObjectRef, Resources};
use ir::{Ir, VirtualHost};

use crate::{Options, Translator, testing};

const OBJECTS: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec: {gatewayClassName: postern, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: a, namespace: default}
spec: {parentRefs: [{name: gw}], hostnames: [a.com], rules: [{backendRefs: [{name: a, namespace: apps, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: b, namespace: default}
spec: {parentRefs: [{name: gw}], hostnames: [b.com], rules: [{backendRefs: [{name: b, port: 80}]}]}
---
{apiVersion: v1, kind: Service, metadata: {name: a, namespace: apps}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: b, namespace: default}, spec: {ports: [{port: 80}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: g, namespace: apps}
spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}], to: [{group: "", kind: Service}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: b, namespace: default, labels: {kubernetes.io/service-name: b}}
addressType: IPv4
ports: [{port: 8080}]
endpoints: [{addresses: [10.0.0.1]}]
"#;

fn hosts(ir: &Ir) -> BTreeMap<String, Arc<VirtualHost>> {
    ir.ports
        .values()
        .flat_map(|port| &port.listeners)
        .flat_map(|listener| &listener.hosts)
        .map(|host| (host.host.to_string(), Arc::clone(host)))
        .collect()
}

/// Which hosts are built anew after a change.
fn rebuilt(change: impl FnOnce(&mut Resources)) -> Vec<String> {
    let mut resources = testing::resources(OBJECTS);
    let mut translator = Translator::default();
    let options = Options::default();
    let before = hosts(&translator.translate(&resources, &options).ir);
    assert_eq!(before.len(), 2);
    change(&mut resources);
    let after = translator.translate(&resources, &options);
    assert_eq!(after, crate::translate(&resources, &options));
    hosts(&after.ir)
        .into_iter()
        .filter(|(name, host)| !Arc::ptr_eq(&before[name], host))
        .map(|(name, _)| name)
        .collect()
}

/// Puts an equal object in the place of the old one, as a watch does.
fn touch(resources: &mut Resources, reference: &str) {
    let reference: ObjectRef = reference.parse().unwrap();
    let old = resources.get(&reference).unwrap();
    let copy = match old {
        Object::HttpRoute(route) => Object::from((*route).clone()),
        Object::Service(service) => Object::from((*service).clone()),
        Object::EndpointSlice(slice) => Object::from((*slice).clone()),
        Object::Gateway(gateway) => Object::from((*gateway).clone()),
        other => panic!("{}", other.reference()),
    };
    resources.insert(copy);
}

#[test]
fn cost_follows_the_change() {
    assert_eq!(rebuilt(|_| ()), [""; 0]);
    assert_eq!(rebuilt(|r| touch(r, "HTTPRoute/default/a")), ["a.com"]);
    assert_eq!(rebuilt(|r| touch(r, "Service/default/b")), ["b.com"]);
    assert_eq!(rebuilt(|r| touch(r, "EndpointSlice/default/b")), [""; 0]);
    assert_eq!(rebuilt(|r| touch(r, "Gateway/default/gw")), [""; 0]);
    assert_eq!(rebuilt(|r| r.reference_grants.clear()), ["a.com"]);
    assert_eq!(rebuilt(|r| r.services.clear()), ["a.com", "b.com"]);
}

#[test]
fn a_translator_may_live_on_any_thread() {
    fn is_send<T: Send + Sync>(_: &T) {}
    is_send(&Translator::default());
}
