use std::collections::BTreeSet;

use api::Kind;
use serde_json::Value;

use super::{Files, HEADER, compare, definitions, findings, generated, text_at};
use crate::workspace;

fn files(entries: &[(&str, &str)]) -> Files {
    let owned = entries
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    owned.collect()
}

#[test]
fn the_files_are_what_would_be_generated_now() {
    let root = workspace::root().unwrap();
    assert_eq!(findings(&root).unwrap(), [""; 0]);
}

#[test]
fn every_kind_of_our_group_has_a_file() {
    let kinds: BTreeSet<&str> = Kind::ALL
        .iter()
        .filter(|kind| kind.group() == api::GROUP)
        .map(|kind| kind.as_str())
        .collect();
    let definitions = definitions().unwrap();
    let defined: BTreeSet<&str> = definitions
        .iter()
        .map(|d| text_at(d, "/spec/names/kind").unwrap())
        .collect();
    assert_eq!(defined, kinds);
}

#[test]
fn files_say_where_they_come_from_and_read_back_as_they_were() {
    let files = generated().unwrap();
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert!(
        names.contains(&"postern.dev_routefilters.yaml"),
        "{names:?}"
    );
    let definitions = definitions().unwrap();
    for (name, text) in &files {
        assert!(text.starts_with(HEADER), "{name}");
        let read: Value = serde_saphyr::from_str(text).unwrap();
        assert!(definitions.contains(&read), "{name}: {read:#}");
    }
}

#[test]
fn missing_stale_and_superfluous_files_are_named() {
    let wanted = files(&[("same", "1"), ("old", "2"), ("new", "3")]);
    let found = files(&[("same", "1"), ("old", "1"), ("gone", "0")]);
    assert_eq!(
        compare(&wanted, &found),
        [
            "crds/new is missing: run `cargo xtask crds`",
            "crds/old is stale: run `cargo xtask crds`",
            "crds/gone is superfluous: no kind of ours has that name",
        ]
    );
    assert_eq!(compare(&wanted, &wanted), [""; 0]);
}

#[test]
fn every_schema_is_structural_and_explained() {
    let mut problems = Vec::new();
    let mut seen = 0;
    for definition in definitions().unwrap() {
        let kind = text_at(&definition, "/spec/names/kind").unwrap();
        for version in definition["spec"]["versions"].as_array().unwrap() {
            let schema = &version["schema"]["openAPIV3Schema"];
            assert_eq!(schema["type"], "object", "{kind}");
            seen += inspect(schema, kind, &mut problems);
        }
    }
    assert_eq!(problems, [""; 0]);
    assert!(seen > 20, "only {seen} properties looked at");
}

#[test]
fn an_unsound_schema_is_noticed() {
    let schema = serde_json::json!({ "properties": {
        "a": { "description": "Any.", "x-kubernetes-preserve-unknown-fields": true },
        "b": { "description": "List.", "type": "array", "items": { "$ref": "#/definitions/b" } },
        "c": { "type": "string" },
        "d": { "description": "Text or number.", "anyOf": [{ "type": "string" }] },
    }});
    let mut problems = Vec::new();
    assert_eq!(inspect(&schema, "K", &mut problems), 4);
    assert_eq!(
        problems,
        [
            "K.b[].$ref is not structural",
            "K.b[] has no type",
            "K.b has no x-kubernetes-list-type",
            "K.c has no description",
            "K.d has no type"
        ]
    );
}

/// Looks at a schema's properties, deeply, and returns how many there are. The rules are those of a structural schema
/// (a type or an explicit "anything" at every level, no references), and that each field is explained to its user.
fn inspect(schema: &Value, path: &str, problems: &mut Vec<String>) -> usize {
    if schema.get("$ref").is_some() {
        problems.push(format!("{path}.$ref is not structural"));
    }
    let mut seen = 0;
    let nested = |key: &str| schema.get(key).filter(|s| s.is_object());
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        seen += 1;
        if property["description"]
            .as_str()
            .is_none_or(|text| text.trim().is_empty())
        {
            problems.push(format!("{path} has no description"));
        }
        seen += typed(property, &path, problems);
    }
    if let Some(items) = nested("items") {
        seen += typed(items, &format!("{path}[]"), problems);
    }
    if let Some(values) = nested("additionalProperties") {
        seen += typed(values, &format!("{path}{{}}"), problems);
    }
    seen
}

/// Looks at a schema that must have a type of its own, and into it.
fn typed(schema: &Value, path: &str, problems: &mut Vec<String>) -> usize {
    let seen = inspect(schema, path, problems);
    problems.extend(unsound(schema).map(|what| format!("{path} {what}")));
    let anything = [
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-int-or-string",
    ]
    .iter()
    .any(|key| schema[*key] == true);
    if !schema["type"].is_string() && !anything {
        problems.push(format!("{path} has no type"));
    }
    seen
}

/// What an API server would refuse, warn of, or take for something else.
fn unsound(schema: &Value) -> impl Iterator<Item = String> {
    let mut problems = Vec::new();
    let mut unless = |good: bool, what: &str| {
        if !good {
            problems.push(what.to_owned());
        }
    };
    unless(schema.get("nullable").is_none(), "is nullable");
    let format = schema["format"].as_str();
    unless(
        format.is_none_or(|format| ["int32", "int64", "date-time"].contains(&format)),
        "has a format that an API server does not know",
    );
    if schema["type"] == "array" {
        list(schema, &mut unless);
    }
    if let Some(default) = schema.get("default") {
        unless(fits(default, schema), "has a default that it would refuse");
    }
    for value in schema["enum"].as_array().into_iter().flatten() {
        unless(has_type(value, schema), "has an enum value of another type");
    }
    if let Some(rules) = schema.get("x-kubernetes-validations") {
        for rule in rules.as_array().unwrap() {
            let told = rule["message"].as_str().is_some_and(|m| !m.is_empty());
            unless(told, "has a rule without message");
        }
        unless(
            is_bounded(schema),
            "has a rule, and is not bounded: what it costs cannot be known",
        );
    }
    problems.into_iter()
}

fn list(schema: &Value, unless: &mut impl FnMut(bool, &str)) {
    match schema["x-kubernetes-list-type"].as_str() {
        Some("atomic" | "set") => {}
        Some("map") => {
            let required = schema["items"]["required"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let keys = schema["x-kubernetes-list-map-keys"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            unless(!keys.is_empty(), "is a map without keys");
            unless(
                keys.iter().all(|key| required.contains(key)),
                "has a key that may be absent",
            );
        }
        _ => unless(false, "has no x-kubernetes-list-type"),
    }
}

/// Whether every list, text and map of which a rule may look at each part has an end.
fn is_bounded(schema: &Value) -> bool {
    let own = match schema["type"].as_str() {
        Some("array") => schema.get("maxItems").is_some(),
        Some("string") => schema.get("maxLength").is_some() || schema.get("enum").is_some(),
        _ => schema.get("additionalProperties").is_none() || schema.get("maxProperties").is_some(),
    };
    let nested = schema["properties"]
        .as_object()
        .into_iter()
        .flat_map(|p| p.values());
    own && nested.chain(schema.get("items")).all(is_bounded)
}

fn has_type(value: &Value, schema: &Value) -> bool {
    match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        _ => false,
    }
}

fn fits(default: &Value, schema: &Value) -> bool {
    let listed = schema["enum"]
        .as_array()
        .is_none_or(|values| values.contains(default));
    let within =
        |bound: &str, holds: fn(f64, f64) -> bool| match (default.as_f64(), schema[bound].as_f64())
        {
            (Some(value), Some(bound)) => holds(value, bound),
            _ => true,
        };
    has_type(default, schema)
        && listed
        && within("minimum", |value, bound| value >= bound)
        && within("maximum", |value, bound| value <= bound)
}

#[test]
fn what_an_api_server_refuses_is_noticed() {
    let check = |schema: Value, wanted: &[&str]| {
        assert_eq!(unsound(&schema).collect::<Vec<_>>(), wanted, "{schema}");
    };
    let text = || serde_json::json!({ "type": "string", "maxLength": 9 });
    check(text(), &[]);
    check(
        serde_json::json!({ "type": "string", "nullable": true }),
        &["is nullable"],
    );
    check(
        serde_json::json!({ "type": "integer", "format": "uint32" }),
        &["has a format that an API server does not know"],
    );
    check(
        serde_json::json!({ "type": "integer", "minimum": 1, "default": 0 }),
        &["has a default that it would refuse"],
    );
    check(
        serde_json::json!({ "type": "string", "enum": ["a", 1], "default": "b" }),
        &[
            "has a default that it would refuse",
            "has an enum value of another type",
        ],
    );
    let map = |keys: Value| {
        serde_json::json!({
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": keys,
            "items": { "type": "object", "properties": { "a": text() }, "required": ["a"] },
        })
    };
    check(map(serde_json::json!(["a"])), &[]);
    check(map(serde_json::json!([])), &["is a map without keys"]);
    check(
        map(serde_json::json!(["b"])),
        &["has a key that may be absent"],
    );
    let ruled = |items: Value| {
        serde_json::json!({
            "type": "object",
            "x-kubernetes-validations": [{ "rule": "true", "message": "is so" }],
            "properties": { "list": { "type": "array", "maxItems": 3, "items": items } },
        })
    };
    check(ruled(text()), &[]);
    check(
        ruled(serde_json::json!({ "type": "string" })),
        &["has a rule, and is not bounded: what it costs cannot be known"],
    );
}

#[test]
fn policies_are_policies() {
    for definition in definitions().unwrap() {
        let kind = text_at(&definition, "/spec/names/kind").unwrap();
        let version = &definition["spec"]["versions"][0];
        let spec = &version["schema"]["openAPIV3Schema"]["properties"]["spec"];
        if kind == "RouteFilter" {
            continue;
        }
        let label = &definition["metadata"]["labels"]["gateway.networking.k8s.io/policy"];
        assert_eq!(label, "Direct", "{kind}");
        let rules = spec["properties"]["targetRefs"]["x-kubernetes-validations"].as_array();
        assert_eq!(rules.map(Vec::len), Some(2), "{kind}");
        let columns: Vec<&str> = version["additionalPrinterColumns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|column| column["name"].as_str().unwrap())
            .collect();
        assert_eq!(columns, ["Target", "Accepted", "Age"], "{kind}");
        assert_eq!(
            version["subresources"],
            serde_json::json!({ "status": {} }),
            "{kind}"
        );
    }
}
