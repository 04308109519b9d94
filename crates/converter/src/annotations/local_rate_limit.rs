//! `route-limit-*`.

use api::{RateLimit, RateScope, RateUnit};

use super::{Effect, Family, Key, Reader, Settings};
use crate::value;

/// See [`Family`].
pub(super) const LOCAL_RATE_LIMIT: Family = Family {
    name: "local-rate-limit",
    keys: &[
        Key {
            name: "route-limit-rpm",
            doc: "Requests a minute for each path of the Ingress and gateway instance, weighted canaries included; more are answered with 429.",
            becomes: "RoutePolicy `rateLimits`, unit Minute. Refused: not a whole number above 0; then there is no limit.",
        },
        Key {
            name: "route-limit-rps",
            doc: "Requests a second for each path of the Ingress and gateway instance, unless route-limit-rpm is set; more are answered with 429.",
            becomes: "RoutePolicy `rateLimits`, unit Second. No effect: route-limit-rpm is set and wins. Refused: not a whole number above 0; then there is no limit.",
        },
        Key {
            name: "route-limit-burst-multiplier",
            doc: "Requests that may come at once, as a multiple of the limit. Default 5.",
            becomes: "RoutePolicy `rateLimits[].burst`: limit times multiplier. No effect: without a limit it has no meaning. Refused: not a whole number above 0; then 5 counts.",
        },
    ],
    apply,
};

/// How many times a limit may come at once.
pub(super) const DEFAULT_MULTIPLIER: u64 = 5;

/// The largest number that a RoutePolicy takes.
const MOST: u64 = 1_000_000_000;

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let rpm = reader.parse("route-limit-rpm", value::positive);
    let rps = reader.parse("route-limit-rps", value::positive);
    let (key, requests, unit) = match (rpm, rps) {
        (Some(requests), _) => ("route-limit-rpm", requests, RateUnit::Minute),
        (None, Some(requests)) => ("route-limit-rps", requests, RateUnit::Second),
        (None, None) => {
            let without = "route-limit-rpm or route-limit-rps";
            return reader.pointless("route-limit-burst-multiplier", without);
        }
    };
    if rpm.is_some() && rps.is_some() {
        reader.beaten("route-limit-rps", "route-limit-rpm");
    }
    let multiplier = reader.parse("route-limit-burst-multiplier", value::positive);
    let burst = |multiplier| requests.saturating_mul(multiplier).min(MOST);
    let limited = Effect::RoutePolicy(|policy| {
        let mut limits = policy.rate_limits.iter();
        limits.any(|limit| limit.scope == RateScope::Rule)
    });
    if let Some(multiplier) = multiplier {
        let effect = if burst(multiplier) == burst(DEFAULT_MULTIPLIER) {
            Effect::Default
        } else {
            limited
        };
        reader.exact(
            "route-limit-burst-multiplier",
            effect,
            "RoutePolicy rateLimits[].burst",
        );
    }
    let burst = burst(multiplier.unwrap_or(DEFAULT_MULTIPLIER));
    let requests = requests.min(MOST);
    reader.exact(
        key,
        limited,
        format!(
            "RoutePolicy rateLimits: {requests} a {}, {burst} at once",
            word(unit)
        ),
    );
    settings.route_policy_mut().rate_limits.push(RateLimit {
        requests: at_most(requests),
        unit,
        burst: Some(at_most(burst)),
        scope: RateScope::Rule,
        exempt: Vec::new(),
    });
}

/// A number as a RoutePolicy takes it.
pub(super) fn at_most(number: u64) -> u32 {
    u32::try_from(number.min(MOST)).unwrap_or(u32::MAX)
}

/// The unit in a sentence.
pub(super) const fn word(unit: RateUnit) -> &'static str {
    match unit {
        RateUnit::Second => "second",
        RateUnit::Minute => "minute",
        RateUnit::Hour => "hour",
    }
}
