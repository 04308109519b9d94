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
    "auth-type": "basic: user name and password.",
    "auth-secret": "Secret with users and passwords.",
    "auth-secret-type": "auth-file or auth-map.",
    "auth-realm": "Realm shown in the password prompt.",
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
