use std::time::Duration;

use crate::{
    call::{Call, raw},
    echo::{Backend, unused_address},
};

fn get(backend: &Backend, target: &str) -> Call {
    Call::get(backend.address(), &format!("http://a.com{target}"))
}

#[test]
fn it_tells_what_it_saw() {
    let backend = Backend::start("one");
    let answer = get(&backend, "/x?y=z")
        .header("x-a", "1")
        .send_blocking()
        .unwrap();
    let told = answer.json();
    assert_eq!(
        (told["path"].as_str(), told["host"].as_str()),
        (Some("/x?y=z"), Some("a.com"))
    );
    assert_eq!(told["headers"]["x-a"][0], "1");
    assert_eq!(
        (answer.backend(), backend.hits(), backend.seen().len()),
        ("one", 1, 1)
    );
    let answer = get(&backend, "/").http2().send_blocking().unwrap();
    assert_eq!(answer.json()["proto"], "HTTP/2.0");
}

#[test]
fn it_does_what_the_query_asks() {
    let backend = Backend::start("one");
    let status = |target: &str| {
        get(&backend, target)
            .send_blocking()
            .unwrap()
            .status
            .as_u16()
    };
    assert_eq!(status("/?status=418"), 418);
    assert_eq!(
        [
            status("/?fail=1&id=a"),
            status("/?fail=1&id=a"),
            status("/?fail=1&id=b")
        ],
        [503, 200, 503]
    );
    assert_eq!(
        get(&backend, "/?body=100000")
            .send_blocking()
            .unwrap()
            .body
            .len(),
        100_000
    );
    assert_eq!(
        get(&backend, "/?set=x-y:z")
            .send_blocking()
            .unwrap()
            .header("x-y"),
        "z"
    );
    assert!(get(&backend, "/?reset=1").send_blocking().is_err());
    let answer = get(&backend, "/?trailers=1")
        .http2()
        .send_blocking()
        .unwrap();
    assert_eq!(answer.trailers.unwrap()["x-trailer"], "end");
    let echoed = Call::new(backend.address(), "POST", "http://a.com/echo")
        .body("hello")
        .send_blocking()
        .unwrap();
    assert_eq!(&*echoed.body, b"hello");
}

#[test]
fn connections_end_as_told() {
    let backend = Backend::builder().close_idle_after(1).start("one");
    let two = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = raw(backend.address(), two, Duration::from_secs(5));
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "and then it was closed"
    );
    let silent = Backend::builder().silent().start("two");
    assert!(raw(silent.address(), two, Duration::from_millis(100)).is_empty());
    assert!(std::net::TcpStream::connect(unused_address()).is_err());
}

#[test]
fn upgrades_are_echoed() {
    let backend = Backend::start("one");
    let head =
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nping";
    let answer = raw(backend.address(), head, Duration::from_millis(500));
    let text = String::from_utf8_lossy(&answer);
    assert!(
        text.starts_with("HTTP/1.1 101") && text.ends_with("ping"),
        "{text}"
    );
}
