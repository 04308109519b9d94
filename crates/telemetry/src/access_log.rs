//! The access log: one JSON object per request (or stream) and line, written by a thread of its own.
//!
//! A worker serialises its record straight into a buffer that belongs to its core; the writer
//! swaps full buffers for empty ones every few milliseconds. A worker never waits: when its
//! buffer is full because the target is slow, the record is dropped and counted.

mod appending;
mod json;
mod record;
mod writer;

use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::metrics::Counter;

pub use record::{Record, StreamRecord};

use appending::{Appending, Reopen};
use writer::Shared;

/// Where the access log goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// Nowhere.
    Off,
    /// Standard output.
    #[default]
    Stdout,
    /// The end of a file, made if it does not exist.
    File(PathBuf),
}

impl FromStr for Target {
    type Err = std::convert::Infallible;

    /// `off`, `stdout` (or `-`), anything else is a path.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "off" => Self::Off,
            "stdout" | "-" => Self::Stdout,
            path => Self::File(path.into()),
        })
    }
}

/// Why the access log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AccessLogError {
    /// The file cannot be appended to.
    #[error("cannot open access log {path}: {source}", path = .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No thread to write it.
    #[error("cannot start the access log's thread: {0}")]
    Thread(#[source] io::Error),
}

/// A handle to the access log; clones write to the same one. Off, it is a null pointer.
#[derive(Clone, Debug)]
pub struct AccessLog(Option<Arc<Owner>>);

/// Ends the writer when the last handle is gone.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    /// Where the target is a file.
    reopen: Option<Reopen>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl AccessLog {
    /// No access log.
    pub fn off() -> Self {
        Self(None)
    }

    /// Opens `target`. Records that have to be dropped are counted in `dropped`.
    pub fn open(target: &Target, dropped: Counter) -> Result<Self, AccessLogError> {
        match target {
            Target::Off => Ok(Self::off()),
            Target::Stdout => Self::to(io::stdout(), dropped),
            Target::File(path) => {
                let file = Appending::open(path).map_err(|source| AccessLogError::Open {
                    path: path.clone(),
                    source,
                })?;
                let reopen = file.handle();
                Self::start(file, dropped, Some(reopen))
            }
        }
    }

    /// Writes to `target`, which may block as long as it likes: only the log's own thread waits.
    pub fn to(
        target: impl Write + Send + 'static,
        dropped: Counter,
    ) -> Result<Self, AccessLogError> {
        Self::start(target, dropped, None)
    }

    fn start(
        target: impl Write + Send + 'static,
        dropped: Counter,
        reopen: Option<Reopen>,
    ) -> Result<Self, AccessLogError> {
        let shared = writer::spawn(target, dropped).map_err(AccessLogError::Thread)?;
        Ok(Self(Some(Arc::new(Owner { shared, reopen }))))
    }

    /// Has the file opened anew by its name, which is another once somebody has moved the old one away. Does not wait.
    /// Other targets stay as they are.
    pub fn reopen(&self) {
        if let Some(owner) = &self.0
            && let Some(reopen) = &owner.reopen
        {
            reopen.ask();
            owner.shared.hurry();
        }
    }

    /// Whether records go anywhere; ask before gathering one.
    pub fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    /// Queues one record. Never waits.
    pub fn log(&self, record: &Record<'_>) {
        if let Some(owner) = &self.0 {
            owner.shared.append(record);
        }
    }

    /// Queues the record of a stream. Never waits.
    pub fn log_stream(&self, record: &StreamRecord<'_>) {
        if let Some(owner) = &self.0 {
            owner.shared.append(record);
        }
    }

    /// Waits, blocking, until everything logged so far is written, at most `deadline`. Returns
    /// whether it is.
    pub fn flush(&self, deadline: Duration) -> bool {
        self.0
            .as_ref()
            .is_none_or(|owner| owner.shared.flush(deadline))
    }
}

#[cfg(test)]
#[path = "access_log_tests.rs"]
mod tests;
