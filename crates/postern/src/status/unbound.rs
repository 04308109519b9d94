//! Ports that could not be bound, in the status of the listeners that want them.

use std::collections::BTreeSet;

use api::{
    Condition, ObjectKey,
    condition::{ConditionStatus, reasons, types},
};
use gateway_core::{ListenerStatus, Status};
use ir::{Ir, SocketKey};

/// Marks listeners as not programmed whose port is among these, with what the system said, and Gateways and ListenerSets
/// that have no other. `ir` is what was to be served.
pub(crate) fn mark(status: &mut Status, ir: &Ir, failed: &[(SocketKey, String)]) {
    let mut owners = BTreeSet::new();
    for (socket, why) in failed {
        let listeners = ir.ports.get(socket).into_iter();
        for listener in listeners.flat_map(|port| &port.listeners) {
            let Some((owner, name)) = parts(&listener.name) else {
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
        let why = |port: &u16| (socket(port), format!("port {port} is taken"));
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
}
