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
            becomes: "BackendPolicy `timeouts.connect`. Approximated: more than a day is a day. Refused: not a whole number of seconds above 0; then the default counts.",
        },
        Key {
            name: "proxy-read-timeout",
            doc: "Longest silence of the backend in seconds, before its answer and between parts of it; of an upgraded connection too. Default: no limit. Expiry answers 504, or breaks off an answer that has begun.",
            becomes: "BackendPolicy `timeouts.read`. Approximated: more than a day is a day. Refused: not a whole number of seconds above 0; then the default counts.",
        },
        Key {
            name: "proxy-send-timeout",
            doc: "Longest time in seconds for which the backend takes nothing of a request's body. Default: no limit. Expiry answers 504.",
            becomes: "BackendPolicy `timeouts.send`. Approximated: more than a day is a day. Refused: not a whole number of seconds above 0; then the default counts.",
        },
    ],
    apply,
};

/// Gateway API's durations have five digits; a day without a word is no limit any more.
const MOST: u64 = 86_400;

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let mut timeouts = BackendTimeouts::default();
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
        let Some(seconds) = reader.parse(key, seconds) else {
            continue;
        };
        let used = seconds.min(MOST);
        *slot = Some(value::duration(used));
        let message = format!("BackendPolicy timeouts.{field} {}", value::duration(used));
        if used == seconds {
            reader.exact(key, effect, message);
        } else {
            let message = format!("lowered to a day: {message}");
            reader.say(key, Outcome::Approximated, message);
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
