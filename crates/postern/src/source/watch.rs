//! Looks again whenever something happens to the files.
//!
//! Events only say *when* to look: every look goes over all files, so an event that is lost or misread costs time,
//! never correctness. Looks without any event make up for file systems that report none.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use tokio::sync::watch;

use super::{
    Update,
    file::{Files, QUIET},
    walk::Inode,
};

/// A burst of events delays a look no longer than this.
const LONGEST_BURST: Duration = Duration::from_millis(500);

/// Looks without any event.
const POLL: Duration = Duration::from_secs(10);

enum Wake {
    /// Something happened.
    Event,
    /// Something went away: perhaps what we watch.
    Removed,
    /// Somebody asks.
    Now,
}

/// Has the files looked at at once.
#[derive(Debug, Clone)]
pub(crate) struct Reload(Sender<Wake>);

impl Reload {
    /// Does not wait for the look.
    pub(crate) fn now(&self) {
        // The watch ends with the process only.
        let _ = self.0.send(Wake::Now);
    }
}

/// Watches `files` on a thread of its own, until nobody listens any more. The receiver always holds the newest state.
///
/// # Errors
/// The thread could not be started.
pub(crate) fn start(files: Files) -> std::io::Result<(watch::Receiver<Arc<Update>>, Reload)> {
    let (updates, receiver) = watch::channel(Arc::new(files.update()));
    let (wake, wakes) = channel();
    let reload = Reload(wake.clone());
    let mut watching = Watching {
        watcher: watcher(wake),
        watched: BTreeMap::new(),
    };
    watching.renew(files.directories());
    thread::Builder::new()
        .name("files".to_owned())
        .spawn(move || run(files, &mut watching, &wakes, &updates))?;
    Ok((receiver, reload))
}

fn run(
    mut files: Files,
    watching: &mut Watching,
    wakes: &Receiver<Wake>,
    updates: &watch::Sender<Arc<Update>>,
) {
    // What happened between the first look and the start of the watch raised no event.
    let mut pause = QUIET;
    loop {
        let removed = match wakes.recv_timeout(pause) {
            Ok(Wake::Event) => settle(wakes),
            Ok(Wake::Removed) => {
                settle(wakes);
                true
            }
            Ok(Wake::Now) | Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if removed {
            watching.forget();
        }
        let seen = files.look();
        let news = watching.renew(files.directories());
        if seen.changed {
            updates.send_replace(Arc::new(files.update()));
        }
        if updates.is_closed() {
            return;
        }
        // What happened in a directory after it was looked at and before it was watched raised no event.
        let unseen = news.then_some(QUIET);
        pause = seen.again.into_iter().chain(unseen).min().unwrap_or(POLL);
    }
}

/// Waits until nothing has happened for a moment, though not for ever. Tells whether something went away meanwhile.
fn settle(wakes: &Receiver<Wake>) -> bool {
    let end = Instant::now() + LONGEST_BURST;
    let mut removed = false;
    loop {
        let left = end.saturating_duration_since(Instant::now()).min(QUIET);
        if left.is_zero() {
            return removed;
        }
        match wakes.recv_timeout(left) {
            Ok(Wake::Event) => {}
            Ok(Wake::Removed) => removed = true,
            Ok(Wake::Now) | Err(_) => return removed,
        }
    }
}

fn watcher(wake: Sender<Wake>) -> Option<RecommendedWatcher> {
    let handler = move |event: notify::Result<Event>| {
        let kind = match event.map(|event| event.kind) {
            // Reading is not writing; our own looks would wake us for ever.
            Ok(EventKind::Access(AccessKind::Close(AccessMode::Write))) => Wake::Event,
            Ok(EventKind::Access(_)) => return,
            Ok(EventKind::Remove(_)) => Wake::Removed,
            // An error means that events were lost.
            Ok(_) | Err(_) => Wake::Event,
        };
        // The watch ends with the process only.
        let _ = wake.send(kind);
    };
    match notify::recommended_watcher(handler) {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(%error, every = ?POLL, "files cannot be watched; looking from time to time instead");
            None
        }
    }
}

/// The directories that are being watched, by their real paths: each by itself, so that links between them lead
/// nowhere.
struct Watching {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeMap<PathBuf, Inode>,
}

impl Watching {
    /// Watches these directories and no others; one that has another in its place is watched anew. Tells whether one is
    /// watched that was not.
    fn renew(&mut self, wanted: &BTreeMap<PathBuf, Inode>) -> bool {
        let Some(watcher) = &mut self.watcher else {
            return false;
        };
        self.watched.retain(|path, _| {
            let kept = wanted.contains_key(path);
            if !kept {
                // The watch of a directory that is gone has gone with it.
                let _ = watcher.unwatch(path);
            }
            kept
        });
        let mut news = false;
        for (path, inode) in wanted {
            if self.watched.get(path) == Some(inode) {
                continue;
            }
            if let Err(error) = watcher.watch(path, RecursiveMode::NonRecursive) {
                let path = path.display();
                tracing::warn!(%path, %error, every = ?POLL, "changes cannot be watched here; looking from time to time");
            }
            self.watched.insert(path.clone(), *inode);
            news = true;
        }
        news
    }

    /// Everything is to be watched anew: of what went away, the system has ended the watch.
    fn forget(&mut self) {
        self.watched.clear();
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
