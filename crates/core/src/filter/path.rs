//! Replacements of paths, for rewrites and redirects alike.

use http::uri::PathAndQuery;
use ir::{PathRewrite, RedirectPath};

use super::unsupported;
use crate::fault::Fault;

/// A new path, or a new prefix.
pub(super) enum Replacement {
    Full(Box<str>),
    Prefix {
        matched: Box<str>,
        replacement: Box<str>,
    },
}

impl Replacement {
    pub(super) fn rewrite(self) -> PathRewrite {
        match self {
            Self::Full(path) => PathRewrite::Full(path),
            Self::Prefix {
                matched,
                replacement,
            } => PathRewrite::Prefix {
                matched,
                replacement,
            },
        }
    }

    pub(super) fn redirect(self) -> RedirectPath {
        match self {
            Self::Full(path) => RedirectPath::Full(path),
            Self::Prefix {
                matched,
                replacement,
            } => RedirectPath::Prefix {
                matched,
                replacement,
            },
        }
    }
}

pub(super) fn parse(
    full: Option<&str>,
    replace_prefix: Option<&str>,
    prefix: Option<&str>,
) -> Result<Replacement, Fault> {
    match (full, replace_prefix, prefix) {
        (Some(_), Some(_), _) | (None, None, _) => Err(unsupported(
            "a path modifier takes one of replaceFullPath and replacePrefixMatch",
        )),
        (Some(path), None, _) => legal("replaceFullPath", path).map(Replacement::Full),
        // > ReplacePrefixMatch is only compatible with a PathPrefix HTTPRouteMatch.
        (None, Some(_), None) => Err(unsupported(
            "replacePrefixMatch needs PathPrefix in every match of the rule",
        )),
        (None, Some(path), Some(prefix)) => {
            let path = legal("replacePrefixMatch", path)?;
            Ok(Replacement::Prefix {
                matched: prefix.into(),
                replacement: path.trim_end_matches('/').into(),
            })
        }
    }
}

/// A path as it may stand on the wire, with its leading slash.
fn legal(field: &str, path: &str) -> Result<Box<str>, Fault> {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let path = format!("{slash}{path}");
    let plain = path.is_ascii() && !path.contains(['?', '#']);
    if !plain || PathAndQuery::try_from(path.as_str()).is_err() {
        return Err(unsupported(format!(
            "{field} {path:?} is not a path: query, fragment and unescaped characters are not possible"
        )));
    }
    Ok(path.into())
}

/// A substitution in the syntax of the regex crate. There `$1a` is a group named `1a`; here it is group 1 and an `a`,
/// as nginx and Higress read it. A dollar that starts no reference is itself.
pub(super) fn replacement(text: &str) -> Box<str> {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let name = rest
            .strip_prefix('{')
            .and_then(|r| r.split_once('}'))
            .filter(|(name, _)| {
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            });
        if let Some((name, after)) = name {
            out.push_str(&format!("${{{name}}}"));
            rest = after;
        } else if let Some(digit) = rest.chars().next().filter(char::is_ascii_digit) {
            out.push_str(&format!("${{{digit}}}"));
            rest = &rest[1..];
        } else {
            out.push_str("$$");
            rest = rest.strip_prefix('$').unwrap_or(rest);
        }
    }
    out.push_str(rest);
    out.into()
}
