//! `docs/crds.md`.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::Context as _;
use serde_json::Value;

use super::cell;
use crate::crds::{definitions, text_at};

const BEGINNING: &str = include_str!("crds.md");
const END: &str = include_str!("own-annotations.md");

/// For each kind: where its example stands, and what there is to say beyond its schema.
const KINDS: &[(&str, &str, &str)] = &[
    (
        "RouteFilter",
        "examples/route-filter/filter.yaml",
        include_str!("route-filter.md"),
    ),
    (
        "RoutePolicy",
        "examples/route-policy/policy.yaml",
        include_str!("route-policy.md"),
    ),
    (
        "BackendPolicy",
        "examples/backend-policy/policy.yaml",
        include_str!("backend-policy.md"),
    ),
    (
        "ClientPolicy",
        "examples/client-policy/policy.yaml",
        include_str!("client-policy.md"),
    ),
];

/// The page as it should be.
pub(super) fn page(root: &Path) -> anyhow::Result<String> {
    let definitions = definitions()?;
    let mut text = BEGINNING.to_owned();
    for definition in &definitions {
        let kind = text_at(definition, "/spec/names/kind")?;
        let (_, example, prose) = KINDS
            .iter()
            .find(|(known, ..)| *known == kind)
            .with_context(|| format!("{kind} has no example and text in {}", file!()))?;
        let manifest = fs::read_to_string(root.join(example))
            .with_context(|| format!("{example} cannot be read"))?;
        text.push_str(&section(definition, prose, example, &manifest)?);
    }
    text.push_str(END);
    Ok(text)
}

fn section(
    definition: &Value,
    prose: &str,
    example: &str,
    manifest: &str,
) -> anyhow::Result<String> {
    let kind = text_at(definition, "/spec/names/kind")?;
    let schema = definition
        .pointer("/spec/versions/0/schema/openAPIV3Schema")
        .with_context(|| format!("{kind} has no schema"))?;
    let about = text_at(schema, "/description")?;
    let short = text_at(definition, "/spec/names/shortNames/0")?;
    let mut text = format!("\n## {kind}\n\n{about} Short name `{short}`.\n");
    let spec = &schema["properties"]["spec"];
    if let Some(description) = spec["description"].as_str() {
        let _ = writeln!(text, "\n{}", one_line(description));
    }
    let _ = write!(
        text,
        "\n{prose}\nFrom [{example}](../{example}), which a test serves:\n\n```yaml\n{}\n```\n\n\
         | field | type | default | bounds | meaning |\n| --- | --- | --- | --- | --- |\n",
        manifest.trim_end()
    );
    let mut fields = Fields::default();
    fields.walk(spec, "spec");
    text.push_str(&fields.rows);
    if !fields.rules.is_empty() {
        let _ = write!(
            text,
            "\nThe API server refuses an object against these rules:\n\n{}",
            fields.rules
        );
    }
    if let Some(conditions) = schema.pointer("/properties/status") {
        text.push_str(&status(conditions));
    }
    Ok(text)
}

/// Conditions are in the schema's own words.
fn status(schema: &Value) -> String {
    let of = |pointer: &str| {
        let description = schema.pointer(pointer).and_then(Value::as_str);
        one_line(description.unwrap_or_default())
    };
    let conditions = of("/properties/ancestors/items/properties/conditions/description");
    format!(
        "\n`status.ancestors`: {} Its `conditions`: {conditions}\n",
        of("/properties/ancestors/description")
    )
}

#[derive(Default)]
struct Fields {
    rows: String,
    rules: String,
}

impl Fields {
    /// Rows for what is below a node, and its rules.
    fn walk(&mut self, node: &Value, path: &str) {
        for rule in node["x-kubernetes-validations"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let text = |name: &str| rule[name].as_str().unwrap_or_default().to_owned();
            let _ = writeln!(
                self.rules,
                "- `{path}`: {} (`{}`)",
                text("message"),
                text("rule")
            );
        }
        let required: Vec<&str> = node["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (name, property) in node["properties"].as_object().into_iter().flatten() {
            let path = format!(
                "{}{name}",
                path.strip_prefix("spec").map_or(String::new(), |p| {
                    let p = p.trim_start_matches('.');
                    if p.is_empty() {
                        String::new()
                    } else {
                        format!("{p}.")
                    }
                })
            );
            let default = match &property["default"] {
                Value::Null if required.contains(&name.as_str()) => "required".to_owned(),
                Value::Null => String::new(),
                Value::String(text) => format!("`{text}`"),
                other => format!("`{other}`"),
            };
            let _ = writeln!(
                self.rows,
                "| `{path}` | {} | {default} | {} | {} |",
                kind(property),
                bounds(property),
                cell(property["description"].as_str().unwrap_or_default())
            );
            let inner = if property["type"] == "array" {
                &property["items"]
            } else {
                property
            };
            self.rules_of_list(property, &path);
            self.walk(inner, &format!("spec.{path}"));
        }
    }

    /// A list's own rules; those of its items come with the walk.
    fn rules_of_list(&mut self, property: &Value, path: &str) {
        if property["type"] == "array" {
            let list = serde_json::json!({
                "x-kubernetes-validations": property["x-kubernetes-validations"]
            });
            self.walk(&list, &format!("spec.{path}"));
        }
    }
}

/// `list of strings`, or a plain type.
pub(super) fn kind(property: &Value) -> String {
    let word = |node: &Value| node["type"].as_str().unwrap_or("any").to_owned();
    match property["type"].as_str() {
        Some("array") => format!("list of {}s", word(&property["items"])),
        _ => word(property),
    }
}

/// Enums, ranges, lengths and patterns, of the items too.
pub(super) fn bounds(property: &Value) -> String {
    let mut words = Vec::new();
    if let Some(values) = property["enum"].as_array() {
        let values: Vec<String> = values
            .iter()
            .filter_map(Value::as_str)
            .map(|value| format!("`{value}`"))
            .collect();
        words.push(values.join(", "));
    }
    for (low, high, unit) in [
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " entries"),
    ] {
        match (&property[low], &property[high]) {
            (Value::Null, Value::Null) => {}
            (low, Value::Null) => words.push(format!("at least {low}{unit}")),
            (Value::Null, high) => words.push(format!("at most {high}{unit}")),
            (low, high) => words.push(format!("{low} to {high}{unit}")),
        }
    }
    if let Some(pattern) = property["pattern"].as_str() {
        words.push(format!("`{}`", cell(pattern)));
    }
    let items = &property["items"];
    if items["type"] == "string" {
        let inner = bounds(items);
        if !inner.is_empty() {
            words.push(format!("each {inner}"));
        }
    }
    words.join("; ")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
