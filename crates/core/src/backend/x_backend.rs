//! XBackends as targets of backendRefs: hosts outside the cluster (Gateway API 1.7, experimental channel).

use std::{net::IpAddr, sync::Arc};

use api::{
    Kind, ObjectKey, SecretRef,
    condition::reasons,
    gateway::{
        XBackend, XBackendProtocol as Protocol, XBackendSecretRef, XBackendTlsMode as Mode,
        XBackendType,
    },
};
use ir::{ClusterKey, Endpoint, HostPattern, Transport, Upstream, UpstreamTls};

use super::{BackendRef, BackendRefError, ClusterRef, Traffic, User};
use crate::{
    cert,
    fault::Fault,
    lookup::Lookup,
    policy::{self, BackendScope, BackendSettings},
    unknown::Unknown,
};

/// Names of Services, which an XBackend may not name.
const INSIDE: &str = ".cluster.local";

fn unsupported(message: impl Into<String>) -> Fault {
    Fault::new(reasons::ROUTE_UNSUPPORTED_VALUE, message)
}

/// Finds what a reference to an XBackend means. What of it cannot be honoured closes it.
pub(super) fn resolve(
    reference: &BackendRef<'_>,
    traffic: Traffic,
    (namespace, user): (&str, Option<User<'_>>),
    lookup: &Lookup<'_>,
) -> Result<ClusterRef, BackendRefError> {
    let key = ObjectKey::new(reference.namespace.unwrap_or(namespace), reference.name);
    if !lookup.permit(reference.from, namespace, Kind::XBackend, &key) {
        return Err(BackendRefError::XBackendNotPermitted {
            kind: reference.from,
            from: namespace.to_owned(),
            to: key,
        });
    }
    let backend = lookup
        .x_backend(&key)
        .ok_or_else(|| BackendRefError::NoXBackend(key.clone()))?;
    let scope = BackendScope {
        rule: user.map(|(route, rule)| (route.clone(), rule.map(str::to_owned))),
        // No Service has an empty name: policies of the rule count.
        service: ObjectKey::new("", ""),
        port: 0,
        port_name: None,
    };
    let settings = BackendSettings::of(&lookup.backend_policies(&scope), lookup);
    let ported = reference.port.is_some();
    let made = settings.and_then(|settings| match ported {
        true => Err(unsupported("a backendRef to an XBackend takes no port")),
        false => cluster((&key, backend), traffic, settings, lookup),
    });
    made.map_err(|fault| BackendRefError::XBackend(key, fault))
}

fn cluster(
    (key, backend): (&ObjectKey, &XBackend),
    traffic: Traffic,
    settings: BackendSettings,
    lookup: &Lookup<'_>,
) -> Result<ClusterRef, Fault> {
    let unknown = Unknown::of(lookup.view(), Kind::XBackend, key);
    unknown
        .anywhere(reasons::ROUTE_UNSUPPORTED_VALUE)
        .map_or(Ok(()), Err)?;
    let (host, port) = place(backend)?;
    let of_backend = tls((key, backend), lookup)?;
    let declared = backend.spec.protocol;
    let upstream = upstream(declared, (traffic, settings.upstream), of_backend.is_some())?;
    let mut warnings = Vec::new();
    // A BackendPolicy of the rule or its route is about this use, and goes before.
    let tls = match settings.tls {
        Some(tls) => tls,
        None => of_backend,
    };
    if traffic == Traffic::Sealed && tls.is_some() {
        return Err(unsupported(
            "the client's own TLS is passed on, to which no other is added: tls.mode has to be None",
        ));
    }
    if tls.is_none() && traffic != Traffic::Sealed {
        warnings.push(format!(
            "XBackend {key}: requests go to {host} outside the cluster without TLS"
        ));
    }
    let version = match upstream {
        Upstream::Http1 => "",
        Upstream::Http2 => "+h2",
    };
    let secured = if tls.is_some() { "+tls" } else { "" };
    let known_as = format!("XBackend/{key}{version}{secured}");
    let apart = settings.apart;
    Ok(ClusterRef {
        key: ClusterKey(format!("{known_as}{apart}").into()),
        known_as: (!apart.is_empty()).then(|| known_as.into()),
        service: ObjectKey::new("", ""),
        transport: Transport::Tcp,
        port,
        upstream,
        unverified: false,
        unasked: false,
        tls,
        balance: settings.balance,
        timeouts: settings.timeouts,
        address: None,
        warnings,
        outside: Some(Endpoint::Name { host, port }),
    })
}

/// Host and port.
///
/// > IP addresses are not allowed. Hostnames ending with trust domains (e.g. .cluster.local) are not allowed.
fn place(backend: &XBackend) -> Result<(Box<str>, u16), Fault> {
    let spec = &backend.spec;
    let (XBackendType::ExternalHostname, Some(host)) = (spec.r#type, &spec.external_hostname)
    else {
        return Err(unsupported(
            "type EndpointSelector is not supported; use ExternalHostname with externalHostname, or a Service",
        ));
    };
    let text = host.hostname.trim_end_matches('.').to_ascii_lowercase();
    let inside = text.ends_with(INSIDE) || text.parse::<IpAddr>().is_ok();
    let host = match HostPattern::parse(&text) {
        Ok(HostPattern::Exact(host)) if !inside => host,
        _ => {
            let message = format!(
                "externalHostname.hostname {:?} is no name of a host outside the cluster",
                host.hostname
            );
            return Err(unsupported(message));
        }
    };
    let number = spec.port.number.unwrap_or_default();
    let port = u16::try_from(number).ok().filter(|port| *port != 0);
    let port = port.ok_or_else(|| unsupported(format!("port.number {number} is no port")))?;
    Ok((host, port))
}

/// What is spoken.
///
/// > When not set, the implementation will use the protocol determined by the route or listener configuration.
fn upstream(
    declared: Option<Protocol>,
    (traffic, policy): (Traffic, Option<Upstream>),
    secured: bool,
) -> Result<Upstream, Fault> {
    let unfit = |protocol: Protocol, why: &str| {
        let name = format!("{protocol:?}").to_uppercase();
        Err(unsupported(format!("protocol {name} {why}")))
    };
    let requests = match (traffic, declared) {
        (Traffic::Datagrams, _) => {
            return Err(unsupported("datagrams are not sent to an XBackend"));
        }
        (Traffic::Stream | Traffic::Sealed, None | Some(Protocol::Tcp)) => {
            return Ok(Upstream::Http1);
        }
        (Traffic::Stream | Traffic::Sealed, Some(protocol)) => {
            return unfit(protocol, "is not for streams");
        }
        (Traffic::Requests | Traffic::Calls, requests) => requests,
    };
    match requests {
        None | Some(Protocol::Http) => Ok(traffic.upstream(policy, Upstream::Http1)),
        Some(Protocol::Http11 | Protocol::Wss) if traffic == Traffic::Calls => Err(unsupported(
            "calls of gRPC need protocol GRPC, HTTP2 or H2C",
        )),
        Some(Protocol::Wss) if !secured => Err(unsupported("protocol WSS needs tls")),
        Some(Protocol::Http11 | Protocol::Wss) => Ok(Upstream::Http1),
        Some(Protocol::Http2) if !secured => {
            Err(unsupported("protocol HTTP2 needs tls; without, it is H2C"))
        }
        Some(Protocol::H2c) if secured => {
            Err(unsupported("protocol H2C takes no tls; with, it is HTTP2"))
        }
        Some(Protocol::Http2 | Protocol::H2c | Protocol::Grpc) => Ok(Upstream::Http2),
        Some(protocol @ (Protocol::Tcp | Protocol::Mcp)) => {
            unfit(protocol, "is not supported for requests")
        }
    }
}

/// How connections are secured; `None`: not at all.
fn tls(
    (key, backend): (&ObjectKey, &XBackend),
    lookup: &Lookup<'_>,
) -> Result<Option<Arc<UpstreamTls>>, Fault> {
    let Some(declared) = &backend.spec.tls else {
        return Ok(None);
    };
    let shown = declared.client_certificate_ref.as_ref();
    let certificate = match (declared.mode, &declared.validation, shown) {
        (Mode::None, None, None) => return Ok(None),
        (Mode::ServerOnly, Some(_), None) => None,
        (Mode::ClientAndServer, Some(_), Some(reference)) => Some(cert::shown(
            (Kind::XBackend, key),
            &secret(reference)?,
            lookup,
        )?),
        _ => {
            return Err(unsupported(
                "tls: mode None takes no field beside it, ServerOnly takes validation, and ClientAndServer takes validation and clientCertificateRef",
            ));
        }
    };
    let Some(validation) = &declared.validation else {
        return Ok(None);
    };
    let secured = policy::validated(key, validation, lookup)?;
    Ok(Some(match certificate {
        None => secured,
        Some(certificate) => Arc::new(UpstreamTls {
            certificate: Some(certificate),
            ..Arc::unwrap_or_clone(secured)
        }),
    }))
}

fn secret(reference: &XBackendSecretRef) -> Result<SecretRef, Fault> {
    let group = reference.group.as_deref().unwrap_or_default();
    let kind = reference.kind.as_deref().unwrap_or("Secret");
    if Kind::find(group, kind) != Some(Kind::Secret) {
        let message = format!(
            "tls.clientCertificateRef: {kind} of group {group:?} is not supported; use a Secret"
        );
        return Err(unsupported(message));
    }
    Ok(SecretRef {
        name: reference.name.clone(),
        namespace: reference.namespace.clone(),
    })
}
