//! RoutePolicies: which one holds for a rule.

use std::collections::BTreeMap;

use api::{
    Condition, GATEWAY_GROUP, Kind, ObjectKey, PolicyTarget, Resources, RetryPolicy, RoutePolicy,
    condition::{reasons, types},
};

use crate::{
    ParentRef,
    fault::Fault,
    precedence::Age,
    status::{PolicyAncestorStatus, PolicyStatus},
};

/// Policies of a route by rule name; `None` is the whole route.
type Sections<'a> = BTreeMap<Option<&'a str>, (&'a ObjectKey, &'a RoutePolicy)>;

/// The policy that holds each target.
#[derive(Debug, Default)]
pub(crate) struct Policies<'a> {
    by_route: BTreeMap<ObjectKey, Sections<'a>>,
}

impl<'a> Policies<'a> {
    /// Retry conditions of a rule: of the policy for that rule, else of the one for the whole route.
    pub(crate) fn retry(&self, route: &ObjectKey, rule: Option<&str>) -> Option<&'a RetryPolicy> {
        let sections = self.by_route.get(route)?;
        let of = |section: Option<&str>| sections.get(&section)?.1.spec.retry.as_ref();
        rule.and_then(|rule| of(Some(rule))).or_else(|| of(None))
    }
}

/// Settles which policy holds which target.
///
/// > If there are multiple policies targeting the same resource, the oldest one based on creation timestamp wins;
/// > if a tie exists, the one first in alphabetical order by `{namespace}/{name}`. (GEP-713)
pub(crate) fn translate(
    resources: &Resources,
) -> (Policies<'_>, BTreeMap<ObjectKey, PolicyStatus>) {
    let mut by_age: Vec<_> = resources.route_policies.iter().collect();
    by_age.sort_by_cached_key(|(key, policy)| (Age::of(&***policy), (*key).clone()));
    let mut policies = Policies::default();
    let mut status = BTreeMap::new();
    for (key, policy) in by_age {
        let ancestors = policy.spec.target_refs.iter().map(|target| {
            let condition = match attach(&mut policies, resources, (key, policy), target) {
                Ok(()) => Condition::holds(types::ACCEPTED, reasons::ACCEPTED, ""),
                Err(fault) => fault.fails(types::ACCEPTED),
            };
            PolicyAncestorStatus {
                ancestor_ref: ParentRef {
                    group: target.group.clone(),
                    kind: target.kind.clone(),
                    namespace: Some(key.namespace.clone()),
                    name: target.name.clone(),
                    section_name: target.section_name.clone(),
                    port: None,
                },
                conditions: vec![condition],
            }
        });
        let ancestors = ancestors.collect();
        status.insert(key.clone(), PolicyStatus { ancestors });
    }
    (policies, status)
}

fn attach<'a>(
    policies: &mut Policies<'a>,
    resources: &Resources,
    (key, policy): (&'a ObjectKey, &'a RoutePolicy),
    target: &'a PolicyTarget,
) -> Result<(), Fault> {
    if Kind::find(&target.group, &target.kind) != Some(Kind::HttpRoute) {
        let message = format!(
            "targetRef to {} of group {:?}: only HTTPRoute of {GATEWAY_GROUP} can be a target",
            target.kind, target.group
        );
        return Err(Fault::new(reasons::INVALID, message));
    }
    let route_key = ObjectKey::new(&key.namespace, &target.name);
    let not_found = |what: String| Err(Fault::new(reasons::TARGET_NOT_FOUND, what));
    let Some(route) = resources.http_routes.get(&route_key) else {
        return not_found(format!("HTTPRoute {route_key} does not exist"));
    };
    let section = target.section_name.as_deref();
    let rules = route.spec.rules.as_deref().unwrap_or_default();
    if let Some(name) = section
        && !rules.iter().any(|rule| rule.name.as_deref() == Some(name))
    {
        return not_found(format!("HTTPRoute {route_key} has no rule named {name:?}"));
    }
    let sections = policies.by_route.entry(route_key).or_default();
    match sections.get(&section) {
        Some((holder, _)) if *holder != key => Err(Fault::new(
            reasons::CONFLICTED,
            format!("RoutePolicy {holder} is older and holds the same target"),
        )),
        _ => {
            sections.insert(section, (key, policy));
            Ok(())
        }
    }
}
