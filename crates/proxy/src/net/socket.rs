//! A TCP connection, of a client or to a backend.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

/// Up to so many bytes in several pieces are copied together before they are written.
const GATHERED: usize = 2048;

/// A connection that sends at once what it is given, and small pieces as one: the kernel takes one buffer for less than
/// a list of them, and a head with a short body, or a head alone, is most of what is written.
#[derive(Debug)]
pub(crate) struct Socket(TcpStream);

/// The kernel asks a peer that has been silent for 60 s whether it is still there, every 15 s, and gives up after four
/// questions without an answer: one that has vanished without a word is gone after two minutes.
pub(crate) const fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15))
        .with_retries(4)
}

impl Socket {
    /// A connection that was accepted. It has [`keepalive`] from the socket that listens.
    pub(crate) fn new(stream: TcpStream) -> Self {
        // Without it small writes wait for acknowledgements; a socket that refuses the option still works.
        let _ = stream.set_nodelay(true);
        Self(stream)
    }

    /// A connection that we have opened.
    pub(crate) fn opened(stream: TcpStream) -> Self {
        // A socket that refuses the option still works; other deadlines end it.
        let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive());
        Self::new(stream)
    }
}

/// A stream whose end can be made to look like what it is.
pub(crate) trait Abort {
    /// The peer gets a reset instead of an orderly end when the stream is dropped.
    fn abort(&self);
}

impl Abort for Socket {
    fn abort(&self) {
        // A socket that refuses the option ends as any other does.
        let _ = SockRef::from(&self.0).set_linger(Some(Duration::ZERO));
    }
}

impl Abort for TlsStream<Socket> {
    fn abort(&self) {
        self.get_ref().0.abort();
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.0);
        if let [one] = bufs {
            return stream.poll_write(cx, one);
        }
        let mut whole = [0; GATHERED];
        let mut end = 0;
        for buf in bufs {
            let Some(place) = whole.get_mut(end..end + buf.len()) else {
                return stream.poll_write_vectored(cx, bufs);
            };
            place.copy_from_slice(buf);
            end += buf.len();
        }
        stream.poll_write(cx, &whole[..end])
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };

    use super::{GATHERED, Socket};

    #[tokio::test(flavor = "current_thread")]
    async fn pieces_arrive_in_order_whatever_their_size() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut socket = Socket::new(TcpStream::connect(address).await.unwrap());
        let (mut peer, _) = listener.accept().await.unwrap();
        let large = vec![b'l'; GATHERED];
        for pieces in [
            &[][..],
            &[&b"one"[..]],
            &[b"head ", b"", b"body"],
            &[b"head ", &large],
            &[&large[1..], b"t"],
        ] {
            let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            let sent = pieces.concat();
            let written = socket.write_vectored(&slices).await.unwrap();
            assert_eq!(written, sent.len());
            let mut received = vec![0; written];
            peer.read_exact(&mut received).await.unwrap();
            assert_eq!(received, sent);
        }
    }
}
