//! `proxy-next-upstream*`.

use api::RetryPolicy;

use super::{Effect, Family, Key, Reader, Settings};
use crate::{
    native,
    note::Outcome,
    profile::{Profile, RetryDefaults},
    value,
};

/// See [`Family`].
pub(super) const RETRY: Family = Family {
    name: "retry",
    keys: &[
        Key {
            name: "proxy-next-upstream-tries",
            doc: "Retries beyond the first attempt; 0 or less turns them off. Default 3 when any key of the family is set. In class nginx: attempts, with the first; 0 is no limit (at most 100 retries are made); default 3, always.",
            becomes: "`retry.attempts` of the rule. No effect: proxy-next-upstream is off. Approximated: more than 100 count as 100.",
        },
        Key {
            name: "proxy-next-upstream-timeout",
            doc: "Seconds for each attempt; 0 or absent: no limit. Not used in class nginx, where it means something else.",
            becomes: "`timeouts.backendRequest` of the rule, never more than `timeout`. Refused: negative; then there is no limit. Approximated: in class nginx it is not used.",
        },
        Key {
            name: "proxy-next-upstream",
            doc: "When to retry: error, timeout, invalid_header, http_NNN, non_idempotent, off. Default error,timeout. The first three include every answer of 500 and above, except in class nginx.",
            becomes: "`retry.codes` of the rule and RoutePolicy `retry`. No effect: proxy-next-upstream-tries turns retries off. Refused: words that are no condition; the others count.",
        },
    ],
    apply,
};

/// What the family asks for.
#[derive(Default)]
struct Retry {
    /// Attempts beyond the first; 0: none, whatever the conditions.
    retries: u32,
    codes: Vec<i64>,
    conditions: RetryPolicy,
}

/// More are not made.
const MOST: u32 = 100;

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let profile = reader.profile();
    let defaults = profile.retry_defaults();
    if !defaults.always && !RETRY.keys.iter().any(|key| reader.has(key.name)) {
        return;
    }
    let mut retry = Retry {
        retries: defaults.retries,
        ..Retry::default()
    };
    let tries = reader.parse(TRIES, value::number);
    if let Some(tries) = tries {
        let retries = profile.retries(tries);
        retry.retries = retries.unwrap_or(MOST).min(MOST);
        if retries.is_none_or(|retries| retries > MOST) {
            let message = format!("at most {MOST} retries are made");
            let effect = effect(reader, TRIES, retry.retries == defaults.retries);
            reader.close_to(TRIES, effect, message);
        } else {
            let effect = effect(reader, TRIES, retry.retries == defaults.retries);
            reader.exact(TRIES, effect, format!("retry.attempts {}", retry.retries));
        }
    }
    let none = tries.is_some() && retry.retries == 0;
    settings.rule.attempt_timeout = timeout(reader, profile);
    conditions(reader, defaults, &mut retry);
    if none {
        let message = "no retries are made, as proxy-next-upstream-tries says";
        reader.say(CONDITIONS, Outcome::NoEffect, message);
    } else if retry.retries == 0 {
        let message = "no retries are made, as proxy-next-upstream says";
        reader.say(TRIES, Outcome::NoEffect, message);
    }
    let retries = retry.retries > 0;
    if retries {
        settings.route_policy_mut().retry = Some(retry.conditions);
    }
    // 0 says more than nothing: no connection is tried elsewhere either.
    settings.rule.retry = Some(Box::new(native::Retry {
        attempts: Some(i64::from(retry.retries)),
        codes: (retries && !retry.codes.is_empty()).then_some(retry.codes),
        backoff: None,
    }));
}

const TRIES: &str = "proxy-next-upstream-tries";
const CONDITIONS: &str = "proxy-next-upstream";

/// The effect of one key of the family. In Higress any of them turns retries on, whatever it says.
fn effect(reader: &Reader<'_>, key: &str, is_default: bool) -> Effect {
    let mut others = RETRY.keys.iter().filter(|other| other.name != key);
    let on = reader.profile().retry_defaults().always || others.any(|key| reader.has(key.name));
    if on && is_default {
        Effect::Default
    } else {
        Effect::Rule(|rule| rule.retry.is_some())
    }
}

fn timeout(reader: &mut Reader<'_>, profile: Profile) -> Option<u64> {
    const KEY: &str = "proxy-next-upstream-timeout";
    let seconds = reader.parse(KEY, value::number)?;
    match u64::try_from(seconds) {
        Ok(0) => reader.exact(KEY, effect(reader, KEY, true), "no limit"),
        Ok(_) if !profile.times_each_try() => {
            let message = "not used: in class nginx it limits the time in which another attempt may begin, which nothing of ours does; proxy-next-upstream-tries limits their number";
            reader.say(KEY, Outcome::Approximated, message);
        }
        Ok(seconds) => {
            let message = format!(
                "timeouts.backendRequest {}: for each attempt",
                value::duration(seconds)
            );
            let effect = Effect::Rule(|rule| {
                let timeouts = rule.timeouts.as_ref();
                timeouts.is_some_and(|timeouts| timeouts.backend_request.is_some())
            });
            reader.exact(KEY, effect, message);
            return Some(seconds);
        }
        Err(_) => reader.say(KEY, Outcome::Refused, "a timeout cannot be negative"),
    }
    None
}

fn conditions(reader: &mut Reader<'_>, defaults: RetryDefaults, retry: &mut Retry) {
    let text = reader.text(CONDITIONS).filter(|text| !text.is_empty());
    let text = text.unwrap_or_else(|| "error,timeout".to_owned());
    let mut wrong = Vec::new();
    let mut usable = false;
    for word in text
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|word| !word.is_empty())
    {
        let known = condition(word, defaults, retry);
        usable |= known && word != "non_idempotent";
        if !known {
            wrong.push(word);
        }
    }
    if !usable {
        // Higress would fall back to its data plane's defaults; ours is the documented default.
        condition("error", defaults, retry);
        condition("timeout", defaults, retry);
    }
    if wrong.is_empty() {
        let mut default = Retry::default();
        condition("error", defaults, &mut default);
        condition("timeout", defaults, &mut default);
        let is_default = retry.conditions == default.conditions
            && retry.codes.is_empty()
            && !text.contains("off");
        let effect = effect(reader, CONDITIONS, is_default);
        reader.exact(CONDITIONS, effect, "retry.codes and RoutePolicy retry");
    } else {
        let message = format!(
            "not a condition: {}; allowed are error, timeout, invalid_header, http_400 to http_599, non_idempotent, off",
            wrong.join(", ")
        );
        reader.say(CONDITIONS, Outcome::Refused, message);
    }
}

fn condition(word: &str, defaults: RetryDefaults, retry: &mut Retry) -> bool {
    let conditions = &mut retry.conditions;
    match word {
        "off" => retry.retries = 0,
        "non_idempotent" => conditions.non_idempotent = true,
        "error" => {
            conditions.connection_failure = true;
            conditions.server_errors |= defaults.server_errors;
        }
        "timeout" => {
            conditions.connection_failure = true;
            conditions.timeout = true;
            conditions.server_errors |= defaults.server_errors;
        }
        "invalid_header" => {
            conditions.connection_failure |= !defaults.server_errors;
            conditions.server_errors |= defaults.server_errors;
        }
        other => match other
            .strip_prefix("http_")
            .and_then(|code| code.parse::<i64>().ok())
        {
            Some(code @ 400..=599) if !retry.codes.contains(&code) => retry.codes.push(code),
            Some(400..=599) => {}
            _ => return false,
        },
    }
    true
}
