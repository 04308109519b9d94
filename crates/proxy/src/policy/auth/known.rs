//! Credentials that were right, so that a slow hash is computed once and not for each request.

use std::collections::HashSet;

use parking_lot::RwLock;

/// What stands for credentials: a keyed hash over the user, the stored password and the given one. When either password
/// changes, nothing known fits any more, so nothing has to be forgotten when the configuration changes.
pub(crate) type Mark = [u8; 32];

/// How many are remembered at least; twice as many at most.
const ENOUGH: usize = 8_192;

/// A bounded set that forgets what was not asked for lately.
#[derive(Default)]
pub(crate) struct Known(RwLock<Generations>);

#[derive(Default)]
struct Generations {
    now: HashSet<Mark>,
    before: HashSet<Mark>,
}

impl Known {
    /// Whether these were right before.
    pub(crate) fn contains(&self, mark: &Mark) -> bool {
        let old = {
            let generations = self.0.read();
            if generations.now.contains(mark) {
                return true;
            }
            generations.before.contains(mark)
        };
        if old {
            self.insert(*mark);
        }
        old
    }

    /// Remembers them.
    pub(crate) fn insert(&self, mark: Mark) {
        let mut generations = self.0.write();
        if generations.now.len() >= ENOUGH {
            generations.before = std::mem::take(&mut generations.now);
        }
        generations.now.insert(mark);
    }
}

#[cfg(test)]
mod tests {
    use super::{ENOUGH, Known, Mark};

    fn mark(number: usize) -> Mark {
        let mut mark = [0; 32];
        mark[..8].copy_from_slice(&number.to_le_bytes());
        mark
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_in_use() {
        let known = Known::default();
        assert!(!known.contains(&mark(0)));
        for number in 0..10 * ENOUGH {
            known.insert(mark(number));
            assert!(
                known.contains(&mark(0)),
                "in use all the time, lost after {number}"
            );
        }
        let generations = known.0.read();
        assert!(generations.now.len() + generations.before.len() <= 2 * ENOUGH);
        drop(generations);
        assert!(known.contains(&mark(10 * ENOUGH - 1)) && !known.contains(&mark(1)));
    }
}
