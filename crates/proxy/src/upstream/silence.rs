//! Backends that fall silent: whom a request waits for, since when, and how long that may last. What is said here costs
//! nothing where a cluster has no such limits.

use std::{
    cell::Cell,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use ir::BackendTimeouts;
use telemetry::metrics::ListenerMetrics;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional},
    time::{Instant, Sleep, sleep_until},
};

use crate::{client::meter::UpError, upstream::body::UpBody};

/// Whom a request waits for on its way to the backend.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// A connection, or more of the client's body. Others watch that.
    Others,
    /// The backend is to take what has been handed over.
    Taking,
    /// All is sent; the backend is to answer.
    Answer,
}

/// How far the sending of a request has come.
pub(crate) struct Watch {
    limits: BackendTimeouts,
    awaited: Cell<Awaited>,
    since: Cell<Instant>,
    waiter: Cell<Option<Waker>>,
}

impl Watch {
    /// Nothing is sent yet. `None` where there is no limit to watch.
    pub(crate) fn of(limits: BackendTimeouts) -> Option<Rc<Self>> {
        (limits.read.is_some() || limits.send.is_some()).then(|| {
            Rc::new(Self {
                limits,
                awaited: Cell::new(Awaited::Others),
                since: Cell::new(Instant::now()),
                waiter: Cell::new(None),
            })
        })
    }

    /// The request's head goes out.
    pub(crate) fn begins(&self, has_body: bool) {
        self.now(if has_body {
            Awaited::Others
        } else {
            Awaited::Answer
        });
    }

    fn now(&self, awaited: Awaited) {
        self.since.set(Instant::now());
        if self.awaited.replace(awaited) != awaited
            && let Some(waiter) = self.waiter.take()
        {
            waiter.wake();
        }
    }

    /// Runs `work`; `None` when the backend is silent for too long.
    pub(crate) async fn over<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let mut sleep = pin!(sleep_until(self.since.get()));
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => self.poll_silent(sleep.as_mut(), cx).map(|()| None),
        })
        .await
    }

    fn poll_silent(&self, mut sleep: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<()> {
        self.waiter.set(Some(cx.waker().clone()));
        let limit = match self.awaited.get() {
            Awaited::Others => None,
            Awaited::Taking => self.limits.send,
            Awaited::Answer => self.limits.read,
        };
        let Some(limit) = limit else {
            return Poll::Pending;
        };
        let end = self.since.get() + limit;
        if sleep.deadline() != end {
            sleep.as_mut().reset(end);
        }
        sleep.poll(cx)
    }
}

/// A request's body that tells how far it has come.
pub(crate) struct Watched {
    body: UpBody,
    watch: Rc<Watch>,
}

impl Watched {
    pub(crate) fn new(body: UpBody, watch: &Rc<Watch>) -> Self {
        Self {
            body,
            watch: Rc::clone(watch),
        }
    }

    pub(crate) fn inner(&mut self) -> &mut UpBody {
        &mut self.body
    }

    pub(crate) fn into_inner(self) -> UpBody {
        self.body
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = UpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.watch.now(match &frame {
            Poll::Pending => Awaited::Others,
            Poll::Ready(Some(_)) if !self.body.is_end_stream() => Awaited::Taking,
            Poll::Ready(_) => Awaited::Answer,
        });
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How long the next part of an answer may take.
pub(crate) struct Silence {
    limit: Duration,
    end: Pin<Box<Sleep>>,
    waits: bool,
}

impl Silence {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            end: Box::pin(sleep_until(Instant::now() + limit)),
            waits: false,
        }
    }

    /// There is nothing to read now. Ready when that has lasted for too long.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.waits {
            self.waits = true;
            self.end.as_mut().reset(Instant::now() + self.limit);
        }
        self.end.as_mut().poll(cx)
    }

    /// Something came.
    pub(crate) const fn broken(&mut self) {
        self.waits = false;
    }
}

/// What has passed, and when last.
pub(crate) struct Passed {
    last: Cell<Instant>,
    /// Bytes to the backend.
    pub(crate) received: Cell<u64>,
    /// Bytes from the backend.
    pub(crate) sent: Cell<u64>,
    /// Whose numbers they count in as they pass.
    metrics: Option<Arc<ListenerMetrics>>,
}

impl Passed {
    /// Nothing yet.
    pub(crate) fn new(metrics: Option<Arc<ListenerMetrics>>) -> Rc<Self> {
        Rc::new(Self {
            last: Cell::new(Instant::now()),
            received: Cell::new(0),
            sent: Cell::new(0),
            metrics,
        })
    }

    /// Bytes came from the client and were taken.
    pub(crate) fn received(&self, bytes: usize) {
        self.last.set(Instant::now());
        self.received.set(self.received.get() + bytes as u64);
        if let Some(metrics) = &self.metrics {
            metrics.streams().received.add(bytes as u64);
        }
    }

    /// Bytes came from the backend.
    pub(crate) fn sent(&self, bytes: usize) {
        self.last.set(Instant::now());
        self.sent.set(self.sent.get() + bytes as u64);
        if let Some(metrics) = &self.metrics {
            metrics.streams().sent.add(bytes as u64);
        }
    }

    /// Ready when nothing has passed for so long.
    pub(crate) async fn quiet(&self, limit: Duration) {
        loop {
            let end = self.last.get() + limit;
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
    }
}

/// Passes bytes both ways until both sides have ended, or nothing has passed for `limit`; then `None`.
pub(crate) async fn tunnel<A, B>(
    client: &mut A,
    backend: B,
    limit: Duration,
    passed: &Rc<Passed>,
) -> Option<io::Result<(u64, u64)>>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let mut backend = Heard {
        stream: backend,
        passed: Rc::clone(passed),
    };
    tokio::select! {
        ended = copy_bidirectional(client, &mut backend) => Some(ended),
        () = passed.quiet(limit) => None,
    }
}

/// A stream to a backend that notes what passes.
struct Heard<S> {
    stream: S,
    passed: Rc<Passed>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        self.passed.sent(buf.filled().len() - before);
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.passed.received(*written.as_ref().unwrap_or(&0));
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
