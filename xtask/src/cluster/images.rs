//! Images without a container engine: buildah runs no container for them, since all that is in them is built already.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

use super::{layout, programs::Program};
use crate::{terminal::Terminal, workspace};

/// What the first container of each pod runs.
pub(crate) const PAUSE: &str = "postern.local/pause:1";

/// A backend that says what it got.
pub(crate) const ECHO: &str = "postern.local/echo:1";

/// Whom programs run as.
const NOBODY: &str = "USER 65532:65532\n";

/// The archive of an image that holds one static program.
pub(crate) fn of_program(
    program: Program,
    name: &str,
    root: &Path,
    terminal: Terminal,
) -> anyhow::Result<PathBuf> {
    let file = program.built(root, terminal)?;
    let archive = file.with_extension("tar");
    if !archive.is_file() {
        let context = Workshop::new()?;
        context.add("program", &file)?;
        let user = if program.wants_root() { "" } else { NOBODY };
        context.write(
            "Dockerfile",
            &format!("FROM scratch\nCOPY program /program\n{user}ENTRYPOINT [\"/program\"]\n"),
        )?;
        context.build(&context.at("Dockerfile"), name, &archive)?;
    }
    Ok(archive)
}

/// A folder that an image is built from, with everything that building leaves behind; it goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Workshop {
    folder: PathBuf,
    _lock: fs::File,
}

impl Workshop {
    /// An empty one.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let folder = layout::cache()?.join("images");
        let lock = layout::lock(&folder.with_extension("lock"))?;
        let _ = fs::remove_dir_all(&folder);
        layout::make(&folder.join("context"))?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// Where a file of the image is, or will be.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.join("context").join(name)
    }

    /// Copies a file to that place.
    pub(crate) fn add(&self, name: &str, file: &Path) -> anyhow::Result<()> {
        let place = self.at(name);
        if let Some(folder) = place.parent() {
            layout::make(folder)?;
        }
        fs::copy(file, &place)
            .map(drop)
            .with_context(|| format!("{} cannot be copied", file.display()))
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let place = self.at(name);
        fs::write(&place, text).with_context(|| format!("{} cannot be written", place.display()))
    }

    /// Builds the image and writes it as a docker-archive. A stage called `build` is replaced by what was added.
    pub(crate) fn build(&self, recipe: &Path, name: &str, archive: &Path) -> anyhow::Result<()> {
        let context = self.folder.join("context");
        let mut build = self.buildah(&["bud", "-q", "--isolation", "chroot", "-t", name]);
        build.arg("--build-context");
        build.arg(format!("build={}", context.display()));
        build.arg("-f").arg(recipe).arg(&context);
        workspace::output_of(&mut build)?;
        // An archive that exists would be added to.
        let _ = fs::remove_file(archive);
        let target = format!("docker-archive:{}:{name}", archive.display());
        workspace::output_of(&mut self.buildah(&["push", "-q", name, &target])).map(drop)
    }

    fn buildah(&self, arguments: &[&str]) -> Command {
        let mut buildah = Command::new("buildah");
        // Copies rather than overlays: nothing to unmount.
        buildah
            .args(["--storage-driver", "vfs", "--root"])
            .arg(self.folder.join("storage"))
            .arg("--runroot")
            .arg(self.folder.join("run"))
            .args(arguments);
        buildah
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
