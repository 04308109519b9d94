//! A corner of the cluster: namespaces, a class and a backend of its own, and the binary that serves them.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};
use testkit::{call::Call, echo::Backend};

use crate::account::Account;

/// The longest that anything may take.
const DEADLINE: Duration = Duration::from_secs(60);
/// Between looks.
const PAUSE: Duration = Duration::from_millis(100);

/// See the module.
pub(crate) struct World {
    client: Client,
    /// Namespace of the objects under test.
    app: String,
    /// Namespace of the binary.
    system: String,
    /// Name of GatewayClass and Ingress class.
    pub(crate) class: String,
    /// Name of the backend's Service.
    pub(crate) backend: String,
    echo: Backend,
    replicas: Vec<Child>,
    /// More arguments for the binary.
    arguments: Vec<String>,
    /// Who it is.
    account: Account,
    /// What it reaches the API server by.
    kubeconfig: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        for replica in &mut self.replicas {
            // One that has ended already is fine.
            let _ = replica.kill();
            let _ = replica.wait();
        }
    }
}

fn resource(kind: &str) -> ApiResource {
    let (group, version) = match kind {
        "Ingress" => ("networking.k8s.io", "v1"),
        "Event" => ("events.k8s.io", "v1"),
        "EndpointSlice" => ("discovery.k8s.io", "v1"),
        "Lease" => ("coordination.k8s.io", "v1"),
        "Service" | "Namespace" | "Secret" | "ConfigMap" => ("", "v1"),
        "RoutePolicy" | "BackendPolicy" | "ClientPolicy" => ("postern.dev", "v1alpha1"),
        "McpBridge" => ("networking.higress.io", "v1"),
        "CustomResourceDefinition" => ("apiextensions.k8s.io", "v1"),
        _ => ("gateway.networking.k8s.io", "v1"),
    };
    let kind = GroupVersionKind::gvk(group, version, kind);
    match kind.kind.as_str() {
        "RoutePolicy" => ApiResource::from_gvk_with_plural(&kind, "routepolicies"),
        "BackendTLSPolicy" => ApiResource::from_gvk_with_plural(&kind, "backendtlspolicies"),
        "BackendPolicy" => ApiResource::from_gvk_with_plural(&kind, "backendpolicies"),
        "ClientPolicy" => ApiResource::from_gvk_with_plural(&kind, "clientpolicies"),
        _ => ApiResource::from_gvk(&kind),
    }
}

/// An address with a port.
pub(crate) fn socket(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

async fn asked(address: SocketAddr, url: &str) -> Option<u16> {
    let call = Call::get(address, url).send();
    let answer = tokio::time::timeout(Duration::from_secs(2), call).await;
    let answer = answer.ok().and_then(Result::ok);
    answer.map(|answer| answer.status.as_u16())
}

async fn client() -> Client {
    Client::try_default()
        .await
        .expect("KUBECONFIG names a cluster")
}

impl World {
    /// Sets everything up and starts one replica.
    pub(crate) async fn new(name: &str) -> Self {
        Self::with(name, &[]).await
    }

    /// The same with another way to the API server for the binary.
    pub(crate) async fn behind(name: &str, kubeconfig: &Path) -> Self {
        let mut world = Self::prepared(name).await;
        world.kubeconfig = kubeconfig.to_owned();
        world.start("first");
        world
    }

    /// Replicas that are yet to be started go straight to the API server.
    pub(crate) fn in_front(&mut self) {
        self.kubeconfig = self.account.kubeconfig();
    }

    /// The address of this machine in the cluster.
    pub(crate) async fn node() -> IpAddr {
        let nodes = Api::<Node>::all(client().await)
            .list(&ListParams::default())
            .await
            .unwrap();
        let addresses = nodes
            .items
            .into_iter()
            .filter_map(|node| node.status?.addresses);
        let internal = addresses
            .flatten()
            .find(|address| address.type_ == "InternalIP");
        internal.unwrap().address.parse().unwrap()
    }

    /// The same with more arguments for the binary.
    pub(crate) async fn with(name: &str, arguments: &[&str]) -> Self {
        let mut world = Self::prepared(name).await;
        world.arguments(arguments);
        world.start("first");
        world
    }

    /// All that is there before the binary.
    async fn prepared(name: &str) -> Self {
        let client = client().await;
        let node = Self::node().await;
        let listener = std::net::TcpListener::bind((node, 0)).expect("this machine is the node");
        let address = listener.local_addr().unwrap();
        drop(listener);
        let class = format!("postern-test-{name}");
        clear(&client, &class).await;
        let (app, system) = namespaces(&class);
        for namespace in [&app, &system] {
            let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
            let all = Api::<DynamicObject>::all_with(client.clone(), &resource("Namespace"));
            let parameters = PatchParams::apply("test").force();
            all.patch(namespace, &parameters, &Patch::Apply(&body))
                .await
                .unwrap();
        }
        let account = Account::new(&client, &system, &class).await;
        let world = Self {
            client,
            app,
            system,
            class: class.clone(),
            backend: "web".to_owned(),
            echo: Backend::builder().at(address).start("web"),
            replicas: Vec::new(),
            arguments: Vec::new(),
            kubeconfig: account.kubeconfig(),
            account,
        };
        world.class_of(&world.controller(), &class).await;
        let (app, system) = (world.app.clone(), world.system.clone());
        world.service(&app, "web", address.port(), node).await;
        world.service(&system, "postern", 1, node).await;
        world
    }

    pub(crate) fn controller(&self) -> String {
        format!("postern.dev/{}", self.class)
    }

    /// A GatewayClass.
    pub(crate) async fn class_of(&self, controller: &str, name: &str) {
        let spec = json!({ "spec": { "controllerName": controller } });
        self.put("", "GatewayClass", name, spec).await;
    }

    /// Deletes a GatewayClass.
    pub(crate) async fn delete_class(&self, name: &str) {
        let classes = self.api("", "GatewayClass");
        classes
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// A GatewayClass, once it is as wanted.
    pub(crate) async fn class_once(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let class = self.api("", "GatewayClass").get(&self.class).await.unwrap();
            let class = serde_json::to_value(&class).unwrap();
            if wanted(&class) {
                return class;
            }
            assert!(start.elapsed() < DEADLINE, "not as wanted in time: {class}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// An annotation of a definition of the Gateway API.
    pub(crate) async fn annotation(&self, plural: &str, key: &str) -> Option<String> {
        let name = format!("{plural}.gateway.networking.k8s.io");
        let definition = self.api("", "CustomResourceDefinition").get(&name).await;
        definition.unwrap().annotations().get(key).cloned()
    }

    /// Writes such an annotation.
    pub(crate) async fn annotate(&self, plural: &str, key: &str, value: &str) {
        let name = format!("{plural}.gateway.networking.k8s.io");
        let body = json!({ "metadata": { "annotations": { key: value } } });
        let definitions = self.api("", "CustomResourceDefinition");
        let parameters = PatchParams::default();
        definitions
            .patch(&name, &parameters, &Patch::Merge(&body))
            .await
            .unwrap();
    }

    /// Removes one of our definitions, and gives it.
    pub(crate) async fn take_definition(&self, plural: &str) -> Value {
        let definitions = self.api("", "CustomResourceDefinition");
        let name = format!("{plural}.postern.dev");
        let taken = definitions.get(&name).await.unwrap();
        self.remove_definition(&name).await;
        json!({
            "metadata": { "name": name, "labels": taken.metadata.labels, "annotations": taken.metadata.annotations },
            "spec": taken.data["spec"],
        })
    }

    /// Removes a definition.
    pub(crate) async fn remove_definition(&self, name: &str) {
        let definitions = self.api("", "CustomResourceDefinition");
        let parameters = DeleteParams::default();
        definitions.delete(name, &parameters).await.unwrap();
        let start = Instant::now();
        while definitions.get_opt(name).await.unwrap().is_some() {
            assert!(start.elapsed() < DEADLINE, "{name} does not go");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Puts it back, and waits until its objects can be written: a definition is established a moment before the
    /// API server answers for its path.
    pub(crate) async fn give_definition(&self, definition: &Value) {
        let name = definition["metadata"]["name"].as_str().unwrap();
        self.put("", "CustomResourceDefinition", name, definition.clone())
            .await;
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
        let start = Instant::now();
        let parameters = ListParams::default();
        while let Err(error) = self.api(&self.app, kind).list(&parameters).await {
            assert!(
                matches!(&error, kube::Error::Api(status) if status.code == 404),
                "{error}"
            );
            assert!(start.elapsed() < DEADLINE, "{name} is not served");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A Service with the backend's endpoint.
    pub(crate) async fn another_backend(&self, name: &str) {
        self.backend_at(name, self.echo.address()).await;
    }

    /// A Service with this endpoint on the node.
    pub(crate) async fn backend_at(&self, name: &str, address: SocketAddr) {
        let app = &self.app;
        self.service(app, name, address.port(), address.ip()).await;
    }

    /// A Service with one endpoint on the node.
    async fn service(&self, namespace: &str, name: &str, port: u16, node: IpAddr) {
        let ports = json!([{ "name": "http", "port": 80, "targetPort": port }]);
        self.put(
            namespace,
            "Service",
            name,
            json!({ "spec": { "ports": ports } }),
        )
        .await;
        let slice = json!({
            "metadata": { "labels": { "kubernetes.io/service-name": name } },
            "addressType": "IPv4",
            "endpoints": [{ "addresses": [node], "conditions": { "ready": true } }],
            "ports": [{ "name": "http", "port": port }],
        });
        self.put(namespace, "EndpointSlice", &format!("{name}-1"), slice)
            .await;
    }

    /// Starts a replica. Ports of its own: replicas share this machine.
    pub(crate) fn start(&mut self, identity: &str) {
        // Tests run side by side in one network, and so do replicas.
        let hash = self.class.bytes().fold(0u16, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        let first = 20_000 + hash % 40 * 200;
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
        command
            .args([
                "run",
                "--admin",
                "off",
                "--access-log",
                "off",
                "--workers",
                "1",
            ])
            .args(["--namespace", &self.system, "--identity", identity])
            .args([
                "--controller-name",
                &self.controller(),
                "--gateway-class",
                &self.class,
            ])
            .args(["--ingress-class", &self.class])
            .args(["--container-ports", &format!("{first}-{}", first + 199)])
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(self.account.log())
            // Here and not above: an argument of a test counts before it.
            .env("POSTERN_PUBLISH_INGRESS_STATUS", "on")
            .env("KUBECONFIG", &self.kubeconfig);
        self.replicas.push(command.spawn().unwrap());
    }

    /// More arguments for replicas that are yet to be started, instead of those of before.
    pub(crate) fn arguments(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(|&a| a.to_owned()).collect();
    }

    /// Who writes, and since when.
    pub(crate) async fn lease(&self) -> Value {
        let leases = self.api(&self.system, "Lease");
        let lease = leases.get("postern").await.unwrap();
        lease.data["spec"].clone()
    }

    /// Waits until that replica writes.
    pub(crate) async fn until_leads(&self, identity: &str) {
        let start = Instant::now();
        while self.lease().await["holderIdentity"] != identity {
            assert!(start.elapsed() < DEADLINE, "{identity} does not lead");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Ends the first replica without a word.
    pub(crate) fn kill_first(&mut self) {
        let mut first = self.replicas.remove(0);
        first.kill().unwrap();
        first.wait().unwrap();
    }

    fn api(&self, namespace: &str, kind: &str) -> Api<DynamicObject> {
        match namespace {
            "" => Api::all_with(self.client.clone(), &resource(kind)),
            namespace => Api::namespaced_with(self.client.clone(), namespace, &resource(kind)),
        }
    }

    async fn put(&self, namespace: &str, kind: &str, name: &str, mut body: Value) {
        let resource = resource(kind);
        body["apiVersion"] = resource.api_version.into();
        body["kind"] = kind.into();
        body["metadata"]["name"] = name.into();
        let parameters = PatchParams::apply("test").force();
        let api = self.api(namespace, kind);
        api.patch(name, &parameters, &Patch::Apply(&body))
            .await
            .unwrap();
    }

    /// Applies an object under test.
    pub(crate) async fn apply(&self, kind: &str, name: &str, body: Value) {
        self.put(&self.app, kind, name, body).await;
    }

    /// Edits an object as a person would.
    pub(crate) async fn patch(&self, kind: &str, name: &str, body: Value) {
        let parameters = PatchParams::default();
        let api = self.api(&self.app, kind);
        api.patch(name, &parameters, &Patch::Merge(&body))
            .await
            .unwrap();
    }

    /// Writes status as another controller would.
    pub(crate) async fn patch_status(&self, kind: &str, name: &str, status: Value) {
        let parameters = PatchParams::default();
        let body = json!({ "status": status });
        let api = self.api(&self.app, kind);
        api.patch_status(name, &parameters, &Patch::Merge(&body))
            .await
            .unwrap();
    }

    /// The address of a Gateway, once it is programmed.
    pub(crate) async fn address(&self, gateway: &str) -> IpAddr {
        let address = |gateway: &Value| -> Option<IpAddr> {
            let address = gateway["status"]["addresses"][0]["value"].as_str()?;
            address.parse().ok()
        };
        let now = self
            .until("Gateway", gateway, |gateway| address(gateway).is_some())
            .await;
        address(&now).unwrap()
    }

    /// Deletes an object under test.
    pub(crate) async fn delete(&self, kind: &str, name: &str) {
        let api = self.api(&self.app, kind);
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// A second listener, and when it was asked for.
    pub(crate) async fn change_listener(&self, gateway: &str) -> Instant {
        let listeners = json!([
            { "name": "http", "port": 80, "protocol": "HTTP" },
            { "name": "alt", "port": 8080, "protocol": "HTTP" },
        ]);
        self.patch(
            "Gateway",
            gateway,
            json!({ "spec": { "listeners": listeners } }),
        )
        .await;
        Instant::now()
    }

    /// Every object of a kind under test.
    pub(crate) async fn list(&self, kind: &str) -> Vec<Value> {
        let list = self
            .api(&self.app, kind)
            .list(&ListParams::default())
            .await
            .unwrap();
        list.items
            .iter()
            .map(|object| serde_json::to_value(object).unwrap())
            .collect()
    }

    async fn look<T>(&self, kind: &str, what: &str, find: impl Fn(&[Value]) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            let all = self.list(kind).await;
            if let Some(found) = find(&all) {
                return found;
            }
            assert!(
                start.elapsed() < DEADLINE,
                "{kind}: not {what} in time: {}",
                json!(all)
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until an object is as wanted.
    pub(crate) async fn until(
        &self,
        kind: &str,
        name: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let is = |object: &&Value| object["metadata"]["name"] == name && wanted(object);
        self.look(kind, "as wanted", |all| all.iter().find(is).cloned())
            .await
    }

    /// Waits until some object is as wanted.
    pub(crate) async fn until_some(&self, kind: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.look(kind, "as wanted", |all| {
            all.iter().find(|object| wanted(object)).cloned()
        })
        .await
    }

    /// Waits until every object is as wanted.
    pub(crate) async fn until_all(&self, kind: &str, wanted: impl Fn(&Value) -> bool) {
        self.look(kind, "all as wanted", |all| {
            all.iter().all(&wanted).then_some(())
        })
        .await;
    }

    /// Waits until an object is gone.
    pub(crate) async fn until_gone(&self, kind: &str, name: &str) {
        let is = |object: &Value| object["metadata"]["name"] == name;
        self.look(kind, "gone", |all| (!all.iter().any(is)).then_some(()))
            .await;
    }

    /// Waits until there is no object of a kind.
    pub(crate) async fn until_none(&self, kind: &str) {
        self.look(kind, "gone", |all| all.is_empty().then_some(()))
            .await;
    }

    /// Waits until the binary has said it.
    pub(crate) async fn until_said(&self, text: &str) {
        let start = Instant::now();
        while !self.account.said().contains(text) {
            assert!(start.elapsed() < DEADLINE, "nothing was said of {text:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until a request is answered so.
    pub(crate) async fn until_answers(&self, url: &str, status: u16) {
        let uri: http::Uri = url.parse().unwrap();
        self.answers(uri.host().unwrap(), url, status).await;
    }

    /// Waits until a request for a host is answered so.
    pub(crate) async fn until_host_answers(&self, address: &str, host: &str, status: u16) {
        self.answers(address, &format!("http://{host}/"), status)
            .await;
    }

    /// What a request for a host is answered with now.
    pub(crate) async fn status(&self, address: &str, host: &str) -> Option<u16> {
        asked(socket(address, 80), &format!("http://{host}/")).await
    }

    async fn answers(&self, address: &str, url: &str, status: u16) {
        let port = url.parse::<http::Uri>().unwrap().port_u16().unwrap_or(80);
        let address = socket(address, port);
        let start = Instant::now();
        loop {
            let got = asked(address, url).await;
            if got == Some(status) {
                return;
            }
            assert!(start.elapsed() < DEADLINE, "{url} at {address}: {got:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Leaves nothing behind.
    pub(crate) async fn end(self) {
        // The account goes with its namespace, and what is asked for after that is denied.
        self.account.assert_nothing_was_denied();
        clear(&self.client, &self.class).await;
    }
}

/// Namespaces of the objects under test, and of the binary.
fn namespaces(class: &str) -> (String, String) {
    (format!("{class}-app"), format!("{class}-system"))
}

/// Removes all that is left of a world.
async fn clear(client: &Client, class: &str) {
    let parameters = DeleteParams::default();
    let all = |kind: &str| Api::<DynamicObject>::all_with(client.clone(), &resource(kind));
    // What is not there need not go.
    let _ = all("GatewayClass").delete(class, &parameters).await;
    let (app, system) = namespaces(class);
    let namespaces = all("Namespace");
    for name in [&app, &system] {
        let _ = namespaces.delete(name, &parameters).await;
    }
    let start = Instant::now();
    let left = |all: Vec<DynamicObject>| {
        all.iter()
            .any(|n| n.name_any() == app || n.name_any() == system)
    };
    while left(namespaces.list(&ListParams::default()).await.unwrap().items) {
        assert!(start.elapsed() < DEADLINE, "the namespaces do not go");
        tokio::time::sleep(PAUSE).await;
    }
    Account::clear(client, class).await;
}
