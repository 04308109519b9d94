//! Protocol upgrades: WebSocket and whatever else a client and its backend agree on.

use std::{rc::Rc, sync::Arc, time::Duration};

use http::{HeaderValue, Request, Response, header};
use hyper::{
    body::Incoming,
    upgrade::{self, OnUpgrade},
};
use hyper_util::rt::TokioIo;

use crate::{
    client::connection::ConnState,
    serve::{exchange::Exchange, server::Conn},
    upstream::silence::{self, Passed},
};

/// The client's side of a connection that may be switched to another protocol.
pub(super) fn client(request: &mut Request<Incoming>) -> Option<OnUpgrade> {
    let asked = request.headers().contains_key(header::UPGRADE);
    asked.then(|| upgrade::on(request))
}

/// A switch of protocols that a backend is asked for.
pub(super) struct Asked {
    client: OnUpgrade,
    /// What is offered to the backend, as in `Upgrade`.
    pub(super) offered: HeaderValue,
}

impl Asked {
    pub(super) const fn new(client: OnUpgrade, offered: HeaderValue) -> Self {
        Self { client, offered }
    }
}

/// Joins both sides once both have switched, and parts them when nothing passes for so long as `quiet` says. The
/// exchange lasts as long as the tunnel, and with it the connection's place among those of its port.
pub(super) fn join(
    conn: &Rc<Conn>,
    asked: Asked,
    response: &mut Response<Incoming>,
    quiet: Duration,
    mut exchange: Exchange,
) {
    let backend = upgrade::on(response);
    let worker = Rc::clone(&conn.worker);
    let state = Arc::new(ConnState::new(worker.clock.clone()));
    state.becomes_tunnel();
    // hyper's connection ends with the switch; draining has to wait for the tunnel instead.
    let registered = worker.register(&conn.port, &state);
    let tunnels = Arc::clone(&conn.port.metrics);
    tokio::task::spawn_local(async move {
        let _registered = registered;
        let _counted = tunnels.tunnel();
        let (Ok(client), Ok(backend)) = (asked.client.await, backend.await) else {
            return exchange.broke_off();
        };
        let (mut client, backend) = (TokioIo::new(client), TokioIo::new(backend));
        let passed = Passed::new(None);
        let ended = silence::tunnel(&mut client, backend, quiet, &passed).await;
        exchange.sent(usize::try_from(passed.sent.get()).unwrap_or(usize::MAX));
        if let Some(received) = exchange.received() {
            received.set(received.get() + passed.received.get());
        }
        match ended {
            Some(Ok(_)) => exchange.completes(),
            Some(Err(_)) => exchange.broke_off(),
            None => exchange.fell_idle(),
        }
    });
}
