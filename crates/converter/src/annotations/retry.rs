//! `proxy-next-upstream*`.

use api::RetryPolicy;

use super::{Family, Key, Reader, Settings};
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
            becomes: "`retry.attempts` of the rule. Approximated: more than 100 count as 100.",
        },
        Key {
            name: "proxy-next-upstream-timeout",
            doc: "Seconds for each attempt; 0 or absent: no limit. Not used in class nginx, where it means something else.",
            becomes: "`timeouts.backendRequest` of the rule, never more than `timeout`. Refused: negative; then there is no limit. Approximated: in class nginx it is not used.",
        },
        Key {
            name: "proxy-next-upstream",
            doc: "When to retry: error, timeout, invalid_header, http_NNN, non_idempotent, off. Default error,timeout. The first three include every answer of 500 and above, except in class nginx.",
            becomes: "`retry.codes` of the rule and RoutePolicy `retry`. Refused: words that are no condition; the others count.",
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
    if let Some(tries) = reader.parse("proxy-next-upstream-tries", value::number) {
        let retries = profile.retries(tries);
        retry.retries = retries.unwrap_or(MOST).min(MOST);
        if retries.is_none_or(|retries| retries > MOST) {
            let message = format!("at most {MOST} retries are made");
            reader.say("proxy-next-upstream-tries", Outcome::Approximated, message);
        } else {
            reader.exact(
                "proxy-next-upstream-tries",
                format!("retry.attempts {}", retry.retries),
            );
        }
    }
    settings.rule.attempt_timeout = timeout(reader, profile);
    conditions(reader, defaults, &mut retry);
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

fn timeout(reader: &mut Reader<'_>, profile: Profile) -> Option<u64> {
    const KEY: &str = "proxy-next-upstream-timeout";
    let seconds = reader.parse(KEY, value::number)?;
    match u64::try_from(seconds) {
        Ok(0) => reader.exact(KEY, "no limit"),
        Ok(_) if !profile.times_each_try() => {
            let message = "not used: in class nginx it limits the time in which another attempt may begin, which nothing of ours does; proxy-next-upstream-tries limits their number";
            reader.say(KEY, Outcome::Approximated, message);
        }
        Ok(seconds) => {
            let message = format!(
                "timeouts.backendRequest {}: for each attempt",
                value::duration(seconds)
            );
            reader.exact(KEY, message);
            return Some(seconds);
        }
        Err(_) => reader.say(KEY, Outcome::Refused, "a timeout cannot be negative"),
    }
    None
}

fn conditions(reader: &mut Reader<'_>, defaults: RetryDefaults, retry: &mut Retry) {
    let text = reader
        .text("proxy-next-upstream")
        .filter(|text| !text.is_empty());
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
        reader.exact("proxy-next-upstream", "retry.codes and RoutePolicy retry");
    } else {
        let message = format!(
            "not a condition: {}; allowed are error, timeout, invalid_header, http_400 to http_599, non_idempotent, off",
            wrong.join(", ")
        );
        reader.say("proxy-next-upstream", Outcome::Refused, message);
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
