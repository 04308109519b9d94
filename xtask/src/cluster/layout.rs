//! Where a cluster keeps its files: what is built once is in the user's cache, what a run leaves is in the user's
//! state, so that every checkout sees the same cluster.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// The files of one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    name: String,
    state: PathBuf,
}

impl Layout {
    /// The cluster of that name.
    pub(crate) fn of(name: &str) -> anyhow::Result<Self> {
        Ok(Self::below(&clusters()?, name))
    }

    /// The cluster of that name, its files in a folder of that name below this one.
    pub(crate) fn below(folder: &Path, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: folder.join(name),
        }
    }

    /// What people call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The folder; it need not exist.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// A file or folder in it.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    /// How clients find the API server.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.at("kubeconfig")
    }

    /// Writes one of the files, for this user's eyes only.
    pub(crate) fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
        let path = self.at(name);
        if let Some(folder) = path.parent() {
            make(folder)?;
        }
        File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Keeps others from starting or ending the same cluster until the answer is dropped.
    pub(crate) fn lock(&self) -> anyhow::Result<File> {
        lock(&self.state.with_extension("lock"))
    }
}

/// Where all clusters keep their files.
pub(crate) fn clusters() -> anyhow::Result<PathBuf> {
    Ok(user_folder("XDG_STATE_HOME", ".local/state")?.join("postern/cluster"))
}

/// Where what is built once is kept.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    Ok(user_folder("XDG_CACHE_HOME", ".cache")?.join("postern"))
}

/// Makes a folder and those above it.
pub(crate) fn make(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))
}

/// Waits until nobody else has the lock of that name; it ends with the answer.
pub(crate) fn lock(path: &Path) -> anyhow::Result<File> {
    if let Some(folder) = path.parent() {
        make(folder)?;
    }
    let cannot = || format!("{} cannot be locked", path.display());
    let file = File::create(path).with_context(cannot)?;
    file.lock().with_context(cannot)?;
    Ok(file)
}

/// A folder of the XDG base directory specification: what the variable says, or else that folder of the home.
fn user_folder(variable: &str, below_home: &str) -> anyhow::Result<PathBuf> {
    folder_of(env::var_os(variable), env::home_dir(), below_home)
        .with_context(|| format!("neither ${variable} nor $HOME says where files may be kept"))
}

fn folder_of(
    variable: Option<OsString>,
    home: Option<PathBuf>,
    below_home: &str,
) -> Option<PathBuf> {
    variable
        .map(PathBuf::from)
        .filter(|folder| folder.is_absolute())
        .or_else(|| Some(home.filter(|home| home.is_absolute())?.join(below_home)))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::folder_of;

    #[test]
    fn the_variable_wins_if_it_is_an_absolute_path() {
        let folder = |variable: Option<&str>, home: Option<&str>| {
            folder_of(variable.map(Into::into), home.map(Into::into), ".cache")
        };
        let some = |path: &str| Some(PathBuf::from(path));
        assert_eq!(folder(Some("/c"), Some("/h")), some("/c"));
        assert_eq!(folder(Some("c"), Some("/h")), some("/h/.cache"));
        assert_eq!(folder(Some(""), Some("/h")), some("/h/.cache"));
        assert_eq!(folder(None, None), None);
    }
}
