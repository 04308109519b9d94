//! Addresses that a Gateway asks for, and from where each is to be reached (GEP-5093).

use std::net::IpAddr;

use api::{Beyond, condition::reasons, gateway::gateways::GatewayAddresses};

use super::Topology;
use crate::fault::Fault;

/// Reached from inside the cluster alone.
pub(crate) const CLUSTER: &str = "Cluster";

/// What the addresses of a Gateway come to.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Addresses of the default kind; `None` is one that is left to us: where listeners are bound as written, every
    /// address.
    pub(crate) plain: Vec<Option<IpAddr>>,
    /// Addresses of the Gateway's Service inside the cluster; `None` is any.
    pub(crate) inside: Vec<Option<IpAddr>>,
    /// It says from where addresses are to be reached, so that its status says it too.
    pub(crate) scoped: bool,
}

impl Wanted {
    /// Whether nobody outside the cluster is to reach it.
    pub(crate) fn is_private(&self) -> bool {
        self.plain.is_empty() && !self.inside.is_empty()
    }

    /// Reads them.
    ///
    /// > An implementation MUST NOT satisfy a `Cluster` or prefixed entry with an address of a different routability
    /// > value and MUST treat an unrecognized routability value as unsatisfiable.
    pub(crate) fn of(
        declared: Option<&[GatewayAddresses]>,
        beyond: Option<&Beyond>,
        topology: Topology,
    ) -> (Self, Option<Fault>) {
        let (mut wanted, mut fault) = (Self::default(), None);
        for (place, address) in declared.unwrap_or_default().iter().enumerate() {
            let routability = beyond.and_then(|beyond| beyond.routability(place));
            wanted.scoped |= routability.is_some();
            let list = match (routability.unwrap_or_default(), topology) {
                ("", _) => Ok(&mut wanted.plain),
                (CLUSTER, Topology::Services) => Ok(&mut wanted.inside),
                (CLUSTER, Topology::AsWritten) => Err(format!(
                    "addresses[{place}].routability {CLUSTER} needs a Service for the Gateway, and Gateways have none here"
                )),
                (other, _) => Err(format!(
                    "addresses[{place}].routability {other:?} is not supported; there is {CLUSTER}"
                )),
            };
            let read = list.and_then(|list| Ok((list, value(address)?)));
            match read {
                // The same address twice is one; of those that are left to us, each is another one inside the cluster.
                Ok((list, value))
                    if list.contains(&value)
                        && (value.is_some() || routability.is_none_or(str::is_empty)) => {}
                Ok((list, value)) => list.push(value),
                Err(why) => fault = fault.or(Some(Fault::new(reasons::UNSUPPORTED_ADDRESS, why))),
            }
        }
        if wanted.plain.is_empty() && wanted.inside.is_empty() {
            wanted.plain.push(None);
        }
        (wanted, fault)
    }
}

/// An address without value leaves the choice to us.
fn value(address: &GatewayAddresses) -> Result<Option<IpAddr>, String> {
    let kind = address.r#type.as_deref().unwrap_or("IPAddress");
    let value = address.value.as_deref().filter(|value| !value.is_empty());
    match value.map(str::parse::<IpAddr>).transpose() {
        Ok(parsed) if kind == "IPAddress" => Ok(parsed),
        _ => Err(format!(
            "address {:?} of type {kind} is not supported; use an IPAddress",
            value.unwrap_or_default()
        )),
    }
}
