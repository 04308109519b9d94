//! A small HTTP client for tests: one connection, one request, everything the answer says. Every wait ends after
//! [`DEADLINE`], unless a call says otherwise.

use std::{
    convert::Infallible,
    io::{Read, Write},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;

/// The longest that a call waits.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Whole body.
    pub body: Bytes,
    /// Trailers, if there were any.
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    /// A header as text; empty if it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The first cookie that is set, as `name=value`; empty if none is.
    #[must_use]
    pub fn cookie(&self) -> &str {
        let set = self.header("set-cookie");
        set.split_once(';').map_or(set, |(pair, _)| pair)
    }

    /// The backend that answered; empty if it was none of ours.
    #[must_use]
    pub fn backend(&self) -> &str {
        self.header("x-backend")
    }
}

/// A request's body.
#[derive(Debug, Clone, Default)]
struct Outgoing {
    rest: Bytes,
    chunked: bool,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let length = self.rest.len().min(16 * 1024);
        let piece = self.rest.split_to(length);
        Poll::Ready((length > 0).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.chunked {
            true => SizeHint::default(),
            false => SizeHint::with_exact(self.rest.len() as u64),
        }
    }
}

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Call {
    address: SocketAddr,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Outgoing,
    http2: bool,
    tls: Option<(Arc<ClientConfig>, String)>,
    patience: Duration,
}

impl Call {
    /// A request for an absolute URL, sent to `address` whatever the URL's host says.
    ///
    /// # Panics
    /// `method` or `url` is none.
    #[must_use]
    pub fn new(address: SocketAddr, method: &str, url: &str) -> Self {
        Self {
            address,
            method: method.parse().expect("a method"),
            uri: url.parse().expect("an absolute URL"),
            headers: HeaderMap::new(),
            body: Outgoing::default(),
            http2: false,
            tls: None,
            patience: DEADLINE,
        }
    }

    /// GET.
    #[must_use]
    pub fn get(address: SocketAddr, url: &str) -> Self {
        Self::new(address, "GET", url)
    }

    /// Waits so long instead of [`DEADLINE`].
    #[must_use]
    pub const fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Adds a header.
    ///
    /// # Panics
    /// It is none.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a header's name");
        self.headers.append(
            name,
            HeaderValue::from_str(value).expect("a header's value"),
        );
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body.rest = body.into();
        self
    }

    /// Does not say how long the body is: chunked with HTTP/1.1, in frames with HTTP/2.
    #[must_use]
    pub const fn chunked(mut self) -> Self {
        self.body.chunked = true;
        self
    }

    /// Speaks HTTP/2: by prior knowledge, or by ALPN on TLS.
    #[must_use]
    pub const fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// Speaks TLS, asking for this server name.
    #[must_use]
    pub fn tls(mut self, config: Arc<ClientConfig>, server_name: &str) -> Self {
        self.tls = Some((config, server_name.to_owned()));
        self
    }

    /// Sends it and waits for the whole answer.
    ///
    /// # Errors
    /// Whatever went wrong on the way, as text.
    pub async fn send(self) -> Result<Answer, String> {
        tokio::time::timeout(self.patience, self.exchange())
            .await
            .map_err(|_| "no answer in time".to_owned())?
    }

    /// The same from code that is not asynchronous.
    ///
    /// # Errors
    /// Whatever went wrong on the way, as text.
    ///
    /// # Panics
    /// No runtime can be built.
    pub fn send_blocking(self) -> Result<Answer, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime
            .expect("a runtime can be built")
            .block_on(self.send())
    }

    async fn exchange(self) -> Result<Answer, String> {
        let stream = TcpStream::connect(self.address)
            .await
            .map_err(|e| format!("connect: {e}"))?;
        match self.tls.clone() {
            None => self.over(TokioIo::new(stream)).await,
            Some((config, name)) => {
                let name = ServerName::try_from(name).map_err(|e| e.to_string())?;
                let stream = tokio_rustls::TlsConnector::from(config)
                    .connect(name, stream)
                    .await;
                self.over(TokioIo::new(stream.map_err(|e| format!("handshake: {e}"))?))
                    .await
            }
        }
    }

    async fn over<I>(self, io: I) -> Result<Answer, String>
    where
        I: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    {
        let error = |e: hyper::Error| format!("{e:?}");
        let http2 = self.http2;
        let request = self.request();
        let response = if http2 {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io)
                .await
                .map_err(error)?;
            tokio::spawn(connection);
            sender.send_request(request).await.map_err(error)?
        } else {
            let (mut sender, connection) = http1::handshake(io).await.map_err(error)?;
            tokio::spawn(connection);
            sender.send_request(request).await.map_err(error)?
        };
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(error)?;
        let trailers = body.trailers().cloned();
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
            trailers,
        })
    }

    fn request(self) -> Request<Outgoing> {
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.headers_mut() = self.headers;
        if self.http2 {
            *request.uri_mut() = self.uri;
        } else {
            let host = self
                .uri
                .authority()
                .map(ToString::to_string)
                .unwrap_or_default();
            if !request.headers().contains_key(header::HOST) {
                let host = HeaderValue::from_str(&host).expect("an authority is a header value");
                request.headers_mut().insert(header::HOST, host);
            }
            let target = self
                .uri
                .path_and_query()
                .map_or("/", |target| target.as_str());
            *request.uri_mut() = target.parse().expect("a path is a URI");
        }
        request
    }
}

/// Writes bytes and reads until the other side closes or nothing comes for `quiet`.
///
/// # Panics
/// No connection can be made.
#[must_use]
pub fn raw(address: SocketAddr, bytes: &[u8], quiet: Duration) -> Vec<u8> {
    let mut stream = std::net::TcpStream::connect(address).expect("somebody listens");
    stream
        .set_read_timeout(Some(quiet))
        .expect("a socket takes a timeout");
    // The other side may refuse before it has read everything.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read) = stream.read(&mut buffer) {
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..read]);
    }
    answer
}
