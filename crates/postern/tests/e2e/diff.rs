//! `postern diff` against a real nginx whose configuration says what the Ingresses say, and against one that does not.

mod recorded;

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;
use testkit::{
    certs::Ca,
    echo::{Backend, unused_address},
    wait::eventually,
};

use crate::support::{postern, secret, text};

/// Where Debian puts it; other systems have it in the path.
fn nginx() -> PathBuf {
    let known = PathBuf::from("/usr/sbin/nginx");
    if known.exists() {
        known
    } else {
        "nginx".into()
    }
}

/// nginx with a folder of its own, on ports of the loopback interface.
struct Nginx {
    child: Child,
    folder: TempDir,
    http: SocketAddr,
    https: SocketAddr,
}

impl Nginx {
    /// `servers` gets the two addresses and the folder, in which certificates are.
    fn start(
        pair: (&str, &str),
        servers: impl Fn(SocketAddr, SocketAddr, &Path) -> String,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (http, https) = (unused_address(), unused_address());
        fs::write(folder.path().join("cert.pem"), pair.0).unwrap();
        fs::write(folder.path().join("key.pem"), pair.1).unwrap();
        let at = folder.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
            .concat();
        let configuration = format!(
            "daemon off;\nmaster_process off;\npid {at}/pid;\nerror_log {at}/error.log;\n\
             events {{ worker_connections 256; }}\nhttp {{\naccess_log off;\n{temporary}{}\n}}\n",
            servers(http, https, folder.path())
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, configuration).unwrap();
        let mut command = Command::new(nginx());
        command.arg("-p").arg(folder.path()).arg("-c").arg(&file);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("nginx cannot be started ({error}): install nginx-light, as .ci/run does")
        });
        let mut nginx = Self {
            child,
            folder,
            http,
            https,
        };
        nginx.wait();
        nginx
    }

    /// Until both ports are open.
    fn wait(&mut self) {
        let (http, https) = (self.http, self.https);
        eventually("nginx listens", || {
            let ended = self.child.try_wait().unwrap();
            let log = || fs::read_to_string(self.folder.path().join("error.log"));
            assert!(ended.is_none(), "nginx has ended: {:?}", log());
            let mut addresses = [http, https].into_iter();
            addresses.all(|address| TcpStream::connect(address).is_ok())
        });
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Backends, their manifests, and a certificate.
struct Scene {
    shop: Backend,
    canary: Backend,
    folder: TempDir,
    ca: Ca,
    pair: (String, String),
}

const INGRESSES: &str = r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop
spec:
  ingressClassName: higress
  tls:
  - hosts: [shop.example.com]
    secretName: shop-tls
  rules:
  - host: shop.example.com
    http:
      paths:
      - { path: /shop, pathType: Prefix, backend: { service: { name: shop, port: { number: 80 } } } }
      - { path: /exact, pathType: Exact, backend: { service: { name: canary, port: { number: 80 } } } }
  - host: "*.wild.example.com"
    http:
      paths:
      - { path: /, pathType: Prefix, backend: { service: { name: shop, port: { number: 80 } } } }
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: strip
  annotations:
    higress.io/rewrite-target: /
spec:
  ingressClassName: higress
  rules:
  - host: shop.example.com
    http:
      paths:
      - { path: /strip, pathType: Prefix, backend: { service: { name: shop, port: { number: 80 } } } }
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: old
  annotations:
    nginx.ingress.kubernetes.io/permanent-redirect: https://new.example.com/here
spec:
  ingressClassName: higress
  rules:
  - host: shop.example.com
    http:
      paths:
      - { path: /old, pathType: Prefix, backend: { service: { name: shop, port: { number: 80 } } } }
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: secure
  annotations:
    higress.io/ssl-redirect: "true"
spec:
  ingressClassName: higress
  rules:
  - host: secure.example.com
    http:
      paths:
      - { path: /, pathType: Prefix, backend: { service: { name: shop, port: { number: 80 } } } }
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: new
spec:
  ingressClassName: higress
  rules:
  - host: new.example.com
    http:
      paths:
      - { path: /, pathType: Prefix, backend: { service: { name: shop, port: { number: 80 } } } }
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: new-canary
  annotations:
    higress.io/canary: "true"
    higress.io/canary-by-header: stage
    higress.io/canary-by-cookie: beta
spec:
  ingressClassName: higress
  rules:
  - host: new.example.com
    http:
      paths:
      - { path: /, pathType: Prefix, backend: { service: { name: canary, port: { number: 80 } } } }
"#;

impl Scene {
    fn new() -> Self {
        let (shop, canary) = (Backend::start("shop"), Backend::start("canary"));
        let ca = Ca::new("servers");
        let pair = ca.issue(&["shop.example.com"]);
        let folder = tempfile::tempdir().unwrap();
        let service = |name: &str, backend: &Backend| {
            format!(
                "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  annotations:\n    postern.dev/endpoints: {}\nspec:\n  ports:\n  - port: 80\n",
                backend.address()
            )
        };
        let entries = [
            ("tls.crt", pair.cert_pem.as_str()),
            ("tls.key", pair.key_pem.as_str()),
        ];
        let manifests = format!(
            "{INGRESSES}{}{}---\n{}",
            service("shop", &shop),
            service("canary", &canary),
            secret("shop-tls", &entries)
        );
        fs::write(folder.path().join("all.yaml"), manifests).unwrap();
        Self {
            shop,
            canary,
            folder,
            ca,
            pair: (pair.cert_pem, pair.key_pem),
        }
    }

    /// nginx as the Ingresses want it, but for what `shop` says about /shop.
    fn nginx(&self, shop: &str) -> Nginx {
        let pass = |to: &str| format!("proxy_pass http://{to}$uri$is_args$args;");
        let paths = format!(
            "{shop}
             location = /exact {{ {} }}
             location = /strip {{ proxy_pass http://shop/; }}
             location /strip/ {{ proxy_pass http://shop/; }}
             location = /old {{ return 301 https://new.example.com/here; }}
             location /old/ {{ return 301 https://new.example.com/here; }}
             location / {{ return 404; }}",
            pass("canary")
        );
        let (shop, canary) = (self.shop.address(), self.canary.address());
        Nginx::start((&self.pair.0, &self.pair.1), |http, https, folder| {
            format!(
                "proxy_set_header Host $host;
                 upstream shop {{ server {shop}; }}
                 upstream canary {{ server {canary}; }}
                 map $cookie_beta $by_cookie {{ default shop; always canary; }}
                 map $http_stage $chosen {{ default $by_cookie; always canary; never shop; }}
                 server {{ listen {http} default_server; return 404; }}
                 server {{ listen {https} ssl default_server; ssl_reject_handshake on; }}
                 server {{
                     listen {http}; listen {https} ssl; server_name shop.example.com;
                     ssl_certificate {0}/cert.pem; ssl_certificate_key {0}/key.pem;
                     {paths}
                 }}
                 server {{ listen {http}; server_name *.wild.example.com; location / {{ {1} }} }}
                 server {{ listen {http}; server_name secure.example.com; return 308 https://$host$request_uri; }}
                 server {{ listen {http}; server_name new.example.com; location / {{ {2} }} }}",
                folder.display(),
                pass("shop"),
                pass("$chosen")
            )
        })
    }

    fn diff(&self, nginx: &Nginx, args: &[&str]) -> Output {
        let http = format!("http://{}", nginx.http);
        let https = format!("https://{}", nginx.https);
        let folder = self.folder.path().to_str().unwrap();
        let common = [
            "diff",
            "-f",
            folder,
            "--against",
            &http,
            "--against",
            &https,
        ];
        postern(&[&common[..], args].concat())
    }
}

/// With a boundary, as a Prefix is.
const RIGHT: &str = "location = /shop { proxy_pass http://shop$uri$is_args$args; }
                     location /shop/ { proxy_pass http://shop$uri$is_args$args; }";
/// As a string is: /shoppers is below it, too.
const WRONG: &str = "location /shop { proxy_pass http://shop$uri$is_args$args; }";

#[test]
fn an_equivalent_nginx_does_not_differ() {
    let scene = Scene::new();
    let output = scene.diff(&scene.nginx(RIGHT), &[]);
    let told = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{told}{}",
        text(&output.stderr)
    );
    assert!(
        told.contains(" sent: ")
            && told.contains(" 0 different; ")
            && told.ends_with(" of those alike prove that both do the same\n"),
        "{told}"
    );
    assert!(
        told.contains("requests not sent: not safe to repeat: see --all-methods (POST "),
        "{told}"
    );
    // The host that is asked for because nobody has it, and names that no TLS listener covers.
    assert!(
        told.contains("for hosts that have no route here (unknown-host.test, ")
            && told.contains(
                "1 request proves nothing: neither side answered (unknown-host.test): TLS: "
            ),
        "{told}"
    );
    // Both gateways have asked both backends.
    assert!(scene.shop.hits() > 20 && scene.canary.hits() > 6, "{told}");
    let all = scene.diff(&scene.nginx(RIGHT), &["--all-methods", "-o", "json"]);
    let all: Value = serde_json::from_slice(&all.stdout).unwrap();
    assert_eq!(all["different"], 0, "{all:#}");
    assert_eq!(all["sent"], all["alike"]);
    assert_eq!(all["notSent"], serde_json::json!({}));
}

#[test]
fn a_difference_is_found_and_grouped() {
    let scene = Scene::new();
    let nginx = scene.nginx(WRONG);
    let output = scene.diff(&nginx, &["-o", "json"]);
    assert_eq!(output.status.code(), Some(3));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let groups = told["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 1, "{told:#}");
    assert_eq!(groups[0]["what"], "status 404 here, 200 there");
    assert_eq!(groups[0]["rule"], Value::Null, "no rule here");
    let requests = groups[0]["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 2, "by HTTP and by HTTPS: {told:#}");
    for request in requests {
        assert_eq!(request["request"]["target"], "/shoppostern-diff");
    }
    let output = scene.diff(&nginx, &[]);
    let told = text(&output.stdout);
    assert!(
        told.starts_with("status 404 here, 200 there  no rule here\n  GET http://shop.example.com/shoppostern-diff\n    status: 404 here, 200 there\n"),
        "{told}"
    );
}

impl Scene {
    /// The same for a file of requests.
    fn replay(&self, nginx: &Nginx, lines: &str, args: &[&str]) -> Output {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), lines).unwrap();
        let requests = ["--requests", file.path().to_str().unwrap()];
        self.diff(nginx, &[&requests[..], args].concat())
    }
}

#[test]
fn a_gateway_that_is_not_there_is_an_error() {
    let scene = Scene::new();
    let folder = scene.folder.path().to_str().unwrap();
    // Nobody listens there, and no other test will.
    let nobody = "http://127.0.0.1:1".to_owned();
    let output = postern(&["diff", "-f", folder, "--against", &nobody]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("nobody answers at http://127.0.0.1:"),
        "{said}"
    );
    let output = postern(&["diff", "-f", folder, "--against", "localhost"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("give http://HOST:PORT"));
}
