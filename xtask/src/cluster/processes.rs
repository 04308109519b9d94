//! Programs that go on when we end. Each has a log and a note of who it is in the cluster's folder, so that a later run
//! finds it again.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::layout::Layout;
use crate::workspace;

/// How long a process may take to end when it is asked to; then it is ended.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often something is looked at that we wait for.
const INTERVAL: Duration = Duration::from_millis(100);

/// How much of a log is shown when something goes wrong.
const LAST_LINES: usize = 15;

/// A process, told from a later one of the same number by when it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pid: Pid,
    /// In ticks since the machine was started.
    since: u64,
}

impl Process {
    /// The process of that number, unless it has ended.
    fn find(pid: Pid) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        let since = started(&stat)?;
        Some(Self { pid, since })
    }

    /// Every process one of whose arguments is this text.
    pub(crate) fn with_argument(text: &str) -> Vec<Self> {
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name();
                let pid = Pid::from_raw(name.to_str()?.parse().ok()?)?;
                let line = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).ok()?;
                line.split(|byte| *byte == 0)
                    .any(|argument| argument == text.as_bytes())
                    .then(|| Self::find(pid))?
            })
            .collect()
    }

    fn is_alive(self) -> bool {
        Self::find(self.pid) == Some(self)
    }

    /// Asks it to end, waits, and ends it.
    pub(crate) fn end(self) {
        for signal in [Signal::TERM, Signal::KILL] {
            if !self.is_alive() {
                return;
            }
            // It may have ended by itself just now.
            let _ = kill_process(self.pid, signal);
            let deadline = Instant::now() + PATIENCE;
            while self.is_alive() && Instant::now() < deadline {
                thread::sleep(INTERVAL);
            }
        }
    }
}

/// The start time in a line of `/proc/PID/stat`; none for one that has ended and only waits to be noticed.
fn started(stat: &str) -> Option<u64> {
    // The second field is the program's name in brackets, and may contain anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let since = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(since)
}

/// The processes of one cluster.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Processes<'a>(pub(crate) &'a Layout);

impl Processes<'_> {
    /// Starts a program in a session of its own, under that name.
    pub(crate) fn start(self, name: &str, command: &Command) -> anyhow::Result<()> {
        let path = self.log(name);
        let log = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        let mut detached = Command::new("setsid");
        detached
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("a file cannot be shared")?)
            .stderr(log);
        for (variable, value) in command.get_envs() {
            if let Some(value) = value {
                detached.env(variable, value);
            }
        }
        let child = detached
            .spawn()
            .with_context(|| format!("{} cannot be started", workspace::shown(command)))?;
        let process = i32::try_from(child.id())
            .ok()
            .and_then(Pid::from_raw)
            .and_then(Process::find)
            .with_context(|| format!("{name} ended at once"))?;
        let note = format!("{} {}\n", process.pid.as_raw_nonzero(), process.since);
        self.0.write(&format!("{name}.pid"), &note)
    }

    /// Whether the program of that name runs.
    pub(crate) fn runs(self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Ends the program of that name, if it runs.
    pub(crate) fn stop(self, name: &str) {
        if let Some(process) = self.find(name) {
            process.end();
        }
        let _ = fs::remove_file(self.note(name));
    }

    /// Waits until that is so. An error shows what the program says, if it ends first or the time runs out.
    pub(crate) fn wait(
        self,
        name: &str,
        limit: Duration,
        mut is_so: impl FnMut() -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        while !is_so()? {
            if !self.runs(name) {
                bail!("{name} has ended:\n{}", self.last_lines(name));
            }
            if Instant::now() > deadline {
                let seconds = limit.as_secs();
                bail!(
                    "{name} is not ready after {seconds} s:\n{}",
                    self.last_lines(name)
                );
            }
            thread::sleep(INTERVAL);
        }
        Ok(())
    }

    fn find(self, name: &str) -> Option<Process> {
        let note = fs::read_to_string(self.note(name)).ok()?;
        let (pid, since) = note.trim().split_once(' ')?;
        let process = Process {
            pid: Pid::from_raw(pid.parse().ok()?)?,
            since: since.parse().ok()?,
        };
        process.is_alive().then_some(process)
    }

    fn note(self, name: &str) -> PathBuf {
        self.0.at(&format!("{name}.pid"))
    }

    fn log(self, name: &str) -> PathBuf {
        self.0.at(&format!("{name}.log"))
    }

    fn last_lines(self, name: &str) -> String {
        let path = self.log(name);
        let log = fs::read(&path).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        format!("{}\n(the whole of it: {})", last.join("\n"), path.display())
    }
}

#[cfg(test)]
#[path = "processes_tests.rs"]
mod tests;
