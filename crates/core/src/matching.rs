//! Matches of a rule.

use api::{
    condition::reasons,
    gateway::httproutes::{
        HttpRouteRulesMatches, HttpRouteRulesMatchesHeaders, HttpRouteRulesMatchesHeadersType,
        HttpRouteRulesMatchesMethod, HttpRouteRulesMatchesPath, HttpRouteRulesMatchesPathType,
        HttpRouteRulesMatchesQueryParams, HttpRouteRulesMatchesQueryParamsType,
    },
};
use http::{HeaderName, Method};
use ir::{HeaderMatch, PathMatch, Paths, Pattern, QueryMatch, RequestMatch, ValueMatch};

use crate::fault::Fault;

/// What a rule without matches, or a match without path, matches.
///
/// > If no matches are specified, the default is a prefix path match on "/".
pub(crate) fn everything() -> RequestMatch {
    RequestMatch {
        path: PathMatch::prefix("/"),
        method: None,
        headers: Vec::new(),
        query: Vec::new(),
    }
}

/// Parses one match. One that cannot be parsed matches nothing: a part of it would match more than was asked for
/// and take requests away from other rules.
pub(crate) fn parse(
    declared: &HttpRouteRulesMatches,
    paths: Paths,
    warnings: &mut Vec<String>,
) -> Result<RequestMatch, Fault> {
    let mut matches = RequestMatch {
        path: path(declared.path.as_ref(), paths, warnings)?,
        method: declared.method.as_ref().map(method),
        ..everything()
    };
    // > If multiple entries specify equivalent header names, only the first entry with an equivalent name MUST be
    // > considered for a match. (Query parameters likewise.)
    for header in declared.headers.iter().flatten() {
        let header = self::header(header)?;
        if !matches.headers.iter().any(|h| h.name == header.name) {
            matches.headers.push(header);
        }
    }
    for parameter in declared.query_params.iter().flatten() {
        if !matches.query.iter().any(|q| *q.name == *parameter.name) {
            matches.query.push(query(parameter)?);
        }
    }
    Ok(matches)
}

fn nothing(what: impl std::fmt::Display) -> Fault {
    Fault::new(reasons::ROUTE_UNSUPPORTED_VALUE, what.to_string())
}

/// A match of a path. Its value gets the form that requests have (RFC 3986 section 6.2.2), or it could never match.
fn path(
    declared: Option<&HttpRouteRulesMatchesPath>,
    paths: Paths,
    warnings: &mut Vec<String>,
) -> Result<PathMatch, Fault> {
    let Some(declared) = declared else {
        return Ok(PathMatch::prefix("/"));
    };
    let value = declared.value.as_deref().unwrap_or("/");
    let canonical = || {
        if !value.starts_with('/') {
            let what = format_args!("path {value:?} does not start with a slash");
            return Err(nothing(what));
        }
        paths
            .read(value)
            .map(|read| read.path)
            .map_err(|_| nothing(format_args!("path {value:?} is one that no request has")))
    };
    match declared.r#type {
        Some(HttpRouteRulesMatchesPathType::Exact) => Ok(PathMatch::Exact((&*canonical()?).into())),
        None | Some(HttpRouteRulesMatchesPathType::PathPrefix) => {
            Ok(PathMatch::prefix(&canonical()?))
        }
        Some(HttpRouteRulesMatchesPathType::RegularExpression) => {
            warnings.extend(escapes(value, paths));
            Pattern::full_path(value)
                .map(PathMatch::Regex)
                .map_err(|error| nothing(format_args!("path: {error}")))
        }
    }
}

/// What of an expression no path has: a character that is escaped in canonical paths, or an escape that is written in
/// another way there.
fn escapes(expression: &str, paths: Paths) -> Option<String> {
    let warning = |written: &str, canonical: &str| {
        format!(
            "path: {written:?} in an expression matches nothing, since paths are matched with {canonical:?} in its place"
        )
    };
    let raw = expression.chars().find(|c| !c.is_ascii() || *c == ' ');
    if let Some(raw) = raw {
        let mut bytes = [0; 4];
        let bytes = raw.encode_utf8(&mut bytes).bytes();
        let escaped: String = bytes.map(|byte| format!("%{byte:02X}")).collect();
        return Some(warning(&raw.to_string(), &escaped));
    }
    expression.match_indices('%').find_map(|(at, _)| {
        let escape = expression.get(at..at + 3)?;
        let digits = escape.bytes().skip(1).all(|b| b.is_ascii_hexdigit());
        let path = format!("/{escape}");
        let canonical = paths.read(&path).ok().filter(|_| digits)?.path;
        (*canonical != *path).then(|| warning(escape, &canonical[1..]))
    })
}

fn method(declared: &HttpRouteRulesMatchesMethod) -> Method {
    match declared {
        HttpRouteRulesMatchesMethod::Get => Method::GET,
        HttpRouteRulesMatchesMethod::Head => Method::HEAD,
        HttpRouteRulesMatchesMethod::Post => Method::POST,
        HttpRouteRulesMatchesMethod::Put => Method::PUT,
        HttpRouteRulesMatchesMethod::Delete => Method::DELETE,
        HttpRouteRulesMatchesMethod::Connect => Method::CONNECT,
        HttpRouteRulesMatchesMethod::Options => Method::OPTIONS,
        HttpRouteRulesMatchesMethod::Trace => Method::TRACE,
        HttpRouteRulesMatchesMethod::Patch => Method::PATCH,
    }
}

fn header(declared: &HttpRouteRulesMatchesHeaders) -> Result<HeaderMatch, Fault> {
    let name = HeaderName::try_from(&declared.name)
        .map_err(|_| nothing(format_args!("header name {:?} is not legal", declared.name)))?;
    let value = match declared.r#type {
        None | Some(HttpRouteRulesMatchesHeadersType::Exact) => {
            ValueMatch::Exact(declared.value.as_str().into())
        }
        Some(HttpRouteRulesMatchesHeadersType::RegularExpression) => {
            expression("header", &name, &declared.value)?
        }
    };
    Ok(HeaderMatch { name, value })
}

fn query(declared: &HttpRouteRulesMatchesQueryParams) -> Result<QueryMatch, Fault> {
    let value = match declared.r#type {
        None | Some(HttpRouteRulesMatchesQueryParamsType::Exact) => {
            ValueMatch::Exact(declared.value.as_str().into())
        }
        Some(HttpRouteRulesMatchesQueryParamsType::RegularExpression) => {
            expression("query parameter", &declared.name, &declared.value)?
        }
    };
    Ok(QueryMatch {
        name: declared.name.as_str().into(),
        value,
    })
}

fn expression(what: &str, name: &impl std::fmt::Display, value: &str) -> Result<ValueMatch, Fault> {
    Pattern::full(value)
        .map(ValueMatch::Regex)
        .map_err(|error| nothing(format_args!("{what} {name}: {error}")))
}
