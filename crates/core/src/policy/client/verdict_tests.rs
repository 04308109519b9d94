//! What is said follows every change of the listeners that a policy is about.

use api::{ObjectKey, Resources};

use crate::{Options, Translator, testing};

const GATEWAY: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: n}
spec:
  gatewayClassName: postern
  allowedListeners: {namespaces: {from: WHO}}
  listeners: [{name: own, port: 80, protocol: PROTOCOL}]
---
apiVersion: postern.dev/v1alpha1
kind: ClientPolicy
metadata: {name: policy, namespace: n}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: gw}]
  tls: {minVersion: \"1.3\"}
";

const SET: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: set, namespace: n}
spec: {parentRef: {name: gw}, listeners: [{name: more, port: 81, protocol: PROTOCOL}]}
";

struct World {
    resources: Resources,
    translator: Translator,
}

impl World {
    fn apply(&mut self, text: &str) {
        self.resources.extend(testing::resources(text));
    }

    /// The policy's one condition.
    fn told(&mut self) -> String {
        let options = Options::default();
        let now = self.translator.translate(&self.resources, &options);
        assert_eq!(now, crate::translate(&self.resources, &options));
        let status = &now.status.client_policies[&ObjectKey::new("n", "policy")];
        status.ancestors[0].conditions[0].to_string()
    }
}

#[test]
fn a_policy_of_a_gateway_is_of_use_for_as_long_as_tls_ends_at_one_of_its_listeners() {
    let gateway = |who: &str, protocol: &str| {
        let text = GATEWAY.replace("WHO", who);
        text.replace("PROTOCOL", protocol)
    };
    let set = |protocol: &str| SET.replace("PROTOCOL", protocol);
    let mut world = World {
        resources: testing::resources(&gateway("Same", "HTTP")),
        translator: Translator::default(),
    };
    let nothing = |names: &str| {
        format!(
            "Accepted=False (Invalid): tls does nothing on listeners at which no TLS ends: {names}"
        )
    };
    let some = |names: &str| {
        format!(
            "Accepted=True (Accepted): tls does nothing on listeners at which no TLS ends: {names}"
        )
    };
    assert_eq!(world.told(), nothing("own"));
    world.apply(&set("HTTPS"));
    assert_eq!(world.told(), "Accepted=True (Accepted)");
    world.apply(&gateway("None", "HTTP"));
    assert_eq!(world.told(), nothing("own"), "the set is not let in");
    world.apply(&gateway("Same", "HTTPS"));
    assert_eq!(world.told(), "Accepted=True (Accepted)");
    world.apply(&set("TCP"));
    assert_eq!(world.told(), "Accepted=True (Accepted)");
    world.apply(&set("TLS, tls: {mode: Passthrough}"));
    assert_eq!(world.told(), some("ListenerSet/n/set/more"));
    world
        .resources
        .remove(&"ListenerSet/n/set".parse().unwrap());
    assert_eq!(world.told(), "Accepted=True (Accepted)");
}
