//! What is read otherwise than the types have it: `status` is not read, base64 may have line ends, and older versions
//! of a kind are read as the one that we have.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::ByteString;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, IntoDeserializer, MapAccess, Visitor},
    forward_to_deserialize_any,
};
use serde_json::Value;

use crate::Kind;

/// A controller writes it, not the author of a manifest. Its shape does not matter.
const STATUS: &str = "status";

/// The field that holds base64, by kind.
const fn encoded(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Secret => Some("data"),
        Kind::ConfigMap => Some("binaryData"),
        _ => None,
    }
}

/// An object of a kind, in any of its [`Kind::versions`], without status; line ends are taken out of base64, as the
/// decoder of API servers does.
pub(crate) struct Tolerant<D> {
    pub(crate) kind: Kind,
    pub(crate) object: D,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Tolerant<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let kind = self.kind;
        self.object.deserialize_map(Fields { kind, to: visitor })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The fields of the object, on their way to its type.
struct Fields<T> {
    kind: Kind,
    to: T,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Fields<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<V::Value, A::Error> {
        self.to.visit_map(Access {
            fields,
            kind: self.kind,
            next: Next::AsItIs,
        })
    }
}

struct Access<A> {
    fields: A,
    kind: Kind,
    next: Next,
}

/// How the value that comes next is read.
#[derive(Clone, Copy)]
enum Next {
    AsItIs,
    /// The version, which has been looked at: some types take one alone.
    Version,
    Base64,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Access<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.fields.next_key::<String>()? {
            if key == STATUS {
                self.fields.next_value::<IgnoredAny>()?;
                continue;
            }
            self.next = match key.as_str() {
                "apiVersion" => Next::Version,
                field if encoded(self.kind) == Some(field) => Next::Base64,
                _ => Next::AsItIs,
            };
            return seed.deserialize(key.into_deserializer()).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        match self.next {
            Next::AsItIs => self.fields.next_value_seed(seed),
            Next::Version => {
                self.fields.next_value::<IgnoredAny>()?;
                seed.deserialize(self.kind.api_version().into_deserializer())
            }
            Next::Base64 => {
                let texts: Option<BTreeMap<String, String>> = self.fields.next_value()?;
                let texts = texts.map(joined).transpose().map_err(A::Error::custom)?;
                let texts = texts.unwrap_or_default();
                seed.deserialize(texts).map_err(A::Error::custom)
            }
        }
    }
}

/// Base64 without line ends.
///
/// # Errors
/// A value is no base64.
fn joined(texts: BTreeMap<String, String>) -> Result<Value, String> {
    let fields = texts.into_iter().map(|(key, text)| {
        let text = text.replace(['\n', '\r'], "");
        let value = Value::String(text);
        match ByteString::deserialize(&value) {
            Ok(_) => Ok((key, value)),
            // The position says nothing of the value.
            Err(why) => Err(format!("{key} is no base64: {why}")),
        }
    });
    fields.collect::<Result<_, _>>().map(Value::Object)
}
