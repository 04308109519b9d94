//! Bodies: towards the backend and towards the client. Concrete types, so that nothing is boxed on the way.

pub(crate) mod meter;
mod tail;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use self::{meter::Meter, tail::Tail};
use crate::{
    connection::ConnState,
    exchange::Exchange,
    silence::{Silence, Watched},
    upstream::{KeptBody, Lease, ReplayBody, Stream},
};

/// A request body on its way to a backend.
pub(crate) enum UpBody {
    /// None.
    Empty,
    /// The client's, passed on frame by frame.
    Client {
        /// The client's body.
        incoming: Incoming,
        /// Its connection, told when it stalls.
        conn: Arc<ConnState>,
        /// Counts it, and knows how much there may be.
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

/// Why a request body broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpError {
    /// The client's side failed.
    #[error(transparent)]
    Client(hyper::Error),
    /// There is more of it than the rule allows.
    #[error("the request's body is too large")]
    TooLarge,
    /// Another attempt took over.
    #[error("superseded by another attempt")]
    Superseded,
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
            Self::Client {
                incoming,
                conn,
                meter,
            } => {
                let next = ready!(meter.poll(incoming, conn, cx));
                if let Some(Err(UpError::TooLarge)) = next
                    && let Self::Client {
                        incoming,
                        conn,
                        meter,
                    } = std::mem::replace(&mut *self, Self::Empty)
                {
                    meter.gives_up(incoming, &conn);
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

/// Why a response broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The backend's side failed.
    #[error(transparent)]
    Upstream(#[from] hyper::Error),
    /// The backend ended the response's stream before the response was whole.
    #[error("the backend cut the response short")]
    Truncated,
    /// The request's deadline passed while the response was on its way.
    #[error("the request took too long")]
    Deadline,
    /// The backend gave nothing for longer than it may.
    #[error("the backend fell silent")]
    Silent,
}

/// How long a response on its way may take.
#[derive(Default)]
pub(crate) struct Waits {
    /// All of it.
    pub(crate) deadline: Option<Pin<Box<Sleep>>>,
    /// Each part of it.
    pub(crate) silence: Option<Box<Silence>>,
}

impl Waits {
    /// Why there is no more to wait for.
    fn over(&mut self, cx: &mut Context<'_>) -> Option<BodyError> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Some(BodyError::Deadline);
        }
        let silence = self.silence.as_mut()?;
        silence.poll(cx).is_ready().then_some(BodyError::Silent)
    }
}

/// A response body on its way to the client. It owns the request's [`Exchange`], which ends with it.
pub(crate) struct DownBody {
    content: Content,
    exchange: Exchange,
}

enum Content {
    Done,
    Text(Bytes),
    Upstream {
        incoming: Incoming,
        lease: Option<Lease>,
        waits: Waits,
        tail: Tail,
    },
}

impl DownBody {
    /// An answer of the gateway itself; empty text is no body.
    pub(crate) fn text(text: &'static str, exchange: Exchange) -> Self {
        let content = if text.is_empty() || exchange.is_bodyless() {
            Content::Done
        } else {
            Content::Text(Bytes::from_static(text.as_bytes()))
        };
        Self { content, exchange }
    }

    /// A backend's answer. When it has been read, the connection goes back to where it was leased, or the stream ends.
    /// `asked_whole` is whether the request had no body.
    pub(crate) fn upstream(
        incoming: Incoming,
        lease: Option<Lease>,
        waits: Waits,
        asked_whole: bool,
        exchange: Exchange,
    ) -> Self {
        if incoming.is_end_stream() {
            if let Some(lease) = lease {
                lease.give_back();
            }
            return Self {
                content: Content::Done,
                exchange,
            };
        }
        // Whatever else comes is left where it is, and its connection with it.
        if exchange.is_bodyless() {
            return Self {
                content: Content::Done,
                exchange,
            };
        }
        let http2 = lease.as_ref().is_some_and(Lease::is_stream);
        let tail = Tail::new(http2, asked_whole);
        Self {
            content: Content::Upstream {
                incoming,
                lease,
                waits,
                tail,
            },
            exchange,
        }
    }
}

impl Body for DownBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        match &mut this.content {
            Content::Done => Poll::Ready(None),
            Content::Text(text) => {
                let text = std::mem::take(text);
                this.content = Content::Done;
                this.exchange.sent(text.len());
                Poll::Ready(Some(Ok(Frame::data(text))))
            }
            Content::Upstream {
                incoming,
                lease,
                waits,
                tail,
            } => {
                let frame = match tail.poll_frame(incoming, cx) {
                    Poll::Ready(frame) => frame,
                    Poll::Pending => {
                        let Some(over) = waits.over(cx) else {
                            return Poll::Pending;
                        };
                        this.content = Content::Done;
                        this.exchange.broke_off();
                        return Poll::Ready(Some(Err(over)));
                    }
                };
                if let Some(silence) = &mut waits.silence {
                    silence.broken();
                }
                let more = match &frame {
                    Some(Ok(frame)) => {
                        this.exchange.sent(frame.data_ref().map_or(0, Bytes::len));
                        !tail.is_over(incoming)
                    }
                    Some(Err(_)) => {
                        this.exchange.broke_off();
                        *lease = None;
                        false
                    }
                    None => false,
                };
                if !more {
                    if let Some(lease) = lease.take() {
                        lease.give_back();
                    }
                    this.content = Content::Done;
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Done => true,
            Content::Text(text) => text.is_empty(),
            Content::Upstream { incoming, tail, .. } => tail.is_over(incoming),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Done => SizeHint::with_exact(0),
            Content::Text(text) => SizeHint::with_exact(text.len() as u64),
            Content::Upstream { incoming, tail, .. } => tail.size_hint(incoming),
        }
    }
}
