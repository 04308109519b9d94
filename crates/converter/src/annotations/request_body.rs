//! `proxy-body-size`.

use super::{Effect, Family, Key, Reader, Settings};
use crate::value;

/// See [`Family`].
pub(super) const REQUEST_BODY: Family = Family {
    name: "request-body",
    keys: &[Key {
        name: "proxy-body-size",
        doc: "Largest request body: bytes, or with k, m or g behind them; 0: no limit. Default: no limit; in class nginx 1m. A larger one is answered with 413.",
        becomes: "RoutePolicy `maxRequestBodyBytes`. Approximated: more than a pebibyte counts as one. Refused: what is no size; then the default counts.",
    }],
    apply,
};

/// The largest number that a RoutePolicy takes, a pebibyte.
const MOST: u64 = 1 << 50;

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let Some(bytes) = reader.parse("proxy-body-size", value::size) else {
        if let Some(bytes) = reader.profile().max_request_body() {
            settings.route_policy_mut().max_request_body_bytes = Some(bytes);
        }
        return;
    };
    if bytes > 0 {
        settings.route_policy_mut().max_request_body_bytes = Some(bytes.min(MOST));
    }
    let default = reader.profile().max_request_body().unwrap_or(0);
    let effect = match bytes {
        _ if bytes == default => Effect::Default,
        0 => Effect::In(|written| {
            let mut policies = written.route_policies();
            written.rules().next().is_some()
                && policies.all(|policy| policy.max_request_body_bytes.is_none())
        }),
        _ => Effect::RoutePolicy(|policy| policy.max_request_body_bytes.is_some()),
    };
    match bytes {
        0 => reader.exact("proxy-body-size", effect, "no limit"),
        1..=MOST => {
            let message = format!("RoutePolicy maxRequestBodyBytes: {bytes}");
            reader.exact("proxy-body-size", effect, message);
        }
        _ => {
            let message = format!("RoutePolicy maxRequestBodyBytes: {MOST}, the most there is");
            reader.close_to("proxy-body-size", effect, message);
        }
    }
}
