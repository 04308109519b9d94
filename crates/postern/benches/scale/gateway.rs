//! The gateway as a process.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context as _;

/// What the kernel counts processor time in, in milliseconds: the same on all of Linux.
const TICK: u64 = 10;

/// Names that tell this gateway and its objects from all others in the cluster.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// GatewayClass, and class of Ingresses.
    pub(crate) class: String,
    /// Namespace of the gateway's own objects.
    pub(crate) system: String,
}

impl Names {
    pub(crate) fn controller(&self) -> String {
        format!("postern.dev/{}", self.class)
    }
}

/// One that runs; it ends with the value.
#[derive(Debug)]
pub(crate) struct Gateway {
    binary: PathBuf,
    names: Names,
    process: Child,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended by itself, which has been noticed by then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Gateway {
    pub(crate) fn start(binary: &Path, names: &Names) -> anyhow::Result<Self> {
        Ok(Self {
            binary: binary.to_owned(),
            names: names.clone(),
            process: spawn(binary, names)?,
        })
    }

    /// Ends it, and starts another one.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        self.process = spawn(&self.binary, &self.names)?;
        Ok(())
    }

    /// Processor time used so far.
    pub(crate) fn processor(&self) -> anyhow::Result<Duration> {
        let path = format!("/proc/{}/stat", self.process.id());
        let text = fs::read_to_string(&path).with_context(|| format!("{path}: it has ended"))?;
        // The name in parentheses may have spaces; user and system time are the 12th and 13th field after it.
        let fields = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let times = fields.split(' ').skip(11).take(2);
        let ticks: u64 = times.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * TICK))
    }

    /// Resident memory, in KiB.
    pub(crate) fn resident(&self) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/status", self.process.id());
        let text = fs::read_to_string(&path).with_context(|| format!("{path}: it has ended"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let figure = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
        figure.with_context(|| format!("{path} has no VmRSS"))
    }
}

fn spawn(binary: &Path, names: &Names) -> anyhow::Result<Child> {
    Command::new(binary)
        .args(["run", "--admin", "off", "--access-log", "off"])
        .args(["--log-level", "error", "--container-ports", "24000-24199"])
        .args(["--namespace", &names.system, "--identity", "scale"])
        .args(["--controller-name", &names.controller()])
        .args(["--gateway-class", &names.class])
        .args(["--ingress-class", &names.class])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| format!("{} cannot be started", binary.display()))
}
