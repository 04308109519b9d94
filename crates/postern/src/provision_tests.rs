use api::Object;
use ir::Transport;
use serde_json::{Value, json};

use super::*;

fn options() -> Options {
    Options {
        service_type: Some("LoadBalancer"),
        ports: 10000..=10002,
        data_plane: ObjectKey::new("system", "postern"),
        controller: "c".to_owned(),
        traffic_policy: TrafficPolicy::Cluster,
        for_ingresses: ForIngresses {
            gateway: ObjectKey::new("system", "postern"),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        },
    }
}

fn insert(resources: &mut Resources, kind: Kind, mut value: Value) {
    value["apiVersion"] = kind.api_version().into();
    value["kind"] = kind.as_str().into();
    resources.insert(Object::from_json(kind, value).unwrap());
}

fn gateway(resources: &mut Resources, name: &str) {
    let value = json!({
        "metadata": { "namespace": "shop", "name": name, "uid": format!("uid-{name}"), "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": {
            "gatewayClassName": "postern",
            "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }],
            "infrastructure": { "labels": { "team": "a" }, "annotations": { "note": "b" } },
        },
    });
    insert(resources, Kind::Gateway, value);
}

fn demand(ports: &[u16]) -> Demand {
    Demand {
        ports: ports.iter().map(|port| (Transport::Tcp, *port)).collect(),
        ..Demand::default()
    }
}

/// Takes the steps as the API server would.
fn take(resources: &mut Resources, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Apply(object, body) => {
                let mut body = body.clone();
                body["metadata"]["uid"] = format!("uid-{object}").into();
                insert(resources, object.kind, body);
            }
            Step::Delete(object, _) => drop(resources.remove(object)),
            Step::Release(object, ..) => panic!("{object} is no one's to release"),
        }
    }
}

fn names(steps: &[Step]) -> Vec<String> {
    let name = |step: &Step| match step {
        Step::Apply(object, _) => format!("apply {object}"),
        Step::Delete(object, _) => format!("delete {object}"),
        Step::Release(object, ..) => format!("release {object}"),
    };
    steps.iter().map(name).collect()
}

/// Labels and annotations come from the Gateway's infrastructure.
fn propagates(service: &Value) {
    let labels = &service["metadata"]["labels"];
    assert_eq!(labels["team"], "a");
    assert_eq!(labels["gateway.networking.k8s.io/gateway-name"], "web");
    assert_eq!(service["metadata"]["annotations"]["note"], "b");
    assert_eq!(service["spec"]["type"], "LoadBalancer");
}

/// The endpoints of the data plane stand beside the Service, on the ports that it leads to.
fn copies(step: &Step, service: &Value) {
    let Step::Apply(_, copy) = step else {
        panic!("{step:?}");
    };
    assert_eq!(copy["endpoints"][0]["addresses"], json!(["10.1.0.1"]));
    assert_eq!(
        copy["ports"][0]["port"],
        service["spec"]["ports"][0]["targetPort"]
    );
    let labels = &copy["metadata"]["labels"];
    assert_eq!(labels["kubernetes.io/service-name"], "web-postern");
}

#[test]
fn udp_has_ports_of_its_own() {
    let mut resources = Resources::default();
    gateway(&mut resources, "dns");
    let mut demand = demand(&[53]);
    demand.ports.insert((Transport::Udp, 53));
    let demands = BTreeMap::from([(ObjectKey::new("shop", "dns"), demand)]);
    let made = steps(&resources, &demands, &options(), &mut Memory::default());
    let Step::Apply(_, body) = &made[0] else {
        panic!("{made:?}");
    };
    let ports = body["spec"]["ports"].as_array().unwrap();
    let said: Vec<_> = ports
        .iter()
        .map(|port| (&port["name"], &port["port"], &port["protocol"]))
        .collect();
    assert_eq!(
        said,
        [
            (&json!("port-53"), &json!(53), &json!("TCP")),
            (&json!("udp-53"), &json!(53), &json!("UDP"))
        ]
    );
    assert_ne!(ports[0]["targetPort"], ports[1]["targetPort"]);
    take(&mut resources, &made);
    assert_eq!(
        steps(&resources, &demands, &options(), &mut Memory::default()),
        []
    );
}

#[test]
fn a_gateway_gets_a_service_once_and_keeps_its_ports() {
    let mut resources = Resources::default();
    gateway(&mut resources, "web");
    let slice = json!({
        "metadata": { "namespace": "system", "name": "postern-x", "labels": { "kubernetes.io/service-name": "postern" } },
        "addressType": "IPv4",
        "endpoints": [{ "addresses": ["10.1.0.1"], "conditions": { "ready": true }, "nodeName": "n" }],
        "ports": [{ "port": 1 }],
    });
    insert(&mut resources, Kind::EndpointSlice, slice);
    let key = ObjectKey::new("shop", "web");
    let mut demands = BTreeMap::from([(key.clone(), demand(&[80]))]);
    let mut memory = Memory::default();
    let first = steps(&resources, &demands, &options(), &mut memory);
    assert_eq!(first.len(), 2, "{:?}", names(&first));
    assert_eq!(
        steps(&resources, &demands, &options(), &mut memory),
        [],
        "asked for once"
    );
    let Step::Apply(_, body) = &first[0] else {
        panic!("{first:?}");
    };
    assert_eq!(body["metadata"]["name"], "web-postern");
    propagates(body);
    copies(&first[1], body);
    take(&mut resources, &first);
    // Another replica, with no memory, finds all as it should be.
    assert_eq!(
        steps(&resources, &demands, &options(), &mut Memory::default()),
        []
    );
    let target = body["spec"]["ports"][0]["targetPort"].clone();
    demands.insert(key.clone(), demand(&[80, 443]));
    let more = steps(&resources, &demands, &options(), &mut Memory::default());
    let Step::Apply(_, body) = &more[0] else {
        panic!("{more:?}");
    };
    assert_eq!(body["spec"]["ports"][0]["targetPort"], target);
    assert_ne!(body["spec"]["ports"][1]["targetPort"], target);
    take(&mut resources, &more);
    // Nothing of it can be served at the moment: what is there stays. The Gateway is another class' now: it goes.
    demands.insert(key.clone(), demand(&[]));
    assert_eq!(
        steps(&resources, &demands, &options(), &mut Memory::default()),
        []
    );
    demands.clear();
    let other = Options {
        controller: "other".to_owned(),
        ..options()
    };
    assert_eq!(
        steps(&resources, &demands, &other, &mut Memory::default()),
        [],
        "not another installation's to delete"
    );
    let gone = steps(&resources, &demands, &options(), &mut Memory::default());
    let slice = &names(&first)[1].replace("apply", "delete");
    assert_eq!(names(&gone), ["delete Service/shop/web-postern", slice]);
}

#[test]
fn ports_run_out_for_the_last_gateway_and_for_no_other() {
    let mut resources = Resources::default();
    let mut demands = BTreeMap::new();
    for name in ["a", "b"] {
        gateway(&mut resources, name);
        demands.insert(ObjectKey::new("shop", name), demand(&[80, 443]));
    }
    let made = steps(&resources, &demands, &options(), &mut Memory::default());
    assert_eq!(names(&made), ["apply Service/shop/a-postern"]);
}

#[test]
fn a_service_of_somebody_else_is_let_alone() {
    let mut resources = Resources::default();
    gateway(&mut resources, "web");
    let service = json!({ "metadata": { "namespace": "shop", "name": "web-postern", "uid": "u" }, "spec": {} });
    insert(&mut resources, Kind::Service, service);
    let demands = BTreeMap::from([(ObjectKey::new("shop", "web"), demand(&[80]))]);
    assert_eq!(
        steps(&resources, &demands, &options(), &mut Memory::default()),
        []
    );
}

#[test]
fn every_gateway_has_a_service_name_of_its_own() {
    let long = "a".repeat(253);
    let gateways = [
        "web",
        "1st",
        "a.b",
        "a-b",
        &long,
        &format!("{}b", "a".repeat(252)),
    ];
    let mut seen = BTreeSet::new();
    for name in gateways {
        let mut resources = Resources::default();
        gateway(&mut resources, name);
        let demands = BTreeMap::from([(ObjectKey::new("shop", name), demand(&[80]))]);
        let made = steps(&resources, &demands, &options(), &mut Memory::default());
        let Some(Step::Apply(object, body)) = made.first() else {
            panic!("{name}");
        };
        let name = object.key.name.clone();
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(
            name.len() <= 63
                && name.chars().all(valid)
                && name.starts_with(|c: char| c.is_ascii_lowercase()),
            "{name}"
        );
        let label = body["metadata"]["labels"]["gateway.networking.k8s.io/gateway-name"]
            .as_str()
            .unwrap();
        assert!(label.len() <= 63, "{label}");
        assert!(seen.insert(name));
    }
}

#[test]
fn the_gateway_for_ingresses_has_labels_and_annotations_beside_and_every_service_the_policy() {
    let mut resources = Resources::default();
    gateway(&mut resources, "edge");
    gateway(&mut resources, "web");
    let keys = ["edge", "web"].map(|name| ObjectKey::new("shop", name));
    let demands: BTreeMap<_, _> = keys
        .iter()
        .map(|key| (key.clone(), demand(&[80])))
        .collect();
    let pairs = |all: &[(&str, &str)]| {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        all.iter().map(owned).collect()
    };
    let mut options = Options {
        traffic_policy: TrafficPolicy::Local,
        for_ingresses: ForIngresses {
            gateway: keys[0].clone(),
            labels: pairs(&[("tier", "edge"), ("team", "other")]),
            annotations: pairs(&[("example.com/lb", "a=b,c")]),
        },
        ..options()
    };
    let services = |options: &Options, resources: &Resources| {
        let made = steps(resources, &demands, options, &mut Memory::default());
        let bodies = made.into_iter().filter_map(|step| match step {
            Step::Apply(object, body) if object.kind == Kind::Service => Some(body),
            _ => None,
        });
        bodies.collect::<Vec<_>>()
    };
    let made = services(&options, &resources);
    let [edge, web] = &made[..] else {
        panic!("{made:?}");
    };
    let of = |service: &Value, key: &str| service["metadata"][key].clone();
    assert_eq!(of(edge, "labels")["tier"], "edge");
    assert_eq!(of(edge, "labels")["team"], "a", "the Gateway's own counts");
    assert_eq!(of(edge, "annotations")["example.com/lb"], "a=b,c");
    assert_eq!(of(web, "annotations")["example.com/lb"], Value::Null);
    assert_eq!(of(web, "labels")["tier"], Value::Null);
    for service in [edge, web] {
        assert_eq!(service["spec"]["externalTrafficPolicy"], "Local");
    }
    // Neither is where nothing outside leads to the Service.
    options.service_type = Some("ClusterIP");
    let made = services(&options, &resources);
    assert_eq!(made[0]["spec"]["externalTrafficPolicy"], Value::Null);
    // What is not asked for any more is applied without.
    options.service_type = Some("LoadBalancer");
    let made = steps(&resources, &demands, &options, &mut Memory::default());
    take(&mut resources, &made);
    assert_eq!(services(&options, &resources), [Value::Null; 0]);
    options.traffic_policy = TrafficPolicy::Cluster;
    options.for_ingresses.annotations.clear();
    let made = services(&options, &resources);
    assert_eq!(
        made[0]["metadata"]["annotations"]["example.com/lb"],
        Value::Null
    );
    assert_eq!(made[0]["spec"]["externalTrafficPolicy"], Value::Null);
}
