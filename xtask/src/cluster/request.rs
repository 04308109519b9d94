//! What `cargo xtask cluster` can be asked for.

mod conformance;

use std::path::PathBuf;

use gateway_core::Channel;

pub(crate) use self::conformance::{Conformance, PROFILES};
use super::bundle::{Version, Wanted};

/// The name of the cluster, unless one is given.
pub(super) const NAME: &str = "postern";

/// How cargo builds Postern, unless it is said: what is there already, mostly.
const PROFILE: &str = "dev";

/// How cargo builds what is measured.
const MEASURED: &str = "release";

/// The usage, as lines of the command's own.
pub(crate) const USAGE: &str = "\
  cluster up | down   Start a Kubernetes of one node on this machine, or end it and remove all that it left.
                      Starting one that is up changes nothing.
  cluster list        Name the clusters on this machine, and say which are up.
  cluster status      Say what of a cluster runs, which definitions it has, and whether Postern is installed.
                      The exit code is 1 unless it is up.
  cluster install [--version V] [--channel C] | uninstall
                      Install Postern from this checkout, image, CRDs and chart, or remove it. Definitions of the
                      Gateway API are 1.7.0 experimental, or in the channel that is there; newer ones are left as they
                      are. --version 1.6.3|1.7.0 and --channel standard|experimental replace what is there.
  cluster definitions [--version V] [--channel C]
                      Do the same with the definitions of the Gateway API, and nothing else.
  cluster image ARCHIVE
                      Write Postern's image as a docker-archive, without a container engine.
                      Both take --profile NAME: how cargo builds Postern (dev).
  cluster load ARCHIVE NAME…
                      Give the cluster an image, a docker-archive, under these names.
  cluster kubectl -- ARGUMENTS…
                      Run kubectl on the cluster.
  cluster exec -- COMMAND…
                      Run a command where pods, Services and load balancer addresses can be reached, with
                      KUBECONFIG set.
  cluster test [CHECK…]
                      Run what only a real cluster can show: all of it, or the checks whose names contain that.
  conformance [--version 1.6.3|1.7.0] [--channel standard|experimental] [--profile NAME[,NAME…]]
              [--run-test NAME] [--report DIR] [--cluster local|kind|current] [--cargo-profile NAME] [-- FLAGS…]
                      Run the conformance suite of the Gateway API against this checkout: starts a cluster unless one
                      is up, installs, and runs once for each version and channel, or for those that are said. With a
                      test: 1.7.0 experimental, unless said. Profiles are HTTP, GRPC, TLS, TCP and UDP (all).
                      Reports go below DIR (target/conformance/reports) as upstream wants them. With
                      --cluster current: Postern, definitions and context as they are. FLAGS are the suite's own.
  cluster restart COMPONENT
                      End and start a part of the local cluster: apiserver, kubelet, etcd and so on.
                      Each takes --cluster local|kind (local: upstream's programs without a container engine,
                      as root; kind: with kind and Docker) and --name NAME (postern).
";

/// A cluster, and what is to be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) engine: Engine,
    pub(crate) name: String,
    /// How cargo builds Postern, where that is to be done.
    pub(crate) profile: String,
    pub(crate) action: Action,
}

/// What makes the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// Upstream's programs, built here.
    Local,
    /// kind.
    Kind,
    /// None: the cluster of the current kubeconfig.
    Current,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Up,
    Down,
    List,
    Status,
    /// With the definitions that are wanted.
    Install(Wanted),
    /// Nothing but these.
    Definitions(Wanted),
    Uninstall,
    Image(PathBuf),
    Load {
        archive: PathBuf,
        names: Vec<String>,
    },
    Kubectl(Vec<String>),
    Exec(Vec<String>),
    Restart(String),
    Test(Vec<String>),
    /// Run the conformance suite of the Gateway API.
    Conformance(Conformance),
    /// Measure what many objects cost: `bench scale`. What follows is the benchmark's.
    Scale(Vec<String>),
}

impl Request {
    /// Reads what follows `cluster`. An error says in one line what is wrong.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let split = Split::of(arguments);
        let (words, options) = split.options()?;
        let wanted = Wanted {
            version: options.one("--version", version)?,
            channel: options.one("--channel", channel)?,
        };
        let action = Action::of(&words, split.theirs, wanted)?;
        options.check(&["--version", "--channel", "--cluster", "--name", "--profile"])?;
        Self::with(
            &options,
            "--profile",
            PROFILE,
            action,
            &[Engine::Local, Engine::Kind],
        )
    }

    /// Reads what follows `bench scale`.
    pub(crate) fn parse_scale(arguments: &[String]) -> Result<Self, String> {
        let split = Split::of(arguments);
        let (words, options) = split.options()?;
        if let [word, ..] = words[..] {
            return Err(format!("bench scale does not take {word:?}"));
        }
        options.check(&["--cluster", "--name", "--profile"])?;
        let action = Action::Scale(split.theirs.unwrap_or_default());
        Self::with(
            &options,
            "--profile",
            MEASURED,
            action,
            &[Engine::Local, Engine::Kind],
        )
    }

    /// Reads what follows `conformance`.
    pub(crate) fn parse_conformance(arguments: &[String]) -> Result<Self, String> {
        let split = Split::of(arguments);
        let (words, options) = split.options()?;
        let asked = Conformance::of(&words, &options, split.theirs)?;
        let engines = [Engine::Local, Engine::Kind, Engine::Current];
        Self::with(
            &options,
            "--cargo-profile",
            PROFILE,
            Action::Conformance(asked),
            &engines,
        )
    }

    fn with(
        options: &Options<'_>,
        profile_option: &str,
        profile: &str,
        action: Action,
        engines: &[Engine],
    ) -> Result<Self, String> {
        let engine = options.one("--cluster", |text| Engine::of(text, engines))?;
        let name = options.one("--name", name_of)?;
        let said = options.one(profile_option, |text| Ok(text.to_owned()))?;
        Ok(Self {
            engine: engine.unwrap_or(Engine::Local),
            name: name.unwrap_or_else(|| NAME.to_owned()),
            profile: said.unwrap_or_else(|| profile.to_owned()),
            action,
        })
    }
}

/// Arguments before and after `--`.
struct Split<'a> {
    ours: &'a [String],
    theirs: Option<Vec<String>>,
}

/// Options, each with its value.
#[derive(Debug)]
struct Options<'a>(Vec<(&'a str, Option<&'a str>)>);

impl<'a> Split<'a> {
    fn of(arguments: &'a [String]) -> Self {
        let end = arguments.iter().position(|argument| argument == "--");
        Self {
            ours: &arguments[..end.unwrap_or(arguments.len())],
            theirs: end.map(|at| arguments[at + 1..].to_vec()),
        }
    }

    /// Words, and options with their values: `--name X` and `--name=X`.
    fn options(&self) -> Result<(Vec<&'a str>, Options<'a>), String> {
        let (mut words, mut options) = (Vec::new(), Vec::new());
        let mut rest = self.ours.iter().map(String::as_str);
        while let Some(argument) = rest.next() {
            if !argument.starts_with('-') {
                words.push(argument);
            } else if !OPTIONS.contains(&argument.split('=').next().unwrap_or_default()) {
                return Err(format!("there is no option {argument:?}"));
            } else if let Some((name, value)) = argument.split_once('=') {
                options.push((name, Some(value)));
            } else {
                options.push((argument, rest.next()));
            }
        }
        Ok((words, Options(options)))
    }
}

impl Options<'_> {
    /// The value of an option; of two, the last counts.
    fn one<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        match self.0.iter().rfind(|(option, _)| *option == name) {
            None => Ok(None),
            Some((_, None)) => Err(format!("{name} wants a value")),
            Some((_, Some(value))) => read(value).map(Some),
        }
    }

    /// An option that the command does not take is an error.
    fn check(&self, known: &[&str]) -> Result<(), String> {
        match self.0.iter().find(|(name, _)| !known.contains(name)) {
            Some((name, _)) => Err(format!("{name} is no option of this command")),
            None => Ok(()),
        }
    }
}

/// Every option of every command; each has a value.
const OPTIONS: &[&str] = &[
    "--cluster",
    "--name",
    "--profile",
    "--cargo-profile",
    "--version",
    "--channel",
    "--run-test",
    "--report",
];

fn version(text: &str) -> Result<Version, String> {
    Version::find(text).ok_or_else(|| {
        let known = Version::ALL.map(Version::as_str).join(" or ");
        format!("--version is {known}, not {text:?}")
    })
}

fn channel(text: &str) -> Result<Channel, String> {
    Channel::parse(text)
        .ok_or_else(|| format!("--channel is standard or experimental, not {text:?}"))
}

impl Engine {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Kind => "kind",
            Self::Current => "current",
        }
    }

    /// As words of a command line; nothing for the one that is meant anyway.
    pub(super) fn option(self) -> String {
        match self {
            Self::Local => String::new(),
            other => format!(" --cluster {}", other.as_str()),
        }
    }

    fn of(text: &str, known: &[Self]) -> Result<Self, String> {
        let found = known.iter().find(|engine| engine.as_str() == text);
        found.copied().ok_or_else(|| {
            let known: Vec<_> = known.iter().map(|engine| engine.as_str()).collect();
            format!("--cluster is {}, not {text:?}", known.join(" or "))
        })
    }
}

/// It becomes a folder, a network namespace and a container.
fn name_of(name: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 30 || name.starts_with('-') || !name.bytes().all(plain) {
        return Err(format!(
            "{name:?} is no name: up to 30 lower-case letters, digits and hyphens"
        ));
    }
    Ok(name.to_owned())
}

impl Action {
    fn of(words: &[&str], theirs: Option<Vec<String>>, wanted: Wanted) -> Result<Self, String> {
        if wanted != Wanted::default() && !matches!(words, ["install" | "definitions"]) {
            let takers = "cluster install and cluster definitions";
            return Err(format!("--version and --channel are for {takers}"));
        }
        match (words, theirs) {
            (["kubectl"], Some(arguments)) if !arguments.is_empty() => Ok(Self::Kubectl(arguments)),
            (["exec"], Some(command)) if !command.is_empty() => Ok(Self::Exec(command)),
            ([verb @ ("kubectl" | "exec"), ..], _) => {
                Err(format!("cluster {verb} wants -- and what to run"))
            }
            ([_, ..], Some(_)) => Err("only kubectl and exec have something after --".to_owned()),
            (["up"], None) => Ok(Self::Up),
            (["down"], None) => Ok(Self::Down),
            (["list"], None) => Ok(Self::List),
            (["status"], None) => Ok(Self::Status),
            (["definitions"], None) => Ok(Self::Definitions(wanted)),
            (["install"], None) => Ok(Self::Install(wanted)),
            (["uninstall"], None) => Ok(Self::Uninstall),
            (["image", archive], None) => Ok(Self::Image(archive.into())),
            (["load", archive, names @ ..], None) if !names.is_empty() => Ok(Self::Load {
                archive: archive.into(),
                names: names.iter().map(|&name| name.to_owned()).collect(),
            }),
            (["load", ..], None) => Err("cluster load wants an archive and names".to_owned()),
            (["test", filters @ ..], None) => Ok(Self::Test(
                filters.iter().map(|&filter| filter.to_owned()).collect(),
            )),
            (["restart", component], None) => Ok(Self::Restart((*component).to_owned())),
            ([verb, ..], None) => Err(format!("cluster cannot {verb:?} like that")),
            ([], _) => Err("cluster wants to be told what to do".to_owned()),
        }
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
