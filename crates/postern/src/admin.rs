//! The admin endpoint: health, metrics, and what is being served.
//!
//! It is for operators, not for the world: loopback by default, few connections, short deadlines, nothing can be
//! changed, and asked by its own names only. Probes are answered whatever else is going on: a new connection takes the
//! place of an old one ([`connections`]), and descriptors are kept for it ([`reserve`]).

mod connections;
mod names;
mod page;
mod reserve;

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use telemetry::metrics::Metrics;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use self::{
    connections::{Connection, Connections},
    names::Names,
    page::Pages,
    reserve::{Level, Reserve},
};
use crate::{hostname::hostname, live::Live};

/// For the head of a request, from the moment that one may come.
const HEADER: Duration = Duration::from_secs(5);
/// For a connection with all its requests.
const CONNECTION: Duration = Duration::from_secs(60);
/// Out of descriptors, they are looked for again after this long.
const SHORT: Duration = Duration::from_millis(20);

/// The admin endpoint, bound.
pub(crate) struct Admin {
    listener: TcpListener,
    address: SocketAddr,
    pages: Arc<Pages>,
    connections: Arc<Connections>,
    reserve: Arc<Reserve>,
}

/// The admin endpoint cannot be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot serve the admin endpoint on {address}; choose another address with --admin, or --admin off"
)]
pub(crate) struct AdminError {
    address: SocketAddr,
    source: io::Error,
}

impl Admin {
    /// Binds, without answering yet. `names` are names by which it may be asked, beside its own.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub(crate) async fn bind(
        address: SocketAddr,
        names: &[String],
        live: Arc<Live>,
        metrics: Metrics,
    ) -> Result<Self, AdminError> {
        let error = |source| AdminError { address, source };
        let listener = TcpListener::bind(address).await.map_err(error)?;
        let address = listener.local_addr().map_err(error)?;
        tracing::info!(%address, "admin endpoint");
        let reserve = Arc::new(Reserve::new(&listener).map_err(error)?);
        let names = Names::new(hostname(), names);
        Ok(Self {
            listener,
            address,
            pages: Arc::new(Pages {
                live,
                metrics,
                names,
            }),
            connections: Arc::default(),
            reserve,
        })
    }

    /// Where it is bound, with the port that the system chose if none was asked for.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers for as long as the process lives.
    pub(crate) async fn serve(self) {
        loop {
            let stream = self.accept().await;
            let connection = self.connections.open();
            let (pages, reserve) = (Arc::clone(&self.pages), Arc::clone(&self.reserve));
            tokio::spawn(async move {
                answer(stream, &pages, &connection).await;
                drop(connection);
                // Its descriptor is free for a moment.
                reserve.refill();
            });
        }
    }

    /// The next connection. Where there is no other descriptor, it gets one of the reserve.
    async fn accept(&self) -> TcpStream {
        let mut spent = false;
        loop {
            let full = spent || self.reserve.refill() == Level::Full;
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = sleep(SHORT), if !full => continue,
            };
            if let Ok((stream, _)) = accepted {
                if spent && self.reserve.refill() == Level::Low {
                    self.connections.make_room();
                }
                return stream;
            }
            // Out of descriptors, most likely.
            spent = self.reserve.spend();
            if !spent {
                self.connections.make_room();
                sleep(SHORT).await;
            }
        }
    }
}

/// Answers what comes over a connection, until it is over or has to make room.
async fn answer(stream: TcpStream, pages: &Pages, connection: &Connection) {
    let service = service_fn(|request| {
        connection.asks();
        let response = pages.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        .max_headers(64)
        .serve_connection(TokioIo::new(stream), service);
    // Whatever went wrong is the client's; it has been told or has gone. What it has asked by now is answered.
    tokio::select! {
        biased;
        _ = timeout(CONNECTION, served) => {}
        () = connection.closed() => {}
    }
}
