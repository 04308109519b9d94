//! The connections to the admin endpoint: few, and the one that has been silent for longest makes room for a new one.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Connections at a time.
pub(super) const MOST: usize = 64;

/// Those that are open.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Mutex<BTreeMap<u64, Arc<Open>>>,
    /// Counts connections and requests: what happened later has the greater number.
    events: AtomicU64,
}

#[derive(Debug)]
struct Open {
    /// When it last asked, or came.
    asked: AtomicU64,
    close: Notify,
}

/// One connection, for as long as it is open.
#[derive(Debug)]
pub(super) struct Connection {
    connections: Arc<Connections>,
    id: u64,
    open: Arc<Open>,
}

impl Connections {
    /// One more. If there are as many as there may be, another has to go.
    pub(super) fn open(self: &Arc<Self>) -> Connection {
        let id = self.events.fetch_add(1, Relaxed);
        let open = Arc::new(Open {
            asked: AtomicU64::new(id),
            close: Notify::new(),
        });
        let mut all = self.open.lock();
        if all.len() >= MOST {
            close_one(&mut all);
        }
        all.insert(id, Arc::clone(&open));
        Connection {
            connections: Arc::clone(self),
            id,
            open,
        }
    }

    /// Closes the one that has not asked for longest.
    pub(super) fn make_room(&self) {
        close_one(&mut self.open.lock());
    }
}

fn close_one(all: &mut BTreeMap<u64, Arc<Open>>) {
    let silent = all.iter().min_by_key(|(_, open)| open.asked.load(Relaxed));
    if let Some(id) = silent.map(|(id, _)| *id)
        && let Some(open) = all.remove(&id)
    {
        open.close.notify_one();
    }
}

impl Connection {
    /// It asks for something.
    pub(super) fn asks(&self) {
        let now = self.connections.events.fetch_add(1, Relaxed);
        self.open.asked.store(now, Relaxed);
    }

    /// Comes when it has to go.
    pub(super) async fn closed(&self) {
        self.open.close.notified().await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.open.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_one_that_was_silent_for_longest_goes() {
        let connections = Arc::new(Connections::default());
        let mut all: Vec<_> = (0..MOST).map(|_| connections.open()).collect();
        all[0].asks();
        let closed = |all: &[Connection]| -> Vec<usize> {
            let closed = all.iter().map(|one| one.closed().now_or_never().is_some());
            let closed = closed.enumerate().filter(|(_, closed)| *closed);
            closed.map(|(at, _)| at).collect()
        };
        assert_eq!(closed(&all), [0; 0]);
        all.push(connections.open());
        assert_eq!(closed(&all), [1]);
        connections.make_room();
        assert_eq!(closed(&all), [2]);
        // Two have been told, so one more may come.
        all.push(connections.open());
        assert_eq!(closed(&all), [0; 0]);
        all.push(connections.open());
        assert_eq!(closed(&all), [3]);
        drop(all);
        connections.make_room();
        assert!(connections.open.lock().is_empty());
    }
}
