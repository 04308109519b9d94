//! What of two answers counts, and what differs.

use std::collections::BTreeMap;

use http::{HeaderName, Uri, header};
use serde::Serialize;

use super::{Ask, Both, client::Answer, evidence::gateways_word};

/// Headers that a gateway decides about.
const WATCHED: [&str; 4] = [
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "www-authenticate",
];

/// What to look at.
#[derive(Debug, Clone)]
pub(crate) struct Looking {
    /// The header by which a backend says who it is.
    pub(crate) backend_header: HeaderName,
    /// Response headers to compare beyond the usual ones.
    pub(crate) headers: Vec<HeaderName>,
    /// Ports of ours and of theirs, which a `Location` may show.
    pub(crate) ports: Vec<u16>,
}

impl Looking {
    /// Whether a backend says in its answer who it is.
    pub(crate) fn names_backend(&self, answer: &Answer) -> bool {
        let told = || serde_json::from_slice::<serde_json::Value>(&answer.body).ok();
        answer.headers.contains_key(&self.backend_header)
            || told().is_some_and(|told| told["backend"].is_string())
    }
}

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Difference {
    /// `answer`, `status`, `location`, `certificate`, `backend`, `host` or `path` that the backend sees, or a header's
    /// name.
    pub(crate) what: String,
    pub(crate) here: String,
    pub(crate) there: String,
}

/// What differs between the answers to a request. With `weighted`, chance chose the backend, which is then not
/// compared.
pub(crate) fn differences(both: &Both, weighted: bool, looking: &Looking) -> Vec<Difference> {
    let (here, there) = match (&both.here, &both.there) {
        (Ok(here), Ok(there)) => (here, there),
        (Err(_), Err(_)) => return Vec::new(),
        (here, there) => {
            let told = |side: &Result<Answer, String>| match side {
                Ok(answer) => answer.status.as_u16().to_string(),
                Err(why) => why.clone(),
            };
            return vec![Difference {
                what: "answer".to_owned(),
                here: told(here),
                there: told(there),
            }];
        }
    };
    let (here, there) = (
        facts(&both.ask, here, looking),
        facts(&both.ask, there, looking),
    );
    if here["status"] != there["status"] {
        // Whatever else differs follows from that.
        let mut found = difference("status", &here, &there);
        if let (Some(found), Some(word)) = (&mut found, failure(both)) {
            found.here = format!("{} ({word})", found.here);
        }
        return found.into_iter().collect();
    }
    const OF_BACKEND: [&str; 3] = ["backend", "host", "path"];
    let names: std::collections::BTreeSet<&String> = here.keys().chain(there.keys()).collect();
    let counts = |name: &str| {
        // A backend that does not tell here or there is no difference of the gateways.
        let told = here.contains_key(name) && there.contains_key(name);
        !OF_BACKEND.contains(&name) || (told && !weighted)
    };
    names
        .into_iter()
        .filter(|name| counts(name))
        .filter_map(|name| difference(name, &here, &there))
        .collect()
}

/// Our own gateway's word for why it cannot serve a request.
fn failure(both: &Both) -> Option<&str> {
    let here = both.here.as_ref().ok()?;
    let word = gateways_word(here);
    word.filter(|_| here.status.is_server_error())
}

type Facts = BTreeMap<String, String>;

fn difference(what: &str, here: &Facts, there: &Facts) -> Option<Difference> {
    let value = |facts: &Facts| {
        facts
            .get(what)
            .cloned()
            .unwrap_or_else(|| "none".to_owned())
    };
    let (here, there) = (value(here), value(there));
    (here != there).then(|| Difference {
        what: what.to_owned(),
        here,
        there,
    })
}

fn facts(ask: &Ask, answer: &Answer, looking: &Looking) -> Facts {
    let text = |name: &HeaderName| {
        let values = answer.headers.get_all(name).iter();
        let texts: Vec<_> = values
            .map(|v| String::from_utf8_lossy(v.as_bytes()))
            .collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    };
    let mut facts = Facts::from([("status".to_owned(), answer.status.as_u16().to_string())]);
    let mut add = |name: &str, value: Option<String>| {
        facts.extend(value.map(|value| (name.to_owned(), value)));
    };
    let location = text(&header::LOCATION);
    add(
        "location",
        location.map(|text| absolute(ask, &text, &looking.ports)),
    );
    let watched = WATCHED.map(HeaderName::from_static);
    for name in watched.iter().chain(&looking.headers) {
        add(name.as_str(), text(name));
    }
    add("set-cookie", cookies(answer));
    let fits = |fits| {
        if fits {
            "for the host"
        } else {
            "for other names"
        }
    };
    let certificate = answer.certificate_fits.map(fits);
    add("certificate", certificate.map(str::to_owned));
    let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let member = |name: &str| told[name].as_str().map(str::to_owned);
    add(
        "backend",
        text(&looking.backend_header).or_else(|| member("backend")),
    );
    add("host", member("host"));
    add("path", member("path"));
    facts
}

/// Names of the cookies that are set; their values are often random.
fn cookies(answer: &Answer) -> Option<String> {
    let values = answer.headers.get_all(header::SET_COOKIE).iter();
    let mut names: Vec<&str> = values
        .filter_map(|value| value.to_str().ok()?.split('=').next())
        .collect();
    names.sort_unstable();
    (!names.is_empty()).then(|| names.join(", "))
}

/// A `Location` as a browser would read it, without ports that are only those of the two gateways.
fn absolute(ask: &Ask, location: &str, ports: &[u16]) -> String {
    let own = if ask.https { "https" } else { "http" };
    let text = if location.starts_with('/') && !location.starts_with("//") {
        format!("{own}://{}{location}", ask.host)
    } else {
        location.to_owned()
    };
    let Ok(uri) = text.parse::<Uri>() else {
        return text;
    };
    let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return text;
    };
    let usual = if scheme == "https" { 443 } else { 80 };
    let port = uri
        .port_u16()
        .filter(|port| *port != usual && !ports.contains(port));
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    format!("{scheme}://{host}{port}{target}")
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
