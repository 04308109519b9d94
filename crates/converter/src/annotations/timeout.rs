//! `timeout`.

use super::{Effect, Family, Key, Reader, Settings};
use crate::{note::Outcome, value};

/// See [`Family`].
pub(super) const TIMEOUT: Family = Family {
    name: "timeout",
    keys: &[Key {
        name: "timeout",
        doc: "Seconds for the whole request, retries included; 0 or absent: no limit. Expiry answers 504.",
        becomes: "`timeouts.request` of the rule. Refused: negative; then there is no limit.",
    }],
    apply,
};

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let Some(seconds) = reader.parse("timeout", value::number) else {
        return;
    };
    match u64::try_from(seconds) {
        Ok(0) => reader.exact("timeout", Effect::Default, "no limit"),
        Ok(seconds) => {
            settings.rule.timeout = Some(seconds);
            let effect = Effect::Rule(|rule| {
                let timeouts = rule.timeouts.as_ref();
                timeouts.is_some_and(|timeouts| timeouts.request.is_some())
            });
            let message = format!("timeouts.request {}", value::duration(seconds));
            reader.exact("timeout", effect, message);
        }
        Err(_) => reader.say(
            "timeout",
            Outcome::Refused,
            "a timeout cannot be negative; there is no limit",
        ),
    }
}
