//! One view of each request, and what may not pass: what clients and trusted proxies say, in every spelling.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Method, StatusCode};
use ir::{
    Action, Allowed, AuthCookies, ClientAddresses, ClusterKey, Cors, ExternalAuth, HeaderMods,
    OriginMatch, Redirect, Template, Underscores, Variable,
};
use proxy::{Config, Proxy};
use serde_json::{Value, json};
use testkit::{
    call::{Call, raw},
    echo::Backend as Echo,
};

use crate::support::{Config1, Phase, cluster, forward, http, route, serve, simple, start};

const LOOPBACK: &str = "127.0.0.0/8";

fn trusting(config: &mut Config) {
    config.trusted_proxies = vec![LOOPBACK.parse().unwrap()];
}

/// Sends bytes, and gives what came back until the connection ended or said nothing for a while.
fn send(proxy: &Proxy, text: &str) -> String {
    let bytes = raw(http(proxy), text.as_bytes(), Duration::from_millis(400));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends a GET with these lines, and gives the fields that the backend saw.
fn seen(proxy: &Proxy, lines: &[&str]) -> Value {
    let fields: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let text = send(
        proxy,
        &format!("GET / HTTP/1.1\r\nHost: a.com\r\n{fields}\r\n"),
    );
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{lines:?}: {text}");
    let told: Value = serde_json::from_str(body).unwrap();
    told["headers"].clone()
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or_default()
}

fn authenticator(address: SocketAddr) -> (Phase, ir::Cluster) {
    let auth = ExternalAuth {
        cluster: ClusterKey("auth".into()),
        method: None,
        host: None,
        target: Template::prefixed("/auth", Variable::RequestUri),
        sent: None,
        only_200: false,
        copied: Some(vec![HeaderName::from_static("x-backend")]),
        sign_in: None,
        back_to: Template::prefixed("", Variable::RequestUri),
        cookies: AuthCookies::Denials,
        timeout: Duration::from_secs(5),
    };
    (
        Phase::ExternalAuth(Arc::new(auth)),
        cluster("auth", &[address]),
    )
}

#[test]
fn what_the_client_s_connection_names_goes_before_ours_comes() {
    let (echo, auth) = (Echo::start("a"), Echo::start("alice"));
    let proxy = start(|_| ());
    let (phase, authenticator) = authenticator(auth.address());
    let user = HeaderMods {
        set: vec![(
            HeaderName::from_static("x-user"),
            HeaderValue::from_static("ours"),
        )],
        ..HeaderMods::default()
    };
    let config = Config1 {
        routes: vec![route(
            "/",
            vec![phase, Phase::Request(user)],
            Action::Forward(forward("a")),
        )],
        clusters: vec![cluster("a", &[echo.address()]), authenticator],
    };
    serve(&proxy, config.ir());
    // The authenticator answers with `X-Backend: alice`, which goes on to the backend.
    for lines in [
        &["Connection: close, X-Backend, X-User"][..],
        &[
            "Connection: close",
            "Connection: x-backend",
            "Connection: X-USER, x-forwarded-for",
        ],
        &[
            "X-Backend: root",
            "X.Backend: root",
            "X_Backend: root",
            "X_User: root",
            "x.user: root",
        ],
    ] {
        let told = seen(&proxy, lines);
        assert_eq!(told["x-backend"], json!(["alice"]), "{lines:?}");
        assert_eq!(told["x-user"], json!(["ours"]), "{lines:?}");
        assert_eq!(told["x-forwarded-for"], json!(["127.0.0.1"]), "{lines:?}");
        for alias in ["x.backend", "x_backend", "x_user", "x.user"] {
            assert!(told[alias].is_null(), "{lines:?} {alias}");
        }
    }
}

#[test]
fn what_a_rule_or_its_backend_changes_cannot_be_said_in_another_spelling() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let set = |name: &'static str| HeaderMods {
        set: vec![(
            HeaderName::from_static(name),
            HeaderValue::from_static("ours"),
        )],
        remove: vec![HeaderName::from_static("x-secret")],
        ..HeaderMods::default()
    };
    let mut to = forward("a");
    to.backends[0].request = vec![set("x-role")];
    let config = Config1 {
        routes: vec![route(
            "/",
            vec![Phase::Request(set("x-user"))],
            Action::Forward(to),
        )],
        clusters: vec![cluster("a", &[echo.address()])],
    };
    serve(&proxy, config.ir());
    let told = seen(
        &proxy,
        &[
            "X_User: a",
            "x.user: a",
            "X_Role: a",
            "X.Role: a",
            "X-Secret: a",
            "X_Secret: a",
        ],
    );
    let names = told.as_object().unwrap().keys();
    let odd: Vec<_> = names.filter(|name| name.contains(['_', '.'])).collect();
    assert!(odd.is_empty(), "{odd:?}");
    assert!(told["x-secret"].is_null());
    assert_eq!(
        (&told["x-user"], &told["x-role"]),
        (&json!(["ours"]), &json!(["ours"]))
    );
}

#[test]
fn fields_of_one_connection_and_of_strangers_stop_here() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(&proxy, simple(echo.address()).ir());
    let told = seen(
        &proxy,
        &[
            "X_Forwarded_For: 6.6.6.6",
            "X.Forwarded.For: 6.6.6.6",
            "X-Forwarded-Prefix: /x",
            "X-Forwarded-Scheme: https",
            "X_Real_IP: 6.6.6.6",
            "Proxy: http://evil",
            "Keep-Alive: timeout=5",
            "Proxy-Connection: keep-alive",
            "TE: trailers",
            "HTTP2-Settings: AAMAAABkAAQAAP__",
            "My_Own: 1",
        ],
    );
    let mut names: Vec<_> = told.as_object().unwrap().keys().cloned().collect();
    names.sort();
    let wanted = [
        "host",
        "my_own",
        "postern-hops",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
    ];
    assert_eq!(names, wanted);
    let told = seen(&proxy, &["Connection: TE", "TE: gzip, trailers"]);
    assert_eq!(told["te"], json!(["trailers"]));
    assert_eq!(told["connection"], json!(["te"]), "RFC 9110 section 10.1.4");
}

#[test]
fn a_trusted_proxy_s_chain_is_whole() {
    let echo = Echo::start("a");
    let proxy = start(trusting);
    serve(&proxy, simple(echo.address()).ir());
    for (lines, chain) in [
        (
            &["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 203.0.113.7"][..],
            "6.6.6.6, 203.0.113.7, 127.0.0.1",
        ),
        (
            &["X-Forwarded-For: ", "X-Forwarded-For: 203.0.113.7,"],
            "203.0.113.7, 127.0.0.1",
        ),
        (&["X-Forwarded-For: "], "127.0.0.1"),
        (&[], "127.0.0.1"),
    ] {
        assert_eq!(
            seen(&proxy, lines)["x-forwarded-for"],
            json!([chain]),
            "{lines:?}"
        );
    }
}

#[test]
fn clients_that_cannot_be_read_are_on_no_allow_list_and_on_every_deny_list() {
    let echo = Echo::start("a");
    let proxy = start(trusting);
    let lists = |allow: &[&str], deny: &[&str]| {
        let nets = |list: &[&str]| list.iter().map(|net| net.parse().unwrap()).collect();
        Phase::Addresses(ClientAddresses {
            allow: nets(allow),
            deny: nets(deny),
        })
    };
    for (allow, deny, chain, expected) in [
        (&[LOOPBACK][..], &[][..], "", "200"),
        (&[LOOPBACK], &[], "9.9.9.9:1234", "403"),
        (&[LOOPBACK], &[], "unknown", "403"),
        (&[LOOPBACK], &[], "[2001:db8::1]:443", "403"),
        (&["9.9.9.9/32"], &[], "9.9.9.9:1234", "200"),
        (&["2001:db8::/32"], &[], "[2001:db8::1]:443", "200"),
        (&["2001:db8::/32"], &[], "[2001:db8::1]", "200"),
        (&["0.0.0.0/0", "::/0"], &[], "unknown", "403"),
        (&[], &["9.9.9.9/32"], "unknown", "403"),
        (&[], &["9.9.9.9/32"], "9.9.9.9:1", "403"),
        (&[], &["9.9.9.9/32"], "9.9.9.8:1", "200"),
    ] {
        let mut config = simple(echo.address());
        let phases = vec![lists(allow, deny)];
        config.routes = vec![route("/", phases, Action::Forward(forward("a")))];
        serve(&proxy, config.ir());
        let answer = send(
            &proxy,
            &format!(
                "GET / HTTP/1.1\r\nHost: a.com\r\nX-Forwarded-For: {chain}\r\nConnection: close\r\n\r\n"
            ),
        );
        assert_eq!(status(&answer), expected, "{allow:?} {deny:?} {chain}");
    }
}

#[test]
fn redirects_speak_of_the_scheme_and_port_that_the_client_used() {
    let to = |change: fn(&mut Redirect)| {
        let mut redirect = Redirect {
            status: StatusCode::FOUND,
            https: None,
            host: Some("b.com".into()),
            port: None,
            path: None,
        };
        change(&mut redirect);
        Config1 {
            routes: vec![route("/", vec![], Action::Redirect(redirect))],
            clusters: vec![],
        }
    };
    let proxy = start(trusting);
    for (lines, location) in [
        ("", "http://b.com/"),
        ("X-Forwarded-Proto: https\r\n", "https://b.com/"),
        (
            "X-Forwarded-Proto: https\r\nX-Forwarded-Port: 8443\r\n",
            "https://b.com:8443/",
        ),
        ("X-Forwarded-Port: 8080\r\n", "http://b.com:8080/"),
    ] {
        serve(&proxy, to(|_| ()).ir());
        let answer = send(
            &proxy,
            &format!("GET / HTTP/1.1\r\nHost: a.com\r\n{lines}Connection: close\r\n\r\n"),
        );
        assert!(
            answer.contains(&format!("location: {location}\r\n")),
            "{lines}: {answer}"
        );
    }
}

#[test]
fn routes_for_one_scheme_see_the_client_s_scheme() {
    let echo = Echo::start("a");
    let proxy = start(trusting);
    let redirect = Redirect {
        status: StatusCode::PERMANENT_REDIRECT,
        https: Some(true),
        host: None,
        port: None,
        path: None,
    };
    let mut config = simple(echo.address());
    config.routes[0].https = Some(true);
    let mut plain = route("/", vec![], Action::Redirect(redirect));
    plain.https = Some(false);
    config.routes.push(plain);
    serve(&proxy, config.ir());
    for (line, expected) in [("", "308"), ("X-Forwarded-Proto: https\r\n", "200")] {
        let answer = send(
            &proxy,
            &format!("GET / HTTP/1.1\r\nHost: a.com\r\n{line}Connection: close\r\n\r\n"),
        );
        assert_eq!(status(&answer), expected, "{line}");
    }
}

#[test]
fn a_host_is_forwarded_as_it_was_matched() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(
        &proxy,
        simple(echo.address()).listeners(vec![("a.com", None)]),
    );
    for (line, host, forwarded) in [
        ("GET /", "A.com", "a.com"),
        ("GET /", "a.com.", "a.com"),
        ("GET /", "a.com.:80", "a.com"),
        ("GET /", "a.com:8080", "a.com:8080"),
        ("GET http://a.com:80/", "a.com", "a.com"),
        ("GET http://a.com/", "A.COM:80", "a.com"),
    ] {
        let answer = send(
            &proxy,
            &format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        );
        assert_eq!(status(&answer), "200", "{line} {host}: {answer}");
        let told: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(told["host"], forwarded, "{line} {host}");
        assert_eq!(
            told["headers"]["x-forwarded-host"],
            json!([forwarded]),
            "{line} {host}"
        );
    }
    let answer = send(
        &proxy,
        "GET http://a.com:81/ HTTP/1.1\r\nHost: a.com\r\n\r\n",
    );
    assert_eq!(status(&answer), "400");
    let http2 = Call::get(http(&proxy), "http://A.com:80/").http2();
    assert_eq!(http2.send_blocking().unwrap().json()["host"], "a.com");
}

#[test]
fn only_protocols_on_the_list_are_switched_to() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let mut config = simple(echo.address());
    let mut rule = (*config.routes[0].rule).clone();
    rule.upgrades = vec!["spdy/3.1".into()];
    let mut named = config.routes[0].clone();
    named.matches.path = ir::PathMatch::prefix("/spdy");
    named.rule = Arc::new(rule);
    config.routes.push(named);
    serve(&proxy, config.ir());
    for (path, lines, switched) in [
        (
            "/",
            "Connection: keep-alive\r\nConnection: Upgrade\r\nUpgrade: websocket",
            Some("websocket"),
        ),
        (
            "/",
            "Connection: Upgrade\r\nUpgrade: websocket, h2c",
            Some("websocket"),
        ),
        (
            "/",
            "Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: WebSocket",
            Some("WebSocket"),
        ),
        ("/", "Connection: Upgrade\r\nUpgrade: h2c,", None),
        ("/", "Connection: Upgrade\r\nUpgrade: h2", None),
        ("/", "Connection: Upgrade\r\nUpgrade: HTTP/2.0", None),
        (
            "/",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
            None,
        ),
        ("/", "Connection: Upgrade\r\nUpgrade: SPDY/3.1", None),
        (
            "/spdy",
            "Connection: Upgrade\r\nUpgrade: SPDY/3.1",
            Some("SPDY/3.1"),
        ),
        ("/", "Upgrade: websocket", None),
    ] {
        let answer = send(
            &proxy,
            &format!("GET {path} HTTP/1.1\r\nHost: a.com\r\n{lines}\r\n\r\n"),
        );
        match switched {
            Some(protocol) => {
                assert_eq!(status(&answer), "101", "{lines}: {answer}");
                assert!(
                    answer.contains(&format!("upgrade: {protocol}\r\n")),
                    "{lines}: {answer}"
                );
            }
            None => {
                assert_eq!(status(&answer), "200", "{lines}: {answer}");
                let told: Value =
                    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
                assert!(told["headers"]["upgrade"].is_null(), "{lines}: {answer}");
                assert!(
                    told["headers"]["http2-settings"].is_null(),
                    "{lines}: {answer}"
                );
            }
        }
    }
}

/// A backend that answers every request with these bytes, and reads on.
fn canned(answer: &'static [u8]) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut read = [0; 4096];
                if stream.read(&mut read).is_ok_and(|count| count > 0) {
                    let _ = stream.write_all(answer);
                    while stream.read(&mut read).is_ok_and(|count| count > 0) {}
                }
            });
        }
    });
    address
}

#[test]
fn a_backend_may_pick_only_what_was_offered() {
    for (answer, expected) in [
        (
            &b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"[..],
            "101",
        ),
        (
            b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
            "502",
        ),
        (b"HTTP/1.1 101 S\r\nConnection: upgrade\r\n\r\n", "502"),
    ] {
        let proxy = start(|_| ());
        serve(&proxy, simple(canned(answer)).ir());
        let lines = "Connection: Upgrade\r\nUpgrade: websocket, h2c";
        let answer = send(
            &proxy,
            &format!("GET / HTTP/1.1\r\nHost: a.com\r\n{lines}\r\n\r\n"),
        );
        assert_eq!(status(&answer), expected, "{answer}");
    }
}

#[test]
fn trace_is_not_forwarded() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(&proxy, simple(echo.address()).ir());
    let answer = send(
        &proxy,
        "TRACE / HTTP/1.1\r\nHost: a.com\r\nMax-Forwards: 0\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(status(&answer), "405");
    assert!(answer.contains("allow: GET"), "{answer}");
    assert!(answer.ends_with("method_not_allowed"), "{answer}");
    assert_eq!(echo.hits(), 0);
}

#[test]
fn a_circle_ends_after_few_hops() {
    // Each sends everything to the other: neither can see that it is asked by itself.
    let both = [start(|_| ()), start(|_| ())];
    for proxy in &both {
        serve(proxy, simple(([127, 0, 0, 1], 1).into()).ir());
    }
    let [one, other] = both.each_ref().map(http);
    serve(&both[0], simple(other).ir());
    serve(&both[1], simple(one).ir());
    let answer = Call::get(one, "http://a.com/").send_blocking().unwrap();
    assert_eq!(answer.status, StatusCode::LOOP_DETECTED);
    assert_eq!(answer.body, "loop_detected");
}

#[test]
fn underscores_pass_unless_the_listener_says_otherwise() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    for (underscores, expected, passes) in [
        (Underscores::Allow, "200", true),
        (Underscores::Drop, "200", false),
        (Underscores::Refuse, "400", false),
    ] {
        let mut ir = simple(echo.address()).ir();
        for port in ir.ports.values_mut() {
            for listener in &mut port.listeners {
                Arc::make_mut(listener).underscores = underscores;
            }
        }
        serve(&proxy, ir);
        let answer = send(
            &proxy,
            "GET / HTTP/1.1\r\nHost: a.com\r\nMy_Own: 1\r\nConnection: close\r\n\r\n",
        );
        assert_eq!(status(&answer), expected, "{underscores:?}");
        assert_eq!(
            answer.contains("my_own"),
            passes,
            "{underscores:?}: {answer}"
        );
    }
}

#[test]
fn a_preflight_is_answered_by_the_rule_that_the_method_would_meet() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let cors = |origin: &str| {
        Phase::Cors(Cors {
            origins: vec![OriginMatch::Exact(origin.into())],
            credentials: false,
            literal_star: false,
            every_answer: false,
            methods: Allowed::Everything,
            headers: Allowed::Everything,
            expose: Allowed::Nothing,
            max_age: 5,
        })
    };
    let mut config = simple(echo.address());
    let mut get = route(
        "/",
        vec![cors("https://get.com")],
        Action::Forward(forward("a")),
    );
    get.matches.method = Some(Method::GET);
    let mut put = route(
        "/",
        vec![cors("https://put.com")],
        Action::Forward(forward("a")),
    );
    put.matches.method = Some(Method::PUT);
    config.routes = vec![get, put];
    serve(&proxy, config.ir());
    let ask = |method: &str, origin: &str| {
        let answer = Call::new(http(&proxy), "OPTIONS", "http://a.com/")
            .header("origin", origin)
            .header("access-control-request-method", method)
            .send_blocking()
            .unwrap();
        let allowed = answer.header("access-control-allow-origin").to_owned();
        (answer.status.as_u16(), allowed)
    };
    assert_eq!(
        ask("GET", "https://get.com"),
        (204, "https://get.com".to_owned())
    );
    assert_eq!(
        ask("PUT", "https://put.com"),
        (204, "https://put.com".to_owned())
    );
    assert_eq!(ask("PUT", "https://get.com"), (204, String::new()));
    assert_eq!(ask("DELETE", "https://get.com").0, 404);
}
