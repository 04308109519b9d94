//! Filters of a backendRef.
//!
//! > Filters defined at this level should be executed if and only if the request is being forwarded to the backend
//! > defined here.
//!
//! (`HTTPBackendRef.filters` of Gateway API.) Those of the rule come first, since they are for every backend: a
//! backendRef's see what the rule's have made of the request.

use api::{
    condition::reasons,
    gateway::httproutes::{
        HttpRouteRulesBackendRefsFilters, HttpRouteRulesBackendRefsFiltersRequestRedirectScheme,
        HttpRouteRulesBackendRefsFiltersType,
    },
};
use ir::{HeaderMods, PathRewrite, RequestStep, Rewrite, UrlChange};

use super::{header, unsupported, url};
use crate::fault::Fault;

/// What the filters of a backendRef come to.
#[derive(Debug, Default)]
pub(crate) struct BackendFilters {
    pub(crate) request: Vec<HeaderMods>,
    pub(crate) response: Vec<HeaderMods>,
    pub(crate) url: Option<Box<UrlChange>>,
}

/// Whether a filter of a backendRef replaces the matched prefix.
pub(super) fn replaces_prefix(filter: &HttpRouteRulesBackendRefsFilters) -> bool {
    let rewrite = filter.url_rewrite.as_ref();
    let redirect = filter.request_redirect.as_ref();
    rewrite.is_some_and(|r| url::rewrite_of!(r).replaces_prefix())
        || redirect.is_some_and(|r| url::rewrite_of!(r).replaces_prefix())
}

/// Parses the filters of a backendRef of a rule that matched `prefix`, and that has done `before` with the request.
pub(crate) fn parse(
    declared: &[HttpRouteRulesBackendRefsFilters],
    prefix: Option<&str>,
    before: &[RequestStep],
) -> Result<BackendFilters, Fault> {
    use HttpRouteRulesBackendRefsFiltersType as Type;
    let absent = |field: &str| unsupported(format!("filter without its field {field}"));
    let mut filters = BackendFilters::default();
    for filter in declared {
        let change = match filter.r#type {
            Type::RequestHeaderModifier => {
                let mods = filter.request_header_modifier.as_ref();
                let mods = mods.ok_or_else(|| absent("requestHeaderModifier"))?;
                filters.request.push(header::request_of_backend(mods)?);
                continue;
            }
            Type::ResponseHeaderModifier => {
                let mods = filter.response_header_modifier.as_ref();
                let mods = mods.ok_or_else(|| absent("responseHeaderModifier"))?;
                filters.response.push(header::response_of_backend(mods)?);
                continue;
            }
            Type::UrlRewrite => {
                let declared = filter.url_rewrite.as_ref();
                let declared = declared.ok_or_else(|| absent("urlRewrite"))?;
                let declared = url::rewrite_of!(declared);
                let prefix = prefix_now(&declared, prefix, before)?;
                UrlChange::Rewrite(url::rewrite(&declared, prefix)?)
            }
            Type::RequestRedirect => {
                let declared = filter.request_redirect.as_ref();
                let declared = declared.ok_or_else(|| absent("requestRedirect"))?;
                if before.iter().any(changes_url) {
                    return Err(incompatible(
                        "a RequestRedirect of a backendRef does not go with a rule that rewrites the URL",
                    ));
                }
                let declared = url::redirect_of!(
                    declared,
                    HttpRouteRulesBackendRefsFiltersRequestRedirectScheme
                );
                UrlChange::Redirect(url::redirect(&declared, prefix)?)
            }
            ref other => {
                return Err(unsupported(format!(
                    "filter {other:?} of a backendRef is not supported; header modifiers, URLRewrite and RequestRedirect are"
                )));
            }
        };
        if filters.url.replace(Box::new(change)).is_some() {
            return Err(incompatible(
                "a backendRef takes one URLRewrite or one RequestRedirect",
            ));
        }
    }
    Ok(filters)
}

fn incompatible(message: &str) -> Fault {
    Fault::new(reasons::INCOMPATIBLE_FILTERS, message)
}

/// What stands in the path where the rule matched `prefix`, after its own filters.
fn prefix_now<'a>(
    declared: &url::NewUrl<'_>,
    prefix: Option<&'a str>,
    before: &'a [RequestStep],
) -> Result<Option<&'a str>, Fault> {
    let mut now = prefix;
    if !declared.replaces_prefix() {
        return Ok(now);
    }
    for step in before.iter().filter(|step| changes_path(step)) {
        match step {
            RequestStep::Rewrite(Rewrite {
                path: Some(PathRewrite::Prefix { replacement, .. }),
                ..
            }) => now = Some(replacement),
            _ => {
                return Err(incompatible(
                    "replacePrefixMatch of a backendRef: filters of the rule have replaced the path, and no prefix is left of it",
                ));
            }
        }
    }
    Ok(now)
}

fn changes_path(step: &RequestStep) -> bool {
    match step {
        RequestStep::Headers(_) => false,
        RequestStep::Rewrite(rewrite) => rewrite.path.is_some(),
        RequestStep::Composed(composed) => composed.path.is_some(),
    }
}

fn changes_url(step: &RequestStep) -> bool {
    match step {
        RequestStep::Headers(_) => false,
        RequestStep::Rewrite(_) => true,
        RequestStep::Composed(composed) => {
            composed.path.is_some() || composed.host.is_some() || composed.query.is_some()
        }
    }
}
