//! What Higress Console writes for itself: its data plane reads none of it.

use super::{Family, Key, Reader, Settings};
use crate::note::Outcome;

/// See [`Family`].
pub(super) const CONSOLE: Family = Family {
    name: "console",
    keys: &[
        Key {
            name: "comment",
            doc: "Text for people.",
            becomes: "Nothing. No effect: it is read by people alone.",
        },
        Key {
            name: "enable-rewrite",
            doc: "Whether Higress Console shows rewrites as switched on. Those that are off stand under `disabled.higress.io/`.",
            becomes: "Nothing. No effect: rewrite-path, rewrite-target and upstream-vhost count where they stand, as in Higress.",
        },
        Key {
            name: "enable-proxy-next-upstream",
            doc: "Whether Higress Console shows retries as switched on. Those that are off stand under `disabled.higress.io/`.",
            becomes: "Nothing. No effect: proxy-next-upstream and its kin count where they stand, as in Higress.",
        },
        Key {
            name: "enable-header-control",
            doc: "Whether Higress Console shows header control as switched on. What is off stands under `disabled.higress.io/`.",
            becomes: "Nothing. No effect: request-header-control and response-header-control count where they stand, as in Higress.",
        },
    ],
    apply,
};

fn apply(reader: &mut Reader<'_>, _: &mut Settings) {
    reader.say("comment", Outcome::NoEffect, "it is read by people alone");
    let message = "for Higress Console alone: the annotations that it is about count where they stand, as in Higress";
    for key in &CONSOLE.keys[1..] {
        reader.say(key.name, Outcome::NoEffect, message);
    }
}
