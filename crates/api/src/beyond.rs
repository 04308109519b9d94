//! What an object says beyond what its type holds: fields that the type lacks, and values that its enumerations lack.
//!
//! Some of these fields are known all the same, of releases of the Gateway API that are newer than our types; they are
//! read here into types of their own. All others are *unknown*: they are kept by name, so that translation can say so
//! and close what has them.

mod reader;

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde_json::Value;

use crate::{
    EXPERIMENTS_GROUP, GATEWAY_GROUP, GROUP, Kind, Object,
    gateway::{ListenerFilters, SessionFields},
};

pub(crate) use reader::read;

/// So many unknown fields of an object are kept by name.
const KEPT: usize = 32;

/// Longest name of a field, and longest value, that is kept whole, in bytes.
const LONGEST: usize = 64;

/// An object, and what it says beyond its type.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The object.
    pub object: Object,
    /// What it says beyond its type, if anything.
    pub beyond: Option<Arc<Beyond>>,
}

/// What an object says beyond its type. Most objects have none of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Beyond {
    unknown: Vec<UnknownField>,
    omitted: usize,
    filters: BTreeMap<usize, ListenerFilters>,
    routabilities: BTreeMap<usize, Box<str>>,
    sessions: BTreeMap<usize, SessionFields>,
}

impl Beyond {
    /// Fields and values that are not known, at most 32.
    #[must_use]
    pub fn unknown(&self) -> &[UnknownField] {
        &self.unknown
    }

    /// How many more there are that are not kept by name. They may be anywhere in the object.
    #[must_use]
    pub const fn omitted(&self) -> usize {
        self.omitted
    }

    /// `filters` of the listener at that place (from 0) of a Gateway or ListenerSet (Gateway API 1.7, GEP-5224).
    #[must_use]
    pub fn listener_filters(&self, listener: usize) -> Option<&ListenerFilters> {
        self.filters.get(&listener)
    }

    /// `routability` of the address at that place (from 0) of a Gateway (Gateway API 1.7, GEP-5093).
    #[must_use]
    pub fn routability(&self, address: usize) -> Option<&str> {
        self.routabilities.get(&address).map(|text| &**text)
    }

    /// `sessionPersistence.cookie` and `.header` of the rule at that place (from 0) of a route (Gateway API 1.7).
    #[must_use]
    pub fn session(&self, rule: usize) -> Option<&SessionFields> {
        self.sessions.get(&rule)
    }

    /// Whether there is nothing in it that is not known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.unknown.is_empty() && self.omitted == 0
    }

    /// Adds what is known of it to the object.
    pub(crate) fn add_to(&self, object: &mut Value) -> Result<(), serde_json::Error> {
        for (listener, filters) in &self.filters {
            if let Some(listener) = object["spec"]["listeners"].get_mut(listener) {
                listener["filters"] = serde_json::to_value(filters)?;
            }
        }
        for (address, routability) in &self.routabilities {
            if let Some(address) = object["spec"]["addresses"].get_mut(address) {
                address["routability"] = Value::from(&**routability);
            }
        }
        for (rule, session) in &self.sessions {
            let rule = object["spec"]["rules"].get_mut(rule);
            let declared = rule.and_then(|rule| rule["sessionPersistence"].as_object_mut());
            let fields = serde_json::to_value(session)?;
            if let (Some(declared), Value::Object(fields)) = (declared, fields) {
                declared.extend(fields);
            }
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        let Self {
            unknown: _,
            omitted: _,
            filters,
            routabilities,
            sessions,
        } = self;
        let known = filters.is_empty() && routabilities.is_empty() && sessions.is_empty();
        self.is_known() && known
    }

    fn note(&mut self, field: UnknownField) {
        if self.unknown.len() < KEPT {
            self.unknown.push(field);
        } else {
            self.omitted += 1;
        }
    }
}

/// A field that is not known, or a value of a known one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownField {
    /// Where it stands, from the root of the object.
    pub path: Box<[Step]>,
    /// The value, if that is what is not known.
    pub value: Option<Box<str>>,
}

/// From a value to one inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The field of that name.
    Field(Box<str>),
    /// The item at that place, from 0.
    Item(usize),
}

impl Step {
    /// The field's name.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Field(name) => Some(name),
            Self::Item(_) => None,
        }
    }

    /// The item's place.
    #[must_use]
    pub const fn item(&self) -> Option<usize> {
        match self {
            Self::Field(_) => None,
            Self::Item(place) => Some(*place),
        }
    }
}

impl fmt::Display for UnknownField {
    /// `field spec.rules[0].filters[1].jwt`, or `value "JWT" of spec.rules[0].filters[1].type`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "value {value:?} of ")?,
            None => f.write_str("field ")?,
        }
        for (index, step) in self.path.iter().enumerate() {
            match step {
                Step::Field(name) if index == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Item(place) => write!(f, "[{place}]")?,
            }
        }
        Ok(())
    }
}

impl Kind {
    /// Whether unknown fields of such objects are kept: those of the Gateway API and our own. Kubernetes' own kinds
    /// grow fields with every release, none of which is about a gateway.
    #[must_use]
    pub fn keeps_unknown(self) -> bool {
        [GATEWAY_GROUP, EXPERIMENTS_GROUP, GROUP].contains(&self.group())
    }
}

#[cfg(test)]
#[path = "beyond_tests.rs"]
mod tests;
