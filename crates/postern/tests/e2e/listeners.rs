//! Listeners of several objects: which one is meant, in status, metrics and what `explain` says.

use std::{fs, net::TcpListener};

use serde_json::Value;
use testkit::{call::Call, echo::Backend};

use crate::support::{Gateway, Start, postern, service, text};

/// A Gateway and a ListenerSet of one name, each with a listener of one name, and a route for both.
const SAME: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: one, namespace: a}
spec:
  gatewayClassName: postern
  allowedListeners: {namespaces: {from: Same}}
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: one, namespace: a}
spec:
  parentRef: {name: one}
  listeners: [{name: http, port: 81, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: a}
spec:
  parentRefs: [{name: one}, {kind: ListenerSet, name: one}]
  rules: [{backendRefs: [{name: app, port: 80}]}]
---
";

/// A younger Gateway that wants the same port.
const OTHER: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: two, namespace: b}
spec:
  gatewayClassName: postern
  listeners: [{name: http, port: 81, protocol: HTTP}]
";

/// What `/status` says of `Programmed`: of an object, and of its listener.
fn programmed(gateway: &Gateway, kind: &str, key: &str) -> [String; 2] {
    let status = gateway.status();
    let object = &status["status"][kind][key];
    let of = |conditions: &Value| {
        let conditions = conditions
            .as_array()
            .unwrap_or_else(|| panic!("{status:#}"));
        let found = conditions.iter().find(|c| c["type"] == "Programmed");
        found.unwrap()["status"].as_str().unwrap().to_owned()
    };
    [
        of(&object["conditions"]),
        of(&object["listeners"][0]["conditions"]),
    ]
}

#[test]
fn a_port_that_is_taken_is_told_of_to_those_who_want_it_and_no_others() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let map = format!("81={}", taken.local_addr().unwrap().port());
    let folder = tempfile::tempdir().unwrap();
    let (first, rest) = SAME.split_once("---\n").unwrap();
    fs::write(folder.path().join("a.yaml"), first).unwrap();
    let gateway = Start::default()
        .arg("--port-map")
        .arg(&map)
        .serve(folder.path());
    assert_eq!(programmed(&gateway, "gateways", "a/one"), ["True", "True"]);
    fs::write(folder.path().join("b.yaml"), format!("{rest}{OTHER}")).unwrap();
    gateway.wait_beyond(1);
    assert_eq!(programmed(&gateway, "gateways", "a/one"), ["True", "True"]);
    assert_eq!(
        programmed(&gateway, "listenerSets", "a/one"),
        ["False", "False"]
    );
    assert_eq!(
        programmed(&gateway, "gateways", "b/two"),
        ["False", "False"]
    );
}

#[test]
fn a_gateway_and_a_set_of_one_name_are_counted_and_named_apart() {
    let backend = Backend::start("app");
    let folder = tempfile::tempdir().unwrap();
    let services = service("app", &[&backend]).replace("name: app,", "name: app, namespace: a,");
    let path = folder.path().join("a.yaml");
    fs::write(&path, format!("{SAME}{services}")).unwrap();
    let gateway = Start::default()
        .arg("--port-map")
        .arg("81=0")
        .serve(folder.path());
    for (port, requests) in [(80, 2), (81, 1)] {
        for _ in 0..requests {
            let call = Call::get(gateway.address(port), "http://a.example.com/");
            assert_eq!(call.send_blocking().unwrap().backend(), "app");
        }
    }
    let metrics = text(&gateway.page("/metrics").body);
    for (listener, requests) in [("a/one/http", 2), ("ListenerSet/a/one/http", 1)] {
        let line = format!(
            "postern_requests_total{{listener=\"{listener}\",code_class=\"2xx\"}} {requests}\n"
        );
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
    let config = gateway.page("/config").json();
    let name = |port: &str| config["ports"][port]["listeners"][0]["name"].clone();
    assert_eq!(name("*:80"), "a/one/http");
    assert_eq!(name("*:81"), "ListenerSet/a/one/http");
    let path = path.to_str().unwrap();
    for (url, wanted) in [
        ("http://x/", "  a/one/http, for"),
        ("http://x:81/", "  ListenerSet/a/one/http, for"),
    ] {
        let said = text(&postern(&["explain", "-f", path, "GET", url]).stdout);
        assert!(said.contains(wanted), "{said}");
    }
}

/// A listener that an authenticator guards, and one with a field that no release knows yet.
fn guarded(auth: &Backend, more: &str) -> String {
    let services = service("auth", &[auth]).replace("name: auth,", "name: auth, namespace: a,");
    format!(
        "apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: one, namespace: a}}
spec:
  gatewayClassName: postern
  listeners:
  - name: http
    port: 80
    protocol: HTTP
    filters:
      requests:
      - type: ExternalAuth
        externalAuth:
          protocol: HTTP
          backendRef: {{name: auth, port: 80}}
          http: {{allowedResponseHeaders: [X-User]}}
{more}---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: r, namespace: a}}
spec:
  parentRefs: [{{name: one}}]
  rules:
  - matches: [{{headers: [{{name: X-User, value: jane}}]}}]
    backendRefs: [{{name: app, port: 80}}]
---
{services}"
    )
}

#[test]
fn a_listener_asks_its_authenticator_before_any_route() {
    let (backend, auth) = (Backend::start("app"), Backend::start("auth"));
    let folder = tempfile::tempdir().unwrap();
    let services = service("app", &[&backend]).replace("name: app,", "name: app, namespace: a,");
    let path = folder.path().join("a.yaml");
    fs::write(&path, guarded(&auth, "") + "---\n" + &services).unwrap();
    let gateway = Start::default().serve(folder.path());
    let get = |target: &str| {
        let call = Call::get(gateway.address(80), &format!("http://a.com{target}"));
        call.header("x-user", "jane").send_blocking().unwrap()
    };
    assert_eq!(get("/?set=x-user:jane").backend(), "app");
    assert_eq!(get("/").status, 404, "the client cannot say who it is");
    assert_eq!(get("/?status=403&set=x-user:jane").status, 403);
    assert_eq!((auth.hits(), backend.hits()), (3, 1));
    let path = path.to_str().unwrap();
    let said = postern(&[
        "explain",
        "-f",
        path,
        "GET",
        "http://a.com/",
        "-H",
        "x-user: jane",
    ]);
    let said = text(&said.stdout);
    let wanted = "the external authenticator of the listener lets the request pass, before any route is looked for";
    assert!(said.contains(wanted), "{said}");
    let said = postern(&["check", "-f", path]);
    assert!(said.status.success(), "{}", text(&said.stdout));
}

#[test]
fn a_listener_with_a_field_that_is_not_known_is_not_served_and_says_so() {
    let (backend, auth) = (Backend::start("app"), Backend::start("auth"));
    let folder = tempfile::tempdir().unwrap();
    let services = service("app", &[&backend]).replace("name: app,", "name: app, namespace: a,");
    let more = "    clientCountries: [ch]\n  - {name: other, port: 81, protocol: HTTP}\n";
    let path = folder.path().join("a.yaml");
    fs::write(&path, guarded(&auth, more) + "---\n" + &services).unwrap();
    let gateway = Start::default()
        .arg("--port-map")
        .arg("81=0")
        .serve(folder.path());
    let config = gateway.page("/config").json();
    let ports: Vec<_> = config["ports"].as_object().unwrap().keys().collect();
    assert_eq!(ports, ["*:81"]);
    let call = Call::get(gateway.address(81), "http://a.com/").header("x-user", "jane");
    assert_eq!(call.send_blocking().unwrap().backend(), "app");
    let said = postern(&["check", "-f", path.to_str().unwrap()]);
    assert_eq!(said.status.code(), Some(3));
    let said = text(&said.stdout);
    let field = "field spec.listeners[0].clientCountries is not known here";
    assert!(said.contains(field), "{said}");
}
