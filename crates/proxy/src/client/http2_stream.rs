//! How far a stream of HTTP/2 has come, and its end when its client holds it up.
//!
//! What the client's windows do not take lies in hyper, and nothing calls for it. So the account of what was handed
//! over is kept here, by the pieces themselves (see [`crate::serve::body::Piece`]), and the worker's watch looks at it.
//! To end a stream its task is aborted: hyper then resets the stream and forgets what it holds of it. That takes a task
//! that still runs, and so the end of a response is held back until its client has taken the rest, unless its windows
//! are known to have room for all of it.

use std::{
    cell::{Cell, OnceCell, RefCell},
    rc::{Rc, Weak},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use slab::Slab;
use tokio::task::AbortHandle;

use crate::{
    client::connection::ConnState,
    net::{
        clock::{Clock, ticks},
        rejection::Rejection,
    },
};

/// The streams of a worker, for its watch.
pub(crate) struct StreamWatch {
    clock: Clock,
    streams: RefCell<Slab<Weak<Stream>>>,
}

impl StreamWatch {
    /// No streams yet.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            streams: RefCell::default(),
        }
    }

    /// Ends the streams that their clients have held up for longer than `stall`.
    pub(crate) fn end_held_up(&self, stall: Duration) {
        let limit = ticks(stall);
        let streams = self.streams.borrow();
        let held_up: Vec<_> = { streams.iter() }
            .filter_map(|(_, stream)| stream.upgrade())
            .filter(|stream| stream.is_held_up(limit))
            .collect();
        drop(streams);
        held_up.iter().for_each(|stream| stream.end());
    }
}

/// One stream. Everybody who has to do with it holds it.
pub(crate) struct Stream {
    watch: Rc<StreamWatch>,
    state: Arc<ConnState>,
    /// Where the watch has it.
    key: Cell<usize>,
    /// When something passed last, or began to be awaited.
    moved: Cell<u32>,
    /// Bytes of the response that hyper holds.
    held: Cell<usize>,
    /// All bytes of the response so far.
    given: Cell<u64>,
    /// Those that never went out.
    lost: Cell<u64>,
    /// More of the request's body is awaited.
    awaited: Cell<bool>,
    /// The client may leave its body open without a word.
    patient: Cell<bool>,
    /// Told when hyper holds nothing any more.
    waiter: Cell<Option<Waker>>,
    task: OnceCell<AbortHandle>,
    ended: Cell<bool>,
}

impl Stream {
    /// A request's head has come.
    pub(crate) fn begin(watch: &Rc<StreamWatch>, state: &Arc<ConnState>) -> Rc<Self> {
        let stream = Rc::new(Self {
            watch: Rc::clone(watch),
            state: Arc::clone(state),
            key: Cell::new(0),
            moved: Cell::new(0),
            held: Cell::new(0),
            given: Cell::new(0),
            lost: Cell::new(0),
            awaited: Cell::new(false),
            patient: Cell::new(false),
            waiter: Cell::new(None),
            task: OnceCell::new(),
            ended: Cell::new(false),
        });
        let key = watch.streams.borrow_mut().insert(Rc::downgrade(&stream));
        stream.key.set(key);
        stream
    }

    fn moves(&self) {
        self.moved.set(self.watch.clock.now());
    }

    /// The next part of the request's body has not come.
    pub(crate) fn awaits_body(&self) {
        if !self.awaited.replace(true) {
            self.moves();
        }
    }

    /// Part of the request's body has come, or its end.
    pub(crate) fn body_comes(&self) {
        self.awaited.set(false);
        self.moves();
    }

    /// The answer to a call of gRPC has begun. Either side may be silent for as long as it likes while both are open.
    pub(crate) fn is_patient(&self) {
        self.patient.set(true);
    }

    /// So many bytes of the response are given to hyper.
    pub(crate) fn gives(&self, bytes: usize) {
        self.moves();
        self.held.set(self.held.get() + bytes);
        self.given.set(self.given.get() + bytes as u64);
        self.state.http2.takes_room(bytes);
    }

    /// So many of them have gone out.
    pub(crate) fn takes(&self, bytes: usize) {
        self.moves();
        self.held_less(bytes);
    }

    /// So many of them never will: the stream is over.
    pub(crate) fn loses(&self, bytes: usize) {
        self.lost.set(self.lost.get() + bytes as u64);
        self.state.http2.makes_room(bytes);
        self.held_less(bytes);
    }

    fn held_less(&self, bytes: usize) {
        let held = self.held.get().saturating_sub(bytes);
        self.held.set(held);
        if held == 0
            && let Some(waiter) = self.waiter.take()
        {
            waiter.wake();
        }
    }

    /// Bytes of the response that have gone out.
    pub(crate) fn taken(&self) -> u64 {
        self.given.get() - self.lost.get() - self.held.get() as u64
    }

    /// Whether all that was given has gone out, or will.
    pub(crate) fn is_whole(&self) -> bool {
        self.lost.get() == 0 && self.flows()
    }

    /// Whether all that was given will go out without another word of the client.
    pub(crate) fn flows(&self) -> bool {
        self.held.get() == 0 || self.state.http2.has_room_for(self.given.get())
    }

    /// Ready when all that was given has gone out.
    pub(crate) fn poll_taken(&self, cx: &Context<'_>) -> Poll<()> {
        if self.flows() {
            return Poll::Ready(());
        }
        self.waiter.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// Whether the client was waited for during more than `limit` ticks, and nothing passed.
    pub(crate) fn is_held_up(&self, limit: u32) -> bool {
        let waits = self.held.get() > 0 || self.awaited.get() && !self.patient.get();
        waits && self.watch.clock.now().saturating_sub(self.moved.get()) > limit
    }

    /// The task that serves it, once there is one.
    pub(crate) fn runs_as(&self, task: AbortHandle) {
        // It has none yet: hyper starts a stream's task right after it has asked for an answer.
        let _ = self.task.set(task);
    }

    /// Ends the stream, or its connection where hyper has nothing left that could be ended.
    pub(crate) fn end(&self) {
        self.moves();
        match self.task.get() {
            Some(task) if !task.is_finished() && !self.ended.replace(true) => task.abort(),
            _ => self.state.end(Rejection::Stalled),
        }
    }

    /// Whether it was ended because its client held it up.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended.get()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.watch.streams.borrow_mut().try_remove(self.key.get());
    }
}

#[cfg(test)]
#[path = "http2_stream_tests.rs"]
mod tests;
