//! Which slice of a sharded structure the current thread uses.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

static NEXT: AtomicUsize = AtomicUsize::new(0);

static COUNT: LazyLock<usize> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.next_power_of_two().clamp(4, 16)
});

thread_local! {
    static TICKET: usize = NEXT.fetch_add(1, Ordering::Relaxed);
}

/// How many shards there are: a power of two, about one per core.
pub(crate) fn count() -> usize {
    *COUNT
}

/// The current thread's shard; threads share one only when there are more threads than shards.
pub(crate) fn index(shards: usize) -> usize {
    // A thread that is being torn down has no thread locals any more; any shard is right for it.
    TICKET.try_with(|ticket| *ticket).unwrap_or(0) & (shards - 1)
}
