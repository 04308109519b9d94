//! Programs of the Go module in `conformance/cluster`, and Helm: built once, and again when what they are built from
//! changes.

use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, ensure};

use super::layout;
use crate::{terminal::Terminal, workspace};

/// The Kubernetes that the module builds, as its go.mod has it.
const KUBERNETES: &str = "v1.36.3";

/// Helm is a module of its own, and none of ours requires it.
const HELM: &str = "helm.sh/helm/v3/cmd/helm@v3.22.0";

/// One program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// Control plane, node and etcd in one.
    Kubernetes,
    /// The client.
    Kubectl,
    /// What gives addresses to Services of type LoadBalancer.
    Addresses,
    /// What the first container of each pod runs.
    Pause,
    /// A backend that says what it got.
    Echo,
    /// What renders the chart.
    Helm,
}

impl Program {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Kubectl => "kubectl",
            Self::Addresses => "addresses",
            Self::Pause => "pause",
            Self::Echo => "echo",
            Self::Helm => "helm",
        }
    }

    /// The package of the module in `conformance/cluster` that it is.
    const fn package(self) -> &'static str {
        match self {
            Self::Kubernetes => "./kubernetes",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Self::Addresses => "./addresses",
            Self::Pause => "./pause",
            Self::Echo => "./echo",
            Self::Helm => HELM,
        }
    }

    const fn patience(self) -> &'static str {
        match self {
            Self::Kubernetes => "5 to 9 minutes on two cores, once",
            Self::Kubectl | Self::Addresses | Self::Helm => "a minute or two, once",
            Self::Pause | Self::Echo => "seconds",
        }
    }

    /// The program's file, built now if it is not there yet.
    pub(crate) fn built(self, root: &Path, terminal: Terminal) -> anyhow::Result<PathBuf> {
        let folder = layout::cache()?.join("bin");
        let module = root.join("conformance/cluster");
        let file = self.file(&folder, &module)?;
        let _lock = layout::lock(&folder.join(format!("{}.lock", self.name())))?;
        if file.is_file() {
            return Ok(file);
        }
        terminal.line(&format!("building {} ({})", self.name(), self.patience()))?;
        let started = Instant::now();
        let unfinished = folder.join(format!("{}.unfinished", self.name()));
        self.build(&module, &unfinished)?;
        fs::rename(&unfinished, &file)
            .with_context(|| format!("{} cannot be written", file.display()))?;
        self.remove_older(&folder, &file);
        let took = started.elapsed().as_secs();
        terminal.line(&format!("built {} in {took} s", self.name()))?;
        Ok(file)
    }

    /// The program's file, if it was built before.
    pub(crate) fn present(self, root: &Path) -> anyhow::Result<Option<PathBuf>> {
        let file = self.file(
            &layout::cache()?.join("bin"),
            &root.join("conformance/cluster"),
        )?;
        Ok(file.is_file().then_some(file))
    }

    fn file(self, folder: &Path, module: &Path) -> anyhow::Result<PathBuf> {
        let go = workspace::output_of(Command::new("go").arg("version"))
            .context("Go 1.26 builds the local cluster: see https://go.dev/doc/install")?;
        Ok(folder.join(format!("{}-{}", self.name(), self.inputs(module, &go)?)))
    }

    /// What the program is built from, as a short text.
    fn inputs(self, module: &Path, go: &str) -> anyhow::Result<String> {
        let mut hasher = DefaultHasher::new();
        (self.package(), go, self.flags()).hash(&mut hasher);
        if self != Self::Helm {
            sources(module, self.package())?.hash(&mut hasher);
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

    fn build(self, module: &Path, file: &Path) -> anyhow::Result<()> {
        if self == Self::Helm {
            return install(file);
        }
        let mut go = Command::new("go");
        go.current_dir(module)
            .args(["build", "-mod=readonly", "-buildvcs=false", "-ldflags"])
            .arg(self.flags())
            .arg("-o")
            .arg(file)
            .arg(self.package())
            .env("GOWORK", "off");
        if matches!(self, Self::Pause | Self::Echo) {
            // Alone in their images.
            go.env("CGO_ENABLED", "0");
        }
        run(&mut go)
    }

    /// Nobody wants the program that older sources gave; a running one keeps its file until it ends.
    fn remove_older(self, folder: &Path, newest: &Path) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        let prefix = format!("{}-", self.name());
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(&prefix) && path != newest {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// `go install` writes to a folder, not to a file.
fn install(file: &Path) -> anyhow::Result<()> {
    let folder = file.with_extension("folder");
    layout::make(&folder)?;
    run(Command::new("go")
        .args(["install", "-ldflags", "-s -w", HELM])
        .env("GOBIN", &folder)
        .env("GOWORK", "off"))?;
    fs::rename(folder.join("helm"), file)
        .with_context(|| format!("{} cannot be written", file.display()))?;
    fs::remove_dir(&folder).with_context(|| format!("{} cannot be removed", folder.display()))
}

fn run(go: &mut Command) -> anyhow::Result<()> {
    let succeeded = workspace::succeeds(go)?;
    ensure!(succeeded, "{} failed", workspace::shown(go));
    Ok(())
}

/// The module's requirements, and the sources of that package, by file name.
fn sources(module: &Path, package: &str) -> anyhow::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut paths = vec![module.join("go.mod"), module.join("go.sum")];
    if package.starts_with("./") {
        let folder = module.join(package);
        for entry in
            fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?
        {
            paths.push(entry.context("a folder cannot be read")?.path());
        }
    }
    paths
        .into_iter()
        .filter(|path| !path.to_string_lossy().ends_with("_test.go"))
        .map(|path| {
            let text =
                fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
            let name = path.strip_prefix(module).unwrap_or(&path).to_owned();
            Ok((name, text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{KUBERNETES, Program};

    #[test]
    fn a_program_is_built_again_when_its_sources_change() {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path();
        let write = |name: &str, text: &str| fs::write(module.join(name), text).unwrap();
        for package in ["pause", "addresses"] {
            fs::create_dir(module.join(package)).unwrap();
        }
        write("go.mod", "module a");
        write("go.sum", "");
        write("pause/main.go", "package main");
        let inputs = |go: &str| Program::Pause.inputs(module, go).unwrap();
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
