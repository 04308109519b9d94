//! A backend that says who it is and what it was asked, and misbehaves when the query asks for it:
//!
//! | query | effect |
//! | --- | --- |
//! | `status=502` | answers with that status |
//! | `fail=2` | only the first two requests with the same target get it; the third is well again |
//! | `delay=300` | waits so many milliseconds |
//! | `set=name:value` | sets a response header |

use std::{
    collections::HashMap, convert::Infallible, fmt::Write, io, net::Ipv4Addr, sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use parking_lot::Mutex;
use tokio::net::TcpListener;

/// The longest wait that can be asked for.
const LONGEST_DELAY: u64 = 60_000;
/// Targets whose failures are counted.
const TARGETS: usize = 1_000;

struct Backend {
    name: String,
    failed: Mutex<HashMap<String, u32>>,
}

/// Starts a backend on a free port of the loopback interface; it lives as long as the runtime.
///
/// # Errors
/// No port can be had.
pub(crate) fn start(name: &str) -> io::Result<u16> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let port = listener.local_addr()?.port();
    let backend = Arc::new(Backend {
        name: name.to_owned(),
        failed: Mutex::default(),
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let backend = Arc::clone(&backend);
            let service = service_fn(move |request| {
                let backend = Arc::clone(&backend);
                async move { Ok::<_, Infallible>(backend.answer(&request).await) }
            });
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                // Who went away was the gateway, which knows.
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(port)
}

impl Backend {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let parameters = parameters(request.uri().query().unwrap_or_default());
        let parameter = |name: &str| {
            parameters
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.as_str())
        };
        if let Some(delay) = parameter("delay").and_then(|delay| delay.parse().ok()) {
            tokio::time::sleep(Duration::from_millis(LONGEST_DELAY.min(delay))).await;
        }
        let mut response = Response::new(Full::new(self.tell(request).into()));
        let limit = parameter("fail").and_then(|limit| limit.parse().ok());
        let status = parameter("status").and_then(|status| status.parse().ok());
        if let Some(status) =
            status.filter(|_| limit.is_none_or(|limit| self.fails(request, limit)))
        {
            *response.status_mut() = status;
        } else if limit.is_some_and(|limit| status.is_none() && self.fails(request, limit)) {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        for (_, pair) in parameters.iter().filter(|(name, _)| name == "set") {
            let pair = pair.split_once(':').and_then(|(name, value)| {
                Some((
                    name.parse::<HeaderName>().ok()?,
                    value.trim().parse::<HeaderValue>().ok()?,
                ))
            });
            headers.extend(pair.map(|(name, value)| (Some(name), value)));
        }
        response
    }

    /// Whether this request is one of the first `limit` for its target.
    fn fails(&self, request: &Request<Incoming>, limit: u32) -> bool {
        let mut failed = self.failed.lock();
        let target = request.uri().to_string();
        if failed.len() >= TARGETS && !failed.contains_key(&target) {
            return false;
        }
        let count = failed.entry(target.clone()).or_default();
        *count += 1;
        let fails = *count <= limit;
        if !fails {
            failed.remove(&target);
        }
        fails
    }

    fn tell(&self, request: &Request<Incoming>) -> String {
        let host = request
            .headers()
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        let uri = request.uri();
        let host = uri.authority().map_or(host, |authority| authority.as_str());
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let mut text = format!(
            "{} got {} {host}{target}
",
            self.name,
            request.method()
        );
        for (name, value) in request
            .headers()
            .iter()
            .filter(|(name, _)| *name != header::HOST)
        {
            let _ = writeln!(
                text,
                "  {name}: {}",
                String::from_utf8_lossy(value.as_bytes())
            );
        }
        text
    }
}

fn parameters(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
