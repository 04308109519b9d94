//! Ports that could not be bound, in the status of the listeners that want them.

use std::{collections::BTreeSet, sync::Arc};

use api::{
    Condition, ObjectKey,
    condition::{ConditionStatus, reasons, types},
};
use gateway_core::{ListenerStatus, Status};
use ir::{DatagramPort, Ir, ListenerKey, ListenerParent, SocketKey, Transport};

/// Marks listeners as not programmed whose port is among these, with what the system said, and Gateways and
/// ListenerSets that have no other. `ir` is what was to be served.
pub(crate) fn mark(status: &mut Status, ir: &Ir, failed: &[((Transport, SocketKey), String)]) {
    let mut parents = BTreeSet::new();
    for ((transport, socket), why) in failed {
        for key in listeners(ir, *transport, socket) {
            let Some((listeners, _)) = told(status, key) else {
                continue;
            };
            let named = listeners.iter_mut().filter(|l| *l.name == *key.listener);
            named.for_each(|l| fail(&mut l.conditions, why));
            parents.insert(key);
        }
    }
    for key in parents {
        if let Some((listeners, conditions)) = told(status, key)
            && !listeners.iter().any(is_programmed)
        {
            fail(
                conditions,
                "no listener can be served; see their conditions",
            );
        }
    }
}

/// The listeners that want a socket: of all objects that share it.
fn listeners<'a>(ir: &'a Ir, transport: Transport, socket: &SocketKey) -> Vec<&'a ListenerKey> {
    match transport {
        Transport::Tcp => {
            let listeners = ir.ports.get(socket).map(|port| port.listeners.iter());
            let listeners = listeners.into_iter().flatten();
            listeners.flat_map(|listener| listener.keys()).collect()
        }
        Transport::Udp => {
            let port = ir.datagrams.get(socket).into_iter();
            port.flat_map(DatagramPort::listeners).collect()
        }
    }
}

/// What is said of the object that declares a listener: of each of its listeners, and of itself.
fn told<'a>(
    status: &'a mut Status,
    key: &ListenerKey,
) -> Option<(&'a mut Vec<ListenerStatus>, &'a mut Vec<Condition>)> {
    let object = ObjectKey {
        namespace: Arc::clone(&key.namespace),
        name: Arc::clone(&key.name),
    };
    match key.parent {
        ListenerParent::Gateway => {
            let gateway = status.gateways.get_mut(&object)?;
            Some((&mut gateway.listeners, &mut gateway.conditions))
        }
        ListenerParent::ListenerSet => {
            let set = status.listener_sets.get_mut(&object)?;
            Some((&mut set.listeners, &mut set.conditions))
        }
    }
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

    /// A ListenerSet of the name of its Gateway, with a listener of the same name.
    const SET: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: one, namespace: a}
spec:
  gatewayClassName: postern
  allowedListeners: {namespaces: {from: Same}}
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: dns, port: 53, protocol: UDP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: one, namespace: a}
spec:
  parentRef: {name: one}
  listeners:
  - {name: http, port: 81, protocol: HTTP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: two, namespace: b}
spec:
  gatewayClassName: postern
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: other, port: 81, protocol: HTTP, hostname: b.example.com}
  - {name: dns, port: 53, protocol: UDP}
";

    const NONE: &str =
        "Programmed=False (Invalid): no listener can be served; see their conditions";

    /// What is told when these ports are taken.
    fn marked(manifests: &str, failed: &[(Transport, u16)]) -> Vec<String> {
        let mut resources = Resources::default();
        for (object, _) in yaml::read(manifests).objects {
            resources.insert(object);
        }
        let mut made = Pipeline::new(Options::default()).run(&resources);
        let why = |(transport, port): &(Transport, u16)| {
            let socket = SocketKey {
                address: None,
                port: *port,
            };
            ((*transport, socket), format!("port {port} is taken"))
        };
        let failed: Vec<_> = failed.iter().map(why).collect();
        mark(&mut made.status, &made.ir, &failed);
        let problems = made.status.problems();
        problems
            .map(|(object, listener, condition)| format!("{object} {listener}: {condition}"))
            .collect()
    }

    /// That a listener, or all of an object, is not served for this port.
    fn taken(listener: &str, port: u16) -> String {
        format!("{listener}: Programmed=False (Invalid): port {port} is taken")
    }

    #[test]
    fn a_gateway_is_programmed_while_one_of_its_listeners_is() {
        let marked = |failed: &[u16]| {
            let failed: Vec<_> = failed.iter().map(|port| (Transport::Tcp, *port)).collect();
            marked(GATEWAY, &failed)
        };
        assert_eq!(marked(&[]), [""; 0]);
        assert_eq!(marked(&[81]), [taken("Gateway/a/edge two", 81)]);
        let all = [
            format!("Gateway/a/edge : {NONE}"),
            taken("Gateway/a/edge one", 80),
            taken("Gateway/a/edge two", 81),
        ];
        assert_eq!(marked(&[80, 81]), all);
        assert_eq!(marked(&[7]), [""; 0], "nobody's port");
    }

    #[test]
    fn a_port_that_is_taken_is_taken_from_all_who_share_it() {
        assert_eq!(marked(SET, &[]), [""; 0]);
        let all = [
            taken("Gateway/a/one http", 80),
            taken("Gateway/b/two http", 80),
        ];
        assert_eq!(marked(SET, &[(Transport::Tcp, 80)]), all);
        let all = [
            taken("Gateway/a/one dns", 53),
            taken("Gateway/b/two dns", 53),
        ];
        assert_eq!(marked(SET, &[(Transport::Udp, 53)]), all);
        assert_eq!(marked(SET, &[(Transport::Tcp, 53)]), [""; 0]);
    }

    #[test]
    fn a_set_of_the_name_of_its_gateway_is_another() {
        let all = [
            taken("Gateway/b/two other", 81),
            format!("ListenerSet/a/one : {NONE}"),
            taken("ListenerSet/a/one http", 81),
        ];
        assert_eq!(marked(SET, &[(Transport::Tcp, 81)]), all);
    }
}
