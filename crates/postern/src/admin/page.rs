//! What the admin endpoint answers.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use telemetry::metrics::{self, Metrics};

use super::names::Names;
use crate::live::Live;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// What pages are made of.
pub(super) struct Pages {
    pub(super) live: Arc<Live>,
    pub(super) metrics: Metrics,
    pub(super) names: Names,
}

impl Pages {
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let (uri, version) = (request.uri(), request.version());
        if !self.names.are_asked(uri, request.headers(), version) {
            let why = "asked by a name that is not known here: use the address, or start with --admin-host NAME\n";
            return response(StatusCode::MISDIRECTED_REQUEST, TEXT, why);
        }
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
