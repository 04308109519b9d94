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
    task::LocalSet,
};

use crate::{
    auth::Verifier,
    config::Config,
    connection::{Clock, Command, ConnState, TICK},
    datagram,
    observe::Observer,
    port::{Count, PortHandle, PortKey},
    server,
    snapshot::Snapshot,
    terms::Renewal,
    upstream::Pool,
};

/// What a worker is told.
pub(crate) enum Order {
    /// Accept on this socket.
    Listen(Arc<PortHandle>, TcpListener),
    /// Take datagrams from this socket.
    Receive(Arc<PortHandle>, UdpSocket),
    /// Stop accepting on that port and let its connections finish.
    Unlisten(PortKey),
    /// Let connections finish that were made on other terms.
    Renew(Arc<Renewal>),
    /// Stop accepting, let everything finish, and say so.
    Drain(oneshot::Sender<()>),
}

/// The state of one worker. It never leaves its thread.
pub(crate) struct Worker {
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Clock,
    pub(crate) pool: RefCell<Pool>,
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
    /// Tells whoever accepts or receives for a port to stop.
    accepting: RefCell<HashMap<PortKey, Rc<Notify>>>,
    draining: Cell<bool>,
    empty: Notify,
}

/// Runs futures that stay on their thread; hyper's HTTP/2 needs it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move { drop(future.await) });
    }
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
        let worker = Self {
            config: start.config,
            clock: Clock::new(),
            pool: RefCell::default(),
            observer: start.observer,
            verifier: start.verifier,
            in_flight: Cell::new(0),
            mirrors: Cell::new(0),
            sessions: start.sessions,
            current: RefCell::new(Cache::new(start.snapshot)),
            connections: RefCell::default(),
            accepting: RefCell::default(),
            draining: Cell::new(false),
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
        }
        Registered {
            worker: Rc::clone(self),
            at,
        }
    }

    fn listen(self: &Rc<Self>, port: Arc<PortHandle>, socket: TcpListener) {
        let (worker, stop) = (Rc::clone(self), self.stop_of(&port));
        match tokio::net::TcpListener::from_std(socket) {
            Ok(listener) => {
                tokio::task::spawn_local(server::accept(worker, port, listener, stop));
            }
            Err(error) => unusable(&port, &error),
        }
    }

    fn receive(self: &Rc<Self>, port: Arc<PortHandle>, socket: UdpSocket) {
        let (worker, stop) = (Rc::clone(self), self.stop_of(&port));
        match tokio::net::UdpSocket::from_std(socket) {
            Ok(socket) => {
                tokio::task::spawn_local(datagram::receive(worker, port, socket, stop));
            }
            Err(error) => unusable(&port, &error),
        }
    }

    /// What will tell whoever serves a port to stop. Whoever did before is told now.
    fn stop_of(&self, port: &PortHandle) -> Rc<Notify> {
        let stop = Rc::new(Notify::new());
        let key = (port.transport, port.key);
        let before = self.accepting.borrow_mut().insert(key, Rc::clone(&stop));
        if let Some(before) = before {
            before.notify_one();
        }
        stop
    }

    pub(crate) fn unlisten(&self, key: PortKey) {
        if let Some(stop) = self.accepting.borrow_mut().remove(&key) {
            stop.notify_one();
        }
        self.finish(key, |_| true);
    }

    fn renew(&self, renewal: &Renewal) {
        self.finish(renewal.port, |state| renewal.ends(state.terms()));
    }

    /// Tells those connections of a port to finish.
    fn finish(&self, key: PortKey, which: impl Fn(&ConnState) -> bool) {
        for (_, (port, state)) in &*self.connections.borrow() {
            if *port == key && which(state) {
                state.command(Command::Drain);
            }
        }
    }

    async fn drain(&self) {
        self.draining.set(true);
        let ports: Vec<_> = self.accepting.borrow().keys().copied().collect();
        for port in ports {
            match port.0 {
                Transport::Tcp => self.unlisten(port),
                // Sessions that go on need the socket.
                Transport::Udp => self.finish(port, |_| true),
            }
        }
        // The accept loops take what the kernel still holds for them; those count as connections too.
        tokio::task::yield_now().await;
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
            beat = beat.wrapping_add(1);
            if beat.is_multiple_of(8) {
                self.pool.borrow_mut().sweep(self.clock.now(), &self.config);
            }
        }
    }
}

fn unusable(port: &PortHandle, error: &std::io::Error) {
    tracing::error!(port = %port.key, transport = %port.transport, %error, "a bound socket cannot be used");
}

/// What a worker starts with.
pub(crate) struct Start {
    pub(crate) config: Arc<Config>,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) observer: Observer,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) sessions: Arc<Count>,
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
                Order::Unlisten(key) => worker.unlisten(key),
                Order::Renew(renewal) => worker.renew(&renewal),
                Order::Drain(done) => {
                    let worker = Rc::clone(&worker);
                    tokio::task::spawn_local(async move {
                        worker.drain().await;
                        // Nobody waits any more when the deadline has passed.
                        let _ = done.send(());
                    });
                }
            }
        }
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    Ok(())
}
