//! Names of backends, and the addresses that they stand for.
//!
//! A name that a cluster of the configuration has as an endpoint is known here for as long as the configuration has it,
//! so there are never more names than it says. All workers share what is known of it. One thread (`names/keeper.rs`)
//! asks for all of them, so that no worker waits for a file or for DNS, and no name is asked for twice at a time:
//!
//! - while a name is in use, it is asked for again whenever its time is over; a name that nobody used meanwhile rests;
//! - meanwhile, and while lookups fail, the addresses that were last known are used;
//! - that a name has no address, or cannot be looked up, is known for a while, too: requests do not repeat what has
//!   failed.
//!
//! `names/resolver.rs` asks: the hosts file, then DNS by way of hickory. The system's own resolver would tell neither
//! how long an answer holds nor whether it failed or there is none, and has a thread wait for each lookup.

mod dns;
mod keeper;
mod resolver;
mod system;

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, OnceLock, Weak,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use telemetry::metrics::Metrics;
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, timeout},
};

use crate::http::error::ProxyError;

/// A lookup may take so long, with all that is asked for it.
const LOOKUP: Duration = Duration::from_secs(10);

/// So long beyond its time an answer is used without a wait, as it is asked for meanwhile. Longer than a lookup may
/// take.
const GRACE: Duration = Duration::from_secs(15);

/// So long a connection waits for a new answer where there is an old one (RFC 8767 section 5: the client response
/// timer).
const PATIENCE: Duration = Duration::from_millis(1_800);

/// So old an answer may become while lookups fail (RFC 8767 section 4: one to three days).
const OLDEST: Duration = Duration::from_secs(24 * 3_600);

/// So long nothing is asked after a lookup that failed, or found no address.
const PAUSE: Duration = Duration::from_secs(5);

/// The bounds of what an answer may say about how long it holds.
const HOLDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// More addresses of a name are not used.
const ADDRESSES: usize = 32;

/// How lookups end, as they are counted.
pub(crate) mod lookup {
    /// There are addresses.
    pub(crate) const FOUND: &str = "found";
    /// The name has no address.
    pub(crate) const NONE: &str = "none";
    /// Nobody knows.
    pub(crate) const FAILED: &str = "failed";
}

/// The names of a configuration.
pub(crate) struct Names {
    known: Mutex<HashMap<Box<str>, Weak<Name>>>,
    asking: Arc<Asking>,
}

/// The way to the thread that asks. It is started when it is needed, and ends with the last name.
struct Asking {
    servers: Vec<SocketAddr>,
    metrics: Metrics,
    to: OnceLock<mpsc::UnboundedSender<Weak<Name>>>,
}

/// A name, and the addresses that it stands for.
pub(crate) struct Name {
    host: Box<str>,
    me: Weak<Name>,
    asking: Arc<Asking>,
    answer: ArcSwapOption<Answer>,
    /// Told of every answer.
    answered: Notify,
    /// Somebody wanted to know since it was last asked for.
    used: AtomicBool,
    /// It is asked for now, or will be when its time is over.
    kept: AtomicBool,
    /// Whose turn it is among the addresses: for a new connection, and for an idle one.
    turns: [AtomicUsize; 2],
    /// The last connection over which both families competed was one of IPv4.
    prefers_v4: AtomicBool,
}

/// What is known of a name.
#[derive(Debug)]
pub(crate) struct Answer {
    /// None: the name has no address, or none is known.
    addresses: Box<[IpAddr]>,
    /// When that was said.
    said: Instant,
    /// When to ask again.
    until: Instant,
    /// The lookup after that failed.
    failing: bool,
}

/// What a lookup has come to.
#[derive(Debug)]
pub(crate) enum Found {
    /// These addresses, for so long.
    Addresses(Vec<IpAddr>, Duration),
    /// The name has none.
    Nothing,
    /// Nobody knows.
    Failed(String),
}

impl Found {
    /// As it is counted.
    const fn word(&self) -> &'static str {
        match self {
            Self::Addresses(..) => lookup::FOUND,
            Self::Nothing => lookup::NONE,
            Self::Failed(_) => lookup::FAILED,
        }
    }
}

impl Asking {
    /// False when nobody asks: there is no thread.
    fn send(&self, name: Weak<Name>) -> bool {
        let start = || keeper::start(self.servers.clone(), self.metrics.clone());
        self.to.get_or_init(start).send(name).is_ok()
    }
}

impl Names {
    /// `servers` are asked in the stead of those that the system names, if there are any.
    pub(crate) fn new(servers: &[SocketAddr], metrics: &Metrics) -> Self {
        Self {
            known: Mutex::default(),
            asking: Arc::new(Asking {
                servers: servers.to_vec(),
                metrics: metrics.clone(),
                to: OnceLock::new(),
            }),
        }
    }

    /// What is known of a name, for all that have it.
    pub(crate) fn get(&self, host: &str) -> Arc<Name> {
        let mut known = self.known.lock();
        if let Some(name) = known.get(host).and_then(Weak::upgrade) {
            return name;
        }
        let name = Arc::new_cyclic(|me| Name {
            host: host.into(),
            me: Weak::clone(me),
            asking: Arc::clone(&self.asking),
            answer: ArcSwapOption::empty(),
            answered: Notify::new(),
            used: AtomicBool::new(false),
            kept: AtomicBool::new(false),
            turns: Default::default(),
            prefers_v4: AtomicBool::new(false),
        });
        known.insert(host.into(), Arc::downgrade(&name));
        name
    }

    /// Forgets names that no cluster has any more.
    pub(crate) fn forget(&self) {
        self.known.lock().retain(|_, name| name.strong_count() > 0);
    }
}

impl Name {
    /// What is known, however old, without waiting. Whoever asks has the name kept up to date.
    pub(crate) fn known(&self) -> Option<Arc<Answer>> {
        self.wanted();
        let answer = self.answer.load_full()?;
        (answer.said.elapsed() <= OLDEST).then_some(answer)
    }

    /// The addresses, for a new connection. Waits only where nothing is known, or what is known has long been over.
    ///
    /// # Errors
    /// There are none, or nothing was known in time.
    pub(crate) async fn addresses(&self, limit: Duration) -> Result<Arc<Answer>, ProxyError> {
        let known = self.known();
        if let Some(answer) = &known
            && answer.is_usable(Instant::now())
        {
            return answer.any();
        }
        let old = known.filter(|answer| !answer.addresses.is_empty());
        let patience = old.as_ref().map_or(limit, |_| limit.min(PATIENCE));
        match (timeout(patience, self.next()).await, old) {
            (Ok(Some(answer)), _) => answer.any(),
            (_, Some(old)) => Ok(old),
            (Ok(None), None) => Err(ProxyError::ConnectFailed),
            (Err(_), None) => Err(ProxyError::ConnectTimeout),
        }
    }

    /// The next answer that is usable; `None` when nobody asks for names.
    async fn next(&self) -> Option<Arc<Answer>> {
        loop {
            let mut answered = std::pin::pin!(self.answered.notified());
            // From here on no answer is missed.
            answered.as_mut().enable();
            if let Some(answer) = self.answer.load_full()
                && answer.is_usable(Instant::now())
            {
                return Some(answer);
            }
            if !self.wanted() {
                return None;
            }
            answered.await;
        }
    }

    /// Has the name asked for, unless it is being kept up to date. False when nobody asks for names.
    fn wanted(&self) -> bool {
        // Each side writes, then reads what the other writes: either the keeper sees the use, or this sees that it
        // rests.
        if !self.used.load(SeqCst) {
            self.used.store(true, SeqCst);
        }
        if self.kept.load(SeqCst) || self.kept.swap(true, SeqCst) {
            return true;
        }
        let sent = self.asking.send(Weak::clone(&self.me));
        if !sent {
            self.kept.store(false, SeqCst);
        }
        sent
    }

    /// Whether nobody has wanted to know since it was last asked for. Then it is not kept up to date any more.
    fn rests(&self) -> bool {
        if self.used.swap(false, SeqCst) {
            return false;
        }
        self.kept.store(false, SeqCst);
        !self.used.load(SeqCst) || self.kept.swap(true, SeqCst)
    }

    /// Takes in what a lookup has come to. Says when to ask again.
    fn learn(&self, found: Found) -> Instant {
        let now = Instant::now();
        let before = self.answer.load_full();
        let answer = Answer::after(before.as_deref(), found, now, &self.host);
        let until = answer.until;
        self.answer.store(Some(Arc::new(answer)));
        self.answered.notify_waiters();
        until
    }

    /// The next turn of [`Answer::in_order`].
    pub(crate) fn turn(&self) -> usize {
        self.turns[0].fetch_add(1, Relaxed)
    }

    /// The next turn of [`Answer::from`]. Were it the same, two addresses would have idle and new connections by turns.
    pub(crate) fn idle_turn(&self) -> usize {
        self.turns[1].fetch_add(1, Relaxed)
    }

    /// A connection was made to this address, of these.
    pub(crate) fn reached(&self, address: IpAddr, of: &Answer) {
        let both =
            of.addresses.iter().any(IpAddr::is_ipv4) && of.addresses.iter().any(IpAddr::is_ipv6);
        if both && self.prefers_v4.load(Relaxed) != address.is_ipv4() {
            self.prefers_v4.store(address.is_ipv4(), Relaxed);
        }
    }

    /// Whether addresses of IPv4 are tried first.
    pub(crate) fn prefers_v4(&self) -> bool {
        self.prefers_v4.load(Relaxed)
    }
}

impl Answer {
    /// What is known after a lookup.
    fn after(before: Option<&Self>, found: Found, now: Instant, host: &str) -> Self {
        let was_failing = before.is_some_and(|before| before.failing);
        let answer = match found {
            Found::Addresses(mut addresses, holds) => {
                addresses.sort_unstable();
                addresses.dedup();
                addresses.truncate(ADDRESSES);
                Self {
                    addresses: addresses.into(),
                    said: now,
                    until: now + holds.clamp(HOLDS.0, HOLDS.1),
                    failing: false,
                }
            }
            Found::Nothing => {
                if before.is_none_or(|before| before.failing || !before.addresses.is_empty()) {
                    tracing::warn!(%host, "the name of a backend has no address");
                }
                Self::none(now, false)
            }
            Found::Failed(error) => {
                let old = before.filter(|before| now - before.said <= OLDEST);
                let kept = old.map_or(0, |old| old.addresses.len());
                if !was_failing {
                    tracing::warn!(%host, %error, kept, "the name of a backend cannot be looked up; addresses that were known are used");
                }
                old.map_or_else(
                    || Self::none(now, true),
                    |old| Self {
                        addresses: old.addresses.clone(),
                        said: old.said,
                        until: now + PAUSE,
                        failing: true,
                    },
                )
            }
        };
        if was_failing && !answer.failing {
            tracing::info!(%host, addresses = answer.addresses.len(), "the name of a backend is looked up again");
        }
        answer
    }

    fn none(now: Instant, failing: bool) -> Self {
        Self {
            addresses: Box::default(),
            said: now,
            until: now + PAUSE,
            failing,
        }
    }

    /// Whether it can be used without a wait.
    fn is_usable(&self, now: Instant) -> bool {
        now < self.until + GRACE
    }

    fn any(self: &Arc<Self>) -> Result<Arc<Self>, ProxyError> {
        if self.addresses.is_empty() {
            return Err(ProxyError::ConnectFailed);
        }
        Ok(Arc::clone(self))
    }

    /// All addresses, beginning with another one each turn.
    pub(crate) fn from(&self, turn: usize) -> impl Iterator<Item = IpAddr> {
        let (before, after) = self.addresses.split_at(turn % self.addresses.len().max(1));
        after.iter().chain(before).copied()
    }

    /// All addresses in the order in which a connection is tried (RFC 8305 section 4): the families by turns,
    /// `v4_first` or not, and the addresses of each beginning with another one each turn, so that connections are
    /// spread over them.
    pub(crate) fn in_order(&self, turn: usize, v4_first: bool) -> Vec<IpAddr> {
        let of = |v4: bool| {
            let family = self
                .addresses
                .iter()
                .filter(move |address| address.is_ipv4() == v4);
            let mut family: Vec<_> = family.copied().collect();
            let count = family.len().max(1);
            family.rotate_left(turn % count);
            family.into_iter()
        };
        let (mut first, mut second) = (of(v4_first), of(!v4_first));
        let mut order = Vec::with_capacity(self.addresses.len());
        while order.len() < self.addresses.len() {
            order.extend(first.next());
            order.extend(second.next());
        }
        order
    }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
