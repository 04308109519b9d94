//! TLS towards backends.

mod check;

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use http::HeaderValue;
use ir::{Cluster, Upstream, UpstreamName, UpstreamTls, Verify};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{PrivateKeyDer, ServerName, pem::PemObject};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    http::error::ProxyError,
    net::{
        roots::{certificates, roots},
        socket::Socket,
    },
};

use check::{Check, Names};

/// How a cluster's connections are secured. Two of them share no connection, even to the same address.
pub(crate) struct UpstreamClient {
    tls: Arc<UpstreamTls>,
    protocol: Upstream,
    /// `None`: what was asked for cannot be had, and no connection is made.
    config: Option<Arc<ClientConfig>>,
    /// The same for streams, which do not agree on what is spoken in them. Made on first use.
    streams: OnceLock<Option<Arc<ClientConfig>>>,
    /// The same for requests that change the protocol, where the others go over HTTP/2. Made on first use.
    upgrades: OnceLock<Option<Arc<ClientConfig>>>,
    fixed: Option<Arc<str>>,
    id: u64,
}

/// A secured way to one server.
#[derive(Clone)]
pub(crate) struct Secured {
    client: Arc<UpstreamClient>,
    name: Arc<str>,
}

impl PartialEq for Secured {
    fn eq(&self, other: &Self) -> bool {
        self.client.id == other.client.id && self.name == other.name
    }
}

impl UpstreamClient {
    /// What a cluster needs: `before`, if it still fits.
    pub(crate) fn new(cluster: &Cluster, before: Option<&Arc<Self>>) -> Option<Arc<Self>> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let tls = cluster.tls.as_ref()?;
        if let Some(before) = before
            && before.tls == *tls
            && before.protocol == cluster.upstream
        {
            return Some(Arc::clone(before));
        }
        let config = match config(tls, cluster.upstream) {
            Ok(config) => Some(Arc::new(config)),
            Err(error) => {
                tracing::error!(cluster = %cluster.key, %error, "no connection to this backend can be secured as asked");
                None
            }
        };
        Some(Arc::new(Self {
            tls: Arc::clone(tls),
            protocol: cluster.upstream,
            config,
            streams: OnceLock::new(),
            upgrades: OnceLock::new(),
            fixed: match &tls.name {
                UpstreamName::Fixed(name) => Some(Arc::from(&**name)),
                UpstreamName::Host => None,
            },
            id: NEXT.fetch_add(1, Relaxed),
        }))
    }

    /// The way to the server that `host` stands for.
    pub(crate) fn secured(self: &Arc<Self>, host: &HeaderValue) -> Secured {
        let name = self.fixed.clone().unwrap_or_else(|| {
            let host = host.to_str().unwrap_or_default();
            let port = host.rfind(':').filter(|at| !host[*at..].contains(']'));
            Arc::from(&host[..port.unwrap_or(host.len())])
        });
        Secured {
            client: Arc::clone(self),
            name,
        }
    }
}

/// Shakes hands with the server of a name.
async fn shake(
    config: Option<&Arc<ClientConfig>>,
    name: &str,
    stream: Socket,
) -> Result<TlsStream<Socket>, ProxyError> {
    let config = config.ok_or(ProxyError::UpstreamTls)?;
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let server = ServerName::try_from(bare)
        .map_err(|_| ProxyError::UpstreamTls)?
        .to_owned();
    let connector = TlsConnector::from(Arc::clone(config));
    connector.connect(server, stream).await.map_err(|error| {
        tracing::debug!(%name, %error, "TLS handshake with a backend failed");
        ProxyError::UpstreamTls
    })
}

impl UpstreamClient {
    /// Shakes hands for a stream whose client asked for `asked`; that name counts where the cluster has none of its
    /// own.
    pub(crate) async fn connect_stream(
        &self,
        asked: &str,
        stream: Socket,
    ) -> Result<TlsStream<Socket>, ProxyError> {
        let config = self.streams.get_or_init(|| self.agreeing_on(Vec::new()));
        let name = self.fixed.as_deref().unwrap_or(asked);
        shake(config.as_ref(), name, stream).await
    }

    fn agreeing_on(&self, protocols: Vec<Vec<u8>>) -> Option<Arc<ClientConfig>> {
        let mut config = ClientConfig::clone(self.config.as_ref()?);
        config.alpn_protocols = protocols;
        Some(Arc::new(config))
    }
}

impl Secured {
    /// Shakes hands, to speak that protocol.
    pub(crate) async fn connect(
        &self,
        protocol: Upstream,
        stream: Socket,
    ) -> Result<TlsStream<Socket>, ProxyError> {
        let client = &self.client;
        let config = if client.protocol == protocol {
            client.config.as_ref()
        } else {
            let upgrades = || client.agreeing_on(alpn(protocol));
            client.upgrades.get_or_init(upgrades).as_ref()
        };
        let stream = shake(config, &self.name, stream).await?;
        let agreed = stream.get_ref().1.alpn_protocol();
        if protocol == Upstream::Http2 && agreed != Some(b"h2") {
            return Err(ProxyError::UpstreamTls);
        }
        Ok(stream)
    }
}

fn config(tls: &UpstreamTls, protocol: Upstream) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match &tls.verify {
        Verify::No => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(crate::net::anybody::Anybody::new(
                provider,
            ))),
        Verify::Chain(authorities) => {
            let check = Check::new(roots(authorities)?, provider, Names::Any)?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(check))
        }
        Verify::Authorities(_) | Verify::System if !tls.names.is_empty() => {
            let check = Check::new(anchors(tls)?, provider, Names::of(&tls.names))?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(check))
        }
        Verify::Authorities(_) | Verify::System => builder.with_root_certificates(anchors(tls)?),
    };
    let mut config = match &tls.certificate {
        None => builder.with_no_client_auth(),
        Some(certificate) => {
            let chain = certificates(&certificate.chain)?;
            let key = PrivateKeyDer::from_pem_slice(certificate.key.reveal().as_bytes())
                .map_err(|error| rustls::Error::General(error.to_string()))?;
            builder.with_client_auth_cert(chain, key)?
        }
    };
    config.enable_sni = tls.send_name;
    config.alpn_protocols = alpn(protocol);
    Ok(config)
}

fn alpn(protocol: Upstream) -> Vec<Vec<u8>> {
    match protocol {
        Upstream::Http1 => vec![b"http/1.1".to_vec()],
        Upstream::Http2 => vec![b"h2".to_vec()],
    }
}

/// Whom a certificate may come from that must be for a name.
fn anchors(tls: &UpstreamTls) -> Result<RootCertStore, rustls::Error> {
    match &tls.verify {
        Verify::Authorities(authorities) => roots(authorities),
        Verify::System => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Ok(roots)
        }
        Verify::No | Verify::Chain(_) => Ok(RootCertStore::empty()),
    }
}
