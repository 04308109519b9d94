//! A Kubernetes of one node without a container engine: upstream's programs and Debian's containerd, in a network
//! namespace of their own. Nothing of it is seen from outside, and nothing is left when it goes.

mod components;
pub(crate) mod settings;

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};

use self::components::{Component, STARTED};
use super::{
    images, layout,
    layout::Layout,
    machine::Machine,
    needs,
    processes::{Process, Processes},
    programs::Program,
    request::Engine,
};
use crate::{terminal::Terminal, workspace};

/// How long a component may take until it is of use.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long containers have to go after their processes were killed.
const SETTLING: Duration = Duration::from_millis(500);

/// The local cluster.
#[derive(Debug)]
pub(crate) struct Local {
    layout: Layout,
    root: PathBuf,
    terminal: Terminal,
}

impl Local {
    /// Needs root: namespaces, mounts and cgroups are made.
    pub(crate) fn new(layout: Layout, root: &Path, terminal: Terminal) -> anyhow::Result<Self> {
        let user = fs::metadata("/proc/self")
            .context("there is no /proc: the local cluster needs Linux")?
            .uid();
        ensure!(
            user == 0,
            "the local cluster needs root; with a container engine, --cluster kind does not"
        );
        Ok(Self {
            layout,
            root: root.to_owned(),
            terminal,
        })
    }

    /// Ends a component and starts it again, as an upgrade or a crash would.
    pub(crate) fn restart(&self, name: &str) -> anyhow::Result<()> {
        let component = STARTED
            .iter()
            .find(|component| component.name() == name)
            .with_context(|| {
                let names: Vec<_> = STARTED.iter().map(|c| c.name()).collect();
                format!("{name:?} is none of {}", names.join(", "))
            })?;
        Processes(&self.layout).stop(name);
        self.start(*component)
    }

    fn start(&self, component: Component) -> anyhow::Result<()> {
        let kubernetes = Program::Kubernetes.built(&self.root, self.terminal)?;
        let arguments = component.arguments(&self.layout);
        let program = match component {
            Component::Containerd => OsStr::new("containerd"),
            _ => kubernetes.as_os_str(),
        };
        let processes = Processes(&self.layout);
        processes.start(component.name(), self.inside(program).args(arguments))?;
        processes.wait(component.name(), PATIENCE, || self.is_ready(component))
    }

    /// Whether what depends on the component can be started.
    fn is_ready(&self, component: Component) -> anyhow::Result<bool> {
        let mut command = match component {
            Component::Containerd => {
                let mut client = self.containerd();
                client.arg("version");
                client
            }
            Component::Etcd => self.asks("http://127.0.0.1:2379/health"),
            Component::ApiServer => self.kubectl(&["get", "--raw", "/readyz"])?,
            Component::Kubelet => {
                self.kubectl(&["wait", "node/node", "--for=condition=Ready", "--timeout=1s"])?
            }
            // Without it no pod can be created.
            Component::ControllerManager => self.kubectl(&["get", "serviceaccount", "default"])?,
            Component::Scheduler | Component::Proxy => return Ok(true),
        };
        let status = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .with_context(|| format!("{} cannot be started", workspace::shown(&command)))?;
        Ok(status.success())
    }

    /// Its components, in the order they are started, and whether each runs.
    pub(super) fn components(layout: &Layout) -> Vec<(&'static str, bool)> {
        let processes = Processes(layout);
        { STARTED.iter() }
            .map(|component| (component.name(), processes.runs(component.name())))
            .collect()
    }

    fn asks(&self, url: &str) -> Command {
        let mut curl = self.inside(OsStr::new("curl"));
        curl.args(["-sf", url]);
        curl
    }

    fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let program = super::kubectl_program(&self.root, self.terminal)?;
        let mut kubectl = self.inside(program.as_os_str());
        kubectl.args(arguments);
        Ok(kubectl)
    }

    fn make_network(&self) -> anyhow::Result<()> {
        let name = self.layout.name();
        ip(&["netns", "add", name])?;
        // Kernels without the `dummy` device have bridges: one without ports holds the node's address.
        for line in [
            "link set lo up",
            "link add node0 type bridge",
            "addr add 10.89.0.2/24 dev node0",
            "link set node0 up",
            "route add default dev node0",
        ] {
            let words: Vec<&str> = ["-n", name].into_iter().chain(line.split(' ')).collect();
            ip(&words)?;
        }
        Ok(())
    }

    fn write_settings(&self) -> anyhow::Result<()> {
        let layout = &self.layout;
        let token = settings::token()?;
        layout.write("pki/tokens.csv", &settings::tokens(&token))?;
        layout.write("kubeconfig", &settings::kubeconfig(layout, &token))?;
        layout.write("cni/10-bridge.conflist", &settings::network(layout))?;
        layout.write("containerd.toml", &settings::containerd(layout))?;
        layout.write("audit.yaml", settings::AUDIT)?;
        layout.write("kubelet.yaml", &settings::kubelet(layout))?;
        let (key, public) = (layout.at("pki/accounts.key"), layout.at("pki/accounts.pub"));
        workspace::output_of(
            Command::new("openssl")
                .args(["genpkey", "-algorithm", "EC", "-out"])
                .arg(&key)
                .args(["-pkeyopt", "ec_paramgen_curve:P-256"]),
        )?;
        workspace::output_of(
            Command::new("openssl")
                .args(["pkey", "-pubout", "-in"])
                .arg(key)
                .arg("-out")
                .arg(public),
        )
        .map(drop)
    }

    /// Every container with all its processes, and what watches over it.
    fn end_containers(&self) {
        let tasks = |arguments: &[&str]| {
            let mut client = self.containerd();
            workspace::output_of(client.arg("task").args(arguments)).unwrap_or_default()
        };
        if Processes(&self.layout).runs(Component::Containerd.name()) {
            for task in tasks(&["ls", "-q"]).lines() {
                tasks(&["kill", "-s", "KILL", "--all", task]);
            }
            thread::sleep(SETTLING);
            for task in tasks(&["ls", "-q"]).lines() {
                tasks(&["delete", "-f", task]);
            }
        }
        let socket = self.layout.at("containerd.sock").display().to_string();
        for shim in Process::with_argument(&socket) {
            shim.end();
        }
    }

    fn unmount(&self) -> anyhow::Result<()> {
        let mounts = fs::read_to_string("/proc/mounts").context("/proc/mounts cannot be read")?;
        for mount in mounts_below(&mounts, self.layout.state()) {
            // One that has gone with another is no loss.
            let _ = workspace::output_of(Command::new("umount").args(["-l", mount]));
        }
        Ok(())
    }
}

impl Machine for Local {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn engine(&self) -> Engine {
        Engine::Local
    }

    fn lacking(&self) -> Vec<String> {
        needs::lacking(NEEDED, &[needs::GO])
    }

    fn is_up(&self) -> anyhow::Result<bool> {
        let processes = Processes(&self.layout);
        let run = STARTED.iter().all(|c| processes.runs(c.name()));
        Ok(run && self.is_ready(Component::ApiServer)?)
    }

    fn create(&self) -> anyhow::Result<()> {
        // Built before anything is started: it may take long.
        Program::Kubernetes.built(&self.root, self.terminal)?;
        let pause = images::of_program(Program::Pause, images::PAUSE, &self.root, self.terminal)?;
        layout::make(&self.layout.at("kubelet"))?;
        self.make_network()?;
        self.write_settings()?;
        for component in STARTED {
            if *component == Component::Kubelet {
                super::load(self, &pause, &[images::PAUSE.to_owned()])?;
            }
            self.start(*component)?;
        }
        Ok(())
    }

    fn destroy(&self) -> anyhow::Result<()> {
        let processes = Processes(&self.layout);
        processes.stop(Component::Kubelet.name());
        self.end_containers();
        for component in STARTED.iter().rev() {
            processes.stop(component.name());
        }
        self.unmount()?;
        let name = self.layout.name();
        if Path::new("/run/netns").join(name).exists() {
            ip(&["netns", "del", name])?;
        }
        let state = self.layout.state();
        match fs::remove_dir_all(state) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                bail!("{} cannot be removed: {error}", state.display())
            }
            _ => Ok(()),
        }
    }

    fn inside(&self, program: &OsStr) -> Command {
        // Not `ip netns exec`, which mounts /sys anew and so hides the cgroups from kubelet and containerd.
        let mut nsenter = Command::new("nsenter");
        nsenter
            .arg(format!("--net=/run/netns/{}", self.layout.name()))
            .arg(program)
            .env("KUBECONFIG", self.layout.kubeconfig());
        nsenter
    }

    fn containerd(&self) -> Command {
        let mut client = Command::new("ctr");
        client
            .arg("-a")
            .arg(self.layout.at("containerd.sock"))
            .args(["-n", "k8s.io"]);
        client
    }
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    workspace::output_of(Command::new("ip").args(arguments)).map(drop)
}

/// What is mounted below the folder, inner ones first.
fn mounts_below<'a>(mounts: &'a str, folder: &Path) -> Vec<&'a str> {
    let mut below: Vec<&str> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .filter(|mount| Path::new(mount).starts_with(folder))
        .collect();
    below.sort_unstable_by(|a, b| b.cmp(a));
    below
}

/// What the cluster runs or is made with, and the Debian package that has it.
const NEEDED: &[needs::Package] = &[
    needs::BUILDAH,
    ("conntrack", "conntrack"),
    ("containerd", "containerd"),
    ("curl", "curl"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("nft", "nftables"),
    ("nsenter", "util-linux"),
    ("openssl", "openssl"),
    ("runc", "runc"),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::mounts_below;

    #[test]
    fn inner_mounts_go_first_and_others_stay() {
        let mounts = "proc /proc proc rw 0 0\n\
                      tmpfs /s/p/kubelet tmpfs rw 0 0\n\
                      tmpfs /s/p/kubelet/pods/a tmpfs rw 0 0\n\
                      tmpfs /s/postern tmpfs rw 0 0\n";
        assert_eq!(
            mounts_below(mounts, Path::new("/s/p")),
            ["/s/p/kubelet/pods/a", "/s/p/kubelet"]
        );
    }
}
