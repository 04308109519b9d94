//! The byte stream of a client connection: what was read ahead, deadlines, framing.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::{
    client::connection::ConnState,
    http::{
        framing::HeadScanner,
        http2::{FORBIDDEN, Frames, Seen},
    },
    net::{rejection::Rejection, socket::Abort},
};

/// The first bytes of an HTTP/2 connection (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A client's stream that tells its [`ConnState`] what it sees.
#[derive(Debug)]
pub(crate) struct Watched<S: Abort> {
    inner: S,
    ahead: Bytes,
    state: Arc<ConnState>,
    /// Of HTTP/2.
    frames: Option<Frames>,
    /// hyper gets what is ahead, and then the end.
    over: bool,
    scanner: Option<HeadScanner>,
}

impl<S: Abort> Watched<S> {
    /// `ahead` is what [`sniff`] took. The frames of HTTP/2 are read as they pass; the heads of HTTP/1 are scanned.
    pub(crate) fn new(
        inner: S,
        ahead: Bytes,
        state: Arc<ConnState>,
        frames: Option<Frames>,
    ) -> Self {
        Self {
            inner,
            ahead,
            state,
            scanner: frames.is_none().then(HeadScanner::default),
            frames,
            over: false,
        }
    }

    /// Bytes came; so many of them are for hyper.
    fn saw(&mut self, bytes: &[u8]) -> usize {
        if self.frames.is_some() {
            // Frames between requests (PING, WINDOW_UPDATE) begin no head.
            self.state.bytes_read(false);
            return self.saw_frames(bytes);
        }
        if let Some(scanner) = &mut self.scanner
            && let Err(fault) = scanner.scan(bytes)
        {
            self.state.refuse(scanner.requests(), fault);
            self.scanner = None;
        }
        let half = self.scanner.as_ref().is_some_and(HeadScanner::is_in_head);
        self.state.has_half_a_head(half);
        self.state.bytes_read(true);
        bytes.len()
    }

    fn saw_frames(&mut self, bytes: &[u8]) -> usize {
        let Some(frames) = &mut self.frames else {
            return bytes.len();
        };
        let (mut at, before) = (0, frames.whole());
        while at < bytes.len() {
            let (seen, used) = frames.next(&bytes[at..]);
            at += used;
            match seen {
                Some(Seen::Preface) => self.state.established(),
                Some(Seen::StreamWindow(bytes)) => self.state.http2.sets_stream_window(bytes),
                Some(Seen::Window(bytes)) => self.state.http2.makes_room(bytes as usize),
                Some(Seen::Reset) if !self.state.may_reset(frames.cancels()) => {
                    self.state.is_over(Rejection::Flood);
                    self.ahead = Bytes::from_static(FORBIDDEN);
                    self.over = true;
                    return at;
                }
                Some(Seen::Reset) | None => {}
            }
        }
        let another = frames.whole() != before;
        self.state.in_part(frames.is_in_part(), another);
        at
    }
}

impl<S: Abort> Drop for Watched<S> {
    fn drop(&mut self) {
        // What a client that is cut off has not taken is of no use to anybody: the kernel need not keep it.
        if self.state.is_broken() || self.state.ended() == Some(Rejection::Stalled) {
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
        let before = buf.filled().len();
        if !this.ahead.is_empty() {
            let some = this.ahead.split_to(this.ahead.len().min(buf.remaining()));
            buf.put_slice(some.chunk());
        } else if !this.over {
            ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        }
        if buf.filled().len() > before && !this.over {
            let taken = this.saw(&buf.filled()[before..]);
            buf.set_filled(before + taken);
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
