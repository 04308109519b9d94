//! Sessions: which endpoint a client belongs to, and for how long.
//!
//! A value of ours is `CLIENT.BACKEND.ENDPOINT`, or `CLIENT.BACKEND` where endpoints that come take their share of the
//! clients; all parts are 64 bits in hexadecimal. Where sessions end, `.END.IDLE` follow: when this one does, and when
//! it does unless there is another request, in milliseconds since 1970; 0 is never. A client that makes such a value up
//! gets to no endpoint that it could not be sent to, and its session lasts hardly longer than a new one: by as much as
//! clocks of replicas may differ. What has no times, or is over, counts for nothing there. A backend replaces a value
//! of its own whose endpoint is gone. What another backend or an application made stays with the client and leads to an
//! endpoint by its hash, so that backends that share a name do not take clients from each other. The client's part is
//! random, so that it leads to any endpoint of another backend.

mod misread;

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use ir::{Cookie, Endpoint, SessionCarrier, SessionLifetime, SessionToken};

use crate::{
    http::view::View,
    upstream::balance::{ClusterState, Picked, hash, random},
};

/// What a client's token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// A backend made it.
    Made {
        client: u64,
        backend: u64,
        endpoint: Option<u64>,
        /// When the session ends, in milliseconds since 1970; 0: never.
        end: u64,
    },
    /// An earlier version made it: it names an endpoint, and nothing else.
    Named(u64),
    /// Anybody else made it: its hash.
    Foreign(u64),
}

/// How many values of one name are looked at.
const VALUES: usize = 16;

/// By how many milliseconds the clock of the replica that made a token may be ahead of ours.
const SKEW: u64 = 10_000;

/// Milliseconds since 1970, where a token has to know.
pub(crate) fn now(token: &SessionToken) -> u64 {
    if token.lifetime.is_endless() {
        return 0;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    millis(now.unwrap_or_default())
}

/// The claim of a client that counts: that of a backend which is `ours`, else the first. A browser may send several
/// values for one name, of several paths.
pub(crate) fn claim(
    token: &SessionToken,
    headers: &HeaderMap,
    ours: impl Fn(&Claim) -> bool,
) -> Option<Claim> {
    claim_at(now(token), token, headers, ours)
}

fn claim_at(
    now: u64,
    token: &SessionToken,
    headers: &HeaderMap,
    ours: impl Fn(&Claim) -> bool,
) -> Option<Claim> {
    let read = |value: &str| read(&token.lifetime, value, now);
    let cookie = match &token.carrier {
        SessionCarrier::Header(name) => {
            let claim = read(headers.get(name)?.to_str().ok()?)?;
            return (ours(&claim) || !matches!(claim, Claim::Named(_))).then_some(claim);
        }
        SessionCarrier::Cookie(cookie) => cookie,
    };
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

fn read(lifetime: &SessionLifetime, value: &str, now: u64) -> Option<Claim> {
    let Some((parts, count)) = numbers(value) else {
        let foreign = lifetime.is_endless() && !value.is_empty();
        return foreign.then(|| Claim::Foreign(hash(value.as_bytes())));
    };
    let [client, backend, ..] = parts;
    let (endpoint, times) = match (count, lifetime.is_endless()) {
        (1, true) => return Some(Claim::Named(client)),
        (2, true) => (None, None),
        (3, true) => (Some(parts[2]), None),
        (4, false) => (None, Some((parts[2], parts[3]))),
        (5, false) => (Some(parts[2]), Some((parts[3], parts[4]))),
        (_, true) => return Some(Claim::Foreign(hash(value.as_bytes()))),
        (_, false) => return None,
    };
    let lasts = |limit: Option<Duration>, end: u64| {
        limit.is_none_or(|limit| end > now && end <= after(now, limit).saturating_add(SKEW))
    };
    if let Some((end, idle)) = times
        && !(lasts(lifetime.absolute, end) && lasts(lifetime.idle, idle))
    {
        return None;
    }
    Some(Claim::Made {
        client,
        backend,
        endpoint,
        end: times.map_or(0, |(end, _)| end),
    })
}

/// The parts of a value of ours, and how many there are: one to five of 16 hexadecimal digits, with dots between.
fn numbers(value: &str) -> Option<([u64; 5], usize)> {
    let mut parts = [0; 5];
    let mut count = 0;
    for text in value.split('.') {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = digits.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        *parts.get_mut(count)? = number?;
        count += 1;
    }
    Some((parts, count))
}

/// The millisecond in which a time is over.
fn after(now: u64, limit: Duration) -> u64 {
    now.saturating_add(millis(limit))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
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
    /// When a session that goes on ends, in milliseconds since 1970; 0: it is new, or never ends.
    end: u64,
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

/// What an attempt knows of those before: the key that the cluster balances by, how many there were, and endpoints to
/// which there was no connection.
pub(crate) type Attempt<'a> = (Option<u64>, u32, &'a [Endpoint]);

impl Session {
    /// The session of a client in the cluster that its request goes to.
    pub(crate) fn new(
        token: &SessionToken,
        claim: Option<Claim>,
        cluster: &ClusterState,
        view: &View,
    ) -> Self {
        let named = |mark| match cluster.has_mark(mark) {
            true => Bond::Endpoint(mark),
            false => Bond::New,
        };
        let (mut unnamed, mut ends) = (false, 0);
        let (bond, client) = match claim {
            None => (Bond::New, random()),
            Some(Claim::Named(mark)) => (named(mark), random()),
            Some(Claim::Foreign(hash)) => (Bond::Led(hash), random()),
            Some(Claim::Made {
                client,
                backend,
                endpoint,
                end,
            }) => {
                let own = backend == cluster.id && !token.rebalanced;
                ends = end;
                unnamed = own && endpoint.is_none();
                let bond = endpoint.filter(|_| own).map(named);
                (bond.unwrap_or(Bond::Led(client)), client)
            }
        };
        let agent = view.headers.get(header::USER_AGENT);
        let careful = match &token.carrier {
            SessionCarrier::Cookie(cookie) => cookie.varying.same_site_none,
            SessionCarrier::Header(_) => false,
        };
        Self {
            bond,
            client,
            backend: cluster.id,
            end: if bond == Bond::New { 0 } else { ends },
            unnamed,
            first: None,
            last: None,
            https: view.https(),
            misreads: careful && agent.is_some_and(misread::same_site_none),
        }
    }

    /// Whether the client stays with its endpoint, whatever that answers.
    pub(crate) fn stays(&self, token: &SessionToken) -> bool {
        token.kept_on_failure && self.bond != Bond::New
    }

    /// The endpoint for an attempt.
    pub(crate) fn pick<'a>(
        &mut self,
        token: &SessionToken,
        cluster: &'a ClusterState,
        attempt: Attempt<'_>,
    ) -> Option<Picked<'a>> {
        let (key, round, tried) = attempt;
        let its_own = round == 0 || self.stays(token);
        let picked = match self.bond {
            Bond::Endpoint(mark) if its_own => cluster.marked(mark),
            Bond::Led(hash) if its_own => cluster.led_to(hash, 0),
            _ if token.rebalanced => self.draw(cluster, tried),
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
    pub(crate) fn field(
        &self,
        token: &SessionToken,
        now: u64,
    ) -> Option<(HeaderName, HeaderValue)> {
        let last = self.last?;
        let moved = match self.bond {
            Bond::New => true,
            Bond::Endpoint(mark) => mark != last,
            Bond::Led(_) => self.unnamed || self.first != self.last,
        };
        let stays = self.stays(token) && !self.unnamed;
        if (!moved || stays) && token.lifetime.idle.is_none() {
            return None;
        }
        let (client, backend, lifetime) = (self.client, self.backend, &token.lifetime);
        let mut value = format!("{client:016x}.{backend:016x}");
        if !token.rebalanced {
            value.push_str(&format!(".{last:016x}"));
        }
        let ends = |limit: Option<Duration>| limit.map_or(0, |limit| after(now, limit));
        let end = match self.end {
            0 => ends(lifetime.absolute),
            end => end,
        };
        if !lifetime.is_endless() {
            value.push_str(&format!(".{end:016x}.{:016x}", ends(lifetime.idle)));
        }
        match &token.carrier {
            SessionCarrier::Header(name) => Some((name.clone(), value.try_into().ok()?)),
            SessionCarrier::Cookie(cookie) => {
                let left = end.saturating_sub(now).div_ceil(1_000);
                let text = self.set_cookie(cookie, &value, left);
                Some((header::SET_COOKIE, text.try_into().ok()?))
            }
        }
    }

    /// A cookie with a value and its attributes; `left` is what is left of the session, in seconds.
    fn set_cookie(&self, cookie: &Cookie, value: &str, left: u64) -> String {
        let varying = &cookie.varying;
        let mut text = format!("{}={value}{}", cookie.name, cookie.attributes);
        if varying.max_age {
            text.push_str(&format!("; Max-Age={left}"));
        }
        if let Some(seconds) = varying.expires {
            let end = SystemTime::now() + Duration::from_secs(u64::from(seconds));
            text.push_str("; Expires=");
            text.push_str(&httpdate::fmt_http_date(end));
        }
        if varying.same_site_none && !self.misreads {
            text.push_str("; SameSite=None");
        }
        if varying.secure_over_https && self.https {
            text.push_str("; Secure");
        }
        text
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
