//! The coarse clock of a worker, and waits in its ticks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

/// How often the watch looks.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// A coarse clock, moved on by a worker's watch. Starts at 1: zero means "not set".
#[derive(Debug, Clone)]
pub(crate) struct Clock(Arc<AtomicU32>);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU32::new(1)))
    }

    pub(crate) fn now(&self) -> u32 {
        self.0.load(Relaxed)
    }

    pub(crate) fn advance(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// How many ticks a wait may take at most.
pub(crate) fn ticks(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis() / TICK.as_millis())
        .unwrap_or(u32::MAX)
        .max(1)
}
