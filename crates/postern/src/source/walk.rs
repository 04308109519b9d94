//! Which files there are.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// Directories nested deeper than this are a mistake, or a loop of links.
const DEPTH: usize = 32;

/// The manifests below some paths.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) files: BTreeSet<PathBuf>,
    /// What could not be listed: files known below it are still there for all we know.
    pub(super) errors: Vec<(PathBuf, io::Error)>,
}

impl Walk {
    /// Lists directories with all that is below them; a file given by name counts whatever its ending.
    pub(super) fn new(roots: &[PathBuf]) -> Self {
        let mut walk = Self::default();
        for root in roots {
            match fs::metadata(root) {
                Ok(metadata) if metadata.is_dir() => walk.directory(root, &mut Vec::new()),
                Ok(_) => drop(walk.files.insert(root.clone())),
                Err(error) => walk.errors.push((root.clone(), error)),
            }
        }
        walk
    }

    /// `above` holds the real paths of the directories we are in, so that links cannot lead in circles.
    fn directory(&mut self, path: &Path, above: &mut Vec<PathBuf>) {
        let listing = fs::canonicalize(path).and_then(|real| Ok((real, fs::read_dir(path)?)));
        let (real, entries) = match listing {
            Ok(listing) => listing,
            Err(error) => return self.errors.push((path.to_owned(), error)),
        };
        if above.contains(&real) || above.len() >= DEPTH {
            return;
        }
        above.push(real);
        for entry in entries {
            match entry {
                Ok(entry) => self.entry(&entry.path(), above),
                Err(error) => self.errors.push((path.to_owned(), error)),
            }
        }
        above.pop();
    }

    fn entry(&mut self, path: &Path, above: &mut Vec<PathBuf>) {
        if is_passing(path) {
            return;
        }
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.directory(path, above),
            Ok(metadata) if metadata.is_file() && is_manifest(path) => {
                self.files.insert(path.to_owned());
            }
            // Pipes and devices have no end that we could wait for.
            Ok(_) => {}
            // Gone since it was listed, or a link that leads nowhere.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.errors.push((path.to_owned(), error)),
        }
    }
}

/// What editors leave for a moment (`.a.yaml.swp`, `a.yaml~`), and what ConfigMap volumes keep behind their links
/// (`..data`).
fn is_passing(path: &Path) -> bool {
    path.file_name().is_some_and(|name| {
        name.as_encoded_bytes().starts_with(b".") || name.as_encoded_bytes().ends_with(b"~")
    })
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|ending| {
        ["yaml", "yml", "json"]
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    })
}
