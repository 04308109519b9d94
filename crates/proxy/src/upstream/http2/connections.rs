//! HTTP/2 connections to backends: shared by many requests, opened when those that are there have no room.

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::HashMap,
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use hyper::client::conn::http2;
use tokio::sync::Notify;

use super::super::{Context, Destination, Place, Secured, Way, connect};
use crate::{
    http::error::ProxyError,
    net::clock::{Clock, ticks},
    upstream::body::UpBody,
};

/// Streams of a connection in all its life; their numbers end at 2^30 (RFC 9113 section 5.1.1).
const STREAMS_OF_A_LIFE: u32 = 1_000_000_000;

/// How often a request waits for a connection to be opened, if others take all the room on it.
const ROUNDS: usize = 8;

/// A connection with all that is known of it.
pub(crate) struct Connection {
    sender: RefCell<http2::SendRequest<UpBody>>,
    /// How many streams the backend allows at a time, at this moment.
    allowed: Box<dyn Fn() -> usize>,
    clock: Clock,
    streams: Cell<u32>,
    served: Cell<u32>,
    /// Whether there was an answer.
    works: Cell<bool>,
    idle_since: Cell<u32>,
    /// A higher number is that of a younger connection.
    number: u64,
}

impl Connection {
    fn has_room(&self) -> bool {
        let streams = self.streams.get();
        streams < connect::STREAMS && (streams as usize) < (self.allowed)()
    }

    fn is_usable(&self) -> bool {
        self.served.get() < STREAMS_OF_A_LIFE && !self.sender.borrow().is_closed()
    }

    fn is_idle_since(&self) -> Option<u32> {
        (self.streams.get() == 0).then(|| self.idle_since.get())
    }
}

/// A stream of a connection. It counts there for as long as either side of it lasts.
pub(crate) struct Stream {
    connection: Rc<Connection>,
    /// Held by both sides, where the request has a body.
    sides: Option<Rc<()>>,
}

impl Stream {
    fn on(connection: &Rc<Connection>) -> Self {
        connection.streams.set(connection.streams.get() + 1);
        connection.served.set(connection.served.get() + 1);
        Self {
            connection: Rc::clone(connection),
            sides: None,
        }
    }

    /// For the request's body, which may last longer than the answer.
    pub(crate) fn other_side(&mut self) -> Self {
        let sides = self.sides.get_or_insert_default();
        Self {
            connection: Rc::clone(&self.connection),
            sides: Some(Rc::clone(sides)),
        }
    }

    /// There is an answer.
    pub(crate) fn answered(&self) {
        self.connection.works.set(true);
    }

    /// Whether there was an answer on its connection, to whatever request.
    pub(crate) fn is_on_one_that_worked(&self) -> bool {
        self.connection.works.get()
    }

    /// What sends requests on its connection.
    pub(crate) fn sender(&self) -> &RefCell<http2::SendRequest<UpBody>> {
        &self.connection.sender
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self
            .sides
            .as_ref()
            .is_some_and(|sides| Rc::strong_count(sides) > 1)
        {
            return;
        }
        let connection = &self.connection;
        connection.streams.set(connection.streams.get() - 1);
        connection.idle_since.set(connection.clock.now());
    }
}

/// A connection that is being opened, and who waits for it.
#[derive(Default)]
struct Opening {
    waiting: Cell<usize>,
    /// To which address of the endpoint's name it leads, where there are several.
    outcome: OnceCell<Result<SocketAddr, ProxyError>>,
    known: Notify,
}

impl Opening {
    async fn done(&self) -> Result<SocketAddr, ProxyError> {
        loop {
            let known = self.known.notified();
            if let Some(outcome) = self.outcome.get() {
                return *outcome;
            }
            known.await;
        }
    }
}

/// Whoever opens a connection; dropped, those who wait know how it went.
struct Opener(Rc<Opening>);

impl Drop for Opener {
    fn drop(&mut self) {
        // It ended without a word.
        let _ = self.0.outcome.set(Err(ProxyError::ConnectFailed));
        self.0.known.notify_waiters();
    }
}

/// The connections that lead one way.
struct Group {
    tls: Option<Secured>,
    open: Vec<Rc<Connection>>,
    opening: Vec<Rc<Opening>>,
    /// How many streams the last connection had room for: how many may wait for the next.
    room: usize,
}

/// What a request does next.
enum Next {
    Take(Stream),
    Wait(Rc<Opening>),
    Open(Rc<Opening>),
    /// There are as many connections as there may be, and none has room.
    Full,
}

impl Group {
    fn new(tls: Option<Secured>) -> Self {
        Self {
            tls,
            open: Vec::new(),
            opening: Vec::new(),
            room: connect::STREAMS as usize,
        }
    }

    /// A stream on the first connection that has room: the others can become idle.
    fn take(&mut self, after: u64) -> Option<Stream> {
        self.open.retain(|connection| connection.is_usable());
        let mut young = self.open.iter().filter(|c| c.number > after);
        young.find(|c| c.has_room()).map(Stream::on)
    }

    fn next(&mut self, after: u64, most: usize) -> Next {
        self.opening
            .retain(|opening| opening.outcome.get().is_none());
        if let Some(stream) = self.take(after) {
            return Next::Take(stream);
        }
        let room = self.room;
        if let Some(opening) = self.opening.iter().find(|o| o.waiting.get() < room) {
            opening.waiting.set(opening.waiting.get() + 1);
            return Next::Wait(Rc::clone(opening));
        }
        if self.open.len() + self.opening.len() < most {
            let opening = Rc::new(Opening::default());
            opening.waiting.set(1);
            self.opening.push(Rc::clone(&opening));
            return Next::Open(opening);
        }
        self.take(0).map_or(Next::Full, Next::Take)
    }
}

/// The HTTP/2 connections of a context, by address.
#[derive(Default)]
pub(crate) struct Connections {
    groups: HashMap<SocketAddr, Vec<Group>, foldhash::fast::FixedState>,
    /// How many there were.
    number: u64,
}

impl Connections {
    fn group(&mut self, way: &Way) -> Option<&mut Group> {
        let groups = self.groups.get_mut(&way.address)?;
        groups.iter_mut().find(|group| group.tls == way.tls)
    }

    /// Whether there is a connection with room for a stream.
    pub(crate) fn leads(&mut self, way: &Way) -> bool {
        let mut open = self.group(way).into_iter().flat_map(|group| &group.open);
        open.any(|connection| connection.is_usable() && connection.has_room())
    }

    /// A stream on a connection that is open.
    pub(crate) fn take(&mut self, way: &Way) -> Option<Stream> {
        self.group(way)?.take(0)
    }

    fn next(&mut self, way: &Way, after: u64, most: usize) -> Next {
        self.ensure(way);
        self.group(way)
            .map_or(Next::Full, |group| group.next(after, most))
    }

    fn ensure(&mut self, way: &Way) {
        if self.group(way).is_none() {
            let groups = self.groups.entry(way.address).or_default();
            groups.push(Group::new(way.tls.clone()));
        }
    }

    /// Gives a connection no more requests. It closes when those in flight are through.
    pub(crate) fn retire(&mut self, way: &Way, stream: &Stream) {
        if let Some(group) = self.group(way) {
            group.open.retain(|c| !Rc::ptr_eq(c, &stream.connection));
        }
    }

    fn opened(&mut self, way: &Way, clock: Clock, opened: connect::Opened) {
        self.number += 1;
        let number = self.number;
        self.ensure(way);
        let Some(group) = self.group(way) else { return };
        let connect::Opened { sender, allowed } = opened;
        group.room = allowed().clamp(1, connect::STREAMS as usize);
        group.open.push(Rc::new(Connection {
            sender: RefCell::new(sender),
            allowed,
            streams: Cell::new(0),
            served: Cell::new(0),
            works: Cell::new(false),
            idle_since: Cell::new(clock.now()),
            clock,
            number,
        }));
    }

    /// Drops what is closed or has been idle for more than `limit` ticks.
    pub(crate) fn sweep(&mut self, now: u32, limit: Duration) {
        let limit = ticks(limit);
        let over = |since: u32| now.saturating_sub(since) > limit;
        self.groups.retain(|_, groups| {
            groups.retain_mut(|group| {
                group.open.retain(|connection| {
                    connection.is_usable() && !connection.is_idle_since().is_some_and(over)
                });
                group
                    .opening
                    .retain(|opening| opening.outcome.get().is_none());
                !(group.open.is_empty() && group.opening.is_empty())
            });
            !groups.is_empty()
        });
    }
}

/// A stream on a connection that is opened for it, or for another request that has room to spare. Where idle
/// connections will not do, it is on one that was not there before, if there may be another. The destination's address
/// is then the one that was reached.
///
/// # Errors
/// No connection could be opened, or there are as many as there may be, and all are full.
pub(crate) async fn stream(
    context: &Rc<Context>,
    destination: &mut Destination,
) -> Result<Stream, ProxyError> {
    let most = context.config.limits.http2_upstream;
    let after = match destination.pooled {
        true => 0,
        false => context.pool.borrow().http2.number,
    };
    for _ in 0..ROUNDS {
        let way = &destination.way;
        let next = { context.pool.borrow_mut() }.http2.next(way, after, most);
        let opening = match next {
            Next::Take(stream) => return Ok(stream),
            Next::Wait(opening) => opening,
            Next::Open(opening) => {
                // Others may wait for it when this request is given up.
                let opener = Opener(Rc::clone(&opening));
                let to = (destination.place.clone(), way.tls.clone());
                let open = open(Rc::clone(context), to, destination.connect, opener);
                tokio::task::spawn_local(open);
                opening
            }
            Next::Full => break,
        };
        destination.way.address = opening.done().await?;
    }
    Err(ProxyError::StreamsExhausted)
}

async fn open(
    context: Rc<Context>,
    (place, tls): (Place, Option<Secured>),
    limit: Duration,
    opener: Opener,
) {
    let opened = connect::http2(&context, (&place, tls.as_ref()), limit).await;
    let outcome = opened.map(|(opened, address)| {
        let mut pool = context.pool.borrow_mut();
        let way = Way { address, tls };
        pool.http2.opened(&way, context.clock.clone(), opened);
        address
    });
    // Nobody else says how it went.
    let _ = opener.0.outcome.set(outcome);
}
