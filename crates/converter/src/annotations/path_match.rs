//! How paths are compared: `use-regex`, `full-path-regex`, `ignore-path-case`.

use super::{Family, Key, Reader, Settings};
use crate::{note::Outcome, value};

/// See [`Family`].
pub(super) const PATH_MATCH: Family = Family {
    name: "path-match",
    keys: &[
        Key {
            name: "use-regex",
            doc: "true: every path of the Ingress is a regular expression that a request path has to begin with. In class nginx, case does not count, and it holds for every path of the host.",
            becomes: "RegularExpression path matches, `(?:PATH).*`; in class nginx `(?i:PATH).*`. Approximated: full-path-regex is set and wins. Refused: a path that is no expression, or one of more than 256 KiB once compiled; it matches nothing.",
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
    let mut flag = |name: &'static str, on: &str| {
        let value = reader.parse(name, value::boolean);
        match value {
            Some(true) => reader.exact(name, on),
            Some(false) => reader.exact(name, "off"),
            None => {}
        }
        value == Some(true)
    };
    settings.use_regex = flag("use-regex", "path matches by regular expression");
    settings.full_path_regex = flag(
        "full-path-regex",
        "path matches by regular expression, for the whole path",
    );
    let ignore_case = flag("ignore-path-case", "RoutePolicy ignorePathCase");
    if ignore_case {
        settings.route_policy_mut().ignore_path_case = Some(true);
    }
    if settings.use_regex && settings.full_path_regex {
        let message = "full-path-regex is set and wins";
        reader.say("use-regex", Outcome::Approximated, message);
    }
    if ignore_case && (settings.use_regex || settings.full_path_regex) {
        let message = "has no effect on regular expressions: write (?i) in front of the path";
        reader.say("ignore-path-case", Outcome::Approximated, message);
    }
}
