//! Conditions beside the path: `match-method`, `{exact,prefix,regex}-match-{header,query,pseudo-header}-NAME`.
//!
//! A condition that cannot be honoured leaves nothing that matches: leaving it out would match more than was asked for.

use std::collections::BTreeMap;

use regex::Regex;

use super::{Effect, Family, Key, Reader, Settings, canary::leads_here, path_condition::PathRule};
use crate::{
    effect::Written,
    native::{self, HeaderMatch, HeaderType, QueryMatch, QueryType, RouteMatch, Rule},
    note::Outcome,
    value,
};

/// See [`Family`].
pub(super) const MATCHING: Family = Family {
    name: "matching",
    keys: &[
        Key {
            name: "match-method",
            doc: "Methods, separated by blanks, in any case; one match for each. Where none is known, nothing matches.",
            becomes: "A match for each method. Refused: methods other than those of HTTPRoute, which do not match.",
        },
        Key {
            name: "exact-match-header-NAME",
            doc: "Value that the header NAME has to have.",
            becomes: "Header match, `Exact`. Refused: an empty value, more than 1,024 characters, a name that cannot be, a second condition on the same name. Then no path of the Ingress is served.",
        },
        Key {
            name: "prefix-match-header-NAME",
            doc: "What the value of the header NAME has to begin with.",
            becomes: "Header match, `RegularExpression`. Refused: an empty value, more than 1,024 characters, a name that cannot be, a second condition on the same name. Then no path of the Ingress is served.",
        },
        Key {
            name: "regex-match-header-NAME",
            doc: "Regular expression for the whole value of the header NAME.",
            becomes: "Header match, `RegularExpression`. Refused: an empty value, more than 1,024 characters, a name that cannot be, a second condition on the same name; or no regular expression. Then no path of the Ingress is served.",
        },
        Key {
            name: "exact-match-query-NAME",
            doc: "Value that the query parameter NAME has to have.",
            becomes: "Query parameter match, `Exact`. Refused: an empty value, more than 1,024 characters, a name that cannot be, a second condition on the same name. Then no path of the Ingress is served.",
        },
        Key {
            name: "prefix-match-query-NAME",
            doc: "What the value of the query parameter NAME has to begin with.",
            becomes: "Query parameter match, `RegularExpression`. Refused: an empty value, more than 1,024 characters, a name that cannot be, a second condition on the same name. Then no path of the Ingress is served.",
        },
        Key {
            name: "regex-match-query-NAME",
            doc: "Regular expression for the whole value of the query parameter NAME.",
            becomes: "Query parameter match, `RegularExpression`. Refused: an empty value, more than 1,024 characters, a name that cannot be, a second condition on the same name; or no regular expression. Then no path of the Ingress is served.",
        },
        Key {
            name: "exact-match-pseudo-header-NAME",
            doc: "What authority (the host, without port), method or scheme has to be; path has a line of its own.",
            becomes: "authority: match of the header Host, `Exact`; method: method matches; scheme: the listeners that the route attaches to. Refused: an empty value, more than 1,024 characters, a name that cannot be, a second condition on the same name. Then no path of the Ingress is served. So do other pseudo-headers.",
        },
        Key {
            name: "prefix-match-pseudo-header-NAME",
            doc: "What authority (the host, without port), method or scheme has to begin with; path has a line of its own.",
            becomes: "authority: match of the header Host, `RegularExpression`; method: method matches; scheme: the listeners that the route attaches to. Refused: an empty value, more than 1,024 characters, a name that cannot be, a second condition on the same name. Then no path of the Ingress is served. So do other pseudo-headers.",
        },
        Key {
            name: "regex-match-pseudo-header-NAME",
            doc: "Regular expression for authority (the host, without port), method or scheme; path has a line of its own.",
            becomes: "authority: match of the header Host, `RegularExpression`; method: method matches; scheme: the listeners that the route attaches to. Refused: an empty value, more than 1,024 characters, a name that cannot be, a second condition on the same name; or no regular expression. Then no path of the Ingress is served. So do other pseudo-headers.",
        },
    ],
    apply,
};

/// What a request has to have beside its path. Part of what tells one rule from another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Matching {
    /// Nothing can match.
    pub(crate) nothing: bool,
    /// One of these; empty: any. In the order of [`native::methods`].
    pub(crate) methods: Vec<&'static str>,
    /// Only over TLS, or only without.
    pub(crate) https: Option<bool>,
    /// By name in lower case.
    pub(crate) headers: BTreeMap<String, ValueRule>,
    /// By name.
    pub(crate) query: BTreeMap<String, ValueRule>,
    /// What the path has to be too.
    pub(crate) path: Option<PathRule>,
}

/// How a value is compared, as HTTPRoute has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ValueRule {
    Exact(String),
    /// The whole value.
    Regex(String),
}

impl ValueRule {
    /// As the condition on a header.
    pub(crate) fn of_header(&self, name: &str) -> HeaderMatch {
        match self {
            Self::Exact(value) => native::header_match(HeaderType::Exact, name, value),
            Self::Regex(value) => native::header_match(HeaderType::RegularExpression, name, value),
        }
    }

    /// As the condition on a query parameter.
    pub(crate) fn of_query(&self, name: &str) -> QueryMatch {
        let (kind, value) = match self {
            Self::Exact(value) => (QueryType::Exact, value),
            Self::Regex(value) => (QueryType::RegularExpression, value),
        };
        QueryMatch {
            name: name.to_owned(),
            r#type: Some(kind),
            value: value.clone(),
        }
    }
}

/// The longest value of a query parameter match; those of headers may be longer.
const LONGEST: usize = 1024;

pub(super) const NOTHING: &str = "no path of this Ingress is served";

/// How a condition compares.
#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    Exact,
    Prefix,
    Regex,
}

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let mut matching = Matching::default();
    let canary = settings.canary.is_some();
    methods(reader, canary, &mut matching);
    for (word, how) in [
        ("exact", How::Exact),
        ("prefix", How::Prefix),
        ("regex", How::Regex),
    ] {
        for place in ["header", "query", "pseudo-header"] {
            for (key, name) in reader.named(&format!("{word}-match-{place}-")) {
                if (place, name) == ("pseudo-header", "path") {
                    continue;
                }
                let text = reader.text(key).unwrap_or_default();
                let read = match place {
                    "header" => {
                        header(name, how, &text, &mut matching).map(|said| (BY_HEADER, said))
                    }
                    "query" => query(name, how, &text, &mut matching).map(|said| (BY_QUERY, said)),
                    _ => pseudo_header(name, how, &text, &mut matching),
                };
                match read {
                    Ok((stands, message)) => reader.exact(key, effect(canary, stands), message),
                    Err(why) => {
                        matching.nothing = true;
                        reader.say(key, Outcome::Refused, format!("{why}; {NOTHING}"));
                    }
                }
            }
        }
    }
    settings.matching = matching;
}

/// What a condition stands in. A canary's tells its base from others.
pub(super) const fn effect(canary: bool, effect: Effect) -> Effect {
    if canary {
        Effect::InOrDefault(tells_apart)
    } else {
        effect
    }
}

/// Whether the base of a canary is one of several.
fn tells_apart(written: &Written<'_>) -> bool {
    let name = &written.source.object.key;
    let owned = written.groups.iter().flat_map(|group| &group.paths);
    let mut canaries = owned.flat_map(|owned| &owned.canaries);
    leads_here(written)
        && canaries.any(|canary| canary.is_told_apart && canary.source.object.key == *name)
}

const BY_HEADER: Effect = Effect::Rule(|rule| has(rule, |one| one.headers.is_some()));
const BY_QUERY: Effect = Effect::Rule(|rule| has(rule, |one| one.query_params.is_some()));
const BY_METHOD: Effect = Effect::Rule(|rule| has(rule, |one| one.method.is_some()));

fn has(rule: &Rule, is: fn(&RouteMatch) -> bool) -> bool {
    rule.matches.iter().flatten().any(is)
}

/// Whether a host has a listener of the other scheme that the routes are not attached to.
fn by_scheme(written: &Written<'_>) -> bool {
    let https = written.source.settings.matching.https;
    let mut groups = written.groups.iter();
    groups.any(|group| match https {
        Some(true) => true,
        Some(false) => group.listener_set.is_some(),
        None => false,
    })
}

fn methods(reader: &mut Reader<'_>, canary: bool, matching: &mut Matching) {
    let Some(text) = reader.text("match-method") else {
        return;
    };
    let words: Vec<_> = text
        .split_whitespace()
        .map(str::to_ascii_uppercase)
        .collect();
    let known = native::methods().filter(|known| words.iter().any(|word| word == known));
    matching.methods = known.collect();
    let wrong: Vec<_> = words
        .iter()
        .filter(|word| native::method(word).is_none())
        .map(String::as_str)
        .collect();
    if matching.methods.is_empty() {
        matching.nothing = true;
        let message = format!("{text:?} names no method that can be matched; {NOTHING}");
        reader.say("match-method", Outcome::Refused, message);
    } else if wrong.is_empty() {
        let effect = effect(canary, BY_METHOD);
        reader.exact("match-method", effect, "one match for each method");
    } else {
        let message = format!(
            "not a method that can be matched: {}; only {} match",
            wrong.join(", "),
            matching.methods.join(", ")
        );
        reader.say("match-method", Outcome::Refused, message);
    }
}

fn header(
    name: &str,
    how: How,
    text: &str,
    matching: &mut Matching,
) -> Result<&'static str, String> {
    let name = value::header_name(name)?;
    if name == "host" {
        return host(how, text, matching);
    }
    value::header_value(text)?;
    add(&mut matching.headers, name, rule(how, text)?)?;
    Ok("header match")
}

fn query(
    name: &str,
    how: How,
    text: &str,
    matching: &mut Matching,
) -> Result<&'static str, String> {
    // HTTPRoute takes names of parameters that could be names of headers; case counts.
    value::header_name(name).map_err(|_| format!("{name:?} is not a query parameter's name"))?;
    add(&mut matching.query, name.to_owned(), rule(how, text)?)?;
    Ok("query parameter match")
}

/// Method and scheme are one of few: the condition is tried on each.
fn pseudo_header(
    name: &str,
    how: How,
    text: &str,
    matching: &mut Matching,
) -> Result<(Effect, &'static str), String> {
    match name {
        "authority" => Ok((BY_HEADER, host(how, text, matching)?)),
        "method" => {
            let test = test(how, text)?;
            let before = matching.methods.len();
            if matching.methods.is_empty() {
                matching.methods = native::methods().collect();
            }
            matching.methods.retain(|method| test.is_match(method));
            if matching.methods.is_empty() {
                return Err(format!(
                    "no method can be {text:?} and whatever else is asked for"
                ));
            }
            let effect = if matching.methods.len() == before {
                Effect::Default
            } else {
                BY_METHOD
            };
            Ok((effect, "one match for each method that fits"))
        }
        "scheme" => {
            let test = test(how, text)?;
            let fits = |https: bool| {
                matching.https.is_none_or(|only| only == https)
                    && test.is_match(if https { "https" } else { "http" })
            };
            matching.https = match (fits(false), fits(true)) {
                (true, true) => None,
                (false, false) => return Err(format!("no scheme can be {text:?}")),
                (_, https) => Some(https),
            };
            let effect = match matching.https {
                Some(_) => Effect::InOrDefault(by_scheme),
                None => Effect::Default,
            };
            let message = "parentRefs: the HTTP listener, the HTTPS listener or both";
            Ok((effect, message))
        }
        other => Err(format!(
            ":{other} cannot be matched, only :authority, :method, :path and :scheme"
        )),
    }
}

/// The gateway compares hosts in lower case and without port.
fn host(how: How, text: &str, matching: &mut Matching) -> Result<&'static str, String> {
    let rule = match how {
        How::Regex => {
            value::regex(text)?;
            ValueRule::Regex(format!("(?i:{text})"))
        }
        How::Exact | How::Prefix if text.contains(':') => {
            return Err(format!("{text:?} has a port; hosts are compared without"));
        }
        How::Exact | How::Prefix => rule(how, &text.to_ascii_lowercase())?,
    };
    value::header_value(text)?;
    add(&mut matching.headers, "host".to_owned(), rule)?;
    Ok("match of the header Host, without port")
}

fn rule(how: How, text: &str) -> Result<ValueRule, String> {
    if text.is_empty() {
        return Err("an empty value cannot be compared".to_owned());
    }
    let rule = match how {
        How::Exact => ValueRule::Exact(text.to_owned()),
        How::Prefix => ValueRule::Regex(format!("(?s){}.*", regex::escape(text))),
        How::Regex => {
            value::regex(text)?;
            ValueRule::Regex(text.to_owned())
        }
    };
    let (ValueRule::Exact(written) | ValueRule::Regex(written)) = &rule;
    if written.len() > LONGEST {
        return Err(format!("a value may have {LONGEST} characters"));
    }
    Ok(rule)
}

/// The condition as an expression for the whole value.
fn test(how: How, text: &str) -> Result<Regex, String> {
    let pattern = match rule(how, text)? {
        ValueRule::Exact(text) => regex::escape(&text),
        ValueRule::Regex(pattern) => pattern,
    };
    Regex::new(&format!("^(?:{pattern})$")).map_err(|error| error.to_string())
}

/// HTTPRoute compares each name once.
fn add(
    conditions: &mut BTreeMap<String, ValueRule>,
    name: String,
    rule: ValueRule,
) -> Result<(), String> {
    if conditions.contains_key(&name) {
        return Err(format!(
            "another annotation has a condition on {name} already: say both in one regular expression"
        ));
    }
    conditions.insert(name, rule);
    Ok(())
}
