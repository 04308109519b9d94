//! A request's body as it is read: counted for whoever wants to know, and held to its limit.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::{
    client::{connection::ConnState, http2_stream::Stream},
    http::framing::trailers,
};

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

/// From where a body comes; it is told when we wait for more.
pub(crate) enum Giver {
    /// A connection of HTTP/1.1.
    Connection(Arc<ConnState>),
    /// A stream of HTTP/2.
    Stream(Rc<Stream>),
}

impl Giver {
    fn is_awaited(&self) {
        match self {
            Self::Connection(state) => state.read_waits(),
            Self::Stream(stream) => stream.awaits_body(),
        }
    }

    fn gave(&self) {
        if let Self::Stream(stream) = self {
            stream.body_comes();
        }
    }
}

impl Drop for Giver {
    /// Nobody waits any more.
    fn drop(&mut self) {
        match self {
            Self::Connection(state) => state.read_goes_on(),
            Self::Stream(stream) => stream.body_comes(),
        }
    }
}

/// How much more of a body may come that did not say how long it is.
#[derive(Debug)]
pub(crate) struct Allowance {
    left: Cell<u64>,
    exceeded: Cell<bool>,
}

impl Allowance {
    /// For a body of at most `bytes`.
    pub(crate) const fn new(bytes: u64) -> Self {
        Self {
            left: Cell::new(bytes),
            exceeded: Cell::new(false),
        }
    }

    /// Whether more came.
    pub(crate) const fn is_exceeded(&self) -> bool {
        self.exceeded.get()
    }

    fn take(&self, bytes: usize) -> Result<(), UpError> {
        match self.left.get().checked_sub(bytes as u64) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                self.exceeded.set(true);
                Err(UpError::TooLarge)
            }
        }
    }
}

/// What is counted of a body, and up to where.
pub(crate) struct Meter {
    /// From where it comes.
    pub(crate) giver: Giver,
    /// Where its bytes are counted, if anybody wants to know.
    pub(crate) received: Option<Rc<Cell<u64>>>,
    /// How many there may be, if that has to be counted.
    pub(crate) allowance: Option<Rc<Allowance>>,
    /// What was read to see whether there is anything.
    ahead: Option<Box<Read>>,
}

/// A part of a client's body, or why there is none.
type Read = Result<Frame<Bytes>, hyper::Error>;

impl Meter {
    pub(crate) const fn new(
        giver: Giver,
        received: Option<Rc<Cell<u64>>>,
        allowance: Option<Rc<Allowance>>,
    ) -> Self {
        Self {
            giver,
            received,
            allowance,
            ahead: None,
        }
    }

    /// Whether a body that did not say how long it is has ended already, without a byte. What is read for that comes
    /// first later on. Only what has come is looked at.
    #[cold]
    pub(crate) fn finds_nothing(&mut self, incoming: &mut Incoming) -> bool {
        let mut once = Context::from_waker(Waker::noop());
        match Pin::new(&mut *incoming).poll_frame(&mut once) {
            Poll::Pending => false,
            Poll::Ready(None) => true,
            Poll::Ready(Some(read)) => {
                let empty = read.as_ref().ok().and_then(Frame::data_ref);
                let over = empty.is_some_and(Bytes::is_empty) && incoming.is_end_stream();
                self.ahead = (!over).then(|| Box::new(read));
                over
            }
        }
    }

    /// Whether there is something that was read and not yet taken.
    pub(crate) const fn is_ahead(&self) -> bool {
        self.ahead.is_some()
    }

    /// The next frame that the client may send.
    pub(crate) fn poll(
        &mut self,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpError>>> {
        let frame = match self.ahead.take() {
            Some(read) => Poll::Ready(Some(*read)),
            None => Pin::new(incoming).poll_frame(cx),
        };
        if frame.is_pending() {
            self.giver.is_awaited();
        }
        let frame = ready!(frame);
        self.giver.gave();
        Poll::Ready(match frame {
            Some(Ok(frame)) if frame.is_trailers() => trailers::clean(frame).map(Ok),
            Some(Ok(frame)) => Some(self.count(&frame).map(|()| frame)),
            Some(Err(error)) => Some(Err(UpError::Client(error))),
            None => None,
        })
    }

    /// The body was too large, and nobody reads on. With HTTP/1.1 the rest has to be read all the same, so that the
    /// client sees the answer, see [`discard`].
    pub(crate) fn gives_up(&self, incoming: Incoming) {
        if let Giver::Connection(state) = &self.giver {
            discard(incoming, state);
        }
    }

    fn count(&self, frame: &Frame<Bytes>) -> Result<(), UpError> {
        let Some(data) = frame.data_ref() else {
            return Ok(());
        };
        if let Some(received) = &self.received {
            received.set(received.get() + data.len() as u64);
        }
        match &self.allowance {
            Some(allowance) => allowance.take(data.len()),
            None => Ok(()),
        }
    }
}

/// For how long a refused body is read.
const LINGER: Duration = Duration::from_secs(10);

/// Reads a body that nobody wants and forgets it. A connection that is closed while its client still sends is reset,
/// and the client might never see why.
pub(crate) fn discard(mut incoming: Incoming, conn: &Arc<ConnState>) {
    let busy = Busy::new(conn);
    tokio::task::spawn_local(async move {
        let rest = async { while let Some(Ok(_)) = incoming.frame().await {} };
        // Whoever sends for longer is reset.
        let _ = timeout(LINGER, rest).await;
        drop(busy);
    });
}

/// The connection is not idle: what comes begins no request.
struct Busy(Arc<ConnState>);

impl Busy {
    fn new(conn: &Arc<ConnState>) -> Self {
        conn.request_begins();
        Self(Arc::clone(conn))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.request_ends();
    }
}
