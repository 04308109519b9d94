//! Endpoints of a Service port.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use api::{Object, ObjectKey, annotation};
use foldhash::{HashMap, HashSet};
use ir::{Endpoint, Transport};
use k8s_openapi::{
    api::{
        core::v1::{Service, ServicePort},
        discovery::v1::{Endpoint as SliceEndpoint, EndpointPort, EndpointSlice},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::ResourceExt;
use tracked::{Changes, View};

use crate::protocol;

const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// EndpointSlices by the Service they belong to, kept from one translation to the next.
#[derive(Debug, Default)]
pub(crate) struct Slices {
    by_service: HashMap<ObjectKey, OfService>,
    /// Services whose slices changed.
    moved: HashSet<ObjectKey>,
}

/// By name. Most Services have one, which is why this is no tree.
type OfService = Vec<(ObjectKey, Arc<EndpointSlice>)>;

impl Slices {
    /// Takes in what changed.
    pub(crate) fn update(&mut self, changes: &Changes, view: &View<'_>) {
        self.moved.clear();
        match changes {
            Changes::Everything => {
                self.by_service.clear();
                for (key, slice) in view.all::<EndpointSlice>() {
                    if let Some(service) = service_of(key, slice) {
                        self.add(service, (key, slice));
                    }
                }
            }
            Changes::Some(all) => {
                for change in all {
                    let key = &change.reference.key;
                    if let Some(Object::EndpointSlice(slice)) = &change.before
                        && let Some(service) = service_of(key, slice)
                    {
                        self.remove(&service, key);
                        self.moved.insert(service);
                    }
                    if let Some(Object::EndpointSlice(slice)) = &change.now
                        && let Some(service) = service_of(key, slice)
                    {
                        self.add(service.clone(), (key, slice));
                        self.moved.insert(service);
                    }
                }
            }
        }
    }

    fn add(&mut self, service: ObjectKey, (key, slice): (&ObjectKey, &Arc<EndpointSlice>)) {
        let slices = self.by_service.entry(service);
        let slices = slices.or_insert_with(|| Vec::with_capacity(1));
        let place = slices.binary_search_by(|(known, _)| known.cmp(key));
        if let Err(place) = place {
            slices.insert(place, (key.clone(), Arc::clone(slice)));
        }
    }

    fn remove(&mut self, service: &ObjectKey, key: &ObjectKey) {
        let Some(slices) = self.by_service.get_mut(service) else {
            return;
        };
        slices.retain(|(known, _)| known != key);
        if slices.is_empty() {
            self.by_service.remove(service);
        }
    }

    /// Services whose slices changed.
    pub(crate) fn moved(&self) -> impl Iterator<Item = &ObjectKey> {
        self.moved.iter()
    }

    /// Usable endpoints of a port of a Service, sorted and distinct.
    pub(crate) fn endpoints(
        &self,
        key: &ObjectKey,
        service: &Service,
        port: (Transport, u16),
    ) -> Arc<[Endpoint]> {
        let mut found = match (external_name(service), self.by_service.get(key)) {
            (Some(name), _) => {
                let number = external_port(service, port);
                endpoint(name, number).into_iter().collect()
            }
            (None, Some(slices)) => {
                let slices = slices.iter().map(|(_, slice)| slice);
                from_slices(slices, service, port)
            }
            (None, None) => from_annotation(service),
        };
        found.sort_unstable();
        found.dedup();
        found.into()
    }
}

/// The name that an ExternalName Service stands for.
pub(crate) fn external_name(service: &Service) -> Option<&str> {
    let spec = service.spec.as_ref()?;
    (spec.type_.as_deref() == Some("ExternalName"))
        .then(|| spec.external_name.as_deref().unwrap_or_default())
}

/// The number at which the host of an ExternalName Service is asked: its port's `targetPort`, or the port's own where
/// that says nothing. A port that the Service does not have counts as it is.
fn external_port(service: &Service, port: (Transport, u16)) -> u16 {
    let target = external_target(service, port);
    target.and_then(Result::ok).unwrap_or(port.1)
}

/// The `targetPort` of an ExternalName Service's port, or its text where that is no number of a port: a name means one
/// of a pod, and there are none.
pub(crate) fn external_target(
    service: &Service,
    port: (Transport, u16),
) -> Option<Result<u16, String>> {
    external_name(service)?;
    let text = match service_port(service, port)?.target_port.as_ref()? {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(text) => text.clone(),
    };
    match text.parse() {
        // Absent, as the API server has it.
        Ok(0) => None,
        Ok(number) => Some(Ok(number)),
        Err(_) if text.is_empty() => None,
        Err(_) => Some(Err(text)),
    }
}

/// The address that a Service has of its own. Headless ones and ExternalNames have none.
pub(crate) fn cluster_ip(service: &Service) -> Option<IpAddr> {
    let spec = service.spec.as_ref()?;
    let address = spec.cluster_ip.as_deref()?.parse().ok()?;
    (spec.type_.as_deref() != Some("ExternalName")).then_some(address)
}

/// The port of a Service with that number.
pub(crate) fn service_port(
    service: &Service,
    (transport, port): (Transport, u16),
) -> Option<&ServicePort> {
    let ports = service.spec.as_ref()?.ports.as_ref()?;
    let over =
        |port: &&ServicePort| protocol::transport(port.protocol.as_deref()) == Some(transport);
    ports
        .iter()
        .filter(over)
        .find(|p| p.port == i32::from(port))
}

/// Entries of the endpoints annotation that are not `host:port`.
pub(crate) fn bad_annotation_entries(service: &Service) -> Vec<&str> {
    annotation_entries(service)
        .filter(|entry| parse_entry(entry).is_none())
        .collect()
}

fn annotation_entries(service: &Service) -> impl Iterator<Item = &str> {
    service
        .annotations()
        .get(annotation::ENDPOINTS)
        .into_iter()
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
}

fn from_annotation(service: &Service) -> Vec<Endpoint> {
    annotation_entries(service)
        .filter_map(parse_entry)
        .collect()
}

fn parse_entry(entry: &str) -> Option<Endpoint> {
    if let Ok(address) = entry.parse::<SocketAddr>() {
        return Some(Endpoint::Address(address));
    }
    let (host, port) = entry.rsplit_once(':')?;
    endpoint(host, port.parse().ok().filter(|port| *port != 0)?)
}

/// An address or a DNS name.
fn endpoint(host: &str, port: u16) -> Option<Endpoint> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(Endpoint::Address(SocketAddr::new(address, port)));
    }
    match ir::HostPattern::parse(host) {
        Ok(ir::HostPattern::Exact(host)) => Some(Endpoint::Name { host, port }),
        _ => None,
    }
}

fn service_of(key: &ObjectKey, slice: &EndpointSlice) -> Option<ObjectKey> {
    let service = slice.labels().get(SERVICE_NAME)?;
    Some(ObjectKey::new(&key.namespace, service))
}

fn from_slices<'s>(
    slices: impl Iterator<Item = &'s Arc<EndpointSlice>>,
    service: &Service,
    port: (Transport, u16),
) -> Vec<Endpoint> {
    let Some(wanted) = service_port(service, port) else {
        return Vec::new();
    };
    let (mut ready, mut draining) = (Vec::new(), Vec::new());
    for slice in slices {
        let Some(number) = slice_port(slice, wanted, port.0) else {
            continue;
        };
        for member in slice.endpoints.iter().flatten() {
            let into = match state(member) {
                State::Ready => &mut ready,
                State::Draining => &mut draining,
                State::Down => continue,
            };
            let addresses = member.addresses.iter();
            into.extend(addresses.filter_map(|host| endpoint(host, number)));
        }
    }
    // Kubernetes' own proxies do the same: when nothing is ready, what still serves while it terminates gets traffic.
    if ready.is_empty() { draining } else { ready }
}

enum State {
    Ready,
    Draining,
    Down,
}

/// > A nil value indicates an unknown state. In most cases consumers should interpret this unknown state as ready.
fn state(endpoint: &SliceEndpoint) -> State {
    let conditions = endpoint.conditions.as_ref();
    let get = |pick: fn(&_) -> Option<bool>| conditions.and_then(pick);
    let ready = get(|c: &k8s_openapi::api::discovery::v1::EndpointConditions| c.ready);
    if ready != Some(false) {
        return State::Ready;
    }
    if get(|c| c.serving) == Some(true) && get(|c| c.terminating) == Some(true) {
        State::Draining
    } else {
        State::Down
    }
}

/// The number that a Service port has in a slice: by port name as the API server pairs them; else, for slices
/// written by hand, by target port; a slice port without number stands for every port.
fn slice_port(slice: &EndpointSlice, wanted: &ServicePort, transport: Transport) -> Option<u16> {
    let target = match &wanted.target_port {
        Some(IntOrString::Int(number)) => Some(*number),
        Some(IntOrString::String(_)) => None,
        None => Some(wanted.port),
    };
    let target_name = match &wanted.target_port {
        Some(IntOrString::String(name)) => Some(name.as_str()),
        _ => None,
    };
    let ports = slice.ports.as_deref().unwrap_or_default();
    let over = |p: &&EndpointPort| protocol::transport(p.protocol.as_deref()) == Some(transport);
    let name = |p: &EndpointPort| p.name.clone().unwrap_or_default();
    let by_name = wanted.name.clone().unwrap_or_default();
    let found = ports
        .iter()
        .filter(over)
        .find(|p| name(p) == by_name)
        .or_else(|| {
            ports
                .iter()
                .filter(over)
                .find(|p| p.port.is_some() && p.port == target)
        })
        .or_else(|| {
            ports
                .iter()
                .filter(over)
                .find(|p| target_name.is_some_and(|target| name(p) == target))
        });
    let number = match found {
        Some(port) => port.port.or(target)?,
        None if slice.ports.is_none() => target?,
        None => return None,
    };
    u16::try_from(number).ok().filter(|number| *number != 0)
}
