//! Requests that each client has in flight.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::Arc,
};

use parking_lot::Mutex;

use super::network;

/// Parts of the table, each behind a lock of its own.
const SHARDS: usize = 16;

/// A rule's counts. A client is in the table only while it has requests in flight, so there are never more clients than
/// requests, which are bounded themselves.
#[derive(Debug)]
pub(crate) struct InFlight {
    keys: RandomState,
    shards: [Mutex<HashMap<IpAddr, u32>>; SHARDS],
}

/// A request that counts for its client until this is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    counts: Arc<InFlight>,
    client: IpAddr,
}

impl InFlight {
    /// Nobody asks anything.
    pub(crate) fn new() -> Self {
        Self {
            keys: RandomState::new(),
            shards: Default::default(),
        }
    }

    /// One more request of a client, unless it has `most` of them.
    pub(crate) fn enter(self: &Arc<Self>, client: IpAddr, most: u32) -> Option<Permit> {
        let client = network(client);
        let mut counts = self.shard(client).lock();
        let count = counts.entry(client).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Permit {
            counts: Arc::clone(self),
            client,
        })
    }

    fn shard(&self, client: IpAddr) -> &Mutex<HashMap<IpAddr, u32>> {
        let at = self.keys.hash_one(client) % SHARDS as u64;
        &self.shards[usize::try_from(at).unwrap_or(0)]
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.counts.shard(self.client).lock();
        if let Entry::Occupied(mut count) = counts.entry(self.client) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, sync::Arc};

    use super::InFlight;

    fn client(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_counts_while_it_asks_and_is_forgotten() {
        let counts = Arc::new(InFlight::new());
        let ask = |address| counts.enter(client(address), 2);
        let (first, second) = (ask("10.0.0.1"), ask("10.0.0.1"));
        assert!(first.is_some() && second.is_some());
        assert!(ask("10.0.0.1").is_none() && ask("10.0.0.2").is_some());
        drop(first);
        let third = ask("10.0.0.1");
        assert!(third.is_some() && ask("10.0.0.1").is_none());
        let v6 = [ask("2001:db8::1"), ask("2001:db8::2")];
        assert!(v6.iter().all(Option::is_some) && ask("2001:db8::3").is_none());
        drop((second, third, v6));
        assert!(counts.shards.iter().all(|shard| shard.lock().is_empty()));
    }

    #[test]
    fn workers_count_together() {
        let counts = Arc::new(InFlight::new());
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let counts = Arc::clone(&counts);
                std::thread::spawn(move || {
                    let permits = (0..100).filter_map(|_| counts.enter(client("10.0.0.1"), 150));
                    permits.collect::<Vec<_>>()
                })
            })
            .collect();
        let held: Vec<_> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(held.len(), 150);
    }
}
