//! `cargo xtask conformance`: the Gateway API's own suite against Postern as it is installed, with the features that
//! its GatewayClass claims; once for each release and channel of the definitions.

mod report;
mod submission;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{ChildStdout, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use gateway_core::FEATURES;

use self::report::Report;
pub(crate) use self::report::{Numbers, numbers};
use super::{
    bundle::{Bundle, Wanted},
    images,
    install::{self, Installation},
    load,
    local::settings,
    programs::Program,
    request::{Conformance, Engine, PROFILES},
};
use crate::{
    terminal::{Style, Terminal},
    workspace,
};

/// The class that is tested, as the chart makes it.
const CLASS: &str = "postern";

/// How long the class may take to say what it supports when definitions have changed.
const PATIENCE: Duration = Duration::from_secs(60);

/// An address for documentation (RFC 5737), which no load balancer gives.
const UNUSABLE: &str = "192.0.2.77";

/// What its lines about tests begin with; see `conformance_test.go`.
const ANNOUNCED: &str = "conformance: ";

/// How many lines about failures are shown.
const REASONS: usize = 80;

/// How many blanks a line has at least that goes on with what the one before it says.
const CONTINUED: usize = 12;

/// Runs all that is asked for, one bundle of definitions after the other, in a cluster that is up; the answer is
/// whether everything passed.
pub(super) fn run(
    installation: Installation<'_>,
    asked: &Conformance,
    cargo_profile: &str,
) -> anyhow::Result<bool> {
    let mut passed = true;
    if installation.machine.engine() == Engine::Current {
        let there = installation.machine.is_up()?;
        ensure!(there, "the current cluster does not answer");
        let bundle = installation.bundle()?;
        ensure!(
            !asked.said || asked.bundles.contains(&bundle),
            "the cluster has definitions of {bundle}, and they stay as they are"
        );
        return Suite { asked, bundle }.run(installation);
    }
    for (at, bundle) in asked.bundles.iter().copied().enumerate() {
        let wanted = Wanted {
            version: Some(bundle.version),
            channel: Some(bundle.channel),
        };
        if at == 0 {
            installation.install(cargo_profile, wanted)?;
        } else {
            installation.definitions(wanted)?;
        }
        claims(installation, bundle)?;
        let heading = installation
            .terminal
            .paint(Style::Heading, &bundle.to_string());
        installation.terminal.line(&heading)?;
        passed &= Suite { asked, bundle }.run(installation)?;
    }
    Ok(passed)
}

/// Waits until the class claims what it may claim with these definitions: the suite reads it once, when it starts.
fn claims(installation: Installation<'_>, bundle: Bundle) -> anyhow::Result<()> {
    let expected: Vec<_> = features(bundle, |_| true).collect();
    let path = "jsonpath={.status.supportedFeatures[*].name}";
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut get = installation.kubectl(&["get", "gatewayclass", CLASS, "-o", path])?;
        let claimed = workspace::output_of(&mut get)?;
        let claimed: Vec<_> = claimed.split_whitespace().collect();
        if claimed == expected {
            return Ok(());
        }
        if Instant::now() > deadline {
            let lacking = without(&expected, &claimed);
            let beyond = without(&claimed, &expected);
            bail!(
                "GatewayClass {CLASS} does not claim what {bundle} has: lacking {lacking}; claimed beyond it {beyond}"
            );
        }
        thread::sleep(Duration::from_millis(500));
    }
}

/// Flags of the suite that say which tests run, and where the report is.
const SELECTING: [&str; 8] = [
    "all-features",
    "conformance-profiles",
    "exempt-features",
    "report-output",
    "run-test",
    "skip-provisional-tests",
    "skip-tests",
    "supported-features",
];

/// Whether a flag says that not all that is claimed is tested.
fn selects(flag: &str) -> bool {
    let name = flag.trim_start_matches('-').split('=').next();
    name.is_some_and(|name| SELECTING.contains(&name))
}

/// The names of one list that another does not have.
fn without(names: &[&str], others: &[&str]) -> String {
    let only = names.iter().filter(|name| !others.contains(name));
    let only: Vec<_> = only.copied().collect();
    match only.is_empty() {
        true => "nothing".to_owned(),
        false => only.join(", "),
    }
}

/// What may be claimed with these definitions, of the kinds that are wanted.
fn features(bundle: Bundle, wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = &'static str> {
    let rows = FEATURES.iter();
    rows.filter(move |feature| feature.is_of(bundle.version.release(), bundle.channel))
        .filter(move |feature| wanted(feature.definition))
        .map(|feature| feature.name)
}

/// Whether features of the definition of that plural name belong to a profile.
fn is_in(definition: &str, profile: &str) -> bool {
    match definition {
        "httproutes" | "backendtlspolicies" => profile == "GATEWAY-HTTP",
        "grpcroutes" => profile == "GATEWAY-GRPC",
        "tlsroutes" => profile == "GATEWAY-TLS",
        "tcproutes" => profile == "GATEWAY-TCP",
        "udproutes" => profile == "GATEWAY-UDP",
        _ => true,
    }
}

/// One run of it.
struct Suite<'a> {
    asked: &'a Conformance,
    bundle: Bundle,
}

impl Suite<'_> {
    /// Runs it; the answer is whether everything passed. The suite's own output goes to a file, since it is megabytes.
    fn run(&self, installation: Installation<'_>) -> anyhow::Result<bool> {
        let (terminal, started) = (installation.terminal, Instant::now());
        let program = Program::Suite(self.bundle.version);
        let program = program.built(installation.root, terminal)?;
        let ours = installation.machine.engine() != Engine::Current;
        if ours {
            self.load_images(installation)?;
            installation.step(started, "loaded the suite's images")?;
        }
        let folder = installation.root.join("target/conformance");
        super::layout::make(&folder)?;
        let (version, channel) = (self.bundle.version.as_str(), self.bundle.channel.as_str());
        let log = folder.join(format!("{version}-{channel}.log"));
        let reports = { self.asked.report.clone() }.unwrap_or_else(|| folder.join("reports"));
        // It takes the place of an older one once it is whole.
        let report = folder.join(format!("{version}-{channel}.yaml"));
        let _ = fs::remove_file(&report);
        let mut suite = installation.machine.inside(program.as_os_str());
        suite
            .args(self.arguments(&report, ours))
            .args(&self.asked.flags);
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
            // What it says goes nowhere any more. It may have ended by itself.
            let _ = running.kill();
        }
        let status = running.wait().context("the suite was lost")?;
        followed?;
        let written = self.asked.test.is_some() || report.is_file();
        let whole = written && self.judged(&report, &reports, terminal)?;
        let passed = status.success() && whole;
        if !passed {
            let said = fs::read(&log).context("the log cannot be read")?;
            for line in reasons(&String::from_utf8_lossy(&said)) {
                terminal.line(line)?;
            }
        }
        terminal.line(&format!("what the suite said: {}", log.display()))?;
        installation.step(started, &format!("{} is done", self.bundle))?;
        Ok(passed)
    }

    /// Sums the report up, if one was asked for. The suite is content when what a GatewayClass does not claim is not
    /// tested; we are not, unless flags may have said otherwise.
    fn judged(&self, report: &Path, reports: &Path, terminal: Terminal) -> anyhow::Result<bool> {
        if self.asked.test.is_some() {
            return Ok(true);
        }
        let text = fs::read_to_string(report)
            .with_context(|| format!("the suite wrote no {}", report.display()))?;
        let read = Report::read(&text)?;
        terminal.line(read.summary().trim_end())?;
        let place = submission::place(reports, self.bundle);
        super::layout::make(place.parent().unwrap_or(reports))?;
        fs::copy(report, &place)
            .with_context(|| format!("{} cannot be written", place.display()))?;
        terminal.line(&format!("the report: {}", place.display()))?;
        submission::describe(reports, self.bundle)?;
        let lacking = read.lacking(self.bundle, &self.asked.profiles);
        if self.asked.flags.iter().any(|flag| selects(flag)) {
            return Ok(true);
        }
        for line in &lacking {
            terminal.line(line)?;
        }
        Ok(lacking.is_empty())
    }

    /// One test after the other: side by side, they lengthen each other's waits on a machine of two cores.
    fn arguments(&self, report: &Path, ours: bool) -> Vec<String> {
        let mut arguments: Vec<String> = [
            "-test.v",
            "-test.run=^TestConformance$",
            "-test.timeout=60m",
            "-disable-parallel-tests",
        ]
        .map(str::to_owned)
        .into();
        arguments.push(format!("-gateway-class={CLASS}"));
        let profiles = &self.asked.profiles;
        arguments.push(format!("-conformance-profiles={}", profiles.join(",")));
        if ours {
            arguments.push(format!("-usable-address={}", settings::BALANCED.1));
            arguments.push(format!("-unusable-address={UNUSABLE}"));
        }
        let Some(test) = &self.asked.test else {
            if profiles.len() < PROFILES.len() {
                // Which tests run is decided by features alone.
                let wanted = |definition: &str| profiles.iter().any(|p| is_in(definition, p));
                let features: Vec<_> = features(self.bundle, wanted).collect();
                arguments.push(format!("-supported-features={}", features.join(",")));
            }
            arguments.push(format!("-report-output={}", report.display()));
            for (what, is) in submission::IMPLEMENTATION {
                arguments.push(format!("-{what}={is}"));
            }
            return arguments;
        };
        arguments.push(format!("-run-test={test}"));
        arguments
    }

    /// Those that the suite's manifests name, as far as gateways need them, built from sources: nothing here is pulled.
    fn load_images(&self, installation: Installation<'_>) -> anyhow::Result<()> {
        let version = self.bundle.version;
        let module = format!("sigs.k8s.io/gateway-api/conformance@v{}", version.as_str());
        let mut named = BTreeSet::new();
        images_below(&install::module(&module, version)?, &mut named)?;
        for program in [Program::EchoBasic(version), Program::CoreDns] {
            let names: Vec<String> = { named.iter() }
                .filter(|name| is_of(name, program))
                .cloned()
                .collect();
            let Some(first) = names.first() else {
                // CoreDNS is of releases before 1.7.
                let needed = program == Program::EchoBasic(version);
                ensure!(
                    !needed,
                    "the suite has no image {:?} any more",
                    program.image()
                );
                continue;
            };
            let (root, terminal) = (installation.root, installation.terminal);
            let archive = images::of_program(program, first, root, terminal)?;
            load(installation.machine, &archive, &names)?;
        }
        Ok(())
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

/// The lines of the log that say what failed, and why: the first of them, which later ones may follow from. An error
/// may go on over the lines after it.
fn reasons(log: &str) -> impl Iterator<Item = &str> {
    let mut goes_on = false;
    log.lines()
        .filter(move |line| {
            let text = line.trim_start();
            let starts = |begins: &[&str]| begins.iter().any(|begin| text.starts_with(begin));
            if starts(&["--- FAIL", "Error:", "Error Trace:", "Messages:", "panic:"]) {
                goes_on = starts(&["Error:", "Error Trace:", "Messages:"]);
                return true;
            }
            // Such a line has nothing but blanks where the others have a name.
            goes_on &= line.len() - text.len() >= CONTINUED && !text.is_empty();
            goes_on && !starts(&["Test:"])
        })
        .take(REASONS)
}

/// Whether that is the name of the program's image.
fn is_of(image: &str, program: Program) -> bool {
    let (name, _) = image.rsplit_once(':').unwrap_or((image, ""));
    name.rsplit('/').next() == Some(program.image())
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
