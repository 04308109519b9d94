//! What is said follows every change of what it is made from, as if all had been made anew.

use api::{ObjectKey, ObjectRef, Resources};

use crate::{Options, Translator, testing};

const OBJECTS: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: n}
spec: {gatewayClassName: postern, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: other, namespace: n}
spec: {gatewayClassName: postern, listeners: [{name: http, port: 81, protocol: HTTP}]}
---
{apiVersion: v1, kind: Service, metadata: {name: svc, namespace: n}, spec: {ports: [{port: 443, name: https}, {port: 444, name: other}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: policy, namespace: n}
spec:
  targetRefs: [{group: "", kind: Service, name: svc, sectionName: https}]
  validation: {hostname: a.com, caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]}
"#;

const ROUTE: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: n}
spec: {parentRefs: [{name: PARENT}], rules: [{backendRefs: [{name: SERVICE, port: 443}]}]}
"#;

const OLDER: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: older, namespace: n, creationTimestamp: "2026-01-01T00:00:00Z"}
spec:
  targetRefs: [{group: "", kind: Service, name: svc, sectionName: https}]
  validation: {hostname: b.com, wellKnownCACertificates: System}
"#;

struct World {
    resources: Resources,
    translator: Translator,
}

impl World {
    fn apply(&mut self, text: &str) {
        self.resources.extend(testing::resources(text));
    }

    fn authorities(&mut self, pem: &str) {
        let map = serde_json::json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca", "namespace": "n"},
            "data": {"ca.crt": pem},
        });
        self.apply(&map.to_string());
    }

    fn remove(&mut self, reference: &str) {
        let reference: ObjectRef = reference.parse().unwrap();
        assert!(self.resources.get(&reference).is_some(), "{reference}");
        self.resources.remove(&reference);
    }

    /// Each Gateway that the policy has an entry for, with the reasons of its conditions, and whether its backend can
    /// be used.
    fn told(&mut self) -> (Vec<String>, bool) {
        let options = Options::default();
        let now = self.translator.translate(&self.resources, &options);
        assert_eq!(now, crate::translate(&self.resources, &options));
        let status = now.status.backend_tls_policies;
        let status = status.get(&ObjectKey::new("n", "policy"));
        let entries = status.into_iter().flat_map(|status| &status.ancestors);
        let told = entries.map(|entry| {
            let reasons: Vec<_> = entry.conditions.iter().map(|c| c.reason).collect();
            format!("{} {}", entry.ancestor_ref.name, reasons.join(" "))
        });
        (told.collect(), now.ir.clusters.len() == 1)
    }
}

fn route(parent: &str, service: &str) -> String {
    ROUTE.replace("PARENT", parent).replace("SERVICE", service)
}

#[test]
fn status_follows_routes_authorities_and_other_policies() {
    let ca = testkit::certs::Ca::new("ca");
    let mut world = World {
        resources: testing::resources(OBJECTS),
        translator: Translator::default(),
    };
    let none: [String; 0] = [];
    assert_eq!(world.told(), (none.to_vec(), false));
    world.apply(&route("gw", "svc"));
    let lost = |gateway: &str| {
        vec![format!(
            "{gateway} NoValidCACertificate InvalidCACertificateRef"
        )]
    };
    let good = |gateway: &str| vec![format!("{gateway} Accepted ResolvedRefs")];
    assert_eq!(world.told(), (lost("gw"), false), "no such ConfigMap");
    world.authorities(ca.pem());
    assert_eq!(world.told(), (good("gw"), true));
    world.authorities("");
    assert_eq!(world.told(), (lost("gw"), false));
    world.authorities(ca.pem());
    assert_eq!(world.told(), (good("gw"), true));
    world.apply(&route("other", "svc"));
    assert_eq!(world.told(), (good("other"), true));
    world.apply(&route("other", "elsewhere"));
    assert_eq!(world.told(), (none.to_vec(), false));
    world.apply(&route("gw", "svc"));
    assert_eq!(world.told(), (good("gw"), true));
    let other_port = route("gw", "svc").replace("443", "444");
    world.apply(&other_port);
    assert_eq!(
        world.told(),
        (none.to_vec(), true),
        "the policy is about another port"
    );
    world.apply(&route("gw", "svc"));
    assert_eq!(world.told(), (good("gw"), true));
    world.apply(OLDER);
    let conflicted = vec!["gw Conflicted ResolvedRefs".to_owned()];
    assert_eq!(world.told(), (conflicted, true));
    world.remove("BackendTLSPolicy/n/older");
    assert_eq!(world.told(), (good("gw"), true));
    world.remove("Gateway/n/gw");
    assert_eq!(world.told(), (none.to_vec(), false));
    world.apply(OBJECTS);
    assert_eq!(world.told(), (good("gw"), true));
    world.remove("HTTPRoute/n/r");
    assert_eq!(world.told(), (none.to_vec(), false));
}
