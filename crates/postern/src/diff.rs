//! The same requests to two gateways, and what differs: ours with the translation (*here*), and one that runs
//! (*there*).
//!
//! [`generate`] thinks of requests and [`recorded`] reads them, [`client`] sends them, [`oracle`] says which rule they
//! meet here, [`compare`] tells what differs, and [`evidence`] what it proves where nothing does.

pub(crate) mod client;
pub(crate) mod compare;
pub(crate) mod evidence;
pub(crate) mod generate;
pub(crate) mod oracle;
pub(crate) mod recorded;
mod sample;

use std::{fmt, sync::Arc, time::Duration};

use http::uri::PathAndQuery;
use ir::{Ir, Port, Protocol, SocketKey};
use serde::{Serialize, Serializer};
use tokio::task::JoinSet;

use client::{Answer, Gateway};

/// A request to be sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ask {
    /// The `Host` header, and the server name of TLS.
    pub(crate) host: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) method: String,
    pub(crate) https: bool,
    /// Beyond `Host`.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "told")]
    pub(crate) headers: Vec<(String, String)>,
}

impl Ask {
    /// Whether it can be sent at all.
    fn is_sound(&self) -> bool {
        let target = self.target.starts_with('/') && self.target.parse::<PathAndQuery>().is_ok();
        let headers = self.headers.iter().all(|(name, value)| {
            http::HeaderName::try_from(name.as_str()).is_ok()
                && http::HeaderValue::try_from(value.as_str()).is_ok()
        });
        let host = !self.host.is_empty() && http::HeaderValue::try_from(&self.host).is_ok();
        target && headers && host && http::Method::try_from(self.method.as_str()).is_ok()
    }

    /// Whether sending it changes nothing at a well-behaved backend.
    pub(crate) fn is_safe(&self) -> bool {
        ["GET", "HEAD", "OPTIONS"].contains(&self.method.as_str())
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{} {scheme}://{}{}", self.method, self.host, self.target)?;
        for (name, value) in &self.headers {
            write!(f, " -H '{name}: {}'", shown(name, value))?;
        }
        Ok(())
    }
}

/// A header's value as it may be printed. What a recorded request carries may be somebody's: cookies that are longer
/// than those of canaries are not shown.
fn shown<'a>(name: &str, value: &'a str) -> &'a str {
    match name {
        "authorization" | "proxy-authorization" => "[redacted]",
        "cookie" if value.len() > 40 => "[redacted]",
        _ => value,
    }
}

fn told<S: Serializer>(headers: &[(String, String)], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(
        headers
            .iter()
            .map(|(name, value)| (name, shown(name, value))),
    )
}

/// The port of the translation that takes requests of a scheme: the usual one, or else the lowest.
pub(crate) fn entrance(ir: &Ir, https: bool) -> Option<(SocketKey, &Port)> {
    let (protocol, usual) = if https {
        (Protocol::Https, 443)
    } else {
        (Protocol::Http, 80)
    };
    let of_scheme = ir
        .ports
        .iter()
        .filter(|(_, port)| port.protocol == protocol);
    of_scheme
        .map(|(key, port)| (*key, port))
        .min_by_key(|(key, _)| (key.port != usual, *key))
}

/// Both answers to a request, or why there is none.
#[derive(Debug)]
pub(crate) struct Both {
    pub(crate) ask: Ask,
    pub(crate) here: Result<Answer, String>,
    pub(crate) there: Result<Answer, String>,
}

/// Sends every request to both, at most `concurrency` at a time and each within `deadline`; answers are in the order of
/// the requests.
pub(crate) async fn send_all(
    asks: Vec<Ask>,
    (here, there): (Gateway, Gateway),
    concurrency: usize,
    deadline: Duration,
) -> Vec<Both> {
    let (here, there) = (Arc::new(here), Arc::new(there));
    let mut waiting = asks.into_iter().enumerate();
    let mut flying = JoinSet::new();
    let mut done = Vec::new();
    loop {
        while flying.len() < concurrency.max(1) {
            let Some((at, ask)) = waiting.next() else {
                break;
            };
            let (here, there) = (Arc::clone(&here), Arc::clone(&there));
            flying.spawn(async move {
                let (here, there) =
                    tokio::join!(here.send(&ask, deadline), there.send(&ask, deadline));
                (at, Both { ask, here, there })
            });
        }
        match flying.join_next().await {
            Some(Ok(answered)) => done.push(answered),
            // A request that panicked is a mistake of ours; the others still count.
            Some(Err(_)) => {}
            None => break,
        }
    }
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, both)| both).collect()
}
