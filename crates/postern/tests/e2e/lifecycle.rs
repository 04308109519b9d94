//! Start, admin endpoint, logs, traces, and the end.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::support::{Example, Served, Start, postern, text};
use serde_json::Value;
use testkit::{
    call::{Call, raw},
    certs::{Ca, Issued},
    echo::Backend,
    wait::eventually,
};

#[test]
fn the_admin_endpoint_tells_everything() {
    let example = Example::new("canary-by-header");
    let served = Served::new(example.folder.path(), &example.backends);
    assert_eq!(
        served.get("http://any.example.com/hello").backend(),
        "demo-service"
    );
    assert_eq!(served.get("http://any.example.com/").status.as_u16(), 404);
    let page = |path: &str| served.gateway.page(path);
    assert_eq!(
        (
            page("/healthz").status.as_u16(),
            page("/readyz").status.as_u16()
        ),
        (200, 200)
    );
    let metrics = text(&page("/metrics").body);
    for wanted in [
        "postern_requests_total{",
        "postern_gateway_responses_total{",
        "reason=\"no_route\"",
        "postern_snapshot_generation 1",
    ] {
        assert!(metrics.contains(wanted), "{wanted}\n{metrics}");
    }
    let config = page("/config").json();
    assert!(
        config["ports"]["*:80"]["listeners"].is_array(),
        "{config:#}"
    );
    let status = page("/status").json();
    assert_eq!(status["phase"], "serving");
    assert_eq!(
        status["status"]
            .as_object()
            .map(|objects| objects.is_empty()),
        Some(false),
        "{status:#}"
    );
    assert_eq!(page("/").status.as_u16(), 404);
    let call = Call::new(served.gateway.admin, "POST", "http://localhost/config")
        .send_blocking()
        .unwrap();
    assert_eq!(
        (call.status.as_u16(), call.header("allow")),
        (405, "GET, HEAD")
    );
}

#[test]
fn a_secret_never_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Backend::start("app");
    let issued = Ca::new("test").issue(&["secure.example.com"]);
    fs::write(
        folder.path().join("all.yaml"),
        tls_manifests(&backend, &issued),
    )
    .unwrap();
    let gateway = Start::default().serve(folder.path());
    let key = private_lines(&issued);
    for path in ["/config", "/status", "/metrics"] {
        let page = text(&gateway.page(path).body);
        assert!(!key.iter().any(|line| page.contains(line)), "{path}");
    }
    let config = text(&gateway.page("/config").body);
    assert!(config.contains("redacted"), "{config}");
    let log = format!("{:?}", gateway.lines());
    assert!(!key.iter().any(|line| log.contains(line)));
}

/// Lines of the key that are in no other text.
fn private_lines(issued: &Issued) -> Vec<String> {
    let lines: Vec<String> = issued
        .key_pem
        .lines()
        .filter(|line| !line.starts_with('-') && line.len() > 20)
        .map(str::to_owned)
        .collect();
    assert!(!lines.is_empty());
    lines
}

fn tls_manifests(backend: &Backend, issued: &Issued) -> String {
    let indent = |pem: &str| {
        pem.lines()
            .map(|line| format!("    {line}\n"))
            .collect::<String>()
    };
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: app\nspec:\n  ingressClassName: higress\n  tls:\n  \
         - {{hosts: [secure.example.com], secretName: pair}}\n  rules:\n  - host: secure.example.com\n    http:\n      paths:\n      \
         - {{path: /, pathType: Prefix, backend: {{service: {{name: app, port: {{number: 80}}}}}}}}\n---\napiVersion: v1\nkind: Service\n\
         metadata:\n  name: app\n  annotations: {{postern.dev/endpoints: '{}'}}\nspec:\n  ports: [{{port: 80}}]\n---\napiVersion: v1\n\
         kind: Secret\ntype: kubernetes.io/tls\nmetadata:\n  name: pair\nstringData:\n  tls.crt: |\n{}  tls.key: |\n{}",
        backend.address(),
        indent(&issued.cert_pem),
        indent(&issued.key_pem)
    )
}

#[test]
fn an_ingress_with_tls_is_served_and_its_certificate_may_change() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Backend::start("app");
    let (old, new) = (Ca::new("old"), Ca::new("new"));
    let path = folder.path().join("all.yaml");
    fs::write(
        &path,
        tls_manifests(&backend, &old.issue(&["secure.example.com"])),
    )
    .unwrap();
    let gateway = Start::default().serve(folder.path());
    let address = gateway.address(443);
    let get = |ca: &Ca| {
        let call = Call::get(address, "https://secure.example.com/x").http2();
        call.tls(ca.client_config(&["h2"]).into(), "secure.example.com")
            .send_blocking()
    };
    assert_eq!(get(&old).unwrap().backend(), "app");
    assert!(get(&new).is_err());
    fs::write(
        &path,
        tls_manifests(&backend, &new.issue(&["secure.example.com"])),
    )
    .unwrap();
    gateway.wait_beyond(1);
    assert_eq!(get(&new).unwrap().backend(), "app");
    assert!(get(&old).is_err());
    // Over plain HTTP too: nothing is implied by spec.tls.
    let plain = Call::get(gateway.address(80), "http://secure.example.com/")
        .send_blocking()
        .unwrap();
    assert_eq!(plain.backend(), "app");
}

#[test]
fn sigterm_lets_requests_finish() {
    let example = Example::new("canary-by-header");
    let mut served = Served::new(example.folder.path(), &example.backends);
    let address = served.http;
    let slow = std::thread::spawn(move || {
        Call::get(address, "http://any.example.com/hello?delay=1500").send_blocking()
    });
    eventually("the request arrives", || served.hits("demo-service") == 1);
    served.gateway.signal("TERM");
    served.gateway.wait_for("draining");
    assert_eq!(served.gateway.page("/readyz").status.as_u16(), 503);
    assert!(TcpStream::connect(address).is_err(), "no new connections");
    assert!(!slow.is_finished(), "while the request is in flight");
    let answer = slow.join().unwrap().unwrap();
    assert_eq!(
        (answer.backend(), answer.header("connection")),
        ("demo-service", "close")
    );
    assert_eq!(served.gateway.end(), Some(0));
    served.gateway.wait_for("drained");
}

#[test]
fn the_drain_has_a_deadline() {
    let example = Example::new("canary-by-header");
    let mut gateway = Start::default()
        .arg("--drain-timeout")
        .arg("300ms")
        .serve(example.folder.path());
    let address = gateway.address(80);
    let slow = std::thread::spawn(move || {
        Call::get(address, "http://any.example.com/hello?delay=9000").send_blocking()
    });
    eventually("the request arrives", || {
        example.backends["demo-service"].hits() == 1
    });
    gateway.signal("TERM");
    assert_eq!(gateway.end(), Some(0));
    gateway.wait_for("the deadline came before the last requests were finished");
    assert!(slow.join().unwrap().is_err());
}

#[test]
fn a_port_in_use_is_one_line_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let example = Example::new("canary-by-header");
    let folder = example.folder.path().to_str().unwrap();
    let map = format!("80={port}");
    let output = postern(&[
        "run",
        "-f",
        folder,
        "--bind",
        "127.0.0.1",
        "--port-map",
        &map,
        "--admin",
        "off",
        "--log-level",
        "error",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains(&port.to_string()) && said.contains("in use") && said.contains("--port-map"),
        "{said}"
    );
    let admin = format!("127.0.0.1:{port}");
    let output = postern(&[
        "run",
        "-f",
        folder,
        "--bind",
        "127.0.0.1",
        "--port-map",
        "80=0",
        "--admin",
        &admin,
        "--log-level",
        "error",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.lines().count() == 1 && said.contains("--admin"),
        "{said}"
    );
}

#[test]
fn the_access_log_has_a_line_for_each_request() {
    let example = Example::new("canary-by-header");
    let log = example.folder.path().join("access.log");
    let mut gateway = Start::default()
        .arg("--access-log")
        .arg(log.to_str().unwrap())
        .serve(example.folder.path());
    let address = gateway.address(80);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let call = Call::get(address, "http://any.example.com/hello?q=1")
        .header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"));
    assert_eq!(call.send_blocking().unwrap().backend(), "demo-service");
    assert_eq!(
        Call::get(address, "http://any.example.com/nothing")
            .send_blocking()
            .unwrap()
            .status
            .as_u16(),
        404
    );
    gateway.signal("TERM");
    assert_eq!(gateway.end(), Some(0));
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(
        (&lines[0]["status"], &lines[0]["path"]),
        (&200.into(), &"/hello".into()),
        "{text}"
    );
    assert_eq!(lines[0]["trace_id"], trace, "{text}");
    assert_eq!(lines[0]["scheme"], "http", "{text}");
    assert_eq!(
        (&lines[1]["status"], &lines[1]["reason"]),
        (&404.into(), &"no_route".into()),
        "{text}"
    );
}

#[test]
fn signals_of_log_rotation_open_the_access_log_anew_and_end_nothing() {
    let example = Example::new("canary-by-header");
    let log = example.folder.path().join("access.log");
    let mut gateway = Start::default()
        .arg("--access-log")
        .arg(log.to_str().unwrap())
        .serve(example.folder.path());
    let address = gateway.address(80);
    let lines = |path: &Path| fs::read_to_string(path).map_or(0, |text| text.lines().count());
    for signal in ["USR1", "HUP"] {
        let old = log.with_extension(signal);
        let get = || Call::get(address, "http://any.example.com/hello").send_blocking();
        assert_eq!(get().unwrap().backend(), "demo-service");
        eventually("the line is written", || lines(&log) == 1);
        fs::rename(&log, &old).unwrap();
        gateway.signal(signal);
        eventually("there is a new file", || log.exists());
        assert_eq!(get().unwrap().backend(), "demo-service");
        eventually("it is written to", || lines(&log) == 1);
        assert_eq!(lines(&old), 1);
        fs::remove_file(&log).unwrap();
        gateway.signal(signal);
        eventually("there is one again", || log.exists());
    }
    gateway.signal("USR2");
    gateway.wait_for("SIGUSR2 means nothing here");
    assert_eq!(gateway.page("/readyz").status.as_u16(), 200);
    gateway.signal("TERM");
    assert_eq!(gateway.end(), Some(0));
}

/// Somebody else holds a port, so that binding it is tried again and again.
#[test]
fn the_end_is_orderly_while_a_bind_is_retried() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let map = format!("81={}", taken.local_addr().unwrap().port());
    let folder = tempfile::tempdir().unwrap();
    let gateway_yaml = |name: &str, port: u16| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: {name}}}\n\
             spec: {{gatewayClassName: postern, listeners: [{{name: http, port: {port}, protocol: HTTP}}]}}\n"
        )
    };
    fs::write(folder.path().join("a.yaml"), gateway_yaml("a", 80)).unwrap();
    let mut gateway = Start::default()
        .arg("--port-map")
        .arg(&map)
        .serve(folder.path());
    fs::write(folder.path().join("b.yaml"), gateway_yaml("b", 81)).unwrap();
    gateway.wait_beyond(1);
    let conditions = gateway.status()["problems"]["conditions"].to_string();
    assert!(conditions.contains("Gateway/default/b"), "{conditions}");
    gateway.signal("TERM");
    assert_eq!(gateway.end(), Some(0));
    let lines = gateway.lines();
    let text = format!("{lines:?}");
    assert!(
        text.contains("drained") && !text.contains("panic"),
        "{text}"
    );
}

#[test]
fn traces_are_exported_and_carried_on() {
    let collector = Backend::start("collector");
    let example = Example::new("canary-by-header");
    let mut gateway = Start::default()
        .env(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            format!("http://{}", collector.address()),
        )
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        .serve(example.folder.path());
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = "00f067aa0ba902b7";
    let call = Call::get(gateway.address(80), "http://any.example.com/hello")
        .header("traceparent", &format!("00-{trace}-{parent}-01"));
    let told = call.send_blocking().unwrap().json();
    let carried = told["headers"]["traceparent"][0]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        carried.starts_with(&format!("00-{trace}-")) && carried.ends_with("-01"),
        "{carried}"
    );
    assert!(
        !carried.contains(parent),
        "the parent is our own span: {carried}"
    );
    gateway.signal("TERM");
    assert_eq!(gateway.end(), Some(0));
    let seen = collector.seen();
    assert!(!seen.is_empty(), "nothing was exported");
    assert!(
        seen.iter()
            .all(|seen| seen.target == "/v1/traces" && seen.body > 0),
        "{seen:?}"
    );
}

#[test]
fn a_dead_collector_costs_no_request() {
    let example = Example::new("canary-by-header");
    let gateway = Start::default()
        .env(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            format!("http://{}", testkit::echo::unused_address()),
        )
        .serve(example.folder.path());
    let address = gateway.address(80);
    for _ in 0..50 {
        assert_eq!(
            Call::get(address, "http://any.example.com/hello")
                .send_blocking()
                .unwrap()
                .backend(),
            "demo-service"
        );
    }
}

#[test]
fn ambiguous_framing_is_refused() {
    let example = Example::new("canary-by-header");
    let served = Served::new(example.folder.path(), &example.backends);
    let request = b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let answer = text(&raw(served.http, request, Duration::from_secs(2)));
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(served.hits("demo-service"), 0);
}

/// Many systems give a process few to begin with, and let it have more when it asks.
#[test]
fn as_many_files_may_be_open_as_the_system_allows() {
    let folder = tempfile::tempdir().unwrap();
    let script = "ulimit -Sn 256; exec \"$0\" run --bind 127.0.0.1 --admin 127.0.0.1:0 -f \"$1\"";
    let mut child = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_postern")])
        .arg(folder.path())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let process = format!("/proc/{}", child.id());
    eventually("the shell has made room", || {
        fs::read_link(format!("{process}/exe")).is_ok_and(|exe| exe.ends_with("postern"))
    });
    eventually("the limit is raised", || {
        let limits = fs::read_to_string(format!("{process}/limits")).unwrap();
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max open files"));
        let numbers: Vec<_> = line.unwrap().split_whitespace().skip(3).collect();
        numbers[0] == numbers[1] && numbers[0] != "256"
    });
    child.kill().unwrap();
    child.wait().unwrap();
}
