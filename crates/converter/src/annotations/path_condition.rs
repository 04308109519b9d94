//! `{exact,prefix,regex}-match-pseudo-header-path`: conditions on the path beside those of the rules. HTTPRoute has one
//! path in a match, so the two are joined.

use regex_syntax::hir::{Hir, HirKind};

use super::{
    Effect, Family, Key, Reader, Settings,
    matching::{How, NOTHING, effect},
};
use crate::{
    ingress::{self, PathKind},
    note::Outcome,
    value,
};

/// See [`Family`].
pub(super) const PATH_CONDITION: Family = Family {
    name: "path-condition",
    keys: &[
        Key {
            name: "exact-match-pseudo-header-path",
            doc: "What the path has to be, beside what the path of the rule says.",
            becomes: "Path match, joined with that of each path: `Exact`. Approximated: Higress compares the query too. Refused: a value with a query, a second condition on the path, and paths with which it cannot be joined (expressions, paths that are rewritten or match in any case); these are not served.",
        },
        Key {
            name: "prefix-match-pseudo-header-path",
            doc: "What the path has to begin with, letter by letter, beside what the path of the rule says.",
            becomes: "Path match, joined with that of each path: the longer of the two, or `RegularExpression`. Approximated: where rules are put in order, it is the joined path that counts. Refused: as exact-match-pseudo-header-path.",
        },
        Key {
            name: "regex-match-pseudo-header-path",
            doc: "Regular expression for the whole path, beside what the path of the rule says.",
            becomes: "Path match, joined with that of each path: `RegularExpression`, or that of an Exact path which it fits. Approximated: Higress compares the query too. Refused: as exact-match-pseudo-header-path, and a Prefix path of which it is not clear that all that the expression fits is below it.",
        },
    ],
    apply,
};

/// What the path has to be, escaped as paths are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum PathRule {
    Exact(String),
    Prefix(String),
    /// The whole path.
    Regex(String),
}

/// What a path of a rule and a condition are together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// The path alone: it says more than the condition.
    Same,
    Other(PathKind),
    /// No path is both.
    Nothing,
    /// There is no word for it, and why.
    Unclear(&'static str),
}

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let canary = settings.canary.is_some();
    let keys = [How::Exact, How::Prefix, How::Regex].into_iter();
    let keys = keys.zip(PATH_CONDITION.keys.iter().map(|key| key.name));
    for (how, key) in keys {
        let Some(text) = reader.text(key) else {
            continue;
        };
        let rule = match &settings.matching.path {
            Some(_) => Err("another annotation has a condition on path already".to_owned()),
            None => rule(how, &text),
        };
        let rule = match rule {
            Ok(rule) => rule,
            Err(why) => {
                settings.matching.nothing = true;
                reader.say(key, Outcome::Refused, format!("{why}; {NOTHING}"));
                continue;
            }
        };
        let (outcome, message) = verdict(reader, settings, &rule);
        match outcome {
            Outcome::Exact => {
                let stands = match message {
                    ALL_SAME => Effect::Default,
                    _ => Effect::InOrDefault(|_| true),
                };
                reader.exact(key, effect(canary, stands), message);
            }
            outcome => reader.say(key, outcome, message),
        }
        settings.matching.path = Some(rule);
    }
}

const ALL_SAME: &str = "every path of the Ingress meets it";

/// What becomes of the paths of the Ingress, all together.
fn verdict(reader: &Reader<'_>, settings: &Settings, rule: &PathRule) -> (Outcome, &'static str) {
    let kinds = reader.paths().filter_map(|(text, path_type)| {
        ingress::kind((settings, reader.profile()), text, path_type).ok()
    });
    let joined: Vec<_> = kinds.map(|kind| rule.join(&kind, settings)).collect();
    let any = |is: fn(&Joined) -> bool| joined.iter().any(is);
    if any(|one| matches!(one, Joined::Unclear(_))) {
        let message =
            "it cannot be joined with every path: those with which it cannot are not served";
        return (Outcome::Refused, message);
    }
    match rule {
        PathRule::Exact(_) | PathRule::Regex(_) => (
            Outcome::Approximated,
            "joined with the paths of the rules; the path alone is compared, in Higress with its query",
        ),
        PathRule::Prefix(_) if any(|one| matches!(one, Joined::Other(_))) => (
            Outcome::Approximated,
            "joined with the paths of the rules; where rules are put in order the joined path counts, in Higress that of the rule",
        ),
        PathRule::Prefix(_) if any(|one| *one == Joined::Nothing) => {
            (Outcome::Exact, "only the paths that meet it are served")
        }
        PathRule::Prefix(_) => (Outcome::Exact, ALL_SAME),
    }
}

fn rule(how: How, text: &str) -> Result<PathRule, String> {
    if text.is_empty() {
        return Err("an empty value cannot be compared".to_owned());
    }
    if matches!(how, How::Regex) {
        value::path_regex(text)?;
        return Ok(PathRule::Regex(text.to_owned()));
    }
    if text.contains('?') {
        return Err(format!(
            "{text:?} has a query, which cannot be compared as a part of the path: see exact-match-query-NAME"
        ));
    }
    let text = value::escaped_path(text).into_owned();
    Ok(match how {
        How::Exact => PathRule::Exact(text),
        _ => PathRule::Prefix(text),
    })
}

impl PathRule {
    /// Together with a path of an Ingress with these settings.
    pub(crate) fn join(&self, kind: &PathKind, settings: &Settings) -> Joined {
        let policy = settings.route_policy.as_deref();
        if policy.is_some_and(|policy| policy.ignore_path_case == Some(true)) {
            return Joined::Unclear(
                "ignore-path-case is about the path of the rule and not about the condition",
            );
        }
        let joined = match self {
            Self::Exact(path) => exact(path, kind),
            Self::Prefix(start) => prefix(start, kind),
            Self::Regex(pattern) => regex(pattern, kind),
        };
        let texts = settings.texts.as_ref();
        let rewritten =
            settings.rewrite_target.is_some() || settings.rewrite_path.is_some() || texts.is_some();
        match joined {
            Joined::Other(_) if rewritten => {
                Joined::Unclear("what is rewritten is the path of the rule, not the joined one")
            }
            joined => joined,
        }
    }
}

fn exact(path: &str, kind: &PathKind) -> Joined {
    let both = match kind {
        PathKind::Exact(own) if own == path => return Joined::Same,
        PathKind::Exact(_) => false,
        PathKind::Prefix(own) => own == path || is_below(path, own),
        PathKind::StringPrefix(own) => path.starts_with(&**own),
        PathKind::Regex(pattern) => fits(pattern, path),
    };
    match both {
        true => Joined::Other(PathKind::Exact(path.to_owned())),
        false => Joined::Nothing,
    }
}

fn prefix(start: &str, kind: &PathKind) -> Joined {
    let (own, longer) = match kind {
        PathKind::Exact(own) => (own, false),
        PathKind::Prefix(own) => (own, is_below(start, own)),
        PathKind::StringPrefix(own) => (own, start.starts_with(&**own)),
        PathKind::Regex(_) => return Joined::Unclear(EXPRESSIONS),
    };
    if own.starts_with(start) {
        Joined::Same
    } else if longer {
        Joined::Other(beginning(start))
    } else {
        Joined::Nothing
    }
}

fn regex(pattern: &str, kind: &PathKind) -> Joined {
    let (own, element) = match kind {
        PathKind::Exact(own) if fits(pattern, own) => return Joined::Same,
        PathKind::Exact(_) => return Joined::Nothing,
        PathKind::Prefix(own) => (own, true),
        PathKind::StringPrefix(own) => (own, false),
        PathKind::Regex(_) => return Joined::Unclear(EXPRESSIONS),
    };
    let start = literal_start(pattern);
    let below = match element {
        true => own == "/" || is_below(&start, own),
        false => start.starts_with(&**own),
    };
    // As far as the shorter goes they are alike.
    let alike = start.starts_with(&**own) || own.starts_with(&start);
    let beside = element && start.len() > own.len();
    if below {
        Joined::Other(PathKind::Regex(pattern.to_owned()))
    } else if beside || !alike {
        Joined::Nothing
    } else {
        Joined::Unclear("it is not clear that all that the expression fits is below the path")
    }
}

const EXPRESSIONS: &str = "two expressions cannot be one: say both in the path";

/// Whether a path, or what paths begin with, is below a prefix of elements.
fn is_below(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix);
    prefix == "/" || rest.is_some_and(|rest| rest.starts_with('/'))
}

/// Whatever begins with these characters.
fn beginning(start: &str) -> PathKind {
    match start.ends_with('/') {
        true => PathKind::Regex(format!("{}.*", regex::escape(start))),
        false => PathKind::StringPrefix(start.to_owned()),
    }
}

fn fits(pattern: &str, path: &str) -> bool {
    let whole = regex::Regex::new(&format!("^(?:{pattern})$"));
    whole.is_ok_and(|whole| whole.is_match(path))
}

/// The characters that all that an expression fits begins with, as far as they are easily told.
fn literal_start(pattern: &str) -> String {
    fn collect(hir: &Hir, start: &mut Vec<u8>) -> bool {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => true,
            HirKind::Literal(literal) => {
                start.extend_from_slice(&literal.0);
                true
            }
            HirKind::Capture(capture) => collect(&capture.sub, start),
            HirKind::Concat(parts) => parts.iter().all(|part| collect(part, start)),
            HirKind::Class(_) | HirKind::Repetition(_) | HirKind::Alternation(_) => false,
        }
    }
    let mut start = Vec::new();
    if let Ok(hir) = regex_syntax::parse(pattern) {
        collect(&hir, &mut start);
    }
    String::from_utf8(start).unwrap_or_default()
}

#[cfg(test)]
#[path = "path_condition_tests.rs"]
mod tests;
