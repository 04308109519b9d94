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

const KEYS: &[Key] = keys! {};

fn apply(reader: &mut Reader<'_>, _: &mut Settings) {
    let message = "known, but this version does not do it yet";
    reader.say_all(KEYS, Outcome::NotSupportedYet, message);
}
