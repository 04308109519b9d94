//! No input panics, and a broken object harms no other.

use std::{path::Path, sync::LazyLock};

use api::{Object, Resources, yaml};
use ir::{Ir, VirtualHost};
use proptest::prelude::{Strategy, any, prop_oneof, proptest};
use serde_json::Value;

use crate::{Options, Translator, testing};

/// The objects of every golden case, each case as a list of JSON objects.
static CASES: LazyLock<Vec<Vec<Value>>> = LazyLock::new(|| {
    let mut cases = Vec::new();
    let topics = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    for topic in std::fs::read_dir(topics).unwrap() {
        let topic = topic.unwrap().path();
        let base = std::fs::read_to_string(topic.join("_base.yaml")).unwrap_or_default();
        for file in std::fs::read_dir(&topic).unwrap() {
            let path = file.unwrap().path();
            if path.to_string_lossy().ends_with(".in.yaml") {
                let text = std::fs::read_to_string(path).unwrap();
                let resources = testing::resources(&format!("{base}\n---\n{text}"));
                cases.push(resources.iter().map(|object| json(&object)).collect());
            }
        }
    }
    assert!(cases.len() > 30, "{}", cases.len());
    cases
});

fn json(object: &Object) -> Value {
    serde_saphyr::from_str(&yaml::document(object)).unwrap()
}

/// What is readable of some JSON objects.
fn read(objects: &[Value]) -> Resources {
    let mut resources = Resources::default();
    for object in objects {
        resources.extend(yaml::read(&object.to_string()).into_resources());
    }
    resources
}

fn leaves<'a>(value: &'a mut Value, into: &mut Vec<&'a mut Value>) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(|v| leaves(v, into)),
        Value::Array(items) => items.iter_mut().for_each(|v| leaves(v, into)),
        leaf => into.push(leaf),
    }
}

/// Overwrites one leaf, chosen by `at`.
fn mutate(value: &mut Value, at: usize, with: Value) {
    let mut all = Vec::new();
    leaves(value, &mut all);
    if !all.is_empty() {
        let at = at % all.len();
        *all.swap_remove(at) = with;
    }
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        "\\PC{0,20}".prop_map(Value::from),
        "[/a-z*.:$(){}\\[\\]?%-]{0,12}".prop_map(Value::from),
        "[0-9]{0,6}(h|m|s|ms)?".prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-1..600_i32).prop_map(Value::from),
        proptest::bool::ANY.prop_map(Value::from),
        proptest::strategy::Just(Value::Null),
    ]
}

const NEIGHBOUR: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec:
  gatewayClassName: postern
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: neighbour, namespace: default}
spec:
  parentRefs: [{name: gw}]
  hostnames: [neighbour.example.com]
  rules:
  - filters: [{type: RequestMirror, requestMirror: {backendRef: {name: svc, port: 80}}}]
    backendRefs: [{name: svc, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: svc, namespace: default, annotations: {postern.dev/endpoints: "127.0.0.1:80"}}
spec: {ports: [{port: 80}]}
"#;

const BROKEN: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: broken, namespace: default}
spec:
  parentRefs: [{name: gw}]
  hostnames: [broken.example.com]
  rules:
  - name: a
    matches:
    - {path: {type: PathPrefix, value: /a}, method: GET, headers: [{name: h, type: RegularExpression, value: "a+"}]}
    - {path: {type: RegularExpression, value: "/b.*"}, queryParams: [{name: q, value: v}]}
    filters:
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x, value: y}], remove: [z]}}
    - {type: CORS, cors: {allowOrigins: ["https://a.com"], allowMethods: [GET], maxAge: 5}}
    - {type: RequestMirror, requestMirror: {backendRef: {name: svc, port: 80}, percent: 5}}
    timeouts: {request: 1s, backendRequest: 500ms}
    retry: {attempts: 2, codes: [503], backoff: 10ms}
    backendRefs:
    - {name: svc, port: 80, weight: 3}
    - {name: svc, namespace: default, port: 80, filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: x, value: y}]}}]}
  - matches: [{path: {value: /c}}]
    filters: [{type: RequestRedirect, requestRedirect: {scheme: https, hostname: a.com, port: 443, statusCode: 301, path: {type: ReplacePrefixMatch, replacePrefixMatch: /d}}}]
"#;

/// A Gateway with listeners that share hosts, none, or a socket with another Gateway's.
const MEETING: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec:
  gatewayClassName: postern
  listeners:
  - {name: any, port: 80, protocol: HTTP}
  - {name: com, port: 80, protocol: HTTP, hostname: "*.com"}
  - {name: calls, port: 81, protocol: HTTP, allowedRoutes: {kinds: [{kind: GRPCRoute}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: other, namespace: default}
spec: {gatewayClassName: postern, listeners: [{name: any, port: 80, protocol: HTTP}]}
---
apiVersion: v1
kind: Service
metadata: {name: svc, namespace: default, annotations: {postern.dev/endpoints: "127.0.0.1:80"}}
spec: {ports: [{port: 80}]}
"#;

/// A route of one of two kinds: a few names, hosts and days, so that they meet.
fn meeting() -> impl Strategy<Value = Value> {
    let any = |of: &'static [&'static str]| proptest::sample::select(of);
    let hosts = any(&["a.com", "b.a.com", "*.a.com", "*.com", "c.org", "*"]);
    let hosts = proptest::collection::vec(hosts, 0..3);
    let parents = any(&[
        r#"[{"name": "gw"}]"#,
        r#"[{"name": "gw", "sectionName": "com"}, {"name": "other"}]"#,
        r#"[{"name": "gw", "sectionName": "any"}, {"name": "gw"}]"#,
        r#"[{"name": "elsewhere"}]"#,
    ]);
    let route = (
        any(&["HTTPRoute", "GRPCRoute"]),
        any(&["a", "b", "c"]),
        1..4_u8,
    );
    (route, parents, hosts, 0..8_u8).prop_map(|((kind, name, day), parents, hosts, odd)| {
        let mut route = serde_json::json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": "default",
                "creationTimestamp": format!("2026-01-0{day}T00:00:00Z"),
            },
            "spec": {
                "parentRefs": serde_json::from_str::<Value>(parents).unwrap(),
                "hostnames": hosts,
                "rules": [{ "backendRefs": [{ "name": "svc", "port": 80 }] }],
            },
        });
        // Some say how their hosts are served.
        match odd {
            1 => route["metadata"]["annotations"]["postern.dev/host-isolation"] = "true".into(),
            2 => route["metadata"]["annotations"]["postern.dev/underscores"] = "drop".into(),
            _ => {}
        }
        // Some cannot be accepted by anybody.
        if odd == 0 {
            route["spec"]["rules"][0]["filters"] = serde_json::json!([{ "type": "RequestMirror" }]);
        }
        route
    })
}

fn neighbours(ir: &Ir) -> Vec<&VirtualHost> {
    ir.ports
        .values()
        .flat_map(|port| &port.listeners)
        .flat_map(|listener| &listener.hosts)
        .filter(|host| host.host.to_string() == "neighbour.example.com")
        .map(|host| &**host)
        .collect()
}

proptest! {
    #[test]
    fn no_mutation_panics(
        case in any::<usize>(),
        mutations in proptest::collection::vec((any::<usize>(), any::<usize>(), leaf()), 1..4),
    ) {
        let mut objects = CASES[case % CASES.len()].clone();
        for (object, at, with) in mutations {
            let object = object % objects.len();
            mutate(&mut objects[object], at, with);
        }
        let translation = crate::translate(&read(&objects), &Options::default());
        testing::assert_sound(&translation.ir);
        serde_json::to_string(&translation.ir).unwrap();
        serde_json::to_string(&translation.status).unwrap();
        for (_, _, condition) in translation.status.problems() {
            assert!(!condition.reason.is_empty());
            assert!(condition.message.len() < 32768, "{}", condition.message.len());
        }
    }

    #[test]
    fn a_memo_changes_nothing(
        case in any::<usize>(),
        mutations in proptest::collection::vec((any::<usize>(), any::<usize>(), leaf()), 1..6),
    ) {
        let options = Options::default();
        let mut objects = CASES[case % CASES.len()].clone();
        let mut resources = read(&objects);
        let mut translator = Translator::default();
        assert_eq!(
            translator.translate(&resources, &options),
            crate::translate(&resources, &options)
        );
        for (object, at, with) in mutations {
            let object = object % objects.len();
            for old in read(&objects[object..=object]).iter() {
                resources.remove(&old.reference());
            }
            mutate(&mut objects[object], at, with);
            // Some stay away until they are changed again.
            if at % 4 != 0 {
                resources.extend(read(&objects[object..=object]));
            }
            assert_eq!(
                translator.translate(&resources, &options),
                crate::translate(&resources, &options)
            );
        }
    }

    #[test]
    fn routes_of_two_kinds_meet(
        steps in proptest::collection::vec((proptest::collection::vec(meeting(), 1..3), any::<bool>(), 0..10_u8), 1..7),
    ) {
        let options = Options::default();
        let mut resources = testing::resources(MEETING);
        let mut translator = Translator::default();
        for (routes, stay, listeners) in steps {
            for object in read(&routes).iter() {
                match stay {
                    true => resources.insert(object),
                    false => resources.remove(&object.reference()),
                };
            }
            if listeners == 0 {
                let changed = MEETING.replace("\"*.com\"", "\"*.a.com\"");
                resources.extend(testing::resources(&changed));
            }
            let translation = translator.translate(&resources, &options);
            assert_eq!(translation, crate::translate(&resources, &options));
            testing::assert_sound(&translation.ir);
        }
    }

    #[test]
    fn a_broken_route_harms_no_other(at in any::<usize>(), with in leaf()) {
        let alone = testing::resources(NEIGHBOUR);
        let expected = crate::translate(&alone, &Options::default());
        let mut broken: Value = serde_saphyr::from_str(BROKEN).unwrap();
        mutate(&mut broken["spec"]["rules"], at, with);
        let mut both = alone;
        both.extend(read(&[broken]));
        let got = crate::translate(&both, &Options::default());
        testing::assert_sound(&got.ir);
        assert_eq!(neighbours(&got.ir).len(), 1);
        assert_eq!(neighbours(&got.ir), neighbours(&expected.ir));
        for (key, cluster) in &expected.ir.clusters {
            assert_eq!(got.ir.clusters.get(key), Some(cluster));
        }
        let key: api::ObjectRef = "HTTPRoute/default/neighbour".parse().unwrap();
        assert_eq!(got.status.routes[&key], expected.status.routes[&key]);
    }

    #[test]
    fn a_broken_gateway_harms_no_older_one(at in any::<usize>(), with in leaf()) {
        let alone = testing::resources(NEIGHBOUR);
        let expected = crate::translate(&alone, &Options::default());
        let gateway = alone.gateways.values().next().unwrap();
        let mut younger = json(&Object::Gateway(gateway.clone()));
        younger["metadata"]["name"] = "younger".into();
        let listener = serde_json::json!({"name": "tls", "port": 80, "protocol": "HTTPS", "hostname": "a.com"});
        younger["spec"]["listeners"] = Value::Array(vec![listener]);
        mutate(&mut younger["spec"], at, with);
        let mut both = alone;
        both.extend(read(&[younger]));
        let got = crate::translate(&both, &Options::default());
        testing::assert_sound(&got.ir);
        assert_eq!(neighbours(&got.ir), neighbours(&expected.ir));
        let key = api::ObjectKey::new("default", "gw");
        assert_eq!(got.status.gateways[&key], expected.status.gateways[&key]);
    }
}
