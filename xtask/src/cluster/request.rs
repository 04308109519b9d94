//! What `cargo xtask cluster` can be asked for.

use std::path::PathBuf;

/// The name of the cluster, unless one is given.
const NAME: &str = "postern";

/// How cargo builds Postern, unless it is said: what is there already, mostly.
const PROFILE: &str = "dev";

/// How cargo builds what is measured.
const MEASURED: &str = "release";

/// The usage, as lines of the command's own.
pub(crate) const USAGE: &str = "\
  cluster up | down   Start a Kubernetes of one node on this machine, or end it and remove all that it left.
                      Starting one that is up changes nothing.
  cluster install | uninstall
                      Install Postern from this checkout, image, CRDs and chart, or remove it.
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
  conformance [TEST] [-- FLAGS…]
                      Run the conformance suite of the Gateway API, all five profiles or one test, against this
                      checkout: starts a cluster unless one is up, and installs. FLAGS are the suite's own.
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
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Up,
    Down,
    Install,
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
    /// Run the conformance suite of the Gateway API, or one test of it. The flags are the suite's.
    Conformance {
        test: Option<String>,
        flags: Vec<String>,
    },
    /// Measure what many objects cost: `bench scale`. What follows is the benchmark's.
    Scale(Vec<String>),
}

impl Request {
    /// Reads what follows `cluster`. An error says in one line what is wrong.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        Self::read(arguments, PROFILE, Action::of)
    }

    /// Reads what follows `bench scale`.
    pub(crate) fn parse_scale(arguments: &[String]) -> Result<Self, String> {
        Self::read(arguments, MEASURED, |words, theirs| match words {
            [] => Ok(Action::Scale(theirs.unwrap_or_default())),
            [word, ..] => Err(format!("bench scale does not take {word:?}")),
        })
    }

    /// Reads what follows `conformance`.
    pub(crate) fn parse_conformance(arguments: &[String]) -> Result<Self, String> {
        Self::read(arguments, PROFILE, |words, theirs| {
            let test = match words {
                [] => None,
                [test] => Some((*test).to_owned()),
                [_, extra, ..] => {
                    return Err(format!(
                        "conformance runs one test or all: {extra:?} is too much"
                    ));
                }
            };
            let flags = theirs.unwrap_or_default();
            Ok(Action::Conformance { test, flags })
        })
    }

    fn read(
        arguments: &[String],
        profile: &str,
        action: impl Fn(&[&str], Option<Vec<String>>) -> Result<Action, String>,
    ) -> Result<Self, String> {
        let end = arguments.iter().position(|argument| argument == "--");
        let (ours, theirs) = match end {
            Some(at) => (&arguments[..at], Some(arguments[at + 1..].to_vec())),
            None => (arguments, None),
        };
        let (mut engine, mut words) = (Engine::Local, Vec::new());
        let (mut name, mut profile) = (NAME.to_owned(), profile.to_owned());
        let mut rest = ours.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--cluster" => engine = Engine::of(rest.next())?,
                "--name" => name = name_of(rest.next())?,
                "--profile" => {
                    let value = rest.next().ok_or("--profile wants a name")?;
                    value.clone_into(&mut profile);
                }
                option if option.starts_with('-') => {
                    return Err(format!("there is no option {option:?}"));
                }
                word => words.push(word),
            }
        }
        let action = action(&words, theirs)?;
        Ok(Self {
            engine,
            name,
            profile,
            action,
        })
    }
}

impl Engine {
    fn of(argument: Option<&String>) -> Result<Self, String> {
        match argument.map(String::as_str) {
            Some("local") => Ok(Self::Local),
            Some("kind") => Ok(Self::Kind),
            Some(other) => Err(format!("--cluster is local or kind, not {other:?}")),
            None => Err("--cluster wants local or kind".to_owned()),
        }
    }
}

/// It becomes a folder, a network namespace and a container.
fn name_of(argument: Option<&String>) -> Result<String, String> {
    let name = argument.ok_or("--name wants a name")?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 30 || name.starts_with('-') || !name.bytes().all(plain) {
        return Err(format!(
            "{name:?} is no name: up to 30 lower-case letters, digits and hyphens"
        ));
    }
    Ok(name.clone())
}

impl Action {
    fn of(words: &[&str], theirs: Option<Vec<String>>) -> Result<Self, String> {
        match (words, theirs) {
            (["kubectl"], Some(arguments)) if !arguments.is_empty() => Ok(Self::Kubectl(arguments)),
            (["exec"], Some(command)) if !command.is_empty() => Ok(Self::Exec(command)),
            ([verb @ ("kubectl" | "exec"), ..], _) => {
                Err(format!("cluster {verb} wants -- and what to run"))
            }
            ([_, ..], Some(_)) => Err("only kubectl and exec have something after --".to_owned()),
            (["up"], None) => Ok(Self::Up),
            (["down"], None) => Ok(Self::Down),
            (["install"], None) => Ok(Self::Install),
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
