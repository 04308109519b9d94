//! CORS.

use api::gateway::httproutes::HttpRouteRulesFiltersCors;
use http::{HeaderName, Method};
use ir::{Cors, HostPattern, OriginMatch};

use super::{header, unsupported};
use crate::fault::Fault;

/// > When the MaxAge field is unspecified, the gateway sets the response header "Access-Control-Max-Age: 5".
const DEFAULT_MAX_AGE: i32 = 5;

pub(super) fn parse(declared: &HttpRouteRulesFiltersCors) -> Result<Cors, Fault> {
    let max_age = declared.max_age.unwrap_or(DEFAULT_MAX_AGE);
    Ok(Cors {
        origins: declared
            .allow_origins
            .iter()
            .flatten()
            .map(|text| origin(text))
            .collect::<Result<_, _>>()?,
        credentials: declared.allow_credentials == Some(true),
        methods: list(declared.allow_methods.as_deref(), method)?,
        headers: list(declared.allow_headers.as_deref(), header::name)?,
        expose: list::<HeaderName>(declared.expose_headers.as_deref(), header::name)?,
        max_age: u32::try_from(max_age)
            .map_err(|_| unsupported(format!("cors.maxAge {max_age} is negative")))?,
    })
}

/// `None` for `*`.
fn list<T>(
    declared: Option<&[String]>,
    parse: impl Fn(&str) -> Result<T, Fault>,
) -> Result<Option<Vec<T>>, Fault> {
    let declared = declared.unwrap_or_default();
    if declared.iter().any(|text| text == "*") {
        return Ok(None);
    }
    declared
        .iter()
        .map(|text| parse(text))
        .collect::<Result<_, _>>()
        .map(Some)
}

fn method(text: &str) -> Result<Method, Fault> {
    Method::from_bytes(text.as_bytes())
        .map_err(|_| unsupported(format!("cors.allowMethods: {text:?} is not a method")))
}

fn origin(text: &str) -> Result<OriginMatch, Fault> {
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
    if !matches!(scheme, "http" | "https") {
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
        }),
        HostPattern::Any => Err(wrong()),
    }
}
