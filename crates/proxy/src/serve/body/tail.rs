//! The end of an answer, found before its last bytes are given away: a client that has all of `Content-Length` looks no
//! further.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::BodyError;
use crate::http::framing::trailers;

/// How an answer's body may end.
pub(super) struct Tail {
    /// HTTP/2 says so by itself, and its bytes may be fewer or more than were announced (RFC 9113 section 8.1.1).
    http2: bool,
    /// The request had no body, so its stream is not cut short for that.
    asked_whole: bool,
    ended: bool,
    /// The last bytes announced, while the end may still be another.
    held: Option<Bytes>,
    trailers: Option<Box<HeaderMap>>,
}

impl Tail {
    pub(super) const fn new(http2: bool, asked_whole: bool) -> Self {
        Self {
            http2,
            asked_whole,
            ended: false,
            held: None,
            trailers: None,
        }
    }

    /// The next frame that may be passed on.
    pub(super) fn poll_frame(
        &mut self,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(trailers) = self.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(*trailers))));
        }
        loop {
            let frame = match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    self.held = None;
                    return Poll::Ready(Some(Err(error.into())));
                }
                None => return Poll::Ready(self.last(incoming)),
            };
            if frame.is_trailers() {
                return Poll::Ready(self.end_with(frame).map(Ok));
            }
            if !self.http2 {
                return Poll::Ready(Some(Ok(frame)));
            }
            if incoming.is_end_stream() {
                // The end may come by itself, without bytes.
                let frame = self.held.take().map_or(frame, Frame::data);
                return Poll::Ready(Some(Ok(frame)));
            }
            if incoming.size_hint().exact() != Some(0) {
                return Poll::Ready(Some(Ok(frame)));
            }
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                self.held = Some(data);
            }
        }
    }

    /// No frame comes any more: the stream has ended, or was ended as if nothing were missing.
    fn last(&mut self, incoming: &Incoming) -> Option<Result<Frame<Bytes>, BodyError>> {
        self.ended = true;
        let missing = match incoming.size_hint().exact() {
            Some(left) => left > 0,
            None => self.asked_whole && !incoming.is_end_stream(),
        };
        if self.http2 && missing {
            return Some(Err(BodyError::Truncated));
        }
        self.held.take().map(|data| Ok(Frame::data(data)))
    }

    #[cold]
    fn end_with(&mut self, trailers: Frame<Bytes>) -> Option<Frame<Bytes>> {
        self.ended = true;
        let trailers = trailers::clean(trailers);
        let Some(data) = self.held.take() else {
            return trailers;
        };
        let trailers = trailers.and_then(|frame| frame.into_trailers().ok());
        self.trailers = trailers.map(Box::new);
        Some(Frame::data(data))
    }

    /// Whether nothing follows what has been given.
    pub(super) fn is_over(&self, incoming: &Incoming) -> bool {
        let kept = self.held.is_some() || self.trailers.is_some();
        !kept && (self.ended || incoming.is_end_stream())
    }

    /// How long the body is. One that is announced as empty and has not ended must be looked at.
    pub(super) fn size_hint(&self, incoming: &Incoming) -> SizeHint {
        let hint = incoming.size_hint();
        match self.http2 && hint.exact() == Some(0) {
            true => SizeHint::default(),
            false => hint,
        }
    }
}
