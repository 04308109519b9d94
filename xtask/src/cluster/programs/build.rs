//! How programs are built, and how it is known that they need not be.

use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, ensure};

use super::{
    super::{bundle::Version, layout},
    KUBERNETES, Program, Source,
};
use crate::{terminal::Terminal, workspace};

impl Program {
    /// The program's file, built now if it is not there yet.
    pub(crate) fn built(self, root: &Path, terminal: Terminal) -> anyhow::Result<PathBuf> {
        let folder = layout::cache()?.join("bin");
        let file = self.file(&folder, root)?;
        let _lock = layout::lock(&folder.join(format!("{}.lock", self.name())))?;
        if file.is_file() {
            return Ok(file);
        }
        terminal.line(&format!("building {} ({})", self.name(), self.patience()))?;
        let started = Instant::now();
        let unfinished = folder.join(format!("{}.unfinished", self.name()));
        self.build(root, &unfinished)?;
        fs::rename(&unfinished, &file)
            .with_context(|| format!("{} cannot be written", file.display()))?;
        self.remove_older(&folder, &file);
        let took = started.elapsed().as_secs();
        terminal.line(&format!("built {} in {took} s", self.name()))?;
        Ok(file)
    }

    /// The program's file, if it was built before.
    pub(crate) fn present(self, root: &Path) -> anyhow::Result<Option<PathBuf>> {
        let file = self.file(&layout::cache()?.join("bin"), root)?;
        Ok(file.is_file().then_some(file))
    }

    fn file(self, folder: &Path, root: &Path) -> anyhow::Result<PathBuf> {
        let go = workspace::output_of(self.go().arg("version"))
            .context("Go 1.26 builds what a cluster needs: see https://go.dev/doc/install")?;
        Ok(folder.join(format!("{}-{}", self.name(), self.inputs(root, &go)?)))
    }

    /// What the program is built from, as a short text.
    fn inputs(self, root: &Path, go: &str) -> anyhow::Result<String> {
        let mut hasher = DefaultHasher::new();
        let source = self.source();
        (source.package(), go, self.flags()).hash(&mut hasher);
        if let Some(files) = source.files(root, self.requirements())? {
            files.hash(&mut hasher);
        }
        Ok(format!("{:016x}", hasher.finish()))
    }

    /// What the linker is told: upstream builds say there which version they are.
    fn flags(self) -> String {
        let mut flags = "-s -w".to_owned();
        if matches!(self, Self::Kubernetes | Self::Kubectl) {
            let mut numbers = KUBERNETES.trim_start_matches('v').split('.');
            let mut next = || numbers.next().unwrap_or_default();
            for (name, value) in [
                ("gitVersion", KUBERNETES),
                ("gitMajor", next()),
                ("gitMinor", next()),
            ] {
                flags.push_str(" -X k8s.io/component-base/version.");
                flags.push_str(name);
                flags.push('=');
                flags.push_str(value);
            }
        }
        flags
    }

    /// The `go` command, as new as the program needs it.
    fn go(self) -> Command {
        let mut go = Command::new("go");
        go.envs(self.version().and_then(Version::toolchain));
        go
    }

    fn build(self, root: &Path, file: &Path) -> anyhow::Result<()> {
        let mut go = self.go();
        go.env("GOWORK", "off");
        if self.is_static() {
            go.env("CGO_ENABLED", "0");
        }
        match self.source() {
            Source::Module(module) => return install(&mut go, module, file),
            Source::Package(module, _) => go
                .args(["build", "-buildvcs=false"])
                .current_dir(folder_of(root, module)),
            Source::Tests(module) => go.args(["test", "-c"]).current_dir(folder_of(root, module)),
        };
        go.arg(format!("-modfile={}.mod", self.requirements()));
        go.args(["-mod=readonly", "-ldflags", &self.flags(), "-o"])
            .args([file.as_os_str(), self.source().package().as_ref()]);
        run(&mut go)
    }

    /// Nobody wants the program that older sources gave; a running one keeps its file until it ends.
    fn remove_older(self, folder: &Path, newest: &Path) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            if self.is_named(&name) && path != newest {
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Whether a file is this program, or its image, whatever it was built from.
    fn is_named(self, stem: &str) -> bool {
        let inputs = { stem.strip_prefix(self.name()) }.and_then(|rest| rest.strip_prefix('-'));
        inputs.is_some_and(|inputs| inputs.len() == 16 && u64::from_str_radix(inputs, 16).is_ok())
    }
}

impl Source {
    /// As the go command is told.
    const fn package(self) -> &'static str {
        match self {
            Self::Package(_, package) | Self::Module(package) => package,
            Self::Tests(_) => "./",
        }
    }

    /// What it is made of in this checkout, by file name: the module's requirements, and the package's sources.
    fn files(
        self,
        root: &Path,
        requirements: &str,
    ) -> anyhow::Result<Option<BTreeMap<PathBuf, Vec<u8>>>> {
        let (Self::Package(module, _) | Self::Tests(module)) = self else {
            return Ok(None);
        };
        let package = self.package();
        let module = folder_of(root, module);
        let required = ["mod", "sum"].map(|ending| module.join(format!("{requirements}.{ending}")));
        let mut paths = required.to_vec();
        if package.starts_with("./") {
            let folder = module.join(package);
            for entry in fs::read_dir(&folder)
                .with_context(|| format!("{} cannot be read", folder.display()))?
            {
                let path = entry.context("a folder cannot be read")?.path();
                if !path.extension().is_some_and(|e| e == "mod" || e == "sum") {
                    paths.push(path);
                }
            }
        }
        let tests = matches!(self, Self::Tests(_));
        let files = { paths.into_iter() }
            .filter(|path| !path.is_dir())
            .filter(|path| tests || !path.to_string_lossy().ends_with("_test.go"))
            .map(|path| {
                let text = fs::read(&path)
                    .with_context(|| format!("{} cannot be read", path.display()))?;
                let name = path.strip_prefix(&module).unwrap_or(&path).to_owned();
                Ok((name, text))
            });
        files.collect::<anyhow::Result<_>>().map(Some)
    }
}

/// Where a Go module of ours is.
fn folder_of(root: &Path, module: &str) -> PathBuf {
    root.join("conformance").join(module)
}

/// `go install` writes to a folder, not to a file, and calls the program like the package.
fn install(go: &mut Command, module: &str, file: &Path) -> anyhow::Result<()> {
    let folder = file.with_extension("folder");
    layout::make(&folder)?;
    let linked = ["install", "-ldflags", "-s -w", module];
    run(go.args(linked).env("GOBIN", &folder))?;
    let (package, _) = module.rsplit_once('@').unwrap_or((module, ""));
    let name = package.rsplit('/').next().unwrap_or(package);
    fs::rename(folder.join(name), file)
        .with_context(|| format!("{} cannot be written", file.display()))?;
    fs::remove_dir(&folder).with_context(|| format!("{} cannot be removed", folder.display()))
}

fn run(go: &mut Command) -> anyhow::Result<()> {
    let succeeded = workspace::succeeds(go)?;
    ensure!(succeeded, "{} failed", workspace::shown(go));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{KUBERNETES, Program, Version};

    #[test]
    fn a_program_is_built_again_when_its_sources_change() {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("conformance/cluster");
        let write = |name: &str, text: &str| fs::write(module.join(name), text).unwrap();
        for package in ["pause", "addresses"] {
            fs::create_dir_all(module.join(package)).unwrap();
        }
        write("go.mod", "module a");
        write("go.sum", "");
        write("pause/main.go", "package main");
        let inputs = |go: &str| Program::Pause.inputs(folder.path(), go).unwrap();
        let first = inputs("go1");
        write("pause/main_test.go", "package main");
        write("addresses/main.go", "package main");
        assert_eq!(inputs("go1"), first, "of no concern to it");
        assert_ne!(inputs("go2"), first, "another compiler");
        write("pause/main.go", "package main // changed");
        assert_ne!(inputs("go1"), first, "another source");
        write("pause/main.go", "package main");
        write("go.sum", "a v1 h1:x");
        assert_ne!(inputs("go1"), first, "other requirements");
    }

    #[test]
    fn a_suite_is_built_again_when_its_tests_change() {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("conformance/gateway-api");
        fs::create_dir_all(&module).unwrap();
        for name in ["go.mod", "go.sum", "conformance_test.go"] {
            fs::write(module.join(name), name).unwrap();
        }
        let inputs = |program: Program| program.inputs(folder.path(), "go1").unwrap();
        let programs = || {
            let old = Version::V1_6_3;
            [Program::Suite(old), Program::EchoBasic(old)].map(inputs)
        };
        let before = programs();
        fs::write(module.join("conformance_test.go"), "package a").unwrap();
        assert_ne!(programs()[0], before[0]);
        assert_eq!(programs()[1], before[1], "of no concern to it");
        let before = programs();
        for name in ["v1.7.0.mod", "v1.7.0.sum"] {
            fs::write(module.join(name), name).unwrap();
        }
        assert_eq!(programs(), before, "of another release");
        let newer = inputs(Program::Suite(Version::V1_7_0));
        fs::write(module.join("v1.7.0.mod"), "changed").unwrap();
        assert_ne!(inputs(Program::Suite(Version::V1_7_0)), newer);
        assert_eq!(programs(), before);
    }

    #[test]
    fn what_older_sources_gave_is_told_from_other_programs() {
        let of_echo = |stem: &str| Program::Echo.is_named(stem);
        assert!(of_echo("echo-0123456789abcdef"));
        for other in ["echo-basic-0123456789abcdef", "echo-basic", "echo"] {
            assert!(!of_echo(other), "{other}");
        }
    }

    #[test]
    fn the_version_is_the_one_that_the_module_requires() {
        let root = crate::workspace::root().unwrap();
        let module = fs::read_to_string(root.join("conformance/cluster/go.mod")).unwrap();
        assert!(module.contains(&format!("\tk8s.io/kubernetes {KUBERNETES}\n")));
        assert!(
            Program::Kubectl
                .flags()
                .ends_with("gitMajor=1 -X k8s.io/component-base/version.gitMinor=36")
        );
    }
}
