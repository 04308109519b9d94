//! A connection to a backend, and the bytes that pass.

use std::{net::SocketAddr, rc::Rc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use crate::{
    http::error::ProxyError,
    net::socket::Socket,
    observe::stream,
    serve::worker::Worker,
    upstream::{
        self, Place,
        balance::{ClusterState, Load, Picked},
        silence::{self, Passed},
    },
};

/// A connection to a backend.
pub(super) struct Connected {
    backend: Backend,
    /// So long nothing may pass.
    quiet: Duration,
    /// Counts the stream for its endpoint.
    _load: Option<Load>,
}

enum Backend {
    Plain(Socket),
    Secured(Box<TlsStream<Socket>>),
}

/// Opens a connection to an endpoint of a cluster, all of it within the cluster's deadline for that, and notes its
/// address in `last`. Where the cluster has TLS, it is secured, unless `name` is none: what passes is TLS already.
/// `name` is what the client asked for.
pub(super) async fn dial(
    worker: &Worker,
    cluster: &ClusterState,
    picked: Picked<'_>,
    name: Option<&str>,
    last: &mut Option<SocketAddr>,
) -> Result<Connected, ProxyError> {
    let limit = upstream::connect_limit(&worker.upstream, &cluster.cluster);
    let opened = open(worker, cluster, &picked, name, last);
    let backend = timeout(limit, opened).await;
    let own = cluster.cluster.timeouts.read;
    Ok(Connected {
        backend: backend.unwrap_or(Err(ProxyError::ConnectTimeout))?,
        quiet: own.unwrap_or(worker.config.deadlines.idle_stream),
        _load: picked.load,
    })
}

/// Finds the endpoint, connects to it and shakes hands.
async fn open(
    worker: &Worker,
    cluster: &ClusterState,
    picked: &Picked<'_>,
    name: Option<&str>,
    last: &mut Option<SocketAddr>,
) -> Result<Backend, ProxyError> {
    let limit = upstream::connect_limit(&worker.upstream, &cluster.cluster);
    let place = Place::of(picked.endpoint, picked.name, limit).await?;
    *last = place.first();
    let (socket, address) = place.dial(&worker.upstream, limit).await?;
    *last = Some(address);
    Ok(match cluster.tls.as_ref().zip(name) {
        None => Backend::Plain(socket),
        Some((tls, name)) => Backend::Secured(Box::new(tls.connect_stream(name, socket).await?)),
    })
}

impl Connected {
    /// Passes bytes both ways. Says how that ended.
    pub(super) async fn relay<S>(self, client: &mut S, passed: &Rc<Passed>) -> &'static str
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let ended = match self.backend {
            Backend::Plain(backend) => silence::tunnel(client, backend, self.quiet, passed).await,
            Backend::Secured(backend) => silence::tunnel(client, backend, self.quiet, passed).await,
        };
        match ended {
            Some(Ok(_)) => stream::ENDED,
            Some(Err(_)) => stream::BROKEN,
            None => stream::IDLE,
        }
    }
}
