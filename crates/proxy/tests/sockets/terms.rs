//! Connections of a TLS port that outlive changes of their port, and those that do not.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use ir::{Authorities, ClientAuth, Cluster, Ir, Listener, Protocol};
use proxy::{Proxy, Telemetry};
use testkit::{
    certs::Ca,
    echo::Backend as Echo,
    stream::TcpBackend,
    wait::{DEADLINE, eventually},
};

use crate::{
    streams::{echoed, is_closed, line, listener},
    support::{HTTPS, cluster, serve, simple, start_with},
    tls_streams::{Secured, client, termination, tls, to},
};

/// A port with HTTP for `web.com`, and streams that are decrypted for `here.com` and passed on for `through.com`.
struct Shared {
    ours: Ca,
    theirs: Ca,
    echo: Echo,
    plain: TcpBackend,
    own: TcpBackend,
    telemetry: Telemetry,
    proxy: Proxy,
}

impl Shared {
    fn start(change: impl FnOnce(&mut proxy::Config)) -> Self {
        let (ours, theirs) = (Ca::new("ours"), Ca::new("theirs"));
        let own = theirs.issue(&["through.com"]).server_config(&[]);
        let telemetry = Telemetry::default();
        let proxy = start_with(
            |config| {
                // One does everything, and in order.
                config.workers = 1;
                config.deadlines.leave = Duration::from_millis(300);
                change(config);
            },
            &telemetry,
        );
        Self {
            echo: Echo::start("web"),
            plain: TcpBackend::start("plain"),
            own: TcpBackend::start_tls("own", own),
            ours,
            theirs,
            telemetry,
            proxy,
        }
    }

    fn web(&self) -> Ir {
        let issued = self.ours.issue(&["web.com"]);
        simple(self.echo.address()).listeners(vec![("web.com", Some(&issued))])
    }

    fn all(&self) -> Ir {
        let web = self.web();
        let http = Listener::clone(&web.ports[&HTTPS].listeners[0]);
        let mut here = listener("here.com", &[("here.com", to("plain"))]);
        here.tls = Some(termination("here.com", &self.ours.issue(&["here.com"])));
        let through = listener("through.com", &[("through.com", to("own"))]);
        let mut all: Vec<_> = web.clusters.values().map(|c| Cluster::clone(c)).collect();
        all.push(cluster("plain", &[self.plain.address()]));
        all.push(cluster("own", &[self.own.address()]));
        tls(vec![http, here, through], all)
    }

    /// An HTTPS connection that has served a request.
    fn web_client(&self) -> Secured {
        let config = self.ours.client_config(&["http/1.1"]);
        let mut stream = client(&self.proxy, config, "web.com");
        requested(&mut stream);
        stream
    }

    fn here(&self) -> Secured {
        let mut stream = client(&self.proxy, self.ours.client_config(&[]), "here.com");
        assert_eq!(line(&mut stream), "plain");
        stream
    }

    fn through(&self) -> Secured {
        let mut stream = client(&self.proxy, self.theirs.client_config(&[]), "through.com");
        assert_eq!(line(&mut stream), "own");
        stream
    }

    /// A client of `through.com` that has sent half of its hello, and the other half.
    fn half(&self) -> (Secured, Vec<u8>) {
        let mut stream = client(&self.proxy, self.theirs.client_config(&[]), "through.com");
        let mut hello = Vec::new();
        stream.conn.write_tls(&mut hello).unwrap();
        let rest = hello.split_off(hello.len() / 2);
        stream.sock.write_all(&hello).unwrap();
        (stream, rest)
    }

    /// The listener's clients have to show a certificate of this authority.
    fn demand(&self, ir: &mut Ir, at: usize) {
        let port = ir.ports.get_mut(&HTTPS).unwrap();
        let listener = Arc::make_mut(&mut port.listeners[at]);
        listener.tls.as_mut().unwrap().clients = ClientAuth::Required(Authorities {
            source: "ConfigMap/test/ca".into(),
            pem: self.ours.pem().into(),
        });
    }
}

/// A request and its answer; the connection stays.
fn requested(stream: &mut Secured) {
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: web.com\r\n\r\n")
        .unwrap();
    assert_eq!(line(stream), "HTTP/1.1 200 OK\r");
    let mut length = None;
    loop {
        let header = line(stream).trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = Some(value.parse().unwrap());
        }
    }
    let mut body = vec![0; length.unwrap()];
    stream.read_exact(&mut body).unwrap();
}

/// Nothing comes for so long, not even the end.
fn assert_quiet(socket: &TcpStream, time: Duration) {
    socket.set_read_timeout(Some(time)).unwrap();
    let kind = socket.peek(&mut [0]).unwrap_err().kind();
    let quiet = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
    assert!(quiet.contains(&kind), "{kind}");
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
}

const LONGER_THAN_LEAVE: Duration = Duration::from_secs(1);

#[test]
fn what_happens_to_others_during_a_hello_ends_no_stream() {
    let shared = Shared::start(|_| ());
    let ir = shared.all();
    serve(&shared.proxy, ir.clone());
    let (mut stream, rest) = shared.half();
    let mut web = shared.web_client();
    let mut stricter = ir;
    shared.demand(&mut stricter, 0);
    serve(&shared.proxy, stricter);
    assert!(is_closed(&mut web), "the worker has heard of it");
    stream.sock.write_all(&rest).unwrap();
    assert_eq!(line(&mut stream), "own");
    assert_quiet(&stream.sock, LONGER_THAN_LEAVE);
    echoed(&mut stream, "still there");
}

#[test]
fn the_deadline_of_heads_is_not_that_of_handshakes() {
    let shared = Shared::start(|config| config.deadlines.header = Duration::from_millis(250));
    serve(&shared.proxy, shared.all());
    let (mut stream, rest) = shared.half();
    assert_quiet(&stream.sock, Duration::from_millis(1_500));
    stream.sock.write_all(&rest).unwrap();
    assert_eq!(line(&mut stream), "own");
    assert_quiet(&stream.sock, LONGER_THAN_LEAVE);
    echoed(&mut stream, "still there");
    // Nor where HTTP follows, alone on its port or not.
    for ir in [shared.all(), shared.web()] {
        serve(&shared.proxy, ir);
        let config = shared.ours.client_config(&["http/1.1"]);
        let mut web = client(&shared.proxy, config, "web.com");
        assert_quiet(&web.sock, Duration::from_millis(1_500));
        requested(&mut web);
    }
}

#[test]
fn streams_that_join_a_port_or_leave_it_end_nothing_of_others() {
    let shared = Shared::start(|_| ());
    serve(&shared.proxy, shared.web());
    let mut web = shared.web_client();
    serve(&shared.proxy, shared.all());
    assert_quiet(&web.sock, LONGER_THAN_LEAVE);
    requested(&mut web);
    let mut through = shared.through();
    let mut alone = shared.web();
    assert_eq!(alone.ports[&HTTPS].protocol, Protocol::Https);
    serve(&shared.proxy, alone.clone());
    assert_quiet(&web.sock, LONGER_THAN_LEAVE);
    requested(&mut web);
    echoed(&mut through, "for as long as it likes");
    shared.demand(&mut alone, 0);
    serve(&shared.proxy, alone);
    assert!(is_closed(&mut web));
}

#[test]
fn what_was_decrypted_before_more_was_asked_of_clients_ends() {
    let shared = Shared::start(|_| ());
    let ir = shared.all();
    serve(&shared.proxy, ir.clone());
    let (mut web, mut here, mut through) = (shared.web_client(), shared.here(), shared.through());
    let mut stricter = ir;
    shared.demand(&mut stricter, 1);
    serve(&shared.proxy, stricter);
    echoed(&mut here, "for a while");
    assert!(is_closed(&here.sock));
    let gone = "postern_streams_total{listener=\"test/test/here.com\",result=\"gone\"} 1";
    eventually("the word", || {
        shared.telemetry.metrics.encode().contains(gone)
    });
    echoed(&mut through, "their own affair");
    requested(&mut web);
}

#[test]
fn a_listener_that_does_something_else_ends_what_it_did() {
    let shared = Shared::start(|_| ());
    let mut ir = shared.all();
    serve(&shared.proxy, ir.clone());
    let (mut web, mut here, through) = (shared.web_client(), shared.here(), shared.through());
    let port = ir.ports.get_mut(&HTTPS).unwrap();
    let through_com = Arc::make_mut(&mut port.listeners[2]);
    through_com.tls = Some(termination(
        "through.com",
        &shared.ours.issue(&["through.com"]),
    ));
    serve(&shared.proxy, ir);
    assert!(is_closed(&through.sock));
    echoed(&mut here, "as it was");
    requested(&mut web);
}
