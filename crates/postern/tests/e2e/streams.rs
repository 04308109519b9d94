//! TCPRoutes, TLSRoutes and UDPRoutes: what clients send goes to the backends of the route, from port to port.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    path::Path,
    sync::Arc,
};

use rustls::{ClientConnection, StreamOwned};
use tempfile::TempDir;
use testkit::{
    certs::{Ca, recording_names},
    stream::{TcpBackend, UdpBackend},
    wait::{DEADLINE, eventually},
};

use crate::support::{Gateway, Start, secret};

const GATEWAY: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: postern
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: tcp, port: 53, protocol: TCP}
  - {name: udp, port: 53, protocol: UDP}
  - {name: end, port: 443, protocol: TLS, hostname: end.example.com, tls: {mode: Terminate, certificateRefs: [{name: pair}]}}
  - {name: pass, port: 443, protocol: TLS, hostname: "*.pass.example.com", tls: {mode: Passthrough}}
  - {name: web, port: 443, protocol: HTTPS, hostname: web.example.com, tls: {certificateRefs: [{name: pair}]}}
"#;

/// A Service with these endpoints.
fn service(name: &str, endpoints: &[SocketAddr], protocol: &str) -> String {
    let endpoints: Vec<_> = endpoints.iter().map(ToString::to_string).collect();
    let endpoints = endpoints.join(",");
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, annotations: {{postern.dev/endpoints: '{endpoints}'}}}}\n\
         spec: {{ports: [{{port: 5000, protocol: {protocol}}}]}}\n"
    )
}

/// A route of that kind to some Services, for some listener.
fn route(kind: &str, name: &str, (more, backends): (&str, &[&str])) -> String {
    let backends = backends
        .iter()
        .map(|name| format!("{{name: {name}, port: 5000}}"));
    let backends = backends.collect::<Vec<_>>().join(", ");
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\nmetadata: {{name: {name}}}\n\
         spec: {{parentRefs: [{{name: gw}}]{more}, rules: [{{backendRefs: [{backends}]}}]}}\n"
    )
}

fn serve(folder: &Path) -> Gateway {
    Start::default().arg("--port-map").arg("53=0").serve(folder)
}

fn folder(parts: &[String]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = [GATEWAY.to_owned(), parts.concat()].concat();
    fs::write(folder.path().join("all.yaml"), text).unwrap();
    folder
}

/// Reads the name that a backend says first.
fn greeting(stream: &mut impl Read) -> String {
    let (mut name, mut byte) = (Vec::new(), [0]);
    while stream.read(&mut byte).unwrap_or(0) == 1 && byte != *b"\n" {
        name.push(byte[0]);
    }
    String::from_utf8(name).unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

#[test]
fn tcp_and_udp_of_one_port_number_go_their_own_ways() {
    let (tcp, udp) = (TcpBackend::start("over-tcp"), UdpBackend::start("over-udp"));
    let folder = folder(&[
        service("tcp", &[tcp.address()], "TCP"),
        service("udp", &[udp.address()], "UDP"),
        route("TCPRoute", "tcp", ("", &["tcp"])),
        route("UDPRoute", "udp", ("", &["udp"])),
    ]);
    let gateway = serve(folder.path());
    let mut stream = connect(gateway.address(53));
    assert_eq!(greeting(&mut stream), "over-tcp");
    stream.write_all(b"question").unwrap();
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"question");

    let status = gateway.status();
    let bound = status["addresses"]["*:53/udp"].as_str().unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.connect(bound).unwrap();
    client.send(b"question").unwrap();
    let mut answer = [0; 64];
    let length = client.recv(&mut answer).unwrap();
    assert_eq!(&answer[..length], b"over-udp:question");
}

#[test]
fn a_server_name_says_what_is_done_with_tls() {
    let ca = Ca::new("servers");
    let inner = ca.issue(&["a.pass.example.com"]);
    let (config, asked) = recording_names(inner.server_config(&[]));
    let passed = TcpBackend::start_tls("passed-on", config);
    let ended = TcpBackend::start("decrypted");
    let pair = ca.issue(&["end.example.com", "web.example.com"]);
    let entries = [("tls.crt", &*pair.cert_pem), ("tls.key", &*pair.key_pem)];
    let hosts = ", hostnames: [a.pass.example.com]";
    let folder = folder(&[
        format!("---\n{}", secret("pair", &entries)),
        service("passed", &[passed.address()], "TCP"),
        service("ended", &[ended.address()], "TCP"),
        route("TLSRoute", "passed", (hosts, &["passed"])),
        route(
            "TLSRoute",
            "ended",
            (", hostnames: [end.example.com]", &["ended"]),
        ),
    ]);
    let gateway = serve(folder.path());
    let address = gateway.address(443);
    let config = Arc::new(ca.client_config(&[]));
    let greeted = |host: &'static str| {
        let name = rustls_pki_types::ServerName::try_from(host).unwrap();
        let connection = ClientConnection::new(Arc::clone(&config), name).unwrap();
        greeting(&mut StreamOwned::new(connection, connect(address)))
    };
    // The backend's own certificate is what the client has verified.
    assert_eq!(greeted("a.pass.example.com"), "passed-on");
    assert_eq!(asked.take(), [Some("a.pass.example.com".to_owned())]);
    assert_eq!(greeted("end.example.com"), "decrypted");
    // Listener, but no route; then no listener.
    assert_eq!(greeted("b.pass.example.com"), "");
    assert_eq!(greeted("elsewhere.example.com"), "");
    assert_eq!((passed.connections(), ended.connections()), (1, 1));
    // The same port speaks HTTP where a listener of protocol HTTPS is asked for.
    let call = testkit::call::Call::get(address, "https://web.example.com/");
    let call = call.tls(Arc::clone(&config), "web.example.com");
    assert_eq!(call.send_blocking().unwrap().status.as_u16(), 404);
}

#[test]
fn the_older_of_two_routes_has_the_port_until_it_goes() {
    let backends = ["older", "younger"].map(|name| (name, TcpBackend::start(name)));
    let services = backends.each_ref();
    let services = services.map(|(name, backend)| service(name, &[backend.address()], "TCP"));
    let folder = folder(&services);
    for (name, year) in [("older", 2025), ("younger", 2026)] {
        let route = route("TCPRoute", name, ("", &[name]));
        let named = format!("{{name: {name}}}");
        let aged = format!("{{name: {name}, creationTimestamp: '{year}-01-01T00:00:00Z'}}");
        let route = route.replacen(&named, &aged, 1);
        fs::write(folder.path().join(format!("{name}.yaml")), route).unwrap();
    }
    let gateway = serve(folder.path());
    let address = gateway.address(53);
    let mut first = connect(address);
    assert_eq!(greeting(&mut first), "older");
    let generation = gateway.generation();
    fs::remove_file(folder.path().join("older.yaml")).unwrap();
    gateway.wait_beyond(generation);
    assert_eq!(greeting(&mut connect(address)), "younger");
    // What is open stays open.
    first.write_all(b"still").unwrap();
    let mut answer = [0; 5];
    first.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"still");
}

#[test]
fn shares_of_a_backend_that_is_not_there_are_closed() {
    let good = TcpBackend::start("good");
    let folder = folder(&[
        service("good", &[good.address()], "TCP"),
        route("TCPRoute", "half", ("", &["good", "missing"])),
    ]);
    let gateway = serve(folder.path());
    let address = gateway.address(53);
    let mut greetings: Vec<_> = (0..20).map(|_| greeting(&mut connect(address))).collect();
    greetings.sort();
    let good = greetings.iter().filter(|name| *name == "good").count();
    assert_eq!(good, 10, "{greetings:?}");
    let closed = "postern_streams_total{listener=\"default/gw/tcp\",result=\"invalid_backend\"} 10";
    eventually("the closed ones are counted", || {
        let metrics = gateway.page("/metrics").body;
        String::from_utf8_lossy(&metrics).contains(closed)
    });
}

/// The Services that the page about Gateway API speaks of.
const OF_PAGE: &str = r#"
---
{apiVersion: v1, kind: Service, metadata: {name: dns}, spec: {ports: [{name: udp, port: 53, protocol: UDP}, {name: tcp, port: 53}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: dns-next}, spec: {ports: [{port: 53}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: shop}, spec: {ports: [{port: 443}]}}
"#;

#[test]
fn the_page_about_gateway_api_shows_what_is_taken() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gateway-api.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, block) = page.split_once("```yaml\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("all.yaml"), [block, OF_PAGE].concat()).unwrap();
    let output = crate::support::postern(&["check", "-f", folder.path().to_str().unwrap()]);
    let told = crate::support::text(&output.stdout);
    assert!(output.status.success(), "{told}");
    for line in ["no problems", "UDPRoute/default/dns", "default/streams/tls"] {
        assert!(told.contains(line), "{told}");
    }
}
