//! HTTP/2 towards backends: how many streams, on how many connections, and what becomes of those that are refused.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Request;
use ir::{Action, Ir, Upstream, UpstreamName, UpstreamTls, Verify};
use parking_lot::Mutex;
use proxy::{Config, Proxy};
use testkit::{
    call::{Answer, Call, raw},
    certs::Ca,
    echo::Backend as Echo,
    wait::eventually,
};

use crate::{
    http2_peer::{Peer, backend},
    support::{cluster, forward, http, route, serve, simple, start},
};

const MANY: u32 = 1000;
const SHORT: Duration = Duration::from_millis(200);
/// Longer than that, shorter than any other deadline of the gateway.
const SOON: Duration = Duration::from_secs(4);

/// One worker, so that requests meet on the same connections.
fn one_worker(change: impl FnOnce(&mut Config)) -> Proxy {
    start(|config| {
        config.workers = 1;
        change(config);
    })
}

fn http2(address: SocketAddr) -> Ir {
    let mut config = simple(address);
    config.clusters[0].upstream = Upstream::Http2;
    config.ir()
}

fn http2_tls(address: SocketAddr) -> Ir {
    let mut config = simple(address);
    config.clusters[0].upstream = Upstream::Http2;
    config.clusters[0].tls = Some(Arc::new(UpstreamTls {
        name: UpstreamName::Fixed("a.com".into()),
        send_name: true,
        verify: Verify::No,
        names: Vec::new(),
        certificate: None,
    }));
    config.ir()
}

fn get(proxy: &Proxy) -> Call {
    Call::get(http(proxy), "http://a.com/")
}

fn post(proxy: &Proxy, body: impl Into<Bytes>) -> Call {
    Call::new(http(proxy), "POST", "http://a.com/").body(body)
}

/// Sends it meanwhile.
fn meanwhile(call: Call) -> JoinHandle<(u16, String)> {
    std::thread::spawn(|| told(call))
}

fn told(call: Call) -> (u16, String) {
    let answer: Answer = call.send_blocking().unwrap();
    let body = String::from_utf8_lossy(&answer.body);
    (answer.status.as_u16(), body.into_owned())
}

fn ok(body: &str) -> (u16, String) {
    (200, body.to_owned())
}

fn word(status: u16, word: &str) -> (u16, String) {
    (status, word.to_owned())
}

/// A backend that tells of each request and holds it until it is let go; an answer is the number of its connection.
struct Holding {
    address: SocketAddr,
    asked: mpsc::Receiver<(usize, mpsc::Sender<()>)>,
    closed: mpsc::Receiver<usize>,
}

impl Holding {
    /// Each connection allows so many streams at a time.
    fn new(streams: u32) -> Self {
        let (ask, asked) = mpsc::channel();
        let (close, closed) = mpsc::channel();
        let address = backend(move |number, stream| {
            let mut peer = Peer::greet(stream.try_clone().unwrap(), streams);
            while let Some(id) = peer.request() {
                let (go, gone) = mpsc::channel();
                let mut writer = Peer::on(stream.try_clone().unwrap());
                std::thread::spawn(move || {
                    // An error is the word.
                    let _: Result<(), _> = gone.recv();
                    writer.answer(id, number.to_string().as_bytes());
                });
                // The test may be over.
                let _ = ask.send((number, go));
            }
            let _ = close.send(number);
        });
        Self {
            address,
            asked,
            closed,
        }
    }

    /// The connection of the next request, and what lets it go when it is dropped.
    fn next(&self) -> (usize, mpsc::Sender<()>) {
        self.asked.recv_timeout(Duration::from_secs(20)).unwrap()
    }
}

#[test]
fn where_a_connection_is_full_another_is_opened() {
    let backend = Holding::new(2);
    let proxy = one_worker(|_| ());
    serve(&proxy, http2(backend.address));
    let mut held = Vec::new();
    for expected in [1, 1, 2, 2, 3] {
        let answer = meanwhile(get(&proxy));
        let (connection, go) = backend.next();
        assert_eq!(connection, expected);
        held.push((connection, go, answer));
    }
    for (connection, go, answer) in held {
        drop(go);
        assert_eq!(answer.join().unwrap(), ok(&connection.to_string()));
    }
    let answer = meanwhile(get(&proxy));
    assert_eq!(backend.next().0, 1, "the first has room again");
    assert_eq!(answer.join().unwrap(), ok("1"));
}

#[test]
fn connections_have_a_limit_and_beyond_it_is_503() {
    let backend = Holding::new(1);
    let proxy = one_worker(|config| config.limits.http2_upstream = 2);
    serve(&proxy, http2(backend.address));
    let first = meanwhile(get(&proxy));
    let (_, go_first) = backend.next();
    let second = meanwhile(get(&proxy));
    let (_, go_second) = backend.next();
    for _ in 0..3 {
        assert_eq!(told(get(&proxy)), word(503, "streams_exhausted"));
    }
    assert!(
        backend.asked.try_recv().is_err(),
        "the backend saw none of them"
    );
    drop(go_first);
    assert_eq!(first.join().unwrap(), ok("1"));
    let third = meanwhile(get(&proxy));
    assert_eq!(backend.next().0, 1);
    assert_eq!(third.join().unwrap(), ok("1"));
    drop(go_second);
    assert_eq!(second.join().unwrap(), ok("2"));
}

#[test]
fn a_backend_may_allow_fewer_streams_later() {
    let (tell, lowered) = mpsc::channel();
    let address = backend(move |number, stream| {
        let mut peer = Peer::greet(stream, MANY);
        while let Some(id) = peer.request() {
            if number > 1 {
                peer.answer(id, b"second");
                continue;
            }
            // This one is not answered.
            peer.allow(1);
            peer.acknowledged();
            tell.send(()).unwrap();
        }
    });
    let proxy = one_worker(|_| ());
    serve(&proxy, http2(address));
    let held = get(&proxy);
    std::thread::spawn(|| held.send_blocking());
    lowered.recv().unwrap();
    assert_eq!(told(get(&proxy)), ok("second"));
}

#[test]
fn many_requests_at_once_share_what_is_opened_for_the_first() {
    let backend = Holding::new(MANY);
    let proxy = one_worker(|_| ());
    serve(&proxy, http2(backend.address));
    let answers: Vec<_> = (0..150).map(|_| meanwhile(get(&proxy))).collect();
    let asked: Vec<_> = answers.iter().map(|_| backend.next()).collect();
    let on = |connection| asked.iter().filter(|(on, _)| *on == connection).count();
    assert_eq!(
        (on(1) + on(2), on(1).max(on(2))),
        (150, 100),
        "no connection carries more"
    );
    drop(asked);
    for answer in answers {
        assert_eq!(answer.join().unwrap().0, 200);
    }
}

/// A connection of a client that speaks HTTP/2.
async fn client(proxy: &Proxy) -> h2::client::SendRequest<Bytes> {
    let stream = tokio::net::TcpStream::connect(http(proxy)).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender.ready().await.unwrap()
}

fn upload() -> Request<()> {
    let request = Request::post("http://a.com/");
    request.body(()).unwrap()
}

#[test]
fn a_stream_counts_while_its_body_is_on_its_way() {
    let address = backend(|number, stream| {
        let mut peer = Peer::greet(stream, 1);
        while let Some(id) = peer.request() {
            peer.answer(id, number.to_string().as_bytes());
        }
    });
    let proxy = one_worker(|_| ());
    serve(&proxy, http2(address));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut sender = client(&proxy).await;
        let (answer, mut body) = sender.send_request(upload(), false).unwrap();
        body.send_data(Bytes::from_static(b"begun"), false).unwrap();
        let mut answer = answer.await.unwrap().into_body();
        assert_eq!(answer.data().await.unwrap().unwrap(), "1");
        assert!(answer.data().await.is_none());
        let other = get(&proxy).send().await.unwrap();
        assert_eq!(other.body, "2", "the first connection is not free");
        body.send_data(Bytes::new(), true).unwrap();
    });
}

#[test]
fn a_backend_that_says_nothing_has_a_deadline() {
    let silent = Echo::builder().silent().start("a");
    let proxy = one_worker(|config| config.deadlines.connect = SHORT);
    serve(&proxy, http2(silent.address()));
    let begun = Instant::now();
    assert_eq!(told(get(&proxy)), word(504, "connect_timeout"));
    serve(&proxy, http2_tls(after_the_handshake(&["h2"], |_| ())));
    assert_eq!(told(get(&proxy)), word(504, "connect_timeout"));
    assert!(begun.elapsed() < SOON);
}

/// A backend that shakes hands, does this, and then nothing until the other side has closed.
fn after_the_handshake(
    alpn: &[&str],
    act: impl Fn(&mut rustls::StreamOwned<rustls::ServerConnection, TcpStream>) + Clone + Send + 'static,
) -> SocketAddr {
    let config = Arc::new(Ca::new("backends").issue(&["a.com"]).server_config(alpn));
    backend(move |_, mut stream| {
        let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        while tls.is_handshaking() {
            if tls.complete_io(&mut stream).is_err() {
                return;
            }
        }
        let mut stream = rustls::StreamOwned::new(tls, stream);
        act(&mut stream);
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

#[test]
fn a_backend_that_chooses_another_protocol_is_not_asked() {
    let proxy = one_worker(|_| ());
    for alpn in [&[][..], &["http/1.1"]] {
        let address = after_the_handshake(alpn, |_| ());
        serve(&proxy, http2_tls(address));
        let begun = Instant::now();
        assert_eq!(told(get(&proxy)), word(502, "upstream_tls"), "{alpn:?}");
        assert!(begun.elapsed() < SOON);
    }
}

#[test]
fn a_backend_that_speaks_something_else_has_lost_the_connection() {
    let address = backend(|_, mut stream| {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let proxy = one_worker(|_| ());
    serve(&proxy, http2(address));
    let begun = Instant::now();
    assert_eq!(told(get(&proxy)), word(502, "upstream_closed"));
    assert!(begun.elapsed() < SOON);
}

#[test]
fn what_goaway_leaves_out_is_sent_again_whatever_its_method() {
    let (tell, seen) = mpsc::channel();
    let address = backend(move |number, stream| {
        let mut peer = Peer::greet(stream, MANY);
        let mut answered = 0;
        while let Some((id, body)) = peer.whole_request() {
            tell.send((number, body)).unwrap();
            // Each connection serves one request and then goes away, graceful or not.
            if answered == 0 {
                peer.answer(id, number.to_string().as_bytes());
                answered = id;
            } else {
                peer.goes_away(answered, if number == 1 { 0 } else { 11 });
                return peer.until_closed();
            }
        }
    });
    let proxy = one_worker(|_| ());
    serve(&proxy, http2(address));
    assert_eq!(told(post(&proxy, "one")), ok("1"));
    assert_eq!(told(post(&proxy, "two")), ok("2"), "first refused on 1");
    assert_eq!(told(get(&proxy)), ok("3"));
    let seen: Vec<_> = seen
        .try_iter()
        .map(|(on, body)| (on, String::from_utf8(body).unwrap()))
        .collect();
    let expected = [(1, "one"), (1, "two"), (2, "two"), (2, ""), (3, "")];
    assert_eq!(seen, expected.map(|(on, body)| (on, body.to_owned())));
}

#[test]
fn what_was_taken_on_before_goaway_is_not_sent_again() {
    const INTERNAL_ERROR: u32 = 2;
    for code in [0, INTERNAL_ERROR] {
        let (tell, seen) = mpsc::channel();
        let address = backend(move |_, stream| {
            let mut peer = Peer::greet(stream, MANY);
            if let Some((id, _)) = peer.whole_request() {
                tell.send(()).unwrap();
                // It may have been processed; then the connection ends.
                peer.goes_away(id, code);
            }
        });
        let proxy = one_worker(|_| ());
        serve(&proxy, http2(address));
        assert_eq!(told(post(&proxy, "one")), word(502, "upstream_closed"));
        assert_eq!(seen.try_iter().count(), 1);
    }
}

#[test]
fn a_refused_stream_is_sent_again_twice_and_no_more() {
    let (tell, seen) = mpsc::channel();
    let address = backend(move |_, stream| {
        let mut peer = Peer::greet(stream, MANY);
        let mut later = 0;
        while let Some((id, body)) = peer.whole_request() {
            tell.send(body.len()).unwrap();
            later += usize::from(body == b"later");
            if body == b"later" && later == 3 {
                peer.answer(id, b"at last");
            } else {
                peer.refuse(id);
            }
        }
    });
    let proxy = one_worker(|config| config.limits.replay_bytes = 1000);
    serve(&proxy, http2(address));
    assert_eq!(told(post(&proxy, "never")), word(503, "streams_exhausted"));
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [5; 3]);
    assert_eq!(told(post(&proxy, "later")), ok("at last"));
    assert_eq!(seen.try_iter().count(), 3);
    let long = post(&proxy, vec![b'x'; 2000]);
    assert_eq!(told(long), word(503, "streams_exhausted"));
    assert_eq!(
        seen.try_iter().collect::<Vec<_>>(),
        [2000],
        "it was too long to be kept"
    );
}

#[test]
fn a_body_that_is_sent_again_is_whole_though_the_answer_comes_before_its_end() {
    let (begun, has_begun) = mpsc::channel();
    let has_begun = Arc::new(Mutex::new(has_begun));
    let address = backend(move |_, stream| {
        let mut peer = Peer::greet(stream, MANY);
        let (refused, body) = peer.whole_request().unwrap();
        peer.window(1000);
        peer.more(0, 100_000);
        peer.refuse(refused);
        let id = peer.request().unwrap();
        peer.begin(id);
        has_begun.lock().recv().unwrap();
        peer.more(id, 100_000);
        let (_, again) = peer.whole_request().unwrap();
        peer.end(id, if again == body { b"same" } else { b"other" });
        peer.until_closed();
    });
    let proxy = one_worker(|_| ());
    serve(&proxy, http2(address));
    let mut client = TcpStream::connect(http(&proxy)).unwrap();
    let head =
        "POST / HTTP/1.1\r\nHost: a.com\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.write_all(head.as_bytes()).unwrap();
    for part in b'a'..b'f' {
        let chunk = [&b"2710\r\n"[..], &[part; 10_000], b"\r\n"].concat();
        client.write_all(&chunk).unwrap();
    }
    client.write_all(b"0\r\n\r\n").unwrap();
    assert!(client.peek(&mut [0]).unwrap() > 0);
    begun.send(()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("same"),
        "{answer}"
    );
}

#[test]
fn a_request_that_changes_the_protocol_goes_over_http1() {
    const ASKED: &[u8] =
        b"GET /ws HTTP/1.1\r\nHost: a.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nping";
    let plain = Echo::start("a");
    let issued = Ca::new("backends").issue(&["a.com"]);
    let secured = Echo::builder()
        .tls(issued.server_config(&["h2", "http/1.1"]))
        .start("b");
    let proxy = one_worker(|_| ());
    for ir in [http2(plain.address()), http2_tls(secured.address())] {
        serve(&proxy, ir);
        let answer = raw(http(&proxy), ASKED, Duration::from_millis(500));
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.starts_with("HTTP/1.1 101") && answer.ends_with("\r\n\r\nping"),
            "{answer}"
        );
        let other = get(&proxy).send_blocking().unwrap();
        assert_eq!(other.json()["proto"], "HTTP/2.0", "others do not");
    }
}

#[test]
fn a_connection_in_use_is_not_idle() {
    let (busy, idle) = (Holding::new(MANY), Holding::new(MANY));
    let proxy = one_worker(|config| config.deadlines.idle_upstream = Duration::from_secs(1));
    let mut config = simple(busy.address);
    config
        .routes
        .push(route("/idle", vec![], Action::Forward(forward("b"))));
    config.clusters.push(cluster("b", &[idle.address]));
    for cluster in &mut config.clusters {
        cluster.upstream = Upstream::Http2;
    }
    serve(&proxy, config.ir());
    let answer = meanwhile(get(&proxy));
    let (_, go) = busy.next();
    for connection in [1, 2] {
        let other = meanwhile(Call::get(http(&proxy), "http://a.com/idle"));
        drop(idle.next().1);
        assert_eq!(other.join().unwrap(), ok(&connection.to_string()));
        eventually("it is closed", || idle.closed.try_recv() == Ok(connection));
    }
    drop(go);
    assert_eq!(
        answer.join().unwrap(),
        ok("1"),
        "it has lasted longer than these two"
    );
    assert!(busy.closed.try_recv().is_err());
}

#[test]
fn clients_that_give_up_do_not_end_the_connection_of_others() {
    let echo = Echo::start("a");
    let proxy = one_worker(|config| config.limits.http2_upstream = 1);
    serve(&proxy, http2(echo.address()));
    assert_eq!(get(&proxy).send_blocking().unwrap().status, 200);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for _ in 0..40 {
        // Much is on its way on many streams when all of them are given up.
        runtime.block_on(async {
            let mut sender = client(&proxy).await;
            let mut answers = Vec::new();
            for _ in 0..90 {
                sender = sender.ready().await.unwrap();
                let request = Request::get("http://a.com/?body=1000000").body(());
                let (answer, _) = sender.send_request(request.unwrap(), true).unwrap();
                answers.push(answer);
            }
            assert!(answers.pop().unwrap().await.is_ok());
        });
    }
    assert_eq!(get(&proxy).send_blocking().unwrap().status, 200);
    assert_eq!(echo.connections(), 1);
}
