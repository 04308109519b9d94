//! What is to be said on Ingresses: notes about their annotations, and what is wrong with the objects that they became.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use api::{
    ClientAddresses, Condition, Kind, ObjectKey, ObjectRef, Resources,
    condition::{reasons, types},
};
use converter::{Note, Outcome};
use kube::ResourceExt as _;

use crate::pipeline::Made;

/// One sentence about one Ingress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) ingress: ObjectKey,
    /// Of the Ingress.
    pub(super) uid: String,
    /// One CamelCase word.
    pub(super) reason: &'static str,
    pub(super) text: String,
    pub(super) warning: bool,
    /// It closes the Ingress, or a part of it: it is said again for as long as it holds.
    pub(super) lasting: bool,
    /// It may be gone in a moment, as where a Service is applied after its Ingress.
    pub(super) fleeting: bool,
}

/// Everything that is to be said.
pub(super) fn findings(made: &Made, resources: &Resources) -> Vec<Finding> {
    let closed: BTreeSet<ObjectKey> = { made.generated.route_policies.values() }
        .filter(|policy| {
            let addresses = policy.spec.client_addresses.as_ref();
            addresses.is_some_and(ClientAddresses::is_none)
        })
        .filter_map(|policy| origin(policy.annotations()))
        .collect();
    let notes = made.notes.iter();
    let notes = notes.filter_map(|note| of_note(note, &closed, resources));
    let clashes: BTreeSet<_> = made.clashes.iter().collect();
    let taken = made.clashes.iter();
    let taken = taken.filter_map(|object| of_clash(object, made, resources));
    let problems: Vec<_> = { made.status.problems() }
        .filter(|(object, _, condition)| {
            // What sums up others has nothing to say, and a clash is another's object.
            let sums_up = [reasons::PENDING, reasons::LISTENERS_NOT_VALID];
            !clashes.contains(object) && !sums_up.contains(&condition.reason)
        })
        .collect();
    let causes: BTreeSet<_> = { problems.iter() }
        .filter(|(_, _, condition)| condition.type_ != types::PROGRAMMED)
        .map(|(object, place, _)| (object, place))
        .collect();
    let faults = { problems.iter() }
        .filter(|(object, place, condition)| {
            condition.type_ != types::PROGRAMMED || !causes.contains(&(object, place))
        })
        .filter_map(|(object, _, condition)| of_fault(object, condition, made, resources));
    // The routes of an Ingress, and the parents of a route, have the same to say.
    let mut said = BTreeMap::new();
    for fault in faults {
        let key = (fault.ingress.clone(), fault.text.clone());
        said.entry(key).or_insert(fault);
    }
    notes.chain(taken).chain(said.into_values()).collect()
}

fn origin(annotations: &BTreeMap<String, String>) -> Option<ObjectKey> {
    let origin: ObjectRef = annotations.get(api::annotation::ORIGIN)?.parse().ok()?;
    (origin.kind == Kind::Ingress).then_some(origin.key)
}

fn of_note(note: &Note, closed: &BTreeSet<ObjectKey>, resources: &Resources) -> Option<Finding> {
    let ObjectRef { kind, key } = &note.object;
    let (reason, warning) = match note.outcome {
        Outcome::Exact | Outcome::NoEffect => return None,
        Outcome::Approximated => ("Approximated", false),
        Outcome::Refused => ("Refused", true),
        Outcome::Dropped => ("Dropped", true),
    };
    let text = match &note.key {
        Some(annotation) => format!("{annotation}: {}", note.message),
        None => note.message.clone(),
    };
    Some(Finding {
        uid: uid(key, resources).filter(|_| *kind == Kind::Ingress)?,
        ingress: key.clone(),
        reason,
        text,
        warning,
        lasting: note.outcome == Outcome::Dropped || warning && closed.contains(key),
        fleeting: false,
    })
}

/// Somebody has an object of their own where the Ingress would become one.
fn of_clash(object: &ObjectRef, made: &Made, resources: &Resources) -> Option<Finding> {
    let ingress = origin(
        made.generated
            .get(object)?
            .metadata()
            .annotations
            .as_ref()?,
    )?;
    Some(Finding {
        uid: uid(&ingress, resources)?,
        ingress,
        reason: "TakenOver",
        text: format!(
            "{} {} is an object of its own: it counts, and not what the Ingress would become",
            object.kind, object.key.name
        ),
        warning: false,
        lasting: false,
        fleeting: true,
    })
}

fn of_fault(
    object: &ObjectRef,
    condition: &Condition,
    made: &Made,
    resources: &Resources,
) -> Option<Finding> {
    let ingress = origin(
        made.generated
            .get(object)?
            .metadata()
            .annotations
            .as_ref()?,
    )?;
    let good = !matches!(
        condition.type_,
        types::CONFLICTED | types::PARTIALLY_INVALID | types::INSECURE_FRONTEND
    );
    let bad = condition.is_true() != good;
    Some(Finding {
        uid: uid(&ingress, resources)?,
        ingress,
        reason: condition.reason,
        text: format!("{} made from it: {}", object.kind, condition.message),
        warning: bad,
        lasting: bad,
        fleeting: true,
    })
}

fn uid(ingress: &ObjectKey, resources: &Resources) -> Option<String> {
    resources.ingresses.get(ingress)?.uid()
}

#[cfg(test)]
#[path = "finding_tests.rs"]
mod tests;
