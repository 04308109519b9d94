//! Annotations beyond the examples, over real sockets. Each check runs over the Ingresses, and over what `convert`
//! makes of them.

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use rustls::ClientConfig;
use testkit::{call::Call, certs::Ca, echo::Backend};

use crate::support::{Start, postern, secret, service, text};

mod balance;
mod canary;
mod elsewhere;
mod fallback;
mod guard;
mod higress;
mod hosts;
mod limits;
mod matching;
mod nginx;
mod order;
mod refused;
mod retry;
mod session;
mod told;

/// Keys and values.
type Annotations<'a> = &'a [(&'a str, &'a str)];

/// The prefix that people of a class write.
fn prefix(class: &str) -> &'static str {
    match class {
        "nginx" => "nginx.ingress.kubernetes.io/",
        _ => "higress.io/",
    }
}

/// An Ingress in flow style: keys without prefix get that of the class; `paths` are type, path and Service.
fn ingress(
    name: &str,
    (class, host): (&str, &str),
    annotations: Annotations<'_>,
    paths: &[(&str, &str, &str)],
    more: &str,
) -> String {
    let annotations: Vec<_> = annotations
        .iter()
        .map(|(key, value)| match key.contains('/') {
            true => format!("{key}: {value:?}"),
            false => format!("{}{key}: {value:?}", prefix(class)),
        })
        .collect();
    let paths: Vec<_> = paths
        .iter()
        .map(|(kind, path, service)| {
            format!("{{path: {path:?}, pathType: {kind}, backend: {{service: {{name: {service}, port: {{number: 80}}}}}}}}")
        })
        .collect();
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}, annotations: {{{}}}}}\nspec:\n  \
         ingressClassName: {class}\n  rules: [{{host: {host:?}, http: {{paths: [{}]}}}}]\n{more}---\n",
        annotations.join(", "),
        paths.join(", ")
    )
}

/// A gateway in front of some backends.
struct Site {
    http: SocketAddr,
    https: Option<SocketAddr>,
    backends: Vec<Backend>,
    /// Keeps it running.
    _gateway: crate::support::Gateway,
}

impl Site {
    /// A request, and what became of it: backend and the path that it saw, or status and where to.
    fn ask(&self, call: Call) -> String {
        let answer = call.send_blocking().unwrap();
        match (answer.backend(), answer.header("location")) {
            ("", "") => answer.status.as_u16().to_string(),
            ("", location) => format!("{} {location}", answer.status.as_u16()),
            (backend, _) => {
                let path = answer.json()["path"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                format!("{backend} {path}")
            }
        }
    }

    fn get(&self, url: &str) -> String {
        self.ask(Call::get(self.http, url))
    }

    fn get_with(&self, url: &str, headers: &[(&str, &str)]) -> String {
        self.send_with("GET", url, headers)
    }

    fn send_with(&self, method: &str, url: &str, headers: &[(&str, &str)]) -> String {
        let call = Call::new(self.http, method, url);
        self.ask(
            headers
                .iter()
                .fold(call, |call, (name, value)| call.header(name, value)),
        )
    }

    fn send(&self, method: &str, url: &str) -> String {
        self.send_with(method, url, &[])
    }

    fn get_tls(&self, url: &str, config: &Arc<ClientConfig>, name: &str) -> String {
        let call = Call::get(self.https.unwrap(), url);
        self.ask(call.tls(Arc::clone(config), name))
    }

    fn hits(&self, at: usize) -> usize {
        self.backends[at].hits()
    }
}

/// Serves manifests and their translation, with a backend for each Service, and checks both.
fn both(classes: &[&str], services: &[&str], manifests: &str, check: impl Fn(&Site)) {
    both_around(classes, services, |_| manifests.to_owned(), check);
}

/// The same with manifests that know the backends.
fn both_around(
    classes: &[&str],
    services: &[&str],
    manifests: impl Fn(&[Backend]) -> String,
    check: impl Fn(&Site),
) {
    let classes: Vec<&str> = classes
        .iter()
        .flat_map(|class| ["--ingress-class", *class])
        .collect();
    for translated in [false, true] {
        let backends: Vec<_> = services.iter().map(|name| Backend::start(name)).collect();
        let named = services.iter().zip(&backends);
        let services: String = named
            .map(|(name, backend)| service(name, &[backend]))
            .collect();
        let manifests = manifests(&backends);
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("all.yaml"),
            format!("{services}{manifests}"),
        )
        .unwrap();
        if translated {
            translate(folder.path(), &classes);
        }
        let start = classes
            .iter()
            .fold(Start::default(), |start, arg| start.arg(arg));
        let gateway = start.serve(folder.path());
        let bound = gateway.status()["addresses"]["*:443"].is_string();
        check(&Site {
            http: gateway.address(80),
            https: bound.then(|| gateway.address(443)),
            backends,
            _gateway: gateway,
        });
    }
}

/// Puts what `convert` makes of a folder in its place.
fn translate(folder: &Path, classes: &[&str]) {
    let mut args = vec!["convert", "--all", "--report", "none", "-f"];
    args.push(folder.to_str().unwrap());
    args.extend(classes);
    let yaml = text(&postern(&args).stdout);
    assert!(
        yaml.contains("kind: HTTPRoute\n") && !yaml.contains("kind: Ingress\n"),
        "{yaml}"
    );
    fs::write(folder.join("all.yaml"), yaml).unwrap();
}

/// A certificate's Secret, and a client that trusts it.
fn certificate(name: &str, hosts: &[&str]) -> (String, Arc<ClientConfig>) {
    let ca = Ca::new("test");
    let issued = ca.issue(hosts);
    let entries = [
        ("tls.crt", issued.cert_pem.as_str()),
        ("tls.key", issued.key_pem.as_str()),
    ];
    (
        secret(name, &entries) + "---\n",
        Arc::new(ca.client_config(&["http/1.1"])),
    )
}
