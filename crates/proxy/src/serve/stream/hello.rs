//! The first message of a TLS connection, read before it is known who answers it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use rustls::server::{Accepted, Acceptor};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use crate::net::socket::Socket;

/// A hello may be so long, records and all. Those of browsers have 2 KiB.
const LONGEST: usize = 64 * 1024;

/// A client's hello.
pub(super) struct Hello {
    /// What rustls has made of it: a handshake that can go on.
    pub(super) accepted: Accepted,
    /// Everything that was read, to be passed on as it came.
    pub(super) bytes: Bytes,
    /// The server name that it asks for, in lower case; empty without one.
    pub(super) name: String,
}

/// Reads a hello. `None`: the client has left, or this is no TLS; it has been told so.
pub(super) async fn read(stream: &mut Socket) -> Option<Hello> {
    let mut acceptor = Acceptor::default();
    let mut bytes = Vec::with_capacity(4096);
    loop {
        let known = bytes.len();
        if known >= LONGEST || stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let mut fresh = bytes.get(known..)?;
        while !fresh.is_empty() {
            acceptor.read_tls(&mut fresh).ok()?;
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => {
                let name = accepted
                    .client_hello()
                    .server_name()
                    .map(str::to_ascii_lowercase);
                return Some(Hello {
                    name: name.unwrap_or_default(),
                    accepted,
                    bytes: bytes.into(),
                });
            }
            Err((_, mut alert)) => {
                let mut told = Vec::new();
                alert.write_all(&mut told).ok()?;
                stream.write_all(&told).await.ok()?;
                return None;
            }
        }
    }
}

/// A connection of which something has been read already.
pub(super) struct Ahead {
    ahead: Bytes,
    inner: Socket,
}

impl Ahead {
    pub(super) const fn new(ahead: Bytes, inner: Socket) -> Self {
        Self { ahead, inner }
    }
}

impl AsyncRead for Ahead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let fits = self.ahead.len().min(buf.remaining());
        buf.put_slice(self.ahead.get(..fits).unwrap_or_default());
        self.ahead.advance(fits);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Ahead {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
