//! Bodies of requests. Concrete types, so that nothing is boxed on the way.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::{
    client::meter::{Meter, UpError},
    upstream::{KeptBody, ReplayBody, Stream, silence::Watched},
};

/// A request body on its way to a backend.
pub(crate) enum UpBody {
    /// None.
    Empty,
    /// The client's, passed on frame by frame.
    Client {
        /// The client's body.
        incoming: Incoming,
        /// Counts it, knows how much there may be, and tells when it stalls.
        meter: Meter,
    },
    /// The client's, kept for another attempt.
    Replay(ReplayBody),
    /// A copy, for a mirror.
    Kept(KeptBody),
    /// Any of these, to a backend that must not be silent.
    Watched(Box<Watched>),
}

impl UpBody {
    /// It is a side of this stream, for as long as it is sent.
    pub(crate) fn holds(&mut self, stream: Stream) {
        match self {
            Self::Replay(body) => body.holds(stream),
            Self::Kept(body) => body.holds(stream),
            Self::Watched(body) => body.inner().holds(stream),
            // Clients' bodies are kept where they go over HTTP/2, so that there are no others.
            Self::Client { .. } | Self::Empty => {}
        }
    }
}

impl Body for UpBody {
    type Data = Bytes;
    type Error = UpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpError>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Client { incoming, meter } => {
                let next = ready!(meter.poll(incoming, cx));
                if let Some(Err(UpError::TooLarge)) = next
                    && let Self::Client { incoming, meter } =
                        std::mem::replace(&mut *self, Self::Empty)
                {
                    meter.gives_up(incoming);
                }
                Poll::Ready(next)
            }
            Self::Replay(body) => Pin::new(body).poll_frame(cx),
            Self::Kept(body) => Poll::Ready(body.next().map(Ok)),
            Self::Watched(body) => Pin::new(&mut **body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Client {
                incoming, meter, ..
            } => !meter.is_ahead() && incoming.is_end_stream(),
            Self::Replay(body) => body.is_end_stream(),
            Self::Kept(body) => body.is_end(),
            Self::Watched(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Client { incoming, .. } => incoming.size_hint(),
            Self::Replay(body) => body.size_hint(),
            Self::Kept(body) => SizeHint::with_exact(body.len()),
            Self::Watched(body) => body.size_hint(),
        }
    }
}
