//! Token buckets. A bucket is one atomic word, so that workers do not wait for each other; buckets of clients are in a
//! sharded table of bounded size.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use governor::{
    DefaultDirectRateLimiter, DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use ir::RateLimit;

/// Clients that have a bucket of their own at a time; further ones share one.
const CLIENTS: usize = 100_000;
/// The table is looked through after so many requests.
const SWEEP: usize = 4_096;
/// What clients without a bucket of their own share.
const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The state of a [`RateLimit`]; it lives as long as the rule has the same one.
pub(crate) struct Bucket {
    limit: RateLimit,
    clock: DefaultClock,
    tokens: Tokens,
}

enum Tokens {
    Shared(DefaultDirectRateLimiter),
    Clients {
        limiter: DefaultKeyedRateLimiter<IpAddr>,
        requests: AtomicUsize,
        full: std::sync::atomic::AtomicBool,
    },
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(limit: &RateLimit) -> Self {
        let quota = quota(limit);
        let clock = DefaultClock::default();
        Self {
            tokens: if limit.per_client {
                Tokens::Clients {
                    limiter: RateLimiter::dashmap_with_clock(quota, clock.clone()),
                    requests: AtomicUsize::new(0),
                    full: false.into(),
                }
            } else {
                Tokens::Shared(RateLimiter::direct_with_clock(quota, clock.clone()))
            },
            clock,
            limit: limit.clone(),
        }
    }

    /// What it is the state of.
    pub(crate) const fn limit(&self) -> &RateLimit {
        &self.limit
    }

    /// Takes a token; without one, gives how long it takes until there is one.
    pub(crate) fn take(&self, client: IpAddr) -> Result<(), Duration> {
        if self.limit.exempt.iter().any(|net| net.contains(&client)) {
            return Ok(());
        }
        let wait = |until: NotUntil<_>| self.wait(&until);
        match &self.tokens {
            Tokens::Shared(limiter) => limiter.check().map_err(wait),
            Tokens::Clients {
                limiter,
                requests,
                full,
            } => {
                if requests.fetch_add(1, Relaxed) % SWEEP == SWEEP - 1 {
                    limiter.retain_recent();
                    full.store(limiter.len() >= CLIENTS, Relaxed);
                }
                let key = if full.load(Relaxed) {
                    OTHERS
                } else {
                    network(client)
                };
                limiter.check_key(&key).map_err(wait)
            }
        }
    }

    fn wait(&self, until: &NotUntil<<DefaultClock as Clock>::Instant>) -> Duration {
        until.wait_time_from(self.clock.now())
    }
}

/// Whoever has one IPv6 address has all of its /64.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

fn quota(limit: &RateLimit) -> Quota {
    let period = limit.unit.duration() / limit.requests.get();
    // More than one a nanosecond is no limit that anybody could tell from it.
    let period = period.max(Duration::from_nanos(1));
    let quota = Quota::with_period(period);
    quota
        .unwrap_or(Quota::per_second(NonZeroU32::MAX))
        .allow_burst(limit.burst)
}

#[cfg(test)]
#[path = "limit_tests.rs"]
mod tests;
