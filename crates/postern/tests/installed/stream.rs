//! Streams that are opened once and go on for as long as they may.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use tokio::{runtime::Runtime, sync::mpsc, time::timeout};
use tonic::{Request, Streaming};

use crate::{
    cluster::until,
    grpc::{Client, Line, Running},
    load::connect,
};
use testkit::call::DEADLINE;

/// The host of what is asked for with gRPC.
pub(crate) const HOST: &str = "grpc.example";

/// A stream whose other end gives back what it gets.
pub(crate) trait Stream: Send {
    /// Whether a message comes back.
    fn echoes(&mut self) -> bool;
}

/// A call of a gRPC service in plain text, without end in both directions.
pub(crate) struct Grpc {
    runtime: Runtime,
    _server: Running,
    to: mpsc::Sender<Line>,
    from: Streaming<Line>,
    said: u32,
}

impl Grpc {
    /// `serve` makes the gateway lead to the server.
    pub(crate) fn open(gateway: SocketAddr, serve: impl FnOnce(SocketAddr)) -> Self {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(Running::start(None));
        serve(server.address);
        let client = runtime.block_on(Client::connect(gateway, HOST, None));
        let (to, receiver) = mpsc::channel(1);
        until("an answer of the gRPC server", || {
            let said = client.say(Request::new(Line::new("hello", 0)));
            runtime.block_on(said).ok()
        });
        let from = runtime
            .block_on(client.echo(receiver))
            .unwrap()
            .into_inner();
        Self {
            runtime,
            _server: server,
            to,
            from,
            said: 0,
        }
    }
}

impl Stream for Grpc {
    fn echoes(&mut self) -> bool {
        self.said += 1;
        let line = Line::new("ping", self.said);
        let exchange = async {
            self.to.send(line.clone()).await.ok()?;
            self.from.message().await.ok()?
        };
        // The deadline needs the runtime, too.
        let back = self
            .runtime
            .block_on(async { timeout(DEADLINE, exchange).await });
        back.is_ok_and(|back| back == Some(line))
    }
}

/// A stream whose other end gives back what it gets.
pub(crate) struct WebSocket(TcpStream);

impl WebSocket {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let mut stream = connect(address).unwrap();
        let request = "GET /stream HTTP/1.1\r\nhost: life.example\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                       sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        Self(stream)
    }
}

impl Stream for WebSocket {
    fn echoes(&mut self) -> bool {
        let mut back = [0; 4];
        self.0.write_all(b"ping").is_ok()
            && self.0.read_exact(&mut back).is_ok()
            && back == *b"ping"
    }
}
