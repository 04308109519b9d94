//! New upstream connections.

use std::{cell::RefCell, future::poll_fn, net::SocketAddr, pin::Pin, rc::Rc, time::Duration};

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use ir::Upstream;

use super::{Context, Destination, Place, Secured, http2::Greeted};
use crate::{
    http::error::ProxyError,
    net::{socket::Socket, window::Windows},
    upstream::body::UpBody,
};

/// Answers of backends may have larger heads than requests; still there is a bound.
const RESPONSE_HEAD_BYTES: usize = 256 * 1024;

/// Streams of one HTTP/2 connection at a time, where the backend allows as many.
pub(super) const STREAMS: u32 = 100;

/// Bytes of an answer over HTTP/2 that may wait for its client.
const STREAM_WINDOW: u32 = 128 * 1024;

/// Bytes of a request over HTTP/2 that may wait for the backend to take them.
const SEND_BUFFER: usize = 128 * 1024;

/// Streams that were given up and are remembered for a second, so that what is still on its way does not count as the
/// backend's fault.
const RESET_STREAMS: usize = 1024;

/// Faults of a backend in all a connection's life; of more it ends, with all its streams.
const FAULTS: usize = 64 * 1024;

/// Opens an HTTP/1.1 connection.
pub(crate) async fn http1(
    context: &Context,
    destination: &mut Destination,
) -> Result<http1::SendRequest<UpBody>, ProxyError> {
    let stream = dial(context, destination).await?;
    match &destination.way.tls {
        None => http1_over(stream).await,
        Some(tls) => {
            let secured = secure(destination.connect, tls, Upstream::Http1, stream).await?;
            http1_over(secured).await
        }
    }
}

/// Opens a TCP connection, and notes where it leads.
async fn dial(context: &Context, destination: &mut Destination) -> Result<Socket, ProxyError> {
    let dialled = destination.place.dial(context, destination.connect).await;
    let (stream, address) = dialled?;
    destination.way.address = address;
    Ok(stream)
}

async fn http1_over<S>(stream: S) -> Result<http1::SendRequest<UpBody>, ProxyError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(RESPONSE_HEAD_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| ProxyError::ConnectFailed)?;
    // Its errors reach the request that is in flight; an idle connection's end needs no word.
    tokio::task::spawn_local(async move { drop(connection.with_upgrades().await) });
    Ok(sender)
}

/// The TLS handshake, within the deadline for connections.
async fn secure(
    limit: Duration,
    tls: &Secured,
    protocol: Upstream,
    stream: Socket,
) -> Result<TlsStream<Socket>, ProxyError> {
    timeout(limit, tls.connect(protocol, stream))
        .await
        .unwrap_or(Err(ProxyError::ConnectTimeout))
}

/// An HTTP/2 connection that has just been opened.
pub(crate) struct Opened {
    pub(super) sender: http2::SendRequest<UpBody>,
    /// How many streams the backend allows at a time. None, once the connection is closed.
    pub(super) allowed: Box<dyn Fn() -> usize>,
}

/// Opens an HTTP/2 connection, by prior knowledge or by ALPN. It is open when the backend has said how many streams
/// there may be.
pub(crate) async fn http2(
    context: &Context,
    (place, tls): (&Place, Option<&Secured>),
    limit: Duration,
) -> Result<(Opened, SocketAddr), ProxyError> {
    let (stream, address) = place.dial(context, limit).await?;
    let opened = match tls {
        None => http2_over(limit, stream).await,
        Some(tls) => http2_over(limit, secure(limit, tls, Upstream::Http2, stream).await?).await,
    };
    Ok((opened?, address))
}

async fn http2_over<S>(limit: Duration, stream: S) -> Result<Opened, ProxyError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let windows = Windows::new(STREAMS, STREAM_WINDOW);
    let mut builder = http2::Builder::new(LocalExecutor);
    builder
        .timer(TokioTimer::new())
        .adaptive_window(false)
        .initial_stream_window_size(windows.stream)
        .initial_connection_window_size(windows.connection)
        .max_send_buf_size(SEND_BUFFER)
        .max_concurrent_reset_streams(RESET_STREAMS)
        .max_local_error_reset_streams(FAULTS)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .max_header_list_size(u32::try_from(RESPONSE_HEAD_BYTES).unwrap_or(u32::MAX));
    let (stream, greeted) = Greeted::new(stream);
    let handshake = async {
        let (sender, connection) = builder
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| ProxyError::ConnectFailed)?;
        let connection = Rc::new(RefCell::new(connection));
        let weak = Rc::downgrade(&connection);
        let allowed = move || {
            let connection = weak.upgrade();
            connection.map_or(0, |c| c.borrow().current_max_send_streams())
        };
        // Its errors reach the requests that are in flight.
        tokio::task::spawn_local(async move {
            drop(poll_fn(|cx| Pin::new(&mut *connection.borrow_mut()).poll(cx)).await);
        });
        // Something else was said, or nothing more can be.
        greeted.await.map_err(|_| ProxyError::UpstreamClosed)?;
        let allowed = Box::new(allowed);
        Ok(Opened { sender, allowed })
    };
    let opened = timeout(limit, handshake).await;
    opened.unwrap_or(Err(ProxyError::ConnectTimeout))
}

/// Runs futures that stay on their thread; hyper's HTTP/2 needs it.
#[derive(Debug, Clone, Copy)]
struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move { drop(future.await) });
    }
}
