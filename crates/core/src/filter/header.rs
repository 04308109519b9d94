//! Header modifiers.

use api::gateway::httproutes::{
    HttpRouteRulesBackendRefsFilters, HttpRouteRulesBackendRefsFiltersType,
    HttpRouteRulesFiltersRequestHeaderModifier, HttpRouteRulesFiltersResponseHeaderModifier,
};
use http::{HeaderName, HeaderValue};
use ir::HeaderMods;

use super::unsupported;
use crate::fault::Fault;

/// The four generated types of modifiers have the same shape.
macro_rules! mods {
    ($declared:expr) => {{
        let declared = $declared;
        build(
            declared.remove.as_deref().unwrap_or_default(),
            declared.set.iter().flatten().map(|h| (&*h.name, &*h.value)),
            declared.add.iter().flatten().map(|h| (&*h.name, &*h.value)),
        )
    }};
}

pub(super) fn request(
    declared: &HttpRouteRulesFiltersRequestHeaderModifier,
) -> Result<HeaderMods, Fault> {
    mods!(declared)
}

pub(super) fn response(
    declared: &HttpRouteRulesFiltersResponseHeaderModifier,
) -> Result<HeaderMods, Fault> {
    mods!(declared)
}

/// Header changes of a backendRef, which takes no other filters.
#[derive(Debug, Default)]
pub(crate) struct BackendFilters {
    pub(crate) request: Vec<HeaderMods>,
    pub(crate) response: Vec<HeaderMods>,
}

/// Filters of a backendRef: header modifiers only.
pub(crate) fn backend(
    declared: &[HttpRouteRulesBackendRefsFilters],
) -> Result<BackendFilters, Fault> {
    let mut filters = BackendFilters::default();
    for filter in declared {
        match filter.r#type {
            HttpRouteRulesBackendRefsFiltersType::RequestHeaderModifier => {
                let mods = filter.request_header_modifier.as_ref();
                let mods = mods
                    .ok_or_else(|| unsupported("filter without its field requestHeaderModifier"))?;
                filters.request.push(mods!(mods)?);
            }
            HttpRouteRulesBackendRefsFiltersType::ResponseHeaderModifier => {
                let mods = filter.response_header_modifier.as_ref();
                let mods = mods.ok_or_else(|| {
                    unsupported("filter without its field responseHeaderModifier")
                })?;
                filters.response.push(mods!(mods)?);
            }
            ref other => {
                return Err(unsupported(format!(
                    "filter {other:?} of a backendRef is not supported, only header modifiers are"
                )));
            }
        }
    }
    Ok(filters)
}

fn build<'a>(
    remove: &[String],
    set: impl Iterator<Item = (&'a str, &'a str)>,
    add: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<HeaderMods, Fault> {
    Ok(HeaderMods {
        remove: remove
            .iter()
            .map(|text| name(text))
            .collect::<Result<_, _>>()?,
        set: set.map(pair).collect::<Result<_, _>>()?,
        add: add.map(pair).collect::<Result<_, _>>()?,
    })
}

pub(super) fn name(text: &str) -> Result<HeaderName, Fault> {
    HeaderName::try_from(text)
        .map_err(|_| unsupported(format!("header name {text:?} is not legal")))
}

fn pair((header, value): (&str, &str)) -> Result<(HeaderName, HeaderValue), Fault> {
    let header = name(header)?;
    let value = HeaderValue::from_str(value)
        .map_err(|_| unsupported(format!("value {value:?} of header {header} is not legal")))?;
    Ok((header, value))
}
