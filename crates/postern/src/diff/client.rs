//! One request to a gateway, with everything that counts of its answer.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Ask;

/// A longer body tells nothing about the gateway.
const BODY: usize = 64 * 1024;

/// What counts of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Empty if it is longer than 64 KiB.
    pub(crate) body: Bytes,
}

/// Where a gateway listens, by scheme, as `host:port`.
#[derive(Clone)]
pub(crate) struct Gateway {
    pub(crate) http: Option<String>,
    pub(crate) https: Option<String>,
    tls: TlsConnector,
}

impl Gateway {
    /// A gateway at these addresses.
    ///
    /// # Errors
    /// TLS cannot be had.
    pub(crate) fn new(http: Option<String>, https: Option<String>) -> anyhow::Result<Self> {
        Ok(Self {
            http,
            https,
            tls: connector()?,
        })
    }

    /// Where requests of a scheme go.
    pub(crate) fn address(&self, https: bool) -> Option<&str> {
        let address = if https { &self.https } else { &self.http };
        address.as_deref()
    }

    /// Sends a request over a connection of its own.
    pub(crate) async fn send(&self, ask: &Ask, deadline: Duration) -> Result<Answer, String> {
        tokio::time::timeout(deadline, self.exchange(ask))
            .await
            .unwrap_or_else(|_| Err("no answer in time".to_owned()))
    }

    async fn exchange(&self, ask: &Ask) -> Result<Answer, String> {
        let address = self.address(ask.https).ok_or("no address for the scheme")?;
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| format!("{UNREACHABLE}{error}"))?;
        if !ask.https {
            return over(stream, ask).await;
        }
        let name = ask
            .host
            .rsplit_once(':')
            .map_or(ask.host.as_str(), |(name, _)| name);
        let name = ServerName::try_from(name.to_owned()).map_err(|e| e.to_string())?;
        let stream = self.tls.connect(name, stream).await;
        over(stream.map_err(|error| format!("TLS: {error}"))?, ask).await
    }
}

/// How an error begins that is about the gateway and not about the request.
pub(crate) const UNREACHABLE: &str = "cannot connect: ";

async fn over<S>(stream: S, ask: &Ask) -> Result<Answer, String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let driven = tokio::spawn(connection);
    let answered = async {
        let request = request(ask).ok_or("the request cannot be written")?;
        let response = sender.send_request(request).await;
        let (head, body) = response.map_err(|error| error.to_string())?.into_parts();
        let body = match Limited::new(body, BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => Bytes::new(),
            Err(error) => return Err(format!("the body ends early: {error}")),
        };
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    };
    let answered = answered.await;
    driven.abort();
    answered
}

fn request(ask: &Ask) -> Option<Request<Empty<Bytes>>> {
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::try_from(ask.method.as_str()).ok()?;
    *request.uri_mut() = ask.target.parse().ok()?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::try_from(&ask.host).ok()?);
    headers.insert(header::USER_AGENT, HeaderValue::from_static("postern-diff"));
    for (name, value) in &ask.headers {
        let name = HeaderName::try_from(name.as_str()).ok()?;
        headers.insert(name, HeaderValue::try_from(value.as_str()).ok()?);
    }
    Some(request)
}

fn connector() -> anyhow::Result<TlsConnector> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    // Both gateways are named by the operator, often by address, with certificates for other names; what is compared is
    // the answer.
    let verifier = Arc::new(proxy::Anybody::new(Arc::clone(&provider)));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS cannot be had")?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
