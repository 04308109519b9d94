//! Requests from a file: a JSON object a line, or lines of an access log; [`line`] knows the formats.
//!
//! ```text
//! {"method":"GET","scheme":"https","host":"shop.example.com","path":"/cart?id=1","headers":{"x-stage":"canary"}}
//! 192.0.2.7 - - [10/Oct/2026:13:55:36 +0000] "GET /cart?id=1 HTTP/1.1" 200 2326 "-" "curl/8"
//! ```
//!
//! Of the object only `path` must be there: the method is GET, the host that of `--host`. The scheme is what the line
//! says, else that of `--scheme`, else https for a host with TLS here. What else a line holds does not count.

pub(crate) mod format;
mod line;

use std::collections::{BTreeMap, BTreeSet};

use super::Ask;
use format::Format;
use line::Line;

/// What a file holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// Each request once.
    pub(crate) asks: Vec<Ask>,
    /// Lines that are requests.
    pub(crate) lines: usize,
    /// How many of these had their scheme from where.
    pub(crate) schemes: BTreeMap<&'static str, usize>,
    /// Numbers of lines that are no request, and why.
    pub(crate) unread: Vec<(usize, String)>,
    /// Requests of which nothing says for which host they were. They are in `unread`, too.
    pub(crate) without_host: usize,
}

/// How lines are read, and what is taken for what one does not say.
pub(crate) struct Otherwise<'a> {
    /// How lines are to be read that have a format of their own.
    pub(crate) format: Option<&'a Format>,
    pub(crate) host: Option<&'a str>,
    pub(crate) https: Option<bool>,
    /// Whether a host has TLS here.
    pub(crate) has_tls: &'a dyn Fn(&str) -> bool,
}

/// Reads every line; blank ones do not count. The same request twice is one.
pub(crate) fn read(text: &str, otherwise: &Otherwise<'_>) -> Recorded {
    let mut recorded = Recorded::default();
    let mut seen = BTreeSet::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        match request(line, otherwise) {
            Ok((ask, scheme)) => {
                recorded.lines += 1;
                *recorded.schemes.entry(scheme).or_default() += 1;
                if seen.insert(ask.clone()) {
                    recorded.asks.push(ask);
                }
            }
            Err(why) => {
                recorded.without_host += usize::from(why == NO_HOST);
                recorded.unread.push((at + 1, why));
            }
        }
    }
    recorded
}

const NO_HOST: &str = "no host: give one with --host";

/// The request, and what says its scheme.
fn request(line: &str, otherwise: &Otherwise<'_>) -> Result<(Ask, &'static str), String> {
    let Line {
        method,
        https,
        host,
        target,
        headers,
    } = line::read(line, otherwise.format)?;
    let host = host.or_else(|| otherwise.host.map(str::to_owned));
    let host = host.ok_or(NO_HOST)?.to_ascii_lowercase();
    let (https, scheme) = match (https, otherwise.https) {
        (Some(https), _) => (https, "their line says it"),
        (None, Some(https)) => (https, "--scheme says it"),
        (None, None) if (otherwise.has_tls)(&host) => (true, "their host has TLS here"),
        (None, None) => (false, "their host has no TLS here"),
    };
    let ask = Ask {
        host,
        target,
        method: method.unwrap_or_else(|| "GET".to_owned()),
        https,
        headers,
    };
    if ask.is_sound() {
        Ok((ask, scheme))
    } else {
        Err("a method, path, host or header that no request has".to_owned())
    }
}

#[cfg(test)]
#[path = "recorded_tests.rs"]
mod tests;
