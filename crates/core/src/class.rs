//! GatewayClasses: which are ours.

use std::collections::{BTreeMap, BTreeSet};

use api::{
    Condition, Kind, ObjectKey,
    condition::{reasons, types},
    gateway::GatewayClass,
};
use tracked::View;

use crate::{GatewayClassStatus, Options, claim, fault::Fault, unknown::Unknown, version};

/// The classes that are ours, by name.
#[derive(Debug, Default)]
pub(crate) struct Classes<'a> {
    accepted: BTreeSet<&'a str>,
    refused: BTreeSet<&'a str>,
}

impl Classes<'_> {
    /// `None`: not ours. A Gateway of a class that is ours but refused is refused itself.
    pub(crate) fn find(&self, name: &str) -> Option<Result<(), Fault>> {
        if self.accepted.contains(name) {
            Some(Ok(()))
        } else if self.refused.contains(name) {
            Some(Err(Fault::new(
                reasons::INVALID_PARAMETERS,
                format!("GatewayClass {name} is not accepted; see its status"),
            )))
        } else {
            None
        }
    }
}

/// Finds our classes.
pub(crate) fn translate<'a>(
    view: &View<'a>,
    options: &'a Options,
) -> (Classes<'a>, BTreeMap<ObjectKey, GatewayClassStatus>) {
    let mut classes = Classes::default();
    let mut status = BTreeMap::new();
    let version = version::condition(&options.definitions);
    let claims = claim::claimed(&options.definitions);
    let all = view.all::<GatewayClass>();
    for (key, class) in all {
        if class.spec.controller_name != options.controller_name {
            continue;
        }
        let condition = match &class.spec.parameters_ref {
            None => {
                classes.accepted.insert(&key.name);
                let unknown = Unknown::of(view, Kind::GatewayClass, key);
                let unknown = unknown.anywhere(reasons::ACCEPTED);
                let said = unknown.map(|fault| fault.message).unwrap_or_default();
                Condition::holds(types::ACCEPTED, reasons::ACCEPTED, said)
            }
            Some(parameters) => {
                classes.refused.insert(&key.name);
                let message = format!(
                    "parametersRef to {} {} is not supported: remove it",
                    parameters.kind, parameters.name
                );
                Condition::fails(types::ACCEPTED, reasons::INVALID_PARAMETERS, message)
            }
        };
        let entry = GatewayClassStatus {
            conditions: [Some(condition), version.clone()]
                .into_iter()
                .flatten()
                .collect(),
            supported_features: claims.clone(),
        };
        status.insert(key.clone(), entry);
    }
    if let Some(name) = &options.implied_class
        && !all.contains_key(&ObjectKey::new("", name))
    {
        classes.accepted.insert(name);
    }
    (classes, status)
}
