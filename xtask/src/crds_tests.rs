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
