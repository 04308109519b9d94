//! Manifests: YAML and JSON text to [`Resources`] and back.

mod admission;
mod quoting;
mod scan;
mod tolerant;

use std::{fmt, sync::Arc};

use self::{quoting::Quoted, scan::Scanned};
use crate::{Beyond, Kind, Object, ObjectRef, Reading, Resources, unknown::NOT_USED};

pub use crate::unknown::CLOSED;
pub(crate) use tolerant::Tolerant;

/// What a text held.
#[derive(Debug, Default)]
pub struct Manifests {
    /// The objects that were read, with the line (from 1) of the document they stand in.
    pub objects: Vec<(Object, usize)>,
    /// What some of them say beyond their types.
    pub beyond: Vec<(ObjectRef, Arc<Beyond>)>,
    /// Documents that could not be read.
    pub errors: Vec<ManifestError>,
    /// Documents of kinds that Postern does not read.
    pub skipped: Vec<Skipped>,
    /// What an API server would refuse in the objects that were read.
    pub tolerated: Vec<Tolerated>,
}

impl Manifests {
    /// The objects together; of two of one kind and name the later.
    #[must_use]
    pub fn into_resources(self) -> Resources {
        let mut resources = Resources::default();
        for (object, _) in self.objects {
            resources.insert(object);
        }
        resources.beyond.extend(self.beyond);
        resources
    }

    /// Takes up an object, and what is to be told, by line.
    fn take(&mut self, reading: Reading, line: usize, told: impl Iterator<Item = (usize, String)>) {
        let Reading { object, beyond } = reading;
        let reference = object.reference();
        let name = reference.to_string();
        // Of two of one name the later counts.
        self.beyond.retain(|(known, _)| *known != reference);
        self.beyond.extend(beyond.map(|beyond| (reference, beyond)));
        let told = told.chain(
            admission::refused(&object)
                .into_iter()
                .map(|what| (line, what)),
        );
        self.tolerated.extend(told.map(|(line, what)| Tolerated {
            line,
            object: name.clone(),
            what,
        }));
        self.objects.push((object, line));
    }

    fn extend(&mut self, other: Self) {
        self.objects.extend(other.objects);
        self.beyond.extend(other.beyond);
        self.errors.extend(other.errors);
        self.skipped.extend(other.skipped);
        self.tolerated.extend(other.tolerated);
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
    /// The document is no YAML, or none that could be an object: what it holds is not known. Otherwise one object is
    /// wrong.
    pub unread: bool,
    /// The object is among those that were read: it has a field or a value that is not known, and translation closes
    /// what has it.
    pub taken: bool,
}

impl ManifestError {
    fn of_document(line: usize, why: String) -> Self {
        Self {
            line,
            object: None,
            why,
            unread: true,
            taken: false,
        }
    }

    fn taken(self) -> Self {
        Self {
            taken: true,
            ..self
        }
    }

    fn of_object(line: usize, object: Option<String>, why: String) -> Self {
        Self {
            line,
            object,
            why,
            unread: false,
            taken: false,
        }
    }
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

/// Something that an API server would refuse, and that was read all the same: no cluster has such an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tolerated {
    /// Line in the text, from 1.
    pub line: usize,
    /// `Kind/namespace/name`.
    pub object: String,
    /// What it is, and how it is read.
    pub what: String,
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
    let at = |error: &serde_saphyr::Error| {
        let why = reason(&error.to_string());
        (
            error.location().map_or(line, |l| scan::line_of(line, l)),
            why,
        )
    };
    let Scanned { head, items } = scan::scan(text, line).map_err(|error| {
        let (line, why) = at(&error);
        ManifestError::of_document(line, why)
    })?;
    if head.is_list() {
        let Some(items) = items else {
            let why = "a List without items".to_owned();
            return Err(ManifestError::of_object(line, None, why));
        };
        out.extend(items);
        return Ok(());
    }
    let Some(kind) = head.find(line)? else {
        out.skipped.push(head.skipped(line));
        return Ok(());
    };
    let label = format!("{kind}/{}", head.name());
    let Quoted {
        reading,
        unknown,
        error,
        told,
    } = quoting::read(kind, text).map_err(|error| {
        let (line, why) = at(&error);
        ManifestError::of_object(line, Some(label.clone()), why)
    })?;
    let told = told.into_iter().map(|(at, what)| (line + at, what));
    let known = reading.beyond.as_ref();
    let known = known.is_some_and(|beyond| beyond.is_known());
    let wrong = match (&error, unknown.message(effect(kind))) {
        (Some(error), _) => {
            let (line, why) = at(error);
            Some((line, format!("{why}; {CLOSED}")))
        }
        (None, Some(why)) if !known => Some((line + unknown.line(text).unwrap_or(0), why)),
        (None, _) => None,
    };
    let reading = named(reading, line, &label)?;
    let Some((wrong_at, why)) = wrong else {
        out.take(reading, line, told);
        return Ok(());
    };
    let error = ManifestError::of_object(wrong_at, Some(label), why);
    if !kind.keeps_unknown() {
        return Err(error);
    }
    out.take(reading, line, told);
    out.errors.push(error.taken());
    Ok(())
}

/// What becomes of an object with an unknown field.
fn effect(kind: Kind) -> &'static str {
    match kind.keeps_unknown() {
        true => CLOSED,
        false => NOT_USED,
    }
}

/// An object needs a name, which an API server would take; a namespaced one without namespace belongs to `default`, as
/// kubectl has it.
fn named(mut reading: Reading, line: usize, label: &str) -> Result<Reading, ManifestError> {
    let error = |why| ManifestError::of_object(line, Some(label.to_owned()), why);
    let ObjectRef { kind, key } = reading.object.reference();
    if key.name.is_empty() {
        return Err(error("metadata.name is missing".to_owned()));
    }
    if kind.namespaced() && key.namespace.is_empty() {
        reading.object.metadata_mut().namespace = Some("default".to_owned());
    }
    for (field, name) in [("name", &key.name), ("namespace", &key.namespace)] {
        // Its name begins with that of the signer, in which colons stand for slashes.
        let plain = match kind {
            Kind::ClusterTrustBundle => &*name.replace(':', "."),
            _ => name,
        };
        if !name.is_empty() && !is_name(plain) {
            return Err(error(format!(
                "metadata.{field} {name:?} is no name: lower-case letters, digits, - and ., a letter or digit first and last, at most 253"
            )));
        }
    }
    Ok(reading)
}

/// > contain no more than 253 characters, contain only lowercase alphanumeric characters, '-' or '.', start and end
/// > with an alphanumeric character (Kubernetes, DNS subdomain names)
fn is_name(name: &str) -> bool {
    let simple = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    bytes.len() <= 253
        && bytes.first().is_some_and(simple)
        && bytes.last().is_some_and(simple)
        && bytes.iter().all(|b| simple(b) || matches!(b, b'-' | b'.'))
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
    let objects = resources.iter();
    objects
        .map(|object| text(&object.reference(), resources.written(&object)))
        .collect()
}

/// One object as a YAML document, with its leading separator.
#[must_use]
pub fn document(object: &Object) -> String {
    text(&object.reference(), object.to_json())
}

fn text(reference: &ObjectRef, object: Result<serde_json::Value, serde_json::Error>) -> String {
    let body = object
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
