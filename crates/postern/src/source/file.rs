//! All files together: what changed since the last look, and the objects of all of them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use api::{Reading, Resources};

use super::{
    Place, Problem, ProblemKind, SourceError, Update,
    manifest::{Look, Manifest, bounded},
    walk::{Inode, Walk},
};

/// How long a file must have been left alone before it is read.
pub(super) const QUIET: Duration = Duration::from_millis(50);

/// How long the first look waits for files that are being written.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// The name that stands for standard input.
const STDIN: &str = "-";

/// Manifests below some paths, as last seen.
#[derive(Debug)]
pub(crate) struct Files {
    roots: Vec<PathBuf>,
    known: BTreeMap<PathBuf, Manifest>,
    directories: BTreeMap<PathBuf, Inode>,
    unlisted: Vec<Problem>,
}

/// What a look at all files has brought.
#[derive(Debug)]
pub(super) struct Seen {
    /// Whether [`Files::update`] would differ from before.
    pub(super) changed: bool,
    /// Some file is being written: look again after this long.
    pub(super) again: Option<Duration>,
}

impl Files {
    /// Reads everything for the first time.
    ///
    /// # Errors
    /// One of `roots` is not there or must not be read.
    pub(crate) fn open(roots: &[PathBuf]) -> Result<Self, SourceError> {
        for root in roots {
            let readable = if root.is_dir() {
                std::fs::read_dir(root).map(drop)
            } else {
                std::fs::File::open(root).map(drop)
            };
            readable.map_err(|error| SourceError::Unreadable {
                path: root.clone(),
                why: error.to_string(),
            })?;
        }
        let mut files = Self {
            roots: roots.to_vec(),
            known: BTreeMap::new(),
            directories: BTreeMap::new(),
            unlisted: Vec::new(),
        };
        let start = Instant::now();
        while let Some(wait) = files.look().again {
            if start.elapsed() >= FIRST_LOOK {
                break;
            }
            thread::sleep(wait);
        }
        Ok(files)
    }

    /// Where something may happen to the files, as of the last look.
    pub(super) const fn directories(&self) -> &BTreeMap<PathBuf, Inode> {
        &self.directories
    }

    /// Looks at all files; those that did not change are not read.
    pub(super) fn look(&mut self) -> Seen {
        let walk = Walk::new(&self.roots);
        let mut seen = Seen {
            changed: false,
            again: None,
        };
        let below_error = |path: &Path| {
            walk.errors
                .iter()
                .any(|(parent, _)| path.starts_with(parent))
        };
        let before = self.known.len();
        self.known
            .retain(|path, _| walk.files.contains(path) || below_error(path));
        seen.changed |= self.known.len() != before;
        for path in &walk.files {
            let manifest = self.known.entry(path.clone()).or_default();
            match manifest.look(path, QUIET) {
                Look::Same => {}
                Look::Changed => seen.changed = true,
                Look::Unsettled(wait) => {
                    seen.again = Some(seen.again.map_or(wait, |again| again.min(wait)))
                }
                Look::Gone => {
                    self.known.remove(path);
                    seen.changed = true;
                }
            }
        }
        let unlisted: Vec<_> = walk
            .errors
            .iter()
            .map(|(path, error)| {
                let message =
                    format!("cannot be listed: {error}; what was read there before stays in use");
                Problem::unread(path, None, message)
            })
            .collect();
        seen.changed |= unlisted != self.unlisted;
        self.unlisted = unlisted;
        self.directories = walk.directories;
        seen
    }

    /// All objects as they stand. Of two objects of the same kind and name, the one in the first file by path counts.
    pub(crate) fn update(&self) -> Update {
        let mut resources = Resources::default();
        let mut origins: BTreeMap<_, Place> = BTreeMap::new();
        let mut problems = self.unlisted.clone();
        let mut tolerated = Vec::new();
        let mut skipped = BTreeMap::new();
        for manifest in self.known.values() {
            problems.extend(manifest.problems.iter().cloned());
            tolerated.extend(manifest.tolerated.iter().cloned());
            for kind in &manifest.skipped {
                *skipped.entry(kind.clone()).or_default() += 1;
            }
            for (object, place) in &manifest.objects {
                let reference = object.reference();
                if let Some(first) = origins.get(&reference) {
                    let message = format!(
                        "{reference} is in {first} already, which counts; remove one of the two"
                    );
                    let problem = Problem::new(&place.path, Some(place.line), message);
                    problems.push(problem.of(ProblemKind::Twice));
                    continue;
                }
                resources.insert_reading(Reading {
                    object: object.clone(),
                    beyond: manifest.beyond.get(&reference).cloned(),
                });
                origins.insert(reference, place.clone());
            }
        }
        problems.sort();
        tolerated.sort();
        Update {
            resources: Arc::new(resources),
            origins: Arc::new(origins),
            problems,
            tolerated,
            skipped,
            ..Update::default()
        }
    }
}

/// Reads everything once; `-` is standard input.
///
/// # Errors
/// As [`Files::open`]; or standard input failed.
pub(crate) fn read_once(roots: &[PathBuf]) -> Result<Update, SourceError> {
    let (input, paths): (Vec<_>, Vec<_>) = roots
        .iter()
        .cloned()
        .partition(|path| path.as_os_str() == STDIN);
    let mut files = Files::open(&paths)?;
    if !input.is_empty() {
        let text = bounded(std::io::stdin()).map_err(SourceError::Stdin)?;
        let path = PathBuf::from("stdin");
        let manifest = Manifest::from_text(&path, text);
        files.known.insert(path, manifest);
    }
    Ok(files.update())
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
