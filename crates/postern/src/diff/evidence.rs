//! What it proves that two answers are alike.

use std::collections::{BTreeMap, BTreeSet};

use http::{StatusCode, header};
use serde::Serialize;

use super::{
    Ask, Both,
    client::{Answer, host_name},
    compare::Looking,
    oracle::Met,
};

/// Words of our own for a backend that cannot be reached from here.
const UNREACHED: [&str; 4] = [
    "connect_failed",
    "connect_timeout",
    "no_endpoint",
    "upstream_tls",
];

/// What an answer that both gave shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Evidence {
    /// Both say which backend answered, or what came from it is the same to the byte.
    Backend,
    /// Status and headers are the same; who answered is not known.
    Status,
    /// A redirect to somewhere else: its target was compared.
    Redirect,
    /// 401 or 403.
    Refused,
    /// Nothing.
    Nothing(Why),
}

/// Why an answer that both gave proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Why {
    /// Only that the host is for https.
    RedirectToHttps,
    /// 404 for a host that has no route here, and perhaps none there.
    UnknownHost,
    /// 404, and no other answer shows that the other side knows the host.
    NotFound,
    /// 5xx: no backend could be asked, or all of them fail.
    Failed,
    /// Neither gave an answer.
    NoAnswer,
}

impl Why {
    /// In words, for what comes after the number of requests.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::RedirectToHttps => {
                "redirected to https alike, and what is behind was not asked: see --scheme, and give --against https://… too"
            }
            Self::UnknownHost => "404 on both sides, for hosts that have no route here",
            Self::NotFound => {
                "404 on both sides, for hosts of which nothing else was answered: the other side may not know them"
            }
            Self::Failed => "5xx on both sides",
            Self::NoAnswer => "neither side answered",
        }
    }
}

/// What is shown by answers that do not differ, to a request that meets this here.
pub(crate) fn evidence(both: &Both, met: &Met, looking: &Looking) -> Evidence {
    let (Ok(here), Ok(there)) = (&both.here, &both.there) else {
        return Evidence::Nothing(Why::NoAnswer);
    };
    let status = there.status;
    let named = looking.names_backend(here) && looking.names_backend(there);
    let same = met.rule.is_some() && !here.body.is_empty() && here.body == there.body;
    match status {
        _ if named => Evidence::Backend,
        _ if status.is_redirection() && is_to_https(&both.ask, there) => {
            Evidence::Nothing(Why::RedirectToHttps)
        }
        _ if status.is_redirection() => Evidence::Redirect,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Evidence::Refused,
        _ if same && gateways_word(here).is_none() => Evidence::Backend,
        StatusCode::NOT_FOUND if met.knows_host => Evidence::Nothing(Why::NotFound),
        StatusCode::NOT_FOUND => Evidence::Nothing(Why::UnknownHost),
        _ if status.is_server_error() => Evidence::Nothing(Why::Failed),
        _ => Evidence::Status,
    }
}

/// Whether an answer only sends the client to the same host with TLS.
fn is_to_https(ask: &Ask, answer: &Answer) -> bool {
    let location = answer.headers.get(header::LOCATION);
    let location = location.and_then(|location| location.to_str().ok()?.parse::<http::Uri>().ok());
    let to = location.filter(|uri| uri.scheme_str() == Some("https"));
    !ask.https && to.is_some_and(|uri| uri.host() == Some(host_name(&ask.host)))
}

/// The word by which our own gateway says why it answers itself, if an answer is one of those.
pub(crate) fn gateways_word(answer: &Answer) -> Option<&str> {
    let text = answer.headers.get(header::CONTENT_TYPE);
    let plain = text.is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let word = std::str::from_utf8(&answer.body).ok()?.trim();
    let sound =
        (4..32).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let failed = answer.status.is_client_error() || answer.status.is_server_error();
    (plain && sound && failed).then_some(word)
}

/// Whether our own gateway could reach no backend.
pub(crate) fn is_unreached(here: &Result<Answer, String>) -> bool {
    let word = here.as_ref().ok().and_then(gateways_word);
    word.is_some_and(|word| UNREACHED.contains(&word))
}

/// All answers that are alike, counted by what they prove.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// By host and scheme.
    hosts: BTreeMap<(String, bool), BTreeMap<Evidence, usize>>,
    /// Why the other side gave no answer, the first time that neither did.
    error: Option<String>,
}

/// So many requests that prove nothing, and of which hosts.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Unproven {
    pub(crate) why: Why,
    pub(crate) requests: usize,
    pub(crate) hosts: BTreeSet<String>,
    /// Where neither side answered, why the other one did not, the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

impl Tally {
    /// One more.
    pub(crate) fn add(&mut self, both: &Both, evidence: Evidence) {
        let key = (both.ask.host.clone(), both.ask.https);
        *self
            .hosts
            .entry(key)
            .or_default()
            .entry(evidence)
            .or_default() += 1;
        if let (None, Err(why)) = (&self.error, &both.there) {
            self.error = Some(why.clone());
        }
    }

    /// What proves nothing. That a path is on neither side counts where another answer shows that both know the host,
    /// and a redirect to https where the host was asked over https, too.
    pub(crate) fn unproven(&self) -> Vec<Unproven> {
        let mut all: BTreeMap<Why, Unproven> = BTreeMap::new();
        for ((name, _), host) in &self.hosts {
            for (why, requests) in host.iter().filter_map(|(e, count)| nothing(*e, *count)) {
                let elsewhere = match why {
                    Why::NotFound => Some(host),
                    Why::RedirectToHttps => self.hosts.get(&(name.clone(), true)),
                    _ => None,
                };
                if elsewhere.is_some_and(knows) {
                    continue;
                }
                let unproven = all.entry(why).or_insert_with(|| Unproven {
                    why,
                    requests: 0,
                    hosts: BTreeSet::new(),
                    error: self.error.clone().filter(|_| why == Why::NoAnswer),
                });
                unproven.requests += requests;
                unproven.hosts.insert(name.clone());
            }
        }
        all.into_values().collect()
    }

    /// How many show just this.
    pub(crate) fn of(&self, evidence: Evidence) -> usize {
        let counts = self.hosts.values().filter_map(|host| host.get(&evidence));
        counts.sum()
    }
}

fn nothing(evidence: Evidence, count: usize) -> Option<(Why, usize)> {
    match evidence {
        Evidence::Nothing(why) => Some((why, count)),
        _ => None,
    }
}

/// Whether the answers of a host show that both sides have it.
fn knows(host: &BTreeMap<Evidence, usize>) -> bool {
    host.keys().any(|evidence| match evidence {
        Evidence::Nothing(why) => *why == Why::RedirectToHttps,
        _ => true,
    })
}

#[cfg(test)]
#[path = "evidence_tests.rs"]
mod tests;
