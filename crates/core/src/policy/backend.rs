//! Contents of BackendPolicies.

use std::{net::IpAddr, sync::Arc};

use api::{
    BackendPolicy, BackendProtocol, BackendTimeouts, BackendTls, BackendTlsMode, HashSource, Kind,
    LoadBalancing, LoadBalancingType, ObjectKey, ObjectRef, SameSite, SessionCookie, SessionMode,
    SessionScope, condition::reasons,
};
use ir::{
    Balance, Cookie, HashKey, HostPattern, SessionCarrier, Upstream, UpstreamName, UpstreamTls,
    VaryingAttributes, Verify,
};

use crate::{cert, fault::Fault, lookup::Lookup, rule::duration, unknown::Unknown};

/// Where a backend is used: what BackendPolicies may be attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BackendScope {
    /// The route and its rule; mirrors have none.
    pub(crate) rule: Option<(ObjectRef, Option<String>)>,
    pub(crate) service: ObjectKey,
    pub(crate) port: u16,
    pub(crate) port_name: Option<String>,
}

impl BackendScope {
    /// What policies may name of the Service, the most specific first; `number` is the port's.
    pub(crate) fn sections<'a>(&'a self, number: &'a str) -> impl Iterator<Item = Option<&'a str>> {
        let name = self.port_name.as_deref().map(Some);
        name.into_iter().chain([Some(number), None])
    }
}

/// What BackendPolicies say about a backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BackendSettings {
    pub(crate) balance: Balance,
    pub(crate) upstream: Option<Upstream>,
    /// `Some(None)`: no TLS, whatever the port says.
    pub(crate) tls: Option<Option<Arc<UpstreamTls>>>,
    /// The policy that says so, and whether it is attached to a route.
    pub(crate) tls_from: Option<(ObjectKey, bool)>,
    pub(crate) timeouts: ir::BackendTimeouts,
    /// What the Service's port says of itself does not count.
    pub(crate) unhinted: bool,
    /// The Service's own address is wanted.
    pub(crate) cluster_ip: bool,
    /// What sets the cluster apart from that of other rules.
    pub(crate) apart: String,
}

/// A policy with its key, and whether it is attached to a route or rule.
pub(crate) type Attached<'a> = (&'a ObjectKey, &'a BackendPolicy, bool);

impl BackendSettings {
    /// The settings of these policies together, the most specific first.
    pub(crate) fn of(policies: &[Attached<'_>], lookup: &Lookup<'_>) -> Result<Self, Fault> {
        for (key, _, _) in policies {
            let unknown = Unknown::of(lookup.view(), Kind::BackendPolicy, key);
            if let Some(fault) = unknown.anywhere(reasons::INVALID) {
                return Err(fault);
            }
        }
        let spec = || policies.iter().map(|(key, policy, _)| (*key, &policy.spec));
        let balance = spec().find_map(|(_, spec)| spec.load_balancing.as_ref());
        let protocol = spec().find_map(|(_, spec)| spec.protocol);
        let secured = (policies.iter())
            .find_map(|(key, policy, own)| Some((*key, policy.spec.tls.as_ref()?, *own)));
        let waits = spec().find_map(|(_, spec)| spec.timeouts.as_ref());
        let hints = spec().find_map(|(_, spec)| spec.port_hints);
        let cluster_ip = spec().find_map(|(_, spec)| spec.use_cluster_ip);
        let apart = policies
            .iter()
            .filter(|(_, policy, own)| *own && sets_apart(policy));
        Ok(Self {
            balance: balance.map_or(Ok(Balance::RoundRobin), load_balancing)?,
            upstream: protocol.map(|protocol| match protocol {
                BackendProtocol::HTTP1 => Upstream::Http1,
                BackendProtocol::HTTP2 => Upstream::Http2,
            }),
            tls: secured
                .map(|(key, declared, _)| tls(key, declared, lookup))
                .transpose()?,
            tls_from: secured.map(|(key, _, own)| (key.clone(), own)),
            timeouts: waits.map_or(Ok(ir::BackendTimeouts::default()), timeouts)?,
            unhinted: hints == Some(false),
            cluster_ip: cluster_ip.unwrap_or_default(),
            apart: apart.map(|(key, ..)| format!("@{key}")).collect(),
        })
    }
}

const fn sets_apart(policy: &BackendPolicy) -> bool {
    let spec = &policy.spec;
    spec.load_balancing.is_some()
        || spec.protocol.is_some()
        || spec.tls.is_some()
        || spec.timeouts.is_some()
}

/// What is wrong with a policy by itself.
pub(super) fn fault(policy: &BackendPolicy, key: &ObjectKey, lookup: &Lookup<'_>) -> Option<Fault> {
    let cookie = policy.spec.session_cookie.as_ref();
    let settings = BackendSettings::of(&[(key, policy, true)], lookup).map(drop);
    let cookie = cookie.map_or(Ok(()), |cookie| session_cookie(cookie).map(drop));
    settings.and(cookie).err()
}

fn invalid(message: String) -> Fault {
    Fault::new(reasons::INVALID, message)
}

fn timeouts(declared: &BackendTimeouts) -> Result<ir::BackendTimeouts, Fault> {
    let read = |field: &str, text: &Option<String>| {
        let read = duration(&format!("timeouts.{field}"), text.as_deref());
        read.map_err(|fault| invalid(fault.message))
    };
    Ok(ir::BackendTimeouts {
        connect: read("connect", &declared.connect)?,
        read: read("read", &declared.read)?,
        send: read("send", &declared.send)?,
    })
}

fn load_balancing(declared: &LoadBalancing) -> Result<Balance, Fault> {
    match (declared.type_, &declared.hash_on) {
        (LoadBalancingType::RoundRobin, None) => Ok(Balance::RoundRobin),
        (LoadBalancingType::LeastRequest, None) => Ok(Balance::LeastRequest),
        (LoadBalancingType::Random, None) => Ok(Balance::Random),
        (LoadBalancingType::ConsistentHash, Some(on)) => {
            let name = || {
                on.name
                    .clone()
                    .ok_or_else(|| invalid("loadBalancing.hashOn.name is missing".to_owned()))
            };
            Ok(Balance::Hash(match on.source {
                HashSource::Uri => HashKey::Uri,
                HashSource::Host => HashKey::Host,
                HashSource::ClientAddress => HashKey::ClientAddress,
                HashSource::QueryParam => HashKey::Query(name()?.into()),
                HashSource::Header => {
                    let name = name()?;
                    let parsed = name.parse();
                    HashKey::Header(parsed.map_err(|_| {
                        invalid(format!("loadBalancing.hashOn.name: {name:?} is no header"))
                    })?)
                }
            }))
        }
        (LoadBalancingType::ConsistentHash, None) => {
            Err(invalid("loadBalancing.hashOn is missing".to_owned()))
        }
        (_, Some(_)) => Err(invalid(
            "loadBalancing.hashOn goes with type ConsistentHash only".to_owned(),
        )),
    }
}

fn tls(
    owner: &ObjectKey,
    declared: &BackendTls,
    lookup: &Lookup<'_>,
) -> Result<Option<Arc<UpstreamTls>>, Fault> {
    if declared.mode == BackendTlsMode::Off {
        return Ok(None);
    }
    let from = (Kind::BackendPolicy, owner);
    let name = match &declared.hostname {
        None => UpstreamName::Host,
        Some(name) if name.parse::<IpAddr>().is_ok() => UpstreamName::Fixed(name.as_str().into()),
        Some(name) => match HostPattern::parse(name) {
            Ok(HostPattern::Exact(name)) => UpstreamName::Fixed(name),
            _ => return Err(invalid(format!("tls.hostname: {name:?} is not a host"))),
        },
    };
    let verify = match (declared.mode, &declared.ca_certificate_ref) {
        (BackendTlsMode::Verified, Some(reference)) => {
            Verify::Authorities(cert::authorities(from, reference, lookup)?)
        }
        (BackendTlsMode::VerifiedChain, Some(reference)) => {
            Verify::Chain(cert::authorities(from, reference, lookup)?)
        }
        (BackendTlsMode::VerifiedChain, None) => {
            return Err(invalid(
                "tls.caCertificateRef is missing, which mode VerifiedChain needs".to_owned(),
            ));
        }
        (BackendTlsMode::Verified, None) => Verify::System,
        (BackendTlsMode::Unverified, Some(_)) => {
            return Err(invalid(
                "tls.caCertificateRef has no meaning with mode Unverified".to_owned(),
            ));
        }
        (BackendTlsMode::Unverified | BackendTlsMode::Off, _) => Verify::No,
    };
    let certificate = declared.client_certificate_ref.as_ref();
    let certificate = certificate
        .map(|reference| cert::shown(from, reference, lookup))
        .transpose()?;
    Ok(Some(Arc::new(UpstreamTls {
        name,
        send_name: !declared.omit_server_name,
        verify,
        names: Vec::new(),
        certificate,
    })))
}

/// A session cookie as the data plane has it.
pub(crate) fn session_cookie(declared: &SessionCookie) -> Result<ir::SessionToken, Fault> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let value = |b: u8| (0x20..0x7f).contains(&b) && b != b';';
    if declared.name.is_empty() || !declared.name.bytes().all(token) {
        return Err(invalid(format!(
            "sessionCookie.name: {:?} is no name of a cookie",
            declared.name
        )));
    }
    let path = declared.path.as_deref().unwrap_or("/");
    let mut attributes = format!("; Path={path}");
    if let Some(seconds) = declared.max_age {
        attributes.push_str(&format!("; Max-Age={seconds}"));
    }
    if let Some(domain) = &declared.domain {
        attributes.push_str(&format!("; Domain={domain}"));
    }
    let none = declared.same_site == Some(SameSite::None);
    if declared.unless_misread && !none {
        return Err(invalid(
            "sessionCookie.unlessMisread goes with sameSite None only".to_owned(),
        ));
    }
    attributes.push_str(match declared.same_site {
        Some(SameSite::Strict) => "; SameSite=Strict",
        Some(SameSite::Lax) => "; SameSite=Lax",
        Some(SameSite::None) if !declared.unless_misread => "; SameSite=None",
        Some(SameSite::None) | None => "",
    });
    if declared.secure {
        attributes.push_str("; Secure");
    }
    attributes.push_str("; HttpOnly");
    let domain = declared.domain.as_deref().unwrap_or_default();
    if !path.bytes().chain(domain.bytes()).all(value) {
        return Err(invalid(
            "sessionCookie.path or domain has a character that no cookie takes".to_owned(),
        ));
    }
    let expires = declared.expires.map(u32::try_from).transpose();
    let expires = expires.map_err(|_| {
        invalid("sessionCookie.expires is more than 4,294,967,295 seconds".to_owned())
    })?;
    let cookie = Cookie {
        name: declared.name.as_str().into(),
        attributes: attributes.into(),
        varying: VaryingAttributes {
            expires,
            max_age: false,
            secure_over_https: !declared.secure && (declared.secure_over_https || none),
            same_site_none: declared.unless_misread,
        },
    };
    Ok(ir::SessionToken {
        after_weights: declared.scope == SessionScope::Backend,
        kept_on_failure: !declared.change_on_failure,
        rebalanced: declared.mode == SessionMode::Balanced,
        ..ir::SessionToken::new(SessionCarrier::Cookie(cookie))
    })
}
