//! The buckets of clients.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    time::Duration,
};

use governor::{nanos::Nanos, state::StateStore};
use parking_lot::Mutex;

/// Parts of the table, each behind a lock of its own.
const SHARDS: usize = 64;
/// Clients of one part.
const CLIENTS_PER_SHARD: usize = 2_048;
/// A full part is looked through for clients to forget once in so many clients that find no room.
const SWEEP: usize = 256;

/// Until when each client's bucket is not full, for at most 131,072 clients. Where there are more, those that come last
/// share buckets: a flood of addresses takes nothing from the clients known before it.
pub(super) struct Clients {
    /// What a token takes to come back, in nanoseconds.
    period: u64,
    keys: RandomState,
    shards: Box<[Mutex<Shard>]>,
}

#[derive(Default)]
struct Shard {
    full_at: HashMap<IpAddr, Nanos>,
    /// The bucket that clients without one of their own share.
    others: Option<Nanos>,
    /// Clients that found no room.
    refused: usize,
}

impl Clients {
    /// A table in which every bucket is full. A token takes `period` to come back.
    pub(super) fn new(period: Duration) -> Self {
        Self {
            period: Nanos::from(period).as_u64(),
            keys: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Drops the buckets that are full, as a new one would be.
    fn sweep(shard: &mut Shard, now: Nanos) {
        if shard.refused.is_multiple_of(SWEEP) {
            shard.full_at.retain(|_, full_at| *full_at > now);
        }
        shard.refused += 1;
    }
}

impl StateStore for Clients {
    type Key = IpAddr;

    fn measure_and_replace<T, F, E>(&self, client: &IpAddr, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let at = self.keys.hash_one(client) % SHARDS as u64;
        let mut shard = self.shards[usize::try_from(at).unwrap_or(0)].lock();
        if let Some(full_at) = shard.full_at.get_mut(client) {
            let (taken, next) = measure(Some(*full_at))?;
            *full_at = next;
            return Ok(taken);
        }
        let (taken, next) = measure(None)?;
        if shard.full_at.len() >= CLIENTS_PER_SHARD {
            // A new bucket is full again after one token's time.
            let now = Nanos::new(next.as_u64().saturating_sub(self.period));
            Self::sweep(&mut shard, now);
        }
        if shard.full_at.len() < CLIENTS_PER_SHARD {
            shard.full_at.insert(*client, next);
            return Ok(taken);
        }
        let (taken, next) = measure(shard.others)?;
        shard.others = Some(next);
        Ok(taken)
    }
}

#[cfg(test)]
#[path = "clients_tests.rs"]
mod tests;
