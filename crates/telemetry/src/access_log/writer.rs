//! The buffers between the workers and the thread that writes them out.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde::Serialize;

use super::json;
use crate::metrics::Counter;
use crate::shard;

/// Bytes a core may have waiting. At 400 bytes a line, 2,600 records per core and [`WINDOW`].
const SHARD_LIMIT: usize = 1 << 20;

/// How long the writer lets records gather, so that a busy worker wakes it at most this often.
const WINDOW: Duration = Duration::from_millis(5);

/// At most one warning about a failing target in this time.
const QUIET: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Shared {
    shards: Box<[Mutex<Lines>]>,
    dropped: Counter,
    /// Set by the first worker that appends after the writer began to drain; it wakes the writer.
    pending: AtomicBool,
    stopping: AtomicBool,
    flush_wanted: AtomicU64,
    flush_done: Mutex<u64>,
    flushed: Condvar,
    writer: OnceLock<Thread>,
}

/// Whole lines, and how many.
#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    count: u64,
}

pub(super) fn spawn(
    target: impl Write + Send + 'static,
    dropped: Counter,
) -> io::Result<Arc<Shared>> {
    let shared = Arc::new(Shared {
        shards: (0..shard::count()).map(|_| Mutex::default()).collect(),
        dropped,
        pending: AtomicBool::new(false),
        stopping: AtomicBool::new(false),
        flush_wanted: AtomicU64::new(0),
        flush_done: Mutex::new(0),
        flushed: Condvar::new(),
        writer: OnceLock::new(),
    });
    let of_writer = Arc::clone(&shared);
    let handle = thread::Builder::new()
        .name("access-log".to_owned())
        .spawn(move || Writer::new(of_writer, target).run())?;
    // The thread sets the same value; whoever comes first wins.
    shared.writer.get_or_init(|| handle.thread().clone());
    Ok(shared)
}

impl Shared {
    pub(super) fn append(&self, record: &impl Serialize) {
        let own = shard::index(self.shards.len());
        let mask = self.shards.len() - 1;
        // Our own shard is taken only while the writer swaps it, or by a thread that shares it.
        let free =
            (0..self.shards.len()).find_map(|offset| self.shards[(own + offset) & mask].try_lock());
        let Some(mut lines) = free else {
            self.dropped.inc();
            return;
        };
        let start = lines.bytes.len();
        let written = start < SHARD_LIMIT
            && json::append_line(&mut lines.bytes, record).is_ok()
            && lines.bytes.len() <= SHARD_LIMIT;
        if !written {
            lines.bytes.truncate(start);
            drop(lines);
            self.dropped.inc();
            return;
        }
        lines.count += 1;
        drop(lines);
        // The writer clears `pending` before it takes the shard's lock. So either it sees this
        // line, or we see `pending` cleared.
        if !self.pending.load(Ordering::Acquire) && !self.pending.swap(true, Ordering::AcqRel) {
            self.wake();
        }
    }

    /// Has everything written at once, and the target flushed though there be nothing to write.
    pub(super) fn hurry(&self) -> u64 {
        let ours = self.flush_wanted.fetch_add(1, Ordering::AcqRel) + 1;
        self.wake();
        ours
    }

    pub(super) fn flush(&self, deadline: Duration) -> bool {
        let ours = self.hurry();
        let end = Instant::now() + deadline;
        let mut done = self.flush_done.lock();
        while *done < ours {
            if self.flushed.wait_until(&mut done, end).timed_out() {
                return *done >= ours;
            }
        }
        true
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }
}

struct Writer<W> {
    shared: Arc<Shared>,
    target: W,
    /// Takes the place of a shard's lines while those are written.
    spare: Lines,
    answered: u64,
    complained: Option<Instant>,
}

impl<W: Write> Writer<W> {
    fn new(shared: Arc<Shared>, target: W) -> Self {
        Self {
            shared,
            target,
            spare: Lines::default(),
            answered: 0,
            complained: None,
        }
    }

    fn run(mut self) {
        self.shared.writer.get_or_init(thread::current);
        loop {
            self.wait();
            let stopping = self.shared.stopping.load(Ordering::Acquire);
            let wanted = self.shared.flush_wanted.load(Ordering::Acquire);
            self.shared.pending.store(false, Ordering::Release);
            self.drain();
            if wanted != self.answered {
                self.answered = wanted;
                *self.shared.flush_done.lock() = wanted;
                self.shared.flushed.notify_all();
            }
            if stopping {
                return;
            }
        }
    }

    /// Until there is something to do; records alone are given a while to gather.
    fn wait(&self) {
        while !self.hurry() && !self.shared.pending.load(Ordering::Acquire) {
            thread::park();
        }
        let start = Instant::now();
        while !self.hurry() {
            match WINDOW.checked_sub(start.elapsed()) {
                Some(rest) if !rest.is_zero() => thread::park_timeout(rest),
                _ => return,
            }
        }
    }

    fn hurry(&self) -> bool {
        self.shared.stopping.load(Ordering::Acquire)
            || self.shared.flush_wanted.load(Ordering::Acquire) != self.answered
    }

    fn drain(&mut self) {
        let shared = Arc::clone(&self.shared);
        let mut result = Ok(());
        for shard in &shared.shards {
            std::mem::swap(&mut *shard.lock(), &mut self.spare);
            if self.spare.count > 0 {
                let written = self.target.write_all(&self.spare.bytes);
                if written.is_err() {
                    self.shared.dropped.add(self.spare.count);
                    result = written;
                }
            }
            self.spare.bytes.clear();
            self.spare.count = 0;
        }
        if let Err(error) = result.and_then(|()| self.target.flush()) {
            self.complain(&error);
        }
    }

    fn complain(&mut self, error: &io::Error) {
        let quiet = self.complained.is_some_and(|last| last.elapsed() < QUIET);
        if !quiet {
            self.complained = Some(Instant::now());
            tracing::warn!(%error, "cannot write the access log; records are lost");
        }
    }
}
