//! TLS ports over real sockets: the server name chooses among HTTP, streams that are decrypted, and streams that are
//! not.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::{Duration, Instant},
};

use ir::{Cluster, Ir, Listener, Port, Protocol, StreamRule, TlsTermination};
use proxy::{Proxy, Telemetry};
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use testkit::{
    call::Call,
    certs::{self, Ca, Issued},
    echo::Backend as Echo,
    stream::TcpBackend,
    wait::eventually,
};

use crate::{
    datagrams::Lines,
    streams::{clusters, connect, echoed, is_closed, line, listener, rule},
    support::{HTTPS, certificate, cluster, https, serve, simple, start, start_with},
};

pub(crate) type Secured = StreamOwned<ClientConnection, TcpStream>;

pub(crate) fn termination(name: &str, issued: &Issued) -> TlsTermination {
    TlsTermination {
        certificates: vec![certificate(name, issued)],
        versions: ir::TlsVersions::All,
        ciphers: None,
        clients: ir::ClientAuth::None,
    }
}

/// A TLS port with these listeners, most specific first.
pub(crate) fn tls(listeners: Vec<Listener>, all: Vec<Cluster>) -> Ir {
    let port = Port {
        protocol: Protocol::Tls,
        advertised: None,
        listeners: listeners.into_iter().map(Arc::new).collect(),
    };
    Ir {
        ports: [(HTTPS, port)].into(),
        clusters: clusters(all),
        ..Ir::default()
    }
}

pub(crate) fn to(cluster: &str) -> Arc<StreamRule> {
    rule(cluster, &[(cluster, 1)])
}

/// A client that has not shaken hands yet.
pub(crate) fn client(proxy: &Proxy, config: ClientConfig, name: &str) -> Secured {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(connection, connect(https(proxy)))
}

/// What a handshake comes to.
fn shaken(stream: &mut Secured) -> Result<(), String> {
    while stream.conn.is_handshaking() {
        let done = stream.conn.complete_io(&mut stream.sock);
        done.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Nothing was said: the connection has just ended.
fn assert_closed(stream: &mut Secured) {
    let error = shaken(stream).unwrap_err();
    let ends = ["end of file", "reset"];
    assert!(ends.iter().any(|end| error.contains(end)), "{error}");
}

#[test]
fn passed_through_the_backend_shakes_hands_itself() {
    let ca = Ca::new("backends");
    let config = ca.issue(&["a.com"]).server_config(&["own/1"]);
    let (config, names) = certs::recording_names(config);
    let backend = TcpBackend::start_tls("secure", config);
    let (lines, telemetry) = Lines::log();
    let proxy = start_with(|_| (), &telemetry);
    // TLS towards a backend is not for what is TLS already.
    let mut own = cluster("a", &[backend.address()]);
    own.tls = Some(Arc::new(ir::UpstreamTls {
        name: ir::UpstreamName::Host,
        send_name: true,
        verify: ir::Verify::No,
        names: vec![],
        certificate: None,
    }));
    let through = listener("*.com", &[("a.com", to("a"))]);
    serve(&proxy, tls(vec![through], vec![own]));
    let mut stream = client(&proxy, ca.client_config(&["own/1"]), "a.com");
    assert_eq!(line(&mut stream), "secure");
    echoed(&mut stream, "hello");
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"own/1"[..]));
    assert_eq!(names.take(), [Some("a.com".to_owned())]);
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    assert_eq!(line(&mut stream), "bye");
    drop(stream);
    lines.expect(&[
        "\"protocol\":\"TLS\",\"listener\":\"test/test/*.com\",\"server_name\":\"a.com\"",
        "\"result\":\"ended\"",
        &format!("\"upstream\":\"{}\",\"attempts\":1", backend.address()),
    ]);
}

#[test]
fn a_hello_may_come_in_small_pieces() {
    let ca = Ca::new("backends");
    let config = ca.issue(&["a.com"]).server_config(&[]);
    let backend = TcpBackend::start_tls("secure", config);
    let proxy = start(|_| ());
    let through = listener("a.com", &[("a.com", to("a"))]);
    serve(
        &proxy,
        tls(vec![through], vec![cluster("a", &[backend.address()])]),
    );
    let mut stream = client(&proxy, ca.client_config(&[]), "a.com");
    stream.sock.set_nodelay(true).unwrap();
    let mut hello = Vec::new();
    stream.conn.write_tls(&mut hello).unwrap();
    for piece in hello.chunks(7) {
        stream.sock.write_all(piece).unwrap();
    }
    assert_eq!(line(&mut stream), "secure");
}

#[test]
fn decrypted_here_the_backend_gets_what_is_inside() {
    let ca = Ca::new("ours");
    let backend = TcpBackend::start("plain");
    let proxy = start(|_| ());
    let mut here = listener("a.com", &[("a.com", to("a"))]);
    here.tls = Some(termination("a.com", &ca.issue(&["a.com"])));
    serve(
        &proxy,
        tls(vec![here], vec![cluster("a", &[backend.address()])]),
    );
    // What is spoken inside is not ours to agree on.
    let mut stream = client(&proxy, ca.client_config(&["mqtt"]), "a.com");
    assert_eq!(line(&mut stream), "plain");
    echoed(&mut stream, "hello");
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    assert_eq!(line(&mut stream), "bye");
}

#[test]
fn one_port_has_http_and_both_kinds_of_streams() {
    let (ours, theirs) = (Ca::new("ours"), Ca::new("theirs"));
    let echo = Echo::start("web");
    let plain = TcpBackend::start("plain");
    let own = theirs.issue(&["through.com"]).server_config(&[]);
    let own = TcpBackend::start_tls("own", own);
    let telemetry = Telemetry::default();
    let proxy = start_with(|_| (), &telemetry);
    let web = ours.issue(&["web.com"]);
    let web = simple(echo.address()).listeners(vec![("web.com", Some(&web))]);
    let http = Listener::clone(&web.ports[&HTTPS].listeners[0]);
    let mut here = listener("here.com", &[("here.com", to("plain"))]);
    here.tls = Some(termination("here.com", &ours.issue(&["here.com"])));
    let through = listener(
        "*",
        &[("through.com", to("own")), ("*.deep.com", to("own"))],
    );
    let mut all: Vec<_> = web.clusters.values().map(|c| Cluster::clone(c)).collect();
    all.push(cluster("plain", &[plain.address()]));
    all.push(cluster("own", &[own.address()]));
    serve(&proxy, tls(vec![http, here, through], all));

    for http2 in [false, true] {
        let call = Call::get(https(&proxy), "https://web.com/");
        let alpn = if http2 { "h2" } else { "http/1.1" };
        let call = call.tls(Arc::new(ours.client_config(&[alpn])), "web.com");
        let call = if http2 { call.http2() } else { call };
        assert_eq!(call.send_blocking().unwrap().backend(), "web");
    }
    let mut stream = client(&proxy, ours.client_config(&[]), "here.com");
    assert_eq!(line(&mut stream), "plain");
    let mut stream = client(&proxy, theirs.client_config(&[]), "through.com");
    assert_eq!(line(&mut stream), "own");
    // The rules of one listener are for the streams of another as little as for its requests.
    let other = Call::get(https(&proxy), "https://here.com/")
        .tls(Arc::new(ours.client_config(&["http/1.1"])), "web.com");
    assert_eq!(other.send_blocking().unwrap().status, 421);
    let mut stream = client(&proxy, theirs.client_config(&[]), "nobody.com");
    assert_closed(&mut stream);
    let word = "postern_streams_total{listener=\"test/test/*\",result=\"no_route\"} 1";
    eventually("the word", || telemetry.metrics.encode().contains(word));
}

#[test]
fn without_a_server_name_only_a_listener_for_every_host_answers() {
    let ca = Ca::new("ours");
    let backend = TcpBackend::start("plain");
    let telemetry = Telemetry::default();
    let proxy = start_with(|_| (), &telemetry);
    let here = |hostname: &str| {
        let mut here = listener(hostname, &[(hostname, to("a"))]);
        here.tls = Some(termination("a.com", &ca.issue(&["a.com"])));
        tls(vec![here], vec![cluster("a", &[backend.address()])])
    };
    let nameless = || {
        let mut config = ca.client_config(&[]);
        config.enable_sni = false;
        config
    };
    serve(&proxy, here("a.com"));
    let mut stream = client(&proxy, nameless(), "a.com");
    assert_closed(&mut stream);
    eventually("the word", || {
        let text = telemetry.metrics.encode();
        text.contains("connections_rejected_total{reason=\"no_listener\"} 1")
    });
    serve(&proxy, here("*"));
    let mut stream = client(&proxy, nameless(), "a.com");
    assert_eq!(line(&mut stream), "plain");
}

#[test]
fn what_is_no_hello_is_closed() {
    let backend = TcpBackend::start("plain");
    let telemetry = Telemetry::default();
    let proxy = start_with(
        |config| config.deadlines.tls_handshake = Duration::from_millis(500),
        &telemetry,
    );
    let through = listener("*", &[("*", to("a"))]);
    serve(
        &proxy,
        tls(vec![through], vec![cluster("a", &[backend.address()])]),
    );
    let rejected = |word: &str, count: u32| {
        let line = format!("connections_rejected_total{{reason=\"{word}\"}} {count}\n");
        eventually(word, || telemetry.metrics.encode().contains(&line));
    };
    let mut stream = connect(https(&proxy));
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a.com\r\n\r\n")
        .unwrap();
    let mut told = Vec::new();
    // It may be told so, and the rest of what it sent may be in the way of a clean end.
    drop(stream.read_to_end(&mut told));
    assert!(told.len() <= 7, "{told:?}");
    rejected("tls", 1);

    // A hello that goes on and on: handshake records of a message of 16 MiB.
    let mut stream = connect(https(&proxy));
    let record = [&[22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff][..], &[0; 16_380]].concat();
    let begun = (0..64).find(|_| stream.write_all(&record).is_err());
    assert!(
        begun.is_some() || is_closed(&stream),
        "somebody takes it all"
    );
    rejected("tls", 2);

    let begun = Instant::now();
    let mut slow = connect(https(&proxy));
    slow.write_all(&[22, 3, 1]).unwrap();
    assert!(is_closed(slow));
    assert!(begun.elapsed() >= Duration::from_millis(500));
    rejected("tls_timeout", 1);
    assert_eq!(backend.connections(), 0);
}
