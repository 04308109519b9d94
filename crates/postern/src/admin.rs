//! The admin endpoint: health, metrics, and what is being served.
//!
//! It is for operators, not for the world: loopback by default, few connections, short deadlines, nothing can be changed.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use telemetry::metrics::{self, Metrics};
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};

use crate::live::Live;

/// Connections at a time; more wait in the kernel's queue.
const CONNECTIONS: usize = 64;
/// For the head of a request.
const HEADER: Duration = Duration::from_secs(5);
/// For a connection with all its requests.
const CONNECTION: Duration = Duration::from_secs(60);

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// The admin endpoint, bound.
pub(crate) struct Admin {
    listener: TcpListener,
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    live: Arc<Live>,
    metrics: Metrics,
}

/// The admin endpoint cannot be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot serve the admin endpoint on {address}: {source}; choose another address with --admin, or --admin off"
)]
pub(crate) struct AdminError {
    address: SocketAddr,
    source: io::Error,
}

impl Admin {
    /// Binds, without answering yet.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub(crate) async fn bind(
        address: SocketAddr,
        live: Arc<Live>,
        metrics: Metrics,
    ) -> Result<Self, AdminError> {
        let error = |source| AdminError { address, source };
        let listener = TcpListener::bind(address).await.map_err(error)?;
        let address = listener.local_addr().map_err(error)?;
        tracing::info!(%address, "admin endpoint");
        let state = Arc::new(State { live, metrics });
        Ok(Self {
            listener,
            address,
            state,
        })
    }

    /// Where it is bound, with the port that the system chose if none was asked for.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers for as long as the process lives.
    pub(crate) async fn serve(self) {
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            let Ok((stream, _)) = self.listener.accept().await else {
                // Out of file descriptors, most likely: others have to finish first.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let state = Arc::clone(&self.state);
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let response = state.answer(&request);
                    async move { Ok::<_, Infallible>(response) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER)
                    .max_headers(64)
                    .serve_connection(TokioIo::new(stream), service);
                // Whatever went wrong is the client's; it has been told or has gone.
                let _ = timeout(CONNECTION, connection).await;
                drop(permit);
            });
        }
    }
}

impl State {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n");
            response
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        self.page(request.uri().path())
    }

    fn page(&self, path: &str) -> Response<Full<Bytes>> {
        let phase = self.live.phase();
        match path {
            "/healthz" => response(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" if self.live.is_ready() => response(StatusCode::OK, TEXT, "ready\n"),
            "/readyz" => response(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{phase}\n")),
            "/metrics" => response(StatusCode::OK, metrics::CONTENT_TYPE, self.metrics.encode()),
            "/config" => match self.live.current() {
                Some(current) => json(serde_json::to_vec_pretty(current.ir())),
                None => response(
                    StatusCode::SERVICE_UNAVAILABLE,
                    TEXT,
                    "nothing is served yet\n",
                ),
            },
            "/status" => json(match self.live.current() {
                Some(current) => serde_json::to_vec_pretty(&current.to_json(phase)),
                None => serde_json::to_vec_pretty(&serde_json::json!({ "phase": phase })),
            }),
            _ => response(
                StatusCode::NOT_FOUND,
                TEXT,
                "there are /healthz /readyz /metrics /config /status\n",
            ),
        }
    }
}

fn json(body: serde_json::Result<Vec<u8>>) -> Response<Full<Bytes>> {
    match body {
        Ok(body) => response(StatusCode::OK, JSON, body),
        Err(error) => response(
            StatusCode::INTERNAL_SERVER_ERROR,
            TEXT,
            format!("{error}\n"),
        ),
    }
}

fn response(
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
