//! Windows of HTTP/2 in both directions: those who do not read hold up nobody else.

use std::{io::Write, net::TcpStream};

use bytes::Bytes;
use http::Request;
use ir::Upstream;
use proxy::Proxy;
use testkit::{call::Call, echo::Backend as Echo};

use crate::support::{http, serve, simple, start};

/// More than all buffers between a client and its backend.
const LARGE: usize = 16 * 1024 * 1024;

fn one_worker() -> Proxy {
    start(|config| config.workers = 1)
}

/// As many as there may be on one connection to a backend, but one.
const READERS: usize = 99;

#[test]
fn clients_that_do_not_read_hold_up_no_other_on_the_same_backend() {
    let echo = Echo::start("a");
    let proxy = one_worker();
    let mut config = simple(echo.address());
    config.clusters[0].upstream = Upstream::Http2;
    serve(&proxy, config.ir());
    let ask = format!("GET /?body={LARGE} HTTP/1.1\r\nHost: a.com\r\n\r\n");
    let mut held = Vec::new();
    for _ in 0..READERS {
        let mut stream = TcpStream::connect(http(&proxy)).unwrap();
        stream.write_all(ask.as_bytes()).unwrap();
        // Its head has come, and then the body is not read.
        assert!(stream.peek(&mut [0]).unwrap() > 0);
        held.push(stream);
    }
    let answer = Call::get(http(&proxy), "http://a.com/?body=100000").send_blocking();
    assert_eq!(answer.unwrap().body.len(), 100_000);
    assert_eq!(echo.connections(), 1, "on the same connection");
}

#[test]
fn uploads_that_a_backend_does_not_take_hold_up_no_other_of_that_client() {
    let echo = Echo::start("a");
    let proxy = one_worker();
    serve(&proxy, simple(echo.address()).ir());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(http(&proxy)).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut sender = sender.ready().await.unwrap();
        let mut upload = |target: &str, length: usize| {
            let request = Request::post(format!("http://a.com{target}")).body(());
            let (answer, mut body) = sender.send_request(request.unwrap(), false).unwrap();
            body.send_data(Bytes::from(vec![b'x'; length]), true)
                .unwrap();
            (answer, body)
        };
        // The backend waits before it reads.
        let held: Vec<_> = (0..20).map(|_| upload("/?delay=60000", LARGE)).collect();
        let (answer, _body) = upload("/", 1_000_000);
        let answer = tokio::time::timeout(testkit::call::DEADLINE, answer).await;
        assert_eq!(answer.expect("it comes in time").unwrap().status(), 200);
        drop(held);
    });
}
