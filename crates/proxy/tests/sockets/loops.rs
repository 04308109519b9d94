//! Backends that are the gateway itself are not asked.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use ir::{ClusterKey, DatagramPort, Endpoint, Ir, ListenerKey, SocketKey};
use proxy::{Loop, Proxy, Telemetry};
use testkit::{
    call::{Answer, Call},
    dns::Dns,
    echo::Backend as Echo,
    wait::eventually,
};

use crate::{
    streams::{clusters, connect, is_closed, rule, tcp},
    support::{HTTP, cluster, http, simple, start, start_with},
};

const DNS: SocketKey = SocketKey {
    address: None,
    port: 53,
};

fn get(address: SocketAddr) -> Answer {
    let call = Call::get(address, "http://a.com/");
    call.send_blocking().unwrap()
}

/// Where the port is once it is bound; then everything is sent to these addresses.
fn turned(proxy: &Proxy, to: impl FnOnce(SocketAddr) -> Vec<SocketAddr>) -> Vec<Loop> {
    let first = simple(([127, 0, 0, 1], 9).into()).ir();
    assert_eq!(proxy.swap(first.into()).loops, []);
    let mut config = simple(http(proxy));
    config.clusters = vec![cluster("a", &to(http(proxy)))];
    proxy.swap(config.ir().into()).loops
}

fn looped(endpoint: SocketAddr) -> Loop {
    let cluster = ClusterKey("a".into());
    Loop { cluster, endpoint }
}

#[test]
fn a_listener_of_ours_is_not_asked() {
    let telemetry = Telemetry::default();
    let proxy = start_with(|_| (), &telemetry);
    let loops = turned(&proxy, |own| vec![own]);
    assert_eq!(loops, [looped(http(&proxy))]);
    let answer = get(http(&proxy));
    assert_eq!(answer.status, 503);
    assert_eq!(&answer.body[..], b"backend_loop");
    let counted = "postern_gateway_responses_total{reason=\"backend_loop\"} 1";
    eventually("it came once", || {
        telemetry.metrics.encode().contains(counted)
    });
}

#[test]
fn other_endpoints_of_the_backend_are() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let loops = turned(&proxy, |own| vec![own, echo.address()]);
    assert_eq!(loops, [looped(http(&proxy))]);
    (0..6).for_each(|_| assert_eq!(get(http(&proxy)).backend(), "a"));
}

#[test]
fn the_same_port_at_another_address_is_somebody_else() {
    let proxy = start(|_| ());
    let mut echo = None;
    let loops = turned(&proxy, |own| {
        let beside = SocketAddr::new([127, 0, 0, 2].into(), own.port());
        echo = Some(Echo::builder().at(beside).start("a"));
        vec![beside]
    });
    assert_eq!(loops, []);
    assert_eq!(get(http(&proxy)).backend(), "a");
}

/// An address of this machine that others know it by, where it has one. Nothing is sent.
fn outer() -> Option<IpAddr> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

#[test]
fn a_port_that_is_bound_to_every_address_is_at_each_of_them() {
    let any = |config: &mut proxy::Config| config.bind = [0, 0, 0, 0].into();
    let proxy = start(any);
    let own: Vec<IpAddr> = outer().into_iter().chain([[127, 0, 0, 8].into()]).collect();
    let loops = turned(&proxy, |bound| {
        let here = own.iter().map(|ip| SocketAddr::new(*ip, bound.port()));
        here.collect()
    });
    assert_eq!(loops.len(), own.len());
    let port = http(&proxy).port();
    for ip in own {
        let answer = get(SocketAddr::new(ip, port));
        assert_eq!(&answer.body[..], b"backend_loop", "{ip}");
    }
}

#[test]
fn a_name_of_ours_is_no_way_round() {
    let dns = Dns::start();
    dns.says("me.test", &["127.0.0.1"], 60);
    let proxy = start(|config| config.name_servers = vec![dns.address()]);
    turned(&proxy, |own| vec![own]);
    let mut config = simple(http(&proxy));
    let (host, port) = ("me.test".into(), http(&proxy).port());
    config.clusters[0].endpoints = [Endpoint::Name { host, port }].into();
    proxy.swap(config.ir().into());
    let answer = get(http(&proxy));
    assert_eq!(&answer.body[..], b"backend_loop");
}

#[test]
fn streams_and_datagrams_do_not_go_round_either() {
    let telemetry = Telemetry::default();
    let proxy = start_with(
        |config| {
            config.port_map.insert(53, 0);
        },
        &telemetry,
    );
    let ir = |to: [SocketAddr; 2]| {
        let [stream, datagram] = to;
        let mut ir = tcp(
            Some(rule("stream", &[("a", 1)])),
            vec![cluster("a", &[stream])],
        );
        let port = DatagramPort {
            listener: ListenerKey::of_gateway("test", "test", "dns"),
            others: vec![],
            advertised: None,
            rule: Some(rule("dns", &[("b", 1)])),
        };
        ir.datagrams = [(DNS, port)].into();
        ir.clusters
            .extend(clusters(vec![cluster("b", &[datagram])]));
        ir
    };
    let nobody: SocketAddr = ([127, 0, 0, 1], 9).into();
    assert_eq!(proxy.swap(Ir::clone(&ir([nobody; 2])).into()).loops, []);
    let (stream, datagram) = (proxy.addresses()[&HTTP], proxy.datagram_addresses()[&DNS]);
    assert_eq!(proxy.swap(ir([stream, datagram]).into()).loops.len(), 2);
    assert!(is_closed(connect(stream)));
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket.connect(datagram).unwrap();
    socket.send(b"x").unwrap();
    for listener in ["test/test/*", "test/test/dns"] {
        let ended = format!("{{listener=\"{listener}\",result=\"backend_loop\"}} 1");
        eventually(&ended, || telemetry.metrics.encode().contains(&ended));
    }
}
