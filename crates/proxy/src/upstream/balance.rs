//! A cluster and what lasts about it, and the choice among its endpoints.

use std::{
    cell::Cell,
    hash::Hasher,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
};

use fnv::FnvHasher;
use ir::{Balance, Cluster, Endpoint};

use crate::upstream::{
    UpstreamClient,
    names::{Name, Names},
};

/// Where no connection could be made, so many more endpoints are tried, unless a rule for retries says how many.
const ELSEWHERE: usize = 2;

/// Up to so many endpoints all are compared for the fewest requests in flight; of more, two at random.
const COMPARED: usize = 32;

/// A cluster, and what lasts about it.
pub(crate) struct ClusterState {
    pub(crate) cluster: Arc<Cluster>,
    /// Where the cluster has TLS.
    pub(crate) tls: Option<Arc<UpstreamClient>>,
    /// What the backend is known by in session cookies.
    pub(crate) id: u64,
    /// How far the round has come.
    turn: Arc<AtomicU64>,
    /// Requests in flight, parallel to the endpoints; counted only where they are compared.
    loads: Box<[Arc<AtomicU32>]>,
    /// Parallel to the endpoints: what each is known by in session cookies and hashes.
    marks: Box<[u64]>,
    /// Parallel to the endpoints, where any of them has a name.
    names: Box<[Option<Arc<Name>>]>,
}

/// An endpoint that was chosen.
pub(crate) struct Picked<'a> {
    pub(crate) endpoint: &'a Endpoint,
    /// Where the endpoint has a name: what is known of it.
    pub(crate) name: Option<&'a Arc<Name>>,
    /// Counts the request until it is dropped.
    pub(crate) load: Option<Load>,
}

/// One request in flight.
pub(crate) struct Load(Arc<AtomicU32>);

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl ClusterState {
    /// A cluster, with what `before` knew of it.
    pub(crate) fn new(
        cluster: &Arc<Cluster>,
        tls: Option<Arc<UpstreamClient>>,
        before: Option<&Arc<Self>>,
        names: &Names,
    ) -> Arc<Self> {
        if let Some(before) = before
            && before.cluster == *cluster
        {
            return Arc::clone(before);
        }
        let counted = matches!(cluster.balance, Balance::LeastRequest);
        let load = |endpoint: &Endpoint| {
            let known = before.and_then(|before| {
                let at = before
                    .cluster
                    .endpoints
                    .iter()
                    .position(|e| e == endpoint)?;
                before.loads.get(at).cloned()
            });
            known.unwrap_or_default()
        };
        let endpoints = &cluster.endpoints;
        let service = cluster.service.as_ref().unwrap_or(&cluster.key.0);
        Arc::new(Self {
            cluster: Arc::clone(cluster),
            tls,
            id: hash(service.as_bytes()),
            turn: before
                .map(|before| Arc::clone(&before.turn))
                .unwrap_or_default(),
            loads: endpoints.iter().filter(|_| counted).map(load).collect(),
            marks: endpoints
                .iter()
                .map(|endpoint| mark(service, endpoint))
                .collect(),
            names: known(endpoints, names),
        })
    }

    /// The endpoint for an attempt; `key` is the hash of what the cluster balances by, if the request has it. Each
    /// further attempt gets another endpoint, where there is one.
    pub(crate) fn pick(&self, key: Option<u64>, attempt: u32) -> Option<Picked<'_>> {
        let endpoints = &*self.cluster.endpoints;
        let at = match (endpoints.len(), &self.cluster.balance, key) {
            (0, ..) => return None,
            (1, ..) => 0,
            (_, Balance::Hash(_), Some(key)) => self.ranked(key, attempt),
            (_, Balance::LeastRequest, _) => self.least(),
            (count, Balance::Random, _) => random_below(count),
            (_, Balance::RoundRobin | Balance::Hash(_), _) => self.next(),
        };
        self.picked(at)
    }

    /// [`Self::pick`] after others came to nothing: an endpoint that is not among `tried`, as long as there is one.
    pub(crate) fn pick_other(&self, key: Option<u64>, tried: &[Endpoint]) -> Option<Picked<'_>> {
        let attempt = u32::try_from(tried.len()).unwrap_or(u32::MAX);
        let picked = self.pick(key, attempt)?;
        if !tried.contains(picked.endpoint) {
            return Some(picked);
        }
        let mut endpoints = self.cluster.endpoints.iter();
        self.picked(endpoints.position(|endpoint| !tried.contains(endpoint))?)
    }

    /// [`Self::pick`], but one of `tried` only where there is no other.
    pub(crate) fn pick_untried(
        &self,
        key: Option<u64>,
        attempt: u32,
        tried: &[Endpoint],
    ) -> Option<Picked<'_>> {
        if tried.is_empty() {
            return self.pick(key, attempt);
        }
        let other = self.pick_other(key, tried);
        other.or_else(|| self.pick(key, attempt))
    }

    /// Whether another endpoint is to be tried, as no connection could be made to these.
    pub(crate) fn goes_on(&self, tried: &[Endpoint]) -> bool {
        let mut endpoints = self.cluster.endpoints.iter();
        tried.len() <= ELSEWHERE && endpoints.any(|endpoint| !tried.contains(endpoint))
    }

    /// Whether there is anybody to ask.
    pub(crate) fn has_endpoints(&self) -> bool {
        !self.cluster.endpoints.is_empty()
    }

    /// The endpoint that a session cookie names.
    pub(crate) fn marked(&self, mark: u64) -> Option<Picked<'_>> {
        let at = self.marks.iter().position(|known| *known == mark)?;
        self.picked(at)
    }

    /// Whether a session cookie names one of these endpoints.
    pub(crate) fn has_mark(&self, mark: u64) -> bool {
        self.marks.contains(&mark)
    }

    /// The endpoint that a value leads to which names none; each further attempt gets another, where there is one.
    pub(crate) fn led_to(&self, key: u64, attempt: u32) -> Option<Picked<'_>> {
        match self.cluster.endpoints.len() {
            0 => None,
            1 => self.picked(0),
            _ => self.picked(self.ranked(key, attempt)),
        }
    }

    /// What an endpoint is known by.
    pub(crate) fn mark_of(&self, endpoint: &Endpoint) -> Option<u64> {
        let at = self.cluster.endpoints.iter().position(|e| e == endpoint)?;
        self.marks.get(at).copied()
    }

    fn picked(&self, at: usize) -> Option<Picked<'_>> {
        let load = self.loads.get(at).map(|load| {
            load.fetch_add(1, Relaxed);
            Load(Arc::clone(load))
        });
        let endpoint = self.cluster.endpoints.get(at)?;
        Some(Picked {
            endpoint,
            name: self.names.get(at).and_then(Option::as_ref),
            load,
        })
    }

    fn next(&self) -> usize {
        let count = self.cluster.endpoints.len() as u64;
        let turn = self.turn.fetch_add(1, Relaxed) % count.max(1);
        usize::try_from(turn).unwrap_or(0)
    }

    /// The least loaded; of several, the one whose turn it is.
    fn least(&self) -> usize {
        let load = |at: usize| {
            self.loads
                .get(at)
                .map_or(u32::MAX, |load| load.load(Relaxed))
        };
        let count = self.loads.len();
        if count > COMPARED {
            let (a, b) = (random_below(count), random_below(count));
            return if load(b) < load(a) { b } else { a };
        }
        let first = self.next();
        let all = (0..count).map(|step| (first + step) % count);
        all.min_by_key(|at| load(*at)).unwrap_or(0)
    }

    /// Rendezvous hashing: every endpoint has a score for the key, and the best wins. One that comes or goes moves only
    /// the keys that it wins or has won.
    fn ranked(&self, key: u64, attempt: u32) -> usize {
        let score = |at: usize| mix(key ^ self.marks.get(at).copied().unwrap_or_default());
        let all = 0..self.marks.len();
        if attempt == 0 {
            return all.max_by_key(|at| score(*at)).unwrap_or(0);
        }
        let mut ranked: Vec<usize> = all.collect();
        ranked.sort_unstable_by_key(|at| std::cmp::Reverse(score(*at)));
        let place = usize::try_from(attempt).unwrap_or(0) % ranked.len().max(1);
        ranked.get(place).copied().unwrap_or(0)
    }
}

/// What is known of the names of endpoints; nothing, where none has one.
fn known(endpoints: &[Endpoint], names: &Names) -> Box<[Option<Arc<Name>>]> {
    let name = |endpoint: &Endpoint| match endpoint {
        Endpoint::Address(_) => None,
        Endpoint::Name { host, .. } => Some(names.get(host)),
    };
    let any = { endpoints.iter() }.any(|endpoint| matches!(endpoint, Endpoint::Name { .. }));
    endpoints.iter().filter(|_| any).map(name).collect()
}

/// The hash of a key (FNV-1a, then mixed): the same in every process and version, so that replicas agree.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(bytes);
    mix(hasher.finish())
}

fn mark(service: &str, endpoint: &Endpoint) -> u64 {
    let endpoint = match endpoint {
        Endpoint::Address(address) => address.to_string(),
        Endpoint::Name { host, port } => format!("{host}:{port}"),
    };
    hash(format!("{service}|{endpoint}").as_bytes())
}

/// The finaliser of splitmix64: every bit of the input moves half of the bits of the output.
pub(crate) const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

thread_local! {
    static SEED: Cell<u64> = Cell::new(hash(format!("{:?}", std::thread::current().id()).as_bytes()));
}

/// Good enough to spread requests, and for nothing else.
pub(crate) fn random() -> u64 {
    let seed = SEED.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    SEED.set(seed);
    mix(seed)
}

fn random_below(count: usize) -> usize {
    usize::try_from(random() % count.max(1) as u64).unwrap_or(0)
}

#[cfg(test)]
#[path = "balance_tests.rs"]
mod tests;
