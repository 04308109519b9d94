//! Counters that cores do not fight over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::shard;

/// Two cache lines: adjacent-line prefetch makes neighbours share a pair.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Slot(AtomicU64);

/// A number that only grows. Clones count into the same number.
#[derive(Clone, Debug)]
pub struct Counter(Arc<[Slot]>);

impl Counter {
    /// A counter at zero.
    pub fn new() -> Self {
        Self((0..shard::count()).map(|_| Slot::default()).collect())
    }

    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `count`.
    pub fn add(&self, count: u64) {
        let slot = &self.0[shard::index(self.0.len())];
        slot.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The sum over all cores.
    pub fn get(&self) -> u64 {
        self.0
            .iter()
            .map(|slot| slot.0.load(Ordering::Relaxed))
            .sum()
    }
}

impl Default for Counter {
    fn default() -> Self {
        Self::new()
    }
}

const MAX_WORDS: usize = 64;

/// One counter per word. Words are few and constant: looking one up compares pointers and lengths
/// first, takes no lock, and past 64 different words the rest counts as `other`.
#[derive(Debug)]
pub struct WordCounters {
    slots: Box<[OnceLock<(&'static str, Counter)>]>,
    other: Counter,
}

impl WordCounters {
    pub(super) fn new() -> Self {
        Self {
            slots: (0..MAX_WORDS).map(|_| OnceLock::new()).collect(),
            other: Counter::new(),
        }
    }

    /// The counter of `word`, made on first use.
    pub fn of(&self, word: &'static str) -> &Counter {
        for slot in &self.slots {
            let (known, counter) = slot.get_or_init(|| (word, Counter::new()));
            if *known == word {
                return counter;
            }
        }
        &self.other
    }

    /// Adds one to `word`.
    pub fn inc(&self, word: &'static str) {
        self.of(word).inc();
    }

    /// Makes `words` appear from the start, at zero, as rates in Prometheus want it.
    pub fn declare(&self, words: &[&'static str]) {
        for word in words {
            self.of(word);
        }
    }

    /// Every word seen so far and its count.
    pub(super) fn snapshot(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let other = self.other.get();
        self.slots
            .iter()
            .map_while(OnceLock::get)
            .map(|(word, counter)| (*word, counter.get()))
            .chain((other > 0).then_some(("other", other)))
    }
}
