//! What Gateway API asks for beyond its suite, from manifests to answers, and in the words of `explain`.

use std::fs;

use testkit::{
    call::{Answer, Call},
    echo::Backend,
};

use crate::support::{Gateway, Start, postern, service, text};

const GATEWAY: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: postern
  listeners: [{name: http, port: 80, protocol: HTTP, hostname: abc.example.com}]
---
";

fn get(gateway: &Gateway, target: &str, header: (&str, &str)) -> Answer {
    let url = format!("http://abc.example.com{target}");
    let call = Call::get(gateway.address(80), &url).header(header.0, header.1);
    call.send_blocking().unwrap()
}

/// The older route has the wider hostname, and a match that would come first otherwise.
const ROUTES: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: older, creationTimestamp: \"2021-01-01T00:00:00Z\"}
spec:
  parentRefs: [{name: gw}]
  hostnames: [\"*.example.com\"]
  rules:
  - matches: [{path: {type: Exact, value: /path/x}}, {path: {value: /other}}]
    backendRefs: [{name: wide, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: younger, creationTimestamp: \"2022-01-01T00:00:00Z\"}
spec:
  parentRefs: [{name: gw}]
  hostnames: [abc.example.com]
  rules:
  - matches: [{path: {value: /path}}]
    backendRefs: [{name: own, port: 80}]
---
";

#[test]
fn the_route_with_the_more_specific_hostname_of_its_own_wins() {
    let (wide, own) = (Backend::start("wide"), Backend::start("own"));
    let services = service("wide", &[&wide]) + &service("own", &[&own]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    fs::write(&path, format!("{GATEWAY}{ROUTES}{services}")).unwrap();
    let gateway = Start::default().serve(folder.path());
    for (target, expected, route) in [
        ("/path/x", "own", "HTTPRoute/default/younger"),
        ("/path/y", "own", "HTTPRoute/default/younger"),
        ("/other", "wide", "HTTPRoute/default/older"),
    ] {
        let answer = get(&gateway, target, ("x-nothing", "1"));
        assert_eq!(answer.backend(), expected, "{target}");
        let url = format!("http://abc.example.com{target}");
        let said = postern(&["explain", "-f", path.to_str().unwrap(), "GET", &url]);
        let said = text(&said.stdout);
        assert!(said.contains(route), "{target}: {said}");
    }
}

/// Filters of backendRefs, a session in a header, and retries that are switched off.
const RULES: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{name: gw}]
  rules:
  - matches: [{path: {value: /rewritten}}]
    backendRefs:
    - name: wide
      port: 80
      filters: [{type: URLRewrite, urlRewrite: {hostname: own.com, path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}]
  - matches: [{path: {value: /moved}}]
    backendRefs:
    - name: wide
      port: 80
      filters: [{type: RequestRedirect, requestRedirect: {hostname: b.com, statusCode: 308}}]
  - matches: [{path: {value: /session}}]
    sessionPersistence: {type: Header, sessionName: x-session}
    backendRefs: [{name: wide, port: 80}, {name: own, port: 80}]
  - matches: [{path: {value: /once}}]
    retry: {attempts: 0, codes: [500]}
    backendRefs: [{name: own, port: 80}]
  - matches: [{path: {value: /twice}}]
    retry: {codes: [500]}
    backendRefs: [{name: own, port: 80}]
---
";

#[test]
fn rules_do_what_the_release_of_1_7_says() {
    let (wide, own) = (Backend::start("wide"), Backend::start("own"));
    let services = service("wide", &[&wide]) + &service("own", &[&own]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    fs::write(&path, format!("{GATEWAY}{RULES}{services}")).unwrap();
    let gateway = Start::default().serve(folder.path());
    let none = ("x-nothing", "1");
    let seen = get(&gateway, "/rewritten/x?q=1", none).json();
    assert_eq!(
        (&seen["path"], &seen["host"]),
        (&"/new/x?q=1".into(), &"own.com".into())
    );
    let moved = get(&gateway, "/moved/x", none);
    assert_eq!(moved.status, 308);
    let location = moved.header("location");
    assert!(
        location.starts_with("http://b.com") && location.ends_with("/moved/x"),
        "{location}"
    );
    let url = "http://abc.example.com/moved/x";
    let said = postern(&["explain", "-f", path.to_str().unwrap(), "GET", url]);
    let said = text(&said.stdout);
    assert!(said.contains("308") && said.contains("b.com"), "{said}");
    let first = get(&gateway, "/session", none);
    let token = first.header("x-session").to_owned();
    for _ in 0..4 {
        let again = get(&gateway, "/session", ("x-session", &token));
        assert_eq!(again.backend(), first.backend());
    }
    for (target, requests) in [
        ("/once?fail=1&id=a&status=500", 1),
        ("/twice?fail=1&id=b&status=500", 2),
    ] {
        let before = own.hits();
        let status = get(&gateway, target, none).status.as_u16();
        assert_eq!(
            (status == 200, own.hits() - before),
            (requests == 2, requests),
            "{target}"
        );
    }
}
