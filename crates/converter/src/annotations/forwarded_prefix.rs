//! `x-forwarded-prefix`.

use super::{Effect, Family, Key, Reader, Settings};
use crate::{
    native::{RequestSet, Rule},
    note::Outcome,
    profile::Profile,
    value, variable,
};

/// See [`Family`].
pub(super) const FORWARDED_PREFIX: Family = Family {
    name: "forwarded-prefix",
    keys: &[Key {
        name: "x-forwarded-prefix",
        doc: "Value of the request header X-Forwarded-Prefix where the path is rewritten, in class nginx with variables; true: the path that was matched. Default: no such header.",
        becomes: "RequestHeaderModifier, or RouteFilter `requestHeaders`. No effect: without a rewrite there is no header. Approximated: true stands for what an expression begins with before its first special character. Refused: no header's value; a variable that has no value here.",
    }],
    apply,
};

/// What the header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ForwardedPrefix {
    /// This.
    Value(String),
    /// What the path begins with.
    Matched,
}

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    const KEY: &str = "x-forwarded-prefix";
    let parse = |text: &str| match text {
        "true" => Ok(Some(ForwardedPrefix::Matched)),
        "false" | "" => Ok(None),
        other => value::header_value(other).map(|value| Some(ForwardedPrefix::Value(value))),
    };
    let Some(wanted) = reader.parse(KEY, parse) else {
        return;
    };
    // To ingress-nginx, a target that is the path itself is no rewrite.
    let same = |target: &String| reader.profile() == Profile::Nginx && reader.has_only_path(target);
    let target = settings.rewrite_target.as_ref();
    let rewritten = target.is_some_and(|target| !same(target)) || settings.rewrite_path.is_some();
    if !rewritten && wanted.is_some() {
        return reader.pointless(KEY, "rewrite-target or rewrite-path");
    }
    if let Some(ForwardedPrefix::Value(text)) = &wanted
        && reader.profile() == Profile::Nginx
        && text.contains('$')
    {
        let scope = reader.scope(KEY);
        match variable::check(text, &scope) {
            Err(why) => reader.say(KEY, Outcome::Refused, why),
            Ok(()) => {
                let effect = Effect::In(|written| {
                    let mut filters = written.route_filters();
                    filters.any(|filter| filter.request_headers.is_some())
                });
                reader.exact(KEY, effect, "RouteFilter requestHeaders");
                settings.texts_mut().prefix = Some(text.clone());
            }
        }
        return;
    }
    match wanted {
        None => reader.exact(KEY, Effect::Default, "no such header"),
        Some(_) => {
            let effect = Effect::Rule(|rule| changes(rule).any(|set| set.name == NAME));
            reader.exact(KEY, effect, "RequestHeaderModifier");
        }
    }
    settings.forwarded_prefix = wanted;
}

/// The header, as HTTPRoute writes it.
pub(crate) const NAME: &str = "x-forwarded-prefix";

/// Headers of requests that a rule sets.
fn changes(rule: &Rule) -> impl Iterator<Item = &RequestSet> {
    let filters = rule.filters.iter().flatten();
    let modifiers = filters.filter_map(|filter| filter.request_header_modifier.as_ref());
    modifiers.flat_map(|modifier| modifier.set.iter().flatten())
}

impl ForwardedPrefix {
    /// What the header says for a path as it was written; nothing where nothing is known about its beginning.
    pub(crate) fn of(&self, path: &str) -> Option<String> {
        match self {
            Self::Value(value) => Some(value.clone()),
            Self::Matched => {
                let special = [
                    '\\', '.', '+', '*', '?', '(', ')', '|', '[', ']', '{', '}', '^', '$',
                ];
                let literal = path.split(special).next().unwrap_or_default();
                let literal = literal.trim_end_matches('/');
                (!literal.is_empty()).then(|| literal.to_owned())
            }
        }
    }
}
