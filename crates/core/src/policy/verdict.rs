//! What is to be said about policies.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{
    Condition, ObjectKey, PolicyTarget,
    condition::{reasons, types},
};
use foldhash::HashMap;

use super::{Held, Policy, named};
use crate::{
    ParentRef,
    changes::Changes,
    dependents::{Dependents, Topic, topics},
    fault::Fault,
    lookup::Lookup,
    status::{PolicyAncestorStatus, PolicyStatus},
    unknown::Unknown,
};

/// What was said about policies, for as long as they, their targets and all that was read for them stay the same.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    known: HashMap<ObjectKey, Vec<Topic>>,
    dependents: Dependents<ObjectKey>,
    said: BTreeMap<ObjectKey, Arc<PolicyStatus>>,
}

impl Verdicts {
    /// What is to be said about each policy.
    pub(crate) fn status<P: Policy>(
        &mut self,
        held: &Held<P>,
        lookup: &Lookup<'_>,
        changes: &Changes,
    ) -> BTreeMap<ObjectKey, Arc<PolicyStatus>> {
        let all_of_it = |_: &PolicyTarget| Ok(String::new());
        let judge =
            |key: &ObjectKey, policy: &Arc<P>| judge(held, (key, policy), lookup, all_of_it);
        self.update((lookup, changes), BTreeSet::new(), judge)
    }

    /// Has policies judged about which there may be something else to say: because of what changed, or for a reason of the
    /// caller's own.
    pub(super) fn update<P: Policy>(
        &mut self,
        (lookup, changes): (&Lookup<'_>, &Changes),
        own_reason: BTreeSet<ObjectKey>,
        judge: impl Fn(&ObjectKey, &Arc<P>) -> (PolicyStatus, Vec<Topic>),
    ) -> BTreeMap<ObjectKey, Arc<PolicyStatus>> {
        let store = P::store(lookup.resources);
        let mut stale: BTreeSet<ObjectKey> = match changes {
            Changes::Everything => store.keys().cloned().collect(),
            Changes::Some(all) => {
                let own = all.iter().filter(|change| change.reference.kind == P::KIND);
                let own = own.map(|change| change.reference.key.clone());
                // Which grants policies need is not written down apart: whoever needs any is judged again.
                let of_others = self.dependents.stale(changes, lookup, |_| false);
                own.chain(of_others).collect()
            }
        };
        stale.extend(own_reason);
        for key in stale {
            if let Some(topics) = self.known.remove(&key) {
                self.dependents.remove(&key, topics);
            }
            let Some(policy) = store.get(&key) else {
                self.said.remove(&key);
                continue;
            };
            let (status, topics) = judge(&key, policy);
            self.dependents.add(&key, topics.iter().cloned());
            self.known.insert(key.clone(), topics);
            if status.ancestors.is_empty() {
                self.said.remove(&key);
            } else {
                self.said.insert(key, Arc::new(status));
            }
        }
        self.said.clone()
    }
}

/// What is to be said about a policy, and what that depends on. `of_use` says what of it does nothing at a target, or why all of
/// it does nothing.
pub(super) fn judge<P: Policy>(
    held: &Held<P>,
    (key, policy): (&ObjectKey, &Arc<P>),
    lookup: &Lookup<'_>,
    of_use: impl Fn(&PolicyTarget) -> Result<String, Fault>,
) -> (PolicyStatus, Vec<Topic>) {
    lookup.take_reads();
    let unknown = Unknown::of(lookup.resources, P::KIND, key);
    let unknown = unknown.anywhere(reasons::INVALID);
    let fault = unknown.or_else(|| policy.fault(key, lookup));
    let targets = policy.targets();
    let accepted = |target| {
        held.accept(lookup.resources, key, target)?;
        fault.clone().map_or_else(|| of_use(target), Err)
    };
    let ancestors = targets.iter().map(|target| PolicyAncestorStatus {
        ancestor_ref: ancestor(key, target),
        conditions: vec![match accepted(target) {
            Err(fault) => fault.fails(types::ACCEPTED),
            Ok(warning) => Condition::holds(types::ACCEPTED, reasons::ACCEPTED, warning),
        }],
    });
    let ancestors = ancestors.collect();
    (
        PolicyStatus { ancestors },
        judged_by::<P>(key, &targets, lookup),
    )
}

/// What a judgement depends on: the targets, who holds them, and all that was read.
pub(super) fn judged_by<P: Policy>(
    key: &ObjectKey,
    targets: &[PolicyTarget],
    lookup: &Lookup<'_>,
) -> Vec<Topic> {
    let named = targets.iter().filter_map(|target| named::<P>(key, target));
    let targets = named.flat_map(|(kind, target)| {
        let held = Topic::Policies(P::KIND, kind, target.clone());
        [Topic::Object(kind, target), held]
    });
    targets.chain(topics(&lookup.take_reads())).collect()
}

fn ancestor(key: &ObjectKey, target: &PolicyTarget) -> ParentRef {
    ParentRef {
        group: target.group.clone(),
        kind: target.kind.clone(),
        namespace: Some(key.namespace.as_ref().to_owned()),
        name: target.name.clone(),
        section_name: target.section_name.clone(),
        port: None,
    }
}
