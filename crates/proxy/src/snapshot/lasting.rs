//! What lasts about a rule from one snapshot to the next.

use std::sync::{Arc, atomic::AtomicU64};

use ir::{ConcurrencyLimit, Filter, RateLimit, Rule};

use crate::limit::{Bucket, InFlight};

/// What lasts about a rule: how far its split and its mirrors have come, and what is left in its buckets.
#[derive(Default)]
pub(super) struct Lasting {
    pub(super) positions: Arc<Positions>,
    /// One for each rate limit, in order.
    pub(super) buckets: Vec<Arc<Bucket>>,
    /// Where the rule limits what clients have in flight.
    pub(super) in_flight: Option<Arc<InFlight>>,
}

#[derive(Default)]
pub(super) struct Positions {
    pub(super) split: AtomicU64,
    pub(super) mirror: AtomicU64,
}

impl Lasting {
    /// What a rule needs, with what is known from before. A bucket is kept for as long as its limit
    /// stays the same, whoever is exempt from it.
    pub(super) fn of(rule: &Rule, before: Option<&Arc<Self>>) -> Arc<Self> {
        let limits = || {
            rule.filters.iter().filter_map(|filter| match filter {
                Filter::RateLimit(limit) => Some(limit),
                _ => None,
            })
        };
        let counts = concurrency(rule).is_some();
        if let Some(before) = before
            && before.in_flight.is_some() == counts
            && before
                .buckets
                .iter()
                .map(|bucket| bucket.limit())
                .eq(limits())
        {
            return Arc::clone(before);
        }
        let in_flight = before.and_then(|before| before.in_flight.clone());
        let mut known = before.map_or_else(Vec::new, |before| before.buckets.clone());
        Arc::new(Self {
            positions: before
                .map(|before| Arc::clone(&before.positions))
                .unwrap_or_default(),
            buckets: limits().map(|limit| bucket(limit, &mut known)).collect(),
            in_flight: counts.then(|| in_flight.unwrap_or_else(|| Arc::new(InFlight::new()))),
        })
    }
}

/// The bucket for a limit: the one that it had, or a full one.
fn bucket(limit: &RateLimit, known: &mut Vec<Arc<Bucket>>) -> Arc<Bucket> {
    let same = known.iter().position(|bucket| bucket.limit() == limit);
    let alike = || {
        known
            .iter()
            .position(|bucket| bucket.limit().same_bucket(limit))
    };
    let Some(at) = same.or_else(alike) else {
        return Arc::new(Bucket::new(limit));
    };
    let bucket = known.swap_remove(at);
    match bucket.limit() == limit {
        true => bucket,
        false => Arc::new(bucket.for_others(limit)),
    }
}

pub(super) fn concurrency(rule: &Rule) -> Option<&ConcurrencyLimit> {
    rule.filters.iter().find_map(|filter| match filter {
        Filter::Concurrency(limit) => Some(limit),
        _ => None,
    })
}
