//! backendRefs: from a reference to the cluster it means.

mod error;
mod memo;
mod x_backend;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use api::{Kind, ObjectKey, ObjectRef};
use ir::{
    BackendTimeouts, Balance, Certificate, ClusterKey, Endpoint, Transport, Upstream, UpstreamName,
    UpstreamTls, Verify,
};
use k8s_openapi::api::core::v1::Service;

pub(crate) use error::BackendRefError;
pub(crate) use memo::Memo;

use crate::{
    endpoint,
    lookup::Lookup,
    policy::{BackendScope, BackendSettings, Place},
};

/// A backendRef, of a rule or a mirror alike, or of a policy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BackendRef<'a> {
    /// What kind of object holds it.
    pub(crate) from: Kind,
    pub(crate) group: Option<&'a str>,
    pub(crate) kind: Option<&'a str>,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: &'a str,
    pub(crate) port: Option<i32>,
}

/// A cluster that a rule needs; its endpoints are filled in apart, so that they can change without the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClusterRef {
    pub(crate) key: ClusterKey,
    /// See [`ir::Cluster::service`].
    known_as: Option<Arc<str>>,
    service: ObjectKey,
    transport: Transport,
    port: u16,
    upstream: Upstream,
    tls: Option<Arc<UpstreamTls>>,
    balance: Balance,
    timeouts: BackendTimeouts,
    /// The Service's own address stands for its endpoints.
    address: Option<IpAddr>,
    /// What was not honoured about it.
    pub(crate) warnings: Vec<String>,
    /// Not a Service at all: where it is.
    outside: Option<Endpoint>,
    /// Encrypted, and nobody looks at whom with.
    pub(crate) unverified: bool,
    /// No policy asks for TLS: the port's name or `appProtocol` does.
    pub(crate) unasked: bool,
}

impl ClusterRef {
    /// Whether a Gateway's certificate is for it: a Service with TLS for which no policy names a certificate of its
    /// own.
    pub(crate) fn asks_who_we_are(&self) -> bool {
        let tls = self.tls.as_ref();
        self.outside.is_none() && tls.is_some_and(|tls| tls.certificate.is_none())
    }

    /// The same backend, which is shown a certificate.
    pub(crate) fn shown(&self, certificate: &Arc<Certificate>, mark: &str) -> Self {
        let tls = self.tls.as_ref().map(|tls| {
            Arc::new(UpstreamTls {
                certificate: Some(Arc::clone(certificate)),
                ..(**tls).clone()
            })
        });
        Self {
            key: ClusterKey(format!("{}{mark}", self.key).into()),
            known_as: Some(
                self.known_as
                    .clone()
                    .unwrap_or_else(|| Arc::clone(&self.key.0)),
            ),
            tls,
            ..self.clone()
        }
    }
}

/// What is sent to a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// HTTP requests: what the Service's port says of itself counts.
    Requests,
    /// gRPC calls: always HTTP/2.
    Calls,
    /// Bytes that are in the open here, of TCP or out of TLS: policies for the Service may ask for TLS.
    Stream,
    /// The client's own TLS, to which nothing is added.
    Sealed,
    /// UDP.
    Datagrams,
}

impl Traffic {
    /// What objects of a kind send.
    pub(crate) const fn of(kind: Kind) -> Self {
        match kind {
            Kind::GrpcRoute => Self::Calls,
            Kind::TlsRoute => Self::Sealed,
            Kind::TcpRoute => Self::Stream,
            Kind::UdpRoute => Self::Datagrams,
            _ => Self::Requests,
        }
    }

    /// The version of HTTP, if that means anything: a policy says so, or the port does.
    fn upstream(self, policy: Option<Upstream>, port: Upstream) -> Upstream {
        match self {
            Self::Requests => policy.unwrap_or(port),
            Self::Calls => policy.unwrap_or(Upstream::Http2),
            Self::Stream | Self::Sealed | Self::Datagrams => Upstream::Http1,
        }
    }

    const fn transport(self) -> Transport {
        match self {
            Self::Datagrams => Transport::Udp,
            _ => Transport::Tcp,
        }
    }
}

/// The route that a backend is used by, and its rule.
pub(crate) type User<'a> = (&'a ObjectRef, Option<&'a str>);

/// Finds what a reference of an object in a namespace means. Mirrors have no user: only policies of the Service count.
pub(crate) fn resolve(
    reference: &BackendRef<'_>,
    at: (&str, Option<User<'_>>),
    lookup: &Lookup<'_>,
) -> Result<ClusterRef, BackendRefError> {
    resolve_for(reference, Traffic::of(reference.from), at, lookup)
}

/// [`resolve`] for traffic that is not what the kind of the object says.
pub(crate) fn resolve_for(
    reference: &BackendRef<'_>,
    traffic: Traffic,
    (namespace, user): (&str, Option<User<'_>>),
    lookup: &Lookup<'_>,
) -> Result<ClusterRef, BackendRefError> {
    let (group, kind) = (
        reference.group.unwrap_or_default(),
        reference.kind.unwrap_or("Service"),
    );
    let found = Kind::find(group, kind);
    if found == Some(Kind::XBackend) {
        return x_backend::resolve(reference, traffic, (namespace, user), lookup);
    }
    if found != Some(Kind::Service) {
        return Err(BackendRefError::InvalidKind {
            group: group.to_owned(),
            kind: kind.to_owned(),
            name: reference.name.to_owned(),
        });
    }
    let key = ObjectKey::new(reference.namespace.unwrap_or(namespace), reference.name);
    if !lookup.permit(reference.from, namespace, Kind::Service, &key) {
        return Err(BackendRefError::NotPermitted {
            kind: reference.from,
            from: namespace.to_owned(),
            to: key,
        });
    }
    let service = lookup
        .service(&key)
        .ok_or_else(|| BackendRefError::NotFound(key.clone()))?;
    let port = reference
        .port
        .ok_or_else(|| BackendRefError::NoPort(key.clone()))?;
    cluster_ref((key, service), (port, traffic), user, lookup)
}

/// Whether a Service's external name is an address or one host.
fn is_host(name: &str) -> bool {
    let one = || matches!(ir::HostPattern::parse(name), Ok(ir::HostPattern::Exact(_)));
    name.parse::<std::net::IpAddr>().is_ok() || one()
}

fn cluster_ref(
    (key, service): (ObjectKey, &Service),
    (port, traffic): (i32, Traffic),
    user: Option<User<'_>>,
    lookup: &Lookup<'_>,
) -> Result<ClusterRef, BackendRefError> {
    let number = u16::try_from(port)
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| BackendRefError::UnknownPort(key.clone(), port, traffic.transport()))?;
    let transport = traffic.transport();
    let declared = endpoint::service_port(service, (transport, number));
    if let Some(name) = endpoint::external_name(service) {
        if !is_host(name) {
            return Err(BackendRefError::ExternalName(key, name.to_owned()));
        }
    } else if declared.is_none() {
        return Err(BackendRefError::UnknownPort(key, port, transport));
    }
    if let Some(entry) = endpoint::bad_annotation_entries(service).first() {
        return Err(BackendRefError::Endpoints(key, (*entry).to_owned()));
    }
    let scope = BackendScope {
        rule: user.map(|(route, rule)| (route.clone(), rule.map(str::to_owned))),
        service: key.clone(),
        port: number,
        port_name: declared.and_then(|port| port.name.clone()),
    };
    let settings = BackendSettings::of(&lookup.backend_policies(&scope), lookup)
        .map_err(|fault| BackendRefError::Policy(key.clone(), fault.message))?;
    let hinting = declared.filter(|_| !settings.unhinted);
    let hint = hinting.map_or(Hint::default(), |port| {
        hint(port.app_protocol.as_deref(), port.name.as_deref())
    });
    let upstream = traffic.upstream(settings.upstream, hint.upstream);
    let mut warnings = Vec::new();
    let mut asked = || secured(&scope, &settings, &mut warnings, lookup);
    let mut unasked = false;
    let tls = match traffic {
        Traffic::Requests | Traffic::Calls => asked()?.unwrap_or_else(|| {
            unasked = hint.tls;
            hint.tls.then(|| Arc::new(believing()))
        }),
        Traffic::Stream => asked()?.flatten(),
        Traffic::Sealed | Traffic::Datagrams => None,
    };
    let version = match upstream {
        Upstream::Http1 => "",
        Upstream::Http2 if tls.is_some() => "+h2",
        Upstream::Http2 => "+h2c",
    };
    let secured = if tls.is_some() { "+tls" } else { "" };
    let address = settings
        .cluster_ip
        .then(|| endpoint::cluster_ip(service))
        .flatten();
    warnings.extend(unusable_target((&key, service), (transport, number)));
    if settings.cluster_ip && address.is_none() {
        warnings.push(format!(
            "useClusterIP: Service {key} has no address of its own, so its endpoints are used"
        ));
    }
    let whole = if address.is_some() { "+ip" } else { "" };
    let numbered = match transport {
        Transport::Tcp => "",
        Transport::Udp => "+udp",
    };
    let known_as = format!("{key}:{number}{numbered}");
    let more = format!("{version}{secured}{whole}{}", settings.apart);
    Ok(ClusterRef {
        key: ClusterKey(format!("{known_as}{more}").into()),
        known_as: (!more.is_empty()).then(|| known_as.into()),
        service: key,
        transport,
        port: number,
        upstream,
        unverified: tls.as_ref().is_some_and(|tls| tls.verify == Verify::No),
        unasked,
        tls,
        balance: settings.balance,
        timeouts: settings.timeouts,
        address,
        warnings,
        outside: None,
    })
}

/// What is wrong with the `targetPort` of an ExternalName Service.
fn unusable_target(
    (key, service): (&ObjectKey, &Service),
    port: (Transport, u16),
) -> Option<String> {
    let target = endpoint::external_target(service, port)?.err()?;
    Some(format!(
        "Service {key}: targetPort {target:?} is no number of a port, and an ExternalName has no pods to have a name; port {} is used",
        port.1
    ))
}

/// How the backend's connections are secured, as policies say; `None`: they say nothing.
///
/// A BackendPolicy of the rule or its route is about this use of the Service and goes before; a BackendTLSPolicy is
/// Gateway API's own word about the Service, and goes before a BackendPolicy of the Service. One that cannot be
/// honoured is no way to go without: nothing is sent.
fn secured(
    scope: &BackendScope,
    settings: &BackendSettings,
    warnings: &mut Vec<String>,
    lookup: &Lookup<'_>,
) -> Result<Option<Option<Arc<UpstreamTls>>>, BackendRefError> {
    let of_rule = settings.tls_from.as_ref().is_some_and(|(_, own)| *own);
    if of_rule {
        return Ok(settings.tls.clone());
    }
    let Some((policy, reading)) = lookup.backend_tls(scope) else {
        return Ok(settings.tls.clone());
    };
    let service = &scope.service;
    if let Some((other, _)) = &settings.tls_from {
        warnings.push(format!(
            "tls of BackendPolicy {other} is not used for Service {service}: BackendTLSPolicy {policy} goes before"
        ));
    }
    match &reading.tls {
        Ok(tls) => Ok(Some(Some(Arc::clone(tls)))),
        Err(fault) => Err(BackendRefError::TlsPolicy(
            service.clone(),
            policy.clone(),
            fault.message.clone(),
        )),
    }
}

/// Where the URL of a policy leads: to the endpoints of a Service that it names as the cluster's DNS does, else to
/// wherever its host resolves. No grant is needed: it is an address, and not a reference. `https` is always verified.
pub(crate) fn at_place(
    place: &Place<'_>,
    lookup: &Lookup<'_>,
) -> Result<ClusterRef, BackendRefError> {
    let verified = || UpstreamTls {
        name: UpstreamName::Fixed(place.host.clone()),
        send_name: true,
        verify: Verify::System,
        names: Vec::new(),
        certificate: None,
    };
    let named = service_named(&place.host);
    let known = named.and_then(|key| Some((lookup.service(&key)?, key)));
    if let Some((service, key)) = known {
        let mut cluster = cluster_ref(
            (key, service),
            (i32::from(place.port), Traffic::Requests),
            None,
            lookup,
        )?;
        // The URL's scheme decides, unless a BackendPolicy says whom to trust.
        if place.https && cluster.tls.is_none() || cluster.unverified {
            cluster.tls = place.https.then(|| Arc::new(verified()));
            cluster.unverified = false;
            let scheme = if place.https { "https" } else { "http" };
            let known_as = cluster.known_as.take();
            cluster.known_as = known_as.or_else(|| Some(Arc::clone(&cluster.key.0)));
            cluster.key = ClusterKey(format!("{}+{scheme}", cluster.key).into());
        }
        return Ok(cluster);
    }
    let endpoint = match place.host.parse() {
        Ok(address) => Endpoint::Address(SocketAddr::new(address, place.port)),
        Err(_) => Endpoint::Name {
            host: place.host.clone(),
            port: place.port,
        },
    };
    let scheme = if place.https { "https" } else { "http" };
    Ok(ClusterRef {
        key: ClusterKey(format!("{scheme}://{}:{}", place.host, place.port).into()),
        known_as: None,
        service: ObjectKey::new("", ""),
        transport: Transport::Tcp,
        port: place.port,
        upstream: Upstream::Http1,
        tls: place.https.then(|| Arc::new(verified())),
        balance: Balance::RoundRobin,
        timeouts: BackendTimeouts::default(),
        address: None,
        warnings: Vec::new(),
        outside: Some(endpoint),
        unverified: false,
        unasked: false,
    })
}

/// `NAME.NAMESPACE.svc`, with or without the cluster's domain.
fn service_named(host: &str) -> Option<ObjectKey> {
    let mut labels = host.split('.');
    let (name, namespace) = (labels.next()?, labels.next()?);
    (labels.next() == Some("svc")).then(|| ObjectKey::new(namespace, name))
}

/// What a port says by itself asks for TLS and names no authority.
const fn believing() -> UpstreamTls {
    UpstreamTls {
        name: UpstreamName::Host,
        send_name: true,
        verify: Verify::No,
        names: Vec::new(),
        certificate: None,
    }
}

/// What a Service's port says about its protocol.
struct Hint {
    upstream: Upstream,
    tls: bool,
}

impl Default for Hint {
    fn default() -> Self {
        Self {
            upstream: Upstream::Http1,
            tls: false,
        }
    }
}

/// `appProtocol` decides; without one, the port's name does, as Ingress users expect.
fn hint(app_protocol: Option<&str>, port_name: Option<&str>) -> Hint {
    let hint = app_protocol
        .or(port_name)
        .unwrap_or_default()
        .to_ascii_lowercase();
    let is = |word: &str| {
        hint.strip_prefix(word)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let http2 =
        hint == "kubernetes.io/h2c" || hint.starts_with("grpc") || hint.starts_with("http2");
    Hint {
        upstream: if http2 {
            Upstream::Http2
        } else {
            Upstream::Http1
        },
        tls: is("https") || is("grpcs") || hint == "kubernetes.io/wss",
    }
}
