//! The checkout that the chores work on, and the programs they start in it.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, bail, ensure};

/// The workspace's folder: two levels up from this crate's manifest, which cargo names when it runs us, or else the
/// first folder above the current one that has this crate in it.
pub(crate) fn root() -> anyhow::Result<PathBuf> {
    if let Some(manifest) = env::var_os("CARGO_MANIFEST_DIR")
        && let Some(root) = Path::new(&manifest).parent()
        && is_root(root)
    {
        return Ok(root.to_owned());
    }
    let here = env::current_dir().context("the current folder cannot be read")?;
    here.ancestors()
        .find(|folder| is_root(folder))
        .map(Path::to_owned)
        .with_context(|| format!("{} is not inside the repository", here.display()))
}

fn is_root(folder: &Path) -> bool {
    folder.join("xtask/Cargo.toml").is_file() && folder.join("Cargo.lock").is_file()
}

/// The cargo that runs us, in the workspace.
pub(crate) fn cargo(root: &Path) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = program_in(root, &program.to_string_lossy());
    // `cargo run` describes this crate in the environment. A build script that watches these variables would run
    // again each time somebody alternates between `cargo xtask` and plain `cargo`.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// A program in the workspace.
fn program_in(root: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root).stdin(Stdio::null());
    command
}

/// Whether a cargo subcommand is installed.
pub(crate) fn has_subcommand(root: &Path, name: &str) -> anyhow::Result<bool> {
    let output = cargo(root)
        .args([name, "--version"])
        .output()
        .context("cargo cannot be started")?;
    Ok(output.status.success())
}

/// The file that is run for a program's name, if it is installed; a path is looked at as it is.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// Runs a command to its end, its output going where ours goes; the answer is whether it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> anyhow::Result<bool> {
    let status = command
        .status()
        .with_context(|| format!("{} cannot be started", shown(command)))?;
    Ok(status.success())
}

/// What a command prints; it must succeed.
pub(crate) fn output_of(command: &mut Command) -> anyhow::Result<String> {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .with_context(|| format!("{} cannot be started", shown(command)))?;
    ensure!(
        status.success(),
        "{} failed: {}",
        shown(command),
        String::from_utf8_lossy(&stderr).trim()
    );
    match String::from_utf8(stdout) {
        Ok(text) => Ok(text),
        Err(_) => bail!("{} printed something that is not UTF-8", shown(command)),
    }
}

/// The files of the repository, relative to its root: those that git tracks, and new ones that it does not ignore, so
/// that a check before a commit says what it will say after it.
pub(crate) fn files(root: &Path) -> anyhow::Result<Vec<String>> {
    let listing = output_of(program_in(root, "git").args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "--deduplicate",
    ]))?;
    Ok(listing
        .split('\0')
        .filter(|path| !path.is_empty() && root.join(path).is_file())
        .map(str::to_owned)
        .collect())
}

/// A command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use std::{path::Path, process::Command};

    #[test]
    fn the_root_holds_this_crate_and_its_files() {
        let root = super::root().unwrap();
        assert!(root.join("xtask/src/workspace.rs").is_file());
    }

    #[test]
    fn commands_are_shown_as_typed() {
        let mut command = Command::new("/opt/bin/cargo");
        command.args(["fmt", "--check"]);
        assert_eq!(super::shown(&command), "cargo fmt --check");
    }

    #[test]
    fn programs_are_found_by_name_and_by_path() {
        assert!(super::find_program("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(super::find_program("/bin/sh"), Some("/bin/sh".into()));
        assert_eq!(super::find_program("no-such-program"), None);
    }

    #[test]
    fn a_failing_command_is_named_with_what_it_said() {
        let root = super::root().unwrap();
        let error = super::output_of(super::cargo(&root).arg("no-such-command")).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("cargo no-such-command failed"), "{text}");
    }

    #[test]
    fn cargo_is_not_told_about_this_crate() {
        let command = super::cargo(Path::new("."));
        for (name, value) in command.get_envs() {
            assert_eq!(value, None, "{}", name.display());
        }
    }
}
