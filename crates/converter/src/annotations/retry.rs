//! `proxy-next-upstream*`.

use super::{Family, Key, Reader, Settings};
use crate::{
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Retry {
    /// Attempts beyond the first; 0: none, whatever the conditions.
    pub(crate) retries: u32,
    /// Seconds for each attempt.
    pub(crate) attempt_timeout: Option<u64>,
    pub(crate) connection_failure: bool,
    pub(crate) timeout: bool,
    pub(crate) server_errors: bool,
    pub(crate) codes: Vec<u16>,
    pub(crate) non_idempotent: bool,
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
    timeout(reader, profile, &mut retry);
    conditions(reader, defaults, &mut retry);
    settings.retry = Some(retry);
}

fn timeout(reader: &mut Reader<'_>, profile: Profile, retry: &mut Retry) {
    const KEY: &str = "proxy-next-upstream-timeout";
    let Some(seconds) = reader.parse(KEY, value::number) else {
        return;
    };
    match u64::try_from(seconds) {
        Ok(0) => reader.exact(KEY, "no limit"),
        Ok(_) if !profile.times_each_try() => {
            let message = "not used: in class nginx it limits the time in which another attempt may begin, which nothing of ours does; proxy-next-upstream-tries limits their number";
            reader.say(KEY, Outcome::Approximated, message);
        }
        Ok(seconds) => {
            retry.attempt_timeout = Some(seconds);
            let message = format!(
                "timeouts.backendRequest {}: for each attempt",
                value::duration(seconds)
            );
            reader.exact(KEY, message);
        }
        Err(_) => reader.say(KEY, Outcome::Refused, "a timeout cannot be negative"),
    }
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
    match word {
        "off" => retry.retries = 0,
        "non_idempotent" => retry.non_idempotent = true,
        "error" => {
            retry.connection_failure = true;
            retry.server_errors |= defaults.server_errors;
        }
        "timeout" => {
            retry.connection_failure = true;
            retry.timeout = true;
            retry.server_errors |= defaults.server_errors;
        }
        "invalid_header" => {
            retry.connection_failure |= !defaults.server_errors;
            retry.server_errors |= defaults.server_errors;
        }
        other => match other
            .strip_prefix("http_")
            .and_then(|code| code.parse::<u16>().ok())
        {
            Some(code @ 400..=599) if !retry.codes.contains(&code) => retry.codes.push(code),
            Some(400..=599) => {}
            _ => return false,
        },
    }
    true
}
