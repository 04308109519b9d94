//! kubectl, and what it is asked for.

use std::{
    env,
    io::Write as _,
    net::{IpAddr, SocketAddr},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use testkit::{call::Call, echo::Backend};

/// Where Postern is.
const SYSTEM: &str = "postern-system";

/// The longest that anything may take.
const DEADLINE: Duration = Duration::from_secs(90);

/// Between looks.
const PAUSE: Duration = Duration::from_millis(100);

/// What the Lease says.
pub(crate) struct Leader {
    /// Empty: it has been given back.
    pub(crate) holder: String,
    /// When somebody last did.
    pub(crate) renewed: Timestamp,
    /// When the holder became it.
    pub(crate) acquired: Timestamp,
}

/// A namespace with a Gateway, a route and a Service, which goes when this is dropped.
pub(crate) struct Cluster {
    namespace: String,
}

fn kubectl() -> Command {
    Command::new(env::var_os("POSTERN_E2E_KUBECTL").expect("`cargo xtask cluster test` says it"))
}

/// What kubectl prints with these words.
fn prints(words: &[&str]) -> String {
    let output = kubectl().args(words).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Has this checkout's tool do something with the cluster.
fn xtask(words: &[&str]) {
    let said = |name: &str| env::var_os(name).expect("`cargo xtask cluster test` says it");
    let mut command = Command::new(said("POSTERN_E2E_XTASK"));
    command.arg("cluster").args(words).arg("--name");
    let status = command.arg(said("POSTERN_E2E_CLUSTER")).status().unwrap();
    assert!(status.success(), "{words:?}");
}

fn object(words: &[&str]) -> Value {
    serde_json::from_str(&prints(&[words, &["-o", "json"]].concat())).unwrap()
}

fn apply(namespace: &str, objects: &[Value]) {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    let mut child = kubectl()
        .args(["apply", "-n", namespace, "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let text = list.to_string();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success(), "{list:#}");
}

/// A part of a Service's endpoints, or none.
fn slice(service: &str, name: &str, endpoint: Option<SocketAddr>) -> Value {
    let endpoints = endpoint
        .map(|endpoint| json!({ "addresses": [endpoint.ip()], "conditions": { "ready": true } }));
    let port = endpoint.map_or(1, |endpoint| endpoint.port());
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": { "name": name, "labels": { "kubernetes.io/service-name": service } },
        "addressType": "IPv4", "endpoints": Vec::from_iter(endpoints), "ports": [{ "name": "http", "port": port }],
    })
}

/// Looks again until there is something.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "{what}: not in time");
        thread::sleep(PAUSE);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        prints(&["delete", "namespace", &self.namespace, "--ignore-not-found"]);
    }
}

impl Cluster {
    /// A fresh namespace, and two replicas that are Ready.
    pub(crate) fn new(name: &str) -> Self {
        let namespace = format!("life-{name}");
        prints(&["delete", "namespace", &namespace, "--ignore-not-found"]);
        prints(&["create", "namespace", &namespace]);
        let cluster = Self { namespace };
        cluster.scale(2);
        cluster
    }

    /// The Gateway with one route for everything.
    pub(crate) fn gateway(&self) {
        let listener = json!({ "name": "http", "port": 80, "protocol": "HTTP" });
        let backend = json!({ "name": "web", "port": 80 });
        apply(
            &self.namespace,
            &[
                json!({
                    "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": { "name": "life" },
                    "spec": { "gatewayClassName": "postern", "listeners": [listener] },
                }),
                json!({
                    "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": { "name": "web" },
                    "spec": { "parentRefs": [{ "name": "life" }], "rules": [{ "backendRefs": [backend] }] },
                }),
                json!({
                    "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" },
                    "spec": { "ports": [{ "name": "http", "port": 80 }] },
                }),
            ],
        );
    }

    /// The Service's endpoints, all of them.
    pub(crate) fn endpoints(&self, backends: &[&Backend]) {
        let slices: Vec<Value> = ["web-1", "web-2"]
            .iter()
            .enumerate()
            .map(|(at, name)| slice("web", name, backends.get(at).map(|b| b.address())))
            .collect();
        apply(&self.namespace, &slices);
    }

    /// A route for gRPC to one server.
    pub(crate) fn grpc(&self, host: &str, server: SocketAddr) {
        let backend = json!({ "name": "grpc", "port": 80 });
        let port = json!({ "name": "http", "port": 80, "appProtocol": "kubernetes.io/h2c" });
        let rules = json!([{ "backendRefs": [backend] }]);
        apply(
            &self.namespace,
            &[
                json!({
                    "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": { "name": "grpc" },
                    "spec": { "parentRefs": [{ "name": "life" }], "hostnames": [host], "rules": rules },
                }),
                json!({
                    "apiVersion": "v1", "kind": "Service", "metadata": { "name": "grpc" },
                    "spec": { "ports": [port] },
                }),
                slice("grpc", "grpc-1", Some(server)),
            ],
        );
    }

    /// Where the Gateway is found.
    pub(crate) fn address(&self) -> SocketAddr {
        until("an address of the Gateway", || {
            let gateway = object(&["get", "gateway", "life", "-n", &self.namespace]);
            let address = gateway["status"]["addresses"][0]["value"].as_str()?;
            Some(SocketAddr::new(address.parse().ok()?, 80))
        })
    }

    /// The same once every replica serves the route.
    pub(crate) fn served(&self) -> SocketAddr {
        let address = self.address();
        until("an answer of the backend", || {
            let answers =
                (0..20).map(|_| Call::get(address, "http://life.example/").send_blocking());
            let all = answers.collect::<Result<Vec<_>, _>>().ok()?;
            all.iter().all(|answer| answer.status == 200).then_some(())
        });
        address
    }

    /// kubectl in Postern's namespace.
    pub(crate) fn run(&self, words: &[&str]) {
        prints(&[words, &["-n", SYSTEM]].concat());
    }

    /// Waits until as many replicas as wanted are Ready, and no others are left.
    pub(crate) fn rolled_out(&self) {
        self.run(&[
            "rollout",
            "status",
            "deployment",
            "postern",
            "--timeout=90s",
        ]);
        let wanted = object(&["get", "deployment", "postern", "-n", SYSTEM]);
        let wanted = wanted["spec"]["replicas"].as_u64();
        until("the end of other replicas", || {
            (u64::try_from(self.pods().len()).ok() == wanted).then_some(())
        });
    }

    pub(crate) fn scale(&self, replicas: usize) {
        let replicas = format!("--replicas={replicas}");
        self.run(&["scale", "deployment", "postern", &replicas]);
        self.rolled_out();
    }

    fn pods(&self) -> Vec<Value> {
        let selector = "app.kubernetes.io/name=postern";
        let pods = object(&["get", "pods", "-n", SYSTEM, "-l", selector]);
        pods["items"].as_array().unwrap().clone()
    }

    /// Whether one is on its way out.
    pub(crate) fn a_pod_ends(&self) -> bool {
        let ends = |pod: &Value| !pod["metadata"]["deletionTimestamp"].is_null();
        self.pods().iter().any(ends)
    }

    /// Deletes every pod, and lets the Deployment make others.
    pub(crate) fn delete_pods(&self) {
        self.run(&["delete", "pods", "--all", "--wait=false"]);
    }

    /// The address of one that is not on its way out, once it has one.
    pub(crate) fn new_pod(&self) -> Option<IpAddr> {
        let pods = self.pods();
        let stays = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
        let pod = pods.iter().find(stays)?;
        pod["status"]["podIP"].as_str()?.parse().ok()
    }

    /// Who writes.
    pub(crate) fn leader(&self) -> Leader {
        let lease = object(&["get", "lease", "postern", "-n", SYSTEM]);
        let text = |field: &str| lease["spec"][field].as_str().unwrap_or_default();
        Leader {
            holder: text("holderIdentity").to_owned(),
            renewed: text("renewTime").parse().unwrap(),
            acquired: text("acquireTime").parse().unwrap(),
        }
    }

    /// The port of pods that the Gateway's Service leads to.
    pub(crate) fn container_port(&self) -> Option<u16> {
        let slices = object(&["get", "endpointslices", "-n", &self.namespace]);
        let ours = |slice: &&Value| {
            let service = slice["metadata"]["labels"]["kubernetes.io/service-name"].as_str();
            service.is_some_and(|service| service != "web")
        };
        let slice = slices["items"].as_array()?.iter().find(ours)?;
        u16::try_from(slice["ports"][0]["port"].as_u64()?).ok()
    }

    /// Ends and starts the API server.
    pub(crate) fn restart_api_server(&self) {
        xtask(&["restart", "apiserver"]);
    }

    /// Replaces the definitions of the Gateway API.
    pub(crate) fn definitions(&self, version: &str, channel: &str) {
        xtask(&["definitions", "--version", version, "--channel", channel]);
    }

    /// Takes the field for retries out of the definition of HTTPRoutes, which goes on saying that it is whole: the API
    /// server drops the field from every route.
    pub(crate) fn prune_retries(&self) {
        let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/rules/items/properties";
        let patch = json!([{ "op": "remove", "path": format!("{schema}/retry") }]);
        let name = "httproutes.gateway.networking.k8s.io";
        prints(&[
            "patch",
            "crd",
            name,
            "--type=json",
            "-p",
            &patch.to_string(),
        ]);
    }

    /// What the GatewayClass claims.
    pub(crate) fn claims(&self) -> Vec<String> {
        let class = object(&["get", "gatewayclass", "postern"]);
        let features = class["status"]["supportedFeatures"].as_array();
        let names = { features.into_iter().flatten() }.filter_map(|f| f["name"].as_str());
        names.map(str::to_owned).collect()
    }
}
