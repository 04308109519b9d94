//! Token buckets. A bucket is one atomic word, so that workers do not wait for each other; buckets of clients are in a
//! sharded table of bounded size.

use std::{net::IpAddr, net::Ipv6Addr, num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use ir::RateLimit;

use self::clients::Clients;
use crate::http::view::Client;

mod clients;
mod in_flight;

pub(crate) use in_flight::{InFlight, Permit};

const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The state of a [`RateLimit`]; its tokens live as long as the rule has one of the same pace and size.
pub(crate) struct Bucket {
    limit: RateLimit,
    clock: DefaultClock,
    tokens: Arc<Tokens>,
}

enum Tokens {
    Shared(DefaultDirectRateLimiter),
    Clients(RateLimiter<IpAddr, Clients, DefaultClock>),
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(limit: &RateLimit) -> Self {
        let quota = quota(limit);
        let clock = DefaultClock::default();
        Self {
            tokens: Arc::new(if limit.per_client {
                Tokens::Clients(RateLimiter::new(
                    quota,
                    Clients::new(period(limit)),
                    clock.clone(),
                ))
            } else {
                Tokens::Shared(RateLimiter::direct_with_clock(quota, clock.clone()))
            }),
            clock,
            limit: limit.clone(),
        }
    }

    /// The same tokens for a limit that differs only in whom it counts.
    pub(crate) fn for_others(&self, limit: &RateLimit) -> Self {
        Self {
            limit: limit.clone(),
            clock: self.clock.clone(),
            tokens: Arc::clone(&self.tokens),
        }
    }

    /// What it is the state of.
    pub(crate) const fn limit(&self) -> &RateLimit {
        &self.limit
    }

    /// Takes a token; without one, gives how long it takes until there is one.
    pub(crate) fn take(&self, client: Client) -> Result<(), Duration> {
        if client.is_in(&self.limit.exempt) {
            return Ok(());
        }
        let taken = match &*self.tokens {
            Tokens::Shared(limiter) => limiter.check(),
            Tokens::Clients(limiter) => limiter.check_key(&network(client.counted())),
        };
        taken.map_err(|until| until.wait_time_from(self.clock.now()))
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

/// More than one a nanosecond is no limit that anybody could tell from it.
fn period(limit: &RateLimit) -> Duration {
    (limit.unit.duration() / limit.requests.get()).max(Duration::from_nanos(1))
}

fn quota(limit: &RateLimit) -> Quota {
    let period = period(limit);
    // A bucket that takes over a century to fill up need not be any larger.
    let burst = CENTURY.as_nanos() / period.as_nanos();
    let burst = u32::try_from(burst).ok().and_then(NonZeroU32::new);
    Quota::with_period(period)
        .unwrap_or(Quota::per_second(NonZeroU32::MAX))
        .allow_burst(burst.map_or(limit.burst, |most| limit.burst.min(most)))
}

#[cfg(test)]
#[path = "limit_tests.rs"]
mod tests;
