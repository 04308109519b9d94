//! Postern in a cluster: the image, the CRDs and the chart, as a user would install them.

use std::{
    collections::hash_map::DefaultHasher,
    ffi::OsStr,
    fs,
    hash::{Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{
    bundle::{self, Version, Wanted},
    images::Workshop,
    kubectl_program, layout, load,
    machine::Machine,
    programs::Program,
};
use crate::{terminal::Terminal, workspace};

/// Where Postern itself lives.
pub(crate) const NAMESPACE: &str = "postern-system";

/// What an image name starts with that no registry has.
const REPOSITORY: &str = "postern.local/postern";

/// The public certificate authorities, as Debian has them.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Everything that installing needs to know.
#[derive(Clone, Copy)]
pub(crate) struct Installation<'a> {
    pub(crate) machine: &'a dyn Machine,
    pub(crate) root: &'a Path,
    pub(crate) terminal: Terminal,
}

impl Installation<'_> {
    /// Builds Postern with that cargo profile, and installs or upgrades everything; done once all replicas are Ready.
    pub(crate) fn install(self, profile: &str, wanted: Wanted) -> anyhow::Result<()> {
        let (name, up) = (self.machine.layout().name(), self.machine.command("up"));
        ensure!(self.machine.is_up()?, "{name} is not up: {up}");
        let started = Instant::now();
        let helm = Program::Helm.built(self.root, self.terminal)?;
        // Of its own: other clusters may be installed to at the same time.
        let archive = format!("postern-{}.tar", self.machine.layout().name());
        let archive = layout::cache()?.join(archive);
        let name = image(self.root, profile, &archive)?;
        self.step(started, &format!("built {name}"))?;
        load(self.machine, &archive, std::slice::from_ref(&name))?;
        fs::remove_file(&archive).context("the image's archive cannot be removed")?;
        self.step(started, "loaded it")?;
        self.all_definitions(wanted)?;
        let there = bundle::summary(&self.installed()?);
        let there = format!("the definitions are there; of the Gateway API: {there}");
        self.step(started, &there)?;
        let (repository, tag) = name.rsplit_once(':').unwrap_or((&name, ""));
        let (repository, tag) = (
            format!("image.repository={repository}"),
            format!("image.tag={tag}"),
        );
        // Checks find Ingresses by their addresses, as people do.
        let status = "publishIngressStatus=true";
        let values = ["--set", &repository, "--set", &tag, "--set", status];
        self.chart(&helm, "postern", &values)?;
        self.step(started, "Postern is Ready")
    }

    /// Removes everything of ours, and with the definitions all objects of our kinds.
    pub(crate) fn uninstall(self) -> anyhow::Result<()> {
        let helm = Program::Helm.built(self.root, self.terminal)?;
        for release in ["postern", "postern-crds"] {
            let mut command = self.machine.inside(helm.as_os_str());
            command.args(["uninstall", release, "--namespace", NAMESPACE]);
            command.args(["--ignore-not-found", "--wait"]);
            workspace::output_of(&mut command)?;
        }
        let crds = self.root.join("crds");
        workspace::output_of(
            self.kubectl(&["delete", "--ignore-not-found", "-f"])?
                .arg(crds),
        )?;
        // With the pods that still drain, and the Gateway for Ingresses that Postern has made.
        let namespace = ["delete", "namespace", NAMESPACE, "--ignore-not-found"];
        workspace::output_of(&mut self.kubectl(&namespace)?)?;
        let left = bundle::summary(&self.installed()?);
        let said =
            format!("Postern is uninstalled; left are the definitions of the Gateway API: {left}");
        Ok(self.terminal.line(&said)?)
    }

    /// Those of the Gateway API, and ours.
    pub(super) fn all_definitions(self, wanted: Wanted) -> anyhow::Result<()> {
        self.definitions(wanted)?;
        let helm = Program::Helm.built(self.root, self.terminal)?;
        self.chart(&helm, "postern-crds", &[])
    }

    /// Installs a chart with these values, or makes a release of it have them and its defaults otherwise.
    pub(super) fn chart(self, helm: &Path, name: &str, values: &[&str]) -> anyhow::Result<()> {
        let chart = self.root.join("deploy/charts").join(name);
        let mut command = self.machine.inside(helm.as_os_str());
        command.args(["upgrade", "--install", name]).arg(chart);
        command.args(["--namespace", NAMESPACE, "--create-namespace"]);
        command.args(["--wait", "--timeout", "2m"]).args(values);
        workspace::output_of(&mut command)
            .map(drop)
            .with_context(|| self.explanation())
    }

    /// What the pods have to say, for an installation that did not get ready.
    fn explanation(self) -> String {
        let said = |arguments: &[&str]| {
            self.kubectl(arguments)
                .and_then(|mut command| workspace::output_of(&mut command))
                .unwrap_or_else(|error| format!("{error:#}\n"))
        };
        let pods = said(&["get", "pods", "-n", NAMESPACE, "-o", "wide"]);
        let events = said(&["events", "-n", NAMESPACE, "--types=Warning"]);
        let selector = "app.kubernetes.io/name=postern";
        let logs = said(&["logs", "-n", NAMESPACE, "-l", selector, "--tail=15"]);
        format!("{pods}{events}{logs}")
    }

    pub(super) fn kubectl(self, arguments: &[&str]) -> anyhow::Result<Command> {
        let program = kubectl_program(self.root, self.terminal)?;
        let mut kubectl = self.machine.inside(program.as_os_str());
        kubectl.args(arguments);
        Ok(kubectl)
    }

    pub(super) fn step(self, started: Instant, what: &str) -> anyhow::Result<()> {
        let seconds = started.elapsed().as_secs();
        Ok(self.terminal.line(&format!("{seconds:>4} s  {what}"))?)
    }
}

/// Writes Postern's image as a docker-archive; the answer is its name, which changes with what is in it.
pub(crate) fn image(root: &Path, profile: &str, archive: &Path) -> anyhow::Result<String> {
    let binary = binary(root, profile)?;
    let recipe = root.join("deploy/Dockerfile");
    let mut hasher = DefaultHasher::new();
    for file in [&binary, &recipe] {
        let bytes = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
        bytes.hash(&mut hasher);
    }
    let name = format!("{REPOSITORY}:{:016x}", hasher.finish());
    let context = Workshop::new()?;
    context.add("image/usr/local/bin/postern", &binary)?;
    context.add(&format!("image{AUTHORITIES}"), Path::new(AUTHORITIES))?;
    context.build(&recipe, &name, archive)?;
    Ok(name)
}

/// Postern as a static binary, which needs nothing beside it. Only the last step of the build differs from a usual one.
fn binary(root: &Path, profile: &str) -> anyhow::Result<PathBuf> {
    let mut cargo = workspace::cargo(root);
    cargo
        .args([
            "rustc",
            "--locked",
            "--package",
            "postern",
            "--bin",
            "postern",
        ])
        .args(["--profile", profile])
        .arg("--message-format=json-render-diagnostics")
        .args([
            "--",
            "-C",
            "target-feature=+crt-static",
            "-C",
            "strip=debuginfo",
        ])
        .stderr(Stdio::inherit());
    let output = cargo.output().context("cargo cannot be started")?;
    ensure!(
        output.status.success(),
        "{} failed",
        workspace::shown(&cargo)
    );
    executable(&String::from_utf8_lossy(&output.stdout), "postern")
        .context("cargo does not say where the binary is")
}

/// The binary of that target which cargo's messages name.
pub(super) fn executable(messages: &str, target: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == target)
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back()
}

/// The folder of a Go module, fetched if need be, with the Go that its release of the Gateway API needs.
pub(super) fn module(name: &str, version: Version) -> anyhow::Result<PathBuf> {
    let mut go = Command::new(OsStr::new("go"));
    go.envs(version.toolchain())
        .args(["mod", "download", "-json", name]);
    let said: Value = serde_json::from_str(&workspace::output_of(&mut go)?)
        .context("go does not say where a module is")?;
    let folder = said["Dir"].as_str().context("a module has no folder")?;
    Ok(PathBuf::from(folder))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::executable;

    #[test]
    fn cargo_says_where_the_binary_is() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"build-script-build"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"e2e"},"executable":"/t/debug/deps/e2e-1"}
{"reason":"compiler-artifact","target":{"name":"postern"},"executable":"/t/debug/postern"}
{"reason":"build-finished","success":true}"#;
        let found = |target: &str| executable(messages, target);
        assert_eq!(found("postern"), Some(PathBuf::from("/t/debug/postern")));
        assert_eq!(found("e2e"), Some(PathBuf::from("/t/debug/deps/e2e-1")));
        assert_eq!(found("proxy"), None);
    }
}
