//! Annotations that are known but not done yet. Each leaves this list when its family comes.

use super::{Family, Key, Reader, Settings};
use crate::note::Outcome;

/// See [`Family`].
pub(super) const UNSUPPORTED: Family = Family {
    name: "unsupported",
    keys: KEYS,
    apply,
};

macro_rules! keys {
    ($($name:literal: $doc:literal,)*) => {
        &[$(Key { name: $name, doc: $doc, becomes: "Nothing yet: it is reported as not supported, and auth-type and auth-secret let nobody in." }),*]
    };
}

const KEYS: &[Key] = keys! {
    "app-root": "Path that / of the host is redirected to.",
    "use-regex": "true: paths are regular expressions.",
    "full-path-regex": "true: paths are regular expressions for the whole path.",
    "rewrite-path": "Path that replaces the matched path or prefix.",
    "ignore-path-case": "true: paths match whatever their case.",
    "match-method": "Methods, separated by blanks.",
    "auth-type": "basic: user name and password.",
    "auth-secret": "Secret with users and passwords.",
    "auth-secret-type": "auth-file or auth-map.",
    "auth-realm": "Realm shown in the password prompt.",
    "exact-match-header-NAME": "Value that the header has to have.",
    "prefix-match-header-NAME": "What the header's value has to begin with.",
    "regex-match-header-NAME": "Regular expression that the header's value has to match.",
    "exact-match-pseudo-header-NAME": "Value that the pseudo-header has to have.",
    "prefix-match-pseudo-header-NAME": "What the pseudo-header's value has to begin with.",
    "regex-match-pseudo-header-NAME": "Regular expression that the pseudo-header's value has to match.",
    "exact-match-query-NAME": "Value that the query parameter has to have.",
    "prefix-match-query-NAME": "What the query parameter's value has to begin with.",
    "regex-match-query-NAME": "Regular expression that the query parameter's value has to match.",
};

/// Keys that keep somebody out: without them, nobody is let in.
const GUARDS: &[&str] = &["auth-type", "auth-secret"];

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    for guard in GUARDS {
        if reader.has(guard) {
            let message = "known, but this version does not do it yet; nobody is let in";
            reader.say(guard, Outcome::NotSupportedYet, message);
            settings.close();
        }
    }
    let message = "known, but this version does not do it yet";
    reader.say_all(KEYS, Outcome::NotSupportedYet, message);
}
