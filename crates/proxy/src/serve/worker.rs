//! One worker: a thread, a runtime, its own sockets, its own connections both ways.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::Future,
    net::{TcpListener, UdpSocket},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use arc_swap::{ArcSwap, cache::Cache};
use ir::Transport;
use slab::Slab;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::{JoinHandle, LocalSet},
};

use crate::{
    client::{
        connection::{Command, ConnState},
        http2_stream::StreamWatch,
        terms::Renewal,
    },
    config::Config,
    net::{
        clock::{Clock, TICK},
        own::Own,
        port::{Count, PortHandle, PortKey},
    },
    observe::Observer,
    policy::auth::Verifier,
    serve::{datagram, server},
    snapshot::Snapshot,
    upstream::Context,
};

/// What a worker is told.
pub(crate) enum Order {
    /// Accept on this socket.
    Listen(Arc<PortHandle>, TcpListener),
    /// Take datagrams from this socket.
    Receive(Arc<PortHandle>, UdpSocket),
    /// Tell clients of HTTP that their connections end, and go on accepting.
    Leave(oneshot::Sender<()>),
    /// Stop accepting on that port and let its connections finish.
    Unlisten(PortKey),
    /// Let connections finish that were made on other terms.
    Renew(Arc<Renewal>),
    /// Stop accepting, let everything finish; say so once nothing is accepted any more.
    Close(oneshot::Sender<()>),
    /// Say so once nothing is left.
    Finish(oneshot::Sender<()>),
}

/// The state of one worker. It never leaves its thread.
pub(crate) struct Worker {
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Clock,
    /// What connections to backends need.
    pub(crate) upstream: Rc<Context>,
    pub(crate) observer: Observer,
    /// Checks passwords; shared with the other workers.
    pub(crate) verifier: Arc<Verifier>,
    /// Requests between head and end of response.
    pub(crate) in_flight: Cell<usize>,
    /// Copies on their way.
    pub(crate) mirrors: Cell<usize>,
    /// Client addresses with a session, on all UDP ports; shared with the other workers.
    pub(crate) sessions: Arc<Count>,
    current: RefCell<Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>>,
    connections: RefCell<Slab<(PortKey, Arc<ConnState>)>>,
    /// The streams of HTTP/2 that clients may hold up.
    pub(crate) streams: Rc<StreamWatch>,
    accepting: RefCell<HashMap<PortKey, Accepting>>,
    leaving: Cell<bool>,
    draining: Cell<bool>,
    over: Cell<bool>,
    empty: Notify,
}

/// Whoever accepts or receives for a port.
struct Accepting {
    /// Told, the task ends, and the socket with it.
    stop: Rc<Notify>,
    task: JoinHandle<()>,
}

/// A registered connection; dropped, it is forgotten, also when its task panics.
pub(crate) struct Registered {
    worker: Rc<Worker>,
    at: usize,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut connections = self.worker.connections.borrow_mut();
        connections.try_remove(self.at);
        if connections.is_empty() {
            self.worker.empty.notify_waiters();
        }
    }
}

impl Worker {
    /// One that serves nothing yet, and what it will be told.
    pub(crate) fn new(start: Start) -> (Self, mpsc::UnboundedReceiver<Order>) {
        let clock = Clock::new();
        let upstream = Context::new(Arc::clone(&start.config), clock.clone(), start.own);
        let worker = Self {
            config: start.config,
            upstream: Rc::new(upstream),
            streams: Rc::new(StreamWatch::new(clock.clone())),
            clock,
            observer: start.observer,
            verifier: start.verifier,
            in_flight: Cell::new(0),
            mirrors: Cell::new(0),
            sessions: start.sessions,
            current: RefCell::new(Cache::new(start.snapshot)),
            connections: RefCell::default(),
            accepting: RefCell::default(),
            leaving: Cell::new(false),
            draining: Cell::new(false),
            over: Cell::new(false),
            empty: Notify::new(),
        };
        (worker, start.orders)
    }

    /// The newest snapshot. One relaxed load unless it has just changed.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(self.current.borrow_mut().load())
    }

    /// Whether everything is to finish.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Whether the thread ends, and all that is still in the works with it.
    pub(crate) fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Puts a connection under the watch.
    pub(crate) fn register(
        self: &Rc<Self>,
        port: &PortHandle,
        state: &Arc<ConnState>,
    ) -> Registered {
        let at = self
            .connections
            .borrow_mut()
            .insert(((port.transport, port.key), Arc::clone(state)));
        if self.draining.get() {
            state.command(Command::Drain);
        } else if self.leaving.get() {
            state.command(Command::Leave);
        }
        Registered {
            worker: Rc::clone(self),
            at,
        }
    }

    fn listen(self: &Rc<Self>, port: Arc<PortHandle>, socket: TcpListener) {
        match tokio::net::TcpListener::from_std(socket) {
            Ok(listener) => self.accept(&port, |worker, port, stop| {
                server::accept(worker, port, listener, stop)
            }),
            Err(error) => unusable(&port, &error),
        }
    }

    fn receive(self: &Rc<Self>, port: Arc<PortHandle>, socket: UdpSocket) {
        match tokio::net::UdpSocket::from_std(socket) {
            Ok(socket) => self.accept(&port, |worker, port, stop| {
                datagram::receive(worker, port, socket, stop)
            }),
            Err(error) => unusable(&port, &error),
        }
    }

    /// Starts whoever serves a port, and ends whoever did before. While everything drains, the socket is closed.
    fn accept<F>(
        self: &Rc<Self>,
        port: &Arc<PortHandle>,
        serve: impl FnOnce(Rc<Self>, Arc<PortHandle>, Rc<Notify>) -> F,
    ) where
        F: Future<Output = ()> + 'static,
    {
        if self.draining.get() {
            // The last configuration came late.
            return;
        }
        let stop = Rc::new(Notify::new());
        let serving = serve(Rc::clone(self), Arc::clone(port), Rc::clone(&stop));
        let task = tokio::task::spawn_local(serving);
        let key = (port.transport, port.key);
        let before = { self.accepting.borrow_mut() }.insert(key, Accepting { stop, task });
        if let Some(before) = before {
            before.stop.notify_one();
        }
    }

    /// Ends whoever accepts for a port, if anybody does, and has its connections finish.
    pub(crate) fn unlisten(&self, key: PortKey) -> Option<JoinHandle<()>> {
        let accepting = self.accepting.borrow_mut().remove(&key);
        self.finish(key, Command::Drain, |_| true);
        accepting.map(|accepting| {
            accepting.stop.notify_one();
            accepting.task
        })
    }

    fn renew(&self, renewal: &Renewal) {
        // What they were let in for does not hold any more: none may ask again.
        self.finish(renewal.port, Command::HangUp, |state| {
            renewal.ends(state.terms())
        });
    }

    /// Tells all connections that they end. Those that come tell their clients as soon as they are asked.
    fn leave(&self) {
        self.leaving.set(true);
        for (_, (_, state)) in &*self.connections.borrow() {
            state.command(Command::Leave);
        }
    }

    /// Tells those connections of a port to finish.
    fn finish(&self, key: PortKey, command: Command, which: impl Fn(&ConnState) -> bool) {
        for (_, (port, state)) in &*self.connections.borrow() {
            if *port == key && which(state) {
                state.command(command);
            }
        }
    }

    /// Returns once the listeners are closed. They take first what the kernel still holds for them, and those count as
    /// connections too.
    async fn close(&self) {
        self.draining.set(true);
        let ports: Vec<_> = self.accepting.borrow().keys().copied().collect();
        let mut ending = Vec::new();
        for port in ports {
            match port.0 {
                Transport::Tcp => ending.extend(self.unlisten(port)),
                // Sessions that go on need the socket.
                Transport::Udp => self.finish(port, Command::Drain, |_| true),
            }
        }
        for task in ending {
            // One that panicked accepts nothing either; the panic hook has told of it.
            let _ = task.await;
        }
    }

    async fn until_empty(&self) {
        loop {
            let empty = self.empty.notified();
            if self.connections.borrow().is_empty() {
                return;
            }
            empty.await;
        }
    }

    /// Moves the clock on, ends what has waited too long, sweeps the pool.
    async fn watch(self: Rc<Self>) {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut beat = 0_u32;
        loop {
            interval.tick().await;
            self.clock.advance();
            for (_, (_, state)) in &*self.connections.borrow() {
                state.check(&self.config.deadlines);
            }
            self.streams.end_held_up(self.config.deadlines.stall);
            beat = beat.wrapping_add(1);
            if beat.is_multiple_of(8) {
                self.upstream.sweep();
            }
        }
    }
}

fn unusable(port: &PortHandle, error: &std::io::Error) {
    tracing::error!(port = %port.key, transport = %port.transport, %error, "a bound socket cannot be used");
}

fn say_after(what: impl Future<Output = ()> + 'static, done: oneshot::Sender<()>) {
    tokio::task::spawn_local(async move {
        what.await;
        // Nobody waits any more when the deadline has passed.
        let _ = done.send(());
    });
}

/// What a worker starts with.
pub(crate) struct Start {
    pub(crate) config: Arc<Config>,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) observer: Observer,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) sessions: Arc<Count>,
    pub(crate) own: Arc<Own>,
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
}

/// The life of a worker's thread: until its orders end.
pub(crate) fn run(start: Start) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(61)
        .build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, async move {
        let (worker, mut orders) = Worker::new(start);
        let worker = Rc::new(worker);
        tokio::task::spawn_local(Rc::clone(&worker).watch());
        while let Some(order) = orders.recv().await {
            match order {
                Order::Listen(port, socket) => worker.listen(port, socket),
                Order::Receive(port, socket) => worker.receive(port, socket),
                Order::Leave(done) => {
                    worker.leave();
                    // Nobody waits any more when the deadline has passed.
                    let _ = done.send(());
                }
                Order::Unlisten(key) => drop(worker.unlisten(key)),
                Order::Renew(renewal) => worker.renew(&renewal),
                Order::Close(done) => {
                    let worker = Rc::clone(&worker);
                    say_after(async move { worker.close().await }, done);
                }
                Order::Finish(done) => {
                    let worker = Rc::clone(&worker);
                    say_after(async move { worker.until_empty().await }, done);
                }
            }
        }
        worker.over.set(true);
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    Ok(())
}
