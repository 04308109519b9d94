//! The byte stream of a client connection: what was read ahead, deadlines, framing.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::{connection::ConnState, framing::HeadScanner, socket::Abort};

/// The first bytes of an HTTP/2 connection (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A client's stream that tells its [`ConnState`] what it sees.
#[derive(Debug)]
pub(crate) struct Watched<S: Abort> {
    inner: S,
    ahead: Bytes,
    state: Arc<ConnState>,
    http1: bool,
    /// Bytes of an HTTP/2 preface that have not come.
    preface: usize,
    scanner: Option<HeadScanner>,
}

impl<S: Abort> Watched<S> {
    /// `ahead` is what [`sniff`] took; heads are scanned for HTTP/1 only.
    pub(crate) fn new(inner: S, ahead: Bytes, state: Arc<ConnState>, http1: bool) -> Self {
        Self {
            inner,
            ahead,
            state,
            http1,
            preface: if http1 { 0 } else { PREFACE.len() },
            scanner: http1.then(HeadScanner::default),
        }
    }

    fn saw(&mut self, bytes: &[u8]) {
        if let Some(scanner) = &mut self.scanner
            && let Err(fault) = scanner.scan(bytes)
        {
            self.state.refuse(scanner.requests(), fault);
            self.scanner = None;
        }
        if self.preface > 0 {
            self.preface = self.preface.saturating_sub(bytes.len());
            if self.preface == 0 {
                self.state.established();
            }
        }
        // Frames between HTTP/2 requests (PING, WINDOW_UPDATE) begin no head.
        self.state.bytes_read(self.http1);
    }
}

impl<S: Abort> Drop for Watched<S> {
    fn drop(&mut self) {
        if self.state.is_broken() {
            self.inner.abort();
        }
    }
}

/// Reads until it is clear whether the client speaks HTTP/2 by prior knowledge.
pub(crate) async fn sniff<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<(Bytes, bool)> {
    let mut ahead = BytesMut::with_capacity(1024);
    loop {
        if stream.read_buf(&mut ahead).await? == 0 {
            return Ok((ahead.freeze(), false));
        }
        let compared = ahead.len().min(PREFACE.len());
        if ahead[..compared] != PREFACE[..compared] {
            return Ok((ahead.freeze(), false));
        }
        if compared == PREFACE.len() {
            return Ok((ahead.freeze(), true));
        }
    }
}

impl<S: AsyncRead + Abort + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.ahead.is_empty() {
            let some = this.ahead.split_to(this.ahead.len().min(buf.remaining()));
            buf.put_slice(some.chunk());
            this.saw(&some);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            this.saw(&buf.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Abort + Unpin> Watched<S> {
    fn note<T>(&self, result: Poll<T>) -> Poll<T> {
        if result.is_pending() {
            self.state.write_waits();
        } else {
            self.state.bytes_written();
        }
        result
    }
}

impl<S: AsyncWrite + Abort + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.note(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.note(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.note(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
