//! Backends that are the gateway itself, as far as objects show it. A running process knows the addresses that it is
//! bound to, and refuses them; here there are only the listeners, and in a cluster the EndpointSlices that Postern
//! writes for its Gateways.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use api::Resources;
use ir::{Cluster, Endpoint, Ir};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;

/// Label of EndpointSlices, with the name of whoever writes them.
const SLICE_MANAGER: &str = "endpointslice.kubernetes.io/managed-by";

/// Where the listeners of Gateways are in a cluster: addresses of pods, and ports of theirs.
pub(crate) fn listeners(resources: &Resources) -> BTreeSet<SocketAddr> {
    let slices = resources.endpoint_slices.values();
    let ours = slices.filter(|slice| {
        let manager = slice.labels().get(SLICE_MANAGER);
        manager.is_some_and(|manager| manager == api::GROUP)
    });
    ours.flat_map(|slice| addresses(slice)).collect()
}

fn addresses(slice: &EndpointSlice) -> Vec<SocketAddr> {
    let endpoints = slice.endpoints.iter().flatten();
    let ips: Vec<IpAddr> = endpoints
        .flat_map(|endpoint| &endpoint.addresses)
        .filter_map(|address| address.parse().ok())
        .collect();
    let ports = slice.ports.iter().flatten();
    let ports = ports.filter_map(|port| u16::try_from(port.port?).ok());
    ports
        .flat_map(|port| ips.iter().map(move |ip| SocketAddr::new(*ip, port)))
        .collect()
}

/// Endpoints of a backend that are listeners: one of a Gateway in the cluster, one that is bound to just that address,
/// or one that is bound to every address where the endpoint is at this machine, whichever that is.
pub(super) fn endpoints(
    ir: &Ir,
    listeners: &BTreeSet<SocketAddr>,
    cluster: &Cluster,
) -> Vec<SocketAddr> {
    let addresses = cluster
        .endpoints
        .iter()
        .filter_map(|endpoint| match endpoint {
            Endpoint::Address(address) => Some(*address),
            Endpoint::Name { .. } => None,
        });
    addresses
        .filter(|address| {
            let ip = address.ip().to_canonical();
            let here = ip.is_loopback() || ip.is_unspecified();
            let mut bound = ir.ports.keys().filter(|key| key.port == address.port());
            let own = bound.any(|key| key.address.map_or(here, |bound| bound.to_canonical() == ip));
            own || listeners.contains(&SocketAddr::new(ip, address.port()))
        })
        .collect()
}
