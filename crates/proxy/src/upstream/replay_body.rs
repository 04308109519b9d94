//! A request body that can be sent again, or to a mirror: kept while it passes, up to a bound.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::oneshot;

use super::Stream;
use crate::client::meter::{Meter, UpError};

/// The one reader of a client's body, and what it has read so far.
struct Source {
    /// Gone once it was too large.
    incoming: Option<Incoming>,
    meter: Meter,
    kept: Kept,
    bytes: usize,
    limit: usize,
    end: End,
    /// How many bodies were handed out; only the newest may read on.
    sendings: u32,
    /// How many of the kept chunks the newest has sent.
    sent: usize,
    /// There will be no other sending.
    settled: bool,
    copies: Vec<oneshot::Sender<Kept>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// More may come.
    Open,
    /// All of it is kept.
    Complete,
    /// It became too long to be kept, or broke.
    Lost,
}

/// A whole body in memory.
#[derive(Clone, Default)]
pub(crate) struct Kept {
    chunks: Vec<Bytes>,
    trailers: Option<HeaderMap>,
}

/// Hands out bodies that each start at the beginning. When it is gone, no more is kept than is still to be sent or
/// copied.
pub(crate) struct Replay(Rc<RefCell<Source>>);

/// One sending of the body.
pub(crate) struct ReplayBody {
    source: Rc<RefCell<Source>>,
    sending: u32,
    next: usize,
    ended: bool,
    /// Where it is a side of one.
    _side: Option<Stream>,
}

impl Replay {
    /// Keeps up to `limit` bytes of `incoming`.
    pub(crate) fn new(incoming: Incoming, meter: Meter, limit: usize) -> Self {
        Self(Rc::new(RefCell::new(Source {
            incoming: Some(incoming),
            meter,
            kept: Kept::default(),
            bytes: 0,
            limit,
            end: End::Open,
            sendings: 0,
            sent: 0,
            settled: false,
            copies: Vec::new(),
        })))
    }

    /// Whether a body from the beginning can still be had.
    pub(crate) fn possible(&self) -> bool {
        self.0.borrow().end != End::Lost
    }

    /// A body from the beginning. It supersedes the one before.
    pub(crate) fn body(&self) -> ReplayBody {
        let mut source = self.0.borrow_mut();
        source.sendings += 1;
        source.sent = 0;
        ReplayBody {
            source: Rc::clone(&self.0),
            sending: source.sendings,
            next: 0,
            ended: false,
            _side: None,
        }
    }

    /// The whole body once it has passed; an error when it was too long to be kept, or broke off.
    pub(crate) fn copy(&self) -> oneshot::Receiver<Kept> {
        let (sender, receiver) = oneshot::channel();
        let mut source = self.0.borrow_mut();
        match source.end {
            End::Open => source.copies.push(sender),
            // A mirror that has gone away needs no copy.
            End::Complete => drop(sender.send(source.kept.clone())),
            End::Lost => {}
        }
        receiver
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.0.borrow_mut().settle();
    }
}

impl ReplayBody {
    /// It is a side of this stream, for as long as it is sent.
    pub(crate) fn holds(&mut self, stream: Stream) {
        self._side = Some(stream);
    }
}

impl Source {
    /// Mirrors still want all of it.
    fn settle(&mut self) {
        if !self.copies.is_empty() {
            return;
        }
        self.settled = true;
        for chunk in self.kept.chunks.iter_mut().take(self.sent) {
            *chunk = Bytes::new();
        }
    }

    fn complete(&mut self) {
        self.end = End::Complete;
        for copy in self.copies.drain(..) {
            // A mirror that has gone away needs no copy.
            let _ = copy.send(self.kept.clone());
        }
    }

    fn lose(&mut self) {
        self.end = End::Lost;
        self.kept = Kept::default();
        self.copies.clear();
    }

    fn poll_new(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpError>>> {
        let next = match &mut self.incoming {
            Some(incoming) => ready!(self.meter.poll(incoming, cx)),
            None => Some(Err(UpError::TooLarge)),
        };
        match &next {
            None => {
                if self.end == End::Open {
                    self.complete();
                }
            }
            Some(Err(error)) => {
                let too_large = matches!(error, UpError::TooLarge);
                self.lose();
                if let Some(incoming) = self.incoming.take_if(|_| too_large) {
                    self.meter.gives_up(incoming);
                }
            }
            Some(Ok(frame)) => self.keep(frame),
        }
        Poll::Ready(next)
    }

    fn keep(&mut self, frame: &Frame<Bytes>) {
        if self.end != End::Open {
            return;
        }
        if self.settled {
            return self.lose();
        }
        if let Some(data) = frame.data_ref() {
            self.bytes += data.len();
            if self.bytes > self.limit {
                return self.lose();
            }
            self.kept.chunks.push(data.clone());
        } else if let Some(trailers) = frame.trailers_ref() {
            self.kept.trailers = Some(trailers.clone());
        }
        if self.incoming.as_ref().is_none_or(Body::is_end_stream) {
            self.complete();
        }
    }
}

impl Body for ReplayBody {
    type Data = Bytes;
    type Error = UpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpError>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let mut source = this.source.borrow_mut();
        if source.sendings != this.sending {
            return Poll::Ready(Some(Err(UpError::Superseded)));
        }
        if let Some(data) = source.kept.chunks.get(this.next) {
            let data = data.clone();
            this.next += 1;
            source.sent = this.next;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if source.end == End::Complete {
            this.ended = true;
            return Poll::Ready(source.kept.trailers.clone().map(|t| Ok(Frame::trailers(t))));
        }
        let frame = ready!(source.poll_new(cx));
        this.next = source.kept.chunks.len();
        source.sent = this.next;
        this.ended = frame
            .as_ref()
            .is_none_or(|f| f.as_ref().is_ok_and(Frame::is_trailers));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        if self.ended {
            return true;
        }
        let source = self.source.borrow();
        match source.end {
            End::Open => false,
            End::Complete => {
                source.kept.trailers.is_none() && self.next >= source.kept.chunks.len()
            }
            End::Lost => {
                let incoming = source.incoming.as_ref();
                source.sendings == self.sending && incoming.is_some_and(Body::is_end_stream)
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        let source = self.source.borrow();
        let ahead: usize = source
            .kept
            .chunks
            .iter()
            .skip(self.next)
            .map(Bytes::len)
            .sum();
        let rest = source
            .incoming
            .as_ref()
            .and_then(|rest| rest.size_hint().exact());
        match rest {
            Some(rest) if source.end != End::Lost => SizeHint::with_exact(rest + ahead as u64),
            _ => SizeHint::default(),
        }
    }
}

/// A body from memory.
pub(crate) struct KeptBody {
    chunks: std::vec::IntoIter<Bytes>,
    trailers: Option<HeaderMap>,
    /// Where it is a side of one.
    _side: Option<Stream>,
}

impl From<Kept> for KeptBody {
    fn from(kept: Kept) -> Self {
        Self {
            chunks: kept.chunks.into_iter(),
            trailers: kept.trailers,
            _side: None,
        }
    }
}

impl KeptBody {
    /// It is a side of this stream, for as long as it is sent.
    pub(crate) fn holds(&mut self, stream: Stream) {
        self._side = Some(stream);
    }

    pub(crate) fn next(&mut self) -> Option<Frame<Bytes>> {
        self.chunks
            .next()
            .map(Frame::data)
            .or_else(|| self.trailers.take().map(Frame::trailers))
    }

    pub(crate) fn is_end(&self) -> bool {
        self.chunks.len() == 0 && self.trailers.is_none()
    }

    pub(crate) fn len(&self) -> u64 {
        self.chunks.as_slice().iter().map(|c| c.len() as u64).sum()
    }
}
