//! `cargo xtask conformance`: the Gateway API's own suite against Postern as it is installed, with the features that its
//! GatewayClass claims.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

use anyhow::Context as _;
use serde::Deserialize;

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
        let mut to =
            File::create(&log).with_context(|| format!("{} cannot be written", log.display()))?;
        let errors = to.try_clone().context("a file cannot be opened twice")?;
        let mut running = suite
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .with_context(|| format!("{} cannot be started", workspace::shown(&suite)))?;
        if let Some(output) = running.stdout.take() {
            for line in BufReader::new(output).split(b'\n') {
                let line = line.context("the suite's output cannot be read")?;
                to.write_all(&line).context("the log cannot be written")?;
                to.write_all(b"\n").context("the log cannot be written")?;
                if let Some(line) = announced(&String::from_utf8_lossy(&line), terminal) {
                    terminal.line(&line)?;
                }
            }
        }
        let status = running.wait().context("the suite was lost")?;
        if let Ok(text) = fs::read_to_string(&report) {
            terminal.line(Report::read(&text)?.summary().trim_end())?;
            terminal.line(&format!("the report: {}", report.display()))?;
        }
        terminal.line(&format!("what the suite said: {}", log.display()))?;
        Ok(status.success())
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

/// A report, as far as it is read here.
#[derive(Debug, Deserialize)]
struct Report {
    /// None when nothing was run.
    profiles: Option<Vec<Profile>>,
}

#[derive(Debug, Deserialize)]
struct Profile {
    name: String,
    #[serde(flatten)]
    levels: BTreeMap<String, serde_json::Value>,
}

impl Report {
    fn read(text: &str) -> anyhow::Result<Self> {
        serde_saphyr::from_str(text).context("the suite's report cannot be read")
    }

    /// A line for each profile, by name: reports have them in any order.
    fn summary(&self) -> String {
        let mut text = String::new();
        let mut profiles: Vec<_> = self.profiles.iter().flatten().collect();
        profiles.sort_by(|a, b| a.name.cmp(&b.name));
        for Profile { name, levels } in profiles {
            // Writing to a String cannot fail.
            let _ = write!(text, "{name:<14}");
            for level in ["core", "extended"] {
                let of = &levels.get(level).cloned().unwrap_or_default();
                let count = |what: &str| of["statistics"][what].as_u64().unwrap_or_default();
                let result = of["result"].as_str().unwrap_or("nothing");
                let _ = write!(
                    text,
                    "  {level}: {result}, {} passed, {} failed, {} skipped",
                    count("Passed"),
                    count("Failed"),
                    count("Skipped"),
                );
                if let Some(lacking) = of["unsupportedFeatures"].as_array() {
                    let _ = write!(text, ", {} features not supported", lacking.len());
                }
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
#[path = "conformance_tests.rs"]
mod tests;
