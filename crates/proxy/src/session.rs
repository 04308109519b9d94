//! Session cookies: which endpoint a client belongs to.
//!
//! A value of ours is `CLIENT.BACKEND.ENDPOINT`, or `CLIENT.BACKEND` where endpoints that come take their share of the clients;
//! all parts are 64 bits in hexadecimal. A backend replaces a value of its own whose endpoint is gone. What another backend or
//! an application made stays with the client and leads to an endpoint by its hash, so that backends that share a name do not
//! take clients from each other. The client's part is random, so that it leads to any endpoint of another backend.

mod misread;

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use ir::{Endpoint, SessionCookie};

use crate::{
    balance::{ClusterState, Picked, hash, random},
    view::View,
};

/// What a client's cookie says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// A backend made it.
    Made {
        client: u64,
        backend: u64,
        endpoint: Option<u64>,
    },
    /// An earlier version made it: it names an endpoint, and nothing else.
    Named(u64),
    /// Anybody else made it: its hash.
    Foreign(u64),
}

/// How many values of one name are looked at.
const VALUES: usize = 16;

/// The claim of a client that counts: that of a backend which is `ours`, else the first. A browser may send several values for
/// one name, of several paths.
pub(crate) fn claim(
    cookie: &SessionCookie,
    headers: &HeaderMap,
    ours: impl Fn(&Claim) -> bool,
) -> Option<Claim> {
    if let Some(name) = &cookie.header {
        let claim = read(headers.get(name)?.to_str().ok()?)?;
        return (ours(&claim) || !matches!(claim, Claim::Named(_))).then_some(claim);
    }
    let values = headers.get_all(header::COOKIE).iter();
    let pairs = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'));
    let claims = pairs.filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == &*cookie.name).then(|| read(value)).flatten()
    });
    let mut first = None;
    for claim in claims.take(VALUES) {
        if ours(&claim) {
            return Some(claim);
        }
        if !matches!(claim, Claim::Named(_)) {
            first.get_or_insert(claim);
        }
    }
    first
}

fn read(value: &str) -> Option<Claim> {
    let number = |text: &str| {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits.then(|| u64::from_str_radix(text, 16).ok()).flatten()
    };
    if let Some(mark) = number(value) {
        return Some(Claim::Named(mark));
    }
    let mut parts = value.split('.').map(number);
    let made = (parts.next(), parts.next(), parts.next(), parts.next());
    let (client, backend, endpoint) = match made {
        (Some(Some(client)), Some(Some(backend)), None, None) => (client, backend, None),
        (Some(Some(client)), Some(Some(backend)), Some(Some(endpoint)), None) => {
            (client, backend, Some(endpoint))
        }
        _ => return (!value.is_empty()).then(|| Claim::Foreign(hash(value.as_bytes()))),
    };
    Some(Claim::Made {
        client,
        backend,
        endpoint,
    })
}

/// Where a client belongs in the backend that its request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bond {
    /// Nowhere yet, or its endpoint is gone.
    New,
    /// To this endpoint.
    Endpoint(u64),
    /// To whichever its value leads to.
    Led(u64),
}

/// How many clients' parts are drawn in search of one that leads to another endpoint.
const DRAWS: u32 = 20;

/// The session of one request.
pub(crate) struct Session {
    bond: Bond,
    /// The parts of a new value.
    client: u64,
    backend: u64,
    /// Its value is the backend's own and names no endpoint, though it should.
    unnamed: bool,
    /// The endpoints that the first and the last attempt went to.
    first: Option<u64>,
    last: Option<u64>,
    /// The client asked over https.
    https: bool,
    /// The client is known to misread `SameSite=None`.
    misreads: bool,
}

/// What an attempt knows of those before: the key that the cluster balances by, how many there were, and endpoints to which
/// there was no connection.
pub(crate) type Attempt<'a> = (Option<u64>, u32, &'a [Endpoint]);

impl Session {
    /// The session of a client in the cluster that its request goes to.
    pub(crate) fn new(
        cookie: &SessionCookie,
        claim: Option<Claim>,
        cluster: &ClusterState,
        view: &View,
    ) -> Self {
        let named = |mark| match cluster.has_mark(mark) {
            true => Bond::Endpoint(mark),
            false => Bond::New,
        };
        let mut unnamed = false;
        let (bond, client) = match claim {
            None => (Bond::New, random()),
            Some(Claim::Named(mark)) => (named(mark), random()),
            Some(Claim::Foreign(hash)) => (Bond::Led(hash), random()),
            Some(Claim::Made {
                client,
                backend,
                endpoint,
            }) => {
                let own = backend == cluster.id && !cookie.rebalanced;
                unnamed = own && endpoint.is_none();
                let bond = endpoint.filter(|_| own).map(named);
                (bond.unwrap_or(Bond::Led(client)), client)
            }
        };
        let agent = view.headers.get(header::USER_AGENT);
        Self {
            bond,
            client,
            backend: cluster.id,
            unnamed,
            first: None,
            last: None,
            https: view.https(),
            misreads: cookie.varying.same_site_none && agent.is_some_and(misread::same_site_none),
        }
    }

    /// Whether the client stays with its endpoint, whatever that answers.
    pub(crate) fn stays(&self, cookie: &SessionCookie) -> bool {
        cookie.kept_on_failure && self.bond != Bond::New
    }

    /// The endpoint for an attempt.
    pub(crate) fn pick<'a>(
        &mut self,
        cookie: &SessionCookie,
        cluster: &'a ClusterState,
        attempt: Attempt<'_>,
    ) -> Option<Picked<'a>> {
        let (key, round, tried) = attempt;
        let its_own = round == 0 || self.stays(cookie);
        let picked = match self.bond {
            Bond::Endpoint(mark) if its_own => cluster.marked(mark),
            Bond::Led(hash) if its_own => cluster.led_to(hash, 0),
            _ if cookie.rebalanced => self.draw(cluster, tried),
            Bond::Led(hash) => cluster.led_to(hash, round),
            Bond::New | Bond::Endpoint(_) => cluster.pick_untried(key, round, tried),
        };
        let picked = picked?;
        self.last = cluster.mark_of(picked.endpoint);
        self.first = self.first.or(self.last);
        Some(picked)
    }

    /// Makes another client of it, which is led to an endpoint that did not fail, if there is one.
    fn draw<'a>(&mut self, cluster: &'a ClusterState, tried: &[Endpoint]) -> Option<Picked<'a>> {
        let mut found = None;
        for _ in 0..DRAWS {
            self.client = random();
            let picked = cluster.led_to(self.client, 0)?;
            let failed = self.last.is_some() && self.last == cluster.mark_of(picked.endpoint);
            let again = failed || tried.contains(picked.endpoint);
            found = Some(picked);
            if !again {
                break;
            }
        }
        found
    }

    /// The field that ties the client to the endpoint which answered, unless it is tied there.
    pub(crate) fn field(&self, cookie: &SessionCookie) -> Option<(HeaderName, HeaderValue)> {
        let last = self.last?;
        let moved = match self.bond {
            Bond::New => true,
            Bond::Endpoint(mark) => mark != last,
            Bond::Led(_) => self.unnamed || self.first != self.last,
        };
        if !moved || self.stays(cookie) && !self.unnamed {
            return None;
        }
        let (name, client, backend) = (&cookie.name, self.client, self.backend);
        let mut value = format!("{client:016x}.{backend:016x}");
        if !cookie.rebalanced {
            value.push_str(&format!(".{last:016x}"));
        }
        if let Some(name) = &cookie.header {
            return Some((name.clone(), HeaderValue::try_from(value).ok()?));
        }
        let mut text = format!("{name}={value}");
        text.push_str(&cookie.attributes);
        if let Some(seconds) = cookie.varying.expires {
            let end = SystemTime::now() + Duration::from_secs(u64::from(seconds));
            text.push_str("; Expires=");
            text.push_str(&httpdate::fmt_http_date(end));
        }
        if cookie.varying.same_site_none && !self.misreads {
            text.push_str("; SameSite=None");
        }
        if cookie.varying.secure_over_https && self.https {
            text.push_str("; Secure");
        }
        Some((header::SET_COOKIE, HeaderValue::try_from(text).ok()?))
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
