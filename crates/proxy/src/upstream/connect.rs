//! New upstream connections.

use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use super::{Destination, Secured};
use crate::{
    body::UpBody,
    error::ProxyError,
    socket::Socket,
    worker::{LocalExecutor, Worker},
};

/// Answers of backends may have larger heads than requests; still there is a bound.
const RESPONSE_HEAD_BYTES: usize = 256 * 1024;

/// Opens an HTTP/1.1 connection.
pub(crate) async fn http1(
    worker: &Worker,
    destination: &mut Destination,
) -> Result<http1::SendRequest<UpBody>, ProxyError> {
    let stream = dial(worker, destination).await?;
    match &destination.way.tls {
        None => http1_over(stream).await,
        Some(tls) => http1_over(secure(destination.connect, tls, stream).await?).await,
    }
}

/// Opens a TCP connection, and notes where it leads.
async fn dial(worker: &Worker, destination: &mut Destination) -> Result<Socket, ProxyError> {
    let dialled = destination.place.dial(worker, destination.connect).await;
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
    stream: Socket,
) -> Result<TlsStream<Socket>, ProxyError> {
    timeout(limit, tls.connect(stream))
        .await
        .unwrap_or(Err(ProxyError::ConnectTimeout))
}

/// Opens an HTTP/2 connection, by prior knowledge or by ALPN, and makes it the worker's one that leads there.
pub(crate) async fn http2(
    worker: &Worker,
    destination: &mut Destination,
) -> Result<http2::SendRequest<UpBody>, ProxyError> {
    let stream = dial(worker, destination).await?;
    let (way, limit) = (&destination.way, destination.connect);
    let sender = match &way.tls {
        None => http2_over(limit, stream).await?,
        Some(tls) => http2_over(limit, secure(limit, tls, stream).await?).await?,
    };
    worker.pool.borrow_mut().put_http2(way, &sender);
    Ok(sender)
}

async fn http2_over<S>(limit: Duration, stream: S) -> Result<http2::SendRequest<UpBody>, ProxyError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http2::Builder::new(LocalExecutor);
    builder
        .timer(TokioTimer::new())
        .adaptive_window(false)
        .initial_stream_window_size(1024 * 1024)
        .initial_connection_window_size(4 * 1024 * 1024)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .max_header_list_size(u32::try_from(RESPONSE_HEAD_BYTES).unwrap_or(u32::MAX));
    let handshake = timeout(limit, builder.handshake(TokioIo::new(stream)));
    let (sender, connection) = handshake
        .await
        .map_err(|_| ProxyError::ConnectTimeout)?
        .map_err(|_| ProxyError::ConnectFailed)?;
    tokio::task::spawn_local(async move { drop(connection.await) });
    Ok(sender)
}
