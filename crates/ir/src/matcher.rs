//! Hosts, paths, headers and queries: what a request must look like.

use std::{
    borrow::Cow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use http::{HeaderName, Method};
use regex::bytes::{Regex, RegexBuilder};
use serde::{Serialize, Serializer};

use crate::redacted;

/// Upper bound of a compiled pattern, in bytes. A larger one is refused with [`InvalidPattern`].
pub const PATTERN_SIZE_LIMIT: usize = 256 * 1024;

/// A compiled regular expression (RE2 syntax, linear time), equal by its source text. Cheap to clone.
#[derive(Clone)]
pub struct Pattern(Arc<Compiled>);

/// Shared by clones as a whole: one of a `Regex` alone would have a pool of its own, which is larger than most expressions.
struct Compiled {
    source: Box<str>,
    regex: Regex,
}

/// Why a regular expression was refused: bad syntax, or too large once compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("regular expression {pattern:?}: {why}")]
pub struct InvalidPattern {
    /// The text that was refused.
    pub pattern: String,
    /// What is wrong with it, on one line.
    pub why: String,
}

impl Pattern {
    /// Compiles `source` so that it must match the *whole* input.
    ///
    /// # Errors
    /// Bad syntax, or more than [`PATTERN_SIZE_LIMIT`] once compiled.
    pub fn full(source: &str) -> Result<Self, InvalidPattern> {
        Self::compile(source, format!("^(?:{source})$"), Input::Text)
    }

    /// [`Pattern::full`] for canonical paths, which are ASCII: much smaller, and faster to compile, where a dot stands
    /// for any character.
    ///
    /// # Errors
    /// As [`Pattern::full`].
    pub fn full_path(source: &str) -> Result<Self, InvalidPattern> {
        Self::compile(source, format!("^(?:{source})$"), Input::Path)
    }

    /// Compiles `source` so that it may match anywhere in a canonical path.
    ///
    /// # Errors
    /// As [`Pattern::full`].
    pub fn in_path(source: &str) -> Result<Self, InvalidPattern> {
        Self::compile(source, source.to_owned(), Input::Path)
    }

    fn compile(source: &str, anchored: String, input: Input) -> Result<Self, InvalidPattern> {
        let refuse = |why: String| InvalidPattern {
            pattern: source.to_owned(),
            why,
        };
        // A source such as `a)|(b` only becomes valid inside the anchoring group: check it alone first.
        let syntax = regex_syntax::ast::parse::Parser::new().parse(source);
        syntax.map_err(|error| refuse(reason(&error.to_string())))?;
        let build = |unicode| {
            RegexBuilder::new(&anchored)
                .unicode(unicode)
                .size_limit(PATTERN_SIZE_LIMIT)
                .dfa_size_limit(PATTERN_SIZE_LIMIT * 4)
                .build()
        };
        let regex = match input {
            Input::Text => build(true),
            // Some expressions speak of Unicode by name.
            Input::Path => build(false).or_else(|_| build(true)),
        };
        let regex = regex.map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => {
                refuse(format!("larger than {limit} bytes once compiled"))
            }
            other => refuse(reason(&other.to_string())),
        })?;
        let source = anchored.into();
        Ok(Self(Arc::new(Compiled { source, regex })))
    }

    /// The anchored text that was compiled.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.source
    }

    /// Whether `text` matches.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.0.regex.is_match(text.as_bytes())
    }

    /// How many groups there are, the whole match included.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.0.regex.captures_len()
    }

    /// The number of the group with this name, whatever its case.
    #[must_use]
    pub fn group_named(&self, name: &str) -> Option<usize> {
        let is = |known: Option<&str>| known.is_some_and(|known| known.eq_ignore_ascii_case(name));
        self.0.regex.capture_names().position(is)
    }

    /// What the groups of the first match have matched.
    #[must_use]
    pub fn groups<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        self.0.regex.captures(text.as_bytes()).map(Captures)
    }

    /// `text` with `replacement` in the stead of the first match; `$1` and `${name}` stand for what groups have matched.
    #[must_use]
    pub fn replace<'t>(&self, text: &'t str, replacement: &str) -> Cow<'t, str> {
        match self
            .0
            .regex
            .replace(text.as_bytes(), replacement.as_bytes())
        {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(new) => Cow::Owned(match String::from_utf8(new) {
                Ok(new) => new,
                // Only of a text that is no canonical path.
                Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            }),
        }
    }
}

/// What the groups of a [`Pattern`] have matched.
#[derive(Debug)]
pub struct Captures<'t>(regex::bytes::Captures<'t>);

impl<'t> Captures<'t> {
    /// The text of a group; empty where it has no part in the match.
    #[must_use]
    pub fn get(&self, group: u16) -> &'t str {
        let bytes = self
            .0
            .get(group.into())
            .map_or(&[][..], |group| group.as_bytes());
        // Only of a text that is no canonical path is a character cut in two.
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// What an expression is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    /// Any text.
    Text,
    /// ASCII.
    Path,
}

/// The last line of an error, which says what is wrong; those before it show where.
fn reason(error: &str) -> String {
    let last = error.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.0.source)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.source == other.0.source
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.source.hash(state);
    }
}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pattern {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.source.cmp(&other.0.source)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.source)
    }
}

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
