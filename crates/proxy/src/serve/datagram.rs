//! UDP ports: datagrams are passed on without a look at what is in them.
//!
//! Every worker has a socket of its own for each port, and the kernel gives all datagrams of one client address to the
//! same one. So a client's session, with a socket of its own towards the backend, never leaves its worker. It begins
//! with a datagram of an address that is not known and ends when nothing has passed for long enough, when its rule or
//! endpoint is not what it was (the next datagram begins another), or with its port.
//!
//! Answers leave by the socket that the client's datagram came by, so they come from the right port. They come from the
//! right address, too, where a port is bound to one; on a port that is bound to every address of a machine that has
//! several, the system chooses which of them an answer comes from.

mod session;
mod waiting;

use std::{
    cell::RefCell, collections::HashMap, net::SocketAddr, rc::Rc, sync::Arc, time::Duration,
};

use tokio::{net::UdpSocket, sync::Notify};

use self::{
    session::{Sent, Session},
    waiting::{Together, Waiting},
};
use crate::{
    http::error::ProxyError,
    net::port::PortHandle,
    observe::stream,
    serve::{stream::way, worker::Worker},
    snapshot::{DatagramState, Snapshot},
};

/// No datagram is longer.
const LONGEST: usize = 64 * 1024;

/// Why a datagram goes no further, beside the words of errors.
mod dropped {
    /// As many client addresses have a session as may, on this port or on all.
    pub(super) const SESSION_LIMIT: &str = "session_limit";
    /// No new sessions: everything drains.
    pub(super) const DRAINING: &str = "draining";
    /// Nobody took it.
    pub(super) const OVERFLOW: &str = "overflow";
}

/// One worker's share of a UDP port.
struct Receiver {
    worker: Rc<Worker>,
    port: Arc<PortHandle>,
    socket: UdpSocket,
    /// Client addresses are anybody's choice, and so their hashes are keyed.
    sessions: RefCell<HashMap<SocketAddr, Rc<Session>>>,
    /// What a backend says, on its way to the client.
    answer: RefCell<Box<[u8]>>,
    /// How much waits in all sessions.
    waiting: Together,
}

/// Takes datagrams until told to stop. Sessions end then, too: there is nothing to finish in them.
pub(crate) async fn receive(
    worker: Rc<Worker>,
    port: Arc<PortHandle>,
    socket: UdpSocket,
    stop: Rc<Notify>,
) {
    let receiver = Rc::new(Receiver {
        worker,
        port,
        socket,
        sessions: RefCell::default(),
        answer: RefCell::new(vec![0; LONGEST].into()),
        waiting: Together::default(),
    });
    let mut buffer = vec![0; LONGEST];
    loop {
        let received = tokio::select! {
            biased;
            () = stop.notified() => return,
            received = receiver.socket.recv_from(&mut buffer) => received,
        };
        match received {
            Ok((length, client)) => {
                let datagram = buffer.get(..length).unwrap_or_default();
                receiver.take(client, datagram);
            }
            // Out of memory: the kernel's queue waits.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

impl Receiver {
    /// A datagram came.
    fn take(self: &Rc<Self>, client: SocketAddr, datagram: &[u8]) {
        let snapshot = self.worker.snapshot();
        let Some(port) = snapshot.datagrams.get(&self.port.key) else {
            return;
        };
        let known = self.sessions.borrow().get(&client).cloned();
        if let Some(session) = known {
            if !session.fits(&snapshot, port) {
                session.end(stream::GONE);
            } else {
                match session.send(datagram) {
                    Sent::Taken => return,
                    Sent::Dropped => return port.metrics.streams().dropped.inc(dropped::OVERFLOW),
                    Sent::Nobody => session.end(ProxyError::ConnectFailed.flag()),
                }
            }
        }
        if let Err(word) = self.begin(&snapshot, port, client, datagram) {
            port.metrics.streams().dropped.inc(word);
        }
    }

    /// Begins a session with its first datagram.
    fn begin(
        self: &Rc<Self>,
        snapshot: &Snapshot,
        port: &DatagramState,
        client: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), &'static str> {
        let worker = &self.worker;
        if worker.is_draining() {
            return Err(dropped::DRAINING);
        }
        let rule = port.rule.as_ref().ok_or(ProxyError::NoRoute.flag())?;
        let cluster = way::cluster(snapshot, rule).map_err(ProxyError::flag)?;
        let key = way::key(&cluster, client.ip(), "");
        let limits = &worker.config.limits;
        let counted = (self.port.count(limits.sessions))
            .zip(worker.sessions.enter(limits.all_sessions))
            .ok_or(dropped::SESSION_LIMIT)?;
        let waiting = Waiting::new(Together::clone(&self.waiting));
        if !waiting.push(datagram) {
            return Err(dropped::OVERFLOW);
        }
        let picked = cluster.pick(key, 0).ok_or(ProxyError::NoEndpoint.flag())?;
        let session = Rc::new(Session::new(session::Beginning {
            worker,
            port,
            rule,
            generation: snapshot.generation,
            client,
            cluster: &cluster,
            picked,
            counted,
            waiting,
        }));
        let known = Rc::clone(&session);
        self.sessions.borrow_mut().insert(client, known);
        // At once: the port may go before the session's task has had its first turn.
        let registered = worker.register(&self.port, &session.state);
        tokio::task::spawn_local(session::run(Rc::clone(self), session, registered));
        Ok(())
    }

    /// Passes on what a backend says.
    fn answer_to(&self, client: SocketAddr, datagram: &[u8]) -> bool {
        let socket = socket2::SockRef::from(&self.socket);
        socket.send_to(datagram, &client.into()).is_ok()
    }

    /// A session is over.
    fn forget(&self, session: &Rc<Session>) {
        let mut sessions = self.sessions.borrow_mut();
        let known = sessions.get(&session.client);
        if known.is_some_and(|known| Rc::ptr_eq(known, session)) {
            sessions.remove(&session.client);
        }
    }
}

#[cfg(test)]
#[path = "datagram_tests.rs"]
mod tests;
