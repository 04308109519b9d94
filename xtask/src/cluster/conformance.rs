//! `cargo xtask conformance`: the Gateway API's own suite against Postern as it is installed, with the features that its
//! GatewayClass claims.

mod report;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{ChildStdout, Stdio},
    time::Instant,
};

use anyhow::Context as _;

use self::report::Report;
use super::{
    images,
    install::{self, Installation},
    load,
    local::settings,
    programs::Program,
};
use crate::{
    terminal::{Style, Terminal},
    workspace,
};

/// The suite, as a Go module; `conformance/gateway-api` requires the same version.
const MODULE: &str = "sigs.k8s.io/gateway-api/conformance@v1.6.3";

/// All profiles of gateways; that of meshes is not ours.
const PROFILES: &str = "GATEWAY-HTTP,GATEWAY-GRPC,GATEWAY-TLS,GATEWAY-TCP,GATEWAY-UDP";

/// An address for documentation (RFC 5737), which no load balancer gives.
const UNUSABLE: &str = "192.0.2.77";

/// What its lines about tests begin with; see `conformance_test.go`.
const ANNOUNCED: &str = "conformance: ";

/// How many lines about failures are shown.
const REASONS: usize = 80;

/// What is to be run of it.
pub(super) struct Suite<'a> {
    /// All tests, unless one is named.
    pub(super) test: &'a Option<String>,
    /// More flags of the suite, after ours.
    pub(super) flags: &'a [String],
}

impl Suite<'_> {
    /// Runs it; the answer is whether everything passed. The suite's own output goes to a file, since it is megabytes.
    pub(super) fn run(&self, installation: Installation<'_>) -> anyhow::Result<bool> {
        let (terminal, started) = (installation.terminal, Instant::now());
        let program = Program::Suite.built(installation.root, terminal)?;
        load_images(installation)?;
        installation.step(started, "loaded the suite's images")?;
        let folder = installation.root.join("target/conformance");
        super::layout::make(&folder)?;
        let (log, report) = (folder.join("suite.log"), folder.join("report.yaml"));
        let _ = fs::remove_file(&report);
        let mut suite = installation.machine.inside(program.as_os_str());
        suite.args(self.arguments(&report)).args(self.flags);
        let to =
            File::create(&log).with_context(|| format!("{} cannot be written", log.display()))?;
        let errors = to.try_clone().context("a file cannot be opened twice")?;
        let mut running = suite
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .with_context(|| format!("{} cannot be started", workspace::shown(&suite)))?;
        let followed = match running.stdout.take() {
            Some(output) => follow(output, to, terminal),
            None => Ok(()),
        };
        if followed.is_err() {
            // Nobody reads what it says any more. It may have ended by itself.
            let _ = running.kill();
        }
        let status = running.wait().context("the suite was lost")?;
        followed?;
        let passed = status.success() && self.judged(&report, terminal)?;
        if !passed {
            let said = fs::read_to_string(&log).context("the log cannot be read")?;
            for line in reasons(&said) {
                terminal.line(line)?;
            }
        }
        terminal.line(&format!("what the suite said: {}", log.display()))?;
        Ok(passed)
    }

    /// Sums the report up, if one was asked for. The suite is content when what a GatewayClass does not claim is not
    /// tested; we are not, unless flags may have said otherwise.
    fn judged(&self, report: &Path, terminal: Terminal) -> anyhow::Result<bool> {
        if self.test.is_some() {
            return Ok(true);
        }
        let text = fs::read_to_string(report)
            .with_context(|| format!("the suite wrote no {}", report.display()))?;
        let read = Report::read(&text)?;
        terminal.line(read.summary().trim_end())?;
        terminal.line(&format!("the report: {}", report.display()))?;
        let lacking = read.lacking();
        if self.flags.is_empty() {
            for line in &lacking {
                terminal.line(line)?;
            }
        }
        Ok(lacking.is_empty() || !self.flags.is_empty())
    }

    /// One test after the other: side by side, they lengthen each other's waits on a machine of two cores.
    fn arguments(&self, report: &Path) -> Vec<String> {
        let mut arguments: Vec<String> = [
            "-test.v",
            "-test.run=^TestConformance$",
            "-test.timeout=60m",
            "-gateway-class=postern",
            "-disable-parallel-tests",
        ]
        .map(str::to_owned)
        .into();
        arguments.push(format!("-conformance-profiles={PROFILES}"));
        arguments.push(format!("-usable-address={}", settings::BALANCED.1));
        arguments.push(format!("-unusable-address={UNUSABLE}"));
        match self.test {
            Some(test) => arguments.push(format!("-run-test={test}")),
            None => {
                arguments.push(format!("-report-output={}", report.display()));
                let version = env!("CARGO_PKG_VERSION");
                for (what, is) in [
                    ("organization", "postern"),
                    ("project", "postern"),
                    ("url", "https://postern.dev"),
                    ("contact", "https://postern.dev"),
                    ("version", version),
                ] {
                    arguments.push(format!("-{what}={is}"));
                }
            }
        }
        arguments
    }
}

/// Writes everything to the log, and what people want to know to the terminal.
fn follow(output: ChildStdout, mut to: File, terminal: Terminal) -> anyhow::Result<()> {
    for line in BufReader::new(output).split(b'\n') {
        let mut line = line.context("the suite's output cannot be read")?;
        line.push(b'\n');
        to.write_all(&line).context("the log cannot be written")?;
        let line = String::from_utf8_lossy(&line);
        if let Some(line) = announced(line.trim_end(), terminal) {
            terminal.line(&line)?;
        }
    }
    Ok(())
}

/// The lines of the log that say what failed, and why: the first of them, which later ones may follow from.
fn reasons(log: &str) -> impl Iterator<Item = &str> {
    { log.lines() }
        .filter(|line| {
            let line = line.trim_start();
            { ["--- FAIL", "Error:", "Error Trace:", "Messages:", "panic:"].iter() }
                .any(|begin| line.starts_with(begin))
        })
        .take(REASONS)
}

/// Those that the suite's manifests name, as far as gateways need them, built from sources: nothing here is pulled.
fn load_images(installation: Installation<'_>) -> anyhow::Result<()> {
    let mut named = BTreeSet::new();
    images_below(&install::module(MODULE)?, &mut named)?;
    for program in [Program::EchoBasic, Program::CoreDns] {
        let names: Vec<String> = { named.iter() }
            .filter(|name| is_of(name, program))
            .cloned()
            .collect();
        let first = names
            .first()
            .with_context(|| format!("the suite has no image {:?} any more", program.name()))?;
        let (root, terminal) = (installation.root, installation.terminal);
        let archive = images::of_program(program, first, root, terminal)?;
        load(installation.machine, &archive, &names)?;
    }
    Ok(())
}

/// Whether that is the name of the program's image.
fn is_of(image: &str, program: Program) -> bool {
    let (name, _) = image.rsplit_once(':').unwrap_or((image, ""));
    name.rsplit('/').next() == Some(program.name())
}

/// What the manifests below a folder have as `image`.
fn images_below(folder: &Path, found: &mut BTreeSet<String>) -> anyhow::Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    for entry in entries {
        let path: PathBuf = entry.context("a folder cannot be read")?.path();
        if path.is_dir() {
            images_below(&path, found)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            found.extend(images(&text).map(str::to_owned));
        }
    }
    Ok(())
}

fn images(manifest: &str) -> impl Iterator<Item = &str> {
    { manifest.lines() }
        .filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix("image: "))
        .map(|image| image.trim().trim_matches('"'))
}

/// What a person wants to know of a line, if anything.
fn announced(line: &str, terminal: Terminal) -> Option<String> {
    let mut words = line.strip_prefix(ANNOUNCED)?.split(' ');
    let (name, result, seconds) = (words.next()?, words.next()?, words.next()?);
    let style = match result {
        "ok" => Style::Good,
        "skipped" => Style::Caution,
        _ => Style::Bad,
    };
    let result = terminal.paint(style, &format!("{result:<8}"));
    Some(format!("{name:<64}{result}{seconds:>6} s"))
}

#[cfg(test)]
#[path = "conformance_tests.rs"]
mod tests;
