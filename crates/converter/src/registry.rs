//! Services of registries that a McpBridge names, as `destination` calls them: `NAME.dns` and `NAME.static`.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use api::{BackendProtocol, BackendTls, BackendTlsMode, McpBridge, Registry};

use crate::{lookup::Lookup, value};

/// What Higress' names of services from registries end with.
const TYPES: [&str; 9] = [
    "nacos",
    "nacos2",
    "nacos3",
    "zookeeper",
    "consul",
    "eureka",
    "custom",
    DNS,
    STATIC,
];
const DNS: &str = "dns";
const STATIC: &str = "static";

/// So many endpoints a registry may have: as many as an EndpointSlice takes.
const MOST: usize = 1000;

/// A service of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registered {
    pub(crate) port: u16,
    pub(crate) endpoints: Endpoints,
    pub(crate) protocol: BackendProtocol,
    /// `None`: plain text.
    pub(crate) tls: Option<BackendTls>,
}

/// Where a service of a registry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoints {
    /// Hosts, each once, at the port of the service.
    Hosts(BTreeSet<String>),
    /// Addresses, each once.
    Addresses(BTreeSet<SocketAddr>),
}

/// Name and type of a service of a registry: `orders.public.nacos` is `orders.public`, of type `nacos`.
pub(crate) fn name(host: &str) -> Option<(&str, &str)> {
    let (name, of) = host.rsplit_once('.')?;
    TYPES.contains(&of).then_some((name, of))
}

/// The service that a name is of, at the port that is asked for.
///
/// # Errors
/// Why it cannot be reached, by its name.
pub(crate) fn find(
    (name, of): (&str, &str),
    port: Option<u16>,
    lookup: &Lookup<'_>,
) -> Result<Registered, String> {
    if of != DNS && of != STATIC {
        return Err(format!(
            "\"{name}.{of}\" is a name in a registry of type {of}, which is not asked: only types dns and static of a McpBridge are read"
        ));
    }
    let bridges = lookup.bridges();
    let bridge = match &bridges[..] {
        [bridge] => bridge,
        [] => {
            return Err(format!(
                "\"{name}.{of}\" is a name in a registry, and there is no McpBridge named {}",
                McpBridge::NAME
            ));
        }
        _ => {
            return Err(format!(
                "\"{name}.{of}\" is a name in a registry, and {} McpBridges are named {}, none of them in namespace {}: which one counts is unclear",
                bridges.len(),
                McpBridge::NAME,
                McpBridge::NAMESPACE
            ));
        }
    };
    let mut registries = bridge.spec.registries.iter().rev();
    let registry = registries.find(|registry| registry.type_ == of && registry.name == name);
    let place = || {
        let namespace = bridge.metadata.namespace.as_deref().unwrap_or_default();
        format!("McpBridge {namespace}/{}", McpBridge::NAME)
    };
    let Some(registry) = registry else {
        return Err(format!("{} has no registry {name:?} of type {of}", place()));
    };
    registered(registry, port)
        .map_err(|why| format!("registry \"{name}.{of}\" of {}: {why}", place()))
}

fn registered(registry: &Registry, wanted: Option<u16>) -> Result<Registered, String> {
    let port = u16::try_from(registry.port).ok().filter(|port| *port != 0);
    let port = port.ok_or_else(|| format!("{} is not a port", registry.port))?;
    if let Some(wanted) = wanted.filter(|wanted| *wanted != port) {
        return Err(format!("its port is {port}, not {wanted}"));
    }
    if let Some(proxy) = registry
        .proxy_name
        .as_deref()
        .filter(|name| !name.is_empty())
    {
        return Err(format!(
            "it is reached through the proxy {proxy:?}, and backends are reached directly"
        ));
    }
    let endpoints = endpoints(registry)?;
    let (protocol, encrypted) = protocol(registry.protocol.as_deref().unwrap_or_default())?;
    let tls = match encrypted {
        true => Some(tls(registry, &endpoints)?),
        false => None,
    };
    Ok(Registered {
        port,
        endpoints,
        protocol,
        tls,
    })
}

fn endpoints(registry: &Registry) -> Result<Endpoints, String> {
    let entries = value::list(&registry.domain);
    if entries.is_empty() || entries.len() > MOST {
        return Err(format!(
            "domain names {} endpoints, of 1 to {MOST}",
            entries.len()
        ));
    }
    let entries = entries.into_iter();
    if registry.type_ == DNS {
        let host = |text: &str| match text.parse::<IpAddr>() {
            Ok(_) => Err(format!("{text:?} is an address, which is for type static")),
            Err(_) => value::precise_hostname(text),
        };
        return entries
            .map(host)
            .collect::<Result<_, _>>()
            .map(Endpoints::Hosts);
    }
    let address = |text: &str| match text.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => Ok(address),
        _ => Err(format!(
            "{text:?} is no address with a port, such as 192.0.2.1:80"
        )),
    };
    entries
        .map(address)
        .collect::<Result<_, _>>()
        .map(Endpoints::Addresses)
}

/// What is spoken, and whether it is encrypted.
fn protocol(text: &str) -> Result<(BackendProtocol, bool), String> {
    use BackendProtocol::{HTTP1, HTTP2};
    match text.to_ascii_lowercase().as_str() {
        "" | "http" => Ok((HTTP1, false)),
        "https" => Ok((HTTP1, true)),
        "http2" | "grpc" => Ok((HTTP2, false)),
        "grpcs" => Ok((HTTP2, true)),
        _ => Err(format!(
            "protocol {text:?} is none of http, https, http2, grpc and grpcs"
        )),
    }
}

/// As Higress: encrypted, and the certificate is not looked at.
fn tls(registry: &Registry, endpoints: &Endpoints) -> Result<BackendTls, String> {
    let sni = registry.sni.as_deref().filter(|sni| !sni.is_empty());
    let only = match endpoints {
        Endpoints::Hosts(hosts) if hosts.len() == 1 => hosts.first().cloned(),
        _ => None,
    };
    let named = sni.map(value::precise_hostname).transpose();
    let named = named.map_err(|why| format!("sni: {why}"))?;
    Ok(BackendTls {
        mode: BackendTlsMode::Unverified,
        hostname: named.or(only),
        ..BackendTls::default()
    })
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
