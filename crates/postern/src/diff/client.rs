//! One request to a gateway, with everything that counts of its answer.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, client::verify_server_name, server::ParsedCertificate};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::{net::TcpStream, task::JoinSet};
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
    /// With TLS, whether the certificate is for the host. Who signed it is not asked.
    pub(crate) certificate_fits: Option<bool>,
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

    /// Sends a request over a connection of its own. The head of the answer must come within `deadline`; of a body that
    /// takes as long again, such as a stream of events, nothing counts.
    pub(crate) async fn send(&self, ask: &Ask, deadline: Duration) -> Result<Answer, String> {
        let started = tokio::time::timeout(deadline, self.exchange(ask)).await;
        let started = started.unwrap_or_else(|_| Err("no answer in time".to_owned()))?;
        let mut answer = started.answer;
        if let Ok(body) = tokio::time::timeout(deadline, whole(started.body)).await {
            answer.body = body?;
        }
        Ok(answer)
    }

    async fn exchange(&self, ask: &Ask) -> Result<Started, String> {
        let address = self.address(ask.https).ok_or("no address for the scheme")?;
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| format!("{UNREACHABLE}{error}"))?;
        if !ask.https {
            return over(stream, ask).await;
        }
        let name = host_name(&ask.host);
        let name = ServerName::try_from(name.to_owned()).map_err(|e| e.to_string())?;
        let stream = self.tls.connect(name.clone(), stream).await;
        let stream = stream.map_err(|error| format!("TLS: {error}"))?;
        let fits = certificate_fits(stream.get_ref().1.peer_certificates(), &name);
        let mut started = over(stream, ask).await?;
        started.answer.certificate_fits = Some(fits);
        Ok(started)
    }
}

/// A host without the port that it may have.
pub(crate) fn host_name(host: &str) -> &str {
    let without = host.rsplit_once(':').filter(|(_, port)| {
        let digits = port.bytes().all(|b| b.is_ascii_digit());
        digits && !port.is_empty()
    });
    let name = without.map_or(host, |(name, _)| name);
    name.trim_start_matches('[').trim_end_matches(']')
}

fn certificate_fits(chain: Option<&[CertificateDer<'_>]>, name: &ServerName<'_>) -> bool {
    let leaf = chain.and_then(<[_]>::first);
    let parsed = leaf.and_then(|leaf| ParsedCertificate::try_from(leaf).ok());
    parsed.is_some_and(|parsed| verify_server_name(&parsed, name).is_ok())
}

/// How an error begins that is about the gateway and not about the request.
pub(crate) const UNREACHABLE: &str = "cannot connect: ";

/// An answer whose body is still to come.
struct Started {
    answer: Answer,
    body: Body,
}

/// A body, and the connection that it comes by.
struct Body {
    incoming: Incoming,
    /// Dropped, it ends.
    _connection: JoinSet<hyper::Result<()>>,
}

/// The body; empty if it is too long to count.
async fn whole(body: Body) -> Result<Bytes, String> {
    match Limited::new(body.incoming, BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Ok(Bytes::new()),
        Err(error) => Err(format!("the body ends early: {error}")),
    }
}

async fn over<S>(stream: S, ask: &Ask) -> Result<Started, String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let mut driven = JoinSet::new();
    driven.spawn(connection);
    let request = request(ask).ok_or("the request cannot be written")?;
    let response = sender.send_request(request).await;
    let (head, incoming) = response.map_err(|error| error.to_string())?.into_parts();
    Ok(Started {
        answer: Answer {
            status: head.status,
            headers: head.headers,
            body: Bytes::new(),
            certificate_fits: None,
        },
        body: Body {
            incoming,
            _connection: driven,
        },
    })
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

#[cfg(test)]
mod tests {
    use super::host_name;

    #[test]
    fn hosts_without_their_ports() {
        for (host, name) in [
            ("a.test", "a.test"),
            ("a.test:8443", "a.test"),
            ("[::1]:443", "::1"),
            ("[::1]", "::1"),
            ("192.0.2.7:80", "192.0.2.7"),
        ] {
            assert_eq!(host_name(host), name);
        }
    }
}
