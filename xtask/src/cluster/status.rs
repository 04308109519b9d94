//! `cargo xtask cluster list` and `cluster status`: what there is, without starting or building anything.

use std::{fs, path::Path};

use anyhow::Context as _;

use super::{
    ADDRESSES, bundle, install,
    install::Installation,
    layout::{self, Layout},
    local::Local,
    processes::Processes,
    request::Engine,
};
use crate::{terminal::Terminal, workspace};

/// A line for each cluster whose files are on this machine.
pub(super) fn list(terminal: Terminal) -> anyhow::Result<()> {
    let found = clusters(&layout::clusters()?)?;
    if found.is_empty() {
        return Ok(terminal.line("there is no cluster: cargo xtask cluster up")?);
    }
    for cluster in found {
        let (engine, state) = state(&cluster);
        terminal.line(&format!("{:<24}{engine:<8}{state}", cluster.name()))?;
    }
    Ok(())
}

/// The folders that are clusters, by name; others hold logs of what could not be started.
fn clusters(folder: &Path) -> anyhow::Result<Vec<Layout>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(error).with_context(|| format!("{} cannot be read", folder.display()));
        }
    };
    let mut names: Vec<String> = { entries.filter_map(Result::ok) }
        .filter(|entry| entry.path().join("kubeconfig").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names
        .iter()
        .map(|name| Layout::below(folder, name))
        .collect())
}

/// What made it, and how it fares. Of one in containers only the kubeconfig and our own program are here.
fn state(layout: &Layout) -> (&'static str, String) {
    if !layout.at("containerd.toml").is_file() {
        let runs = Processes(layout).runs(ADDRESSES);
        return (
            "kind",
            if runs { "up" } else { "down, or not whole" }.to_owned(),
        );
    }
    let down = down(layout);
    let state = match &down[..] {
        [] => "up".to_owned(),
        all if all.len() > Local::components(layout).len() => "down".to_owned(),
        some => format!("not whole: {} down", some.join(", ")),
    };
    ("local", state)
}

/// Programs of a local cluster that do not run.
fn down(layout: &Layout) -> Vec<&'static str> {
    let mut all = Local::components(layout);
    all.push((ADDRESSES, Processes(layout).runs(ADDRESSES)));
    { all.into_iter() }
        .filter(|(_, runs)| !runs)
        .map(|(name, _)| name)
        .collect()
}

impl Installation<'_> {
    /// Says how the cluster fares; the answer is whether it is up, all of it.
    pub(super) fn status(self) -> anyhow::Result<bool> {
        let layout = self.machine.layout();
        let terminal = self.terminal;
        let say = |what: &str, is: &str| terminal.line(&format!("{what:<14}{is}"));
        let known = layout.kubeconfig().is_file();
        let local = self.machine.engine() == Engine::Local;
        let down = if local { down(layout) } else { Vec::new() };
        let up = known && down.is_empty() && self.machine.is_up()?;
        let state = if up { "up" } else { "not up" };
        say("cluster", &format!("{} is {state}", layout.name()))?;
        if known && !down.is_empty() {
            say("down", &down.join(", "))?;
        }
        if !up {
            say("to start it", &self.machine.command("up"))?;
            return Ok(false);
        }
        say("kubeconfig", &layout.kubeconfig().display().to_string())?;
        let nodes = ["get", "nodes", "--no-headers"];
        let nodes = workspace::output_of(&mut self.kubectl(&nodes)?)?;
        for node in nodes.lines() {
            let words: Vec<&str> = node.split_whitespace().collect();
            say("node", &words.join(" "))?;
        }
        say("Gateway API", &bundle::summary(&self.installed()?))?;
        let template = "jsonpath={range .items[*]}{.spec.template.spec.containers[0].image}, \
            {.status.readyReplicas} of {.spec.replicas} ready{'\\n'}{end}";
        let selector = "app.kubernetes.io/name=postern";
        let get = [
            "get",
            "deployments",
            "-n",
            install::NAMESPACE,
            "-l",
            selector,
            "-o",
            template,
        ];
        let installed = workspace::output_of(&mut self.kubectl(&get)?)?;
        match installed.trim() {
            "" => say(
                "Postern",
                &format!("not installed: {}", self.machine.command("install")),
            )?,
            installed => say("Postern", installed)?,
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{clusters, state};

    #[test]
    fn clusters_are_folders_with_a_kubeconfig() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b", "a", "a.failed"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("a.lock"), "").unwrap();
        for name in ["a/kubeconfig", "b/kubeconfig", "b/containerd.toml"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let found = clusters(folder.path()).unwrap();
        let names: Vec<_> = found.iter().map(super::Layout::name).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(state(&found[0]).0, "kind");
        assert_eq!(state(&found[1]), ("local", "down".to_owned()));
        assert!(clusters(&folder.path().join("none")).unwrap().is_empty());
    }
}
