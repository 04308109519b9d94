//! A file that is appended to, and opened anew when somebody has moved it away.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The file, for the one thread that writes.
#[derive(Debug)]
pub(super) struct Appending {
    path: PathBuf,
    file: File,
    asked: Reopen,
}

/// Asks for the file to be opened anew.
#[derive(Clone, Debug, Default)]
pub(super) struct Reopen(Arc<AtomicBool>);

impl Reopen {
    pub(super) fn ask(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Appending {
    /// The end of a file, made if it does not exist.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: end_of(path)?,
            asked: Reopen::default(),
        })
    }

    pub(super) fn handle(&self) -> Reopen {
        self.asked.clone()
    }

    /// Whoever asked gets a new file, or a line that says why there is none; no record is lost over it.
    fn renew(&mut self) {
        if !self.asked.0.swap(false, Ordering::AcqRel) {
            return;
        }
        match end_of(&self.path) {
            Ok(file) => self.file = file,
            Err(error) => {
                let path = self.path.display();
                tracing::warn!(%path, %error, "the access log cannot be opened anew; the old file is written on");
            }
        }
    }
}

fn end_of(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

impl Write for Appending {
    /// The writer gives whole lines at a time.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.renew();
        self.file.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.renew();
        self.file.flush()
    }
}
