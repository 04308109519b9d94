//! Commands that read a live cluster with `--context`, against a simulated API server.

use std::{collections::BTreeSet, fs};

use serde_json::Value;
use testkit::{certs::Ca, echo::Backend};

use crate::support::{
    api_server::{ApiServer, Wrong},
    postern, secret, text,
};

fn ingress(name: &str, class: &str, host: &str, more: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  annotations: {{ higress.io/timeout: '5' }}
spec:
  ingressClassName: {class}
  rules:
  - host: {host}
    http:
      paths:
      - {{ path: /, pathType: Prefix, backend: {{ service: {{ name: shop, port: {{ number: 80 }} }} }} }}
{more}---
"
    )
}

/// A Service, its endpoints at a backend, and an Ingress with TLS; a Secret beside it that is nobody's business.
fn cluster(backend: &Backend) -> String {
    let pair = Ca::new("servers").issue(&["shop.example.com"]);
    let (ip, port) = (backend.address().ip(), backend.address().port());
    let tls = "  tls: [{ hosts: [shop.example.com], secretName: shop-tls }]\n";
    let rest = format!(
        "apiVersion: v1
kind: Service
metadata: {{ name: shop }}
spec: {{ ports: [{{ port: 80 }}] }}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{ name: shop-1, labels: {{ kubernetes.io/service-name: shop }} }}
addressType: IPv4
endpoints: [{{ addresses: ['{ip}'] }}]
ports: [{{ port: {port} }}]
---
{}---
{}",
        secret(
            "shop-tls",
            &[("tls.crt", &pair.cert_pem), ("tls.key", &pair.key_pem)]
        ),
        secret("payroll", &[("password", "s3same")]),
    );
    ingress("shop", "higress", "shop.example.com", tls) + &rest
}

/// Runs a command on the server's cluster.
fn on(server: &ApiServer, args: &[&str]) -> std::process::Output {
    let (command, rest) = args.split_first().unwrap();
    let kubeconfig = ["--kubeconfig", server.kubeconfig()];
    postern(&[&[*command][..], &kubeconfig, rest].concat())
}

fn both(output: &std::process::Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn a_cluster_is_read_once_and_nothing_else_is_done_there() {
    let backend = Backend::start("shop");
    let manifests = ingress("other", "nginx", "other.example.com", "") + &cluster(&backend);
    let server = ApiServer::start(&manifests, 500, Wrong::default());
    let output = on(&server, &["check", "--context", "test"]);
    let told = both(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(
        told.contains("*:443  HTTPS") && told.contains("host shop.example.com  "),
        "{told}"
    );
    assert!(
        text(&output.stderr).starts_with("context test (http://127.0.0.1:"),
        "{told}"
    );
    // What that server does not have is named.
    let lacking =
        "; not installed there: GRPCRoute, TLSRoute, TCPRoute, UDPRoute, BackendTLSPolicy";
    assert!(told.contains(lacking), "{told}");
    let asked = server.asked();
    assert!(
        asked.iter().all(|one| one.starts_with("GET ")),
        "{asked:#?}"
    );
    assert!(!asked.iter().any(|one| one.contains("watch")), "{asked:#?}");
    let once: BTreeSet<_> = asked.iter().collect();
    assert_eq!(once.len(), asked.len(), "{asked:#?}");
    // Secrets are not listed, and those that nothing refers to are not read.
    let secrets: Vec<_> = asked.iter().filter(|one| one.contains("secrets")).collect();
    assert_eq!(secrets, ["GET /api/v1/namespaces/default/secrets/shop-tls"]);
}

#[test]
fn convert_prints_what_it_makes_and_not_what_is_there() {
    let backend = Backend::start("shop");
    let manifests = cluster(&backend);
    let server = ApiServer::start(&manifests, 500, Wrong::default());
    let output = on(&server, &["convert"]);
    let objects = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert!(objects.contains("kind: HTTPRoute\n"), "{objects}");
    for there in [
        "kind: Service\n",
        "kind: Secret\n",
        "kind: Ingress\n",
        "PRIVATE KEY",
    ] {
        assert!(!objects.contains(there), "{there}: {objects}");
    }
    // Once they are applied there is nothing left to write.
    let applied = ApiServer::start(&format!("{manifests}---\n{objects}"), 500, Wrong::default());
    let again = on(&applied, &["convert"]);
    assert_eq!(again.status.code(), Some(0), "{}", both(&again));
    assert_eq!(text(&again.stdout), "", "{}", both(&again));
    // What was made of the Ingress before is written anew when that is another now, and a foreign object stays.
    let older = objects.replace("5s", "4s");
    assert_ne!(older, objects);
    let older = ApiServer::start(&format!("{manifests}---\n{older}"), 500, Wrong::default());
    let newer = text(&on(&older, &["convert"]).stdout);
    assert!(
        newer.contains("kind: HTTPRoute\n") && newer.contains("5s"),
        "{newer}"
    );
    let foreign = objects
        .replace("5s", "4s")
        .replace("managed-by: postern", "managed-by: a-team");
    let foreign = ApiServer::start(&format!("{manifests}---\n{foreign}"), 500, Wrong::default());
    let output = on(&foreign, &["convert"]);
    assert_eq!(output.status.code(), Some(3), "{}", both(&output));
    assert!(
        !text(&output.stdout).contains("kind: HTTPRoute\n"),
        "{}",
        both(&output)
    );
    // What a Postern in the cluster keeps is its own affair, whatever it has made of the Ingress; and that is said.
    let keeps = |object: &str| match object.contains("kind: HTTPRoute\n") {
        true => object
            .replace(
                "  annotations:\n",
                "  annotations:\n    postern.dev/controller: postern.dev/gateway-controller\n",
            )
            .replace(
                "  labels:\n",
                "  labels:\n    postern.dev/translated: \"true\"\n",
            )
            .replace("5s", "4s"),
        false => object.to_owned(),
    };
    let kept: Vec<_> = objects.split("---\n").map(keeps).collect();
    let kept = format!("{manifests}---\n{}", kept.join("---\n"));
    let output = on(
        &ApiServer::start(&kept, 500, Wrong::default()),
        &["convert"],
    );
    assert_eq!(text(&output.stdout), "", "{}", both(&output));
    assert!(
        text(&output.stderr).contains("1 object of a Postern that runs in the cluster"),
        "{}",
        both(&output)
    );
    let all = on(&server, &["convert", "--all"]);
    assert_eq!(all.status.code(), Some(2), "{}", both(&all));
}

#[test]
fn explain_and_diff_ask_the_cluster_s_objects() {
    let backend = Backend::start("shop");
    let server = ApiServer::start(&cluster(&backend), 500, Wrong::default());
    let output = on(&server, &["explain", "GET", "https://shop.example.com/x"]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let at = format!("at {}", backend.address());
    assert!(
        told.contains("from Ingress/default/shop") && told.contains(&at),
        "{told}"
    );
    // The backend itself stands for the gateway that runs.
    let there = format!("http://{}", backend.address());
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(
        file.path(),
        r#"{"scheme":"http","host":"shop.example.com","path":"/x"}"#,
    )
    .unwrap();
    let requests = file.path().to_str().unwrap();
    let args = [
        "diff",
        "--against",
        &there,
        "--requests",
        requests,
        "-o",
        "json",
    ];
    let output = on(&server, &args);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&told["sent"], &told["proving"]),
        (&1.into(), &1.into()),
        "{told:#}"
    );
    assert_eq!(backend.hits(), 2);
}

#[test]
fn lists_come_in_pages_from_a_busy_and_forgetful_server() {
    let backend = Backend::start("shop");
    let many: String = (0..7)
        .map(|n| {
            ingress(
                &format!("i{n}"),
                "higress",
                &format!("h{n}.example.com"),
                "",
            )
        })
        .collect();
    let wrong = Wrong {
        busy: 1,
        forgetful: true,
        ..Wrong::default()
    };
    let server = ApiServer::start(&(many + &cluster(&backend)), 3, wrong);
    let output = on(&server, &["check", "-o", "json"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["ok"], true, "{told:#}");
    let routes = told["status"]["routes"].to_string();
    for n in 0..7 {
        assert!(routes.contains(&format!("i{n}")), "{n}: {routes}");
    }
    let asked = server.asked();
    let pages: Vec<_> = asked
        .iter()
        .filter(|one| one.contains("/ingresses?"))
        .collect();
    // Eight in pages of three; whose list began anew is not known.
    assert!(
        pages.len() >= 3 && pages.iter().all(|one| one.contains("limit=")),
        "{pages:#?}"
    );
}

#[test]
fn what_may_not_be_read_is_named() {
    let backend = Backend::start("shop");
    let wrong = |denied: &[&'static str]| Wrong {
        denied: denied.iter().copied().collect(),
        ..Wrong::default()
    };
    let server = ApiServer::start(&cluster(&backend), 500, wrong(&["secrets", "configmaps"]));
    let output = on(&server, &["check"]);
    let told = both(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    for wanted in [
        "ConfigMap: may not be listed, so none is known",
        "Secret: may not be read, so each is told as if it were missing: default/shop-tls: secrets is forbidden",
    ] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
}

#[test]
fn a_cluster_without_the_gateway_api_can_be_converted() {
    let backend = Backend::start("shop");
    let wrong = Wrong {
        lacking: BTreeSet::from(["gateway.networking.k8s.io", "postern.dev"]),
        ..Wrong::default()
    };
    let server = ApiServer::start(&cluster(&backend), 500, wrong);
    let output = on(&server, &["convert"]);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert!(text(&output.stdout).contains("kind: HTTPRoute\n"));
    let said = text(&output.stderr);
    assert!(
        said.contains("not installed there: GatewayClass, Gateway, "),
        "{said}"
    );
}

#[test]
fn one_namespace_and_files_on_top() {
    let backend = Backend::start("shop");
    let elsewhere = ingress("far", "higress", "far.example.com", "")
        .replace("  name: far", "  name: far\n  namespace: elsewhere");
    let server = ApiServer::start(&(elsewhere + &cluster(&backend)), 500, Wrong::default());
    let output = on(&server, &["convert", "-n", "default"]);
    let objects = text(&output.stdout);
    assert!(
        objects.contains("shop.example.com") && !objects.contains("far.example.com"),
        "{objects}"
    );
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    let changed = ingress("shop", "higress", "new.example.com", "");
    fs::write(file.path(), changed).unwrap();
    let output = on(&server, &["convert", "-f", file.path().to_str().unwrap()]);
    let objects = text(&output.stdout);
    assert!(
        objects.contains("new.example.com")
            && objects.contains("far.example.com")
            && !objects.contains("shop.example.com"),
        "{objects}"
    );
}

#[test]
fn a_cluster_that_cannot_be_read_is_an_error() {
    let server = ApiServer::start("", 500, Wrong::default());
    let of = |args: &[&str]| {
        let output = on(&server, &[&["check"][..], args].concat());
        assert_eq!(output.status.code(), Some(1), "{}", both(&output));
        text(&output.stderr)
    };
    let said = of(&["--context", "prod"]);
    assert!(
        said.contains("no context \"prod\"; it has: test, gone"),
        "{said}"
    );
    let said = of(&["--context", "gone"]);
    assert!(
        said.contains("cannot read from context gone (http://127.0.0.1:1/)"),
        "{said}"
    );
    let output = postern(&["check", "--kubeconfig", "/nowhere/config"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("there is no kubeconfig"));
    // An empty name is the current context, as kubectl has it.
    let output = on(&server, &["check", "--context", ""]);
    assert!(
        text(&output.stderr).starts_with("context test "),
        "{}",
        both(&output)
    );
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_postern"))
        .env("KUBECONFIG", server.kubeconfig())
        .args(["check", "--current-context"])
        .output()
        .unwrap();
    assert!(
        text(&output.stderr).starts_with("context test "),
        "{}",
        both(&output)
    );
    let output = postern(&["check", "-n", "default", "-f", "x.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    let output = postern(&["check"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn registries_of_higress_are_read_where_they_are_installed() {
    let manifests = "\
apiVersion: networking.higress.io/v1
kind: McpBridge
metadata: {name: default, namespace: higress-system}
spec: {registries: [{type: static, name: fixed, domain: 192.0.2.7:8080, port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: site, namespace: default, annotations: {higress.io/destination: fixed.static}}
spec:
  ingressClassName: higress
  rules:
  - host: example.com
    http:
      paths:
      - path: /
        pathType: Prefix
        backend: {resource: {apiGroup: networking.higress.io, kind: McpBridge, name: default}}
";
    let server = ApiServer::start(manifests, 500, Wrong::default());
    let output = on(&server, &["convert"]);
    let objects = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    for made in ["kind: EndpointSlice\n", "192.0.2.7", "clusterIP: None\n"] {
        assert!(objects.contains(made), "{made}: {objects}");
    }
    let lacking = BTreeSet::from(["networking.higress.io"]);
    let wrong = Wrong {
        lacking,
        ..Wrong::default()
    };
    let server = ApiServer::start(manifests, 500, wrong);
    let output = on(&server, &["convert"]);
    let told = both(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(
        told.contains("there is no McpBridge named default"),
        "{told}"
    );
    assert!(!told.contains("not installed there: McpBridge"), "{told}");
}
