//! What is sent again when a connection is lost, and what is not.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use http::StatusCode;
use ir::{Action, Retry, RetryOn};
use proxy::Proxy;
use testkit::call::{Answer, Call};

use crate::support::{Config1, cluster, forward, http, route, serve, start};

/// A backend that answers the first request of a connection if it is for `/first`, and breaks every other one off after
/// it has read it. Gives its address and how many it has read.
fn breaking() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let read = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&read);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let count = Arc::clone(&count);
            thread::spawn(move || answer_first(stream, &count));
        }
    });
    (address, read)
}

fn answer_first(mut stream: TcpStream, count: &AtomicUsize) {
    loop {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        count.fetch_add(1, SeqCst);
        if !head.starts_with(b"GET /first ") {
            return;
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        if stream.write_all(answer).is_err() {
            return;
        }
    }
}

fn served(address: SocketAddr, retry: Retry) -> Proxy {
    let proxy = start(|config| config.workers = 1);
    let mut action = forward("a");
    action.retry = Some(retry);
    let config = Config1 {
        routes: vec![route("/", vec![], Action::Forward(action))],
        clusters: vec![cluster("a", &[address])],
    };
    serve(&proxy, config.ir());
    proxy
}

fn retry(retries: u32, spares_lost: bool) -> Retry {
    Retry {
        retries,
        backoff: None,
        on: RetryOn {
            connect: true,
            timeout: false,
            statuses: vec![StatusCode::INTERNAL_SERVER_ERROR],
            any_5xx: false,
        },
        non_idempotent: true,
        spares_lost,
    }
}

fn ask(proxy: &Proxy, method: &str, path: &str) -> Answer {
    let url = format!("http://a.com{path}");
    Call::new(http(proxy), method, &url)
        .send_blocking()
        .unwrap()
}

#[test]
fn a_request_that_may_have_been_processed_is_repeated_only_where_that_does_no_harm() {
    for (method, spares_lost, expected) in [("GET", true, 3), ("POST", true, 1), ("POST", false, 3)]
    {
        let (address, read) = breaking();
        let proxy = served(address, retry(2, spares_lost));
        let status = ask(&proxy, method, "/lost").status;
        assert_eq!(status, 502, "{method}");
        assert_eq!(read.load(SeqCst), expected, "{method}, {spares_lost}");
    }
}

#[test]
fn no_retries_means_that_nothing_is_sent_twice() {
    let (address, read) = breaking();
    let proxy = served(address, retry(0, true));
    assert_eq!(ask(&proxy, "GET", "/first").status, 200);
    // On the same connection, which breaks off as if it had died in the pool.
    assert_eq!(ask(&proxy, "GET", "/lost").status, 502);
    assert_eq!(read.load(SeqCst), 2);
}
