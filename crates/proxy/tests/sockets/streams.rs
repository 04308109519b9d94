//! TCP streams over real sockets: who is dialled, what passes, and how it ends.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use ir::{
    Cluster, ClusterKey, HostPattern, Ir, Listener, ListenerKey, Port, Protocol, Reason, RuleKey,
    StreamBackend, StreamHost, StreamRule, Target, UpstreamName, UpstreamTls, Verify,
};
use proxy::{Drained, Proxy, Telemetry};
use testkit::{
    certs::Ca, echo, echo::Backend as Echo, stream::TcpBackend, wait::DEADLINE, wait::eventually,
};

use crate::support::{HTTP, cluster, http, serve, simple, start, start_with};

/// A rule that gives each cluster so large a share; `!` in front of a word is a share that leads nowhere.
pub(crate) fn rule(name: &str, shares: &[(&str, u32)]) -> Arc<StreamRule> {
    let backend = |(target, weight): &(&str, u32)| StreamBackend {
        weight: NonZeroU32::new(*weight).unwrap(),
        target: match target.strip_prefix('!') {
            Some(_) => Target::Invalid(Reason::InvalidBackend),
            None => Target::Cluster(ClusterKey((*target).into())),
        },
    };
    Arc::new(StreamRule {
        key: RuleKey(format!("TCPRoute/test/{name}").into()),
        route: format!("TCPRoute/test/{name}").into(),
        backends: shares.iter().map(backend).collect(),
    })
}

/// A listener whose streams follow these rules, by host.
pub(crate) fn listener(hostname: &str, rules: &[(&str, Arc<StreamRule>)]) -> Listener {
    let host = |(host, rule): &(&str, Arc<StreamRule>)| {
        Arc::new(StreamHost {
            host: HostPattern::parse(host).unwrap(),
            rule: Arc::clone(rule),
        })
    };
    Listener {
        key: ListenerKey::of_gateway("test", "test", hostname),
        others: vec![],
        hostname: HostPattern::parse(hostname).unwrap(),
        tls: None,
        hosts: vec![],
        streams: Some(rules.iter().map(host).collect()),
        underscores: ir::Underscores::Allow,
        paths: ir::Paths::default(),
        admission: ir::Admission::Open,
    }
}

pub(crate) fn clusters(clusters: Vec<Cluster>) -> BTreeMap<ClusterKey, Arc<Cluster>> {
    let keyed = clusters.into_iter().map(|c| (c.key.clone(), Arc::new(c)));
    keyed.collect()
}

/// One TCP port with this rule.
pub(crate) fn tcp(rule: Option<Arc<StreamRule>>, all: Vec<Cluster>) -> Ir {
    let rules: Vec<_> = rule.into_iter().map(|rule| ("*", rule)).collect();
    let port = Port {
        protocol: Protocol::Tcp,
        advertised: None,
        listeners: vec![Arc::new(listener("*", &rules))],
    };
    Ir {
        ports: [(HTTP, port)].into(),
        clusters: clusters(all),
        ..Ir::default()
    }
}

fn one(address: SocketAddr) -> Ir {
    tcp(
        Some(rule("one", &[("a", 1)])),
        vec![cluster("a", &[address])],
    )
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// The first line that comes; what was read of it where the other side ends before.
pub(crate) fn line(stream: &mut impl Read) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

/// Sends, and takes as much.
pub(crate) fn echoed(stream: &mut (impl Read + Write), text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
    stream.flush().unwrap();
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, text.as_bytes());
}

/// Whether the stream ends without a byte, in whatever way.
pub(crate) fn is_closed(mut stream: impl Read) -> bool {
    let mut byte = [0];
    match stream.read(&mut byte) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

fn results(telemetry: &Telemetry, word: &str) -> bool {
    let text = telemetry.metrics.encode();
    let line = format!("postern_streams_total{{listener=\"test/test/*\",result=\"{word}\"}} ");
    text.lines()
        .filter_map(|l| l.strip_prefix(&line))
        .any(|count| count != "0")
}

pub(crate) fn drain(proxy: &Proxy, deadline: Duration) -> Drained {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(proxy.drain(deadline))
}

#[test]
fn a_backend_may_speak_first_and_each_side_may_end_alone() {
    let backend = TcpBackend::start("a");
    let telemetry = Telemetry::default();
    let proxy = start_with(|_| (), &telemetry);
    serve(&proxy, one(backend.address()));
    let mut stream = connect(http(&proxy));
    assert_eq!(line(&mut stream), "a", "before the client has said a word");
    echoed(&mut stream, "hello");
    let long = "x".repeat(1_000_000);
    let mut writer = stream.try_clone().unwrap();
    let sent = long.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(sent.as_bytes()).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    writing.join().unwrap();
    assert_eq!(rest.len(), long.len() + 3);
    assert!(rest.ends_with("bye"), "the backend's answer to the end");
    eventually("the stream to be counted", || results(&telemetry, "ended"));
    let text = telemetry.metrics.encode();
    let bytes = "postern_stream_bytes_total{listener=\"test/test/*\",direction=";
    assert!(
        text.contains(&format!("{bytes}\"in\"}} 1000005\n")),
        "{text}"
    );
    assert!(
        text.contains(&format!("{bytes}\"out\"}} 1000010\n")),
        "{text}"
    );
}

#[test]
fn shares_are_exact_and_a_share_that_leads_nowhere_is_closed() {
    let (a, b) = (TcpBackend::start("a"), TcpBackend::start("b"));
    let telemetry = Telemetry::default();
    let proxy = start_with(|_| (), &telemetry);
    let all = vec![cluster("a", &[a.address()]), cluster("b", &[b.address()])];
    let shares = || rule("split", &[("a", 5), ("b", 3), ("!", 2)]);
    let mut met: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..20 {
        // Everything is remade, and the split goes on where it was.
        serve(&proxy, tcp(Some(shares()), all.clone()));
        *met.entry(line(&mut connect(http(&proxy)))).or_default() += 1;
    }
    let exact = [("a", 10), ("b", 6), ("", 4)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!(met, exact.into());
    eventually("the word", || results(&telemetry, "invalid_backend"));
}

#[test]
fn without_rule_backend_or_endpoint_a_stream_is_closed() {
    let telemetry = Telemetry::default();
    let proxy = start_with(|_| (), &telemetry);
    let cases = [
        (None, "no_route"),
        (Some(rule("none", &[])), "no_backend"),
        (Some(rule("empty", &[("a", 1)])), "no_endpoint"),
    ];
    for (rule, word) in cases {
        serve(&proxy, tcp(rule, vec![cluster("a", &[])]));
        assert!(is_closed(connect(http(&proxy))), "{word}");
        eventually(word, || results(&telemetry, word));
    }
}

#[test]
fn an_endpoint_that_is_down_is_passed_over() {
    let backend = TcpBackend::start("a");
    let telemetry = Telemetry::default();
    let proxy = start_with(|_| (), &telemetry);
    let down = [echo::unused_address(), echo::unused_address()];
    let all = vec![cluster("a", &[down[0], down[1], backend.address()])];
    serve(&proxy, tcp(Some(rule("one", &[("a", 1)])), all));
    for _ in 0..6 {
        assert_eq!(line(&mut connect(http(&proxy))), "a");
    }
    serve(&proxy, one(down[0]));
    assert!(is_closed(connect(http(&proxy))));
    eventually("the word", || results(&telemetry, "connect_failed"));
}

#[test]
fn backends_are_kept_off_this_machine_where_others_say_where_they_are() {
    let backend = TcpBackend::start("a");
    let proxy = start(|config| config.local_backends = false);
    serve(&proxy, one(backend.address()));
    assert!(is_closed(connect(http(&proxy))));
    let admin = backend.address();
    let proxy = start(|config| config.private = vec![admin]);
    serve(&proxy, one(admin));
    assert!(is_closed(connect(http(&proxy))));
    assert_eq!(backend.connections(), 0);
}

#[test]
fn a_backend_may_want_tls_and_gets_its_own_name_and_no_protocol() {
    let ca = Ca::new("backends");
    let issued = ca.issue(&["db.internal"]);
    // It would refuse a client that wants HTTP.
    let backend = TcpBackend::start_tls("secure", issued.server_config(&["postgresql"]));
    let proxy = start(|_| ());
    let mut secured = cluster("a", &[backend.address()]);
    let trusted = ir::Authorities {
        source: "ConfigMap/test/ca".into(),
        pem: ca.pem().into(),
    };
    let tls = |name: &str| {
        Some(Arc::new(UpstreamTls {
            name: UpstreamName::Fixed(name.into()),
            send_name: true,
            verify: Verify::Authorities(trusted.clone()),
            names: vec![],
            certificate: None,
        }))
    };
    secured.tls = tls("db.internal");
    let rules = || Some(rule("one", &[("a", 1)]));
    serve(&proxy, tcp(rules(), vec![secured.clone()]));
    let mut stream = connect(http(&proxy));
    assert_eq!(line(&mut stream), "secure");
    echoed(&mut stream, "plain to us");
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(line(&mut stream), "bye");
    secured.tls = tls("other.internal");
    serve(&proxy, tcp(rules(), vec![secured]));
    assert!(
        is_closed(connect(http(&proxy))),
        "it is not who it should be"
    );
}

#[test]
fn a_stream_through_which_nothing_passes_ends() {
    let backend = TcpBackend::start("a");
    let telemetry = Telemetry::default();
    let proxy = start_with(
        |config| config.deadlines.idle_stream = Duration::from_millis(300),
        &telemetry,
    );
    serve(&proxy, one(backend.address()));
    let mut stream = connect(http(&proxy));
    assert_eq!(line(&mut stream), "a");
    assert!(is_closed(stream));
    eventually("the word", || results(&telemetry, "idle"));
    // A backend's own limit goes before it.
    let mut patient = cluster("a", &[backend.address()]);
    patient.timeouts.read = Some(DEADLINE);
    serve(&proxy, tcp(Some(rule("one", &[("a", 1)])), vec![patient]));
    let mut stream = connect(http(&proxy));
    assert_eq!(line(&mut stream), "a");
    let quiet = Duration::from_millis(1_000);
    stream.set_read_timeout(Some(quiet)).unwrap();
    let nothing = stream.read(&mut [0]).unwrap_err().kind();
    assert!(
        matches!(
            nothing,
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
        ),
        "{nothing}"
    );
}

#[test]
fn streams_count_as_connections_of_their_port() {
    let backend = TcpBackend::start("a");
    let proxy = start(|config| config.limits.connections = 1);
    serve(&proxy, one(backend.address()));
    let mut first = connect(http(&proxy));
    assert_eq!(line(&mut first), "a");
    assert!(is_closed(connect(http(&proxy))));
    drop(first);
    eventually("room", || {
        let mut next = connect(http(&proxy));
        let mut byte = [0];
        next.read(&mut byte).is_ok_and(|read| read == 1)
    });
}

#[test]
fn a_swap_leaves_streams_alone_until_the_port_serves_something_else() {
    let (a, b) = (TcpBackend::start("a"), TcpBackend::start("b"));
    let proxy = start(|config| config.deadlines.leave = Duration::from_millis(300));
    serve(&proxy, one(a.address()));
    let mut stream = connect(http(&proxy));
    assert_eq!(line(&mut stream), "a");
    serve(&proxy, one(b.address()));
    echoed(&mut stream, "still a");
    assert_eq!(line(&mut connect(http(&proxy))), "b");
    let begun = Instant::now();
    serve(&proxy, simple(Echo::start("http").address()).ir());
    echoed(&mut stream, "for a while");
    assert!(is_closed(stream));
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[test]
fn streams_of_a_port_that_has_gone_have_some_time_left() {
    let backend = TcpBackend::start("a");
    let telemetry = Telemetry::default();
    let change = |config: &mut proxy::Config| {
        config.deadlines.leave = Duration::from_millis(300);
    };
    let proxy = start_with(change, &telemetry);
    serve(&proxy, one(backend.address()));
    let mut stream = connect(http(&proxy));
    assert_eq!(line(&mut stream), "a");
    serve(&proxy, Ir::default());
    echoed(&mut stream, "for a while");
    assert!(is_closed(stream));
    eventually("the word", || results(&telemetry, "gone"));
}

#[test]
fn a_stream_lives_until_the_drain_deadline() {
    let backend = TcpBackend::start("a");
    let proxy = start(|config| config.deadlines.leave = Duration::ZERO);
    serve(&proxy, one(backend.address()));
    let address = http(&proxy);
    let mut stream = connect(address);
    assert_eq!(line(&mut stream), "a");
    let drained = drain(&proxy, Duration::from_millis(500));
    assert_eq!(drained, Drained::Deadline, "the stream is still there");
    assert!(TcpStream::connect(address).is_err(), "and the last one");
    echoed(&mut stream, "after");
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(line(&mut stream), "bye");
    assert_eq!(drain(&proxy, DEADLINE), Drained::Complete);
}

#[test]
fn a_client_that_breaks_off_is_told_to_the_backend() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let proxy = start(|_| ());
    serve(&proxy, one(listener.local_addr().unwrap()));
    let mut stream = connect(http(&proxy));
    let (mut backend, _) = listener.accept().unwrap();
    backend.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(b"half").unwrap();
    drop(stream);
    let mut all = String::new();
    backend.read_to_string(&mut all).unwrap();
    assert_eq!(all, "half");
}
