//! CORS.

use api::{
    AnyOrigin, CorsAllowances, CorsAnswers, OriginWildcard,
    gateway::httproutes::HttpRouteRulesFiltersCors,
};
use http::{HeaderValue, Method};
use ir::{Allowed, Cors, HostPattern, OriginMatch};

use super::{header, unsupported};
use crate::fault::Fault;

/// > When the MaxAge field is unspecified, the gateway sets the response header "Access-Control-Max-Age: 5".
const DEFAULT_MAX_AGE: i32 = 5;

pub(super) fn parse(
    declared: &HttpRouteRulesFiltersCors,
    answers: CorsAnswers,
) -> Result<Cors, Fault> {
    let one_label = answers.wildcard == OriginWildcard::OneLabel;
    let every_answer = answers.allowances == CorsAllowances::EveryAnswer;
    // Field names are the same with and without a blank between them; those who look at every answer know
    // ingress-nginx' form.
    let separator = if every_answer { "," } else { ", " };
    let max_age = declared.max_age.unwrap_or(DEFAULT_MAX_AGE);
    Ok(Cors {
        origins: declared
            .allow_origins
            .iter()
            .flatten()
            .map(|text| origin(text, one_label))
            .collect::<Result<_, _>>()?,
        credentials: declared.allow_credentials == Some(true),
        literal_star: answers.any_origin == AnyOrigin::Literal,
        every_answer,
        methods: list(declared.allow_methods.as_deref(), ", ", method)?,
        headers: list(declared.allow_headers.as_deref(), separator, field)?,
        expose: list(declared.expose_headers.as_deref(), separator, field)?,
        max_age: u32::try_from(max_age)
            .map_err(|_| unsupported(format!("cors.maxAge {max_age} is negative")))?,
    })
}

/// What is allowed, as the field lists it.
fn list(
    declared: Option<&[String]>,
    separator: &str,
    sound: impl Fn(&str) -> Result<(), Fault>,
) -> Result<Allowed, Fault> {
    let declared = declared.unwrap_or_default();
    if declared.is_empty() {
        return Ok(Allowed::Nothing);
    }
    if declared.iter().any(|text| text == "*") {
        return Ok(Allowed::Everything);
    }
    declared.iter().try_for_each(|text| sound(text))?;
    let list = HeaderValue::try_from(declared.join(separator));
    let list = list.map_err(|_| unsupported("cors: a list that no header takes"))?;
    Ok(Allowed::These(list))
}

fn method(text: &str) -> Result<(), Fault> {
    Method::from_bytes(text.as_bytes())
        .map(drop)
        .map_err(|_| unsupported(format!("cors.allowMethods: {text:?} is not a method")))
}

fn field(text: &str) -> Result<(), Fault> {
    header::name(text).map(drop)
}

/// RFC 3986 section 3.1. Browsers send `https` and `http`; applications and extensions have schemes of their own.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && { text.bytes() }
        .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

fn origin(text: &str, one_label: bool) -> Result<OriginMatch, Fault> {
    if text == "*" {
        return Ok(OriginMatch::Any);
    }
    let wrong = || {
        unsupported(format!(
            "cors.allowOrigins: {text:?} is not of the form https://host[:port]"
        ))
    };
    let lower = text.to_ascii_lowercase();
    let (scheme, rest) = lower.split_once("://").ok_or_else(wrong)?;
    if !is_scheme(scheme) {
        return Err(wrong());
    }
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !rest.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    if let Some(port) = port {
        port.parse::<u16>()
            .ok()
            .filter(|p| *p != 0)
            .ok_or_else(wrong)?;
    }
    // > A wildcard by itself matches all hosts.
    if host == "*" {
        return Ok(OriginMatch::Wildcard {
            scheme: format!("{scheme}://").into(),
            suffix: rest[1..].into(),
            one_label,
        });
    }
    let address = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .is_some_and(|h| h.parse::<std::net::Ipv6Addr>().is_ok());
    if address {
        return Ok(OriginMatch::Exact(lower.into()));
    }
    match HostPattern::parse(host).map_err(|_| wrong())? {
        HostPattern::Exact(_) => Ok(OriginMatch::Exact(lower.into())),
        HostPattern::Wildcard(_) => Ok(OriginMatch::Wildcard {
            scheme: format!("{scheme}://").into(),
            suffix: rest[1..].into(),
            one_label,
        }),
        HostPattern::Any => Err(wrong()),
    }
}
