//! Scalars without quotes that are a number, a truth value or nothing where there has to be a text. kubectl sends them
//! as what they look like, and an API server refuses them.

use std::{borrow::Cow, ops::Range};

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::{Error, Options};

use super::scan;
use crate::{Kind, Object, Reading, unknown::Unknown, yaml::Tolerant};

/// So many in one object are told one by one; what there is beyond them is read and not told.
const MOST: usize = 50;

/// What became of a document.
pub(super) struct Quoted {
    pub(super) reading: Reading,
    /// Fields that were not read.
    pub(super) unknown: Unknown,
    /// Why an API server would refuse the object although it is read.
    pub(super) error: Option<Error>,
    /// What was read as a text, with its line (from 0) in the document.
    pub(super) told: Vec<(usize, String)>,
}

/// Reads a document of a kind as if all texts in it were in quotes.
///
/// # Errors
/// It does not fit the kind.
pub(super) fn read(kind: Kind, document: &str) -> Result<Quoted, Error> {
    let mut text = Cow::Borrowed(document);
    let mut told = Vec::new();
    let mut strict = scan::options();
    strict.no_schema = true;
    for _ in 0..MOST {
        let error = match once(kind, &text, strict.clone()) {
            Ok(read) => return Ok(Quoted::of(kind, read, &text, told)),
            Err(error) => error,
        };
        let Some(plain) = place(&error, &text) else {
            return Quoted::despite(kind, error, &text, told);
        };
        told.extend(plain.told(kind, &text));
        let quoted = plain.quoted(&text);
        text.to_mut().replace_range(plain.at, &quoted);
    }
    let read = once(kind, &text, scan::options())?;
    Ok(Quoted::of(kind, read, &text, told))
}

impl Quoted {
    /// What was read; where there are fields that were not, what they say.
    fn of(
        kind: Kind,
        (object, unknown): (Object, Unknown),
        text: &str,
        told: Vec<(usize, String)>,
    ) -> Self {
        let again = (!unknown.is_empty()).then(|| again(kind, text)).flatten();
        let beyond = again.and_then(|reading| reading.beyond);
        Self {
            reading: Reading { object, beyond },
            unknown,
            error: None,
            told,
        }
    }

    /// What can be read although a value is not known.
    ///
    /// # Errors
    /// That is not what is wrong with it.
    fn despite(
        kind: Kind,
        error: Error,
        text: &str,
        told: Vec<(usize, String)>,
    ) -> Result<Self, Error> {
        match again(kind, text) {
            Some(reading) if reading.beyond.is_some() => Ok(Self {
                reading,
                unknown: Unknown::default(),
                error: Some(error),
                told,
            }),
            _ => Err(error),
        }
    }
}

fn again(kind: Kind, text: &str) -> Option<Reading> {
    if !kind.keeps_unknown() {
        return None;
    }
    let value = serde_saphyr::from_str_with_options::<Value>(text, scan::options());
    loosely(kind, value.ok()?)
}

/// The object with what it says beyond its type, if it can be read like that.
pub(super) fn loosely(kind: Kind, object: Value) -> Option<Reading> {
    let value = Value::deserialize(Tolerant { kind, object });
    Object::read(kind, value.ok()?).ok()
}

fn once(kind: Kind, text: &str, options: Options) -> Result<(Object, Unknown), Error> {
    let mut unknown = Unknown::default();
    let object = Object::from_yaml(kind, text, options, &mut unknown)?;
    Ok((object, unknown))
}

/// A scalar that wants quotes.
struct Plain {
    /// Its bytes.
    at: Range<usize>,
    /// It is null, which an API server reads as an empty text.
    null: bool,
}

fn place(error: &Error, text: &str) -> Option<Plain> {
    let (location, null) = match error.without_snippet() {
        Error::QuotingRequired { location, .. } => (location, false),
        Error::NullIntoString { location } => (location, true),
        _ => return None,
    };
    let span = location.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let length = usize::try_from(span.byte_len()?).ok()?;
    let end = start.checked_add(length)?;
    let scalar = text.get(start..end)?;
    // A value that is not there stands at the colon behind its key.
    if scalar.is_empty() {
        let end = text[start..].starts_with(':').then_some(start + 1)?;
        return null.then_some(Plain { at: end..end, null });
    }
    let at = start..end;
    (!scalar.contains(['\n', '"', '\''])).then_some(Plain { at, null })
}

impl Plain {
    fn quoted(&self, text: &str) -> String {
        match self.null {
            true => " \"\"".to_owned(),
            false => format!("\"{}\"", &text[self.at.clone()]),
        }
    }

    /// Line and message. Names of fields are made texts by kubectl, and null is taken: of these there is nothing to
    /// tell.
    fn told(&self, kind: Kind, text: &str) -> Option<(usize, String)> {
        if self.null || text[self.at.end..].trim_start_matches(' ').starts_with(':') {
            return None;
        }
        let before = &text[..self.at.start];
        let line = before.matches('\n').count();
        let begin = before.rfind('\n').map_or(0, |at| at + 1);
        let key = key(&before[begin..]);
        Some((line, message(kind, key, &text[self.at.clone()])))
    }
}

/// The field that a line leads to, where it says so.
fn key(line: &str) -> Option<&str> {
    let key = line.trim_end().strip_suffix(':')?;
    let start = key.rfind(['{', ',', ' ']).map_or(0, |at| at + 1);
    let key = key[start..].trim_matches(['"', '\'']);
    (!key.is_empty()).then_some(key)
}

fn message(kind: Kind, key: Option<&str>, value: &str) -> String {
    // What a Secret holds stays out of logs.
    let (value, read) = match kind {
        Kind::Secret => ("a value", "a text".to_owned()),
        _ => (value, format!("the text {value:?}")),
    };
    let key = key.map(|key| format!("{key}: ")).unwrap_or_default();
    format!(
        "{key}{value} without quotes is no text, and an API server refuses it; it is read as {read}"
    )
}

/// Maps in which every value is a text, as paths.
const TEXTS: &[&[&str]] = &[
    &["metadata", "annotations"],
    &["metadata", "labels"],
    &["data"],
    &["stringData"],
    &["spec", "selector"],
];

/// Makes texts of the values of an item's maps of texts, and says of which.
pub(super) fn texts(kind: Kind, item: &mut Value) -> Vec<String> {
    let mut told = Vec::new();
    for path in TEXTS {
        let mut at = Some(&mut *item);
        for step in *path {
            at = at.and_then(|value| value.get_mut(step));
        }
        let Some(Value::Object(map)) = at else {
            continue;
        };
        for (key, value) in map {
            let text = match &*value {
                Value::Null => String::new(),
                Value::Bool(truth) => truth.to_string(),
                Value::Number(number) => number.to_string(),
                _ => continue,
            };
            if !value.is_null() {
                told.push(message(kind, Some(key), &text));
            }
            *value = Value::String(text);
        }
    }
    told
}
