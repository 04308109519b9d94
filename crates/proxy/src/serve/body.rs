//! Bodies of responses. Concrete types, so that nothing is boxed on the way.

pub(crate) mod piece;
mod tail;

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use self::{piece::Piece, tail::Tail};
use crate::{
    serve::exchange::Exchange,
    upstream::{Lease, silence::Silence},
};

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

/// A response body on its way to the client. It owns the request's [`Exchange`], which ends with it, or with its last
/// piece.
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
    /// The client has not taken all of it; then come the end and these trailers.
    Closing(Option<HeaderMap>),
}

impl DownBody {
    /// An answer of the gateway itself; empty text is no body.
    pub(crate) fn text(text: &'static str, mut exchange: Exchange) -> Self {
        exchange.completes();
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
        mut exchange: Exchange,
    ) -> Self {
        if incoming.is_end_stream() {
            exchange.completes();
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
            exchange.completes();
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

impl DownBody {
    /// Part of it.
    fn piece(
        &mut self,
        bytes: Bytes,
        is_last: bool,
    ) -> Poll<Option<Result<Frame<Piece>, BodyError>>> {
        let mut piece = self.exchange.gives(bytes);
        if is_last {
            self.exchange.completes();
            self.content = if self.exchange.flows() {
                piece.carries(std::mem::replace(&mut self.exchange, Exchange::none()));
                Content::Done
            } else {
                Content::Closing(None)
            };
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    /// Its end, once the client has taken the rest: until then somebody has to be there who can end its stream.
    fn end(
        &mut self,
        trailers: Option<HeaderMap>,
        cx: &Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, BodyError>>> {
        self.exchange.completes();
        if self.exchange.poll_taken(cx).is_pending() {
            self.content = Content::Closing(trailers);
            return Poll::Pending;
        }
        self.content = Content::Done;
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

impl Body for DownBody {
    type Data = Piece;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, BodyError>>> {
        let this = &mut *self;
        match &mut this.content {
            Content::Done => Poll::Ready(None),
            Content::Text(text) => {
                let text = std::mem::take(text);
                this.piece(text, true)
            }
            Content::Closing(trailers) => {
                let trailers = trailers.take();
                this.end(trailers, cx)
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
                if let Some(Err(error)) = frame {
                    this.exchange.broke_off();
                    this.content = Content::Done;
                    return Poll::Ready(Some(Err(error)));
                }
                let frame = frame.and_then(Result::ok).map(Frame::into_data);
                let is_last = !matches!(frame, Some(Ok(_))) || tail.is_over(incoming);
                if is_last && let Some(lease) = lease.take() {
                    lease.give_back();
                }
                match frame {
                    Some(Ok(bytes)) => this.piece(bytes, is_last),
                    Some(Err(trailers)) => this.end(trailers.into_trailers().ok(), cx),
                    None => this.end(None, cx),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Done => true,
            Content::Closing(_) => false,
            Content::Text(text) => text.is_empty(),
            Content::Upstream { incoming, tail, .. } => tail.is_over(incoming),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Done => SizeHint::with_exact(0),
            Content::Text(text) => SizeHint::with_exact(text.len() as u64),
            Content::Upstream { incoming, tail, .. } => tail.size_hint(incoming),
            Content::Closing(_) => SizeHint::default(),
        }
    }
}
