//! Ports that could not be bound, in the status of the listeners that want them.

use std::{collections::BTreeSet, sync::Arc};

use api::{
    Condition, ObjectKey,
    condition::{ConditionStatus, reasons, types},
};
use gateway_core::{ListenerStatus, Status};
use ir::{Ir, SocketKey, Transport};

/// Marks listeners as not programmed whose port is among these, with what the system said, and Gateways and ListenerSets
/// that have no other. `ir` is what was to be served.
pub(crate) fn mark(status: &mut Status, ir: &Ir, failed: &[((Transport, SocketKey), String)]) {
    let mut owners = BTreeSet::new();
    for ((transport, socket), why) in failed {
        for name in listeners(ir, *transport, socket) {
            let Some((owner, name)) = parts(name) else {
                continue;
            };
            for listeners in lists(status, &owner) {
                let named = listeners.iter_mut().filter(|l| l.name == name);
                named.for_each(|l| fail(&mut l.conditions, why));
            }
            owners.insert(owner);
        }
    }
    for owner in owners {
        let message = "no listener can be served; see their conditions";
        if let Some(gateway) = status.gateways.get_mut(&owner)
            && !gateway.listeners.iter().any(is_programmed)
        {
            fail(&mut gateway.conditions, message);
        }
        if let Some(set) = status.listener_sets.get_mut(&owner)
            && !set.listeners.iter().any(is_programmed)
        {
            fail(&mut set.conditions, message);
        }
    }
}

/// The listeners that want a socket.
fn listeners<'a>(ir: &'a Ir, transport: Transport, socket: &SocketKey) -> Vec<&'a Arc<str>> {
    match transport {
        Transport::Tcp => {
            let listeners = ir.ports.get(socket).map(|port| port.listeners.iter());
            listeners.into_iter().flatten().map(|l| &l.name).collect()
        }
        Transport::Udp => {
            let port = ir.datagrams.get(socket).into_iter();
            port.map(|port| &port.listener).collect()
        }
    }
}

/// `namespace/owner/listener`.
fn parts(name: &str) -> Option<(ObjectKey, &str)> {
    let (owner, listener) = name.rsplit_once('/')?;
    let (namespace, owner) = owner.split_once('/')?;
    Some((ObjectKey::new(namespace, owner), listener))
}

/// The listeners of a Gateway or ListenerSet of that name.
fn lists<'a>(
    status: &'a mut Status,
    owner: &ObjectKey,
) -> impl Iterator<Item = &'a mut Vec<ListenerStatus>> {
    let gateway = status.gateways.get_mut(owner).map(|g| &mut g.listeners);
    let set = status
        .listener_sets
        .get_mut(owner)
        .map(|s| &mut s.listeners);
    gateway.into_iter().chain(set)
}

fn is_programmed(listener: &ListenerStatus) -> bool {
    let holds = |c: &Condition| c.type_ == types::PROGRAMMED && c.status == ConditionStatus::True;
    listener.conditions.iter().any(holds)
}

fn fail(conditions: &mut [Condition], why: &str) {
    for condition in conditions {
        if condition.type_ == types::PROGRAMMED {
            *condition = Condition::fails(types::PROGRAMMED, reasons::INVALID, why);
        }
    }
}

#[cfg(test)]
mod tests {
    use api::{Resources, yaml};
    use converter::Options;

    use super::*;
    use crate::pipeline::Pipeline;

    const GATEWAY: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: a}
spec:
  gatewayClassName: postern
  listeners:
  - {name: one, port: 80, protocol: HTTP}
  - {name: two, port: 81, protocol: HTTP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: other, namespace: a}
spec:
  gatewayClassName: postern
  listeners:
  - {name: one, port: 82, protocol: HTTP}
";

    fn marked(failed: &[u16]) -> Vec<String> {
        let mut resources = Resources::default();
        for (object, _) in yaml::read(GATEWAY).objects {
            resources.insert(object);
        }
        let mut made = Pipeline::new(Options::default()).run(&resources);
        assert_eq!(made.ir.ports.len(), 3);
        let socket = |port: &u16| SocketKey {
            address: None,
            port: *port,
        };
        let why = |port: &u16| {
            let key = (Transport::Tcp, socket(port));
            (key, format!("port {port} is taken"))
        };
        let failed: Vec<_> = failed.iter().map(why).collect();
        mark(&mut made.status, &made.ir, &failed);
        let problems = made.status.problems();
        problems
            .map(|(object, listener, condition)| format!("{object} {listener}: {condition}"))
            .collect()
    }

    #[test]
    fn a_gateway_is_programmed_while_one_of_its_listeners_is() {
        assert_eq!(marked(&[]), [""; 0]);
        assert_eq!(
            marked(&[81]),
            ["Gateway/a/edge two: Programmed=False (Invalid): port 81 is taken"]
        );
        let none = "Programmed=False (Invalid): no listener can be served; see their conditions";
        let all = [
            format!("Gateway/a/edge : {none}"),
            "Gateway/a/edge one: Programmed=False (Invalid): port 80 is taken".to_owned(),
            "Gateway/a/edge two: Programmed=False (Invalid): port 81 is taken".to_owned(),
        ];
        assert_eq!(marked(&[80, 81]), all);
        assert_eq!(marked(&[7]), [""; 0], "nobody's port");
    }

    #[test]
    fn the_listener_of_a_udp_port_is_found_by_that_alone() {
        let socket = SocketKey {
            address: None,
            port: 53,
        };
        let port = ir::DatagramPort {
            listener: "a/edge/dns".into(),
            advertised: None,
            rule: None,
        };
        let ir = Ir {
            datagrams: [(socket, port)].into(),
            ..Ir::default()
        };
        let found = listeners(&ir, Transport::Udp, &socket);
        assert_eq!(
            found.iter().map(|name| &***name).collect::<Vec<_>>(),
            ["a/edge/dns"]
        );
        assert!(listeners(&ir, Transport::Tcp, &socket).is_empty());
    }
}
