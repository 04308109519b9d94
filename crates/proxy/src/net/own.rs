//! Where this process listens itself. A backend there would be asked by the gateway what the gateway asks it, without
//! end.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use ir::{Cluster, ClusterKey, Endpoint, Ir, Target, Transport};

use crate::net::port::{PortHandle, PortKey};

/// So old what is known of this machine's addresses may be.
const FRESH: Duration = Duration::from_secs(10);

/// kube-proxy's interface of that name has the addresses of all Services. What goes there goes on to endpoints.
const OF_SERVICES: &str = "kube-ipvs0";

/// Where this process listens.
#[derive(Default)]
pub(crate) struct Own {
    bound: ArcSwap<Vec<(Transport, SocketAddr)>>,
    machine: ArcSwap<Machine>,
}

/// The addresses of this machine, or pod.
#[derive(Default)]
struct Machine {
    addresses: Vec<IpAddr>,
    read: Option<Instant>,
}

/// An endpoint of a backend that is one of our own listeners. It is not asked: 503 `backend_loop`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loop {
    /// The backend.
    pub cluster: ClusterKey,
    /// Its endpoint.
    pub endpoint: SocketAddr,
}

impl Own {
    /// These are bound from now on.
    pub(crate) fn set(&self, ports: &BTreeMap<PortKey, Arc<PortHandle>>) {
        let bound = ports.values().map(|port| (port.transport, port.address));
        self.bound.store(Arc::new(bound.collect()));
    }

    /// Whether whoever connects to an address reaches this process.
    pub(crate) fn has(&self, transport: Transport, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        self.bound.load().iter().any(|(over, bound)| {
            let here = *over == transport && bound.port() == address.port();
            here && (bound.ip() == ip || covers(bound.ip(), ip) && self.is_of_machine(ip))
        })
    }

    fn is_of_machine(&self, ip: IpAddr) -> bool {
        // Linux takes the unspecified address for its loopback.
        if ip.is_loopback() || ip.is_unspecified() {
            return true;
        }
        let fresh = |read: Instant| read.elapsed() < FRESH;
        if !self.machine.load().read.is_some_and(fresh) {
            self.machine.store(Arc::new(Machine::read()));
        }
        self.machine.load().addresses.contains(&ip)
    }

    /// Endpoints that are listeners of this process.
    pub(crate) fn loops(&self, ir: &Ir) -> Vec<Loop> {
        let datagrams = ir.datagrams.values().filter_map(|port| port.rule.as_ref());
        let targets =
            datagrams.flat_map(|rule| rule.backends.iter().map(|backend| &backend.target));
        let over_udp: Vec<&ClusterKey> = targets
            .filter_map(|target| match target {
                Target::Cluster(key) => Some(key),
                Target::Invalid(_) => None,
            })
            .collect();
        let of = |cluster: &Arc<Cluster>| {
            let transport = if over_udp.contains(&&cluster.key) {
                Transport::Udp
            } else {
                Transport::Tcp
            };
            let looped = |endpoint: &Endpoint| match endpoint {
                Endpoint::Address(address) if self.has(transport, *address) => Some(Loop {
                    cluster: cluster.key.clone(),
                    endpoint: *address,
                }),
                _ => None,
            };
            let found: Vec<_> = cluster.endpoints.iter().filter_map(looped).collect();
            found
        };
        ir.clusters.values().flat_map(of).collect()
    }
}

/// Whether a socket that is bound to every address takes what comes to this one.
const fn covers(bound: IpAddr, ip: IpAddr) -> bool {
    bound.is_unspecified() && (bound.is_ipv6() || ip.is_ipv4())
}

impl Machine {
    /// As the system says now. Without an answer no address is known, and requests count their hops all the same.
    fn read() -> Self {
        let interfaces = if_addrs::get_if_addrs().unwrap_or_else(|error| {
            tracing::warn!(%error, "the addresses of this machine cannot be listed");
            Vec::new()
        });
        let own = { interfaces.iter() }.filter(|interface| interface.name != OF_SERVICES);
        Self {
            addresses: own.map(|interface| interface.ip().to_canonical()).collect(),
            read: Some(Instant::now()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use ir::Transport::{Tcp, Udp};

    use super::{Arc, Machine, Own};

    fn bound(addresses: &[&str]) -> Own {
        let own = Own::default();
        let parse = |text: &&str| (Tcp, text.parse().unwrap());
        own.bound
            .store(Arc::new(addresses.iter().map(parse).collect()));
        own.machine.store(Arc::new(Machine {
            addresses: ["10.0.0.7", "fd00::7"].map(|ip| ip.parse().unwrap()).into(),
            read: Some(std::time::Instant::now()),
        }));
        own
    }

    fn has(own: &Own, address: &str) -> bool {
        own.has(Tcp, address.parse::<SocketAddr>().unwrap())
    }

    #[test]
    fn a_listener_of_one_address_is_there_alone() {
        let own = bound(&["127.0.0.1:80"]);
        assert!(has(&own, "127.0.0.1:80") && has(&own, "[::ffff:127.0.0.1]:80"));
        for other in ["127.0.0.1:81", "127.0.0.2:80", "10.0.0.7:80", "[::1]:80"] {
            assert!(!has(&own, other), "{other}");
        }
        assert!(!own.has(Udp, "127.0.0.1:80".parse().unwrap()));
    }

    #[test]
    fn a_listener_of_every_address_is_at_all_of_this_machine() {
        let v4 = bound(&["0.0.0.0:80"]);
        for own in ["10.0.0.7:80", "127.3.2.1:80", "0.0.0.0:80"] {
            assert!(has(&v4, own), "{own}");
        }
        for other in ["10.0.0.8:80", "10.0.0.7:8080", "[fd00::7]:80", "[::1]:80"] {
            assert!(!has(&v4, other), "{other}");
        }
        let both = bound(&["[::]:80"]);
        for own in ["10.0.0.7:80", "127.0.0.1:80", "[fd00::7]:80", "[::1]:80"] {
            assert!(has(&both, own), "{own}");
        }
        assert!(!has(&both, "[fd00::8]:80"));
    }

    #[test]
    fn the_system_tells_its_addresses() {
        let machine = Machine::read();
        assert!(machine.addresses.contains(&[127, 0, 0, 1].into()));
    }
}
