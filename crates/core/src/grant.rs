//! ReferenceGrants: who may refer to objects of another namespace.

use std::collections::BTreeMap;

use api::{Kind, Resources, condition::reasons, gateway::ReferenceGrant};

use crate::{lookup::Access, unknown::Unknown};

/// All grants, by the namespace that they open.
#[derive(Debug, Default)]
pub(crate) struct Grants<'a> {
    by_namespace: BTreeMap<&'a str, Vec<&'a ReferenceGrant>>,
}

impl<'a> Grants<'a> {
    pub(crate) fn of(resources: &'a Resources) -> Self {
        let mut by_namespace: BTreeMap<&str, Vec<&ReferenceGrant>> = BTreeMap::new();
        for (key, grant) in &resources.reference_grants {
            // What it is to keep out is not known, so that it lets nothing in.
            let unknown = Unknown::of(resources, Kind::ReferenceGrant, key);
            if unknown.anywhere(reasons::INVALID).is_some() {
                continue;
            }
            by_namespace.entry(&key.namespace).or_default().push(grant);
        }
        Self { by_namespace }
    }

    /// Whether a grant permits the reference.
    pub(crate) fn permit(&self, access: &Access) -> bool {
        let Access {
            from,
            namespace,
            to,
            target,
        } = access;
        let grants = self.by_namespace.get(&*target.namespace);
        grants.into_iter().flatten().any(|grant| {
            let source = grant.spec.from.iter().any(|f| {
                f.group == from.group() && f.kind == from.as_str() && f.namespace == *namespace
            });
            let destination = grant.spec.to.iter().any(|t| {
                t.group == to.group()
                    && t.kind == to.as_str()
                    && t.name.as_ref().is_none_or(|name| **name == *target.name)
            });
            source && destination
        })
    }
}
