//! The workers as one thing: start, swap, drain.

use std::{
    collections::BTreeMap, io, net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration,
};

use arc_swap::ArcSwap;
use ir::{Ir, SocketKey, Transport};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::{
    client::terms::Renewal,
    config::Config,
    net::{
        own::{Loop, Own},
        port::{self, BindError, Count, PortHandle, PortKey, Sockets},
        tls::TlsError,
    },
    observe::{Observer, Telemetry},
    policy::auth::Verifier,
    serve::worker::{self, Order, Start},
    snapshot::Snapshot,
    upstream::names::Names,
};

/// The data plane. Dropped, it stops without draining.
pub struct Proxy {
    config: Arc<Config>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    workers: Vec<WorkerHandle>,
    ports: Mutex<BTreeMap<PortKey, Arc<PortHandle>>>,
    telemetry: Telemetry,
    /// What is known of the names of backends.
    names: Names,
    /// Where we listen.
    own: Arc<Own>,
}

struct WorkerHandle {
    orders: mpsc::UnboundedSender<Order>,
    thread: Option<JoinHandle<()>>,
}

/// The data plane could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start worker {worker}: {source}")]
pub struct StartError {
    /// Which one, from 0.
    pub worker: usize,
    /// Why.
    pub source: io::Error,
}

/// What a swap could not do. Everything else is served.
#[derive(Debug, Default)]
pub struct Swapped {
    /// Ports that could not be bound; tried again at the next swap.
    pub bind_errors: Vec<BindError>,
    /// Certificates that cannot be served.
    pub tls_errors: Vec<TlsError>,
    /// Endpoints that are not asked, since they are listeners of this process.
    pub loops: Vec<Loop>,
}

/// How draining ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every connection finished.
    Complete,
    /// The deadline came first.
    Deadline,
}

impl Proxy {
    /// Starts the workers. Nothing is bound before the first [`Proxy::swap`].
    ///
    /// # Errors
    /// A thread could not be started.
    pub fn start(config: Config, telemetry: &Telemetry) -> Result<Self, StartError> {
        let config = Arc::new(config);
        let snapshot = Arc::new(ArcSwap::from_pointee(Snapshot::empty()));
        let verifier = Arc::new(Verifier::new());
        let sessions = Arc::new(Count::default());
        let own = Arc::new(Own::default());
        let mut workers = Vec::new();
        for index in 0..config.workers.max(1) {
            let (orders, receiver) = mpsc::unbounded_channel();
            let start = Start {
                config: Arc::clone(&config),
                snapshot: Arc::clone(&snapshot),
                observer: Observer::new(telemetry),
                verifier: Arc::clone(&verifier),
                sessions: Arc::clone(&sessions),
                own: Arc::clone(&own),
                orders: receiver,
            };
            let thread = std::thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || {
                    if let Err(error) = worker::run(start) {
                        tracing::error!(worker = index, %error, "a worker could not run");
                    }
                })
                .map_err(|source| StartError {
                    worker: index,
                    source,
                })?;
            workers.push(WorkerHandle {
                orders,
                thread: Some(thread),
            });
        }
        Ok(Self {
            names: Names::new(&config.name_servers, &telemetry.metrics),
            own,
            config,
            snapshot,
            workers,
            ports: Mutex::default(),
            telemetry: telemetry.clone(),
        })
    }

    /// Serves `ir` from now on. First the snapshot is stored, then new ports are bound and old ones let go, so that no
    /// port is open before it has routes.
    pub fn swap(&self, ir: Arc<Ir>) -> Swapped {
        let mut ports = self.ports.lock();
        let before = self.snapshot.load_full();
        let (metrics, names) = (&self.telemetry.metrics, &self.names);
        let (snapshot, tls_errors) = Snapshot::build(ir, &before, (metrics, names));
        names.forget();
        let wanted = wanted(&snapshot);
        let renewals = Renewal::between(&before.ir, &snapshot.ir, snapshot.generation);
        self.snapshot.store(Arc::new(snapshot));
        for renewal in renewals.into_iter().map(Arc::new) {
            self.order(|| Order::Renew(Arc::clone(&renewal)));
        }
        let gone: Vec<PortKey> = ports
            .keys()
            .filter(|key| !wanted.contains(key))
            .copied()
            .collect();
        for key in gone {
            ports.remove(&key);
            self.order(|| Order::Unlisten(key));
        }
        let mut bind_errors = Vec::new();
        for key in wanted {
            if ports.contains_key(&key) {
                continue;
            }
            match port::bind(
                key,
                self.config.address(key.1),
                self.workers.len(),
                &self.telemetry.metrics,
            ) {
                Ok((port, sockets)) => {
                    self.hand_out(&port, sockets);
                    ports.insert(key, port);
                }
                Err(error) => bind_errors.push(error),
            }
        }
        self.own.set(&ports);
        let loops = self.own.loops(&self.snapshot.load().ir);
        Swapped {
            bind_errors,
            tls_errors,
            loops,
        }
    }

    /// Gives each worker its socket.
    fn hand_out(&self, port: &Arc<PortHandle>, sockets: Sockets) {
        let orders: Vec<Order> = match sockets {
            Sockets::Tcp(sockets) => { sockets.into_iter() }
                .map(|socket| Order::Listen(Arc::clone(port), socket))
                .collect(),
            Sockets::Udp(sockets) => { sockets.into_iter() }
                .map(|socket| Order::Receive(Arc::clone(port), socket))
                .collect(),
        };
        for (worker, order) in self.workers.iter().zip(orders) {
            // A worker that is gone has said so itself.
            let _ = worker.orders.send(order);
        }
    }

    fn order(&self, order: impl Fn() -> Order) {
        for worker in &self.workers {
            // A worker that is gone has said so itself.
            let _ = worker.orders.send(order());
        }
    }

    /// What is being served.
    #[must_use]
    pub fn ir(&self) -> Arc<Ir> {
        Arc::clone(&self.snapshot.load().ir)
    }

    /// Where each TCP port of the listeners is really bound.
    #[must_use]
    pub fn addresses(&self) -> BTreeMap<SocketKey, SocketAddr> {
        self.bound(Transport::Tcp)
    }

    /// Where each UDP port of the listeners is really bound.
    #[must_use]
    pub fn datagram_addresses(&self) -> BTreeMap<SocketKey, SocketAddr> {
        self.bound(Transport::Udp)
    }

    fn bound(&self, wanted: Transport) -> BTreeMap<SocketKey, SocketAddr> {
        let ports = self.ports.lock();
        { ports.iter() }
            .filter(|((transport, _), _)| *transport == wanted)
            .map(|((_, key), port)| (*key, port.address))
            .collect()
    }

    /// Tells clients to go with the next answer (`Connection: close`, GOAWAY), and goes on accepting: others may take a
    /// while to learn that they should send nobody here any more.
    pub async fn leave(&self) {
        self.order_and_wait(Order::Leave).await;
    }

    /// Stops accepting, and tells clients to go (`Connection: close`, GOAWAY). Returns once the listeners are closed:
    /// whoever connects from then on is refused. A connection that is idle may ask once more, for as long as a head may
    /// take. Sessions of UDP that go on keep their sockets.
    pub async fn close(&self) {
        self.order_and_wait(Order::Close).await;
    }

    /// [`close`](Self::close), and waits for what is in flight, upgraded connections included, at most until `deadline`
    /// has passed.
    pub async fn drain(&self, deadline: Duration) -> Drained {
        let all = async {
            self.close().await;
            self.order_and_wait(Order::Finish).await;
        };
        match tokio::time::timeout(deadline, all).await {
            Ok(()) => Drained::Complete,
            Err(_) => Drained::Deadline,
        }
    }

    /// Tells every worker, and waits until all have done it.
    async fn order_and_wait(&self, order: fn(oneshot::Sender<()>) -> Order) {
        let mut waiting = Vec::new();
        for worker in &self.workers {
            let (done, wait) = oneshot::channel();
            if worker.orders.send(order(done)).is_ok() {
                waiting.push(wait);
            }
        }
        for wait in waiting {
            // A worker that is gone holds no connections.
            let _ = wait.await;
        }
    }
}

/// What is to be bound.
fn wanted(snapshot: &Snapshot) -> Vec<PortKey> {
    let tcp = snapshot.ports.keys().map(|key| (Transport::Tcp, *key));
    let udp = snapshot.datagrams.keys().map(|key| (Transport::Udp, *key));
    tcp.chain(udp).collect()
}

impl Drop for Proxy {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            // Closing the channel ends the worker's loop.
            worker.orders = mpsc::unbounded_channel().0;
        }
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                // A panic there has been reported by the panic hook.
                let _ = thread.join();
            }
        }
    }
}
