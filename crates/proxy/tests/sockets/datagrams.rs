//! UDP over real sockets: sessions of client addresses, whom they are given to, and how they end.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use ir::{
    Cluster, DatagramPort, Ir, ListenerKey, Port, Protocol, SocketKey, StreamRule, Transport,
};
use parking_lot::Mutex;
use proxy::{Config, Drained, Proxy, Telemetry};
use telemetry::{access_log::AccessLog, metrics::Counter};
use testkit::{
    dns::Dns,
    echo,
    stream::{TcpBackend, UdpBackend},
    wait::{DEADLINE, eventually},
};

use crate::{
    streams::{clusters, connect, drain, line, listener, rule},
    support::{cluster, serve, start_with},
};

const DNS: SocketKey = SocketKey {
    address: None,
    port: 53,
};

fn udp(rule: Option<Arc<StreamRule>>, all: Vec<Cluster>) -> Ir {
    let port = DatagramPort {
        listener: ListenerKey::of_gateway("test", "test", "dns"),
        others: vec![],
        advertised: None,
        rule,
    };
    Ir {
        datagrams: [(DNS, port)].into(),
        clusters: clusters(all),
        ..Ir::default()
    }
}

/// Everything to one cluster.
fn to(addresses: &[SocketAddr]) -> Ir {
    let rule = rule("one", &[("a", 1)]);
    udp(Some(rule), vec![cluster("a", addresses)])
}

fn started(telemetry: &Telemetry, change: impl FnOnce(&mut Config)) -> Proxy {
    start_with(
        |config| {
            config.port_map.insert(53, 0);
            change(config);
        },
        telemetry,
    )
}

/// A client that hears nobody but the gateway.
fn client(proxy: &Proxy) -> UdpSocket {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket.connect(proxy.datagram_addresses()[&DNS]).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

fn heard(socket: &UdpSocket) -> io::Result<String> {
    let mut buffer = vec![0; 64 * 1024];
    let length = socket.recv(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

fn ask(socket: &UdpSocket, text: &str) -> String {
    socket.send(text.as_bytes()).unwrap();
    heard(socket).unwrap()
}

/// Whether a number of the listener's has come to be this.
fn counted(telemetry: &Telemetry, family: &str, label: &str, word: &str, count: u64) {
    let line = format!(
        "postern_{family}_total{{listener=\"test/test/dns\",{label}=\"{word}\"}} {count}\n"
    );
    eventually(&line, || telemetry.metrics.encode().contains(&line));
}

fn dropped(telemetry: &Telemetry, word: &str, count: u64) {
    counted(telemetry, "datagrams_dropped", "reason", word, count);
}

fn ended(telemetry: &Telemetry, word: &str, count: u64) {
    counted(telemetry, "streams", "result", word, count);
}

#[test]
fn each_client_has_its_answers_and_keeps_its_backend() {
    let backends = ["a", "b", "c"].map(UdpBackend::start);
    let telemetry = Telemetry::default();
    let proxy = started(&telemetry, |_| ());
    serve(&proxy, to(&backends.each_ref().map(UdpBackend::address)));
    let clients: Vec<_> = (0..9).map(|_| client(&proxy)).collect();
    let mut known: BTreeMap<usize, String> = BTreeMap::new();
    for round in 0..3 {
        for (at, socket) in clients.iter().enumerate() {
            socket.send(format!("{at}/{round}").as_bytes()).unwrap();
        }
        for (at, socket) in clients.iter().enumerate() {
            let answer = heard(socket).unwrap();
            let (name, text) = answer.split_once(':').unwrap();
            assert_eq!(text, format!("{at}/{round}"));
            let before = known.entry(at).or_insert_with(|| name.to_owned());
            assert_eq!(before, name, "client {at}");
        }
    }
    for backend in &backends {
        let mut peers = backend.peers();
        assert_eq!(peers.len(), 9);
        peers.sort();
        peers.dedup();
        assert_eq!(peers.len(), 3, "a socket for each client");
    }
    counted(&telemetry, "stream_bytes", "direction", "in", 9 * 9);
    counted(&telemetry, "stream_bytes", "direction", "out", 9 * 15);
    let open = "postern_connections_open{listener=\"test/test/dns\"} 9\n";
    assert!(telemetry.metrics.encode().contains(open));
}

#[test]
fn shares_are_of_clients_and_one_that_leads_nowhere_drops() {
    let (a, b) = (UdpBackend::start("a"), UdpBackend::start("b"));
    let telemetry = Telemetry::default();
    let proxy = started(&telemetry, |_| ());
    let all = vec![cluster("a", &[a.address()]), cluster("b", &[b.address()])];
    let shares = rule("split", &[("a", 3), ("b", 2), ("!", 1)]);
    serve(&proxy, udp(Some(shares), all));
    let clients: Vec<_> = (0..12).map(|_| client(&proxy)).collect();
    clients
        .iter()
        .for_each(|c| assert_eq!(c.send(b"x").unwrap(), 1));
    dropped(&telemetry, "invalid_backend", 2);
    let served = || (a.peers().len(), b.peers().len());
    eventually("the shares", || served() == (6, 4));
}

#[test]
fn what_has_nowhere_to_go_is_dropped() {
    let telemetry = Telemetry::default();
    let proxy = started(&telemetry, |config| config.local_backends = false);
    let backend = UdpBackend::start("a");
    let cases = [
        (udp(None, vec![]), "no_route"),
        (udp(Some(rule("none", &[])), vec![]), "no_backend"),
        (to(&[]), "no_endpoint"),
    ];
    for (ir, word) in cases {
        serve(&proxy, ir);
        client(&proxy).send(b"x").unwrap();
        dropped(&telemetry, word, 1);
    }
    serve(&proxy, to(&[backend.address()]));
    client(&proxy).send(b"x").unwrap();
    ended(&telemetry, "connect_failed", 1);
    assert!(backend.peers().is_empty(), "it is on this machine");
}

#[test]
fn datagrams_may_be_long_or_empty_and_the_first_ones_come_in_order() {
    let backend = UdpBackend::start("a");
    let proxy = started(&Telemetry::default(), |_| ());
    serve(&proxy, to(&[backend.address()]));
    let socket = client(&proxy);
    for at in 0..8 {
        socket.send(format!("{at}").as_bytes()).unwrap();
    }
    let all: Vec<_> = (0..8).map(|_| heard(&socket).unwrap()).collect();
    let sent: Vec<_> = (0..8).map(|at| format!("a:{at}")).collect();
    assert_eq!(all, sent);
    assert_eq!(ask(&socket, &"x".repeat(60_000)).len(), 60_002);
    assert_eq!(ask(&socket, ""), "a:");
}

#[test]
fn a_session_ends_in_silence_and_makes_room() {
    let backend = UdpBackend::start("a");
    let telemetry = Telemetry::default();
    let proxy = started(&telemetry, |config| {
        config.limits.sessions = 1;
        config.deadlines.idle_session = Duration::from_millis(500);
    });
    serve(&proxy, to(&[backend.address()]));
    let (first, second) = (client(&proxy), client(&proxy));
    assert_eq!(ask(&first, "1"), "a:1");
    second.send(b"2").unwrap();
    dropped(&telemetry, "session_limit", 1);
    assert_eq!(ask(&first, "3"), "a:3", "it takes nothing from the first");
    ended(&telemetry, "idle", 1);
    assert_eq!(ask(&second, "4"), "a:4");
}

#[test]
fn sessions_of_all_ports_have_a_bound_too() {
    let backend = UdpBackend::start("a");
    let telemetry = Telemetry::default();
    let proxy = started(&telemetry, |config| {
        config.limits.all_sessions = 2;
        config.port_map.insert(54, 0);
    });
    let mut ir = to(&[backend.address()]);
    let other = SocketKey { port: 54, ..DNS };
    let mut port = ir.datagrams[&DNS].clone();
    port.listener = ListenerKey::of_gateway("test", "test", "other");
    ir.datagrams.insert(other, port);
    serve(&proxy, ir);
    let clients = [client(&proxy), client(&proxy)];
    for socket in &clients {
        assert_eq!(ask(socket, "1"), "a:1");
    }
    let late = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let address = proxy.datagram_addresses()[&other];
    late.send_to(b"2", address).unwrap();
    let word = "datagrams_dropped_total{listener=\"test/test/other\",reason=\"session_limit\"} 1";
    eventually(word, || telemetry.metrics.encode().contains(word));
    for socket in &clients {
        assert_eq!(ask(socket, "3"), "a:3");
    }
}

#[test]
fn a_backend_may_have_a_name() {
    let (dns, backend) = (Dns::start(), UdpBackend::start("a"));
    dns.says("app.test", &["127.0.0.1"], 60);
    let telemetry = Telemetry::default();
    let server = dns.address();
    let proxy = started(&telemetry, |config| config.name_servers = vec![server]);
    let mut named = cluster("a", &[]);
    named.endpoints = [ir::Endpoint::Name {
        host: "app.test".into(),
        port: backend.address().port(),
    }]
    .into();
    serve(&proxy, udp(Some(rule("one", &[("a", 1)])), vec![named]));
    let clients: Vec<_> = (0..20).map(|_| client(&proxy)).collect();
    for socket in &clients {
        socket.send(b"1").unwrap();
    }
    for socket in &clients {
        assert_eq!(heard(socket).unwrap(), "a:1");
    }
    assert_eq!(dns.asked("app.test"), 1, "a flood of sessions asks once");
}

#[test]
fn a_session_is_made_anew_when_its_rule_or_endpoint_has_gone() {
    let (a, b) = (UdpBackend::start("a"), UdpBackend::start("b"));
    let telemetry = Telemetry::default();
    let proxy = started(&telemetry, |_| ());
    serve(&proxy, to(&[a.address()]));
    let socket = client(&proxy);
    assert_eq!(ask(&socket, "1"), "a:1");
    serve(&proxy, to(&[b.address(), a.address()]));
    assert_eq!(ask(&socket, "2"), "a:2", "its endpoint is still there");
    serve(&proxy, to(&[b.address()]));
    assert_eq!(ask(&socket, "3"), "b:3");
    ended(&telemetry, "gone", 1);
    let other = rule("other", &[("a", 1)]);
    serve(&proxy, udp(Some(other), vec![cluster("a", &[a.address()])]));
    assert_eq!(ask(&socket, "4"), "a:4");
    ended(&telemetry, "gone", 2);
}

#[test]
fn a_backend_that_is_down_is_left_for_another() {
    let down = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let down_at = down.local_addr().unwrap();
    drop(down);
    let backend = UdpBackend::start("a");
    let telemetry = Telemetry::default();
    let proxy = started(&telemetry, |_| ());
    serve(&proxy, to(&[down_at, backend.address()]));
    let socket = client(&proxy);
    socket.send(b"lost").unwrap();
    ended(&telemetry, "connect_failed", 1);
    assert_eq!(ask(&socket, "again"), "a:again");
}

#[test]
fn tcp_and_udp_share_a_number() {
    let (tcp, datagrams) = (TcpBackend::start("tcp"), UdpBackend::start("udp"));
    let number = echo::unused_address().port();
    let telemetry = Telemetry::default();
    let proxy = started(&telemetry, |config| {
        config.port_map.insert(53, number);
    });
    let mut ir = to(&[datagrams.address()]);
    let streams = Port {
        protocol: Protocol::Tcp,
        advertised: None,
        listeners: vec![Arc::new(listener("*", &[("*", rule("tcp", &[("b", 1)]))]))],
    };
    ir.ports.insert(DNS, streams);
    ir.clusters
        .extend(clusters(vec![cluster("b", &[tcp.address()])]));
    serve(&proxy, ir.clone());
    let address = SocketAddr::from(([127, 0, 0, 1], number));
    assert_eq!(proxy.addresses(), [(DNS, address)].into());
    assert_eq!(proxy.datagram_addresses(), [(DNS, address)].into());
    let socket = client(&proxy);
    assert_eq!(line(&mut connect(address)), "tcp");
    assert_eq!(ask(&socket, "1"), "udp:1");
    // One goes, and the other stays.
    ir.ports.clear();
    serve(&proxy, ir.clone());
    assert_eq!(ask(&socket, "2"), "udp:2");
    eventually("the TCP port to be closed", || {
        std::net::TcpStream::connect(address).is_err()
    });
    serve(&proxy, Ir::default());
    ended(&telemetry, "gone", 1);
    eventually("the UDP port to be closed", || {
        UdpSocket::bind(address).is_ok()
    });
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let number = taken.local_addr().unwrap().port();
    let proxy = started(&Telemetry::default(), |config| {
        config.port_map.insert(53, number);
    });
    let backend = UdpBackend::start("a");
    let swapped = proxy.swap(Arc::new(to(&[backend.address()])));
    let error = &swapped.bind_errors[0];
    assert_eq!((error.transport, error.port), (Transport::Udp, DNS));
    assert!(error.to_string().contains("UDP"), "{error}");
    drop(taken);
    serve(&proxy, to(&[backend.address()]));
    assert_eq!(ask(&client(&proxy), "1"), "a:1");
}

#[test]
fn draining_takes_no_new_sessions_and_waits_for_silence() {
    let backend = UdpBackend::start("a");
    let telemetry = Telemetry::default();
    let proxy = started(&telemetry, |config| {
        config.deadlines.idle_session = Duration::from_millis(1_500);
    });
    serve(&proxy, to(&[backend.address()]));
    let socket = client(&proxy);
    assert_eq!(ask(&socket, "1"), "a:1");
    assert_eq!(drain(&proxy, Duration::from_millis(200)), Drained::Deadline);
    assert_eq!(ask(&socket, "2"), "a:2");
    client(&proxy).send(b"3").unwrap();
    dropped(&telemetry, "draining", 1);
    assert_eq!(drain(&proxy, DEADLINE), Drained::Complete);
    ended(&telemetry, "idle", 1);
}

/// What an access log writes.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// An access log, and its lines.
    pub(crate) fn log() -> (Self, Telemetry) {
        let lines = Self::default();
        let telemetry = Telemetry {
            access_log: AccessLog::to(lines.clone(), Counter::new()).unwrap(),
            ..Telemetry::default()
        };
        (lines, telemetry)
    }

    /// Waits for a line that has all of these.
    pub(crate) fn expect(&self, parts: &[&str]) {
        let text = || String::from_utf8(self.0.lock().clone()).unwrap();
        eventually("the line", || text().contains('\n'));
        for part in parts {
            assert!(text().contains(part), "{part} in {}", text());
        }
    }
}

#[test]
fn a_session_has_a_line_in_the_access_log() {
    let backend = UdpBackend::start("a");
    let (lines, telemetry) = Lines::log();
    let proxy = started(&telemetry, |_| ());
    serve(&proxy, to(&[backend.address()]));
    assert_eq!(ask(&client(&proxy), "12345"), "a:12345");
    serve(&proxy, Ir::default());
    lines.expect(&[
        "\"protocol\":\"UDP\"",
        "\"listener\":\"test/test/dns\"",
        "\"route\":\"TCPRoute/test/one\"",
        "\"result\":\"gone\"",
        "\"bytes_in\":5,\"bytes_out\":7",
        &format!("\"upstream\":\"{}\"", backend.address()),
    ]);
}
