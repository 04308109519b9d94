use api::yaml;

use super::{Explanation, Request, explain, looped};
use crate::pipeline::Pipeline;

const MANIFESTS: &str = r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: demo
  annotations: {higress.io/rewrite-target: /$2, higress.io/upstream-vhost: inner.example.com}
spec:
  ingressClassName: higress
  rules:
  - host: example.com
    http:
      paths:
      - {path: '/v1(/|$)(.*)', pathType: ImplementationSpecific, backend: {service: {name: demo, port: {number: 80}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: moved
  annotations: {higress.io/permanent-redirect: 'https://example.com/new'}
spec:
  ingressClassName: higress
  rules:
  - host: example.com
    http:
      paths:
      - {path: /old, pathType: Exact, backend: {service: {name: demo, port: {number: 80}}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: own}
spec:
  gatewayClassName: postern
  listeners:
  - {name: http, port: 8000, protocol: HTTP, hostname: '*.example.org'}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: own}
spec:
  parentRefs: [{name: own}]
  hostnames: [a.example.org]
  rules:
  - matches: [{path: {type: PathPrefix, value: /api}, headers: [{name: x-stage, value: canary}]}]
    backendRefs: [{name: missing, port: 80}]
---
apiVersion: v1
kind: Service
metadata:
  name: demo
  annotations: {postern.dev/endpoints: '127.0.0.1:9000'}
spec: {ports: [{port: 80}]}
"#;

/// A listener on every address, one on an address of its own, and one of a Gateway in a cluster, as its EndpointSlice
/// has it; Services whose endpoints are these.
const ROUND: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: all}
spec:
  gatewayClassName: postern
  listeners: [{name: http, port: 8000, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: one}
spec:
  gatewayClassName: postern
  addresses: [{value: 192.0.2.1}]
  listeners: [{name: http, port: 8001, protocol: HTTP}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: all-postern-1
  labels: {kubernetes.io/service-name: all-postern, endpointslice.kubernetes.io/managed-by: postern.dev}
addressType: IPv4
endpoints: [{addresses: [10.0.0.7]}]
ports: [{port: 10000}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: round}
spec:
  parentRefs: [{name: all}]
  rules:
  - {matches: [{path: {value: /a}}], backendRefs: [{name: a, port: 80}]}
  - {matches: [{path: {value: /b}}], backendRefs: [{name: b, port: 80}]}
  - {matches: [{path: {value: /c}}], backendRefs: [{name: c, port: 80}]}
  - {matches: [{path: {value: /d}}], backendRefs: [{name: d, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: a, annotations: {postern.dev/endpoints: '127.0.0.1:8000'}}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: b, annotations: {postern.dev/endpoints: '192.0.2.1:8001'}}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: c, annotations: {postern.dev/endpoints: '10.0.0.7:10000,10.0.0.9:80'}}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: d, annotations: {postern.dev/endpoints: '192.0.2.1:8000,127.0.0.1:8001,10.0.0.7:8000'}}
spec: {ports: [{port: 80}]}
"#;

fn ask(method: &str, url: &str, headers: &[(&str, &str)]) -> Explanation {
    ask_of(MANIFESTS, method, url, headers)
}

fn ask_of(manifests: &str, method: &str, url: &str, headers: &[(&str, &str)]) -> Explanation {
    let manifests = yaml::read(manifests);
    assert_eq!(manifests.errors, []);
    let resources = manifests.into_resources();
    let made = Pipeline::new(converter::Options {
        ingress_classes: ["higress", "nginx"].map(converter::Class::named).into(),
        ..converter::Options::default()
    })
    .run(&resources);
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect();
    let client = ("127.0.0.1".parse().unwrap(), &[][..]);
    explain(
        &made.ir,
        &Request::new(method, url, &headers, client).unwrap(),
        &looped::listeners(&resources),
    )
}

#[test]
fn a_backend_that_is_the_gateway_itself_is_told() {
    for (path, loops, forwarded) in [
        ("/a", &["127.0.0.1:8000"][..], false),
        ("/b", &["192.0.2.1:8001"], false),
        // One of two endpoints; the other one can answer.
        ("/c", &["10.0.0.7:10000"], true),
        ("/d", &[], true),
    ] {
        let url = format!("http://example.com:8000{path}");
        let told = ask_of(ROUND, "GET", &url, &[]);
        let met = told.route.unwrap();
        let found: Vec<_> = met.loops.iter().map(ToString::to_string).collect();
        assert_eq!(found, loops, "{path}");
        let result = &told.results[0];
        assert_eq!(result.forwarded, forwarded, "{path}: {}", result.text);
        assert_eq!(result.text == "503 backend_loop", !forwarded, "{path}");
    }
}

#[test]
fn a_rewrite_is_shown_as_the_backend_sees_it() {
    let told = ask("get", "http://EXAMPLE.com/v1/a/../app?q=1", &[]);
    assert_eq!(
        (told.host.as_str(), told.path.as_str()),
        ("example.com", "/v1/app")
    );
    let text = &told.results[0].text;
    assert_eq!(text, "the backend sees GET inner.example.com/app?q=1");
    assert_eq!(told.route.unwrap().clusters.len(), 1);
}

#[test]
fn a_redirect_is_shown_with_its_location() {
    let told = ask("GET", "example.com/old", &[]);
    assert_eq!(told.results[0].text, "301 redirect");
    let location = "location: https://example.com/new".to_owned();
    assert_eq!(told.results[0].headers, [location]);
}

#[test]
fn a_broken_backend_is_told() {
    let told = ask(
        "GET",
        "http://a.example.org:8000/api",
        &[("x-stage", "canary")],
    );
    assert_eq!(told.results[0].text, "500 invalid_backend");
    assert!(!told.results[0].forwarded);
    let met = told.route.unwrap();
    assert!(
        met.matched.contains("header x-stage = canary"),
        "{}",
        met.matched
    );
    assert!(met.clusters.is_empty());
}

#[test]
fn why_there_is_no_route() {
    for (url, reason) in [
        (
            "http://example.com:81/",
            "nothing listens on port 81; ports are: *:80, *:8000",
        ),
        ("https://example.com:80/", "port 80 speaks plain HTTP"),
        (
            "http://example.net:8000/",
            "no listener of port 8000 serves this host; they serve *.example.org",
        ),
        (
            "http://b.example.org:8000/",
            "no route has this host; there are routes for a.example.org",
        ),
        (
            "http://a.example.org:8000/api",
            "no route of host a.example.org matches, of 1",
        ),
        (
            "http://example.com/%zz",
            "host or path can be read in more than one way",
        ),
    ] {
        let told = ask("GET", url, &[]);
        assert!(told.route.is_none(), "{url}");
        let said = told.reason.unwrap();
        assert!(said.contains(reason), "{url}: {said}");
    }
    let told = ask("GET", "http://a.example.org:8000/api", &[]);
    assert_eq!(told.near.len(), 1);
    assert!(told.near[0].matched.contains("x-stage"));
}

#[test]
fn a_head_whose_body_has_no_clear_end_is_refused_as_traffic_is() {
    let refused = [
        (("transfer-encoding", "gzip, chunked"), "501 unknown_coding"),
        (("content-length", "5, 5"), "400 bad_request"),
        (("content-length", "+5"), "400 bad_request"),
        (("transfer-encoding", "identity"), "400 bad_request"),
    ];
    for (field, expected) in refused {
        let told = ask("POST", "http://example.com/v1/x", &[field]);
        assert_eq!(told.results[0].text, expected, "{field:?}");
    }
    let both = [("content-length", "5"), ("transfer-encoding", "chunked")];
    let told = ask("POST", "http://example.com/v1/x", &both);
    assert_eq!(told.results[0].text, "400 bad_request");
    let told = ask(
        "POST",
        "http://example.com/v1/x",
        &[("content-length", "5")],
    );
    assert!(told.results[0].forwarded, "{:?}", told.results);
}

#[test]
fn a_bad_request_is_refused() {
    let client = ("127.0.0.1".parse().unwrap(), &[][..]);
    assert!(
        Request::new("GET", "ftp://example.com/", &[], client)
            .unwrap_err()
            .contains("is not a URL")
    );
    assert!(
        Request::new("G ET", "http://example.com/", &[], client)
            .unwrap_err()
            .contains("is not a method")
    );
}

#[test]
fn a_host_of_class_nginx_is_alone_and_its_paths_are_decoded() {
    let manifests = r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: own}
spec:
  ingressClassName: nginx
  rules:
  - host: a.example.com
    http: {paths: [{path: /admin, pathType: Prefix, backend: {service: {name: demo, port: {number: 80}}}}]}
  - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: demo, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Service
metadata:
  name: demo
  annotations: {postern.dev/endpoints: '127.0.0.1:9000'}
spec: {ports: [{port: 80}]}
"#;
    let met = ask_of(manifests, "GET", "http://a.example.com/x/..%2fadmin", &[]);
    assert_eq!(met.path, "/admin");
    assert_eq!(
        met.results[0].text,
        "the backend sees GET a.example.com/admin"
    );
    let met = ask_of(manifests, "GET", "http://a.example.com//admin%2Fx", &[]);
    assert_eq!(met.path, "/admin/x");
    assert_eq!(
        met.results[0].text,
        "the backend sees GET a.example.com//admin%2Fx"
    );
    let missed = ask_of(manifests, "GET", "http://a.example.com/other", &[]);
    assert_eq!(missed.results[0].text, "404 no_route");
    assert_eq!(missed.near.len(), 0, "no other host is asked");
    let unknown = ask_of(manifests, "GET", "http://b.example.com/other", &[]);
    assert_eq!(
        unknown.results[0].text,
        "the backend sees GET b.example.com/other"
    );
}
