//! Datagrams that wait until it is known where the backend is.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use bytes::Bytes;

/// So many datagrams of a session wait, of so many bytes together.
const DATAGRAMS: usize = 16;
const BYTES: usize = 64 * 1024;

/// So many bytes wait in all sessions of a worker's share of a port: client addresses can be forged, and each may begin
/// one.
const TOGETHER: usize = 1024 * 1024;

/// The bytes that wait in all sessions together.
pub(super) type Together = Rc<Cell<usize>>;

/// What waits in a session.
pub(super) struct Waiting {
    datagrams: RefCell<Vec<Bytes>>,
    bytes: Cell<usize>,
    together: Together,
}

impl Waiting {
    pub(super) const fn new(together: Together) -> Self {
        Self {
            datagrams: RefCell::new(Vec::new()),
            bytes: Cell::new(0),
            together,
        }
    }

    /// Keeps a datagram, if there is room.
    pub(super) fn push(&self, datagram: &[u8]) -> bool {
        let mut datagrams = self.datagrams.borrow_mut();
        let bytes = self.bytes.get() + datagram.len();
        let together = self.together.get() + datagram.len();
        if datagrams.len() >= DATAGRAMS || bytes > BYTES || together > TOGETHER {
            return false;
        }
        datagrams.push(Bytes::copy_from_slice(datagram));
        self.bytes.set(bytes);
        self.together.set(together);
        true
    }

    /// Everything, in the order in which it came.
    pub(super) fn take(&self) -> Vec<Bytes> {
        let bytes = self.bytes.take();
        self.together.set(self.together.get() - bytes);
        self.datagrams.take()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.take();
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES, DATAGRAMS, TOGETHER, Together, Waiting};

    #[test]
    fn a_session_keeps_only_so_much() {
        let together = Together::default();
        let waiting = Waiting::new(Together::clone(&together));
        assert!(waiting.push(&[1; BYTES - 1]) && !waiting.push(&[2; 2]) && waiting.push(&[3]));
        assert_eq!(waiting.take().len(), 2);
        assert!((0..DATAGRAMS).all(|_| waiting.push(&[])) && !waiting.push(&[]));
        assert_eq!(together.get(), 0);
    }

    #[test]
    fn all_sessions_together_keep_only_so_much() {
        let together = Together::default();
        let full = |_| {
            let waiting = Waiting::new(Together::clone(&together));
            assert!(waiting.push(&[0; BYTES]));
            waiting
        };
        let mut sessions: Vec<_> = (0..TOGETHER / BYTES).map(full).collect();
        let one_more = Waiting::new(Together::clone(&together));
        assert!(!one_more.push(&[0]));
        drop(sessions.pop());
        assert!(one_more.push(&[0; BYTES]) && !one_more.push(&[0]));
        drop((sessions, one_more));
        assert_eq!(together.get(), 0);
    }
}
