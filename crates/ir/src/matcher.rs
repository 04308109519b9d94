//! Hosts, paths, headers and queries: what a request must look like.

use std::{cmp::Ordering, fmt, hash::Hash};

use http::{HeaderName, Method};
use serde::{Serialize, Serializer};

use crate::{pattern::Pattern, redacted};

/// Which hosts a listener or a route serves. Always lower case, without port or trailing dot.
///
/// The order is by specificity, most specific first, as Gateway API asks ("the most specific Hostname"): exact
/// names, then wildcards with the longer suffix first, then everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// One name.
    Exact(Box<str>),
    /// `*.example.com`, held as `example.com`: any number of labels in front, at least one.
    Wildcard(Box<str>),
    /// Every host.
    Any,
}

/// Why a hostname was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a DNS name or a wildcard of the form *.example.com")]
pub struct InvalidHost(pub String);

impl HostPattern {
    /// Parses a Gateway API `Hostname` or an Ingress host; empty and `*` mean every host.
    ///
    /// # Errors
    /// [`InvalidHost`] when the text is no DNS-1123 name, with or without a leading `*.`.
    pub fn parse(text: &str) -> Result<Self, InvalidHost> {
        let lower = text.trim_end_matches('.').to_ascii_lowercase();
        if lower.is_empty() || lower == "*" {
            return Ok(Self::Any);
        }
        let (name, wildcard) = match lower.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (lower.as_str(), false),
        };
        let label = |l: &str| {
            !l.is_empty()
                && l.len() <= 63
                && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !l.starts_with('-')
                && !l.ends_with('-')
        };
        if name.len() > 253 || !name.split('.').all(label) {
            return Err(InvalidHost(text.to_owned()));
        }
        Ok(if wildcard {
            Self::Wildcard(name.into())
        } else {
            Self::Exact(name.into())
        })
    }

    /// Whether `host` (lower case, no port) is served.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(name) => **name == *host,
            Self::Wildcard(suffix) => host
                .strip_suffix(&**suffix)
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        }
    }

    /// Whether every host of `other` is served.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.intersect(other).as_ref() == Some(other)
    }

    /// The hosts that both patterns serve, or `None` where they have none in common.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Any, x) | (x, Self::Any) => Some(x.clone()),
            (Self::Exact(name), x) | (x, Self::Exact(name)) => {
                x.matches(name).then(|| Self::Exact(name.clone()))
            }
            (Self::Wildcard(a), Self::Wildcard(b)) => {
                let (longer, shorter) = if a.len() >= b.len() { (a, b) } else { (b, a) };
                let covered = longer == shorter
                    || longer
                        .strip_suffix(&**shorter)
                        .is_some_and(|rest| rest.ends_with('.'));
                covered.then(|| Self::Wildcard(longer.clone()))
            }
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Exact(name) | Self::Wildcard(name) => name,
            Self::Any => "",
        }
    }

    fn rank(&self) -> (u8, usize) {
        match self {
            Self::Exact(_) => (0, 0),
            Self::Wildcard(suffix) => (1, usize::MAX - suffix.len()),
            Self::Any => (2, 0),
        }
    }
}

impl Ord for HostPattern {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank()
            .cmp(&other.rank())
            .then_with(|| self.name().cmp(other.name()))
    }
}

impl PartialOrd for HostPattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

impl Serialize for HostPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How the path of a request is compared. The query string never takes part.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PathMatch {
    /// The whole path, byte for byte.
    Exact(Box<str>),
    /// Path elements from the start. Held without trailing slash: `/` is the empty string, `/foo/` is `/foo`.
    Prefix(Box<str>),
    /// As [`Self::Exact`], and ASCII letters are equal whatever their case. Made by [`Self::ignoring_case`].
    ExactAnyCase(Box<str>),
    /// As [`Self::Prefix`], and ASCII letters are equal whatever their case. It holds a letter, so it is never `/`.
    PrefixAnyCase(Box<str>),
    /// The whole path against an expression.
    Regex(Pattern),
}

impl PathMatch {
    /// The prefix match for `path`; a trailing slash does not count, as Gateway API says.
    #[must_use]
    pub fn prefix(path: &str) -> Self {
        Self::Prefix(path.trim_end_matches('/').into())
    }

    /// The same match, for which `A` and `a` are one. Expressions say themselves what case means to them, and stay.
    #[must_use]
    pub fn ignoring_case(self) -> Self {
        let letters = |text: &str| text.bytes().any(|b| b.is_ascii_alphabetic());
        match self {
            Self::Exact(path) if letters(&path) => Self::ExactAnyCase(path),
            Self::Prefix(path) if letters(&path) => Self::PrefixAnyCase(path),
            other => other,
        }
    }

    /// Whether `path` matches. The proxy's router must agree with this; a property test holds it to that.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let below = |rest: &str| rest.is_empty() || rest.starts_with('/');
        match self {
            Self::Exact(exact) => **exact == *path,
            Self::Prefix(prefix) => path.strip_prefix(&**prefix).is_some_and(below),
            Self::ExactAnyCase(exact) => exact.eq_ignore_ascii_case(path),
            Self::PrefixAnyCase(prefix) => path
                .split_at_checked(prefix.len())
                .is_some_and(|(head, rest)| prefix.eq_ignore_ascii_case(head) && below(rest)),
            Self::Regex(pattern) => pattern.is_match(path),
        }
    }
}

/// How one header or query value is compared. What it is compared with may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ValueMatch {
    /// Byte for byte.
    Exact(Box<str>),
    /// An expression, anchored as it was compiled.
    Regex(Pattern),
}

impl ValueMatch {
    /// Whether `value` matches.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *value,
            Self::Regex(pattern) => pattern.is_match(value),
        }
    }
}

impl Serialize for ValueMatch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (index, variant, value) = match self {
            Self::Exact(exact) => (0, "exact", &**exact),
            Self::Regex(pattern) => (1, "regex", pattern.as_str()),
        };
        let value = redacted::value(value);
        serializer.serialize_newtype_variant("ValueMatch", index, variant, value)
    }
}

/// A condition on one request header. A header given several times matches on any value or on the comma-joined form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct HeaderMatch {
    /// The header.
    #[serde(serialize_with = "crate::serialize::text")]
    pub name: HeaderName,
    /// Its value.
    pub value: ValueMatch,
}

/// A condition on one query parameter, percent-decoded; the first of several with the same name counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct QueryMatch {
    /// The parameter's name, case-sensitive.
    pub name: Box<str>,
    /// Its value.
    pub value: ValueMatch,
}

/// Everything that one match asks of a request; all parts must hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct RequestMatch {
    /// The path.
    pub path: PathMatch,
    /// The method, if it matters.
    #[serde(
        serialize_with = "crate::serialize::option_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub method: Option<Method>,
    /// Headers, all of which must match; names are distinct.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
    /// Query parameters, all of which must match; names are distinct.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<QueryMatch>,
}

#[cfg(test)]
#[path = "matcher_tests.rs"]
mod tests;
