//! A client address, and the socket that speaks for it to a backend.

use std::{
    cell::{Cell, OnceCell},
    convert::Infallible,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use ir::{ClusterKey, Endpoint, Transport};
use telemetry::metrics::{ListenerMetrics, OpenConnection};
use tokio::{io::Interest, net::UdpSocket, time::Instant};

use super::{Receiver, dropped, waiting::Waiting};
use crate::{
    client::connection::{Command, ConnState},
    http::error::ProxyError,
    net::port::Counted,
    observe::{StreamEnd, stream},
    serve::worker::{Registered, Worker},
    snapshot::{DatagramState, Snapshot, StreamState},
    upstream::{
        self, Place,
        balance::{ClusterState, Load, Picked},
        names::Name,
        silence::Passed,
    },
};

/// While everything drains, a session in which nothing passes for so long is taken to be over.
const DRAINED: Duration = Duration::from_secs(5);

/// A session.
pub(super) struct Session {
    pub(super) client: SocketAddr,
    begun: Instant,
    listener: Arc<str>,
    metrics: Arc<ListenerMetrics>,
    rule: Arc<StreamState>,
    cluster: ClusterKey,
    endpoint: Endpoint,
    /// Where the endpoint has a name: what is known of it.
    name: Option<Arc<Name>>,
    /// How long finding the backend may take.
    connect: Duration,
    /// So long nothing may pass.
    quiet: Duration,
    /// The snapshot that it was last held against.
    generation: Cell<u64>,
    /// Towards the backend.
    socket: OnceCell<(UdpSocket, SocketAddr)>,
    waiting: Waiting,
    passed: Rc<Passed>,
    pub(super) state: Arc<ConnState>,
    /// Why it is told to end.
    why: Cell<&'static str>,
    _load: Option<Load>,
    _counted: (Counted, Counted),
    _open: OpenConnection,
}

/// What a session begins with.
pub(super) struct Beginning<'a> {
    pub(super) worker: &'a Worker,
    pub(super) port: &'a DatagramState,
    pub(super) rule: &'a Arc<StreamState>,
    pub(super) generation: u64,
    pub(super) client: SocketAddr,
    pub(super) cluster: &'a ClusterState,
    pub(super) picked: Picked<'a>,
    /// On its port, and on all.
    pub(super) counted: (Counted, Counted),
    /// With the first datagram.
    pub(super) waiting: Waiting,
}

/// What became of a client's datagram.
pub(super) enum Sent {
    /// It is on its way, or will be soon.
    Taken,
    /// There is no room for it, or it is too long for the way.
    Dropped,
    /// The backend's machine has said that nobody listens there.
    Nobody,
}

impl Session {
    pub(super) fn new(beginning: Beginning<'_>) -> Self {
        let Beginning {
            worker,
            port,
            cluster,
            picked,
            ..
        } = beginning;
        let state = ConnState::new(worker.clock.clone());
        state.becomes_tunnel();
        let cluster = &cluster.cluster;
        let quiet = cluster.timeouts.read;
        Self {
            client: beginning.client,
            begun: Instant::now(),
            listener: Arc::clone(&port.listener),
            metrics: Arc::clone(&port.metrics),
            rule: Arc::clone(beginning.rule),
            cluster: cluster.key.clone(),
            endpoint: picked.endpoint.clone(),
            name: picked.name.cloned(),
            connect: upstream::connect_limit(&worker.upstream, cluster),
            quiet: quiet.unwrap_or(worker.config.deadlines.idle_session),
            generation: Cell::new(beginning.generation),
            socket: OnceCell::new(),
            waiting: beginning.waiting,
            passed: Passed::new(Some(Arc::clone(&port.metrics))),
            state: Arc::new(state),
            why: Cell::new(stream::GONE),
            _load: picked.load,
            _counted: beginning.counted,
            _open: port.metrics.connection(),
        }
    }

    /// Whether its rule and endpoint are still there.
    pub(super) fn fits(&self, snapshot: &Snapshot, port: &DatagramState) -> bool {
        if self.generation.get() == snapshot.generation {
            return true;
        }
        let rule = port.rule.as_ref();
        let fits = rule.is_some_and(|rule| Arc::ptr_eq(rule, &self.rule))
            && snapshot
                .cluster(&self.cluster)
                .is_some_and(|known| known.cluster.endpoints.contains(&self.endpoint));
        if fits {
            self.generation.set(snapshot.generation);
        }
        fits
    }

    /// Ends it, and says why.
    pub(super) fn end(&self, why: &'static str) {
        self.why.set(why);
        self.state.command(Command::Close);
    }

    /// Passes on a datagram of the client.
    pub(super) fn send(&self, datagram: &[u8]) -> Sent {
        let Some((socket, _)) = self.socket.get() else {
            let kept = self.waiting.push(datagram);
            return if kept { Sent::Taken } else { Sent::Dropped };
        };
        // Not by way of the runtime, which would have to hear first that the socket can be written to: it nearly always
        // can.
        match socket2::SockRef::from(socket).send(datagram) {
            Ok(_) => {
                self.passed.received(datagram.len());
                Sent::Taken
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Sent::Nobody,
            Err(_) => Sent::Dropped,
        }
    }

    /// Finds the backend, and passes on what it says. Says why that ended.
    async fn live(&self, receiver: &Receiver) -> &'static str {
        match self.open(receiver).await {
            Ok(opened) => {
                let (socket, _) = self.socket.get_or_init(|| opened);
                for datagram in self.waiting.take() {
                    if !matches!(self.send(&datagram), Sent::Taken) {
                        self.metrics.streams().dropped.inc(dropped::OVERFLOW);
                    }
                }
                let Err(error) = self.hear(socket, receiver).await;
                tracing::debug!(endpoint = ?self.endpoint, %error, "a UDP backend cannot be reached");
                ProxyError::ConnectFailed.flag()
            }
            Err(error) => error.flag(),
        }
    }

    /// Passes on what the backend says, until its machine says that nobody listens there.
    async fn hear(&self, socket: &UdpSocket, receiver: &Receiver) -> io::Result<Infallible> {
        loop {
            let ready = socket.ready(Interest::READABLE | Interest::ERROR).await?;
            if ready.is_error() {
                if let Some(error) = socket.take_error()? {
                    return Err(error);
                }
                // It has been told with a datagram that was to be sent.
                let told = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
                let _ = socket.try_io(Interest::ERROR, told);
            }
            self.hear_one(socket, receiver)?;
            // A backend that talks without end leaves the others their turn.
            tokio::task::consume_budget().await;
        }
    }

    fn hear_one(&self, socket: &UdpSocket, receiver: &Receiver) -> io::Result<()> {
        let mut buffer = receiver.answer.borrow_mut();
        match socket.try_recv(&mut buffer) {
            Ok(length) => {
                self.answer(receiver, buffer.get(..length).unwrap_or_default());
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn open(&self, receiver: &Receiver) -> Result<(UdpSocket, SocketAddr), ProxyError> {
        let worker = &receiver.worker;
        let place = Place::of(&self.endpoint, self.name.as_ref(), self.connect).await;
        let opened = place.and_then(|place| connected(worker, &place));
        worker.observer.stream_attempt(opened.as_ref().err());
        opened
    }

    fn answer(&self, receiver: &Receiver, datagram: &[u8]) {
        let snapshot = receiver.worker.snapshot();
        let port = snapshot.datagrams.get(&receiver.port.key);
        if !port.is_some_and(|port| self.fits(&snapshot, port)) {
            return self.end(stream::GONE);
        }
        if receiver.answer_to(self.client, datagram) {
            self.passed.sent(datagram.len());
        } else {
            self.metrics.streams().dropped.inc(dropped::OVERFLOW);
        }
    }

    /// Ready when it is to end. When everything drains, it goes on for as long as something passes.
    async fn told(&self, worker: &Worker) -> &'static str {
        self.state.commanded(Command::Drain).await;
        if !worker.is_draining() {
            return self.why.get();
        }
        tokio::select! {
            () = self.state.commanded(Command::Close) => self.why.get(),
            () = self.passed.quiet(DRAINED.min(self.quiet)) => stream::IDLE,
        }
    }
}

/// A socket that speaks to the first address to which there is a way.
fn connected(worker: &Worker, place: &Place) -> Result<(UdpSocket, SocketAddr), ProxyError> {
    let mut failed = ProxyError::ConnectFailed;
    for address in place.addresses() {
        match upstream::permitted(&worker.upstream, Transport::Udp, address) {
            Ok(()) => match connected_to(address) {
                Ok(socket) => return Ok((socket, address)),
                Err(_) => failed = ProxyError::ConnectFailed,
            },
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn connected_to(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.connect(address)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// The life of a session.
pub(super) async fn run(receiver: Rc<Receiver>, session: Rc<Session>, _registered: Registered) {
    let worker = &receiver.worker;
    let result = tokio::select! {
        biased;
        why = session.told(worker) => why,
        result = session.live(&receiver) => result,
        () = session.passed.quiet(session.quiet) => stream::IDLE,
    };
    receiver.forget(&session);
    worker.observer.stream_ends(&StreamEnd {
        listener: &session.listener,
        metrics: &session.metrics,
        protocol: "UDP",
        server_name: None,
        rule: Some(&session.rule.rule),
        client: session.client.ip().to_canonical(),
        duration: session.begun.elapsed(),
        upstream: session.socket.get().map(|(_, address)| *address),
        attempts: 1,
        bytes: (session.passed.received.get(), session.passed.sent.get()),
        result,
    });
}
