//! Header modifiers.

use api::gateway::httproutes::{
    HttpRouteRulesBackendRefsFiltersRequestHeaderModifier,
    HttpRouteRulesBackendRefsFiltersResponseHeaderModifier,
    HttpRouteRulesFiltersRequestHeaderModifier, HttpRouteRulesFiltersResponseHeaderModifier,
};
use http::{HeaderName, HeaderValue, header};
use ir::HeaderMods;

use super::unsupported;
use crate::fault::Fault;

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    Request,
    Response,
}

/// The four generated types of modifiers have the same shape.
macro_rules! mods {
    ($declared:expr, $of:expr) => {{
        let declared = $declared;
        build(
            $of,
            declared.remove.as_deref().unwrap_or_default(),
            declared.set.iter().flatten().map(|h| (&*h.name, &*h.value)),
            declared.add.iter().flatten().map(|h| (&*h.name, &*h.value)),
        )
    }};
}

pub(super) fn request(
    declared: &HttpRouteRulesFiltersRequestHeaderModifier,
) -> Result<HeaderMods, Fault> {
    mods!(declared, Message::Request)
}

pub(super) fn response(
    declared: &HttpRouteRulesFiltersResponseHeaderModifier,
) -> Result<HeaderMods, Fault> {
    mods!(declared, Message::Response)
}

/// Of a backendRef, of the request.
pub(super) fn request_of_backend(
    declared: &HttpRouteRulesBackendRefsFiltersRequestHeaderModifier,
) -> Result<HeaderMods, Fault> {
    mods!(declared, Message::Request)
}

/// Of a backendRef, of the answer.
pub(super) fn response_of_backend(
    declared: &HttpRouteRulesBackendRefsFiltersResponseHeaderModifier,
) -> Result<HeaderMods, Fault> {
    mods!(declared, Message::Response)
}

fn build<'a>(
    of: Message,
    remove: &[String],
    set: impl Iterator<Item = (&'a str, &'a str)>,
    add: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<HeaderMods, Fault> {
    let removed = |text: &String| name(text).and_then(|name| changeable(name, of));
    Ok(HeaderMods {
        remove: remove.iter().map(removed).collect::<Result<_, _>>()?,
        set: pairs(set, of)?,
        add: pairs(add, of)?,
    })
}

/// > If multiple entries specify equivalent header names, the first entry with an equivalent name MUST be considered
/// > for a match. Subsequent entries with an equivalent header name MUST be ignored.
fn pairs<'a>(
    declared: impl Iterator<Item = (&'a str, &'a str)>,
    of: Message,
) -> Result<Vec<(HeaderName, HeaderValue)>, Fault> {
    let mut pairs: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for declared in declared {
        let (name, value) = pair(declared)?;
        let name = changeable(name, of)?;
        if pairs.iter().all(|(known, _)| *known != name) {
            pairs.push((name, value));
        }
    }
    Ok(pairs)
}

/// A name that a rule may change. How a message is framed, and where a request goes, is not for header modifiers to
/// say.
pub(super) fn changeable(name: HeaderName, of: Message) -> Result<HeaderName, Fault> {
    if api::header::frames_a_message(name.as_str()) {
        return Err(unsupported(format!(
            "header {name} says how a message is framed, or concerns one connection, and cannot be changed"
        )));
    }
    if of == Message::Request && name == header::HOST {
        return Err(unsupported(
            "header Host of a request cannot be changed; use URLRewrite with hostname, or a RouteFilter with rewrite.host",
        ));
    }
    Ok(name)
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
