//! Manifests: YAML and JSON text to [`Resources`] and back.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::{Kind, Object, ObjectRef, Resources, unknown::Unknown};

/// What a text held.
#[derive(Debug, Default)]
pub struct Manifests {
    /// The objects that were read, with the line (from 1) of the document they stand in.
    pub objects: Vec<(Object, usize)>,
    /// Documents that could not be read.
    pub errors: Vec<ManifestError>,
    /// Documents of kinds that Postern does not read.
    pub skipped: Vec<Skipped>,
}

impl Manifests {
    /// The objects together; of two of one kind and name the later.
    #[must_use]
    pub fn into_resources(self) -> Resources {
        let mut resources = Resources::default();
        for (object, _) in self.objects {
            resources.insert(object);
        }
        resources
    }
}

/// A document that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ManifestError {
    /// Line in the text, from 1.
    pub line: usize,
    /// `Kind/namespace/name` as far as it could be made out.
    pub object: Option<String>,
    /// What is wrong, on one line.
    pub why: String,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        f.write_str(&self.why)
    }
}

/// A document of a kind that Postern does not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Line in the text, from 1.
    pub line: usize,
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `namespace/name`.
    pub name: String,
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "apiVersion")]
    api_version: Option<String>,
    kind: Option<String>,
    #[serde(default)]
    metadata: HeadMetadata,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct HeadMetadata {
    name: Option<String>,
    namespace: Option<String>,
}

/// Reads a stream of YAML documents (JSON is YAML); `List` objects are unfolded, namespaced objects without a
/// namespace get `default`. Never fails as a whole: what cannot be read is in [`Manifests::errors`].
#[must_use]
pub fn read(text: &str) -> Manifests {
    let mut out = Manifests::default();
    for (line, document) in documents(text) {
        if let Err(error) = read_document(document, line, &mut out) {
            out.errors.push(error);
        }
    }
    out
}

/// Documents of a stream with the line (from 1) that each starts on.
fn documents(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let (mut start, mut start_line, mut at) = (0, 1, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let separator = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        let end = line.trim_end() == "...";
        if separator || end {
            found.push((start_line, &text[start..at]));
            start = at + if separator { 3 } else { line.len() };
            start_line = index + 1 + usize::from(end);
        }
        at += line.len();
    }
    found.push((start_line, &text[start..]));
    found.retain(|(_, d)| {
        d.lines()
            .any(|l| !l.trim().is_empty() && !l.trim_start().starts_with('#'))
    });
    found
}

fn read_document(text: &str, line: usize, out: &mut Manifests) -> Result<(), ManifestError> {
    let at = |error: &serde_saphyr::Error, object: Option<String>| ManifestError {
        line: error.location().map_or(line, |l| {
            line + usize::try_from(l.line()).unwrap_or(1).saturating_sub(1)
        }),
        object,
        why: reason(&error.to_string()),
    };
    let head: Head = serde_saphyr::from_str(text).map_err(|e| at(&e, None))?;
    let name = head.name();
    let head_kind = head.kind.clone().unwrap_or_default();
    if head_kind.ends_with("List") {
        let list: Value = serde_saphyr::from_str(text).map_err(|e| at(&e, None))?;
        return read_list(list, line, out);
    }
    match head.find(line)? {
        None => out.skipped.push(head.skipped(line)),
        Some(kind) => {
            let label = format!("{kind}/{name}");
            let mut unknown = Unknown::default();
            let object = Object::from_yaml(kind, text, &mut unknown)
                .map_err(|e| at(&e, Some(label.clone())))?;
            if let Some(why) = unknown.message() {
                return Err(ManifestError {
                    line: line + unknown.line(text).unwrap_or(0),
                    object: Some(label),
                    why,
                });
            }
            out.objects.push((named(object, line, &label)?, line));
        }
    }
    Ok(())
}

fn read_list(list: Value, line: usize, out: &mut Manifests) -> Result<(), ManifestError> {
    let Some(Value::Array(items)) = list.get("items").cloned() else {
        return Err(ManifestError {
            line,
            object: None,
            why: "a List without items".to_owned(),
        });
    };
    for item in items {
        let one = || -> Result<Option<Object>, ManifestError> {
            let error = |why: serde_json::Error, object| ManifestError {
                line,
                object,
                why: reason(&why.to_string()),
            };
            let head = Head::deserialize(&item).map_err(|e| error(e, None))?;
            let Some(kind) = head.find(line)? else {
                return Ok(None);
            };
            let label = format!("{kind}/{}", head.name());
            let mut unknown = Unknown::default();
            let object = Object::from_value(kind, item.clone(), &mut unknown)
                .map_err(|e| error(e, Some(label.clone())))?;
            match unknown.message() {
                Some(why) => Err(ManifestError {
                    line,
                    object: Some(label),
                    why,
                }),
                None => named(object, line, &label).map(Some),
            }
        };
        match one() {
            Ok(Some(object)) => out.objects.push((object, line)),
            Ok(None) => {
                if let Ok(head) = Head::deserialize(&item) {
                    out.skipped.push(head.skipped(line));
                }
            }
            Err(error) => out.errors.push(error),
        }
    }
    Ok(())
}

/// An object needs a name; a namespaced one without namespace belongs to `default`, as kubectl has it.
fn named(object: Object, line: usize, label: &str) -> Result<Object, ManifestError> {
    let reference = object.reference();
    if reference.key.name.is_empty() {
        return Err(ManifestError {
            line,
            object: Some(label.to_owned()),
            why: "metadata.name is missing".to_owned(),
        });
    }
    if !reference.kind.namespaced() || !reference.key.namespace.is_empty() {
        return Ok(object);
    }
    let json = |e: serde_json::Error| ManifestError {
        line,
        object: Some(label.to_owned()),
        why: e.to_string(),
    };
    let mut value = object.to_json().map_err(json)?;
    value["metadata"]["namespace"] = Value::String("default".to_owned());
    Object::from_value(reference.kind, value, &mut Unknown::default()).map_err(json)
}

impl Head {
    fn name(&self) -> String {
        let name = self.metadata.name.as_deref().unwrap_or("?");
        self.metadata
            .namespace
            .as_ref()
            .map_or_else(|| name.to_owned(), |ns| format!("{ns}/{name}"))
    }

    fn find(&self, line: usize) -> Result<Option<Kind>, ManifestError> {
        let (Some(api_version), Some(kind)) = (&self.api_version, &self.kind) else {
            let why = "not a Kubernetes object: apiVersion and kind are needed".to_owned();
            return Err(ManifestError {
                line,
                object: None,
                why,
            });
        };
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        Ok(Kind::find(group, kind).filter(|kind| kind.versions().contains(&version)))
    }

    fn skipped(&self, line: usize) -> Skipped {
        Skipped {
            line,
            api_version: self.api_version.clone().unwrap_or_default(),
            kind: self.kind.clone().unwrap_or_default(),
            name: self.name(),
        }
    }
}

/// The first line of a parser's message, without its own position: the rest is a source excerpt.
fn reason(message: &str) -> String {
    let line = message
        .lines()
        .map(str::trim)
        .find(|l| !l.is_empty())
        .unwrap_or("cannot be read");
    let line = line.strip_prefix("error: ").unwrap_or(line);
    match line
        .strip_prefix("line ")
        .and_then(|rest| rest.split_once(": "))
    {
        Some((_, why)) => why.to_owned(),
        None => line.to_owned(),
    }
}

/// Writes objects as YAML documents that `kubectl apply -f -` takes. Objects appear in the order of
/// [`Resources::iter`]; equal input gives equal text.
#[must_use]
pub fn write(resources: &Resources) -> String {
    resources.iter().map(|object| document(&object)).collect()
}

/// One object as a YAML document, with its leading separator.
#[must_use]
pub fn document(object: &Object) -> String {
    let reference: ObjectRef = object.reference();
    let body = object
        .to_json()
        .map_err(|e| e.to_string())
        .and_then(|value| serde_saphyr::to_string(&value).map_err(|e| e.to_string()));
    match body {
        Ok(body) => format!("---\n{body}"),
        // Reading and writing the same types cannot disagree; should they, the reader must see it.
        Err(why) => format!("---\n# {reference} could not be written: {why}\n"),
    }
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
