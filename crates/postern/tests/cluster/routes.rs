//! Routes of every kind on a real API server: their status, and who answers at the Gateway's address.

use std::{
    io::Read,
    net::{SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use serde_json::{Value, json};
use testkit::{
    call::Call,
    stream::{TcpBackend, UdpBackend},
    wait::eventually,
};

use crate::{condition, support::World};

/// A Service with one endpoint.
async fn service(world: &World, name: &str, protocol: &str, endpoint: SocketAddr) {
    let port = json!({ "name": "data", "port": 5000, "protocol": protocol });
    let spec = json!({ "spec": { "ports": [port] } });
    world.apply("Service", name, spec).await;
    let slice = json!({
        "metadata": { "labels": { "kubernetes.io/service-name": name } },
        "addressType": "IPv4",
        "endpoints": [{ "addresses": [endpoint.ip()], "conditions": { "ready": true } }],
        "ports": [{ "name": "data", "port": endpoint.port(), "protocol": protocol }],
    });
    world
        .apply("EndpointSlice", &format!("{name}-1"), slice)
        .await;
}

/// A route to one Service, for one listener of the Gateway.
async fn route(world: &World, kind: &str, (listener, service): (&str, &str), more: Value) {
    let mut spec = json!({
        "parentRefs": [{ "name": "edge", "sectionName": listener }],
        "rules": [{ "backendRefs": [{ "name": service, "port": 5000 }] }],
    });
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    let name = format!("{}-{listener}", kind.to_lowercase());
    world.apply(kind, &name, json!({ "spec": spec })).await;
}

/// Waits until that is what is said about a route, at once in one write.
async fn until_said(world: &World, kind: &str, listener: &str, wanted: [&str; 2]) {
    let name = format!("{}-{listener}", kind.to_lowercase());
    let is = |route: &Value| {
        let parents = route["status"]["parents"].as_array();
        let said = parents.into_iter().flatten();
        let mut said = said.filter(|parent| parent["controllerName"] == world.controller());
        said.any(|parent| {
            ["Accepted", "ResolvedRefs"]
                .iter()
                .zip(wanted)
                .all(|(type_, wanted)| {
                    condition(&parent["conditions"], type_).as_deref() == Some(wanted)
                })
        })
    };
    let now = world.until(kind, &name, is).await;
    let generation = &now["metadata"]["generation"];
    let conditions = now["status"]["parents"][0]["conditions"].as_array();
    for condition in conditions.unwrap() {
        assert_eq!(condition["observedGeneration"], *generation, "{condition}");
    }
}

async fn edge(world: &World) {
    let listeners = json!([
        { "name": "http", "port": 80, "protocol": "HTTP" },
        { "name": "tcp", "port": 53, "protocol": "TCP" },
        { "name": "udp", "port": 53, "protocol": "UDP" },
        { "name": "tls", "port": 443, "protocol": "TLS", "tls": { "mode": "Passthrough" } },
    ]);
    let spec = json!({ "gatewayClassName": world.class, "listeners": listeners });
    world
        .apply("Gateway", "edge", json!({ "spec": spec }))
        .await;
}

/// The name that a backend says first.
fn greeting(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    let mut name = [0; 9];
    stream.read_exact(&mut name).ok()?;
    String::from_utf8(name.to_vec()).ok()
}

/// What a backend says to a question.
fn answer(address: SocketAddr) -> Option<String> {
    let client = UdpSocket::bind("0.0.0.0:0").ok()?;
    client.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    client.connect(address).ok()?;
    client.send(b"question").ok()?;
    let mut answer = [0; 64];
    let length = client.recv(&mut answer).ok()?;
    String::from_utf8(answer.get(..length)?.to_vec()).ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_of_every_kind_attach_and_are_answered() {
    let world = World::new("routes").await;
    let node = SocketAddr::new(World::node().await, 0);
    let (tcp, udp) = (
        TcpBackend::start_at(node, "over-tcp"),
        UdpBackend::start_at(node, "over-udp"),
    );
    service(&world, "tcp", "TCP", tcp.address()).await;
    service(&world, "udp", "UDP", udp.address()).await;
    edge(&world).await;
    route(&world, "TCPRoute", ("tcp", "tcp"), json!({})).await;
    route(&world, "UDPRoute", ("udp", "udp"), json!({})).await;
    let hosts = json!({ "hostnames": ["shop.example"] });
    route(&world, "TLSRoute", ("tls", "tcp"), hosts).await;
    let method = json!({ "service": "shop.Cart" });
    let call = json!([{
        "matches": [{ "method": method }],
        "backendRefs": [{ "name": world.backend, "port": 80 }],
    }]);
    let calls = json!({ "rules": call });
    route(&world, "GRPCRoute", ("http", "web"), calls).await;
    for (kind, listener) in [
        ("TCPRoute", "tcp"),
        ("UDPRoute", "udp"),
        ("TLSRoute", "tls"),
        ("GRPCRoute", "http"),
    ] {
        until_said(
            &world,
            kind,
            listener,
            ["True Accepted", "True ResolvedRefs"],
        )
        .await;
    }
    let gateway = world
        .until("Gateway", "edge", |gateway| {
            let listeners = gateway["status"]["listeners"].as_array();
            let mut attached = listeners.into_iter().flatten();
            attached.all(|listener| listener["attachedRoutes"] == 1)
        })
        .await;
    let kinds = gateway["status"]["listeners"].as_array().unwrap().iter();
    let kinds = kinds.map(|listener| listener["supportedKinds"][0]["kind"].as_str().unwrap());
    let kinds: Vec<_> = kinds.collect();
    assert_eq!(kinds, ["HTTPRoute", "TCPRoute", "UDPRoute", "TLSRoute"]);

    let address = world.address("edge").await;
    let at = move |port| SocketAddr::new(address, port);
    tokio::task::spawn_blocking(move || {
        let greeted = || greeting(at(53)).as_deref() == Some("over-tcp\n");
        eventually("the TCP backend speaks", greeted);
        let answered = || answer(at(53)).as_deref() == Some("over-udp:question");
        eventually("the UDP backend answers", answered);
        let url = "http://shop.example/shop.Cart/Add";
        let call = || Call::new(at(80), "POST", url).http2().send_blocking();
        eventually("a call is answered", || {
            call().is_ok_and(|answer| answer.status.as_u16() == 200)
        });
    })
    .await
    .unwrap();
    world.end().await;
}

#[tokio::test]
async fn what_a_route_asks_for_and_cannot_have_is_said_in_its_status() {
    let world = World::new("lost-routes").await;
    edge(&world).await;
    route(&world, "TCPRoute", ("http", "missing"), json!({})).await;
    route(&world, "UDPRoute", ("udp", "missing"), json!({})).await;
    let hosts = json!({ "hostnames": ["shop.example"] });
    route(&world, "TLSRoute", ("tcp", "missing"), hosts).await;
    let elsewhere =
        json!([{ "backendRefs": [{ "name": "web", "namespace": "kube-system", "port": 80 }] }]);
    let calls = json!({ "rules": elsewhere });
    route(&world, "GRPCRoute", ("http", "web"), calls).await;
    for (kind, listener, wanted) in [
        (
            "TCPRoute",
            "http",
            ["False NotAllowedByListeners", "False BackendNotFound"],
        ),
        (
            "UDPRoute",
            "udp",
            ["True Accepted", "False BackendNotFound"],
        ),
        (
            "TLSRoute",
            "tcp",
            ["False NotAllowedByListeners", "False BackendNotFound"],
        ),
        (
            "GRPCRoute",
            "http",
            ["True Accepted", "False RefNotPermitted"],
        ),
    ] {
        until_said(&world, kind, listener, wanted).await;
    }
    // What was said is taken back when the route is no route of ours any more.
    let spec = json!({ "spec": { "parentRefs": [{ "name": "nobody" }] } });
    world.patch("UDPRoute", "udproute-udp", spec).await;
    world
        .until("UDPRoute", "udproute-udp", |route| {
            let parents = route["status"]["parents"].as_array();
            parents.is_none_or(Vec::is_empty)
        })
        .await;
    world.end().await;
}
