//! `route-limit-*`.

use api::{RateLimit, RateScope, RateUnit};

use super::{Family, Key, Reader, Settings};
use crate::{note::Outcome, value};

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
            becomes: "RoutePolicy `rateLimits`, unit Second. Approximated: route-limit-rpm is set and wins. Refused: not a whole number above 0; then there is no limit.",
        },
        Key {
            name: "route-limit-burst-multiplier",
            doc: "Requests that may come at once, as a multiple of the limit. Default 5.",
            becomes: "RoutePolicy `rateLimits[].burst`: limit times multiplier. Approximated: without a limit it has no meaning. Refused: not a whole number above 0; then 5 counts.",
        },
    ],
    apply,
};

/// The largest number that a RoutePolicy takes.
const MOST: u64 = 1_000_000_000;

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let rpm = reader.parse("route-limit-rpm", value::positive);
    let rps = reader.parse("route-limit-rps", value::positive);
    let (key, requests, unit) = match (rpm, rps) {
        (Some(requests), _) => ("route-limit-rpm", requests, RateUnit::Minute),
        (None, Some(requests)) => ("route-limit-rps", requests, RateUnit::Second),
        (None, None) => {
            let message = "has no meaning without route-limit-rpm or route-limit-rps";
            return reader.say(
                "route-limit-burst-multiplier",
                Outcome::Approximated,
                message,
            );
        }
    };
    if rpm.is_some() && rps.is_some() {
        reader.say(
            "route-limit-rps",
            Outcome::Approximated,
            "route-limit-rpm is set and wins",
        );
    }
    let multiplier = reader.parse("route-limit-burst-multiplier", value::positive);
    if multiplier.is_some() {
        reader.exact(
            "route-limit-burst-multiplier",
            "RoutePolicy rateLimits[].burst",
        );
    }
    let (requests, burst) = (
        requests.min(MOST),
        requests.saturating_mul(multiplier.unwrap_or(5)).min(MOST),
    );
    reader.exact(
        key,
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
