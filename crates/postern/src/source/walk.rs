//! Which files there are, and in which directories.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, DirEntry, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Directories nested deeper than this are a mistake.
const DEPTH: usize = 32;

/// What tells a directory from another of its name.
pub(super) type Inode = (u64, u64);

/// The manifests below some paths.
///
/// Directories and files are known by their real paths, so that each is met once, by whatever links it is reached.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// By the first name that they were met under. Roots are walked in the order given, directories by name.
    pub(super) files: BTreeSet<PathBuf>,
    /// Real paths of the directories that hold these files, and where a root may be put in the place of another.
    pub(super) directories: BTreeMap<PathBuf, Inode>,
    /// What could not be listed: files known below it are still there for all we know.
    pub(super) errors: Vec<(PathBuf, io::Error)>,
    /// Real paths of directories that were listed, and of files.
    met: BTreeSet<PathBuf>,
}

impl Walk {
    /// Lists directories with all that is below them; a file given by name counts whatever its ending.
    pub(super) fn new(roots: &[PathBuf]) -> Self {
        let mut walk = Self::default();
        for root in roots {
            walk.around(root.parent().unwrap_or(root));
            let found =
                fs::metadata(root).and_then(|metadata| Ok((metadata, fs::canonicalize(root)?)));
            match found {
                Ok((metadata, real)) if metadata.is_dir() => {
                    walk.directory(root, real, &metadata, 0);
                }
                Ok((_, real)) => walk.file(root.clone(), real),
                // A pipe has no path of its own.
                Err(_) if is_pipe(root) => walk.file(root.clone(), root.clone()),
                Err(error) => walk.errors.push((root.clone(), error)),
            }
        }
        walk
    }

    /// A directory in which something that is read may be replaced.
    fn around(&mut self, directory: &Path) {
        let here = directory.as_os_str().is_empty();
        let directory = if here { Path::new(".") } else { directory };
        // One that cannot be looked into is no place that could be watched either.
        if let Ok(real) = fs::canonicalize(directory)
            && let Ok(metadata) = fs::metadata(&real)
        {
            self.directories.insert(real, inode(&metadata));
        }
    }

    fn file(&mut self, path: PathBuf, real: PathBuf) {
        if self.met.contains(&real) {
            return;
        }
        self.around(real.parent().unwrap_or(&real));
        self.met.insert(real);
        self.files.insert(path);
    }

    fn directory(&mut self, path: &Path, real: PathBuf, metadata: &Metadata, depth: usize) {
        if self.met.contains(&real) {
            return;
        }
        if depth >= DEPTH {
            let error = io::Error::other(format!("it is below more than {DEPTH} directories"));
            return self.errors.push((path.to_owned(), error));
        }
        let mut entries = match fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>)
        {
            Ok(entries) => entries,
            Err(error) => return self.errors.push((path.to_owned(), error)),
        };
        entries.sort_by_key(DirEntry::file_name);
        self.directories.insert(real.clone(), inode(metadata));
        self.met.insert(real.clone());
        for entry in entries {
            let path = entry.path();
            if is_passing(&path) {
                continue;
            }
            match self.entry(&entry, &path, &real, depth) {
                Ok(()) => {}
                // Gone since it was listed, or a link that leads nowhere.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.errors.push((path, error)),
            }
        }
    }

    fn entry(
        &mut self,
        entry: &DirEntry,
        path: &Path,
        directory: &Path,
        depth: usize,
    ) -> io::Result<()> {
        let kind = entry.file_type()?;
        let linked = kind.is_symlink();
        if kind.is_file() {
            if is_manifest(path) {
                self.file(path.to_owned(), directory.join(entry.file_name()));
            }
            return Ok(());
        }
        if !linked && !kind.is_dir() {
            // Pipes and devices have no end that we could wait for.
            return Ok(());
        }
        let metadata = fs::metadata(path)?;
        let wanted = metadata.is_dir() || (metadata.is_file() && is_manifest(path));
        if !wanted {
            return Ok(());
        }
        let real = if linked {
            fs::canonicalize(path)?
        } else {
            directory.join(entry.file_name())
        };
        if metadata.is_dir() {
            self.directory(path, real, &metadata, depth + 1);
        } else {
            self.file(path.to_owned(), real);
        }
        Ok(())
    }
}

fn inode(metadata: &Metadata) -> Inode {
    (metadata.dev(), metadata.ino())
}

/// What a shell passes for `<(command)`.
fn is_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
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
