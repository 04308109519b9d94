use std::sync::Arc;

use api::{Object, Resources};
use ir::{Ir, VirtualHost};
use testkit::certs::{Issued, self_signed};

use crate::{Options, Translator, testing};

const OBJECTS: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: one, namespace: n}
spec:
  gatewayClassName: postern
  tls: {backend: {clientCertificateRef: {name: pair}}}
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: other, namespace: n}
spec: {gatewayClassName: postern, listeners: [{name: http, port: 81, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: n}
spec: {parentRefs: [{name: one}, {name: other}], rules: [{backendRefs: [{name: svc, port: 443}]}]}
---
{apiVersion: v1, kind: Service, metadata: {name: svc, namespace: n}, spec: {ports: [{port: 443, name: https}]}}
"#;

fn secret(pair: &Issued) -> Resources {
    let data = serde_json::json!({ "tls.crt": pair.cert_pem, "tls.key": pair.key_pem });
    let secret = serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pair", "namespace": "n"},
        "type": "kubernetes.io/tls", "stringData": data,
    });
    testing::resources(&secret.to_string())
}

fn hosts(ir: &Ir) -> Vec<Arc<VirtualHost>> {
    let listeners = ir.ports.values().flat_map(|port| &port.listeners);
    listeners.flat_map(|l| &l.hosts).map(Arc::clone).collect()
}

/// Clusters, each with the chain that its backend is shown.
fn shown(ir: &Ir) -> Vec<(String, Option<String>)> {
    let chain = |cluster: &ir::Cluster| {
        let certificate = cluster.tls.as_ref()?.certificate.as_ref()?;
        Some(certificate.chain.to_string())
    };
    let clusters = ir.clusters.values();
    clusters
        .map(|cluster| (cluster.key.to_string(), chain(cluster)))
        .collect()
}

#[test]
fn what_a_gateway_shows_follows_its_secret_and_nothing_else() {
    let options = Options::default();
    let mut translator = Translator::default();
    let mut resources = testing::resources(OBJECTS);
    let mut translate = |resources: &Resources| {
        let now = translator.translate(resources, &options);
        assert_eq!(now, crate::translate(resources, &options));
        testing::assert_sound(&now.ir);
        now.ir
    };
    let plain = || ("n/svc:443+tls".to_owned(), None);
    assert_eq!(
        shown(&translate(&resources)),
        [plain()],
        "no Secret, no connection"
    );
    let (first, second) = (self_signed(&["a.com"]), self_signed(&["a.com"]));
    let own = |pair: &Issued| {
        let key = "n/svc:443+tls+as:Secret/n/pair".to_owned();
        (key, Some(pair.cert_pem.clone()))
    };
    resources.extend(secret(&first));
    let before = translate(&resources);
    assert_eq!(shown(&before), [plain(), own(&first)]);

    // Something else about listeners: hosts stay the same objects.
    let other = api::ObjectKey::new("n", "other");
    let mut gateway = (*resources.gateways[&other]).clone();
    gateway.spec.listeners[0].port = 82;
    resources.insert(Object::from(gateway));
    let after = translate(&resources);
    let same = hosts(&before).into_iter().zip(hosts(&after));
    assert!(same.clone().count() == 2 && same.clone().all(|(a, b)| Arc::ptr_eq(&a, &b)));

    resources.extend(secret(&second));
    assert_eq!(shown(&translate(&resources)), [plain(), own(&second)]);
    resources.secrets.clear();
    assert_eq!(shown(&translate(&resources)), [plain()]);
}
