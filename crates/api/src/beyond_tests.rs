use serde_json::{Value, json};

use super::{Reading, Step};
use crate::{Kind, Object};

fn read(kind: Kind, spec: &Value) -> Reading {
    let mut object = json!({
        "apiVersion": kind.api_version(), "kind": kind.as_str(),
        "metadata": {"name": "x", "namespace": "default"},
        "spec": spec,
    });
    if kind == Kind::Gateway {
        object["status"] =
            json!({"future": 1, "addresses": [{"value": "1.2.3.4", "routability": "Cluster"}]});
    }
    Object::read(kind, object).unwrap()
}

fn unknown(kind: Kind, spec: &Value) -> Vec<String> {
    let beyond = read(kind, spec).beyond;
    let all = beyond.iter().flat_map(|beyond| beyond.unknown());
    all.map(ToString::to_string).collect()
}

#[test]
fn fields_and_values_that_a_type_lacks_are_named_and_the_rest_is_read() {
    let spec = json!({
        "parentRefs": [{"name": "gw", "zone": "a"}],
        "rules": [
            {"name": "first", "backendRefs": [{"name": "s", "port": 80, "circuit": {"max": 1}}]},
            {"filters": [{"type": "JWT", "jwt": {}}], "matches": [{"path": {"type": "Exact", "value": "/a"}}]},
        ],
        "mesh": null,
    });
    assert_eq!(
        unknown(Kind::HttpRoute, &spec),
        [
            "field spec.mesh",
            "field spec.parentRefs[0].zone",
            "field spec.rules[0].backendRefs[0].circuit",
            "field spec.rules[1].filters[0].jwt",
            "value \"JWT\" of spec.rules[1].filters[0].type",
        ]
    );
    let Object::HttpRoute(route) = read(Kind::HttpRoute, &spec).object else {
        panic!("another kind");
    };
    let rules = route.spec.rules.as_ref().unwrap();
    assert_eq!(rules[0].name.as_deref(), Some("first"));
    let path = rules[1].matches.as_ref().unwrap()[0].path.as_ref().unwrap();
    assert_eq!(path.value.as_deref(), Some("/a"));
    let beyond = read(Kind::HttpRoute, &spec).beyond.unwrap();
    let path: Vec<_> = beyond.unknown()[2].path.iter().collect();
    assert_eq!(path[2], &Step::Item(0));
    assert_eq!(path[3].field(), Some("backendRefs"));
}

#[test]
fn what_is_known_leaves_nothing_and_other_kinds_keep_nothing() {
    let spec = json!({"parentRefs": [{"name": "gw"}], "rules": [{"backendRefs": [{"name": "s", "port": 80}]}]});
    assert_eq!(read(Kind::HttpRoute, &spec).beyond, None);
    let spec = json!({"ports": [{"port": 80, "future": true}], "future": true});
    assert_eq!(read(Kind::Service, &spec).beyond, None);
}

#[test]
fn fields_of_newer_releases_are_read_into_types_of_their_own() {
    let listener = |filters: Value| json!({"name": "http", "port": 80, "protocol": "HTTP", "filters": filters});
    let auth = json!({"type": "ExternalAuth", "externalAuth":
        {"protocol": "HTTP", "backendRef": {"name": "auth", "port": 80}}});
    let spec = json!({
        "gatewayClassName": "postern",
        "addresses": [{"type": "IPAddress"}, {"type": "IPAddress", "routability": "Cluster"}],
        "listeners": [listener(json!({})), listener(json!({"requests": [auth]}))],
    });
    assert_eq!(unknown(Kind::Gateway, &spec), Vec::<String>::new());
    let beyond = read(Kind::Gateway, &spec).beyond.unwrap();
    assert!(beyond.is_known());
    assert_eq!(
        (beyond.routability(0), beyond.routability(1)),
        (None, Some("Cluster"))
    );
    assert_eq!(
        beyond.listener_filters(0).map(|f| f.requests.len()),
        Some(0)
    );
    let filters = beyond.listener_filters(1).unwrap();
    let auth = filters.requests[0].external_auth.as_ref().unwrap();
    assert_eq!(auth.backend_ref.name, "auth");

    let odd = json!({"requests": [{"type": "Later", "later": 1}], "connection": []});
    let spec =
        json!({"gatewayClassName": "postern", "listeners": [listener(odd), listener(json!(3))]});
    assert_eq!(
        unknown(Kind::Gateway, &spec),
        [
            "field spec.listeners[0].filters.connection",
            "field spec.listeners[0].filters.requests[0].later",
            "value \"Later\" of spec.listeners[0].filters.requests[0].type",
            "value \"invalid type: integer `3`, expected struct ListenerFilters\" of spec.listeners[1].filters",
        ]
    );
}

#[test]
fn what_is_kept_is_bounded() {
    let long = "f".repeat(1000);
    let fields = (0..100).map(|index| (format!("{long}{index:03}"), json!(long)));
    let spec = Value::Object(fields.collect());
    let beyond = read(Kind::HttpRoute, &spec).beyond.unwrap();
    assert_eq!((beyond.unknown().len(), beyond.omitted()), (32, 68));
    let name = beyond.unknown()[0].path[1].field().unwrap();
    assert_eq!(name.len(), 64);
}
