//! A real gRPC client and a real gRPC server with the gateway between them: all four shapes of call, statuses and
//! metadata in trailers, deadlines and cancellation; in plain text and over TLS on both sides; by each way in which a
//! backend can be declared to speak gRPC.

mod route;
mod service;

use std::{fs, time::Duration};

use rustls::ClientConfig;
use tempfile::TempDir;
use testkit::certs::Ca;
use tokio::{sync::mpsc, time::timeout};
use tonic::{Code, Request};

use crate::support::{DEADLINE, Gateway, Start, secret};
use service::{Client, Line, Running};

/// How a backend says that it speaks gRPC: the host, annotations of its Ingress, name and appProtocol of its port.
const WAYS: [(&str, &str, &str, &str); 4] = [
    (
        "annotation.example.com",
        "higress.io/backend-protocol: GRPC",
        "web",
        "",
    ),
    ("port-name.example.com", "", "grpc-lab", ""),
    ("app-protocol.example.com", "", "web", "kubernetes.io/h2c"),
    (
        "encrypted.example.com",
        "higress.io/backend-protocol: GRPCS",
        "web",
        "",
    ),
];
const PLAIN: &str = WAYS[0].0;
const ENCRYPTED: &str = WAYS[3].0;

struct Lab {
    plain: Running,
    /// Kept running for the host that speaks TLS to its backend.
    _encrypted: Running,
    gateway: Gateway,
    _folder: TempDir,
    tls: ClientConfig,
}

impl Lab {
    async fn start() -> Self {
        let ca = Ca::new("servers");
        let hosts = WAYS.map(|(host, ..)| host);
        let pair = ca.issue(&hosts);
        let plain = Running::start(None).await;
        let encrypted = Running::start(Some(pair.server_config(&["h2"]))).await;
        let folder = tempfile::tempdir().unwrap();
        for way in WAYS {
            let backend = if way.0 == ENCRYPTED {
                &encrypted
            } else {
                &plain
            };
            let file = folder.path().join(format!("{}.yaml", way.0));
            fs::write(file, manifest(way, &backend.address.to_string())).unwrap();
        }
        let entries = [("tls.crt", &*pair.cert_pem), ("tls.key", &*pair.key_pem)];
        fs::write(folder.path().join("secret.yaml"), secret("pair", &entries)).unwrap();
        let path = folder.path().to_owned();
        let gateway = tokio::task::spawn_blocking(move || Start::default().serve(&path));
        Self {
            plain,
            _encrypted: encrypted,
            gateway: gateway.await.unwrap(),
            _folder: folder,
            tls: ca.client_config(&["h2"]),
        }
    }

    /// A client for the host, in plain text or over TLS.
    async fn client(&self, host: &'static str, tls: bool) -> Client {
        let port = if tls { 443 } else { 80 };
        let address = tokio::task::block_in_place(|| self.gateway.address(port));
        Client::connect(address, host, tls.then(|| self.tls.clone())).await
    }
}

fn manifest(
    (host, annotation, port, app_protocol): (&str, &str, &str, &str),
    endpoint: &str,
) -> String {
    let name = host.split('.').next().unwrap();
    let app_protocol = if app_protocol.is_empty() {
        String::new()
    } else {
        format!(", appProtocol: {app_protocol}")
    };
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  annotations: {{postern.dev/endpoints: '{endpoint}'}}\nspec:\n  \
         ports:\n  - {{name: {port}, port: 50051{app_protocol}}}\n---\n\
         apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: {name}\n  annotations: {{{annotation}}}\nspec:\n  \
         ingressClassName: higress\n  tls:\n  - {{hosts: [{host}], secretName: pair}}\n  rules:\n  - host: {host}\n    http:\n      paths:\n      \
         - {{path: /lab.Lab, pathType: Prefix, backend: {{service: {{name: {name}, port: {{number: 50051}}}}}}}}\n"
    )
}

fn run(test: impl AsyncFnOnce(Lab)) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let lab = Lab::start().await;
        timeout(3 * DEADLINE, test(lab)).await.expect("in time");
    });
}

/// The four shapes of call.
async fn all_shapes(client: &Client, place: &str) {
    let said = client.say(Request::new(Line::new("hello", 1))).await;
    assert_eq!(
        said.unwrap().into_inner(),
        Line::new("said hello", 2),
        "{place}"
    );

    let mut counted = client
        .count(Line::new("n", 100))
        .await
        .unwrap()
        .into_inner();
    for at in 1..=100 {
        let line = counted.message().await.unwrap();
        assert_eq!(line, Some(Line::new("n", at)), "{place}");
    }
    assert_eq!(counted.message().await.unwrap(), None, "{place}");
    let trailers = counted.trailers().await.unwrap();
    assert!(trailers.is_some(), "{place}: the status came in trailers");

    let lines = (1..=100).map(|at| Line::new("x", at)).collect();
    let joined = client.join(lines).await.unwrap().into_inner();
    assert_eq!(joined, Line::new(&"x".repeat(100), 5_050), "{place}");

    // Each line is answered before the next one is sent: nothing waits for the end of a body.
    let (sender, receiver) = mpsc::channel(1);
    sender.send(Line::new("first", 0)).await.unwrap();
    let mut echoed = client.echo(receiver).await.unwrap().into_inner();
    assert_eq!(
        echoed.message().await.unwrap(),
        Some(Line::new("first", 0)),
        "{place}"
    );
    for at in 1..20 {
        sender.send(Line::new("ping", at)).await.unwrap();
        let line = echoed.message().await.unwrap();
        assert_eq!(line, Some(Line::new("ping", at)), "{place}");
    }
    drop(sender);
    assert_eq!(echoed.message().await.unwrap(), None, "{place}");
}

#[test]
fn every_shape_of_call_by_every_way_to_declare_it() {
    run(async |lab| {
        for (host, ..) in WAYS {
            for tls in [false, true] {
                let client = lab.client(host, tls).await;
                all_shapes(&client, &format!("{host}, TLS: {tls}")).await;
            }
        }
    });
}

#[test]
fn statuses_details_and_metadata_come_in_trailers() {
    run(async |lab| {
        for (host, tls) in [(PLAIN, false), (PLAIN, true), (ENCRYPTED, true)] {
            let client = lab.client(host, tls).await;
            for code in [
                Code::NotFound,
                Code::PermissionDenied,
                Code::Unauthenticated,
            ] {
                let line = Line::new("fail", u32::try_from(code as i32).unwrap());
                let status = client.say(Request::new(line)).await.unwrap_err();
                assert_eq!(status.code(), code);
                assert_eq!(status.message(), "no such thing: ä, \"quoted\"");
                assert_eq!(status.details(), b"\x00details\xff");
                assert_eq!(status.metadata().get("x-trailer").unwrap(), "kept");
            }
            // After some messages.
            let mut counted = client
                .count(Line::new("fail", 3))
                .await
                .unwrap()
                .into_inner();
            for at in 1..=3 {
                assert_eq!(counted.message().await.unwrap().unwrap().number, at);
            }
            let status = counted.message().await.unwrap_err();
            assert_eq!(
                (status.code(), status.message()),
                (Code::DataLoss, "half way")
            );
        }
    });
}

#[test]
fn deadlines_and_cancellation_reach_the_server() {
    run(async |mut lab| {
        let client = lab.client(PLAIN, false).await;
        let mut request = Request::new(Line::new("deadline", 0));
        request.set_timeout(Duration::from_secs(17));
        let told = client.say(request).await.unwrap().into_inner().text;
        let unit = told
            .strip_prefix("17")
            .map(|rest| rest.trim_start_matches('0'));
        assert!(
            unit.is_some_and(|unit| ["S", "m", "u", "n"].contains(&unit)),
            "{told}"
        );

        // A call that nobody answers ends at its deadline, on both sides.
        let mut request = Request::new(Line::new("sleep", 0));
        request.set_timeout(Duration::from_millis(300));
        let status = client.say(request).await.unwrap_err();
        assert!(
            [Code::DeadlineExceeded, Code::Cancelled].contains(&status.code()),
            "{status:?}"
        );
        timeout(DEADLINE, lab.plain.ended.recv()).await.unwrap();

        // One that the client turns away from ends at the server too; its connection goes on.
        let mut endless = client.count(Line::new("on", 0)).await.unwrap().into_inner();
        for at in 1..=50 {
            assert_eq!(endless.message().await.unwrap().unwrap().number, at);
        }
        drop(endless);
        timeout(DEADLINE, lab.plain.ended.recv()).await.unwrap();
        let said = client.say(Request::new(Line::new("again", 1))).await;
        assert_eq!(said.unwrap().into_inner().text, "said again");
    });
}

#[test]
fn a_host_that_nobody_serves_is_a_call_that_nobody_implements() {
    run(async |lab| {
        let client = lab.client("nobody.example.com", false).await;
        // The second time, on the same connection.
        for _ in 0..2 {
            let status = client.say(Request::new(Line::new("x", 0))).await;
            let status = status.unwrap_err();
            let told = (status.code(), status.message());
            assert_eq!(told, (Code::Unimplemented, "no_route"), "{status:?}");
        }
    });
}
