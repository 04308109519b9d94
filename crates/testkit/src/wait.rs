//! Waiting for what has no other sign.

use std::time::{Duration, Instant};

/// The longest that anything is waited for.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Looks again until it holds. Only for what happens in another thread or program, and says nothing when it has
/// happened.
///
/// # Panics
/// It does not hold after [`DEADLINE`].
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "{what}: it did not come about");
        std::thread::sleep(Duration::from_millis(5));
    }
}
