//! The admin endpoint: whom it answers, what it keeps to itself, and that probes are answered whatever else is going
//! on.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use testkit::{
    call::{Call, raw},
    echo::Backend,
    wait::eventually,
};

use crate::support::{Start, service, text};

/// How long a probe waits. The kubelet's default is a second.
const PROBE: Duration = Duration::from_secs(3);

const GATEWAY: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw}\n\
                       spec: {gatewayClassName: postern, listeners: [{name: http, port: 80, protocol: HTTP}]}\n---\n";

/// The status line and everything after it, as the kubelet asks: a connection of its own for each probe.
fn probe(admin: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    text(&raw(admin, request.as_bytes(), PROBE))
}

fn assert_alive(admin: SocketAddr, when: &str) {
    for path in ["/healthz", "/readyz"] {
        let answer = probe(admin, path);
        assert!(
            answer.starts_with("HTTP/1.1 200 "),
            "{when}, {path}: {answer:?}"
        );
    }
}

#[test]
fn probes_are_answered_however_many_connections_say_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Start::default().serve(folder.path());
    let connect = || TcpStream::connect(gateway.admin).unwrap();
    let mut open: Vec<_> = (0..64).map(|_| connect()).collect();
    assert_alive(gateway.admin, "64 open");
    open.extend((0..300).map(|_| connect()));
    assert_alive(gateway.admin, "364 open");
    // Half a head, and one whole request before.
    let beginnings: [&[u8]; 2] = [
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ];
    for (at, stream) in open.iter_mut().enumerate() {
        // Those that had to make room are gone.
        let _ = stream.write_all(beginnings[at % 2]);
    }
    assert_alive(gateway.admin, "half of them ask");
    // None of them stays for long, though nobody needs the room.
    for stream in &mut open {
        stream
            .set_read_timeout(Some(crate::support::DEADLINE))
            .unwrap();
        let ended = stream.read_to_end(&mut Vec::new());
        let waited = ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!waited, "it is still open");
    }
}

/// A gateway with so few descriptors that clients can take them all, and where its admin endpoint is.
struct Small(Child, SocketAddr);

impl Small {
    fn start(folder: &Path, descriptors: u32) -> Self {
        let script = format!(
            "ulimit -n {descriptors}; exec \"$0\" run --workers 1 --bind 127.0.0.1 --port-map 80=0 --access-log off \
             --max-connections 100000 --log-format json --admin 127.0.0.1:0 -f \"$1\""
        );
        let mut child = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_postern")])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line.ok()?).ok()?;
            (line["fields"]["message"] == "admin endpoint" || line["message"] == "admin endpoint")
                .then_some(line)
        });
        // Whatever it writes is to be read.
        std::thread::spawn(move || lines.for_each(drop));
        let line = line.unwrap();
        let address = line["address"]
            .as_str()
            .or(line["fields"]["address"].as_str());
        Self(child, address.unwrap().parse().unwrap())
    }

    fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.0.id()))
            .unwrap()
            .count()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn probes_are_answered_where_no_descriptor_is_left() {
    const DESCRIPTORS: u32 = 96;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("gw.yaml"), GATEWAY).unwrap();
    let small = Small::start(folder.path(), DESCRIPTORS);
    let admin = small.1;
    eventually("it serves", || {
        probe(admin, "/readyz").starts_with("HTTP/1.1 200 ")
    });
    let status = probe(admin, "/status");
    let (_, body) = status.split_once("\r\n\r\n").unwrap();
    let status: serde_json::Value = serde_json::from_str(body).unwrap();
    let http: SocketAddr = status["addresses"]["*:80"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let clients: Vec<_> = (0..DESCRIPTORS * 2)
        .map(|_| TcpStream::connect(http).unwrap())
        .collect();
    eventually("they are all taken", || {
        small.open_files() >= DESCRIPTORS as usize
    });
    for round in 0..20 {
        assert_alive(admin, &format!("no descriptor, round {round}"));
    }
    let idle: Vec<_> = (0..100)
        .map(|_| TcpStream::connect(admin).unwrap())
        .collect();
    for round in 0..5 {
        assert_alive(admin, &format!("and 100 idle connections, round {round}"));
    }
    drop((clients, idle));
}

#[test]
fn it_is_asked_by_its_own_names_only() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Start::default()
        .arg("--admin-host")
        .arg("gw-metrics.example")
        .serve(folder.path());
    let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let status = |host: &str, path: &str| {
        let call = Call::get(gateway.admin, &format!("http://{host}{path}"));
        call.send_blocking().unwrap().status.as_u16()
    };
    for path in ["/config", "/status", "/metrics", "/healthz"] {
        for host in [
            "127.0.0.1",
            "[::1]:80",
            "localhost:15000",
            own.trim(),
            "gw-metrics.example",
        ] {
            assert_eq!(status(host, path), 200, "{host}{path}");
        }
        for host in ["rebound.example", "localhost.rebound.example", "admin"] {
            assert_eq!(status(host, path), 421, "{host}{path}");
        }
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let call = Call::new(gateway.admin, method, "http://localhost/config");
        assert_eq!(
            call.send_blocking().unwrap().status.as_u16(),
            405,
            "{method}"
        );
    }
}

#[test]
fn what_rules_set_and_look_for_is_nobodys_to_read() {
    let backend = Backend::start("app");
    let folder = tempfile::tempdir().unwrap();
    let route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n  parentRefs: [{name: gw}]\n  \
                 rules:\n  - matches: [{headers: [{name: x-key, value: Hunter1}], queryParams: [{name: token, value: Hunter2}]}]\n    \
                 filters:\n    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: Authorization, value: Bearer Hunter3}], \
                 add: [{name: X-Also, value: Hunter4}]}}\n    - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: \
                 Set-Cookie, value: session=Hunter5}]}}\n    backendRefs:\n    - name: app\n      port: 80\n      filters: [{type: \
                 RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Inner, value: Hunter6}]}}]\n---\n";
    let external = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: ext, annotations: {higress.io/auth-url: \
                    'http://app.default.svc.cluster.local/check?key=Hunter7'}}\nspec: {ingressClassName: higress, rules: [{host: ext.example, \
                    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: app, port: {number: 80}}}}]}}]}\n---\n";
    let all = format!("{GATEWAY}{route}{external}{}", service("app", &[&backend]));
    fs::write(folder.path().join("all.yaml"), all).unwrap();
    let gateway = Start::default().serve(folder.path());
    let call = Call::get(gateway.address(80), "http://a.example/x?token=Hunter2");
    let told = call
        .header("x-key", "Hunter1")
        .send_blocking()
        .unwrap()
        .json();
    assert_eq!(
        told["headers"]["authorization"][0], "Bearer Hunter3",
        "{told:#}"
    );
    assert_eq!(told["headers"]["x-inner"][0], "Hunter6", "{told:#}");
    for page in ["/config", "/status", "/metrics"] {
        let page = text(&gateway.page(page).body);
        assert!(!page.contains("Hunter"), "{page}");
    }
    let config = text(&gateway.page("/config").body);
    for name in [
        "authorization: [redacted]",
        "x-also: [redacted]",
        "x-inner: [redacted]",
        "/check?[redacted]",
        "x-key",
    ] {
        assert!(config.contains(name), "{name}\n{config}");
    }
    assert!(!format!("{:?}", gateway.lines()).contains("Hunter"));
}
