//! A real echo backend: HTTP/1.1 and HTTP/2 by prior knowledge, on a thread and a runtime of its own.
//!
//! The answer is JSON that tells the request; what the request's query asks for, the backend does:
//!
//! | query | effect |
//! | --- | --- |
//! | `status=503` | answers with that status |
//! | `fail=2&id=x` | the first two requests with that id get `status` (default 503), later ones 200 |
//! | `delay=250` | waits so many milliseconds before the head |
//! | `set=name:value` | sets a response header; may be repeated |
//! | `body=1000` | a body of so many bytes, in chunks |
//! | `trailers=1` | ends with the trailer `x-trailer: end` |
//! | `reset=1` | closes the connection without an answer |
//!
//! `POST /echo` streams the request's body back. A WebSocket upgrade is accepted and its bytes echoed.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header,
};
use http_body_util::BodyExt;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use parking_lot::Mutex;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
};
use tokio_rustls::TlsAcceptor;

use body::Echo;

mod body;

/// How many requests are remembered.
const REMEMBERED: usize = 100_000;

/// One request as the backend saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// `Host`, or `:authority`.
    pub host: String,
    /// Headers.
    pub headers: HeaderMap,
    /// HTTP version.
    pub version: Version,
    /// Length of the body, once it was read.
    pub body: usize,
}

#[derive(Debug)]
struct Shared {
    name: String,
    hits: AtomicUsize,
    connections: AtomicUsize,
    seen: Mutex<Vec<Seen>>,
    failed: Mutex<HashMap<String, usize>>,
}

/// A running backend; dropped, it stops.
#[derive(Debug)]
pub struct Backend {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How a backend behaves.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    address: Option<SocketAddr>,
    close_idle_after: Option<usize>,
    silent: bool,
    tls: Option<Arc<ServerConfig>>,
}

impl Builder {
    /// Listens there instead of on a free port of 127.0.0.1, or of what `TESTKIT_ADDRESS` says: clients in pods do not
    /// find loopback.
    #[must_use]
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Closes each connection right after so many answers, without having said so: what a keep-alive limit does.
    #[must_use]
    pub fn close_idle_after(mut self, answers: usize) -> Self {
        self.close_idle_after = Some(answers);
        self
    }

    /// Speaks TLS.
    #[must_use]
    pub fn tls(mut self, config: ServerConfig) -> Self {
        self.tls = Some(Arc::new(config));
        self
    }

    /// Accepts connections and never answers.
    #[must_use]
    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// The address is taken or none at all, or the machine has no more threads.
    #[must_use]
    pub fn start(self, name: &str) -> Backend {
        let address = self.address.unwrap_or_else(any);
        let listener = TcpListener::bind(address).expect("the backend's address is free");
        listener
            .set_nonblocking(true)
            .expect("a socket can be made non-blocking");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            hits: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            seen: Mutex::default(),
            failed: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let state = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(format!("backend-{name}"))
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                runtime
                    .expect("a runtime can be built")
                    .block_on(async move {
                        let listener = tokio::net::TcpListener::from_std(listener)
                            .expect("a bound socket can be used");
                        tokio::select! {
                            () = accept(listener, state, self) => {}
                            _ = stopped => {}
                        }
                    });
            });
        Backend {
            address,
            shared,
            stop: Some(stop),
            thread: Some(thread.expect("a thread can be started")),
        }
    }
}

impl Backend {
    /// An echo backend on a free port.
    #[must_use]
    pub fn start(name: &str) -> Self {
        Builder::default().start(name)
    }

    /// One that behaves in a particular way.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests came.
    #[must_use]
    pub fn hits(&self) -> usize {
        self.shared.hits.load(Relaxed)
    }

    /// How many connections came.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Relaxed)
    }

    /// The requests, in the order in which their bodies ended.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().clone()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It has stopped by itself already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: tokio::net::TcpListener, shared: Arc<Shared>, behaviour: Builder) {
    let mut held = Vec::new();
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Relaxed);
        if behaviour.silent {
            held.push(stream);
            continue;
        }
        let (shared, limit, tls) = (
            Arc::clone(&shared),
            behaviour.close_idle_after,
            behaviour.tls.clone(),
        );
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            match tls {
                None => serve(stream, shared, limit).await,
                Some(config) => {
                    // A client that does not like us, or whom we do not like, has got its answer.
                    if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                        serve(stream, shared, limit).await;
                    }
                }
            }
        });
    }
}

async fn serve<S>(stream: S, shared: Arc<Shared>, close_idle_after: Option<usize>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (reset, mut asked) = tokio::sync::mpsc::channel::<()>(1);
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    let service = service_fn(move |request: Request<Incoming>| {
        let (shared, reset, count) = (Arc::clone(&shared), reset.clone(), Arc::clone(&count));
        async move {
            let response = answer(&shared, request, &reset).await;
            count.fetch_add(1, Relaxed);
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // A gateway passes on what its clients give up. On a busy machine that may be before this backend has looked at it,
    // for which it would end the connection by default.
    builder
        .http2()
        .max_pending_accept_reset_streams(100_000)
        .max_local_error_reset_streams(None);
    let mut connection =
        std::pin::pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    // The limit is looked at after the last answer has been written.
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = asked.recv() => return,
            _ = tick.tick(), if close_idle_after.is_some() => {
                if close_idle_after.is_some_and(|limit| answered.load(Relaxed) >= limit) {
                    return;
                }
            }
        }
    }
}

async fn answer(
    shared: &Shared,
    mut request: Request<Incoming>,
    reset: &tokio::sync::mpsc::Sender<()>,
) -> Response<Echo> {
    shared.hits.fetch_add(1, Relaxed);
    let query = request.uri().query().unwrap_or_default().to_owned();
    let options: Vec<(&str, &str)> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .collect();
    let option = |name: &str| {
        options
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| *value)
    };
    let number = |name: &str| option(name).and_then(|value| value.parse::<u64>().ok());
    if request.headers().contains_key(header::UPGRADE) {
        return upgrade(&mut request);
    }
    if let Some(delay) = number("delay") {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    if number("reset").is_some() {
        let _ = reset.send(()).await;
        std::future::pending::<()>().await;
    }
    let (parts, body) = request.into_parts();
    if parts.method == Method::POST && parts.uri.path() == "/echo" {
        return Response::new(Echo::Stream(body));
    }
    let read = body
        .collect()
        .await
        .map(|body| body.to_bytes().len())
        .unwrap_or_default();
    let seen = Seen {
        method: parts.method,
        target: parts
            .uri
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        host: parts
            .uri
            .authority()
            .map(ToString::to_string)
            .unwrap_or_else(|| text(&parts.headers, "host")),
        headers: parts.headers,
        version: parts.version,
        body: read,
    };
    let mut response = Response::new(Echo::Chunks(
        told(shared, &seen),
        number("trailers").is_some(),
    ));
    if let Some(length) = number("body") {
        let chunk = Bytes::from(vec![b'x'; 8192]);
        let mut left = usize::try_from(length).unwrap_or_default();
        let mut chunks = Vec::new();
        while left > 0 {
            let some = left.min(chunk.len());
            chunks.push(chunk.slice(..some));
            left -= some;
        }
        *response.body_mut() = Echo::Chunks(chunks, number("trailers").is_some());
    }
    *response.status_mut() = status(shared, &option);
    decorate(shared, &options, response.headers_mut());
    let mut all = shared.seen.lock();
    if all.len() < REMEMBERED {
        all.push(seen);
    }
    response
}

fn status<'a>(shared: &Shared, option: &impl Fn(&str) -> Option<&'a str>) -> StatusCode {
    let wanted = option("status").and_then(|code| code.parse().ok());
    let Some(limit) = option("fail").and_then(|n| n.parse::<usize>().ok()) else {
        return wanted.unwrap_or(StatusCode::OK);
    };
    let mut failed = shared.failed.lock();
    let count = failed
        .entry(option("id").unwrap_or_default().to_owned())
        .or_default();
    *count += 1;
    if *count <= limit {
        wanted.unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
    } else {
        StatusCode::OK
    }
}

fn decorate(shared: &Shared, options: &[(&str, &str)], headers: &mut HeaderMap) {
    headers.insert(
        "x-backend",
        HeaderValue::from_str(&shared.name).expect("a backend's name is a header value"),
    );
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    for (_, pair) in options.iter().filter(|(name, _)| *name == "set") {
        if let Some((name, value)) = pair.split_once(':')
            && let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::try_from(value))
        {
            headers.append(name, value);
        }
    }
}

fn told(shared: &Shared, seen: &Seen) -> Vec<Bytes> {
    let mut headers: HashMap<&str, Vec<String>> = HashMap::new();
    for (name, value) in &seen.headers {
        headers
            .entry(name.as_str())
            .or_default()
            .push(String::from_utf8_lossy(value.as_bytes()).into_owned());
    }
    let told = serde_json::json!({
        "backend": shared.name,
        "method": seen.method.as_str(),
        "path": seen.target,
        "host": seen.host,
        "proto": format!("{:?}", seen.version),
        "headers": headers,
        "bodyBytes": seen.body,
    });
    vec![Bytes::from(told.to_string())]
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .unwrap_or_default()
}

fn upgrade(request: &mut Request<Incoming>) -> Response<Echo> {
    let upgraded = hyper::upgrade::on(&mut *request);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgraded.await {
            let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
            let _ = tokio::io::copy(&mut read, &mut write).await;
        }
    });
    let mut response = Response::new(Echo::Chunks(Vec::new(), false));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let protocol = request
        .headers()
        .get(header::UPGRADE)
        .cloned()
        .unwrap_or(HeaderValue::from_static("websocket"));
    response.headers_mut().insert(header::UPGRADE, protocol);
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    response
}

/// A free port of the address for backends: 127.0.0.1, or what `TESTKIT_ADDRESS` says.
///
/// # Panics
/// `TESTKIT_ADDRESS` is no IP address.
#[must_use]
pub fn any() -> SocketAddr {
    let said = std::env::var("TESTKIT_ADDRESS");
    let address = said.map_or(IpAddr::from([127, 0, 0, 1]), |said| {
        said.parse().expect("TESTKIT_ADDRESS is an IP address")
    });
    SocketAddr::new(address, 0)
}

/// An address that nobody listens on.
///
/// # Panics
/// The machine has no free port.
#[must_use]
pub fn unused_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    listener
        .local_addr()
        .expect("a bound socket has an address")
}
