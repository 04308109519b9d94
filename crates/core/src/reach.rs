//! How Gateways are reached: which sockets are theirs, and at which addresses clients find them.

mod wanted;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use api::{GATEWAY_GROUP, Kind, ObjectKey, Resources, condition::reasons, gateway::Gateway};
use foldhash::{HashSet, HashSetExt as _};
use ir::{SocketKey, Transport};
use k8s_openapi::{
    api::core::v1::Service,
    apimachinery::pkg::{apis::meta::v1::OwnerReference, util::intstr::IntOrString},
};
use serde::Serialize;

use crate::{Options, fault::Fault, protocol};

pub(crate) use wanted::{CLUSTER, Wanted};

/// How Gateways get sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Topology {
    /// Listeners are bound as written; Gateways that name the same address and port share the socket.
    #[default]
    AsWritten,
    /// Every Gateway has a Service, whose ports lead to ports that are no other Gateway's. The Services are objects
    /// like others: a port that is not in its Gateway's Service yet is not served yet.
    Services,
}

/// Where clients find a Gateway.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Address {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: AddressKind,
    /// As text.
    pub value: String,
    /// From where it is reached, where the Gateway says that of its addresses: empty, or `Cluster` (GEP-5093).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routability: Option<&'static str>,
}

/// Kinds of address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum AddressKind {
    /// An IP address.
    #[serde(rename = "IPAddress")]
    Ip,
    /// A DNS name.
    Hostname,
}

impl From<&str> for Address {
    fn from(text: &str) -> Self {
        let kind = match text.parse::<IpAddr>() {
            Ok(_) => AddressKind::Ip,
            Err(_) => AddressKind::Hostname,
        };
        Self {
            kind,
            value: text.to_owned(),
            routability: None,
        }
    }
}

/// What a Gateway needs to be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    /// Ports of its listeners, and of those of its ListenerSets. Empty when none of them can be served.
    pub ports: BTreeSet<(Transport, u16)>,
    /// Addresses that its spec asks for.
    pub addresses: Vec<IpAddr>,
    /// The address that its Service is to have inside the cluster.
    pub inside: Option<IpAddr>,
    /// Nobody outside the cluster is to reach it.
    pub private: bool,
}

/// How one Gateway is reached.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    sockets: Sockets,
    /// At which addresses, as far as they are known.
    pub(crate) addresses: Vec<Address>,
    /// Why it cannot be reached although it is served.
    pub(crate) fault: Option<Fault>,
}

#[derive(Debug)]
enum Sockets {
    /// At these addresses; `None` is every address.
    Written(Vec<Option<IpAddr>>),
    /// By port of the listener: the port that is bound.
    Allocated(BTreeMap<(Transport, u16), u16>),
}

impl Default for Sockets {
    fn default() -> Self {
        Self::Allocated(BTreeMap::new())
    }
}

impl Reach {
    /// The sockets of a listener's port; none: it has to wait.
    pub(crate) fn sockets(&self, (transport, port): (Transport, u16)) -> Vec<SocketKey> {
        match &self.sockets {
            Sockets::Written(addresses) => {
                let at = |&address: &Option<IpAddr>| SocketKey { address, port };
                addresses.iter().map(at).collect()
            }
            Sockets::Allocated(ports) => {
                let bound = ports.get(&(transport, port)).map(|&port| SocketKey {
                    address: None,
                    port,
                });
                bound.into_iter().collect()
            }
        }
    }
}

/// The Services of all Gateways.
pub(crate) struct Roads<'a> {
    options: &'a Options,
    services: BTreeMap<ObjectKey, (&'a OwnerReference, &'a Service)>,
    /// Ports that are some Gateway's.
    taken: HashSet<u16>,
}

impl<'a> Roads<'a> {
    pub(crate) fn new(resources: &'a Resources, options: &'a Options) -> Self {
        let mut services = BTreeMap::new();
        if options.topology == Topology::Services {
            for (key, service) in &resources.services {
                if let Some(owner) = gateway_of(service) {
                    let gateway = ObjectKey::new(&key.namespace, &owner.name);
                    services.entry(gateway).or_insert((owner, &**service));
                }
            }
        }
        Self {
            options,
            services,
            taken: HashSet::new(),
        }
    }

    pub(crate) const fn topology(&self) -> Topology {
        self.options.topology
    }

    /// How a Gateway is reached that asks for these addresses. Of two that claim a port, the one asked for first has
    /// it.
    pub(crate) fn to(&mut self, key: &ObjectKey, gateway: &Gateway, declared: &Wanted) -> Reach {
        let published = &self.options.published;
        let wanted: Vec<_> = declared.plain.iter().flatten().collect();
        if self.options.topology == Topology::AsWritten {
            let own = wanted
                .iter()
                .map(|address| Address::from(&*address.to_string()));
            return Reach {
                sockets: Sockets::Written(declared.plain.clone()),
                addresses: match (published.is_empty(), wanted.is_empty()) {
                    (false, false) => own.collect(),
                    _ => published.clone(),
                },
                fault: None,
            };
        }
        let same = |owner: &OwnerReference| {
            let uid = gateway.metadata.uid.as_ref();
            uid.is_none_or(|uid| *uid == owner.uid)
        };
        let service = self.services.get(key).filter(|(owner, _)| same(owner));
        let Some((_, service)) = service else {
            let why = "waiting for the Gateway's Service";
            return Reach {
                fault: Some(Fault::new(reasons::ADDRESS_NOT_ASSIGNED, why)),
                ..Reach::default()
            };
        };
        // For as long as it can be reached from elsewhere, it is not served.
        if declared.is_private() && !is_private(service) {
            let why = "waiting for the Gateway's Service to be of type ClusterIP";
            return Reach {
                fault: Some(Fault::new(reasons::ADDRESS_NOT_ASSIGNED, why)),
                ..Reach::default()
            };
        }
        let mut ports = BTreeMap::new();
        for (port, target) in ports_of(service) {
            if self.taken.insert(target) {
                ports.insert(port, target);
            }
        }
        let (inside, lacking) = inside(service, &declared.inside);
        let mut addresses = match declared.plain.is_empty() {
            true => Vec::new(),
            false => addresses(service, published),
        };
        let fault = match declared.plain.is_empty() {
            true => lacking,
            false => usable(&wanted, &addresses).or(lacking),
        };
        if declared.scoped {
            let plain = addresses.iter_mut();
            plain.for_each(|address| address.routability = Some(""));
        }
        addresses.retain(|address| !inside.iter().any(|other| other.value == address.value));
        addresses.extend(inside);
        Reach {
            sockets: Sockets::Allocated(ports),
            addresses,
            fault,
        }
    }
}

fn is_private(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    let type_ = spec.and_then(|spec| spec.type_.as_deref());
    let outside = spec.and_then(|spec| spec.external_ips.as_ref());
    type_.unwrap_or("ClusterIP") == "ClusterIP" && outside.is_none_or(Vec::is_empty)
}

/// The Service's own addresses, one for each that is wanted, and what is wrong if there are not as many.
///
/// > For `IPAddress` addresses, the reported address MUST be a ClusterIP in Kubernetes Service terms.
fn inside(service: &Service, wanted: &[Option<IpAddr>]) -> (Vec<Address>, Option<Fault>) {
    let own = service
        .spec
        .iter()
        .flat_map(|spec| spec.cluster_ips.iter().flatten());
    let own: Vec<IpAddr> = own.filter_map(|text| text.parse().ok()).collect();
    let named = |address: &IpAddr| wanted.contains(&Some(*address));
    let mut rest = own.iter().filter(|address| !named(address));
    let (mut found, mut fault) = (Vec::new(), None);
    for wanted in wanted {
        let address = match wanted {
            Some(wanted) => own.iter().find(|own| *own == wanted),
            None => rest.next(),
        };
        match (address, wanted) {
            (Some(address), _) => found.push(Address {
                routability: Some(CLUSTER),
                ..Address::from(&*address.to_string())
            }),
            (None, Some(wanted)) => {
                let why = format!(
                    "the Gateway's Service does not have address {wanted} inside the cluster"
                );
                fault = Some(Fault::new(reasons::ADDRESS_NOT_USABLE, why));
            }
            (None, None) => {
                let why = "the Gateway's Service has fewer addresses inside the cluster than are asked for";
                fault = fault.or(Some(Fault::new(reasons::ADDRESS_NOT_ASSIGNED, why)));
            }
        }
    }
    (found, fault)
}

fn usable(wanted: &[&IpAddr], addresses: &[Address]) -> Option<Fault> {
    if addresses.is_empty() && wanted.is_empty() {
        let why = "the Gateway's Service has no address yet";
        return Some(Fault::new(reasons::ADDRESS_NOT_ASSIGNED, why));
    }
    let has = |wanted: &IpAddr| {
        let mut found = addresses
            .iter()
            .filter_map(|address| address.value.parse::<IpAddr>().ok());
        found.any(|address| address == *wanted)
    };
    let missing = wanted.iter().find(|wanted| !has(wanted))?;
    let why = format!("the Gateway's Service does not have address {missing}");
    Some(Fault::new(reasons::ADDRESS_NOT_USABLE, why))
}

/// The Gateway that a Service of ours belongs to.
#[must_use]
pub fn gateway_of(service: &Service) -> Option<&OwnerReference> {
    let labels = service.metadata.labels.as_ref()?;
    let ours = labels.get(api::annotation::MANAGED_BY)? == api::annotation::MANAGED_BY_VALUE;
    let owners = service.metadata.owner_references.as_ref()?;
    let gateway = |owner: &&OwnerReference| {
        let group = owner.api_version.split_once('/').map(|(group, _)| group);
        group == Some(GATEWAY_GROUP) && owner.kind == Kind::Gateway.as_str()
    };
    owners.iter().find(gateway).filter(|_| ours)
}

/// Ports of a Service that lead to a port by number.
pub fn ports_of(service: &Service) -> impl Iterator<Item = ((Transport, u16), u16)> + '_ {
    let ports = service
        .spec
        .iter()
        .flat_map(|spec| spec.ports.iter().flatten());
    ports.filter_map(|port| match &port.target_port {
        Some(IntOrString::Int(target)) => {
            let transport = protocol::transport(port.protocol.as_deref())?;
            let number = u16::try_from(port.port).ok()?;
            Some(((transport, number), u16::try_from(*target).ok()?))
        }
        _ => None,
    })
}

/// Where a Service is reached: what the load balancer has, or else what was said about the nodes, or else its own
/// address.
fn addresses(service: &Service, published: &[Address]) -> Vec<Address> {
    let Some(spec) = &service.spec else {
        return Vec::new();
    };
    let found: Vec<Address> = match spec.type_.as_deref() {
        Some("LoadBalancer") => {
            let status = service
                .status
                .as_ref()
                .and_then(|s| s.load_balancer.as_ref());
            let entries = status.and_then(|status| status.ingress.as_ref());
            let texts = entries.into_iter().flatten();
            let texts = texts.filter_map(|e| e.ip.as_deref().or(e.hostname.as_deref()));
            texts.map(Address::from).collect()
        }
        Some("NodePort") if !published.is_empty() => published.to_vec(),
        _ => {
            let own = spec.cluster_ips.iter().flatten().filter(|ip| *ip != "None");
            own.map(|ip| Address::from(ip.as_str())).collect()
        }
    };
    let mut distinct: Vec<Address> = Vec::new();
    for address in found {
        if !distinct.contains(&address) {
            distinct.push(address);
        }
    }
    // The API server takes no more.
    distinct.truncate(16);
    distinct
}

#[cfg(test)]
#[path = "reach_tests.rs"]
mod tests;
