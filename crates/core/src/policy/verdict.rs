//! What is to be said about policies.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{
    Condition, ObjectKey, PolicyTarget,
    condition::{reasons, types},
};
use tracked::{Changes, Memo};

use super::{Held, Policy};
use crate::{
    ParentRef,
    fault::Fault,
    lookup::Lookup,
    status::{PolicyAncestorStatus, PolicyStatus},
    unknown::Unknown,
};

/// What was said about policies, for as long as they, their targets and all that was read for them stay the same.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    judged: Memo<ObjectKey, ()>,
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

    /// Has policies judged about which there may be something else to say: because of what changed, or for a reason of
    /// the caller's own.
    pub(super) fn update<P: Policy>(
        &mut self,
        (lookup, changes): (&Lookup<'_>, &Changes),
        own_reason: BTreeSet<ObjectKey>,
        judge: impl Fn(&ObjectKey, &Arc<P>) -> PolicyStatus,
    ) -> BTreeMap<ObjectKey, Arc<PolicyStatus>> {
        let view = lookup.view();
        let mut stale = self.judged.stale(changes, view);
        match changes {
            Changes::Everything => stale.extend(view.all::<P>().keys().cloned()),
            Changes::Some(_) => stale.extend(
                changes
                    .iter()
                    .map(|change| &change.reference)
                    .filter(|reference| reference.kind == P::KIND)
                    .map(|reference| reference.key.clone()),
            ),
        }
        stale.extend(own_reason);
        for key in stale {
            let mut status = None;
            self.judged.keep(key.clone(), view, |view| {
                status = view.get(&key).map(|policy| judge(&key, policy));
            });
            match status {
                Some(status) if !status.ancestors.is_empty() => {
                    self.said.insert(key, Arc::new(status));
                }
                Some(_) => drop(self.said.remove(&key)),
                None => {
                    self.judged.forget(&key);
                    self.said.remove(&key);
                }
            }
        }
        self.said.clone()
    }
}

/// What is to be said about a policy. `of_use` says what of it does nothing at a target, or why all of it does nothing.
pub(super) fn judge<P: Policy>(
    held: &Held<P>,
    (key, policy): (&ObjectKey, &Arc<P>),
    lookup: &Lookup<'_>,
    of_use: impl Fn(&PolicyTarget) -> Result<String, Fault>,
) -> PolicyStatus {
    let unknown = Unknown::of(lookup.view(), P::KIND, key);
    let unknown = unknown.anywhere(reasons::INVALID);
    let fault = unknown.or_else(|| policy.fault(key, lookup));
    let targets = policy.targets();
    let accepted = |target| {
        held.accept(lookup.view(), key, target)?;
        fault.clone().map_or_else(|| of_use(target), Err)
    };
    let ancestors = targets.iter().map(|target| PolicyAncestorStatus {
        ancestor_ref: ancestor(key, target),
        conditions: vec![match accepted(target) {
            Err(fault) => fault.fails(types::ACCEPTED),
            Ok(warning) => Condition::holds(types::ACCEPTED, reasons::ACCEPTED, warning),
        }],
    });
    PolicyStatus {
        ancestors: ancestors.collect(),
    }
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
