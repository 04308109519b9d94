use serde_json::json;

use api::condition::types;

use super::*;
use crate::Status;

const GATEWAY: &str = r"
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { namespace: shop, name: NAME, uid: uid-NAME, generation: 1, creationTimestamp: CREATED }
spec:
  gatewayClassName: postern
  listeners:
    - { name: http, port: 80, protocol: HTTP }
    - { name: alt, port: 8080, protocol: HTTP }
";

fn gateway(resources: &mut Resources, name: &str, created: &str) {
    let text = GATEWAY.replace("NAME", name).replace("CREATED", created);
    let read = api::yaml::read(&text);
    assert_eq!(read.errors, []);
    for (object, _) in read.objects {
        resources.insert(object);
    }
}

/// The Service of a Gateway, with the ports that its ports lead to.
fn service(resources: &mut Resources, gateway: &str, ports: &[(u16, u16)], ips: &[&str]) {
    let ports = ports
        .iter()
        .map(|(port, target)| json!({ "port": port, "targetPort": target }));
    let ips = ips.iter().map(|ip| json!({ "ip": ip }));
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "namespace": "shop", "name": format!("{gateway}-postern"),
            "labels": { "app.kubernetes.io/managed-by": "postern" },
            "ownerReferences": [{
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
                "name": gateway, "uid": format!("uid-{gateway}"),
            }],
        },
        "spec": { "type": "LoadBalancer", "ports": ports.collect::<Vec<_>>() },
        "status": { "loadBalancer": { "ingress": ips.collect::<Vec<_>>() } },
    });
    resources.insert(api::Object::from_json(Kind::Service, service).unwrap());
}

fn translate(resources: &Resources) -> crate::Translation {
    let options = Options {
        topology: Topology::Services,
        ..Options::default()
    };
    crate::translate(resources, &options)
}

fn programmed(status: &Status, gateway: &str) -> String {
    let status = &status.gateways[&ObjectKey::new("shop", gateway)];
    let condition = status
        .conditions
        .iter()
        .find(|c| c.type_ == "Programmed")
        .unwrap();
    format!("{:?} {}", condition.status, condition.reason)
}

fn bound(made: &crate::Translation) -> Vec<(u16, Option<u16>)> {
    made.ir
        .ports
        .iter()
        .map(|(key, port)| (key.port, port.advertised))
        .collect()
}

#[test]
fn a_gateway_waits_for_its_service() {
    let mut resources = Resources::default();
    gateway(&mut resources, "a", "2026-01-01T00:00:00Z");
    let made = translate(&resources);
    assert_eq!(programmed(&made.status, "a"), "False AddressNotAssigned");
    assert_eq!(bound(&made), []);
    let demand = &made.demands[&ObjectKey::new("shop", "a")];
    assert_eq!(
        demand.ports,
        BTreeSet::from([(Transport::Tcp, 80), (Transport::Tcp, 8080)])
    );
    service(&mut resources, "a", &[(80, 10000)], &[]);
    let made = translate(&resources);
    assert_eq!(programmed(&made.status, "a"), "False AddressNotAssigned");
    assert_eq!(bound(&made), [(10000, Some(80))]);
    service(
        &mut resources,
        "a",
        &[(80, 10000), (8080, 10001)],
        &["10.0.0.1", "10.0.0.1"],
    );
    let made = translate(&resources);
    assert_eq!(programmed(&made.status, "a"), "True Programmed");
    assert_eq!(bound(&made), [(10000, Some(80)), (10001, Some(8080))]);
    let status = &made.status.gateways[&ObjectKey::new("shop", "a")];
    assert_eq!(status.addresses, [Address::from("10.0.0.1")]);
}

#[test]
fn gateways_never_share_a_socket() {
    let mut resources = Resources::default();
    gateway(&mut resources, "b", "2026-01-01T00:00:00Z");
    gateway(&mut resources, "a", "2026-01-02T00:00:00Z");
    service(
        &mut resources,
        "a",
        &[(80, 10000), (8080, 10001)],
        &["10.0.0.1"],
    );
    service(
        &mut resources,
        "b",
        &[(80, 10000), (8080, 10002)],
        &["10.0.0.2"],
    );
    let made = translate(&resources);
    assert_eq!(
        bound(&made),
        [(10000, Some(80)), (10001, Some(8080)), (10002, Some(8080))]
    );
    let listener = &made.ir.ports.values().next().unwrap().listeners[0];
    assert_eq!(
        listener.key.to_string(),
        "shop/b/http",
        "the older Gateway has it"
    );
}

#[test]
fn a_service_of_an_earlier_gateway_or_of_somebody_else_is_not_ours() {
    let mut resources = Resources::default();
    gateway(&mut resources, "a", "2026-01-01T00:00:00Z");
    service(&mut resources, "a", &[(80, 10000)], &["10.0.0.1"]);
    let key = ObjectKey::new("shop", "a-postern");
    let ours = (*resources.services[&key]).clone();
    let mut earlier = ours.clone();
    earlier.metadata.owner_references.as_mut().unwrap()[0].uid = "another".to_owned();
    let mut foreign = ours;
    foreign.metadata.labels = None;
    for service in [earlier, foreign] {
        resources.insert(service.into());
        assert_eq!(bound(&translate(&resources)), []);
    }
}

#[test]
fn addresses_that_are_asked_for_have_to_be_there() {
    let mut resources = Resources::default();
    gateway(&mut resources, "a", "2026-01-01T00:00:00Z");
    service(
        &mut resources,
        "a",
        &[(80, 10000), (8080, 10001)],
        &["10.0.0.1"],
    );
    let key = ObjectKey::new("shop", "a");
    let mut check = |addresses: serde_json::Value, wanted: &str| {
        let mut gateway = serde_json::to_value(&*resources.gateways[&key]).unwrap();
        gateway["spec"]["addresses"] = addresses.clone();
        resources.insert(api::Object::from_json(Kind::Gateway, gateway).unwrap());
        assert_eq!(
            programmed(&translate(&resources).status, "a"),
            wanted,
            "{addresses}"
        );
    };
    check(
        json!([{ "type": "IPAddress", "value": "10.0.0.1" }]),
        "True Programmed",
    );
    check(
        json!([{ "type": "IPAddress", "value": "10.0.0.9" }]),
        "False AddressNotUsable",
    );
}

/// The status of a Gateway with these addresses: conditions about them, and where it is found.
fn assigned(
    addresses: &serde_json::Value,
    type_: &str,
    topology: Topology,
) -> (Vec<String>, Vec<(String, Option<&'static str>)>) {
    let mut resources = Resources::default();
    gateway(&mut resources, "a", "2026-01-01T00:00:00Z");
    let key = ObjectKey::new("shop", "a");
    let mut gateway = serde_json::to_value(&*resources.gateways[&key]).unwrap();
    gateway["spec"]["addresses"] = addresses.clone();
    resources.insert_reading(api::Object::read(Kind::Gateway, gateway).unwrap());
    service(
        &mut resources,
        "a",
        &[(80, 10000), (8080, 10001)],
        &["203.0.113.1"],
    );
    let service = &resources.services[&ObjectKey::new("shop", "a-postern")];
    let mut service = serde_json::to_value(&**service).unwrap();
    service["spec"]["type"] = type_.into();
    service["spec"]["clusterIPs"] = json!(["10.96.0.7"]);
    resources.insert(api::Object::from_json(Kind::Service, service).unwrap());
    let options = Options {
        topology,
        ..Options::default()
    };
    let status = crate::translate(&resources, &options).status;
    let status = &status.gateways[&key];
    let about = [
        types::ACCEPTED,
        types::PROGRAMMED,
        types::ADDRESSES_ASSIGNED,
    ];
    let said = status
        .conditions
        .iter()
        .filter(|condition| about.contains(&condition.type_));
    let said = said.map(|condition| {
        format!(
            "{}={:?} {}",
            condition.type_, condition.status, condition.reason
        )
    });
    let found = status
        .addresses
        .iter()
        .map(|address| (address.value.clone(), address.routability));
    (said.collect(), found.collect())
}

#[test]
fn an_address_inside_the_cluster_is_that_of_the_service_and_of_no_load_balancer() {
    let cluster = json!({"routability": "Cluster"});
    let ip = |value: &str, routability| (value.to_owned(), Some(routability));
    let check = |addresses: serde_json::Value, type_: &str, said: [&str; 3], found: Vec<_>| {
        let (conditions, addresses_found) = assigned(&addresses, type_, Topology::Services);
        assert_eq!(conditions, said, "{addresses}");
        assert_eq!(addresses_found, found, "{addresses}");
    };
    let good = [
        "Accepted=True Accepted",
        "Programmed=True Programmed",
        "AddressesAssigned=True AddressesAssigned",
    ];
    check(
        json!([cluster]),
        "ClusterIP",
        good,
        vec![ip("10.96.0.7", "Cluster")],
    );
    let waits = [
        "Accepted=True Accepted",
        "Programmed=False AddressNotAssigned",
        "AddressesAssigned=False NotAssigned",
    ];
    check(json!([cluster]), "LoadBalancer", waits, vec![]);
    check(json!([cluster]), "NodePort", waits, vec![]);
    let both = vec![ip("203.0.113.1", ""), ip("10.96.0.7", "Cluster")];
    check(
        json!([{"routability": ""}, cluster]),
        "LoadBalancer",
        good,
        both.clone(),
    );
    check(json!([{}, cluster]), "LoadBalancer", good, both);
    let own = json!([{"value": "10.96.0.7", "routability": "Cluster"}]);
    check(own, "ClusterIP", good, vec![ip("10.96.0.7", "Cluster")]);
    let other = json!([{"value": "10.0.0.1", "routability": "Cluster"}]);
    let unusable = [
        "Accepted=True Accepted",
        "Programmed=False AddressNotUsable",
        "AddressesAssigned=False NotAssigned",
    ];
    check(other, "ClusterIP", unusable, vec![]);
    let partly = [
        "Accepted=True Accepted",
        "Programmed=False AddressNotAssigned",
        "AddressesAssigned=False PartiallyAssigned",
    ];
    check(
        json!([cluster, cluster]),
        "ClusterIP",
        partly,
        vec![ip("10.96.0.7", "Cluster")],
    );
}

#[test]
fn what_cannot_be_kept_inside_is_not_served() {
    let refused = [
        "Accepted=False UnsupportedAddress",
        "Programmed=False AddressNotAssigned",
        "AddressesAssigned=False NotAssigned",
    ];
    for routability in [
        "Private",
        "Public",
        "example.com/CorpWan",
        "testing.x-k8s.io/other",
    ] {
        let addresses = json!([{"routability": routability}, {}]);
        let (said, _) = assigned(&addresses, "ClusterIP", Topology::Services);
        assert_eq!(said, refused, "{routability}");
    }
    let (said, _) = assigned(
        &json!([{"routability": "Cluster"}]),
        "ClusterIP",
        Topology::AsWritten,
    );
    assert_eq!(
        said, refused,
        "nothing is bound to an address of the cluster"
    );
    let (said, found) = assigned(&json!([{}]), "LoadBalancer", Topology::Services);
    assert_eq!(
        said,
        ["Accepted=True Accepted", "Programmed=True Programmed"]
    );
    assert_eq!(
        found,
        [("203.0.113.1".to_owned(), None)],
        "who says nothing is told nothing"
    );
}
