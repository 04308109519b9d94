//! `docs/chart.md`: the values of the chart, from its `values.yaml`, where each says in a comment what it is for, and
//! its schema.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::{
    cell,
    crds::{bounds, kind},
};

const BEGINNING: &str = include_str!("chart.md");

/// Begins the comment about a value.
const ABOUT: &str = "# -- ";

/// A value: its path, and what its comment says.
type Told = (Vec<String>, String);

/// The page as it should be.
pub(super) fn page(root: &Path) -> anyhow::Result<String> {
    let read = |name: &str| {
        let path = root.join("deploy/charts/postern").join(name);
        fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))
    };
    let schema = read("values.schema.json")?;
    let schema = serde_json::from_str(&schema).context("values.schema.json is no JSON")?;
    Ok(format!(
        "{BEGINNING}\n{}",
        table(&read("values.yaml")?, &schema)?
    ))
}

/// A row for each value that has a comment; there is none without, but for groups of such.
pub(super) fn table(text: &str, schema: &Value) -> anyhow::Result<String> {
    let values: Value = serde_saphyr::from_str(text).context("values.yaml is no YAML")?;
    let told = told(text);
    untold(&values, &mut Vec::new(), &told)?;
    let mut rows =
        "| value | type | default | bounds | meaning |\n| --- | --- | --- | --- | --- |\n"
            .to_owned();
    for (path, about) in &told {
        let name = path.join(".");
        let (mut property, mut default) = (schema, &values);
        for key in path {
            property = &property["properties"][key];
            default = &default[key];
        }
        if property.is_null() {
            bail!("values.schema.json has no {name}");
        }
        // Writing to a String cannot fail.
        let _ = writeln!(
            rows,
            "| `{name}` | {} | {} | {} | {} |",
            type_of(property),
            shown(default),
            bounds(property),
            cell(about)
        );
    }
    Ok(rows)
}

/// Comments with the path of the key that follows.
fn told(text: &str) -> Vec<Told> {
    let mut told = Vec::new();
    let mut about: Option<String> = None;
    let mut path: Vec<(usize, String)> = Vec::new();
    for line in text.lines() {
        let words = line.trim_start();
        if let Some(comment) = words.strip_prefix(ABOUT) {
            about = Some(comment.to_owned());
        } else if let (Some(about), Some(more)) = (&mut about, words.strip_prefix("# ")) {
            *about = format!("{about} {more}");
        } else if let Some((key, _)) = words.split_once(':') {
            let indent = line.len() - words.len();
            path.retain(|(outer, _)| *outer < indent);
            path.push((indent, key.to_owned()));
            if let Some(about) = about.take() {
                told.push((path.iter().map(|(_, key)| key.clone()).collect(), about));
            }
        } else {
            about = None;
        }
    }
    told
}

/// Fails on a value that nothing is said about, be it alone or as part of another.
fn untold(value: &Value, path: &mut Vec<String>, told: &[Told]) -> anyhow::Result<()> {
    if told.iter().any(|(known, _)| known == path) {
        return Ok(());
    }
    match value.as_object().filter(|fields| !fields.is_empty()) {
        None => bail!("values.yaml says nothing about {}", path.join(".")),
        Some(fields) => fields.iter().try_for_each(|(key, value)| {
            path.push(key.clone());
            untold(value, path, told)?;
            path.pop();
            Ok(())
        }),
    }
}

fn type_of(property: &Value) -> String {
    match property["oneOf"].as_array() {
        Some(all) => all.iter().map(kind).collect::<Vec<_>>().join(" or "),
        None if property["enum"].is_array() => "string".to_owned(),
        None => kind(property),
    }
}

/// A default as one would write it.
fn shown(default: &Value) -> String {
    match default {
        Value::String(text) if text.is_empty() => String::new(),
        Value::String(text) => format!("`{text}`"),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Object(fields) if fields.is_empty() => "none".to_owned(),
        other => format!("`{}`", cell(&other.to_string())),
    }
}
