//! The first look at a document: what it is, and the items of a List one by one.
//!
//! A List is read in one pass: no more of it is held at a time than one item and the objects that were made. So time
//! and memory grow with the text, however many objects it has.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;
use serde_saphyr::{Error, Options, Spanned};

use super::{ManifestError, Manifests, Skipped, named, quoting, reason};
use crate::{
    GATEWAY_GROUP, Kind, Object, Reading,
    unknown::{CLOSED, NOT_USED, Unknown},
};

/// How documents are read. There is no limit of nodes, because whoever gives us text bounds its length; what would make
/// more of a text than it is (aliases, merge keys, depth) is bounded as the library has it. Comments mean nothing to
/// us.
pub(super) fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: usize::MAX,
            max_nodes: usize::MAX,
        },
        emit_comments: false,
    }
}

/// What a document says of itself.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Head {
    #[serde(rename = "apiVersion")]
    pub(super) api_version: Option<String>,
    pub(super) kind: Option<String>,
    #[serde(default)]
    metadata: HeadMetadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HeadMetadata {
    name: Option<String>,
    namespace: Option<String>,
}

impl Head {
    pub(super) fn name(&self) -> String {
        let name = self.metadata.name.as_deref().unwrap_or("?");
        self.metadata
            .namespace
            .as_ref()
            .map_or_else(|| name.to_owned(), |ns| format!("{ns}/{name}"))
    }

    pub(super) fn is_list(&self) -> bool {
        self.kind
            .as_ref()
            .is_some_and(|kind| kind.ends_with("List"))
    }

    pub(super) fn find(&self, line: usize) -> Result<Option<Kind>, ManifestError> {
        let (Some(api_version), Some(kind)) = (&self.api_version, &self.kind) else {
            let why = "not a Kubernetes object: apiVersion and kind are needed".to_owned();
            return Err(ManifestError::of_object(line, None, why));
        };
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let known = Kind::find(group, kind);
        match known {
            Some(known) if known.versions().contains(&version) => Ok(Some(known)),
            // There may be hundreds; they are counted.
            Some(Kind::Ingress) => Ok(None),
            _ => match superseded(group, kind, known) {
                Some(now) => {
                    let why = format!(
                        "{api_version} is not read, as its fields are others: write it as {now}"
                    );
                    let object = format!("{kind}/{}", self.name());
                    Err(ManifestError::of_object(line, Some(object), why))
                }
                None => Ok(None),
            },
        }
    }

    pub(super) fn skipped(&self, line: usize) -> Skipped {
        Skipped {
            line,
            api_version: self.api_version.clone().unwrap_or_default(),
            kind: self.kind.clone().unwrap_or_default(),
            name: self.name(),
        }
    }
}

/// What a kind of ours is now, of which this is another version, another name or another group.
fn superseded(group: &str, kind: &str, known: Option<Kind>) -> Option<String> {
    let now = match (group, kind) {
        (GATEWAY_GROUP, "ReferencePolicy") => Kind::ReferenceGrant,
        // Experiments of the Gateway API; and the group that it had first.
        ("gateway.networking.x-k8s.io", "XListenerSet") => Kind::ListenerSet,
        ("networking.x-k8s.io", kind) => Kind::find(GATEWAY_GROUP, kind)?,
        _ => known?,
    };
    Some(format!("{now} of {}", now.api_version()))
}

/// A document after the first look.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub(super) head: Head,
    /// What `items` holds, if there is such a field and it is a list: it counts if the document is a List.
    pub(super) items: Option<Manifests>,
}

/// Takes the first look at the document that starts on `line` (from 1) of the whole text.
///
/// # Errors
/// The document is no YAML, or none whose beginning could be that of an object.
pub(super) fn scan(text: &str, line: usize) -> Result<Scanned, Error> {
    serde_saphyr::with_deserializer_from_str_with_options(text, options(), |document| {
        document.deserialize_map(Document { line })
    })
}

/// The line in the whole text of a position in the document that starts on `start`.
pub(super) fn line_of(start: usize, location: serde_saphyr::Location) -> usize {
    let line = usize::try_from(location.line()).unwrap_or(1);
    start + line.saturating_sub(1)
}

struct Document {
    line: usize,
}

impl<'de> Visitor<'de> for Document {
    type Value = Scanned;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Kubernetes object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scanned, A::Error> {
        let mut scanned = Scanned::default();
        while let Some(key) = map.next_key::<String>()? {
            match &*key {
                "apiVersion" => scanned.head.api_version = map.next_value()?,
                "kind" => scanned.head.kind = map.next_value()?,
                "metadata" => {
                    let metadata: Option<_> = map.next_value()?;
                    scanned.head.metadata = metadata.unwrap_or_default();
                }
                "items" => scanned.items = map.next_value_seed(Items { line: self.line })?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(scanned)
    }
}

/// Reads each item as soon as it is there.
struct Items {
    line: usize,
}

impl<'de> DeserializeSeed<'de> for Items {
    type Value = Option<Manifests>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Items {
    type Value = Option<Manifests>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut out = Manifests::default();
        while let Some(item) = items.next_element::<Spanned<Value>>()? {
            let line = line_of(self.line, item.referenced);
            take(item.value, line, &mut out);
        }
        Ok(Some(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Makes an object of an item, and notes what became of it.
fn take(item: Value, line: usize, out: &mut Manifests) {
    let head = match Head::deserialize(&item) {
        Ok(head) => head,
        Err(error) => {
            let why = reason(&error.to_string());
            return out.errors.push(ManifestError::of_object(line, None, why));
        }
    };
    match head.find(line) {
        Ok(Some(kind)) => {
            let label = format!("{kind}/{}", head.name());
            match object(kind, item, &label, line) {
                Ok(Item {
                    reading,
                    told,
                    error,
                }) => {
                    out.take(reading, line, told.into_iter().map(|what| (line, what)));
                    out.errors.extend(error.map(ManifestError::taken));
                }
                Err(error) => out.errors.push(error),
            }
        }
        Ok(None) => out.skipped.push(head.skipped(line)),
        Err(error) => out.errors.push(error),
    }
}

/// What became of an item.
struct Item {
    reading: Reading,
    told: Vec<String>,
    /// A field or value of it is not known.
    error: Option<ManifestError>,
}

/// The object that an item is.
fn object(kind: Kind, mut item: Value, label: &str, line: usize) -> Result<Item, ManifestError> {
    let error = |why: String| ManifestError::of_object(line, Some(label.to_owned()), why);
    let told = quoting::texts(kind, &mut item);
    let mut unknown = Unknown::default();
    let kept = kind.keeps_unknown().then(|| item.clone());
    let strict = Object::from_value(kind, item, &mut unknown);
    let strict = strict.map_err(|why| reason(&why.to_string()));
    let kept = kept.filter(|_| strict.is_err() || !unknown.is_empty());
    let loose = kept.and_then(|item| quoting::loosely(kind, item));
    let Some(reading) = loose.filter(|reading| reading.beyond.is_some()) else {
        let object = strict.map_err(error)?;
        let reading = Reading {
            object,
            beyond: None,
        };
        return match unknown.message(NOT_USED) {
            Some(why) => Err(error(why)),
            None => Ok(Item {
                reading: named(reading, line, label)?,
                told,
                error: None,
            }),
        };
    };
    let known = reading.beyond.as_ref();
    let known = known.is_some_and(|beyond| beyond.is_known());
    let wrong = match strict {
        Err(why) => Some(format!("{why}; {CLOSED}")),
        Ok(_) => unknown.message(CLOSED).filter(|_| !known),
    };
    Ok(Item {
        reading: named(reading, line, label)?,
        told,
        error: wrong.map(error),
    })
}
