//! From accept to requests: TLS, HTTP version, limits, and the connection's end.

use std::{
    cell::Cell, convert::Infallible, error::Error as _, future::poll_fn, io, net::SocketAddr,
    pin::pin, rc::Rc, sync::Arc, task::Poll, time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use hyper::{
    Request,
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use ir::{HostPattern, Protocol};
use rustls::server::Acceptor;
use telemetry::metrics::OpenConnection;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::timeout,
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use crate::{
    client::{
        connection::{Command, ConnState},
        http2_stream::Stream,
        io::{Watched, sniff},
        terms::Terms,
    },
    config::Config,
    http::{http2::Frames, view::Peer},
    net::{
        port::{BACKLOG, Counted, PortHandle},
        rejection::Rejection,
        socket::{Abort, Socket},
        window::Windows,
    },
    serve::{
        decision::Place,
        handle,
        stream::{self as streams, Inbound},
        worker::Worker,
    },
};

/// What a connection's requests have in common.
pub(crate) struct Conn {
    pub(crate) worker: Rc<Worker>,
    pub(crate) port: Arc<PortHandle>,
    pub(crate) state: Arc<ConnState>,
    pub(crate) peer: Peer,
    /// On TLS: the hostname of the listener that the handshake was made for.
    pub(crate) tls: Option<HostPattern>,
    /// The stream of HTTP/2 that has just begun and has no task yet.
    pub(crate) newest: Cell<Option<Rc<Stream>>>,
    /// Held for as long as a request of the connection lasts, a tunnel included.
    _open: Open,
}

/// A client connection's place among those of its port, and in the port's numbers. Dropped, both are free.
pub(crate) struct Open {
    _counted: Counted,
    _observed: OpenConnection,
}

impl Conn {
    /// Where its requests come in.
    pub(crate) fn place(&self) -> Place<'_> {
        Place {
            key: self.port.key,
            shaken: self.tls.as_ref(),
        }
    }
}

/// Accepts connections until told to stop; then once more whatever the kernel has accepted on our behalf, so that no
/// client that was let in is turned away.
pub(crate) async fn accept(
    worker: Rc<Worker>,
    port: Arc<PortHandle>,
    listener: TcpListener,
    stop: Rc<Notify>,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.notified() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => admit(&worker, &port, stream, peer),
            // Out of file descriptors or memory: the kernel's queue waits while others finish.
            Err(error) if !is_client_error(&error) => {
                worker.observer.connection_rejected(Rejection::Accept);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(_) => {}
        }
    }
    take_waiting(&worker, &port, listener);
}

/// Asks the kernel itself: tokio would say that nobody waits when a task has had its share, or before it has looked.
/// Takes no more than can wait at a time: who connects without end is not waited for.
fn take_waiting(worker: &Rc<Worker>, port: &Arc<PortHandle>, listener: TcpListener) {
    let Ok(listener) = listener.into_std() else {
        return;
    };
    for _ in 0..BACKLOG {
        let taken = listener.accept().and_then(|(stream, peer)| {
            stream.set_nonblocking(true)?;
            Ok((TcpStream::from_std(stream)?, peer))
        });
        match taken {
            Ok((stream, peer)) => admit(worker, port, stream, peer),
            Err(error) if is_client_error(&error) => {}
            Err(error) => {
                if error.kind() != io::ErrorKind::WouldBlock {
                    worker.observer.connection_rejected(Rejection::Accept);
                }
                return;
            }
        }
    }
}

fn admit(worker: &Rc<Worker>, port: &Arc<PortHandle>, stream: TcpStream, peer: SocketAddr) {
    match port.count(worker.config.limits.connections) {
        Some(counted) => {
            let (worker, port) = (Rc::clone(worker), Arc::clone(port));
            tokio::task::spawn_local(serve(worker, port, Socket::new(stream), peer, counted));
        }
        None => worker.observer.connection_rejected(Rejection::Limit),
    }
}

fn is_client_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

async fn serve(
    worker: Rc<Worker>,
    port: Arc<PortHandle>,
    stream: Socket,
    peer: SocketAddr,
    counted: Counted,
) {
    let state = Arc::new(ConnState::new(worker.clock.clone()));
    let _registered = worker.register(&port, &state);
    let open = Open {
        _counted: counted,
        _observed: port.metrics.connection(),
    };
    let protocol = worker.snapshot().ports.get(&port.key).map(|p| p.protocol);
    let inbound = Inbound {
        worker,
        port,
        state,
        peer,
        open,
    };
    if matches!(protocol, Some(Protocol::Https | Protocol::Tls)) {
        inbound.state.handshake_begins();
    }
    match protocol {
        Some(Protocol::Http) => serve_plain(conn(inbound, None), stream).await,
        Some(Protocol::Https) => {
            let limit = inbound.worker.config.deadlines.tls_handshake;
            match timeout(limit, handshake(&inbound, stream)).await {
                Ok(Some((stream, listener))) => serve_secured(inbound, stream, listener).await,
                Ok(None) => inbound.reject(Rejection::Tls),
                Err(_) => inbound.reject(Rejection::TlsTimeout),
            }
        }
        // Larger, and kept out of the future of every other connection.
        Some(Protocol::Tls) => Box::pin(streams::serve_tls(inbound, stream)).await,
        Some(Protocol::Tcp) => Box::pin(streams::serve_tcp(inbound, stream)).await,
        None => {}
    }
}

fn conn(inbound: Inbound, tls: Option<HostPattern>) -> Rc<Conn> {
    let Inbound {
        worker,
        port,
        state,
        peer,
        open,
    } = inbound;
    let trusted = &worker.config.trusted_proxies;
    let peer = Peer::new(peer.ip(), tls.is_some(), trusted);
    Rc::new(Conn {
        worker,
        port,
        state,
        peer,
        tls,
        newest: Cell::default(),
        _open: open,
    })
}

/// Reads the client's hello, finds the listener of its server name, and shakes hands as that listener would. A name
/// that belongs to no listener gets no answer.
async fn handshake(inbound: &Inbound, stream: Socket) -> Option<(TlsStream<Socket>, HostPattern)> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream)
        .await
        .ok()?;
    let (config, listener) = {
        let hello = start.client_hello();
        let name = hello.server_name().unwrap_or_default().to_ascii_lowercase();
        let snapshot = inbound.worker.snapshot();
        let port = snapshot.ports.get(&inbound.port.key)?;
        let at = port.router.listener_for(&name)?;
        if port.streams.get(at)?.is_some() {
            // It was to be HTTP when the connection came.
            return None;
        }
        let hostname = &port.router.listener(at)?.hostname;
        inbound.state.agree(Terms {
            listener: hostname.clone(),
            generation: snapshot.generation,
            stream: false,
        });
        (port.tls.get(at)?.clone()?, hostname.clone())
    };
    let stream = start.into_stream(config).await.ok()?;
    Some((stream, listener))
}

async fn serve_plain(conn: Rc<Conn>, mut stream: Socket) {
    let limit = conn.worker.config.deadlines.header;
    match timeout(limit, sniff(&mut stream)).await {
        Ok(Ok((ahead, http2))) if !ahead.is_empty() => serve_http(conn, stream, ahead, http2).await,
        // Closed before it said anything, as health checks of load balancers do.
        Ok(_) => {}
        Err(_) => conn
            .worker
            .observer
            .connection_rejected(Rejection::HeaderTimeout),
    }
}

/// Serves HTTP inside TLS, of a handshake that was made for the listener of this hostname.
pub(crate) async fn serve_secured(
    inbound: Inbound,
    stream: TlsStream<Socket>,
    listener: HostPattern,
) {
    inbound.state.handshake_ends();
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let conn = conn(inbound, Some(listener));
    serve_http(conn, stream, Bytes::new(), http2).await;
}

async fn serve_http<S>(conn: Rc<Conn>, stream: S, ahead: Bytes, http2: bool)
where
    S: AsyncRead + AsyncWrite + Abort + Unpin + Send + 'static,
{
    let (state, worker) = (Arc::clone(&conn.state), Rc::clone(&conn.worker));
    let frames = http2.then(|| Frames::new(worker.config.limits.cancels));
    let io = TokioIo::new(Watched::new(stream, ahead, Arc::clone(&state), frames));
    let result = if http2 {
        serve_http2(conn, io).await
    } else {
        // With HTTP/2 the preface comes first, and its deadline is that of a head.
        state.established();
        serve_http1(conn, io).await
    };
    let refused = || result.err().as_ref().and_then(refusal);
    if let Some(why) = state.ended().or_else(refused) {
        worker.observer.connection_rejected(why);
    }
}

/// What hyper has refused, if its error says that it has. Everything else is the client's affair.
fn refusal(error: &hyper::Error) -> Option<Rejection> {
    if error.is_parse() {
        return Some(Rejection::Malformed);
    }
    let error = error.source()?.downcast_ref::<h2::Error>()?;
    match error.reason()? {
        _ if !error.is_go_away() || !error.is_library() => None,
        h2::Reason::NO_ERROR => None,
        h2::Reason::ENHANCE_YOUR_CALM => Some(Rejection::Flood),
        _ => Some(Rejection::Malformed),
    }
}

async fn serve_http1<I>(conn: Rc<Conn>, io: I) -> hyper::Result<()>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (state, config) = (Arc::clone(&conn.state), Arc::clone(&conn.worker.config));
    let service = service_fn(move |request: Request<Incoming>| {
        let begun = handle::begin(&conn, request);
        let conn = Rc::clone(&conn);
        async move {
            let mut answer = begun.finish().await;
            if conn.state.is_leaving() && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(header::CONNECTION, close);
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let builder = http1_builder(&config);
    let mut connection = pin!(builder.serve_connection(io, service).with_upgrades());
    let mut told = Told::default();
    poll_fn(|cx| {
        match told.poll(&state, cx) {
            Some(Command::Close) => return Poll::Ready(Ok(())),
            // Before that, an answer is to say that it is the last: hyper would hang up on a client that may be about
            // to ask.
            Some(Command::HangUp) => connection.as_mut().graceful_shutdown(),
            _ => {}
        }
        connection.as_mut().poll(cx)
    })
    .await
}

async fn serve_http2<I>(conn: Rc<Conn>, io: I) -> hyper::Result<()>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let state = Arc::clone(&conn.state);
    let builder = http2_builder(&conn.worker.config, StreamExecutor::new(&conn));
    let service = service_fn(move |request: Request<Incoming>| {
        let begun = handle::begin(&conn, request);
        // hyper moves what it is given several times before it runs.
        Box::pin(async move { Ok::<_, Infallible>(begun.finish().await) })
    });
    let mut connection = pin!(builder.serve_connection(io, service));
    let (mut told, mut owed) = (Told::default(), false);
    poll_fn(|cx| {
        match told.poll(&state, cx) {
            Some(Command::Close) => return Poll::Ready(Ok(())),
            Some(Command::HangUp) => {
                owed = false;
                connection.as_mut().graceful_shutdown();
            }
            // A client that has not asked yet would only come back: while others still find us, to us.
            Some(Command::Leave | Command::Drain) => owed = true,
            _ => {}
        }
        loop {
            if owed && state.was_asked() {
                owed = false;
                connection.as_mut().graceful_shutdown();
            }
            let polled = connection.as_mut().poll(cx);
            if polled.is_ready() || !(owed && state.was_asked()) {
                return polled;
            }
        }
    })
    .await
}

/// Each command is passed on once.
#[derive(Default)]
struct Told {
    known: bool,
    last: Option<Command>,
}

impl Told {
    fn poll(&mut self, state: &ConnState, cx: &std::task::Context<'_>) -> Option<Command> {
        let command = state.poll_command(cx, &mut self.known);
        (self.last.replace(command) != Some(command)).then_some(command)
    }
}

fn http1_builder(config: &Config) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // Deadlines are the watch's, see `crate::client::connection`.
        .header_read_timeout(None)
        .max_headers(config.limits.headers)
        .max_buf_size(config.limits.header_bytes.max(8192));
    builder
}

/// Bytes of a request over HTTP/2 that may wait for the backend.
const STREAM_WINDOW: u32 = 256 * 1024;

fn http2_builder(config: &Config, executor: StreamExecutor) -> http2::Builder<StreamExecutor> {
    let windows = Windows::new(config.limits.streams, STREAM_WINDOW);
    let mut builder = http2::Builder::new(executor);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.limits.streams)
        .max_pending_accept_reset_streams(config.limits.resets)
        .max_local_error_reset_streams(1024)
        .max_header_list_size(u32::try_from(config.limits.header_bytes).unwrap_or(u32::MAX))
        .max_send_buf_size(64 * 1024)
        .initial_stream_window_size(windows.stream)
        .initial_connection_window_size(windows.connection)
        .keep_alive_interval(Duration::from_secs(60))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// Runs the streams of a connection on its thread, each as the task of the [`Stream`] that began last.
#[derive(Clone)]
struct StreamExecutor(Rc<Conn>);

impl StreamExecutor {
    fn new(conn: &Rc<Conn>) -> Self {
        Self(Rc::clone(conn))
    }
}

impl<F: Future + 'static> hyper::rt::Executor<F> for StreamExecutor {
    fn execute(&self, future: F) {
        let task = tokio::task::spawn_local(async move { drop(future.await) });
        if let Some(stream) = self.0.newest.take() {
            stream.runs_as(task.abort_handle());
        }
    }
}
