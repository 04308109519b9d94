//! The first frame of a backend's HTTP/2 connection, its SETTINGS (RFC 9113 section 3.4): it says how many streams
//! there may be, and that somebody speaks HTTP/2 at all.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
};

/// Length, type, flags and stream of a frame.
const HEAD: usize = 9;
const SETTINGS: u8 = 4;
const ACK: u8 = 1;

/// A stream to a backend that tells when its SETTINGS have been read.
pub(crate) struct Greeted<S> {
    inner: S,
    greeting: Option<Greeting>,
}

/// A greeting that has not come as a whole.
struct Greeting {
    head: [u8; HEAD],
    seen: usize,
    told: oneshot::Sender<()>,
}

impl<S> Greeted<S> {
    /// The receiver gets a word when the SETTINGS are there, and an error when something else came, or nothing more
    /// can.
    pub(crate) fn new(inner: S) -> (Self, oneshot::Receiver<()>) {
        let (told, greeted) = oneshot::channel();
        let greeting = Some(Greeting {
            head: [0; HEAD],
            seen: 0,
            told,
        });
        (Self { inner, greeting }, greeted)
    }

    fn saw(&mut self, bytes: &[u8]) {
        let Some(mut greeting) = self.greeting.take() else {
            return;
        };
        match greeting.saw(bytes) {
            None => self.greeting = Some(greeting),
            // The one who waited may have gone.
            Some(true) => drop(greeting.told.send(())),
            Some(false) => {}
        }
    }
}

impl Greeting {
    /// Whether it was one, once that is known.
    fn saw(&mut self, bytes: &[u8]) -> Option<bool> {
        if let Some(place) = self.head.get_mut(self.seen..) {
            let some = place.len().min(bytes.len());
            place[..some].copy_from_slice(&bytes[..some]);
        }
        self.seen = self.seen.saturating_add(bytes.len());
        if self.seen < HEAD {
            return None;
        }
        let [a, b, c, kind, flags, ..] = self.head;
        if kind != SETTINGS || flags & ACK != 0 {
            return Some(false);
        }
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        (self.seen >= HEAD + length).then_some(true)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        if this.greeting.is_some() {
            this.saw(&buf.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt as _, sync::oneshot::error::TryRecvError};

    use super::Greeted;

    /// What is known after each piece.
    async fn after(pieces: &[&[u8]]) -> Vec<Result<(), TryRecvError>> {
        let whole = pieces.concat();
        let (mut stream, mut greeted) = Greeted::new(whole.as_slice());
        let mut known = Vec::new();
        for piece in pieces {
            let mut place = vec![0; piece.len()];
            stream.read_exact(&mut place).await.unwrap();
            assert_eq!(place, *piece);
            known.push(greeted.try_recv());
        }
        known
    }

    const EMPTY: Result<(), TryRecvError> = Err(TryRecvError::Empty);
    const CLOSED: Result<(), TryRecvError> = Err(TryRecvError::Closed);

    #[tokio::test(flavor = "current_thread")]
    async fn settings_are_a_greeting_once_they_are_whole() {
        let frame = b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x02";
        assert_eq!(after(&[frame]).await, [Ok(())]);
        assert_eq!(
            after(&[&frame[..4], &frame[4..12], &frame[12..], b"more"]).await,
            [EMPTY, EMPTY, Ok(()), CLOSED]
        );
        assert_eq!(
            after(&[b"\0\0\0\x04\0\0\0\0\0"]).await,
            [Ok(())],
            "they may be empty"
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn nothing_else_is() {
        assert_eq!(
            after(&[b"HTTP/1.1 400 Bad Request\r\n\r\n"]).await,
            [CLOSED]
        );
        assert_eq!(
            after(&[b"\0\0\0\x04\x01\0\0\0\0"]).await,
            [CLOSED],
            "an acknowledgement"
        );
        assert_eq!(after(&[b"\0\0\x08\x06\0\0\0\0\0PINGPING"]).await, [CLOSED]);
        let (stream, mut greeted) = Greeted::new(&b""[..]);
        drop(stream);
        assert_eq!(greeted.try_recv(), CLOSED, "the connection was lost");
    }
}
