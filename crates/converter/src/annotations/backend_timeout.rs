//! `proxy-connect-timeout`, `proxy-read-timeout`, `proxy-send-timeout`.

use api::{BackendPolicySpec, BackendTimeouts};

use super::{Effect, Family, Key, Reader, Settings};
use crate::{note::Outcome, value};

/// See [`Family`].
pub(super) const BACKEND_TIMEOUT: Family = Family {
    name: "backend-timeout",
    keys: &[
        Key {
            name: "proxy-connect-timeout",
            doc: "Seconds until a connection to the backend is open, TLS included. Default: the gateway's, 5. Expiry answers 504.",
            becomes: "BackendPolicy `timeouts.connect`. Approximated: more than a day is a day. No effect: a number with a unit, in class nginx. Refused: not a whole number of seconds above 0; then the default counts.",
        },
        Key {
            name: "proxy-read-timeout",
            doc: "Longest silence of the backend in seconds, before its answer and between parts of it; of an upgraded connection too. Default: no limit, in class nginx 60. Expiry answers 504, or breaks off an answer that has begun.",
            becomes: "BackendPolicy `timeouts.read`. Approximated: more than a day is a day. No effect: a number with a unit, in class nginx. Refused: not a whole number of seconds above 0; then the default counts.",
        },
        Key {
            name: "proxy-send-timeout",
            doc: "Longest time in seconds for which the backend takes nothing of a request's body. Default: no limit, in class nginx 60. Expiry answers 504.",
            becomes: "BackendPolicy `timeouts.send`. Approximated: more than a day is a day. No effect: a number with a unit, in class nginx. Refused: not a whole number of seconds above 0; then the default counts.",
        },
    ],
    apply,
};

/// Gateway API's durations have five digits; a day without a word is no limit any more.
const MOST: u64 = 86_400;

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let units = reader.profile().takes_seconds_with_unit();
    let policy = settings.backend_policy.as_ref();
    let mut timeouts = { policy.and_then(|policy| policy.timeouts.clone()) }.unwrap_or_default();
    for (key, field, slot, effect) in [
        (
            "proxy-connect-timeout",
            "connect",
            &mut timeouts.connect,
            Effect::BackendPolicy(|policy| has(policy, |timeouts| &timeouts.connect)),
        ),
        (
            "proxy-read-timeout",
            "read",
            &mut timeouts.read,
            Effect::BackendPolicy(|policy| has(policy, |timeouts| &timeouts.read)),
        ),
        (
            "proxy-send-timeout",
            "send",
            &mut timeouts.send,
            Effect::BackendPolicy(|policy| has(policy, |timeouts| &timeouts.send)),
        ),
    ] {
        let default = slot.as_deref().unwrap_or(match field {
            "connect" => "the gateway's own",
            _ => "no limit",
        });
        if !units && let Some(text) = reader.text(key).filter(|text| has_unit(text)) {
            let message = format!(
                "{text:?} has a unit, and ingress-nginx passes over what is no bare number; the default counts: {default}"
            );
            reader.say(key, Outcome::NoEffect, message);
            continue;
        }
        let seconds = reader.parse(key, |text| {
            seconds(text).map_err(|why| format!("{why}; the default counts: {default}"))
        });
        let Some(seconds) = seconds else {
            continue;
        };
        let used = seconds.min(MOST);
        let message = format!("BackendPolicy timeouts.{field} {}", value::duration(used));
        let same = slot.replace(value::duration(used)) == *slot;
        let effect = if same { Effect::Default } else { effect };
        if used == seconds {
            reader.exact(key, effect, message);
        } else {
            let message = format!("lowered to a day: {message}");
            reader.close_to(key, effect, message);
        }
    }
    if timeouts != BackendTimeouts::default() {
        settings.backend_policy_mut().timeouts = Some(timeouts);
    }
}

fn has(policy: &BackendPolicySpec, field: fn(&BackendTimeouts) -> &Option<String>) -> bool {
    let timeouts = policy.timeouts.as_ref();
    timeouts.is_some_and(|timeouts| field(timeouts).is_some())
}

/// A number as ingress-nginx takes it, or with the unit that nginx itself would write.
fn seconds(text: &str) -> Result<u64, String> {
    let bare = text.strip_suffix('s').unwrap_or(text);
    value::positive(bare).map_err(|_| format!("{text:?} is not a whole number of seconds above 0"))
}

/// A number with letters behind it.
fn has_unit(text: &str) -> bool {
    let bare = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    bare != text && value::positive(bare).is_ok()
}
