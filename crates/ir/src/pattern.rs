//! Regular expressions of rules.
//!
//! Those of paths mostly begin with text that stands for itself (`/shop/(.*)`). A compiled expression takes some
//! hundred bytes for each such byte, so it is compared as text and not compiled.

use std::{
    borrow::Cow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use regex::bytes::{Regex, RegexBuilder};
use regex_automata::util::interpolate;
use regex_syntax::hir::{Dot, Hir, HirKind, Look};
use serde::{Serialize, Serializer};

/// Upper bound of a compiled pattern, in bytes. A larger one is refused with [`InvalidPattern`].
pub const PATTERN_SIZE_LIMIT: usize = 256 * 1024;

/// A compiled regular expression (RE2 syntax, linear time), equal by its source text. Cheap to clone.
#[derive(Clone)]
pub struct Pattern(Arc<Compiled>);

/// Shared by clones as a whole: one of a `Regex` alone would have a pool of its own, which is larger than most
/// expressions.
struct Compiled {
    source: Box<str>,
    /// What a text must begin with; it is no part of `rest`.
    prefix: Box<str>,
    rest: Rest,
}

/// What must follow the prefix. A compiled expression has five kilobytes at least, so that the usual ones are none.
#[derive(Debug)]
enum Rest {
    /// Nothing.
    Nothing,
    /// Anything on one line, `.*`.
    Line,
    /// What this matches.
    Regex(Regex),
}

impl Rest {
    /// Of an expression without groups that needs no engine.
    fn simple(rest: &Hir) -> Option<Self> {
        let bare = match rest.kind() {
            HirKind::Concat(parts) => match parts.as_slice() {
                [bare, end] if matches!(end.kind(), HirKind::Look(Look::End)) => bare,
                _ => return None,
            },
            _ => rest,
        };
        match bare.kind() {
            HirKind::Empty | HirKind::Look(Look::End) => Some(Self::Nothing),
            HirKind::Repetition(repeated) => {
                let line = [Dot::AnyByteExceptLF, Dot::AnyCharExceptLF];
                let all = repeated.min == 0 && repeated.max.is_none();
                let is_line = all && line.into_iter().any(|dot| *repeated.sub == Hir::dot(dot));
                is_line.then_some(Self::Line)
            }
            _ => None,
        }
    }

    fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Nothing => text.is_empty(),
            Self::Line => !text.contains('\n'),
            Self::Regex(regex) => regex.is_match(text.as_bytes()),
        }
    }

    const fn regex(&self) -> Option<&Regex> {
        match self {
            Self::Nothing | Self::Line => None,
            Self::Regex(regex) => Some(regex),
        }
    }
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
        check(source)?;
        let anchored = format!("^(?:{source})$");
        Self::compile(source, &anchored, "", &anchored, true)
    }

    /// [`Pattern::full`] for canonical paths, which are ASCII: much smaller, and faster to compile, where a dot stands
    /// for any character.
    ///
    /// # Errors
    /// As [`Pattern::full`].
    pub fn full_path(source: &str) -> Result<Self, InvalidPattern> {
        check(source)?;
        let anchored = format!("^(?:{source})$");
        let Some((prefix, rest)) = literal_prefix(source) else {
            return Self::compile_path(source, &anchored, "", &anchored);
        };
        match Rest::simple(&rest) {
            Some(rest) => Ok(Self::new(&anchored, &prefix, rest)),
            None => Self::compile_path(source, &anchored, &prefix, &format!("^(?:{rest})$")),
        }
    }

    /// Compiles `source` so that it may match anywhere in a canonical path.
    ///
    /// # Errors
    /// As [`Pattern::full`].
    pub fn in_path(source: &str) -> Result<Self, InvalidPattern> {
        check(source)?;
        Self::compile_path(source, source, "", source)
    }

    /// Some expressions speak of Unicode by name.
    fn compile_path(
        source: &str,
        anchored: &str,
        prefix: &str,
        rest: &str,
    ) -> Result<Self, InvalidPattern> {
        Self::compile(source, anchored, prefix, rest, false)
            .or_else(|_| Self::compile(source, anchored, prefix, rest, true))
    }

    fn compile(
        source: &str,
        anchored: &str,
        prefix: &str,
        rest: &str,
        unicode: bool,
    ) -> Result<Self, InvalidPattern> {
        let regex = RegexBuilder::new(rest)
            .unicode(unicode)
            .size_limit(PATTERN_SIZE_LIMIT)
            .dfa_size_limit(PATTERN_SIZE_LIMIT * 4)
            .build();
        let regex = regex.map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => {
                refused(source, format!("larger than {limit} bytes once compiled"))
            }
            other => refused(source, reason(&other.to_string())),
        })?;
        Ok(Self::new(anchored, prefix, Rest::Regex(regex)))
    }

    fn new(anchored: &str, prefix: &str, rest: Rest) -> Self {
        Self(Arc::new(Compiled {
            source: anchored.into(),
            prefix: prefix.into(),
            rest,
        }))
    }

    /// The anchored text that was compiled.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.source
    }

    /// Whether `text` matches.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        text.strip_prefix(&*self.0.prefix)
            .is_some_and(|rest| self.0.rest.is_match(rest))
    }

    /// How many groups there are, the whole match included.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.0.rest.regex().map_or(1, Regex::captures_len)
    }

    /// The number of the group with this name, whatever its case.
    #[must_use]
    pub fn group_named(&self, name: &str) -> Option<usize> {
        self.group_of(|known| known.eq_ignore_ascii_case(name))
    }

    /// What the groups of the first match have matched.
    #[must_use]
    pub fn groups<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        let rest = text.strip_prefix(&*self.0.prefix)?;
        let groups = match &self.0.rest {
            Rest::Regex(regex) => Some(regex.captures(rest.as_bytes())?),
            simple => {
                let matches = simple.is_match(rest);
                return matches.then_some(Captures {
                    text,
                    begin: 0,
                    groups: None,
                });
            }
        };
        let begin = text.len() - rest.len();
        Some(Captures {
            text,
            begin,
            groups,
        })
    }

    /// `text` with `replacement` in the stead of the first match; `$1` and `${name}` stand for what groups have
    /// matched.
    #[must_use]
    pub fn replace<'t>(&self, text: &'t str, replacement: &str) -> Cow<'t, str> {
        let Some(captures) = self.groups(text) else {
            return Cow::Borrowed(text);
        };
        let (before, after) = captures.around();
        let mut new = before.to_vec();
        interpolate::bytes(
            replacement.as_bytes(),
            |group, new| new.extend_from_slice(captures.bytes(group)),
            |name| self.group_of(|known| known == name),
            &mut new,
        );
        new.extend_from_slice(after);
        // Only of a text that is no canonical path is a character cut in two.
        Cow::Owned(
            String::from_utf8(new)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        )
    }

    fn group_of(&self, is: impl Fn(&str) -> bool) -> Option<usize> {
        let mut names = self.0.rest.regex()?.capture_names();
        names.position(|known| known.is_some_and(&is))
    }
}

/// What the groups of a [`Pattern`] have matched.
#[derive(Debug)]
pub struct Captures<'t> {
    text: &'t str,
    /// Where in `text` that begins which `groups` are about.
    begin: usize,
    /// `None` where all of `text` is matched, and there are no groups.
    groups: Option<regex::bytes::Captures<'t>>,
}

impl<'t> Captures<'t> {
    /// The text of a group; empty where it has no part in the match.
    #[must_use]
    pub fn get(&self, group: u16) -> &'t str {
        // Only of a text that is no canonical path is a character cut in two.
        std::str::from_utf8(self.bytes(group.into())).unwrap_or_default()
    }

    fn bytes(&self, group: usize) -> &'t [u8] {
        let Some(groups) = &self.groups else {
            return if group == 0 {
                self.text.as_bytes()
            } else {
                &[]
            };
        };
        match (group, groups.get(group)) {
            // With the prefix, which the expression does not see; then it matches from there to the end.
            (0, Some(_)) if self.begin > 0 => self.text.as_bytes(),
            (_, Some(group)) => group.as_bytes(),
            (_, None) => &[],
        }
    }

    /// What is before the match, and after it.
    fn around(&self) -> (&'t [u8], &'t [u8]) {
        let text = self.text.as_bytes();
        match self.groups.as_ref().and_then(|groups| groups.get(0)) {
            Some(whole) if self.begin == 0 => (&text[..whole.start()], &text[whole.end()..]),
            _ => (&[], &[]),
        }
    }
}

fn refused(source: &str, why: String) -> InvalidPattern {
    InvalidPattern {
        pattern: source.to_owned(),
        why,
    }
}

/// A source such as `a)|(b` only becomes valid inside the anchoring group: it is checked alone.
fn check(source: &str) -> Result<(), InvalidPattern> {
    let syntax = regex_syntax::ast::parse::Parser::new().parse(source);
    syntax
        .map(drop)
        .map_err(|error| refused(source, reason(&error.to_string())))
}

/// The ASCII text that whatever an expression matches from its beginning to its end begins with, and an expression for
/// what follows. `None` where what follows looks at what is before it.
fn literal_prefix(source: &str) -> Option<(String, Hir)> {
    let parse = |unicode| {
        let mut parser = regex_syntax::ParserBuilder::new();
        let hir = parser.utf8(false).unicode(unicode).build().parse(source);
        hir.ok()
    };
    let hir = parse(false).or_else(|| parse(true))?;
    let parts = match hir.kind() {
        HirKind::Concat(parts) => parts.as_slice(),
        _ => std::slice::from_ref(&hir),
    };
    let start = |part: &&Hir| matches!(part.kind(), HirKind::Look(Look::Start));
    let parts = &parts[parts.iter().take_while(start).count()..];
    let (first, rest) = parts.split_first()?;
    let HirKind::Literal(literal) = first.kind() else {
        return None;
    };
    let prefix = std::str::from_utf8(&literal.0).ok()?;
    let rest = Hir::concat(rest.to_vec());
    let looks = rest.properties().look_set().remove(Look::End);
    (prefix.is_ascii() && looks.is_empty()).then(|| (prefix.to_owned(), rest))
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

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
