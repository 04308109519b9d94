//! Reads a type out of JSON, and notes on the way what the type has no place for.

use std::cell::RefCell;

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, Error as _, IntoDeserializer, MapAccess, SeqAccess,
        Visitor,
    },
    forward_to_deserialize_any,
};
use serde_json::{Error, Value};

use super::{Beyond, LONGEST, Step, UnknownField};
use crate::{
    Kind,
    gateway::{ListenerFilters, SessionCookieFields, SessionHeaderFields},
};

/// Reads an object of a kind. A value that an enumeration does not have is noted, and another one read instead of it:
/// whoever uses the object has to look for what was noted.
pub(crate) fn read<T: DeserializeOwned>(
    kind: Kind,
    value: Value,
) -> Result<(T, Option<Beyond>), Error> {
    let notes = Notes {
        kind,
        found: RefCell::default(),
    };
    let object = T::deserialize(Node {
        value,
        at: &Path::Root,
        notes: &notes,
    })?;
    let found = notes.found.into_inner();
    Ok((object, (!found.is_empty()).then_some(found)))
}

struct Notes {
    kind: Kind,
    found: RefCell<Beyond>,
}

impl Notes {
    /// The type has no such field.
    fn ignored(&self, at: &Path<'_>, value: Value) {
        let path = at.steps();
        let listener = matches!(self.kind, Kind::Gateway | Kind::ListenerSet);
        let route = matches!(self.kind, Kind::HttpRoute | Kind::GrpcRoute);
        let node = Node {
            value,
            at,
            notes: self,
        };
        match Field::of(&path) {
            // A controller writes status, and some types take kind and version for granted.
            Field::Outside => {}
            Field::ListenerFilters(place) if listener => match ListenerFilters::deserialize(node) {
                Ok(filters) => drop(self.found.borrow_mut().filters.insert(place, filters)),
                Err(error) => self.unreadable(path, &error),
            },
            Field::Routability(place) if self.kind == Kind::Gateway => {
                match String::deserialize(node) {
                    Ok(text) => {
                        let mut found = self.found.borrow_mut();
                        found.routabilities.insert(place, shortened(&text));
                    }
                    Err(error) => self.unreadable(path, &error),
                }
            }
            Field::SessionCookie(rule) if route => match SessionCookieFields::deserialize(node) {
                Ok(fields) => {
                    let mut found = self.found.borrow_mut();
                    found.sessions.entry(rule).or_default().cookie = Some(fields);
                }
                Err(error) => self.unreadable(path, &error),
            },
            Field::SessionHeader(rule) if route => match SessionHeaderFields::deserialize(node) {
                Ok(fields) => {
                    let mut found = self.found.borrow_mut();
                    found.sessions.entry(rule).or_default().header = Some(fields);
                }
                Err(error) => self.unreadable(path, &error),
            },
            Field::ListenerFilters(_)
            | Field::Routability(_)
            | Field::SessionCookie(_)
            | Field::SessionHeader(_)
            | Field::Unknown => {
                self.found
                    .borrow_mut()
                    .note(UnknownField { path, value: None });
            }
        }
    }

    fn unreadable(&self, path: Box<[Step]>, error: &Error) {
        let value = Some(shortened(&error.to_string()));
        self.found.borrow_mut().note(UnknownField { path, value });
    }

    /// The enumeration has no such value.
    fn no_variant(&self, at: &Path<'_>, value: &str) {
        let path = at.steps();
        if !matches!(Field::of(&path), Field::Outside) {
            let value = Some(shortened(value));
            self.found.borrow_mut().note(UnknownField { path, value });
        }
    }
}

/// A field that the types lack.
enum Field {
    /// It is not for us.
    Outside,
    /// Of a listener, by its place.
    ListenerFilters(usize),
    /// Of an address, by its place.
    Routability(usize),
    /// Of a rule, by its place.
    SessionCookie(usize),
    /// Likewise.
    SessionHeader(usize),
    Unknown,
}

impl Field {
    fn of(path: &[Step]) -> Self {
        let name = |at: usize| path.get(at).and_then(Step::field).unwrap_or_default();
        let item = path.get(2).and_then(Step::item);
        match (name(0), name(1), item, name(3), path.len()) {
            ("apiVersion" | "kind" | "status", ..) => Self::Outside,
            ("spec", "listeners", Some(place), "filters", 4) => Self::ListenerFilters(place),
            ("spec", "addresses", Some(place), "routability", 4) => Self::Routability(place),
            ("spec", "rules", Some(place), "sessionPersistence", 5) => match name(4) {
                "cookie" => Self::SessionCookie(place),
                "header" => Self::SessionHeader(place),
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }
}

/// Of a longer text, the beginning.
fn shortened(text: &str) -> Box<str> {
    text[..text.floor_char_boundary(LONGEST)].into()
}

enum Path<'p> {
    Root,
    Field(&'p Self, &'p str),
    Item(&'p Self, usize),
}

impl Path<'_> {
    fn steps(&self) -> Box<[Step]> {
        let mut steps = Vec::new();
        let mut at = self;
        loop {
            at = match at {
                Self::Root => break,
                Self::Field(parent, name) => {
                    steps.push(Step::Field(shortened(name)));
                    parent
                }
                Self::Item(parent, place) => {
                    steps.push(Step::Item(*place));
                    parent
                }
            };
        }
        steps.reverse();
        steps.into()
    }
}

/// A value, and where it stands.
struct Node<'a> {
    value: Value,
    at: &'a Path<'a>,
    notes: &'a Notes,
}

impl<'de> Deserializer<'de> for Node<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Self { value, at, notes } = self;
        match value {
            Value::Array(items) => visitor.visit_seq(Items {
                items: items.into_iter(),
                place: 0,
                at,
                notes,
            }),
            Value::Object(fields) => visitor.visit_map(Fields {
                fields: fields.into_iter(),
                next: None,
                at,
                notes,
            }),
            scalar => scalar.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let Value::String(text) = self.value else {
            return self.value.deserialize_enum(name, variants, visitor);
        };
        let known = variants.iter().find(|variant| **variant == text);
        let read = known.or_else(|| {
            self.notes.no_variant(self.at, &text);
            variants.first()
        });
        match read {
            Some(variant) => visitor.visit_enum((*variant).into_deserializer()),
            None => Err(Error::unknown_variant(&text, variants)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.notes.ignored(self.at, self.value);
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier
    }
}

struct Items<'a> {
    items: std::vec::IntoIter<Value>,
    place: usize,
    at: &'a Path<'a>,
    notes: &'a Notes,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(value) = self.items.next() else {
            return Ok(None);
        };
        let at = Path::Item(self.at, self.place);
        self.place += 1;
        let (at, notes) = (&at, self.notes);
        seed.deserialize(Node { value, at, notes }).map(Some)
    }
}

struct Fields<'a> {
    fields: serde_json::map::IntoIter,
    next: Option<(String, Value)>,
    at: &'a Path<'a>,
    notes: &'a Notes,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.next = self.fields.next();
        let key = self.next.as_ref().map(|(key, _)| key.as_str());
        key.map(|key| seed.deserialize(key.into_deserializer()))
            .transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let (key, value) = self
            .next
            .take()
            .ok_or_else(|| Error::custom("a value without its key"))?;
        let (at, notes) = (&Path::Field(self.at, &key), self.notes);
        seed.deserialize(Node { value, at, notes })
    }
}
