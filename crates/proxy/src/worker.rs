//! One worker: a thread, a runtime, its own sockets, its own connections both ways.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::Future,
    net::TcpListener,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use arc_swap::{ArcSwap, cache::Cache};
use ir::SocketKey;
use slab::Slab;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::LocalSet,
};

use crate::{
    auth::Verifier,
    config::Config,
    connection::{Clock, Command, ConnState, TICK},
    observe::Observer,
    port::PortHandle,
    server,
    snapshot::Snapshot,
    upstream::Pool,
};

/// What a worker is told.
pub(crate) enum Order {
    /// Accept on this socket.
    Listen(Arc<PortHandle>, TcpListener),
    /// Stop accepting on that port and let its connections finish.
    Unlisten(SocketKey),
    /// The port asks other things of its connections than it did: let those that are open finish.
    Renew(SocketKey),
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
    current: RefCell<Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>>,
    connections: RefCell<Slab<(SocketKey, Arc<ConnState>)>>,
    /// Tells the accept loop of a port to stop.
    accepting: RefCell<HashMap<SocketKey, Rc<Notify>>>,
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
    /// The newest snapshot. One relaxed load unless it has just changed.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(self.current.borrow_mut().load())
    }

    /// Puts a connection under the watch.
    pub(crate) fn register(self: &Rc<Self>, port: SocketKey, state: &Arc<ConnState>) -> Registered {
        let at = self
            .connections
            .borrow_mut()
            .insert((port, Arc::clone(state)));
        if self.draining.get() {
            state.command(Command::Drain);
        }
        Registered {
            worker: Rc::clone(self),
            at,
        }
    }

    fn listen(self: &Rc<Self>, port: Arc<PortHandle>, socket: TcpListener) {
        let key = port.key;
        let worker = Rc::clone(self);
        let stop = Rc::new(Notify::new());
        let stopped = Rc::clone(&stop);
        tokio::task::spawn_local(async move {
            match tokio::net::TcpListener::from_std(socket) {
                Ok(listener) => server::accept(worker, port, listener, stopped).await,
                Err(error) => tracing::error!(port = %key, %error, "a bound socket cannot be used"),
            }
        });
        if let Some(before) = self.accepting.borrow_mut().insert(key, stop) {
            before.notify_one();
        }
    }

    fn unlisten(&self, key: SocketKey) {
        if let Some(stop) = self.accepting.borrow_mut().remove(&key) {
            stop.notify_one();
        }
        self.renew(key);
    }

    fn renew(&self, key: SocketKey) {
        for (_, (port, state)) in &*self.connections.borrow() {
            if *port == key {
                state.command(Command::Drain);
            }
        }
    }

    async fn drain(&self) {
        self.draining.set(true);
        let ports: Vec<_> = self.accepting.borrow().keys().copied().collect();
        for port in ports {
            self.unlisten(port);
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

/// What a worker starts with.
pub(crate) struct Start {
    pub(crate) config: Arc<Config>,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) observer: Observer,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
}

/// The life of a worker's thread: until its orders end.
pub(crate) fn run(start: Start) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(61)
        .build()?;
    let local = LocalSet::new();
    let Start {
        config,
        snapshot,
        observer,
        verifier,
        mut orders,
    } = start;
    local.block_on(&runtime, async move {
        let worker = Rc::new(Worker {
            config,
            clock: Clock::new(),
            pool: RefCell::default(),
            observer,
            verifier,
            in_flight: Cell::new(0),
            mirrors: Cell::new(0),
            current: RefCell::new(Cache::new(snapshot)),
            connections: RefCell::default(),
            accepting: RefCell::default(),
            draining: Cell::new(false),
            empty: Notify::new(),
        });
        tokio::task::spawn_local(Rc::clone(&worker).watch());
        while let Some(order) = orders.recv().await {
            match order {
                Order::Listen(port, socket) => worker.listen(port, socket),
                Order::Unlisten(key) => worker.unlisten(key),
                Order::Renew(key) => worker.renew(key),
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
