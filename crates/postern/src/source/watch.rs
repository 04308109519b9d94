//! Looks again whenever something happens to the files.
//!
//! Events only say *when* to look: every look goes over all files, so an event that is lost or misread costs time, never
//! correctness. Looks without any event make up for file systems that report none.

use std::{
    path::{Path, PathBuf},
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
        watched: Vec::new(),
    };
    watching.renew(files.roots());
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
            watching.watched.clear();
        }
        let seen = files.look();
        watching.renew(files.roots());
        if seen.changed {
            updates.send_replace(Arc::new(files.update()));
        }
        if updates.is_closed() {
            return;
        }
        pause = seen.again.unwrap_or(POLL);
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

/// What a path leads to.
type Identity = (PathBuf, Option<(u64, u64)>);

/// What is being watched: each root with all below it, and its parent, where a root is renamed or replaced.
struct Watching {
    watcher: Option<RecommendedWatcher>,
    watched: Vec<(PathBuf, Identity)>,
}

impl Watching {
    /// A root that has become another directory (recreated, or a link that leads elsewhere) is watched anew.
    fn renew(&mut self, roots: &[PathBuf]) {
        for root in roots {
            let parent = match root.parent() {
                Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
                Some(parent) => parent,
                None => root,
            };
            self.watch(parent, RecursiveMode::NonRecursive);
            self.watch(root, RecursiveMode::Recursive);
        }
    }

    fn watch(&mut self, path: &Path, mode: RecursiveMode) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let Some(identity) = identity(path) else {
            self.watched.retain(|(known, _)| known != path);
            return;
        };
        let entry = (path.to_owned(), identity);
        if self.watched.contains(&entry) {
            return;
        }
        if let Err(error) = watcher.watch(path, mode) {
            let path = path.display();
            tracing::warn!(%path, %error, every = ?POLL, "changes cannot be watched here; looking from time to time");
        }
        self.watched.retain(|(known, _)| known != path);
        self.watched.push(entry);
    }
}

fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    let real = path.canonicalize().ok()?;
    let inode = real
        .metadata()
        .ok()
        .map(|metadata| (metadata.dev(), metadata.ino()));
    Some((real, inode))
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
