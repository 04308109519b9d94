//! `limit-rps`, `limit-rpm`, `limit-connections`: what one client may ask.

use api::{ConcurrencyLimit, RateLimit, RateScope, RateUnit};

use super::{
    Effect, Family, Key, Reader, Settings,
    ip_access_control::is_network,
    local_rate_limit::{DEFAULT_MULTIPLIER, at_most, word},
};
use crate::{note::Outcome, value};

/// See [`Family`].
pub(super) const CLIENT_LIMITS: Family = Family {
    name: "client-limits",
    keys: &[
        Key {
            name: "limit-rps",
            doc: "Requests a second for each client address; 0: no limit. More are answered with 429.",
            becomes: "RoutePolicy `rateLimits`, unit Second, scope Client. Approximated: counted for each path by itself, of IPv6 for each /64, and answered with 429 where nginx says 503. Refused: not a whole number; then there is no limit.",
        },
        Key {
            name: "limit-rpm",
            doc: "Requests a minute for each client address; 0: no limit. It holds beside limit-rps.",
            becomes: "RoutePolicy `rateLimits`, unit Minute, scope Client. Approximated: as limit-rps. Refused: not a whole number; then there is no limit.",
        },
        Key {
            name: "limit-burst-multiplier",
            doc: "Requests of a client that may come at once, as a multiple of limit-rps and limit-rpm, and one more. Default 5.",
            becomes: "`rateLimits[].burst`. No effect: without a limit it has no meaning. Refused: not a whole number above 0; then 5 counts.",
        },
        Key {
            name: "limit-connections",
            doc: "Requests that a client address may have in flight; 0: no limit. One more is answered with 429.",
            becomes: "RoutePolicy `concurrency`. Approximated: as limit-rps. Refused: not a whole number; then there is no limit.",
        },
        Key {
            name: "limit-whitelist",
            doc: "Networks or addresses, separated by commas, that limit-rps, limit-rpm and limit-connections do not count.",
            becomes: "`exempt` of those limits. No effect: without a limit it has no meaning. Refused: what is no network; then the limits hold for everybody.",
        },
    ],
    apply,
};

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let limit = |reader: &mut Reader<'_>, key| {
        let limit = reader.parse(key, whole)?;
        if limit == 0 {
            reader.exact(key, Effect::Default, "no limit");
        }
        (limit > 0).then_some(limit)
    };
    let rates = [
        ("limit-rps", limit(reader, "limit-rps"), RateUnit::Second),
        ("limit-rpm", limit(reader, "limit-rpm"), RateUnit::Minute),
    ];
    let connections = limit(reader, "limit-connections");
    let rated: Vec<u64> = rates.iter().filter_map(|(_, limit, _)| *limit).collect();
    let exempt = exempt(reader, !rated.is_empty() || connections.is_some());
    let multiplier = multiplier(reader, &rated);
    for (key, requests, unit) in rates {
        let Some(requests) = requests else { continue };
        let burst = burst(requests, multiplier);
        let requests = at_most(requests);
        settings.route_policy_mut().rate_limits.push(RateLimit {
            requests,
            unit,
            burst: Some(burst),
            scope: RateScope::Client,
            exempt: exempt.clone(),
        });
        let message = format!(
            "RoutePolicy rateLimits: {requests} a {} for each client, {burst} at once; counted for each path by itself, and answered with 429 rather than 503",
            word(unit)
        );
        let limited = Effect::RoutePolicy(|policy| {
            let mut limits = policy.rate_limits.iter();
            limits.any(|limit| limit.scope == RateScope::Client)
        });
        reader.close_to(key, limited, message);
    }
    if let Some(requests) = connections {
        let requests = at_most(requests);
        settings.route_policy_mut().concurrency = Some(ConcurrencyLimit { requests, exempt });
        let message = format!(
            "RoutePolicy concurrency: {requests} in flight for each client; counted for each path by itself, and answered with 429 rather than 503"
        );
        let limited = Effect::RoutePolicy(|policy| policy.concurrency.is_some());
        reader.close_to("limit-connections", limited, message);
    }
}

fn whole(text: &str) -> Result<u64, String> {
    let number = value::number(text)?;
    u64::try_from(number).map_err(|_| format!("{text:?} is negative; there is no limit"))
}

/// nginx lets the burst pass on top of the one that is due.
fn burst(requests: u64, multiplier: u64) -> u32 {
    at_most(requests.saturating_mul(multiplier).saturating_add(1))
}

fn multiplier(reader: &mut Reader<'_>, rates: &[u64]) -> u64 {
    const KEY: &str = "limit-burst-multiplier";
    let multiplier = reader.parse(KEY, value::positive);
    if rates.is_empty() {
        reader.pointless(KEY, "limit-rps or limit-rpm");
    } else if let Some(multiplier) = multiplier {
        let same = |rate: &u64| burst(*rate, multiplier) == burst(*rate, DEFAULT_MULTIPLIER);
        let effect = if rates.iter().all(same) {
            Effect::Default
        } else {
            Effect::RoutePolicy(|policy| !policy.rate_limits.is_empty())
        };
        reader.exact(KEY, effect, "RoutePolicy rateLimits[].burst");
    }
    multiplier.unwrap_or(DEFAULT_MULTIPLIER)
}

fn exempt(reader: &mut Reader<'_>, limited: bool) -> Vec<String> {
    const KEY: &str = "limit-whitelist";
    /// What a RoutePolicy takes.
    const MOST: usize = 256;
    let Some(text) = reader.text(KEY) else {
        return Vec::new();
    };
    let entries = value::list(&text);
    let wrong = entries.iter().find(|entry| !is_network(entry));
    let refused = match wrong {
        Some(wrong) => Some(format!(
            "{wrong:?} is neither an address nor a network such as 10.0.0.0/8"
        )),
        None if entries.len() > MOST => Some(format!("more than {MOST} networks")),
        None => None,
    };
    if let Some(why) = refused {
        let message = format!("{why}; the limits hold for everybody");
        reader.say(KEY, Outcome::Refused, message);
        return Vec::new();
    }
    if limited {
        let effect = Effect::RoutePolicy(|policy| {
            let mut rates = policy.rate_limits.iter();
            rates.any(|limit| !limit.exempt.is_empty())
                || policy
                    .concurrency
                    .as_ref()
                    .is_some_and(|limit| !limit.exempt.is_empty())
        });
        reader.exact(KEY, effect, "exempt of the limits for clients");
    } else {
        reader.pointless(KEY, "limit-rps, limit-rpm or limit-connections");
    }
    entries.into_iter().map(str::to_owned).collect()
}
