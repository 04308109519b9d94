//! Which port of ours each listener's port leads to.

use std::{
    collections::{BTreeMap, HashSet},
    ops::RangeInclusive,
};

use api::{ObjectKey, Resources};
use gateway_core::Demand;
use ir::Transport;

use crate::apply::hash;

/// Listener's port, with what it is numbered for, to port of ours.
pub(super) type Ports = BTreeMap<(Transport, u16), u16>;

/// Ports by Gateway.
#[derive(Debug, Default)]
pub(super) struct Allocation {
    ports: BTreeMap<ObjectKey, Ports>,
}

impl Allocation {
    /// What a Gateway's listeners have; `None`: there were not enough ports.
    pub(super) fn of(&self, gateway: &ObjectKey) -> Option<&Ports> {
        self.ports.get(gateway)
    }

    /// Brings everything up to date. What stands in a Service stays; a port that two Services name is the first
    /// one's; what was chosen and is not in its Service yet stays too.
    pub(super) fn read(
        &mut self,
        resources: &Resources,
        demands: &BTreeMap<ObjectKey, Demand>,
        range: &RangeInclusive<u16>,
    ) {
        let mut before = std::mem::take(&mut self.ports);
        for (key, service) in &resources.services {
            if let Some(owner) = gateway_core::gateway_of(service) {
                let gateway = ObjectKey::new(&key.namespace, &owner.name);
                let known = before.entry(gateway).or_default();
                known.extend(gateway_core::ports_of(service));
            }
        }
        let mut taken = HashSet::new();
        // Older Gateways first: they are the ones that are served by what they have.
        let mut order: Vec<_> = demands.iter().collect();
        order.sort_by_key(|(key, _)| {
            let gateway = resources.gateways.get(*key);
            gateway.and_then(|gateway| gateway.metadata.creation_timestamp.clone())
        });
        let mut open = Vec::new();
        for (gateway, demand) in order {
            let known = before.remove(gateway).unwrap_or_default();
            let mut ports = BTreeMap::new();
            for port in &demand.ports {
                match known
                    .get(port)
                    .filter(|target| range.contains(target) && taken.insert(**target))
                {
                    Some(target) => drop(ports.insert(*port, *target)),
                    None => open.push((gateway, *port)),
                }
            }
            self.ports.insert(gateway.clone(), ports);
        }
        for (gateway, port) in open {
            match choose(gateway, port, range, &mut taken) {
                Some(target) => {
                    if let Some(ports) = self.ports.get_mut(gateway) {
                        ports.insert(port, target);
                    }
                }
                None => drop(self.ports.remove(gateway)),
            }
        }
    }
}

/// The same port for the same listener wherever possible, so that a Service that was deleted comes back as it was.
fn choose(
    gateway: &ObjectKey,
    (transport, port): (Transport, u16),
    range: &RangeInclusive<u16>,
    taken: &mut HashSet<u16>,
) -> Option<u16> {
    let count = u64::from(range.end().checked_sub(*range.start())?) + 1;
    let over = match transport {
        Transport::Tcp => "",
        Transport::Udp => "/udp",
    };
    let start = hash(format!("{gateway}:{port}{over}").as_bytes()) % count;
    let candidates = (0..count).filter_map(|step| {
        let offset = u16::try_from((start + step) % count).ok()?;
        range.start().checked_add(offset)
    });
    candidates
        .into_iter()
        .find(|candidate| taken.insert(*candidate))
}
