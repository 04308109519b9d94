//! What the echo backend sends.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use hyper::body::{Body, Frame, Incoming};

/// The bodies that a backend answers with.
pub(super) enum Echo {
    /// Chunks, and whether a trailer follows.
    Chunks(Vec<Bytes>, bool),
    /// The request's own.
    Stream(Incoming),
}

impl Body for Echo {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Self::Stream(body) => Pin::new(body).poll_frame(cx),
            Self::Chunks(chunks, trailers) => {
                if !chunks.is_empty() {
                    return Poll::Ready(Some(Ok(Frame::data(chunks.remove(0)))));
                }
                if std::mem::take(trailers) {
                    let map = [(
                        HeaderName::from_static("x-trailer"),
                        HeaderValue::from_static("end"),
                    )];
                    return Poll::Ready(Some(Ok(Frame::trailers(map.into_iter().collect()))));
                }
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Chunks(chunks, false) if chunks.is_empty())
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            // With a trailer the body has to be chunked.
            Self::Chunks(chunks, false) => {
                http_body::SizeHint::with_exact(chunks.iter().map(|c| c.len() as u64).sum())
            }
            Self::Chunks(..) => http_body::SizeHint::default(),
            Self::Stream(body) => body.size_hint(),
        }
    }
}
