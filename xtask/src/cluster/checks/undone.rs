//! A cluster that cannot be started leaves nothing: no process, no network, no mount, no file but its logs.

use std::{env, fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use anyhow::{Context as _, ensure};

use super::Cluster;
use crate::{
    cluster::layout::{self, Layout},
    workspace,
};

/// Stands before the real one: no image can be given to the node, when all but the kubelet runs already.
const CTR: &str = "#!/bin/sh\ncase \" $* \" in *' image import '*) echo broken on purpose >&2; exit 1;; esac\nexec REAL \"$@\"\n";

/// Starts a second cluster that has to fail, beside the one that is up.
pub(super) fn when_it_fails(cluster: &Cluster<'_>) -> anyhow::Result<Vec<String>> {
    let name = cluster.machine.layout().name();
    if !network(name).exists() {
        cluster
            .terminal
            .line("not looked at: this cluster is no local one")?;
        return Ok(Vec::new());
    }
    let broken = format!("{name}-broken");
    let layout = Layout::of(&broken)?;
    let programs = layout.state().with_extension("programs");
    layout::make(&programs)?;
    let real = workspace::find_program("ctr").context("there is no ctr")?;
    let fake = programs.join("ctr");
    let script = CTR.replace("REAL", &real.display().to_string());
    fs::write(&fake, script)
        .and_then(|()| fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)))
        .context("the program cannot be written")?;
    let path = env::var_os("PATH").unwrap_or_default();
    let paths = [programs.clone()].into_iter();
    let path = env::join_paths(paths.chain(env::split_paths(&path)))?;
    let itself = env::current_exe().context("xtask does not know where it is")?;
    let output = Command::new(itself)
        .args(["cluster", "up", "--name", &broken])
        .env("PATH", path)
        .current_dir(cluster.root)
        .output()
        .context("xtask cannot be started")?;
    // A folder that stays harms nobody.
    let _ = fs::remove_dir_all(programs);
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        !output.status.success() && said.contains("broken on purpose"),
        "it does not fail as it should: {said}"
    );
    let mut findings = left(&layout)?;
    let logs = layout.state().with_extension("failed");
    if !logs.join("containerd.log").exists() {
        findings.push(format!("{} has no logs", logs.display()));
    }
    // Those who read them have had their time.
    let _ = fs::remove_dir_all(logs);
    Ok(findings)
}

fn network(name: &str) -> std::path::PathBuf {
    Path::new("/run/netns").join(name)
}

/// What is there of a cluster that must not be.
fn left(layout: &Layout) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    let state = layout.state().display().to_string();
    if network(layout.name()).exists() {
        findings.push(format!("the network {} is left", layout.name()));
    }
    if layout.state().exists() {
        findings.push(format!("{state} is left"));
    }
    let mounts = fs::read_to_string("/proc/mounts").context("/proc/mounts cannot be read")?;
    if mounts.contains(&format!(" {state}")) {
        findings.push(format!("something is still mounted below {state}"));
    }
    for entry in fs::read_dir("/proc").context("there is no /proc")? {
        let entry = entry.context("/proc cannot be read")?;
        // One that has ended meanwhile is well.
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&format!("{state}/")) {
            let pid = entry.file_name().display().to_string();
            findings.push(format!("process {pid} is left: {line}"));
        }
    }
    Ok(findings)
}
