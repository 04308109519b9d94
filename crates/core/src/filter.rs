//! Filters of rules and backendRefs.

mod backend_ref;
mod cors;
mod extension;
pub(crate) mod external_auth;
mod header;
mod path;
mod url;

use api::{
    CorsAnswers, GROUP, Kind, ObjectKey, ObjectRef, RouteFilter,
    condition::reasons,
    gateway::httproutes::{
        HttpRouteRules, HttpRouteRulesFilters, HttpRouteRulesFiltersRequestMirror,
        HttpRouteRulesFiltersRequestRedirectScheme, HttpRouteRulesFiltersType,
    },
};
use ir::{
    Action, AnswerHeaders, Cors, ExternalAuth, Fraction, HeaderMods, InvalidPattern, Mirror,
    PathMatch, Pattern, RequestMatch, RequestStep,
};
use std::{num::NonZeroU32, sync::Arc};

use crate::{
    backend::{self, BackendRef, ClusterRef},
    fault::Fault,
    lookup::Lookup,
    unknown::Unknown,
};

pub(crate) use backend_ref::{BackendFilters, parse as backend_filters};

/// A value that cannot be honoured.
pub(crate) fn unsupported(message: impl Into<String>) -> Fault {
    Fault::new(reasons::ROUTE_UNSUPPORTED_VALUE, message)
}

/// What the filters of a rule come to.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    pub(crate) external_auths: Vec<Arc<ExternalAuth>>,
    pub(crate) cors: Option<Cors>,
    pub(crate) request: Vec<RequestStep>,
    pub(crate) mirrors: Vec<Mirror>,
    /// The redirect that the rule ends with, of either kind.
    pub(crate) redirect: Option<Action>,
    /// It comes before the rule's guards.
    pub(crate) before_guards: bool,
    /// How many redirects and rewrites of a URL there are.
    moves: usize,
    pub(crate) response: Vec<HeaderMods>,
    pub(crate) answer_headers: Vec<AnswerHeaders>,
    /// Clusters of mirrors.
    pub(crate) clusters: Vec<Arc<ClusterRef>>,
    /// Values that cannot be honoured: the rule must not be served without them.
    pub(crate) faults: Vec<Fault>,
    /// References without which the rule must not be served.
    pub(crate) missing: Vec<Fault>,
    /// References without which it may: mirrors.
    pub(crate) lost_mirrors: Vec<Fault>,
}

/// Whether any of the filters replaces the matched prefix, so that the rule depends on the match.
pub(crate) fn replaces_prefix(rule: &HttpRouteRules) -> bool {
    let filters = rule.filters.as_deref().unwrap_or_default();
    let of_rule = filters.iter().any(|filter| {
        let rewrite = filter.url_rewrite.as_ref().map(|r| url::rewrite_of!(r));
        let redirect = filter.request_redirect.as_ref();
        let redirect =
            redirect.map(|r| url::redirect_of!(r, HttpRouteRulesFiltersRequestRedirectScheme));
        rewrite.is_some_and(|rewrite| rewrite.replaces_prefix())
            || redirect.is_some_and(|redirect| redirect.replaces_prefix())
    });
    let backends = rule.backend_refs.iter().flatten();
    let mut filters = backends.flat_map(|backend| backend.filters.iter().flatten());
    of_rule || filters.any(backend_ref::replaces_prefix)
}

/// Parses the filters of a rule that matched `prefix`.
pub(crate) fn parse(declared: &[HttpRouteRulesFilters], of: Of<'_>) -> Filters {
    let mut filters = Filters::default();
    for filter in declared {
        if let Err(fault) = one(filter, of, &mut filters) {
            filters.faults.push(fault);
        }
        filters.moves +=
            usize::from(filter.url_rewrite.is_some() || filter.request_redirect.is_some());
    }
    if filters.moves > 1 {
        filters.faults.push(Fault::new(
            reasons::INCOMPATIBLE_FILTERS,
            "a rule takes one URLRewrite or one RequestRedirect",
        ));
    }
    if declared
        .iter()
        .filter(|filter| filter.cors.is_some())
        .count()
        > 1
    {
        filters.faults.push(Fault::new(
            reasons::INCOMPATIBLE_FILTERS,
            "a rule takes one CORS filter",
        ));
    }
    filters
}

/// The rule that filters belong to.
#[derive(Clone, Copy)]
pub(crate) struct Of<'a> {
    /// The route.
    pub(crate) from: &'a ObjectRef,
    pub(crate) matches: &'a [(usize, RequestMatch)],
    /// The prefix that all of them match, where the rule replaces it.
    pub(crate) prefix: Option<&'a str>,
    /// How a CORS filter speaks.
    pub(crate) cors: CorsAnswers,
    pub(crate) lookup: &'a Lookup<'a>,
}

impl Of<'_> {
    /// The expression, unless it is one that a path is matched with already: those are large.
    fn pattern(&self, source: &str) -> Result<Pattern, InvalidPattern> {
        let mut known = self
            .matches
            .iter()
            .filter_map(|(_, matches)| match &matches.path {
                PathMatch::Regex(pattern) => Some(pattern),
                _ => None,
            });
        let same = known.find(|pattern| pattern.as_str() == source);
        same.map_or_else(|| Pattern::in_path(source), |same| Ok(same.clone()))
    }
}

fn one(filter: &HttpRouteRulesFilters, of: Of<'_>, into: &mut Filters) -> Result<(), Fault> {
    let Of {
        from,
        prefix,
        cors,
        lookup,
        ..
    } = of;
    let absent = |field: &str| unsupported(format!("filter without its field {field}"));
    match filter.r#type {
        HttpRouteRulesFiltersType::RequestHeaderModifier => {
            let mods = filter.request_header_modifier.as_ref();
            let mods = mods.ok_or_else(|| absent("requestHeaderModifier"))?;
            into.request
                .push(RequestStep::Headers(header::request(mods)?));
        }
        HttpRouteRulesFiltersType::ResponseHeaderModifier => {
            let mods = filter.response_header_modifier.as_ref();
            let mods = mods.ok_or_else(|| absent("responseHeaderModifier"))?;
            into.response.push(header::response(mods)?);
        }
        HttpRouteRulesFiltersType::RequestRedirect => {
            let declared = filter.request_redirect.as_ref();
            let declared = declared.ok_or_else(|| absent("requestRedirect"))?;
            let redirect = url::redirect(
                &url::redirect_of!(declared, HttpRouteRulesFiltersRequestRedirectScheme),
                prefix,
            )?;
            into.redirect = Some(Action::Redirect(redirect));
        }
        HttpRouteRulesFiltersType::UrlRewrite => {
            let declared = filter.url_rewrite.as_ref();
            let declared = declared.ok_or_else(|| absent("urlRewrite"))?;
            let rewrite = url::rewrite(&url::rewrite_of!(declared), prefix)?;
            into.request.push(RequestStep::Rewrite(rewrite));
        }
        HttpRouteRulesFiltersType::RequestMirror => {
            let declared = filter.request_mirror.as_ref();
            let declared = declared.ok_or_else(|| absent("requestMirror"))?;
            mirror(declared, (from, lookup), into)?;
        }
        HttpRouteRulesFiltersType::Cors => {
            let declared = filter.cors.as_ref().ok_or_else(|| absent("cors"))?;
            into.cors = Some(cors::parse(declared, cors)?);
        }
        HttpRouteRulesFiltersType::ExternalAuth => {
            let declared = filter.external_auth.as_ref();
            let declared = declared.ok_or_else(|| absent("externalAuth"))?;
            match external_auth::parse(declared, from, lookup)? {
                Ok((auth, cluster)) => {
                    into.external_auths.push(Arc::new(auth));
                    into.clusters.push(Arc::new(cluster));
                }
                Err(fault) => into.missing.push(fault),
            }
        }
        HttpRouteRulesFiltersType::ExtensionRef => {
            let reference = filter.extension_ref.as_ref();
            let reference = reference.ok_or_else(|| absent("extensionRef"))?;
            let key = ObjectKey::new(&from.key.namespace, &reference.name);
            match route_filter(&reference.group, &reference.kind, &key, lookup) {
                Ok(found) => {
                    let unknown = Unknown::of(lookup.view(), Kind::RouteFilter, &key);
                    if let Some(fault) = unknown.anywhere(reasons::ROUTE_UNSUPPORTED_VALUE) {
                        return Err(unsupported(format!("RouteFilter {key}: {}", fault.message)));
                    }
                    extension::translate((&key, found), of, into)?;
                }
                Err(fault) => into.missing.push(fault),
            }
        }
    }
    Ok(())
}

/// > A reference to a custom filter that cannot be resolved: the filter MUST NOT be skipped. Instead, requests that
/// > would have been processed by that filter MUST receive a HTTP error response.
fn route_filter<'a>(
    group: &str,
    kind: &str,
    key: &ObjectKey,
    lookup: &Lookup<'a>,
) -> Result<&'a RouteFilter, Fault> {
    if Kind::find(group, kind) != Some(Kind::RouteFilter) {
        let message = format!(
            "extensionRef {}: {kind} of group {group:?} is not supported; use RouteFilter of {GROUP}",
            key.name
        );
        return Err(Fault::new(reasons::INVALID_KIND, message));
    }
    lookup.route_filter(key).ok_or_else(|| {
        let message = format!("RouteFilter {key} does not exist");
        Fault::new(reasons::BACKEND_NOT_FOUND, message)
    })
}

/// An unusable target loses the copies, never the request.
fn mirror(
    declared: &HttpRouteRulesFiltersRequestMirror,
    (from, lookup): (&ObjectRef, &Lookup<'_>),
    into: &mut Filters,
) -> Result<(), Fault> {
    let (numerator, denominator) = match (&declared.fraction, declared.percent) {
        (Some(fraction), _) => (fraction.numerator, fraction.denominator.unwrap_or(100)),
        (None, Some(percent)) => (percent, 100),
        (None, None) => (1, 1),
    };
    let fraction = u32::try_from(numerator)
        .ok()
        .zip(u32::try_from(denominator).ok().and_then(NonZeroU32::new))
        .and_then(|(numerator, denominator)| Fraction::new(numerator, denominator))
        .ok_or_else(|| {
            unsupported(format!(
                "requestMirror: {numerator} of {denominator} is not a share"
            ))
        })?;
    let reference = &declared.backend_ref;
    let reference = BackendRef {
        from: from.kind,
        group: reference.group.as_deref(),
        kind: reference.kind.as_deref(),
        namespace: reference.namespace.as_deref(),
        name: &reference.name,
        port: reference.port,
    };
    match backend::resolve(&reference, (&from.key.namespace, None), lookup) {
        Ok(cluster) => {
            into.mirrors.push(Mirror {
                cluster: cluster.key.clone(),
                fraction,
            });
            into.clusters.push(Arc::new(cluster));
        }
        Err(error) => into.lost_mirrors.push(error.into()),
    }
    Ok(())
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
