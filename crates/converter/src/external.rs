//! Services that stand for what is outside of the cluster, and what belongs to them.

use std::collections::{BTreeMap, BTreeSet};

use api::{BackendPolicy, BackendPolicySpec, BackendProtocol, Object, PolicyTarget};
use k8s_openapi::{
    api::{
        core::v1::{Service, ServicePort, ServiceSpec},
        discovery::v1::{Endpoint, EndpointPort, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use crate::{
    registry::{Endpoints, Registered},
    service::ServiceRef,
    value::{object_name, short_hash},
};

/// Label of an EndpointSlice: the Service that it belongs to.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Name of the one port.
const PORT: &str = "http";

/// A Service that stands for what is outside of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct External {
    name: String,
    port: u16,
    to: To,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum To {
    Host(String),
    Registered(Registered),
    /// Requests are answered with 503.
    Nowhere,
}

impl External {
    /// A host. The Service is named after the Ingress that wants it, and the host.
    pub(crate) fn new(ingress: &str, host: &str, port: u16) -> Self {
        let hash = short_hash(&["external", host, &port.to_string()]);
        Self {
            name: object_name(ingress, &hash),
            port,
            to: To::Host(host.to_owned()),
        }
    }

    /// A service of a registry, which is called `name` there.
    pub(crate) fn registered(ingress: &str, name: &str, service: Registered) -> Self {
        let port = service.port;
        let word = match service.only_host() {
            Some(_) => "registered-host",
            None => "registered",
        };
        let hash = short_hash(&[word, name, &port.to_string()]);
        Self {
            name: object_name(ingress, &hash),
            port,
            to: To::Registered(service),
        }
    }

    /// What is called `name` and cannot be found: a Service without endpoints.
    pub(crate) fn nowhere(ingress: &str, name: &str, port: Option<u16>) -> Self {
        let port = port.unwrap_or(80);
        let hash = short_hash(&["nowhere", name, &port.to_string()]);
        Self {
            name: object_name(ingress, &hash),
            port,
            to: To::Nowhere,
        }
    }

    pub(crate) fn reference(&self) -> ServiceRef {
        ServiceRef {
            name: self.name.clone(),
            namespace: None,
            port: self.port,
        }
    }

    /// Whether what is spoken to it is known to be encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(&self.to, To::Registered(service) if service.tls.is_some())
    }

    /// Whether it is a service of a registry.
    pub(crate) const fn is_registered(&self) -> bool {
        matches!(self.to, To::Registered(_))
    }

    /// The Service, its endpoints and what is spoken to them. `metadata` makes that of an object by its name.
    pub(crate) fn objects(&self, metadata: impl Fn(&str) -> ObjectMeta) -> Vec<Object> {
        let mut objects = vec![Object::from(Service {
            metadata: metadata(&self.name),
            spec: Some(self.spec()),
            status: None,
        })];
        let To::Registered(service) = &self.to else {
            return objects;
        };
        for (at, slice) in service.slices().into_iter().enumerate() {
            let mut metadata = metadata(&object_name(&self.name, &at.to_string()));
            let labels = metadata.labels.get_or_insert_default();
            labels.insert(SERVICE_NAME.to_owned(), self.name.clone());
            objects.push(Object::from(EndpointSlice { metadata, ..slice }));
        }
        objects.extend(service.policy().map(|policy| {
            Object::from(BackendPolicy {
                metadata: metadata(&self.name),
                spec: BackendPolicySpec {
                    target_refs: vec![PolicyTarget {
                        group: String::new(),
                        kind: "Service".to_owned(),
                        name: self.name.clone(),
                        section_name: None,
                    }],
                    ..policy
                },
                status: None,
            })
        }));
        objects
    }

    fn spec(&self) -> ServiceSpec {
        let host = match &self.to {
            To::Host(host) => Some(host),
            To::Registered(service) => service.only_host(),
            To::Nowhere => None,
        };
        ServiceSpec {
            type_: host.map(|_| "ExternalName".to_owned()),
            external_name: host.cloned(),
            cluster_ip: host.is_none().then(|| "None".to_owned()),
            ports: Some(vec![ServicePort {
                name: Some(PORT.to_owned()),
                port: i32::from(self.port),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }
    }
}

impl Registered {
    /// A single host, which needs no EndpointSlice.
    fn only_host(&self) -> Option<&String> {
        match &self.endpoints {
            Endpoints::Hosts(hosts) if hosts.len() == 1 => hosts.first(),
            _ => None,
        }
    }

    /// One for each kind of address and each port, without names.
    fn slices(&self) -> Vec<EndpointSlice> {
        let mut groups: BTreeMap<(&str, u16), BTreeSet<String>> = BTreeMap::new();
        match &self.endpoints {
            Endpoints::Hosts(hosts) if hosts.len() > 1 => {
                groups.insert(("FQDN", self.port), hosts.clone());
            }
            Endpoints::Hosts(_) => {}
            Endpoints::Addresses(addresses) => {
                for address in addresses {
                    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
                    let group = groups.entry((family, address.port())).or_default();
                    group.insert(address.ip().to_string());
                }
            }
        }
        let slice = |((family, port), hosts): ((&str, u16), BTreeSet<String>)| EndpointSlice {
            address_type: family.to_owned(),
            endpoints: Some(hosts.into_iter().map(endpoint).collect()),
            ports: Some(vec![EndpointPort {
                name: Some(PORT.to_owned()),
                port: Some(i32::from(port)),
                ..EndpointPort::default()
            }]),
            ..EndpointSlice::default()
        };
        groups.into_iter().map(slice).collect()
    }

    /// What is spoken, where it is not HTTP/1.1 in plain text; without target.
    fn policy(&self) -> Option<BackendPolicySpec> {
        let plain = self.tls.is_none() && self.protocol == BackendProtocol::HTTP1;
        (!plain).then(|| BackendPolicySpec {
            protocol: Some(self.protocol),
            tls: self.tls.clone(),
            ..BackendPolicySpec::default()
        })
    }
}

fn endpoint(host: String) -> Endpoint {
    Endpoint {
        addresses: vec![host],
        ..Endpoint::default()
    }
}
