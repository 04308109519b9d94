//! Protocol upgrades: WebSocket and whatever else a client and its backend agree on.

use std::{rc::Rc, sync::Arc, time::Duration};

use http::{HeaderValue, Request, Response, Version, header};
use hyper::{
    body::Incoming,
    upgrade::{self, OnUpgrade},
};
use hyper_util::rt::TokioIo;

use crate::{
    connection::ConnState,
    exchange::Exchange,
    server::Conn,
    silence::{self, Passed},
};

/// A client's wish to change the protocol.
pub(super) struct Asked {
    client: OnUpgrade,
    /// The `Upgrade` header.
    pub(super) protocol: HeaderValue,
}

/// Takes the wish out of a request, if there is one.
pub(super) fn asked(request: &mut Request<Incoming>) -> Option<Asked> {
    let protocol = request.headers().get(header::UPGRADE)?.clone();
    let connection = request.headers().get(header::CONNECTION)?.to_str().ok()?;
    let named = connection
        .split(',')
        .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    // Switching to HTTP/2 in mid-connection is gone from the standard (RFC 9113 section 3.1) and would bypass us.
    let refused = protocol.as_bytes().eq_ignore_ascii_case(b"h2c");
    let wished = named && !refused && request.version() == Version::HTTP_11;
    wished.then(|| Asked {
        client: upgrade::on(request),
        protocol,
    })
}

/// Joins both sides once both have switched, and parts them when nothing passes for so long as `quiet` says. The exchange
/// lasts as long as the tunnel, and with it the connection's place among those of its port.
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
