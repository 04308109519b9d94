//! `proxy-next-upstream*`.

use super::{Family, Key, Reader, Settings};
use crate::{note::Outcome, value};

/// See [`Family`].
pub(super) const RETRY: Family = Family {
    name: "retry",
    keys: &[
        Key {
            name: "proxy-next-upstream-tries",
            doc: "Retries beyond the first attempt; 0 or less turns them off. Default 3 when any key of the family is set.",
            becomes: "`retry.attempts` of the rule. Approximated: more than 100 count as 100.",
        },
        Key {
            name: "proxy-next-upstream-timeout",
            doc: "Seconds for each attempt; 0 or absent: no limit.",
            becomes: "`timeouts.backendRequest` of the rule, never more than `timeout`. Refused: negative; then there is no limit.",
        },
        Key {
            name: "proxy-next-upstream",
            doc: "When to retry: error, timeout, invalid_header, http_NNN, non_idempotent, off. Default error,timeout.",
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

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    if !RETRY.keys.iter().any(|key| reader.has(key.name)) {
        return;
    }
    let mut retry = Retry {
        retries: 3,
        ..Retry::default()
    };
    if let Some(tries) = reader.parse("proxy-next-upstream-tries", value::number) {
        retry.retries = u32::try_from(tries.clamp(0, 100)).unwrap_or(0);
        if tries > 100 {
            let message = "at most 100 retries are made";
            reader.say("proxy-next-upstream-tries", Outcome::Approximated, message);
        } else {
            reader.exact(
                "proxy-next-upstream-tries",
                format!("retry.attempts {}", retry.retries),
            );
        }
    }
    if let Some(seconds) = reader.parse("proxy-next-upstream-timeout", value::number) {
        match u64::try_from(seconds) {
            Ok(0) => reader.exact("proxy-next-upstream-timeout", "no limit"),
            Ok(seconds) => {
                retry.attempt_timeout = Some(seconds);
                let message = format!(
                    "timeouts.backendRequest {}: for each attempt",
                    value::duration(seconds)
                );
                reader.exact("proxy-next-upstream-timeout", message);
            }
            Err(_) => reader.say(
                "proxy-next-upstream-timeout",
                Outcome::Refused,
                "a timeout cannot be negative",
            ),
        }
    }
    conditions(reader, &mut retry);
    settings.retry = Some(retry);
}

fn conditions(reader: &mut Reader<'_>, retry: &mut Retry) {
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
        let known = condition(word, retry);
        usable |= known && word != "non_idempotent";
        if !known {
            wrong.push(word);
        }
    }
    if !usable {
        // Higress would fall back to its data plane's defaults; ours is the documented default.
        condition("error", retry);
        condition("timeout", retry);
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

fn condition(word: &str, retry: &mut Retry) -> bool {
    match word {
        "off" => retry.retries = 0,
        "non_idempotent" => retry.non_idempotent = true,
        "error" => {
            retry.connection_failure = true;
            retry.server_errors = true;
        }
        "timeout" => {
            retry.connection_failure = true;
            retry.timeout = true;
            retry.server_errors = true;
        }
        "invalid_header" => retry.server_errors = true,
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
