//! What a rule matches: path, method, headers, query, and the name that follows from the path.

use crate::{
    annotations::Matching,
    ingress::PathKind,
    native::{self, HeaderMatch, PathMatch, PathType, RouteMatch},
    value::short_hash,
};

/// A stable name for a rule: it follows the path, not its place.
pub(super) fn rule_name(kind: &PathKind, role: &str) -> String {
    let (word, text) = match kind {
        PathKind::Exact(text) => ("exact", text),
        PathKind::Prefix(text) => ("prefix", text),
        PathKind::StringPrefix(text) => ("start", text),
        PathKind::Regex(text) => ("regex", text),
    };
    let name = format!("{word}-{}", short_hash(&[word, text]));
    if role.is_empty() {
        name
    } else {
        format!("{name}-{role}")
    }
}

/// Every combination of path and method, with all conditions.
pub(super) fn matches(
    kind: &PathKind,
    conditions: &Matching,
    header: Option<HeaderMatch>,
) -> Vec<RouteMatch> {
    let headers = conditions.headers.iter();
    let headers: Vec<_> = headers
        .map(|(name, rule)| rule.of_header(name))
        .chain(header)
        .collect();
    let query = conditions.query.iter();
    let query: Vec<_> = query.map(|(name, rule)| rule.of_query(name)).collect();
    let one = |method, path: &PathMatch| RouteMatch {
        path: Some(path.clone()),
        method,
        headers: (!headers.is_empty()).then(|| headers.clone()),
        query_params: (!query.is_empty()).then(|| query.clone()),
    };
    let paths = paths(kind);
    if conditions.methods.is_empty() {
        return paths.iter().map(|path| one(None, path)).collect();
    }
    let methods = conditions.methods.iter();
    let methods = methods.filter_map(|name| native::method(name));
    let combined = methods.flat_map(|method| paths.iter().map(move |path| (method.clone(), path)));
    combined
        .map(|(method, path)| one(Some(method), path))
        .collect()
}

/// One path match, or two where there is no single word for it.
fn paths(kind: &PathKind) -> Vec<PathMatch> {
    match kind {
        PathKind::Exact(text) => vec![native::path_match(PathType::Exact, text)],
        PathKind::Prefix(text) => vec![native::path_match(PathType::PathPrefix, text)],
        PathKind::StringPrefix(text) => {
            let longer = format!("{}[^/].*", regex::escape(text));
            vec![
                native::path_match(PathType::PathPrefix, text),
                native::path_match(PathType::RegularExpression, &longer),
            ]
        }
        PathKind::Regex(pattern) => {
            vec![native::path_match(PathType::RegularExpression, pattern)]
        }
    }
}

/// A cookie among others, or alone; its name is taken literally.
pub(super) fn cookie_pattern(name: &str, value: &str) -> String {
    format!(r"(?:.*;\s*)?{}={value}\s*(?:;.*)?", regex::escape(name))
}
