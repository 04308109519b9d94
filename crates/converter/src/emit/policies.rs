//! The policies of a route: RoutePolicy and BackendPolicy.

use std::collections::BTreeMap;

use api::{
    BackendPolicy, BackendPolicySpec, Fallback, FallbackRef, Object, PolicyTarget, RoutePolicy,
    RoutePolicySpec, SessionCookie, SessionScope,
};

use super::{Emitter, metadata};
use crate::{
    annotations::external_auth_for,
    draft,
    ingress::Source,
    merge::HostGroup,
    native::Rule,
    value::{object_name, short_hash},
};

impl Emitter<'_> {
    /// Whether a route does nothing but send clients elsewhere, by itself or by RouteFilters.
    fn redirects(&self, rules: &[Rule]) -> bool {
        let sends = |name: &str| {
            self.made.iter().any(|object| {
                matches!(object, Object::RouteFilter(filter)
                    if filter.spec.redirect.is_some() && filter.metadata.name.as_deref() == Some(name))
            })
        };
        let redirects = |rule: &Rule| {
            let mut filters = rule.filters.iter().flatten();
            filters.any(|filter| {
                let own = filter.extension_ref.as_ref();
                filter.request_redirect.is_some() || own.is_some_and(|own| sends(&own.name))
            })
        };
        !rules.is_empty() && rules.iter().all(redirects)
    }

    /// The policies of one route.
    pub(super) fn policies(&mut self, group: &HostGroup, route: &str, rules: &[Rule]) {
        let source = &*group.source;
        // Whoever is sent elsewhere by the Ingress itself has to pass its gates first; on their way to https, or to the
        // name or path that a host goes by, clients are not asked anything.
        let redirects = self.redirects(rules);
        let moved = redirects && !source.settings.redirects();
        if let Some(spec) = source.settings.route_policy.as_deref() {
            let spec = if moved {
                always(spec, rules)
            } else {
                for_route(spec.clone(), group, (rules, redirects))
            };
            if spec != RoutePolicySpec::default() {
                self.add(RoutePolicy {
                    metadata: metadata(source, route),
                    spec: RoutePolicySpec {
                        target_refs: vec![route_target(route, None)],
                        ..spec
                    },
                    status: None,
                });
            }
        }
        if redirects || group.unmatched {
            return;
        }
        self.standby_policies(group, route, rules);
        self.backend_policies(group, route, rules);
    }

    /// The BackendPolicy of a route, with the session cookie of its rules; where that differs from rule to rule, one
    /// for each.
    fn backend_policies(&mut self, group: &HostGroup, route: &str, rules: &[Rule]) {
        let source = &*group.source;
        let Some(spec) = source.settings.backend_policy.as_deref() else {
            return;
        };
        let mut cookies: Vec<(SessionCookie, Vec<PolicyTarget>)> = Vec::new();
        for (path, cookie) in draft::session_cookies(group) {
            let own = |name: &&String| {
                let rest = name.strip_prefix(&path);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            };
            let names = rules.iter().filter_map(|rule| rule.name.as_ref());
            let targets = names.filter(own);
            let targets = targets.map(|name| route_target(route, Some(name.clone())));
            let targets: Vec<_> = targets.collect();
            match cookies.iter_mut().find(|(same, _)| *same == cookie) {
                _ if targets.is_empty() => {}
                Some((_, all)) => all.extend(targets),
                None => cookies.push((cookie, targets)),
            }
        }
        let common = match &*cookies {
            [(cookie, _)] => Some(cookie.clone()),
            _ => None,
        };
        let spec = BackendPolicySpec {
            target_refs: Vec::new(),
            session_cookie: common.clone(),
            ..spec.clone()
        };
        if spec != BackendPolicySpec::default() {
            self.backend_policy(source, route, (spec, vec![route_target(route, None)]));
        }
        for (cookie, targets) in cookies.into_iter().filter(|_| common.is_none()) {
            let path = cookie.path.as_deref().unwrap_or("/");
            let after = match cookie.scope {
                SessionScope::Rule => "",
                SessionScope::Backend => "after",
            };
            let name = object_name(route, &short_hash(&["cookie", path, after]));
            let spec = BackendPolicySpec {
                session_cookie: Some(cookie),
                ..BackendPolicySpec::default()
            };
            self.backend_policy(source, &name, (spec, targets));
        }
    }

    fn backend_policy(
        &mut self,
        source: &Source,
        name: &str,
        (spec, target_refs): (BackendPolicySpec, Vec<PolicyTarget>),
    ) {
        self.add(BackendPolicy {
            metadata: metadata(source, name),
            spec: BackendPolicySpec {
                target_refs,
                ..spec
            },
            status: None,
        });
    }

    /// A policy for the rules of a route that lead to canaries of the same base: where a canary has no endpoints, its
    /// base answers, as in Higress.
    fn standby_policies(&mut self, group: &HostGroup, route: &str, rules: &[Rule]) {
        let source = &*group.source;
        let mut by_base: BTreeMap<String, (Vec<FallbackRef>, Vec<PolicyTarget>)> = BTreeMap::new();
        for (rule, base) in draft::standbys(group) {
            let mut names = rules.iter().filter_map(|rule| rule.name.as_ref());
            if names.any(|name| *name == rule) {
                let slot = by_base.entry(standby_key(&base));
                let (_, targets) = slot.or_insert_with(|| (base, Vec::new()));
                targets.push(route_target(route, Some(rule)));
            }
        }
        let policy = source.settings.route_policy.as_deref();
        let own = policy.and_then(|policy| policy.fallback.as_ref());
        for (key, (mut backend_refs, target_refs)) in by_base {
            let name = object_name(route, &short_hash(&["standby", &key]));
            backend_refs.extend(own.iter().flat_map(|own| own.backend_refs.iter().cloned()));
            let status_codes = own.map_or_else(Vec::new, |own| own.status_codes.clone());
            let tell_why = own.is_some_and(|own| own.tell_why);
            let refusals = own.is_some_and(|own| own.refusals);
            self.add(RoutePolicy {
                metadata: metadata(source, &name),
                spec: RoutePolicySpec {
                    target_refs,
                    fallback: Some(Fallback {
                        backend_refs,
                        status_codes,
                        tell_why,
                        refusals,
                    }),
                    ..RoutePolicySpec::default()
                },
                status: None,
            });
        }
    }
}

/// What a RoutePolicy says of requests that are only on their way to another address.
fn always(spec: &RoutePolicySpec, rules: &[Rule]) -> RoutePolicySpec {
    let mut filters = rules.iter().flat_map(|rule| rule.filters.iter().flatten());
    RoutePolicySpec {
        cors: spec
            .cors
            .filter(|_| filters.any(|filter| filter.cors.is_some())),
        ignore_path_case: spec.ignore_path_case,
        access_log: spec.access_log,
        ..RoutePolicySpec::default()
    }
}

/// A RoutePolicy for a route of this group with these rules.
fn for_route(
    mut spec: RoutePolicySpec,
    group: &HostGroup,
    (rules, redirects): (&[Rule], bool),
) -> RoutePolicySpec {
    if !rules.iter().any(|rule| rule.retry.is_some()) {
        spec.retry = None;
    }
    if redirects || group.unmatched {
        spec.fallback = None;
    }
    if group.unmatched && !redirects {
        spec.gateway_statuses.get_or_insert_default().no_backend = Some(404);
    }
    if let Some(auth) = &mut spec.external_auth {
        external_auth_for(auth, &group.host);
    }
    spec
}

/// What the policy for a base is named after. It must stay as it is: names of objects in clusters follow from it.
fn standby_key(base: &[FallbackRef]) -> String {
    let references = base.iter().map(|reference| {
        let namespace = reference.namespace.as_ref();
        let namespace = namespace.map(|name| format!(r#","namespace":{name:?}"#));
        let (name, port) = (&reference.name, reference.port);
        let namespace = namespace.unwrap_or_default();
        format!(r#"{{"name":{name:?}{namespace},"port":{port}}}"#)
    });
    format!("[{}]", references.collect::<Vec<_>>().join(","))
}

fn route_target(route: &str, rule: Option<String>) -> PolicyTarget {
    PolicyTarget {
        group: api::GATEWAY_GROUP.to_owned(),
        kind: "HTTPRoute".to_owned(),
        name: route.to_owned(),
        section_name: rule,
    }
}
