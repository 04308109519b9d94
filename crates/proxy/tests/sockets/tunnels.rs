//! Connections that have switched to another protocol: how many there may be, for how long, and who knows of them.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use ir::Action;
use testkit::{
    echo::Backend as Echo,
    wait::{DEADLINE, eventually},
};

use crate::{
    logged::Logged,
    support::{Config1, cluster, forward, http, route, serve, simple, start, start_with},
    wire::Source,
};

const UPGRADE: &[u8] =
    b"GET /tunnel HTTP/1.1\r\nHost: a.com\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

/// A tunnel; nothing where the connection is refused.
fn tunnel(address: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    // One that is closed at once may not even take this.
    let _ = stream.write_all(UPGRADE);
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    Some(stream)
}

fn echoes(stream: &mut TcpStream) -> bool {
    let mut answer = [0; 4];
    stream.write_all(b"ping").is_ok() && stream.read_exact(&mut answer).is_ok()
}

#[test]
fn tunnels_are_connections_of_their_port() {
    let echo = Echo::start("a");
    let logged = Logged::new();
    let proxy = start_with(|config| config.limits.connections = 5, &logged.telemetry);
    serve(&proxy, simple(echo.address()).ir());
    let address = http(&proxy);
    let mut open: Vec<_> = (0..12).filter_map(|_| tunnel(address)).collect();
    assert_eq!(open.len(), 5, "of twelve");
    assert!(open.iter_mut().all(echoes));
    let rejected = "postern_connections_rejected_total{reason=\"limit\"}";
    assert_eq!(logged.number(rejected), Some(7));
    let gauge = |name: &str| logged.number(&format!("postern_{name}{{listener=\"port/80\"}}"));
    assert_eq!(gauge("tunnels_open"), Some(5));
    assert_eq!(gauge("connections_open"), Some(5));
    open.truncate(4);
    eventually("one has ended", || gauge("tunnels_open") == Some(4));
    eventually("there is room for another", || {
        open.extend(tunnel(address));
        open.len() == 5
    });
    drop(open);
    eventually("all have ended", || {
        gauge("tunnels_open") == Some(0) && gauge("connections_open") == Some(0)
    });
}

#[test]
fn a_tunnel_through_which_nothing_passes_ends() {
    let echo = Echo::start("a");
    let logged = Logged::new();
    let proxy = start_with(
        |config| config.deadlines.idle_stream = Duration::from_millis(900),
        &logged.telemetry,
    );
    serve(&proxy, simple(echo.address()).ir());
    let mut stream = tunnel(http(&proxy)).unwrap();
    // What passes keeps it open for longer than that.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1_500) {
        assert!(echoes(&mut stream), "after {:?}", begun.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "closed");
    eventually("it is logged", || {
        logged.outcomes("/tunnel") == [(101, "idle".to_owned())]
    });
}

#[test]
fn what_the_end_of_the_process_cuts_off_says_so() {
    let source = Source::start(30_000_000);
    let echo = Echo::start("b");
    let logged = Logged::new();
    let proxy = start_with(|_| (), &logged.telemetry);
    let config = Config1 {
        routes: vec![
            route("/", vec![], Action::Forward(forward("a"))),
            route("/tunnel", vec![], Action::Forward(forward("b"))),
        ],
        clusters: vec![
            cluster("a", &[source.address()]),
            cluster("b", &[echo.address()]),
        ],
    };
    serve(&proxy, config.ir());
    let tunnel = tunnel(http(&proxy)).unwrap();
    let mut reader = TcpStream::connect(http(&proxy)).unwrap();
    reader
        .write_all(b"GET /large HTTP/1.1\r\nHost: a.com\r\n\r\n")
        .unwrap();
    reader.read_exact(&mut [0; 1_000]).unwrap();
    drop(proxy);
    let cut = |status| [(status, "shut_down".to_owned())];
    assert_eq!(logged.outcomes("/large"), cut(200));
    assert_eq!(logged.outcomes("/tunnel"), cut(101));
    drop((tunnel, reader));
}

/// What the kernel waits for in the connections that lead to or from a port: 2 is the time to ask whether the peer is
/// alive.
#[cfg(target_os = "linux")]
fn timers(port: u16, local: bool) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
    let port = format!(":{port:04X}");
    let lines = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let address = fields[if local { 1 } else { 2 }];
        let established = fields[3] == "01";
        let timer = fields[5].split(':').next()?;
        (established && address.ends_with(&port)).then(|| timer.to_owned())
    });
    lines.collect()
}

#[cfg(target_os = "linux")]
#[test]
fn peers_that_have_vanished_are_found_out() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(&proxy, simple(echo.address()).ir());
    let address = http(&proxy);
    let mut stream = tunnel(address).unwrap();
    assert!(echoes(&mut stream));
    for (whose, port, local) in [
        ("client", address.port(), true),
        ("backend", echo.address().port(), false),
    ] {
        // While bytes are on their way, another timer is in its place.
        eventually(whose, || {
            let timers = timers(port, local);
            !timers.is_empty() && timers.iter().all(|timer| timer == "02")
        });
    }
}
