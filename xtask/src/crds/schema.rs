//! What an API server wants of a schema that the derive macros do not give, and what the kinds say of themselves.

use serde_json::{Map, Value, json};

/// Makes a definition what `kubectl apply` takes without a warning.
pub(super) fn finish(definition: &mut Value) {
    let mut is_policy = false;
    let versions = definition.pointer_mut("/spec/versions");
    for version in versions.and_then(Value::as_array_mut).into_iter().flatten() {
        let schema = &mut version["schema"]["openAPIV3Schema"];
        is_policy |= schema
            .pointer("/properties/spec/properties/targetRefs")
            .is_some();
        tidy(schema);
    }
    if is_policy {
        // > The CRD definition MUST have a label gateway.networking.k8s.io/policy (GEP-713)
        definition["metadata"]["labels"] = json!({ "gateway.networking.k8s.io/policy": "Direct" });
    }
}

/// Takes away what says nothing: `nullable` (an absent field is left out, not null, and a CEL rule would have to ask
/// twice), titles, and formats that an API server does not know. Bounds of integers are integers.
fn tidy(schema: &mut Value) {
    let Some(node) = schema.as_object_mut() else {
        return;
    };
    node.remove("nullable");
    node.remove("title");
    if let Some(known) = node.get("format").and_then(Value::as_str).and_then(format) {
        node.insert("format".to_owned(), json!(known));
    }
    whole_bounds(node);
    if node.get("type").and_then(Value::as_str) == Some("array") {
        // What a list is that does not say so.
        let kind = node.entry("x-kubernetes-list-type");
        kind.or_insert_with(|| json!("atomic"));
    }
    for (name, value) in node.iter_mut() {
        match name.as_str() {
            "properties" => value
                .as_object_mut()
                .into_iter()
                .flat_map(Map::values_mut)
                .for_each(tidy),
            "items" | "additionalProperties" => tidy(value),
            _ => {}
        }
    }
}

/// The signed format that holds what an unsigned one does, as far as the bounds let it come.
fn format(unsigned: &str) -> Option<&'static str> {
    match unsigned {
        "uint8" | "uint16" => Some("int32"),
        "uint32" | "uint64" | "uint" => Some("int64"),
        _ => None,
    }
}

fn whole_bounds(node: &mut Map<String, Value>) {
    if node.get("type").and_then(Value::as_str) != Some("integer") {
        return;
    }
    for bound in ["minimum", "maximum"] {
        let number = node.get(bound).and_then(Value::as_f64);
        // Beyond 2^53 a float does not know whole numbers apart.
        let whole = number.filter(|n| n.fract() == 0.0 && n.abs() < 9e15);
        if let Some(whole) = whole.and_then(|n| format!("{n:.0}").parse::<i64>().ok()) {
            node.insert(bound.to_owned(), json!(whole));
        }
    }
}
