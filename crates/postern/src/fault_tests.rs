use api::{Resources, yaml};

use super::all;
use crate::pipeline::Pipeline;

/// The lines that these objects lead to.
fn faults(text: &str) -> Vec<String> {
    let read = yaml::read(text);
    assert_eq!(read.errors, []);
    let resources: Resources = read.into_resources();
    let made = Pipeline::new(converter::Options::default()).run(&resources);
    all(&made, &resources)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_missing_secret_is_one_line_with_the_ingress() {
    let text = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: a}
spec:
  ingressClassName: higress
  tls: [{hosts: [one.test, two.test], secretName: nowhere}]
  rules:
  - {host: one.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}}
  - {host: two.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}}
---
apiVersion: v1
kind: Service
metadata: {name: s, namespace: a, annotations: {postern.dev/endpoints: 127.0.0.1:1}}
spec: {ports: [{port: 80}]}
";
    let told = faults(text);
    assert!(!told.is_empty());
    for line in &told {
        assert!(
            line.ends_with(
                ", of Ingress/a/shop: ResolvedRefs=False (InvalidCertificateRef): Secret a/nowhere does not exist"
            ),
            "{line}"
        );
    }
    // One for each listener: those of two hosts.
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn what_follows_from_another_condition_is_not_told() {
    let gateway = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: a}
spec:
  gatewayClassName: postern
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: odd, port: 81, protocol: SCTP}
  - {name: one, port: 82, protocol: HTTP, hostname: a.com}
  - {name: two, port: 82, protocol: HTTP, hostname: a.com}
";
    let told = faults(gateway);
    let starts = [
        "Gateway/a/gw odd: Accepted=False (UnsupportedProtocol)",
        "Gateway/a/gw one: Accepted=False (HostnameConflict)",
        "Gateway/a/gw two: Accepted=False (HostnameConflict)",
    ];
    assert_eq!(told.len(), starts.len(), "{told:?}");
    for (line, start) in told.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
    let empty = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: a}
spec: {gatewayClassName: postern, listeners: []}
";
    assert_eq!(
        faults(empty),
        ["Gateway/a/gw: Accepted=False (ListenersNotValid): there is no listener"]
    );
}

#[test]
fn a_warning_is_told_without_the_good_condition_that_carries_it() {
    let text = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: a}
spec: {gatewayClassName: postern, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: a, annotations: {postern.dev/order: x}}
spec: {parentRefs: [{name: gw}]}
";
    assert_eq!(
        faults(text),
        [
            "HTTPRoute/a/r Gateway/gw: annotation postern.dev/order: \"x\" is not a whole number and is not used"
        ]
    );
}

#[test]
fn an_object_that_was_applied_still_knows_its_ingress() {
    let text = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: a}
spec: {gatewayClassName: postern, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: a, annotations: {postern.dev/origin: Ingress/a/shop}}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: nowhere, port: 80}]}]}
";
    assert_eq!(
        faults(text),
        [
            "HTTPRoute/a/r Gateway/gw, of Ingress/a/shop: ResolvedRefs=False (BackendNotFound): Service a/nowhere does not exist"
        ]
    );
}

#[test]
fn tls_to_the_backend_that_was_asked_for_is_no_finding() {
    let text = |port: &str, annotation: &str| {
        format!(
            "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: shop, namespace: a{annotation}}}
spec:
  ingressClassName: higress
  rules:
  - {{http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: s, port: {{number: 80}}}}}}}}]}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: s, namespace: a, annotations: {{postern.dev/endpoints: 127.0.0.1:1}}}}
spec: {{ports: [{{name: {port}, port: 80}}]}}
"
        )
    };
    let asked = ", annotations: {higress.io/backend-protocol: HTTPS}";
    assert_eq!(faults(&text("web", asked)), [""; 0]);
    let by_name = faults(&text("https", ""));
    assert_eq!(by_name.len(), 1);
    assert!(
        by_name[0].contains("TLS without looking at the backend's certificate"),
        "{by_name:?}"
    );
}

#[test]
fn a_secret_that_a_policy_misses_is_told_by_its_route() {
    for (annotations, before) in [
        (
            "higress.io/auth-type: basic, higress.io/auth-secret: nowhere",
            ", which answers 500: ",
        ),
        (
            "higress.io/proxy-ssl-secret: nowhere",
            ": Service a/s: BackendPolicy: ",
        ),
    ] {
        let text = SHOP.replace("ANNOTATIONS", annotations);
        let told = faults(&text);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("HTTPRoute/a/shop-"), "{told:?}");
        let end = format!("{before}Secret a/nowhere does not exist");
        assert!(told[0].ends_with(&end), "{told:?}");
    }
}

const SHOP: &str = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: a, annotations: {ANNOTATIONS}}
spec:
  ingressClassName: higress
  rules:
  - {http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}}
---
apiVersion: v1
kind: Service
metadata: {name: s, namespace: a, annotations: {postern.dev/endpoints: 127.0.0.1:1}}
spec: {ports: [{port: 80}]}
";
