//! How paths are compared: `use-regex`, `full-path-regex`, `ignore-path-case`.

use super::{Effect, Family, Key, Reader, Settings};
use crate::{
    effect::Written,
    native::{PathMatch, PathType},
    note::Outcome,
    value,
};

/// See [`Family`].
pub(super) const PATH_MATCH: Family = Family {
    name: "path-match",
    keys: &[
        Key {
            name: "use-regex",
            doc: "true: every path of the Ingress is a regular expression that a request path has to begin with. In class nginx, case does not count, and it holds for every path of the host.",
            becomes: "RegularExpression path matches, `(?:PATH).*`; in class nginx `(?i:PATH).*`. No effect: full-path-regex is set and wins. Refused: a path that is no expression, or one of more than 256 KiB once compiled; it matches nothing.",
        },
        Key {
            name: "full-path-regex",
            doc: "true: every path of the Ingress is a regular expression for the whole request path; wins over use-regex.",
            becomes: "RegularExpression path matches. Refused: as use-regex.",
        },
        Key {
            name: "ignore-path-case",
            doc: "true: Exact and Prefix paths match in any case. Regular expressions say themselves what case means.",
            becomes: "RoutePolicy `ignorePathCase`. Approximated: no effect on regular expressions.",
        },
    ],
    apply,
};

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    settings.full_path_regex = flag(
        reader,
        ("full-path-regex", Effect::In(has_expression)),
        "path matches by regular expression, for the whole path",
    );
    // A rewrite may make expressions of the paths in any case.
    let effect = Effect::InOrDefault(|written| {
        let source = written.source;
        let target = source.settings.rewrite_target.as_deref();
        let mut paths = source.paths.iter();
        has_expression(written)
            && paths.any(|path| {
                let (text, path_type) = &path.written;
                let rewritten =
                    |target| source.profile.rewrite_makes_regex(target, text, path_type);
                !target.is_some_and(rewritten)
            })
    });
    settings.use_regex = flag(
        reader,
        ("use-regex", effect),
        "path matches by regular expression",
    );
    let effect = Effect::RoutePolicy(|policy| policy.ignore_path_case == Some(true));
    let ignore_case = flag(
        reader,
        ("ignore-path-case", effect),
        "RoutePolicy ignorePathCase",
    );
    if ignore_case {
        settings.route_policy_mut().ignore_path_case = Some(true);
    }
    if settings.use_regex && settings.full_path_regex {
        reader.beaten("use-regex", "full-path-regex");
    }
    if ignore_case && (settings.use_regex || settings.full_path_regex) {
        let message = "has no effect on regular expressions: write (?i) in front of the path";
        reader.say("ignore-path-case", Outcome::Approximated, message);
    }
}

/// Whether the annotation says true.
fn flag(reader: &mut Reader<'_>, (key, effect): (&'static str, Effect), on: &str) -> bool {
    let value = reader.parse(key, value::boolean);
    match value {
        Some(true) => reader.exact(key, effect, on),
        Some(false) => reader.exact(key, Effect::Default, "off"),
        None => {}
    }
    value == Some(true)
}

fn has_expression(written: &Written<'_>) -> bool {
    let expression = |path: &PathMatch| path.r#type == Some(PathType::RegularExpression);
    written.rules().any(|rule| {
        let mut matches = rule.matches.iter().flatten();
        matches.any(|one| one.path.as_ref().is_some_and(expression))
    })
}
