//! What clients do to us: TLS, limits, framing, slowness, and our own end.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::{Duration, Instant},
};

use proxy::Telemetry;

use crate::support::{Config1, http, https, route, secured, serve, simple, start, start_with};
use ir::Upstream;
use testkit::{
    call::{Call, raw},
    certs::{Ca, client_config_presenting},
    echo::Backend as Echo,
    wait::eventually,
};

const QUIET: Duration = Duration::from_millis(500);

#[test]
fn listeners_are_chosen_by_server_name_and_misdirected_requests_refused() {
    let ca = Ca::new("test");
    let (one, wild) = (ca.issue(&["one.com"]), ca.issue(&["*.two.com"]));
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(
        &proxy,
        simple(echo.address()).listeners(vec![("one.com", Some(&one)), ("*.two.com", Some(&wild))]),
    );
    let client = |alpn: &[&str]| Arc::new(ca.client_config(alpn));
    let get = |name: &str, url: &str| {
        Call::get(https(&proxy), url)
            .tls(client(&["h2"]), name)
            .http2()
            .send_blocking()
    };
    assert_eq!(
        get("one.com", "https://one.com/").unwrap().json()["headers"]["x-forwarded-proto"][0],
        "https"
    );
    assert_eq!(
        get("x.two.com", "https://y.two.com/").unwrap().status,
        200,
        "the same listener"
    );
    assert_eq!(get("one.com", "https://x.two.com/").unwrap().status, 421);
    assert_eq!(get("one.com", "https://three.com/").unwrap().status, 421);
    assert!(
        get("three.com", "https://three.com/").is_err(),
        "no listener, no handshake"
    );
    let http1 = Call::get(https(&proxy), "https://one.com/").tls(client(&["http/1.1"]), "one.com");
    assert_eq!(http1.send_blocking().unwrap().status, 200);
}

/// A host says that it is served whatever name a connection was made for: that holds as long as the handshake asked of
/// the client what the host's own listener asks.
#[test]
fn hosts_that_take_any_server_name_do_not_take_less_than_their_own_handshake() {
    let ca = Ca::new("test");
    let names = ["asks.com", "here.com", "strict.com", "there.com", "own.com"];
    let issued = names.map(|name| ca.issue(&[name]));
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let pairs = names.iter().zip(&issued);
    let pairs = pairs.map(|(name, issued)| (*name, Some(issued)));
    let mut ir = simple(echo.address()).listeners(pairs.collect());
    let port = ir.ports.get_mut(&crate::support::HTTPS).unwrap();
    for listener in &mut port.listeners {
        let listener = Arc::make_mut(listener);
        let name = listener.hostname.to_string();
        let tls = listener.tls.as_mut().unwrap();
        match &*name {
            "asks.com" => tls.clients = ir::ClientAuth::Requested,
            "strict.com" => tls.versions = ir::TlsVersions::Only13,
            _ => {}
        }
        for host in &mut listener.hosts {
            Arc::make_mut(host).settings.any_server_name = name != "own.com";
        }
    }
    serve(&proxy, ir);
    let get = |name: &str, host: &str| {
        let client = Arc::new(ca.client_config(&["h2"]));
        let call = Call::get(https(&proxy), &format!("https://{host}/"));
        call.tls(client, name)
            .http2()
            .send_blocking()
            .unwrap()
            .status
    };
    for (name, host, status) in [
        ("here.com", "there.com", 200),
        ("strict.com", "here.com", 200),
        ("own.com", "here.com", 200),
        ("strict.com", "strict.com", 200),
        ("asks.com", "asks.com", 200),
        ("here.com", "asks.com", 421),
        ("asks.com", "here.com", 421),
        ("here.com", "strict.com", 421),
        ("here.com", "own.com", 421),
        ("here.com", "nowhere.com", 404),
        ("own.com", "nowhere.com", 421),
    ] {
        assert_eq!(get(name, host), status, "{host} over {name}");
    }
}

#[test]
fn certificates_are_swapped_while_connections_live() {
    let (old, new) = (Ca::new("old"), Ca::new("new"));
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let config = simple(echo.address());
    let get = |ca: &Ca| {
        let client = Arc::new(ca.client_config(&["http/1.1"]));
        Call::get(https(&proxy), "https://a.com/")
            .tls(client, "a.com")
            .send_blocking()
    };
    serve(
        &proxy,
        config.listeners(vec![("a.com", Some(&old.issue(&["a.com"])))]),
    );
    assert!(get(&old).is_ok() && get(&new).is_err());
    serve(
        &proxy,
        config.listeners(vec![("a.com", Some(&new.issue(&["a.com"])))]),
    );
    assert!(get(&new).is_ok() && get(&old).is_err());
}

#[test]
fn ambiguous_framing_is_refused() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(&proxy, simple(echo.address()).ir());
    for head in [
        "GET / HTTP/1.1\nHost: a.com\n\n",
        "POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "GET / HTTP/1.1\r\nHost: a.com\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.com\r\nHost: b.com\r\n\r\n",
        "GET http://b.com/ HTTP/1.1\r\nHost: a.com\r\n\r\n",
        "GET /%00 HTTP/1.1\r\nHost: a.com\r\n\r\n",
        "GET /a\\b HTTP/1.1\r\nHost: a.com\r\n\r\n",
        "CONNECT a.com:80 HTTP/1.1\r\nHost: a.com\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
    ] {
        let answer = raw(http(&proxy), head.as_bytes(), QUIET);
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with("HTTP/1.1 400"), "{head:?}: {text}");
    }
    assert_eq!(echo.hits(), 0, "none of it reached the backend");
}

#[test]
fn what_follows_a_chunked_request_is_read_as_strictly() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(&proxy, simple(echo.address()).ir());
    let chunked =
        "POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let ask = |next: &str| {
        let answer = raw(http(&proxy), format!("{chunked}{next}").as_bytes(), QUIET);
        String::from_utf8_lossy(&answer).into_owned()
    };
    let good = ask("GET /next HTTP/1.1\r\nHost: a.com\r\n\r\n");
    assert_eq!(good.matches("HTTP/1.1 200").count(), 2, "{good}");
    let hits = echo.hits();
    for next in [
        "GET /next HTTP/1.1\nHost: a.com\n\n",
        "POST /next HTTP/1.1\r\nHost: a.com\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let answer = ask(next);
        assert!(answer.contains("HTTP/1.1 400"), "{next:?}: {answer}");
    }
    let next = echo
        .seen()
        .iter()
        .filter(|seen| seen.target == "/next")
        .count();
    assert_eq!(next, 1, "after {hits} hits nothing ambiguous got through");
}

#[test]
fn only_we_say_who_asked() {
    let echo = Echo::start("a");
    let ask = |proxy: &proxy::Proxy| {
        serve(proxy, simple(echo.address()).ir());
        Call::get(http(proxy), "http://a.com/")
            .header("forwarded", "for=9.9.9.9")
            .header("x-real-ip", "9.9.9.9")
            .header("x-forwarded-port", "1")
            .header("x-forwarded-for", "9.9.9.9")
            .send_blocking()
            .unwrap()
            .json()["headers"]
            .clone()
    };
    let headers = ask(&start(|_| ()));
    assert_eq!(headers["x-forwarded-for"][0], "127.0.0.1");
    for name in ["forwarded", "x-real-ip", "x-forwarded-port"] {
        assert!(headers[name].is_null(), "{name}: {headers}");
    }
    let headers = ask(&start(|config| {
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    }));
    assert_eq!(headers["x-forwarded-for"][0], "9.9.9.9, 127.0.0.1");
    assert_eq!(headers["x-real-ip"][0], "9.9.9.9");
}

#[test]
fn a_client_that_breaks_off_is_not_the_backend_s_fault() {
    for upstream in [Upstream::Http1, Upstream::Http2] {
        let echo = Echo::start("a");
        let telemetry = Telemetry::default();
        let proxy = start_with(|_| (), &telemetry);
        let mut config = simple(echo.address());
        config.clusters[0].upstream = upstream;
        serve(&proxy, config.ir());
        let mut stream = TcpStream::connect(http(&proxy)).unwrap();
        stream
            .write_all(b"POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 100\r\n\r\nabc")
            .unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        drop(stream);
        let counted = |reason: &str| {
            let word = format!("reason=\"{reason}\"");
            let text = telemetry.metrics.encode();
            text.lines().any(|line| line.contains(&word))
        };
        eventually("it is counted", || counted("client_closed"));
        assert!(!counted("upstream_closed"));
    }
}

#[test]
fn connections_made_on_other_terms_do_not_last() {
    let ca = Ca::new("test");
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let config = simple(echo.address());
    let tls = config.listeners(vec![("a.com", Some(&ca.issue(&["a.com"])))]);
    serve(&proxy, tls.clone());
    let mut stream = secured(&proxy, &ca, "http/1.1");
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a.com\r\n\r\n")
        .unwrap();
    let mut buffer = [0; 4096];
    assert!(stream.read(&mut buffer).unwrap() > 0);
    // The same listener now asks for certificates: nobody may ride on what was shaken before.
    let mut asking = tls;
    let port = asking.ports.get_mut(&crate::support::HTTPS).unwrap();
    let mut listener = (*port.listeners[0]).clone();
    if let Some(tls) = &mut listener.tls {
        tls.clients = ir::ClientAuth::Refuse;
    }
    port.listeners[0] = Arc::new(listener);
    // Such a listener is not served at all, which is one of the things reported.
    let _ = proxy.swap(Arc::new(asking));
    let ended = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break true,
            Ok(_) => {}
            Err(error) => break error.kind() == std::io::ErrorKind::UnexpectedEof,
        }
    };
    assert!(ended, "the connection was closed");
}

#[test]
fn a_listener_may_ask_for_certificates_and_let_everybody_in() {
    let (ours, other) = (Ca::new("ours"), Ca::new("other"));
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let certificate = ours.issue(&["a.com"]);
    let mut ir = simple(echo.address()).listeners(vec![("a.com", Some(&certificate))]);
    let port = ir.ports.get_mut(&crate::support::HTTPS).unwrap();
    let mut listener = (*port.listeners[0]).clone();
    listener.tls.as_mut().unwrap().clients = ir::ClientAuth::Requested;
    port.listeners[0] = Arc::new(listener);
    serve(&proxy, ir);
    let showing = |client| client_config_presenting(ours.pem(), client, &["http/1.1"]);
    for (who, config) in [
        ("nobody", ours.client_config(&["http/1.1"])),
        ("a client of ours", showing(&ours.issue_client("us"))),
        ("a stranger", showing(&other.issue_client("them"))),
    ] {
        let answer = Call::get(https(&proxy), "https://a.com/")
            .tls(Arc::new(config), "a.com")
            .send_blocking();
        assert_eq!(
            answer.map(|answer| answer.status),
            Ok(200.try_into().unwrap()),
            "{who}"
        );
    }
}

#[test]
fn heads_are_bounded_in_bytes_and_in_number() {
    let echo = Echo::start("a");
    let proxy = start(|config| (config.limits.headers, config.limits.header_bytes) = (20, 10_000));
    serve(&proxy, simple(echo.address()).ir());
    let many = |count: usize, http2: bool| {
        let call = (0..count).fold(Call::get(http(&proxy), "http://a.com/"), |call, at| {
            call.header(&format!("x-{at}"), "1")
        });
        if http2 { call.http2() } else { call }
            .send_blocking()
            .unwrap()
            .status
            .as_u16()
    };
    assert_eq!([many(10, false), many(10, true)], [200, 200]);
    assert_eq!([many(30, false), many(30, true)], [431, 431]);
    let long = Call::get(http(&proxy), "http://a.com/")
        .header("x", &"y".repeat(20_000))
        .send_blocking()
        .unwrap();
    assert_eq!(long.status, 431);
}

#[test]
fn connections_are_bounded() {
    let echo = Echo::start("a");
    let proxy = start(|config| config.limits.connections = 2);
    serve(&proxy, simple(echo.address()).ir());
    let open = || TcpStream::connect(http(&proxy)).unwrap();
    let ask = |stream: &mut TcpStream| {
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a.com\r\n\r\n")
            .unwrap();
        let mut buffer = [0; 16];
        stream.read(&mut buffer).unwrap_or(0)
    };
    let (mut one, mut two) = (open(), open());
    assert!(ask(&mut one) > 0 && ask(&mut two) > 0);
    assert_eq!(ask(&mut open()), 0, "the third is closed at once");
    drop(one);
    eventually("room for another", || ask(&mut open()) > 0);
}

#[test]
fn slow_clients_are_let_go() {
    let echo = Echo::start("a");
    let proxy = start(|config| {
        config.deadlines.header = Duration::from_millis(500);
        config.deadlines.idle = Duration::from_millis(500);
    });
    serve(&proxy, simple(echo.address()).ir());
    for begun in [
        "",
        "GET / HTT",
        "GET / HTTP/1.1\r\nHost: a.com\r\n",
        "PRI * HTTP/2.0\r\n",
    ] {
        let start = Instant::now();
        let answer = raw(http(&proxy), begun.as_bytes(), Duration::from_secs(8));
        assert!(
            answer.is_empty() && start.elapsed() < Duration::from_secs(5),
            "{begun:?} after {:?}",
            start.elapsed()
        );
    }
    let whole = b"GET / HTTP/1.1\r\nHost: a.com\r\n\r\n";
    let start = Instant::now();
    let answer = raw(http(&proxy), whole, Duration::from_secs(8));
    assert!(
        answer.starts_with(b"HTTP/1.1 200") && start.elapsed() < Duration::from_secs(5),
        "idle connections too"
    );
}

#[test]
fn a_preface_that_does_not_come_is_not_waited_for() {
    let ca = Ca::new("test");
    let echo = Echo::start("a");
    let proxy = start(|config| config.deadlines.header = Duration::from_millis(500));
    let certificate = ca.issue(&["a.com"]);
    serve(
        &proxy,
        simple(echo.address()).listeners(vec![("a.com", Some(&certificate))]),
    );
    for part in ["", "PRI * HTTP/2.0\r\n"] {
        let mut stream = secured(&proxy, &ca, "h2");
        stream.conn.complete_io(&mut stream.sock).unwrap();
        stream.write_all(part.as_bytes()).unwrap();
        let error = loop {
            match stream.read(&mut [0; 1024]) {
                Ok(0) => break None,
                Ok(_) => {}
                Err(error) => break Some(error.kind()),
            }
        };
        let timed_out = matches!(
            error,
            Some(std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
        );
        assert!(!timed_out, "{part:?}: still open after five seconds");
    }
}

#[test]
fn ports_come_and_go_with_the_configuration() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let config = simple(echo.address());
    serve(&proxy, config.ir());
    let address = http(&proxy);
    assert!(Call::get(address, "http://a.com/").send_blocking().is_ok());
    serve(&proxy, ir::Ir::default());
    assert!(proxy.addresses().is_empty());
    eventually("the port to be closed", || {
        TcpStream::connect(address).is_err()
    });
    serve(
        &proxy,
        Config1 {
            routes: vec![route("/", vec![], config.routes[0].rule.action.clone())],
            ..config
        }
        .ir(),
    );
    assert!(
        Call::get(http(&proxy), "http://a.com/")
            .send_blocking()
            .is_ok()
    );
}

#[test]
fn swaps_under_load_fail_no_request() {
    let (a, b) = (Echo::start("a"), Echo::start("b"));
    let proxy = start(|_| ());
    let of = |echo: &Echo, extra: usize| {
        let mut config = simple(echo.address());
        for at in 0..extra {
            config.routes.push(route(
                &format!("/x{at}"),
                vec![],
                config.routes[0].rule.action.clone(),
            ));
        }
        config.ir()
    };
    serve(&proxy, of(&a, 0));
    let address = http(&proxy);
    let clients: Vec<_> = (0..4)
        .map(|at| {
            std::thread::spawn(move || {
                for n in 0..150 {
                    let call = Call::get(address, &format!("http://a.com/{at}/{n}"));
                    let call = if at % 2 == 0 { call } else { call.http2() };
                    assert_eq!(
                        call.send_blocking().unwrap().status,
                        200,
                        "client {at}, request {n}"
                    );
                }
            })
        })
        .collect();
    let mut edits = 0;
    while clients.iter().any(|client| !client.is_finished()) {
        serve(&proxy, of(if edits % 2 == 0 { &b } else { &a }, edits % 7));
        edits += 1;
    }
    clients
        .into_iter()
        .for_each(|client| client.join().unwrap());
    assert!(edits > 10, "only {edits} edits");
}
