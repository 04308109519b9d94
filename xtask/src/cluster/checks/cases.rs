//! Objects that a schema must refuse, one for each rule in it, derived from one that it must accept.

use serde_json::{Map, Value, json};

/// An object, and what is to become of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Case {
    /// Which rule it is about, for people: the field and the rule.
    pub(super) rule: String,
    pub(super) object: Value,
    /// What the refusal must say; none if the object is to be accepted.
    pub(super) refusal: Option<String>,
    /// Whether it is at a bound of one field, and no heed was paid to rules that span fields.
    pub(super) derived: bool,
}

/// A rule that spans fields, as the API server enforces it. Which objects break it cannot be derived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spanning {
    pub(super) field: String,
    pub(super) message: String,
}

/// Cases for every rule of the schema that bounds one field, from the first of the objects that has it. An error names
/// a field with a rule that none of them has.
pub(super) fn of_fields(schema: &Value, objects: &[&Value]) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    walk(&schema["properties"]["spec"], "/spec", &mut |schema, at| {
        let bounded = BOUNDS.iter().any(|bound| schema.get(bound).is_some());
        if !bounded {
            return Ok(());
        }
        let mut having = objects
            .iter()
            .filter_map(|object| Some((object, object.pointer(at)?)));
        let (object, value) = having
            .next()
            .ok_or_else(|| format!("no object has {at}, which has rules"))?;
        for (rule, changed, refusal) in broken(schema, value) {
            cases.push(Case {
                rule: format!("{at} {rule}"),
                object: with(object, at, changed),
                refusal,
                derived: true,
            });
        }
        Ok(())
    })?;
    Ok(cases)
}

/// Every rule of the schema that spans fields.
pub(super) fn spanning(schema: &Value) -> Vec<Spanning> {
    let mut found = Vec::new();
    let walked = walk(&schema["properties"]["spec"], "/spec", &mut |schema, at| {
        let rules = schema["x-kubernetes-validations"].as_array();
        for rule in rules.into_iter().flatten() {
            found.push(Spanning {
                field: at.to_owned(),
                message: rule["message"].as_str().unwrap_or_default().to_owned(),
            });
        }
        Ok(())
    });
    debug_assert_eq!(walked, Ok(()), "the closure finds fault with nothing");
    found
}

/// The object with another value at that place.
pub(super) fn with(object: &Value, at: &str, value: Value) -> Value {
    let mut changed = object.clone();
    if let Some(place) = changed.pointer_mut(at) {
        *place = value;
    }
    changed
}

const BOUNDS: &[&str] = &[
    "enum",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "pattern",
    "required",
];

/// Visits a schema and those below it, each with the place of the first value that it is for.
fn walk(
    schema: &Value,
    at: &str,
    visit: &mut impl FnMut(&Value, &str) -> Result<(), String>,
) -> Result<(), String> {
    visit(schema, at)?;
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        walk(below, &format!("{at}/{name}"), visit)?;
    }
    if schema["items"].is_object() {
        walk(&schema["items"], &format!("{at}/0"), visit)?;
    }
    Ok(())
}

type Broken = (String, Value, Option<String>);

/// Values at a rule's bound, which are good, and just beyond it.
fn broken(schema: &Value, value: &Value) -> Vec<Broken> {
    let mut found = Vec::new();
    let mut good = |rule: &str, value| found.push((format!("{rule}, just within"), value, None));
    // Of the values that an enumeration has, its bounds say nothing.
    let free = schema.get("enum").is_none();
    let number = |rule: &str| schema[rule].as_f64().filter(|_| free);
    let count = |rule: &str| schema[rule].as_u64().and_then(|n| usize::try_from(n).ok());
    let plain = schema.get("pattern").is_none() && schema.get("enum").is_none();
    let letters = |length: usize| Value::from("a".repeat(length));
    for bound in ["minLength", "maxLength"] {
        if let Some(length) = count(bound).filter(|_| plain) {
            good(bound, letters(length));
        }
    }
    for bound in ["minimum", "maximum"] {
        if let Some(bounding) = number(bound) {
            good(bound, whole(bounding));
        }
    }
    let mut bad = |rule: &str, value, says: &str| {
        found.push((rule.to_owned(), value, Some(says.to_owned())));
    };
    if let Some(length) = count("minLength").filter(|length| *length > 0) {
        bad("minLength", letters(length - 1), "at least");
    }
    if let Some(length) = count("maxLength") {
        bad("maxLength", letters(length + 1), "may not be more than");
    }
    if let Some(least) = number("minimum") {
        bad("minimum", whole(least - 1.0), "greater than or equal to");
    }
    if let Some(most) = number("maximum") {
        bad("maximum", whole(most + 1.0), "less than or equal to");
    }
    if schema.get("enum").is_some() {
        bad("enum", json!("no-such-value"), "Unsupported value");
    }
    if schema.get("pattern").is_some() {
        bad("pattern", json!("\u{7f}"), "should match");
    }
    let first = value.get(0).cloned().unwrap_or_default();
    if let Some(most) = count("maxItems") {
        bad(
            "maxItems",
            Value::from(vec![first; most + 1]),
            "must have at most",
        );
    }
    if count("minItems").is_some_and(|least| least > 0) {
        bad("minItems", json!([]), "should have at least");
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        let mut fields: Map<String, Value> = value.as_object().cloned().unwrap_or_default();
        fields.remove(name);
        bad(
            &format!("required {name}"),
            Value::from(fields),
            "Required value",
        );
    }
    found
}

/// Bounds are written as 1.0 in a schema; an integer field takes only 1.
#[expect(
    clippy::cast_possible_truncation,
    reason = "bounds of integer fields are whole and far from the limits of i64"
)]
fn whole(number: f64) -> Value {
    if number.fract() == 0.0 {
        Value::from(number as i64)
    } else {
        Value::from(number)
    }
}

#[cfg(test)]
#[path = "cases_tests.rs"]
mod tests;
