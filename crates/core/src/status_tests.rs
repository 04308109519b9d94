use crate::{Options, testing};

/// Problems as `object at place: condition`.
fn problems(text: &str) -> Vec<String> {
    let resources = testing::resources(text);
    let status = crate::translate(&resources, &Options::default()).status;
    status
        .problems()
        .map(|(object, place, condition)| {
            let (type_, reason) = (condition.type_, condition.reason);
            format!(
                "{object} at {place:?}: {type_}={:?} {reason}",
                condition.status
            )
        })
        .collect()
}

#[test]
fn nothing_is_said_of_what_is_well() {
    let text = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec: {gatewayClassName: postern, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: default}
spec: {parentRefs: [{name: gw}]}
"#;
    assert_eq!(problems(text), Vec::<String>::new());
}

#[test]
fn every_bad_condition_is_told_with_its_place() {
    let text = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec: {gatewayClassName: postern, listeners: [{name: http, port: 80, protocol: HTTP}, {name: tcp, port: 81, protocol: SCTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: default, annotations: {postern.dev/order: x}}
spec:
  parentRefs: [{name: gw, sectionName: tcp}, {name: gw}]
  rules:
  - backendRefs: [{name: nowhere, port: 80}]
  - {matches: [{path: {value: x}}], backendRefs: []}
---
apiVersion: postern.dev/v1alpha1
kind: RoutePolicy
metadata: {name: p, namespace: default}
spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: nowhere}]}
"#;
    assert_eq!(
        problems(text),
        [
            "Gateway/default/gw at \"\": Accepted=True ListenersNotValid",
            "Gateway/default/gw at \"tcp\": Accepted=False UnsupportedProtocol",
            "Gateway/default/gw at \"tcp\": Programmed=False Invalid",
            "HTTPRoute/default/r at \"Gateway/gw#tcp\": Accepted=False NotAllowedByListeners",
            "HTTPRoute/default/r at \"Gateway/gw#tcp\": ResolvedRefs=False BackendNotFound",
            "HTTPRoute/default/r at \"Gateway/gw#tcp\": PartiallyInvalid=True UnsupportedValue",
            "HTTPRoute/default/r at \"Gateway/gw\": Accepted=True Accepted",
            "HTTPRoute/default/r at \"Gateway/gw\": ResolvedRefs=False BackendNotFound",
            "HTTPRoute/default/r at \"Gateway/gw\": PartiallyInvalid=True UnsupportedValue",
            "RoutePolicy/default/p at \"HTTPRoute/default/nowhere\": Accepted=False TargetNotFound",
        ]
    );
}
