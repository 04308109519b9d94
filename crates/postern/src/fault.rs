//! Conditions that tell of something wrong, each with the Ingress that its object came from. What only follows from
//! another condition of the object is not told: one cause, one line.

use std::{collections::BTreeMap, fmt};

use api::{
    Condition, Kind, ObjectRef, Resources,
    condition::{reasons, types},
};

use crate::pipeline::Made;

/// What is wrong with a rule, where the message of a route names one rule and what becomes of its requests.
fn effect(message: &str) -> Option<&str> {
    const EFFECT: &str = ", which answers ";
    let (_, rest) = message.split_once(EFFECT)?;
    let (status, cause) = rest.split_once(": ")?;
    let whole = status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit());
    (whole && !cause.contains(EFFECT)).then_some(cause)
}

/// A condition that tells of something wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault<'a> {
    pub(crate) object: ObjectRef,
    /// Where in the object: a listener, a parent or a target; empty: all of it is meant.
    pub(crate) place: String,
    /// What it was made from, as `Ingress/namespace/name`.
    pub(crate) origin: Option<String>,
    pub(crate) condition: &'a Condition,
}

impl Fault<'_> {
    /// What is wrong, apart from where.
    pub(crate) fn what(&self) -> String {
        // It is served, and something about it is not as its author wants it.
        if self.condition.is_true() && self.condition.reason == reasons::ACCEPTED {
            self.condition.message.clone()
        } else {
            self.condition.to_string()
        }
    }

    /// The same without the rule of a route that is affected: one cause may reach many rules.
    pub(crate) fn cause(&self) -> String {
        let condition = self.condition;
        match effect(&condition.message) {
            Some(cause) => format!(
                "{}={:?} ({}): {cause}",
                condition.type_, condition.status, condition.reason
            ),
            None => self.what(),
        }
    }

    /// Object and origin.
    pub(crate) fn of(&self) -> String {
        self.at("")
    }

    /// Object, place and origin.
    fn whose(&self) -> String {
        self.at(&self.place)
    }

    fn at(&self, place: &str) -> String {
        let mut text = self.object.to_string();
        if !place.is_empty() {
            text = format!("{text} {place}");
        }
        match &self.origin {
            Some(origin) => format!("{text}, of {origin}"),
            None => text,
        }
    }
}

impl fmt::Display for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.whose(), self.what())
    }
}

/// All of them, by object. `input` is what was made of.
pub(crate) fn all<'a>(made: &'a Made, input: &Resources) -> Vec<Fault<'a>> {
    let mut all = Vec::new();
    let mut problems = made.status.problems().peekable();
    while let Some((object, place, condition)) = problems.next() {
        let mut told = vec![(place, condition)];
        while let Some((_, place, condition)) = problems.next_if(|(next, ..)| *next == object) {
            told.push((place, condition));
        }
        all.extend(causes(&object, told, made, input));
    }
    without_repetition(all)
}

/// Without those of policies that the routes which they are for tell of, together with what becomes of requests.
fn without_repetition(all: Vec<Fault<'_>>) -> Vec<Fault<'_>> {
    let mut told: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for fault in all.iter().filter(|fault| is_route(&fault.object)) {
        let messages = told.entry(fault.object.to_string()).or_default();
        messages.push(&fault.condition.message);
    }
    let repeats = |fault: &Fault<'_>| {
        let target = target(fault).unwrap_or_default();
        let cause = format!(": {}", fault.condition.message);
        let mut messages = told.get(target).into_iter().flatten();
        !is_route(&fault.object) && messages.any(|message| message.ends_with(&cause))
    };
    let (_, kept) = all.into_iter().partition(repeats);
    kept
}

fn is_route(object: &ObjectRef) -> bool {
    Kind::ROUTES.contains(&object.kind)
}

/// Those of one object; of a policy without those that the routes which it is for tell of.
pub(crate) fn of<'a>(object: &ObjectRef, made: &'a Made, input: &Resources) -> Vec<Fault<'a>> {
    let told = made.status.problems_of(object.kind, &object.key);
    let mut faults = causes(object, told, made, input);
    if !is_route(object) {
        faults.retain(|fault| {
            let cause = format!(": {}", fault.condition.message);
            let route = target(fault).and_then(|route| route.parse::<ObjectRef>().ok());
            let route = route.filter(is_route);
            let told = route.map(|route| made.status.problems_of(route.kind, &route.key));
            let mut messages = told.iter().flatten();
            !messages.any(|(_, condition)| condition.message.ends_with(&cause))
        });
    }
    faults
}

/// What the fault of a policy is about, if it is about a target.
fn target<'f>(fault: &'f Fault<'_>) -> Option<&'f str> {
    fault.place.split('#').next()
}

fn causes<'a>(
    object: &ObjectRef,
    told: Vec<(String, &'a Condition)>,
    made: &Made,
    input: &Resources,
) -> Vec<Fault<'a>> {
    if told.is_empty() {
        return Vec::new();
    }
    let origin = origin(object, made, input);
    let causes = told
        .iter()
        .enumerate()
        .filter(|(at, _)| !follows(*at, &told));
    causes
        .map(|(_, (place, condition))| Fault {
            object: object.clone(),
            place: place.clone(),
            origin: origin.clone(),
            condition,
        })
        .collect()
}

/// Whether a condition says only that another one holds.
fn follows(at: usize, told: &[(String, &Condition)]) -> bool {
    let (place, condition) = &told[at];
    let elsewhere = |wanted: &dyn Fn(&str, &Condition) -> bool| {
        let mut others = told.iter().enumerate().filter(|(other, _)| *other != at);
        others.any(|(_, (place, condition))| wanted(place, condition))
    };
    match condition.reason {
        // Of a Gateway or ListenerSet: its listeners say what is wrong with them.
        reasons::LISTENERS_NOT_VALID | reasons::LISTENERS_NOT_RESOLVED => {
            elsewhere(&|other, _| !other.is_empty())
        }
        reasons::INVALID if condition.type_ == types::PROGRAMMED => elsewhere(&|other, cause| {
            let whole = place.is_empty() || other.is_empty();
            (whole || other == place) && cause.type_ != types::PROGRAMMED && !cause.is_true()
        }),
        // A conflict is said in three conditions.
        _ => told[..at].iter().any(|(other, cause)| {
            other == place && cause.reason == condition.reason && cause.message == condition.message
        }),
    }
}

fn origin(object: &ObjectRef, made: &Made, input: &Resources) -> Option<String> {
    // One that somebody wrote counts before one that was made.
    let generated = || made.generated.get(object);
    let found = match made.clashes.contains(object) {
        true => input.get(object),
        false => generated().or_else(|| input.get(object)),
    };
    found?.origin().map(str::to_owned)
}

#[cfg(test)]
#[path = "fault_tests.rs"]
mod tests;
