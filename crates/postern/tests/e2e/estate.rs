//! What people bring who move: classes of several controllers, old versions, files that no API server would take.

use std::fs;

use serde_json::Value;

use crate::support::{Start, postern, text};

/// A folder with one file.
fn folder(manifests: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("all.yaml"), manifests).unwrap();
    folder
}

/// Exit code and standard output of a command on these manifests.
fn run(command: &[&str], manifests: &str) -> (i32, String) {
    let folder = folder(manifests);
    let mut args = vec![command[0], "-f", folder.path().to_str().unwrap()];
    args.extend(&command[1..]);
    let output = postern(&args);
    let said = text(&output.stdout).to_owned();
    (output.status.code().unwrap(), said)
}

fn ingress(name: &str, class: &str) -> String {
    ingress_with(name, class, "")
}

/// An Ingress with an annotation, whose Service is there.
fn ingress_with(name: &str, class: &str, annotation: &str) -> String {
    format!(
        "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, namespace: shop, annotations: {{{annotation}}}}}
spec:
  {class}
  rules:
  - host: {name}.test
    http: {{paths: [{{path: /foo, pathType: ImplementationSpecific, backend: {{service: {{name: s, port: {{number: 80}}}}}}}}]}}
"
    )
}

const SERVICE: &str = "---
apiVersion: v1
kind: Service
metadata: {name: s, namespace: shop, annotations: {postern.dev/endpoints: 127.0.0.1:9}}
spec: {ports: [{port: 80}]}
";

const INTERNAL: &str = "---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx-internal}
spec: {controller: k8s.io/ingress-nginx}
";

/// `/foobar` is met in nginx, which compares characters, and not in Higress, which compares elements.
fn meets_foobar(manifests: &str, class: &str) -> bool {
    let request = [
        "explain",
        "--ingress-class",
        class,
        "GET",
        "http://a.test/foobar",
    ];
    match run(&request, manifests) {
        (0, _) => true,
        (3, _) => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_class_has_the_rules_of_its_controller_or_those_that_are_said() {
    let named = ingress("a", "ingressClassName: nginx-internal") + SERVICE;
    let with_class = named.clone() + INTERNAL;
    assert!(
        !meets_foobar(&named, "nginx-internal"),
        "by its name: Higress'"
    );
    assert!(
        meets_foobar(&with_class, "nginx-internal"),
        "by its controller: nginx'"
    );
    assert!(
        meets_foobar(&named, "nginx-internal=nginx"),
        "as said: nginx'"
    );
    assert!(
        !meets_foobar(&with_class, "nginx-internal=higress"),
        "as said: Higress'"
    );
    let nginx = ingress("a", "ingressClassName: nginx") + SERVICE;
    assert!(meets_foobar(&nginx, "nginx"));
    assert!(
        !meets_foobar(&nginx, "nginx=higress"),
        "an estate of Higress"
    );
    let (code, _) = run(&["check", "--ingress-class", "nginx=traefik"], &nginx);
    assert_eq!(code, 2);
}

#[test]
fn what_is_left_out_is_counted_by_class_and_version() {
    let old = "---\napiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: old}\n"
        .to_owned()
        + "---\napiVersion: networking.k8s.io/v1beta1\nkind: Ingress\nmetadata: {name: older}\n";
    let foreign = ingress("a", "ingressClassName: nginx-internal")
        + &ingress_with("b", "", "kubernetes.io/ingress.class: nginx-internal")
        + &ingress("c", "ingressClassName: traefik")
        + &ingress("d", "")
        + &old;
    let lines = [
        "left out: 2 Ingresses of the class \"nginx-internal\", which is not ours (--ingress-class nginx-internal)",
        "left out: 1 Ingress of the class \"traefik\"",
        "left out: 1 Ingress without a class, while no IngressClass of ours is the default one",
        "left out: 1 Ingress of extensions/v1beta1, which no API server serves",
        "left out: 1 Ingress of networking.k8s.io/v1beta1, which no API server serves",
    ];
    for command in [&["check"][..], &["convert", "--report"]] {
        let (code, said) = run(command, &foreign);
        assert_eq!(code, 3, "{said}");
        for line in lines {
            assert!(said.contains(line), "{line}\n{said}");
        }
        assert!(!said.contains("passed over"), "{said}");
        // Where something is converted, the others are counted and are no finding.
        let ours = foreign.clone() + &ingress("e", "ingressClassName: higress") + SERVICE;
        let (code, said) = run(command, &ours);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains(lines[0]), "{said}");
    }
    let (_, said) = run(&["convert", "--report", "-o", "json"], &foreign);
    let report: Value = serde_json::from_str(&said).unwrap();
    let left_out = &report["leftOut"];
    assert_eq!(left_out["byClass"]["nginx-internal"], 2);
    assert_eq!(left_out["withoutClass"], 1);
    assert_eq!(left_out["byVersion"]["extensions/v1beta1"], 1);
    let (code, _) = run(&["check"], &old);
    assert_eq!(code, 3, "an estate of v1beta1 alone");
}

#[test]
fn the_log_says_what_is_left_out() {
    let folder = folder(
        &(ingress("a", "ingressClassName: traefik")
            + &ingress("b", "")
            + "---\napiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: old}\n"
            + &ingress("ours", "ingressClassName: higress")
            + SERVICE),
    );
    let gateway = Start::default().serve(folder.path());
    let line = gateway.wait_for("Ingresses of a class that is not ours are left out");
    assert!(line.to_string().contains("traefik"), "{line}");
    gateway.wait_for("Ingresses without a class are left out");
    let line = gateway.wait_for("Ingresses of a version that is not read are left out");
    assert!(line.to_string().contains("extensions/v1beta1"), "{line}");
    assert_eq!(gateway.status()["leftOut"]["byClass"]["traefik"], 1);
}

#[test]
fn a_missing_secret_is_said_once_with_the_ingresses() {
    let tls = |name: &str| {
        let class = format!(
            "ingressClassName: higress\n  tls: [{{hosts: [{name}.test], secretName: nowhere}}]"
        );
        ingress(name, &class)
    };
    let (code, said) = run(&["check"], &(tls("one") + &tls("two") + SERVICE));
    assert_eq!(code, 3);
    assert_eq!(
        said.matches("Secret shop/nowhere does not exist").count(),
        1,
        "{said}"
    );
    for origin in ["of Ingress/shop/one", "of Ingress/shop/two"] {
        assert!(said.contains(origin), "{said}");
    }
    assert!(
        !said.contains("see their conditions") && !said.contains("see Accepted"),
        "{said}"
    );
    assert!(said.ends_with("1 problem\n"), "{said}");
}

#[test]
fn a_secret_of_passwords_that_is_missing_is_said_once_too() {
    let basic = |name: &str| {
        let annotations = "higress.io/auth-type: basic, higress.io/auth-secret: nowhere";
        ingress_with(name, "ingressClassName: higress", annotations)
            .replace("path: /foo", &format!("path: /{name}"))
    };
    let (code, said) = run(&["check"], &(basic("one") + &basic("two") + SERVICE));
    assert_eq!(code, 3);
    assert_eq!(
        said.matches("Secret shop/nowhere does not exist").count(),
        1,
        "{said}"
    );
    for origin in ["of Ingress/shop/one", "of Ingress/shop/two"] {
        assert!(said.contains(origin), "{said}");
    }
}

#[test]
fn no_condition_is_listed_that_is_true_and_good() {
    let https = ingress_with(
        "a",
        "ingressClassName: higress",
        "higress.io/backend-protocol: HTTPS",
    );
    let (code, said) = run(&["check"], &(https + SERVICE));
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("=True"), "{said}");
}

/// Where the numbers come first, then each finding.
#[test]
fn many_findings_begin_with_how_many_there_are_of_each_kind() {
    let lossy = |count: usize| {
        let ingresses = (0..count).map(|at| {
            let tls = format!(
                "ingressClassName: higress\n  tls: [{{hosts: [i{at}.test], secretName: nowhere}}]"
            );
            ingress_with(&format!("i{at}"), &tls, "higress.io/no-such-key: a")
        });
        ingresses.collect::<String>() + SERVICE + SERVICE
    };
    let (_, said) = run(&["check"], &lossy(30));
    let summary = said.find("findings by kind").unwrap();
    let first = said.find("unknown annotation").unwrap();
    assert!(summary < first, "{said}");
    for line in [
        "      1  an object that is there twice",
        "     30  refused: higress.io/no-such-key",
        "     30  ListenerSet ResolvedRefs=False (InvalidCertificateRef)",
    ] {
        assert!(said[summary..first].contains(line), "{line}\n{said}");
    }
    assert!(said.ends_with("32 problems\n"), "{said}");
    let (_, said) = run(&["check"], &lossy(3));
    assert!(!said.contains("findings by kind"), "{said}");
}

#[test]
fn what_an_api_server_refuses_is_read_and_told_by_line() {
    let manifests = "\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: a
  namespace: shop
  annotations:
    higress.io/force-ssl-redirect: true
spec:
  ingressClassName: higress
  rules:
  - host: a.test
    http: {paths: [{path: /, backend: {service: {name: s, port: {number: 80}}}}]}
"
    .to_owned()
        + SERVICE;
    let (code, said) = run(&["check"], &manifests);
    assert_eq!(code, 3, "{said}");
    assert!(
        said.contains("all.yaml:7: Ingress/shop/a: higress.io/force-ssl-redirect: true without quotes is no text"),
        "{said}"
    );
    assert!(
        said.contains(
            "all.yaml:1: Ingress/shop/a: spec.rules[0].http.paths[0].pathType is missing"
        ),
        "{said}"
    );
    assert!(said.ends_with("2 problems\n"), "{said}");
    let (code, said) = run(&["convert", "--report"], &manifests);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("all.yaml:7: "), "{said}");
    assert!(said.contains("exact   "), "the value is used: {said}");
    let (code, said) = run(&["explain", "GET", "http://a.test/"], &manifests);
    assert_eq!(code, 3, "it redirects: {said}");
    assert!(said.contains("308"), "{said}");
    let folder = folder(&manifests);
    let gateway = Start::default().serve(folder.path());
    gateway.wait_for("is no text, and an API server refuses it");
    let told = &gateway.status()["problems"]["tolerated"];
    assert_eq!(told.as_array().unwrap().len(), 2, "{told}");
}

/// As tools print it that write empty fields.
#[test]
fn status_of_any_shape_and_folded_base64_are_read() {
    let manifests = "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {creationTimestamp: null, name: r, namespace: shop}
spec:
  parentRefs: [{name: gw}]
  rules: [{backendRefs: [{name: s, port: 80}]}]
status:
  parents: null
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: shop}
spec: {gatewayClassName: postern, listeners: [{name: http, port: 80, protocol: HTTP}]}
status: []
---
apiVersion: v1
kind: Secret
metadata: {name: folded, namespace: shop}
data:
  auth: |
    am9o
    bjp4Cg==
"
    .to_owned()
        + SERVICE;
    let (code, said) = run(&["check"], &manifests);
    assert_eq!(code, 0, "{said}");
    assert!(said.ends_with("4 objects read, no problems\n"), "{said}");
}

#[test]
fn an_older_version_that_is_not_read_is_a_problem() {
    let manifests = "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: BackendTLSPolicy\nmetadata: {name: p, namespace: shop}\n";
    let (code, said) = run(&["check"], manifests);
    assert_eq!(code, 3, "{said}");
    assert!(
        said.contains("BackendTLSPolicy/shop/p: gateway.networking.k8s.io/v1alpha2 is not read, as its fields are others: write it as BackendTLSPolicy of gateway.networking.k8s.io/v1"),
        "{said}"
    );
}
