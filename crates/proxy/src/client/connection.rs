//! What is known of a client connection, and who ends it when it takes too long.
//!
//! A timer for each request would cost more than the request's routing. Instead every connection keeps its phase in a
//! few relaxed atomics, and each worker's watch (see [`crate::serve::worker`]) looks at all of them four times a
//! second.

use std::{
    future::poll_fn,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;

use crate::{
    client::terms::Terms,
    config::Deadlines,
    http::{framing::Fault, http2::Client},
    net::{
        clock::{Clock, ticks},
        rejection::Rejection,
    },
};

/// Where a connection stands. The order is that of its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// TLS is being agreed on. Whoever does that has the deadline.
    Handshake = 0,
    /// Nothing is asked.
    Idle = 1,
    /// The first bytes of a head or a preface have come, or are awaited on a new connection.
    Head = 2,
    /// At least one request is in the works.
    Busy = 3,
    /// Switched to another protocol: only stalls do not count any more.
    Tunnel = 4,
}

/// What a connection's task is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
pub(crate) enum Command {
    /// Go on.
    Serve = 0,
    /// Tell the client with the next answer that this connection ends, and go on until then.
    Leave = 1,
    /// The same; and a client that does not ask again has no longer than a head may take.
    Drain = 2,
    /// Close unless something is in flight; then after that.
    HangUp = 3,
    /// Close now.
    Close = 4,
}

/// The shared part of a connection.
#[derive(Debug)]
pub(crate) struct ConnState {
    clock: Clock,
    phase: AtomicU8,
    since: AtomicU32,
    in_flight: AtomicU32,
    write_stall: AtomicU32,
    read_stall: AtomicU32,
    command: AtomicU8,
    asked: AtomicBool,
    /// HTTP/1.1: of the next head, a part has come.
    half_a_head: AtomicBool,
    heads: AtomicU32,
    faulty: AtomicU32,
    unknown_coding: AtomicBool,
    broken: AtomicBool,
    /// Why we close it, where that is to be told of.
    ended: OnceLock<Rejection>,
    /// What the client has said, where it speaks HTTP/2.
    pub(crate) http2: Client,
    waker: Mutex<Option<Waker>>,
    terms: OnceLock<Terms>,
}

impl ConnState {
    pub(crate) fn new(clock: Clock) -> Self {
        let now = clock.now();
        Self {
            clock,
            phase: AtomicU8::new(Phase::Head as u8),
            since: AtomicU32::new(now),
            in_flight: AtomicU32::new(0),
            write_stall: AtomicU32::new(0),
            read_stall: AtomicU32::new(0),
            command: AtomicU8::new(Command::Serve as u8),
            asked: AtomicBool::new(false),
            half_a_head: AtomicBool::new(false),
            heads: AtomicU32::new(0),
            faulty: AtomicU32::new(0),
            unknown_coding: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            ended: OnceLock::new(),
            http2: Client::new(),
            waker: Mutex::new(None),
            terms: OnceLock::new(),
        }
    }

    /// Its listener is known. Told once.
    pub(crate) fn agree(&self, terms: Terms) {
        let told = self.terms.set(terms);
        debug_assert!(told.is_ok(), "a connection has one listener");
    }

    /// What was agreed on.
    pub(crate) fn terms(&self) -> Option<&Terms> {
        self.terms.get()
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
        self.since.store(self.clock.now(), Relaxed);
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Handshake,
            1 => Phase::Idle,
            2 => Phase::Head,
            3 => Phase::Busy,
            _ => Phase::Tunnel,
        }
    }

    /// Bytes came from the client; with `head`, they begin a request if none is in the works.
    pub(crate) fn bytes_read(&self, head: bool) {
        self.read_goes_on();
        if head && self.phase.load(Relaxed) == Phase::Idle as u8 {
            self.enter(Phase::Head);
        }
    }

    /// Whether a part of a head is there, and the rest is not. It may have come with the request before.
    pub(crate) fn has_half_a_head(&self, half: bool) {
        if self.half_a_head.load(Relaxed) != half {
            self.half_a_head.store(half, Relaxed);
        }
    }

    /// Whether there has been a request.
    pub(crate) fn was_asked(&self) -> bool {
        self.asked.load(Relaxed)
    }

    /// A body came that we wanted to read, or nobody wants it any more.
    pub(crate) fn read_goes_on(&self) {
        if self.read_stall.load(Relaxed) != 0 {
            self.read_stall.store(0, Relaxed);
        }
    }

    /// A body that we want to read did not come.
    pub(crate) fn read_waits(&self) {
        if self.read_stall.load(Relaxed) == 0 {
            self.read_stall.store(self.clock.now(), Relaxed);
        }
    }

    /// The socket took no more bytes.
    pub(crate) fn write_waits(&self) {
        if self.write_stall.load(Relaxed) == 0 {
            self.write_stall.store(self.clock.now(), Relaxed);
        }
    }

    /// The socket took bytes.
    pub(crate) fn bytes_written(&self) {
        if self.write_stall.load(Relaxed) != 0 {
            self.write_stall.store(0, Relaxed);
        }
    }

    /// A request's head is complete.
    pub(crate) fn request_begins(&self) {
        if self.in_flight.fetch_add(1, Relaxed) == 0 {
            self.phase.store(Phase::Busy as u8, Relaxed);
            self.asked.store(true, Relaxed);
        }
    }

    /// A response has been handed over, or given up.
    pub(crate) fn request_ends(&self) {
        if self.in_flight.fetch_sub(1, Relaxed) == 1 {
            self.read_goes_on();
            if self.phase() != Phase::Tunnel {
                self.enter(match self.half_a_head.load(Relaxed) {
                    true => Phase::Head,
                    false => Phase::Idle,
                });
            }
        }
    }

    /// A client of HTTP/2 has given up a request. Whether it may, as [`Client::may_reset`] has it.
    pub(crate) fn may_reset(&self, limit: u32) -> bool {
        self.http2.may_reset(self.clock.now(), limit)
    }

    /// Part of a frame of HTTP/2 is there, or none, as [`Client::in_part`] has it.
    pub(crate) fn in_part(&self, part: bool, another: bool) {
        self.http2.in_part(part, another, self.clock.now());
    }

    /// TLS comes first.
    pub(crate) fn handshake_begins(&self) {
        self.enter(Phase::Handshake);
    }

    /// TLS is agreed on, and a head or preface is awaited.
    pub(crate) fn handshake_ends(&self) {
        self.enter(Phase::Head);
    }

    /// The handshake or preface is over; nothing is asked yet.
    pub(crate) fn established(&self) {
        self.enter(Phase::Idle);
    }

    /// The connection carries another protocol from here on.
    pub(crate) fn becomes_tunnel(&self) {
        self.phase.store(Phase::Tunnel as u8, Relaxed);
    }

    /// A fault was seen in the `nth` request, counted from one: it is refused, and whatever follows it.
    pub(crate) fn refuse(&self, nth: u32, fault: Fault) {
        self.unknown_coding
            .store(fault == Fault::UnknownCoding, Relaxed);
        self.faulty.store(nth.max(1), Relaxed);
    }

    /// One more head has been read. Why its request must be refused, if it must.
    pub(crate) fn next_head(&self) -> Option<Fault> {
        let nth = self.heads.load(Relaxed).saturating_add(1);
        self.heads.store(nth, Relaxed);
        self.fault()
    }

    /// The fault of the newest request, in its head or later.
    pub(crate) fn fault(&self) -> Option<Fault> {
        let faulty = self.faulty.load(Relaxed);
        if faulty == 0 || self.heads.load(Relaxed) < faulty {
            return None;
        }
        Some(match self.unknown_coding.load(Relaxed) {
            true => Fault::UnknownCoding,
            false => Fault::Ambiguous,
        })
    }

    /// A response broke off whose end is that of the connection, which must not look like one.
    pub(crate) fn break_off(&self) {
        self.broken.store(true, Relaxed);
    }

    /// Whether [`Self::break_off`] was called.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    /// What the connection's task should do. Remembers the task, so that [`Self::command`] can wake it.
    pub(crate) fn poll_command(&self, cx: &Context<'_>, known: &mut bool) -> Command {
        if !*known {
            *self.waker.lock() = Some(cx.waker().clone());
            *known = true;
        }
        self.commanded_now()
    }

    fn commanded_now(&self) -> Command {
        match self.command.load(Relaxed) {
            0 => Command::Serve,
            1 => Command::Leave,
            2 => Command::Drain,
            3 => Command::HangUp,
            _ => Command::Close,
        }
    }

    /// Whether the client is to be told that the connection ends.
    pub(crate) fn is_leaving(&self) -> bool {
        self.command.load(Relaxed) != Command::Serve as u8
    }

    /// Ready when this much, or more, is asked.
    pub(crate) async fn commanded(&self, least: Command) {
        let mut known = false;
        poll_fn(|cx| match self.poll_command(cx, &mut known) {
            command if command >= least => Poll::Ready(()),
            _ => Poll::Pending,
        })
        .await;
    }

    /// Asks the connection's task; a stronger command is never taken back.
    pub(crate) fn command(&self, command: Command) {
        if self.command.fetch_max(command as u8, Relaxed) >= command as u8 {
            return;
        }
        if self.phase() == Phase::Idle {
            // What is left to it begins now.
            self.since.store(self.clock.now(), Relaxed);
        }
        if let Some(waker) = &*self.waker.lock() {
            waker.wake_by_ref();
        }
    }

    /// Closes the connection, for a reason that is counted.
    pub(crate) fn end(&self, why: Rejection) {
        self.is_over(why);
        self.command(Command::Close);
    }

    /// The connection closes by itself, for a reason that is counted; the first one is.
    pub(crate) fn is_over(&self, why: Rejection) {
        let _ = self.ended.set(why);
    }

    /// Why we close it, where that is to be told of.
    pub(crate) fn ended(&self) -> Option<Rejection> {
        self.ended.get().copied()
    }

    /// Ends what has waited too long.
    pub(crate) fn check(&self, deadlines: &Deadlines) {
        let now = self.clock.now();
        let over =
            |start: u32, limit: Duration| start != 0 && now.saturating_sub(start) > ticks(limit);
        match self.phase() {
            Phase::Idle => {
                let (limit, then) = match self.commanded_now() {
                    Command::Serve | Command::Leave => (deadlines.idle, Command::HangUp),
                    Command::Drain => (deadlines.header, Command::HangUp),
                    // HTTP/2 waits for the client's last word, which may never come.
                    Command::HangUp | Command::Close => (deadlines.header, Command::Close),
                };
                if over(self.since.load(Relaxed), limit) {
                    self.command(then);
                }
            }
            Phase::Head if over(self.since.load(Relaxed), deadlines.header) => {
                self.end(Rejection::HeaderTimeout);
            }
            Phase::Handshake | Phase::Tunnel => return,
            _ => {}
        }
        if over(self.http2.in_part_since(), deadlines.header) {
            self.end(Rejection::HeaderTimeout);
        }
        let stalled = over(self.write_stall.load(Relaxed), deadlines.stall)
            || over(self.read_stall.load(Relaxed), deadlines.stall);
        if stalled {
            self.end(Rejection::Stalled);
        }
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
