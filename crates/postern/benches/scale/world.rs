//! Namespaces, a class, backends and a Gateway of the benchmark's own, and the gateway that serves them.

use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};

use anyhow::Context as _;
use http::Method;
use serde_json::{Value, json};
use testkit::echo::Backend;

use crate::{
    api::{self, Kind, Server},
    gateway::{Gateway, Names},
    probe::Probe,
    until,
};

/// Of the Gateway for routes.
pub(crate) const GATEWAY: &str = "edge";

/// Services; each route leads to one of them.
const SERVICES: usize = 50;

/// The longest that anything but what is measured may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// See the module.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) gateway: Gateway,
    pub(crate) names: Names,
    /// Namespace of routes and Ingresses.
    pub(crate) app: String,
    /// Where the Gateway for routes is.
    pub(crate) address: SocketAddr,
    _backend: Backend,
}

impl World {
    /// A gateway that serves a Gateway without routes.
    pub(crate) async fn new(binary: &Path) -> anyhow::Result<Self> {
        let server = Server::new().await?;
        let names = Names {
            class: "postern-scale".to_owned(),
            system: "postern-scale-system".to_owned(),
        };
        let app = "postern-scale-app".to_owned();
        clear(&server, &names, &app).await?;
        let node = node(&server).await?;
        let listener = TcpListener::bind((node, 0)).context("this machine is not the node")?;
        let backend = listener.local_addr()?;
        drop(listener);
        furnish(&server, &names, &app, backend).await?;
        let gateway = Gateway::start(binary, &names)?;
        let address = reached(&server, &app, GATEWAY).await?;
        Ok(Self {
            server,
            gateway,
            names,
            app,
            address,
            _backend: Backend::builder().at(backend).start("web"),
        })
    }

    /// A route of its own host.
    pub(crate) fn route(&self, name: &str, at: usize) -> Value {
        let backend = json!({ "name": backend(at), "port": 80 });
        let spec = json!({
            "parentRefs": [{ "name": GATEWAY }],
            "hostnames": [host(name)],
            "rules": [{ "backendRefs": [backend] }],
        });
        api::ROUTE.object(name, json!({ "spec": spec }))
    }

    /// Removes everything.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        // It has nothing to say about what goes now.
        drop(self.gateway);
        clear(&self.server, &self.names, &self.app).await
    }
}

/// The host of a route or Ingress.
pub(crate) fn host(name: &str) -> String {
    format!("{name}.scale.test")
}

/// The Service that the route or Ingress of that number leads to.
pub(crate) fn backend(at: usize) -> String {
    format!("web-{}", at % SERVICES)
}

/// Everything that the gateway needs to find.
async fn furnish(
    server: &Server,
    names: &Names,
    app: &str,
    address: SocketAddr,
) -> anyhow::Result<()> {
    for namespace in [app, &names.system] {
        let object = api::NAMESPACE.object(namespace, json!({}));
        server.create(api::NAMESPACE, "", &object).await?;
    }
    let class = json!({ "spec": { "controllerName": names.controller() } });
    let class = api::CLASS.object(&names.class, class);
    server.create(api::CLASS, "", &class).await?;
    for (kind, object) in service("postern", address) {
        server.create(kind, &names.system, &object).await?;
    }
    for (kind, object) in (0..SERVICES).flat_map(|at| service(&backend(at), address)) {
        server.create(kind, app, &object).await?;
    }
    let listener = json!({ "name": "http", "port": 80, "protocol": "HTTP" });
    let spec = json!({ "gatewayClassName": names.class, "listeners": [listener] });
    let gateway = api::GATEWAY.object(GATEWAY, json!({ "spec": spec }));
    server.create(api::GATEWAY, app, &gateway).await
}

/// A Service and its one endpoint.
fn service(name: &str, address: SocketAddr) -> [(Kind, Value); 2] {
    let port = json!({ "name": "http", "port": 80, "targetPort": address.port() });
    let service = json!({ "spec": { "ports": [port] } });
    let slice = json!({
        "metadata": { "labels": { "kubernetes.io/service-name": name } },
        "addressType": "IPv4",
        "endpoints": [{ "addresses": [address.ip()], "conditions": { "ready": true } }],
        "ports": [{ "name": "http", "port": address.port() }],
    });
    [
        (api::SERVICE, api::SERVICE.object(name, service)),
        (api::SLICE, api::SLICE.object(&format!("{name}-1"), slice)),
    ]
}

/// The address of this machine in the cluster.
async fn node(server: &Server) -> anyhow::Result<IpAddr> {
    let nodes = server.get(&api::NODE.path("")).await?.unwrap_or_default();
    let addresses = nodes["items"][0]["status"]["addresses"].as_array();
    let mut addresses = addresses.into_iter().flatten();
    let address = addresses.find(|address| address["type"] == "InternalIP");
    let address = address.and_then(|address| address["address"].as_str()?.parse().ok());
    address.context("the node has no address")
}

/// Waits until a Gateway has an address, and somebody listens there.
pub(crate) async fn reached(
    server: &Server,
    namespace: &str,
    gateway: &str,
) -> anyhow::Result<SocketAddr> {
    let path = &format!("{}/{gateway}", api::GATEWAY.path(namespace));
    let address = until("an address", PATIENCE, || async move {
        let gateway = server.get(path).await?.unwrap_or_default();
        let address = gateway["status"]["addresses"][0]["value"].as_str();
        Ok(address.and_then(|address| address.parse::<IpAddr>().ok()))
    });
    let address = SocketAddr::new(address.await?, 80);
    until("a listener", PATIENCE, || async move {
        Ok(Probe::connect(address).await.ok())
    })
    .await?;
    Ok(address)
}

/// Removes what is left, and waits until it is gone.
async fn clear(server: &Server, names: &Names, app: &str) -> anyhow::Result<()> {
    let class = format!("{}/{}", api::CLASS.path(""), names.class);
    server.call(Method::DELETE, &class, None).await?;
    for namespace in [app, &names.system] {
        let path = &format!("{}/{namespace}", api::NAMESPACE.path(""));
        server.call(Method::DELETE, path, None).await?;
    }
    for namespace in [app, &names.system] {
        let path = &format!("{}/{namespace}", api::NAMESPACE.path(""));
        until("a namespace that goes", PATIENCE, || async move {
            Ok(server.get(path).await?.is_none().then_some(()))
        })
        .await?;
    }
    Ok(())
}
