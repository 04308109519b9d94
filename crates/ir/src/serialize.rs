//! `serialize_with` functions for the `http` crate's types, which have no serde of their own.

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use serde::{Serializer, ser::SerializeSeq};

use crate::redacted;

pub(crate) fn text<T: ToString, S: Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&value.to_string())
}

pub(crate) fn option_text<T: ToString, S: Serializer>(
    value: &Option<T>,
    s: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => s.serialize_str(&value.to_string()),
        None => s.serialize_none(),
    }
}

pub(crate) fn status<S: Serializer>(value: &StatusCode, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u16(value.as_u16())
}

pub(crate) fn option_status<S: Serializer>(
    value: &Option<StatusCode>,
    s: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => status(value, s),
        None => s.serialize_none(),
    }
}

pub(crate) fn statuses<S: Serializer>(values: &[StatusCode], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(values.iter().map(|value| value.as_u16()))
}

pub(crate) fn header_value<S: Serializer>(value: &HeaderValue, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&String::from_utf8_lossy(value.as_bytes()))
}

pub(crate) fn names<S: Serializer>(values: &[HeaderName], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(values.iter().map(HeaderName::as_str))
}

/// Names with their values, which may be secrets.
pub(crate) fn pairs<S: Serializer>(
    values: &[(HeaderName, HeaderValue)],
    s: S,
) -> Result<S::Ok, S::Error> {
    let mut seq = s.serialize_seq(Some(values.len()))?;
    for (name, value) in values {
        let value = String::from_utf8_lossy(value.as_bytes());
        seq.serialize_element(&format_args!("{name}: {}", redacted::value(&value)))?;
    }
    seq.end()
}

/// Names, or `*` for all.
pub(crate) fn option_names<S: Serializer>(
    value: &Option<Vec<HeaderName>>,
    s: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(values) => names(values, s),
        None => s.serialize_str("*"),
    }
}

pub(crate) fn option_header_value<S: Serializer>(
    value: &Option<HeaderValue>,
    s: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => header_value(value, s),
        None => s.serialize_none(),
    }
}

pub(crate) fn duration<S: Serializer>(value: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&format_args!("{}ms", value.as_millis()))
}
