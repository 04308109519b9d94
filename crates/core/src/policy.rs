//! Our policies: which one holds for which target.

mod backend;
mod client;
mod route;

use std::{collections::BTreeMap, sync::Arc};

use api::{
    BackendPolicy, ClientPolicy, Condition, GATEWAY_GROUP, Kind, ObjectKey, PolicyTarget,
    Resources, RoutePolicy, Store,
    condition::{reasons, types},
};
use kube::ResourceExt;

use crate::{
    ParentRef,
    fault::Fault,
    lookup::Lookup,
    precedence::Age,
    status::{PolicyAncestorStatus, PolicyStatus},
};

pub(crate) use backend::{BackendScope, BackendSettings, session_cookie};
pub(crate) use client::{ClientSettings, client_settings};
pub(crate) use route::{client_addresses, rate_limit};

/// A kind of policy.
pub(crate) trait Policy: ResourceExt + Sized {
    fn store(resources: &Resources) -> &Store<Self>;
    fn targets(&self) -> &[PolicyTarget];
    /// Kinds that it may apply to.
    const TARGETS: &'static [Kind];
    /// What is wrong with it whatever it applies to.
    fn fault(&self, key: &ObjectKey, lookup: &Lookup<'_>) -> Option<Fault>;
}

impl Policy for RoutePolicy {
    const TARGETS: &'static [Kind] = &[Kind::HttpRoute];

    fn store(resources: &Resources) -> &Store<Self> {
        &resources.route_policies
    }

    fn targets(&self) -> &[PolicyTarget] {
        &self.spec.target_refs
    }

    fn fault(&self, _: &ObjectKey, _: &Lookup<'_>) -> Option<Fault> {
        let limit = self
            .spec
            .rate_limit
            .as_ref()
            .map(rate_limit)
            .map(|limit| limit.map(drop));
        let addresses = self.spec.client_addresses.as_ref();
        let addresses = addresses
            .map(client_addresses)
            .map(|addresses| addresses.map(drop));
        limit.into_iter().chain(addresses).find_map(Result::err)
    }
}

impl Policy for BackendPolicy {
    const TARGETS: &'static [Kind] = &[Kind::HttpRoute, Kind::Service];

    fn store(resources: &Resources) -> &Store<Self> {
        &resources.backend_policies
    }

    fn targets(&self) -> &[PolicyTarget] {
        &self.spec.target_refs
    }

    fn fault(&self, key: &ObjectKey, lookup: &Lookup<'_>) -> Option<Fault> {
        backend::fault(self, key, lookup)
    }
}

impl Policy for ClientPolicy {
    const TARGETS: &'static [Kind] = &[Kind::Gateway, Kind::ListenerSet];

    fn store(resources: &Resources) -> &Store<Self> {
        &resources.client_policies
    }

    fn targets(&self) -> &[PolicyTarget] {
        &self.spec.target_refs
    }

    fn fault(&self, key: &ObjectKey, lookup: &Lookup<'_>) -> Option<Fault> {
        client_settings(&[(key, self)], lookup).err()
    }
}

type Target = (Kind, ObjectKey);

/// Policies of a target by section; `None` is the whole of it.
type Sections<'a, P> = BTreeMap<Option<&'a str>, (&'a ObjectKey, &'a Arc<P>)>;

/// The policies of one kind that hold their targets.
#[derive(Debug)]
pub(crate) struct Held<'a, P> {
    by_target: BTreeMap<Target, Sections<'a, P>>,
}

impl<'a, P: Policy> Held<'a, P> {
    /// Settles which policy holds which target.
    ///
    /// > If there are multiple policies targeting the same resource, the oldest one based on creation timestamp wins;
    /// > if a tie exists, the one first in alphabetical order by `{namespace}/{name}`. (GEP-713)
    pub(crate) fn of(resources: &'a Resources) -> Self {
        let mut held = Self {
            by_target: BTreeMap::new(),
        };
        for (key, policy) in by_age::<P>(resources) {
            for target in policy.targets() {
                if let Ok(found) = find::<P>(resources, key, target) {
                    let sections = held.by_target.entry(found).or_default();
                    sections
                        .entry(target.section_name.as_deref())
                        .or_insert((key, policy));
                }
            }
        }
        held
    }

    /// The policy for that target and section, and nothing wider.
    pub(crate) fn at(
        &self,
        kind: Kind,
        key: &ObjectKey,
        section: Option<&str>,
    ) -> Option<(&'a ObjectKey, &'a Arc<P>)> {
        self.by_target
            .get(&(kind, key.clone()))?
            .get(&section)
            .copied()
    }

    /// What is to be said about each policy.
    pub(crate) fn status(&self, lookup: &Lookup<'a>) -> BTreeMap<ObjectKey, PolicyStatus> {
        let all = P::store(lookup.resources).iter();
        all.map(|(key, policy)| {
            let fault = policy.fault(key, lookup);
            let ancestors = policy.targets().iter().map(|target| PolicyAncestorStatus {
                ancestor_ref: ancestor(key, target),
                conditions: vec![match self.accept(lookup.resources, key, target) {
                    Err(fault) => fault.fails(types::ACCEPTED),
                    Ok(()) => match &fault {
                        Some(fault) => fault.fails(types::ACCEPTED),
                        None => Condition::holds(types::ACCEPTED, reasons::ACCEPTED, ""),
                    },
                }],
            });
            let ancestors = ancestors.collect();
            (key.clone(), PolicyStatus { ancestors })
        })
        .collect()
    }

    fn accept(
        &self,
        resources: &Resources,
        key: &ObjectKey,
        target: &PolicyTarget,
    ) -> Result<(), Fault> {
        let found = find::<P>(resources, key, target)?;
        let sections = self.by_target.get(&found);
        match sections.and_then(|sections| sections.get(&target.section_name.as_deref())) {
            Some((holder, _)) if *holder != key => Err(Fault::new(
                reasons::CONFLICTED,
                format!("{holder} is older and holds the same target"),
            )),
            _ => Ok(()),
        }
    }
}

fn by_age<P: Policy>(resources: &Resources) -> Vec<(&ObjectKey, &Arc<P>)> {
    let mut by_age: Vec<_> = P::store(resources).iter().collect();
    by_age.sort_by_cached_key(|(key, policy)| (Age::of(&***policy), (*key).clone()));
    by_age
}

fn ancestor(key: &ObjectKey, target: &PolicyTarget) -> ParentRef {
    ParentRef {
        group: target.group.clone(),
        kind: target.kind.clone(),
        namespace: Some(key.namespace.clone()),
        name: target.name.clone(),
        section_name: target.section_name.clone(),
        port: None,
    }
}

/// The target, if there is such a thing.
fn find<P: Policy>(
    resources: &Resources,
    policy: &ObjectKey,
    target: &PolicyTarget,
) -> Result<Target, Fault> {
    let kind = Kind::find(&target.group, &target.kind).filter(|kind| P::TARGETS.contains(kind));
    let Some(kind) = kind else {
        let allowed: Vec<_> = P::TARGETS.iter().map(|kind| kind.as_str()).collect();
        let message = format!(
            "targetRef to {} of group {:?}: only {} of {GATEWAY_GROUP} or the core group can be a target",
            target.kind,
            target.group,
            allowed.join(" and ")
        );
        return Err(Fault::new(reasons::INVALID, message));
    };
    let key = ObjectKey::new(&policy.namespace, &target.name);
    let not_found = |what: String| Err(Fault::new(reasons::TARGET_NOT_FOUND, what));
    let Some(sections) = sections(resources, kind, &key) else {
        return not_found(format!("{kind} {key} does not exist"));
    };
    match &target.section_name {
        Some(name) if !sections.iter().any(|known| known == name) => not_found(format!(
            "{kind} {key} has no {} named {name:?}",
            section_word(kind)
        )),
        _ => Ok((kind, key)),
    }
}

const fn section_word(kind: Kind) -> &'static str {
    match kind {
        Kind::HttpRoute => "rule",
        Kind::Service => "port",
        _ => "listener",
    }
}

/// The names that a `sectionName` may have; `None` if there is no such object.
fn sections(resources: &Resources, kind: Kind, key: &ObjectKey) -> Option<Vec<String>> {
    Some(match kind {
        Kind::HttpRoute => {
            let route = resources.http_routes.get(key)?;
            let rules = route.spec.rules.iter().flatten();
            rules.filter_map(|rule| rule.name.clone()).collect()
        }
        Kind::Service => {
            let service = resources.services.get(key)?;
            let ports = service
                .spec
                .iter()
                .flat_map(|spec| spec.ports.iter().flatten());
            ports
                .flat_map(|port| port.name.clone().into_iter().chain([port.port.to_string()]))
                .collect()
        }
        Kind::Gateway => {
            let gateway = resources.gateways.get(key)?;
            gateway
                .spec
                .listeners
                .iter()
                .map(|listener| listener.name.clone())
                .collect()
        }
        Kind::ListenerSet => {
            let set = resources.listener_sets.get(key)?;
            set.spec
                .listeners
                .iter()
                .map(|listener| listener.name.clone())
                .collect()
        }
        _ => return None,
    })
}
