//! Streams: TCP and TLS connections that are passed on without a look at what is in them.
//!
//! The life of one: accept (`server.rs`); on a TLS port the hello, which chooses listener and rule; a backend by the
//! rule's shares, dialled at once, since it may be the one that speaks first; then bytes both ways until both sides
//! have ended, nothing has passed for too long, or the time is over that is left when its terms have ended
//! (`terms.rs`).

mod hello;
mod relay;
pub(crate) mod way;

use std::{future::pending, net::SocketAddr, rc::Rc, sync::Arc};

use ir::{Endpoint, HostPattern, Protocol};
use rustls::{ServerConfig, server::Accepted};
use telemetry::metrics::ListenerMetrics;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep, timeout_at},
};
use tokio_rustls::{StartHandshake, server::TlsStream};

use self::{
    hello::{Ahead, Hello},
    relay::Connected,
};
use crate::{
    client::{
        connection::{Command, ConnState},
        terms::Terms,
    },
    http::error::ProxyError,
    net::{port::PortHandle, rejection::Rejection, socket::Socket},
    observe::{StreamEnd, stream},
    serve::{
        server::{self, Open},
        worker::Worker,
    },
    snapshot::{StreamState, Streams},
    upstream::silence::Passed,
};

/// So many endpoints are tried before a stream is given up.
const ATTEMPTS: usize = 5;

/// A connection of a port whose listeners may have streams.
pub(crate) struct Inbound {
    pub(crate) worker: Rc<Worker>,
    pub(crate) port: Arc<PortHandle>,
    pub(crate) state: Arc<ConnState>,
    pub(crate) peer: SocketAddr,
    pub(crate) open: Open,
}

/// The listener that a connection belongs to.
struct Found {
    name: Arc<str>,
    hostname: HostPattern,
    metrics: Arc<ListenerMetrics>,
    tls: Option<Arc<ServerConfig>>,
    streams: Option<Arc<Streams>>,
}

/// A stream whose listener is known.
struct Stream {
    inbound: Inbound,
    begun: Instant,
    protocol: &'static str,
    listener: Arc<str>,
    metrics: Arc<ListenerMetrics>,
    rule: Option<Arc<StreamState>>,
    /// The server name that the client asks for; empty without one.
    name: String,
    /// Whether what is passed on is the client's TLS.
    passthrough: bool,
}

/// What has been tried to reach a backend.
#[derive(Default)]
struct Tried {
    endpoints: Vec<Endpoint>,
    last: Option<SocketAddr>,
}

impl Inbound {
    /// The most specific listener of the port that has this server name, if the port still speaks TLS, or still does
    /// not. From here on the connection is held to what is said there.
    fn find(&self, name: &str, tls: bool) -> Option<Found> {
        let snapshot = self.worker.snapshot();
        let port = snapshot.ports.get(&self.port.key)?;
        if tls != matches!(port.protocol, Protocol::Https | Protocol::Tls) {
            return None;
        }
        let at = port.router.listener_for(name)?;
        let listener = port.router.listener(at)?;
        self.state.agree(Terms {
            listener: listener.hostname.clone(),
            generation: snapshot.generation,
            stream: port.streams.get(at)?.is_some(),
        });
        Some(Found {
            name: Arc::clone(&listener.name),
            hostname: listener.hostname.clone(),
            metrics: port.metrics.get(at).map(Arc::clone)?,
            tls: port.tls.get(at).cloned()?,
            streams: port.streams.get(at).cloned()?,
        })
    }

    /// Counts why it is closed.
    pub(crate) fn reject(&self, why: Rejection) {
        self.worker.observer.connection_rejected(why);
    }
}

/// Serves a connection of a plain TCP port.
pub(crate) async fn serve_tcp(inbound: Inbound, client: Socket) {
    match inbound.find("", false) {
        Some(found) => {
            let stream = Stream::new(inbound, &found, "TCP", String::new());
            stream.pass(client).await;
        }
        None => inbound.reject(Rejection::NoListener),
    }
}

/// Serves a connection of a TLS port.
pub(crate) async fn serve_tls(inbound: Inbound, mut client: Socket) {
    let deadline = Instant::now() + inbound.worker.config.deadlines.tls_handshake;
    let hello = timeout_at(deadline, hello::read(&mut client)).await;
    let Hello {
        accepted,
        bytes,
        name,
    } = match hello {
        Ok(Some(hello)) => hello,
        Ok(None) => return inbound.reject(Rejection::Tls),
        Err(_) => return inbound.reject(Rejection::TlsTimeout),
    };
    let Some(found) = inbound.find(&name, true) else {
        // Without a word of TLS: who has no certificate for a name does not speak for it.
        return inbound.reject(Rejection::NoListener);
    };
    let Some(streams) = &found.streams else {
        return match shake(deadline, accepted, client, found.tls).await {
            Ok(secured) => server::serve_secured(inbound, secured, found.hostname).await,
            Err(why) => inbound.reject(why),
        };
    };
    let terminates = streams.terminates();
    let mut stream = Stream::new(inbound, &found, "TLS", name);
    if stream.rule.is_none() {
        return stream.end(ProxyError::NoRoute.flag(), &Tried::default(), None);
    }
    if !terminates {
        stream.passthrough = true;
        return stream.pass(Ahead::new(bytes, client)).await;
    }
    match shake(deadline, accepted, client, found.tls).await {
        Ok(secured) => stream.pass(secured).await,
        Err(why) => stream.inbound.reject(why),
    }
}

/// The rest of the handshake. Without a configuration there is a certificate that cannot be served.
async fn shake(
    deadline: Instant,
    accepted: Accepted,
    client: Socket,
    config: Option<Arc<ServerConfig>>,
) -> Result<TlsStream<Socket>, Rejection> {
    let config = config.ok_or(Rejection::Tls)?;
    let rest = StartHandshake::from_parts(accepted, client).into_stream(config);
    match timeout_at(deadline, rest).await {
        Ok(shaken) => shaken.map_err(|_| Rejection::Tls),
        Err(_) => Err(Rejection::TlsTimeout),
    }
}

impl Stream {
    fn new(inbound: Inbound, found: &Found, protocol: &'static str, name: String) -> Self {
        let streams = found.streams.as_ref();
        Self {
            inbound,
            begun: Instant::now(),
            protocol,
            listener: Arc::clone(&found.name),
            metrics: Arc::clone(&found.metrics),
            rule: streams.and_then(|streams| streams.find(&name).cloned()),
            name,
            passthrough: false,
        }
    }

    /// Passes the stream on, to its end.
    async fn pass<S>(self, client: S)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.inbound.state.becomes_tunnel();
        let passed = Passed::new(Some(Arc::clone(&self.metrics)));
        let mut tried = Tried::default();
        let result = tokio::select! {
            result = self.run(client, &passed, &mut tried) => result,
            () = self.left() => stream::GONE,
        };
        self.end(result, &tried, Some(&passed));
    }

    async fn run<S>(&self, mut client: S, passed: &Rc<Passed>, tried: &mut Tried) -> &'static str
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self.connect(tried).await {
            Ok(connected) => connected.relay(&mut client, passed).await,
            Err(error) => error.flag(),
        }
    }

    /// A connection to an endpoint of the rule's next share; one that does not answer is passed over.
    async fn connect(&self, tried: &mut Tried) -> Result<Connected, ProxyError> {
        let Inbound { worker, peer, .. } = &self.inbound;
        let rule = self.rule.as_ref().ok_or(ProxyError::NoRoute)?;
        let cluster = way::cluster(&worker.snapshot(), rule)?;
        let key = way::key(&cluster, peer.ip(), &self.name);
        let mut failed = ProxyError::NoEndpoint;
        while tried.endpoints.len() < ATTEMPTS {
            let Some(picked) = cluster.pick_other(key, &tried.endpoints) else {
                break;
            };
            tried.endpoints.push(picked.endpoint.clone());
            let name = (!self.passthrough).then_some(&*self.name);
            let dialled = relay::dial(worker, &cluster, picked, name, &mut tried.last).await;
            worker.observer.stream_attempt(dialled.as_ref().err());
            match dialled {
                Ok(connected) => return Ok(connected),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Ready when the port has gone, or the stream's terms have ended, for as long as is left to its streams. When
    /// everything drains, whoever asked for that has the deadline.
    async fn left(&self) {
        let Inbound { worker, state, .. } = &self.inbound;
        state.commanded(Command::Drain).await;
        if !worker.is_draining() {
            sleep(worker.config.deadlines.leave).await;
        }
        if worker.is_draining() {
            pending::<()>().await;
        }
    }

    fn end(&self, result: &'static str, tried: &Tried, passed: Option<&Passed>) {
        let bytes = passed.map(|passed| (passed.received.get(), passed.sent.get()));
        self.inbound.worker.observer.stream_ends(&StreamEnd {
            listener: &self.listener,
            metrics: &self.metrics,
            protocol: self.protocol,
            server_name: Some(&*self.name).filter(|name| !name.is_empty()),
            rule: self.rule.as_ref().map(|state| &*state.rule),
            client: self.inbound.peer.ip().to_canonical(),
            duration: self.begun.elapsed(),
            upstream: tried.last,
            attempts: tried.endpoints.len(),
            bytes: bytes.unwrap_or_default(),
            result,
        });
    }
}
