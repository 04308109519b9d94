//! Behind a proxy that ends TLS: what it says about clients counts where it is trusted, and nowhere else.

use std::fs;

use testkit::{call::Call, echo::Backend};

use crate::support::{Start, postern, service, text};

fn manifests(backend: &Backend) -> String {
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: app, annotations: {higress.io/ssl-redirect: 'true'}}\n\
                   spec:\n  ingressClassName: higress\n  rules: [{host: a.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: app, port: {number: 80}}}}]}}]\n---\n";
    ingress.to_owned() + &service("app", &[backend])
}

#[test]
fn a_redirect_to_https_spares_clients_that_came_over_tls() {
    let backend = Backend::start("app");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("all.yaml"), manifests(&backend)).unwrap();
    for (args, told, status) in [
        (&["--trusted-proxy", "127.0.0.1/32"][..], Some("https"), 200),
        (&["--trusted-proxy", "127.0.0.1/32"], Some("http"), 308),
        (&["--trusted-proxy", "127.0.0.1/32"], None, 308),
        (&["--trusted-proxy", "10.0.0.0/8"], Some("https"), 308),
        (&[], Some("https"), 308),
    ] {
        let start = args
            .iter()
            .fold(Start::default(), |start, arg| start.arg(arg));
        let gateway = start.serve(folder.path());
        let call = Call::get(gateway.address(80), "http://a.com/");
        let call = match told {
            Some(scheme) => call.header("x-forwarded-proto", scheme),
            None => call,
        };
        let answer = call.send_blocking().unwrap();
        assert_eq!(answer.status, status, "{args:?} {told:?}");
        if status == 308 {
            assert_eq!(answer.header("location"), "https://a.com/");
        } else {
            assert_eq!(answer.json()["headers"]["x-forwarded-proto"][0], "https");
        }
    }
}

/// As in ingress-nginx with `use-forwarded-headers`: `Host` is the first that the proxy says, and what keeps clients to
/// https goes by the connection.
#[test]
fn class_nginx_takes_the_host_that_a_trusted_proxy_says() {
    let backend = Backend::start("app");
    let folder = tempfile::tempdir().unwrap();
    let nginx = manifests(&backend)
        .replace("higress.io/ssl-redirect: 'true'", "")
        .replace("ingressClassName: higress", "ingressClassName: nginx");
    fs::write(folder.path().join("all.yaml"), nginx).unwrap();
    for (network, host, scheme) in [
        ("127.0.0.1/32", "pub.com", "https"),
        ("10.0.0.0/8", "a.com", "http"),
    ] {
        let args = ["--trusted-proxy", network, "--ingress-class", "nginx"];
        let start = args
            .iter()
            .fold(Start::default(), |start, arg| start.arg(arg));
        let gateway = start.serve(folder.path());
        let call = Call::get(gateway.address(80), "http://a.com/")
            .header("x-forwarded-host", "pub.com, in.com")
            .header("x-forwarded-proto", "https");
        let answer = call.send_blocking().unwrap();
        assert_eq!(&*backend.seen()[backend.hits() - 1].host, host, "{network}");
        let told = answer.json()["headers"].clone();
        assert_eq!(told["x-forwarded-host"][0], host);
        assert_eq!(told["x-forwarded-proto"][0], scheme);
        assert_eq!(answer.header("strict-transport-security"), "");
    }
}

#[test]
fn explain_says_what_traffic_gets() {
    let backend = Backend::start("app");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("all.yaml"), manifests(&backend)).unwrap();
    let path = folder.path().to_str().unwrap();
    let trusted = ["--trusted-proxy", "127.0.0.1/32"];
    let https = ["-H", "X-Forwarded-Proto: https"];
    for (args, result, code) in [
        (vec![], "result    308 redirect", 3),
        (https.to_vec(), "result    308 redirect", 3),
        (
            [trusted, https].concat(),
            "result    the backend sees GET a.com/",
            0,
        ),
    ] {
        let mut all = vec!["explain", "-f", path, "GET", "http://a.com/"];
        all.extend(args);
        let output = postern(&all);
        let said = text(&output.stdout);
        assert!(said.contains(result), "{all:?}\n{said}");
        assert_eq!(output.status.code(), Some(code), "{all:?}\n{said}");
    }
}
