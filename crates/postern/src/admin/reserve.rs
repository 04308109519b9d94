//! File descriptors that are kept for the admin endpoint: it has to answer probes where the process has none left.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use parking_lot::Mutex;

/// So many. One would do, if nobody else took what is given back to the system for a moment.
const SIZE: usize = 8;

/// Descriptors that are good for nothing but to be closed when a connection needs one.
#[derive(Debug)]
pub(super) struct Reserve {
    /// What they are copies of.
    source: OwnedFd,
    held: Mutex<Vec<OwnedFd>>,
}

/// How much of the reserve is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Full,
    /// At least half.
    Short,
    Low,
}

impl Reserve {
    /// A reserve of copies of something that is open as long as the process lives.
    ///
    /// # Errors
    /// There is not even one descriptor left.
    pub(super) fn new(source: &impl AsFd) -> io::Result<Self> {
        let reserve = Self {
            source: source.as_fd().try_clone_to_owned()?,
            held: Mutex::default(),
        };
        reserve.refill();
        Ok(reserve)
    }

    /// Gives one back to the system. Tells whether there was one.
    pub(super) fn spend(&self) -> bool {
        self.held.lock().pop().is_some()
    }

    /// Takes as many as are missing, as far as there are any.
    pub(super) fn refill(&self) -> Level {
        let mut held = self.held.lock();
        while held.len() < SIZE
            && let Ok(copy) = self.source.try_clone()
        {
            held.push(copy);
        }
        match held.len() {
            SIZE => Level::Full,
            some if some >= SIZE / 2 => Level::Short,
            _ => Level::Low,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_is_taken_back() {
        let source = std::fs::File::open("/dev/null").unwrap();
        let reserve = Reserve::new(&source).unwrap();
        for _ in 0..2 {
            for _ in 0..SIZE {
                assert!(reserve.spend());
            }
            assert!(!reserve.spend(), "there are no more");
            assert_eq!(reserve.refill(), Level::Full);
        }
    }
}
