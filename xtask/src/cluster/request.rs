//! What `cargo xtask cluster`, `conformance` and `bench scale` can be asked for.

mod conformance;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use gateway_core::Channel;

pub(crate) use self::conformance::{Conformance, ConformanceArgs, PROFILES};
use super::bundle::{Version, Wanted};

/// The name of the cluster, unless one is given.
pub(super) const NAME: &str = "postern";

/// A cluster, and what is to be done with it.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct ClusterArgs {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: Place,
    /// How cargo builds Postern
    #[arg(long, global = true, value_name = "NAME", default_value = "dev")]
    profile: String,
}

/// `bench scale`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct ScaleArgs {
    #[command(flatten)]
    place: Place,
    /// How cargo builds Postern
    #[arg(long, value_name = "NAME", default_value = "release")]
    profile: String,
    /// Options of the benchmark; `-- --help` lists them
    #[arg(last = true, value_name = "OPTIONS")]
    options: Vec<String>,
}

/// Which cluster.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct Place {
    /// What makes it. local: upstream's programs, as root, without a container engine; kind: kind and Docker
    #[arg(
        long = "cluster",
        global = true,
        value_name = "local|kind",
        default_value = "local",
        value_parser = made_here
    )]
    engine: Engine,
    /// Its name
    #[arg(long, global = true, value_name = "NAME", default_value = NAME, value_parser = name_of)]
    name: String,
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

/// A cluster, and what is to be done with it, as it was asked for by any of the commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) engine: Engine,
    pub(crate) name: String,
    /// How cargo builds Postern, where that is to be done.
    pub(crate) profile: String,
    pub(crate) action: Action,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum Action {
    /// Start a Kubernetes of one node on this machine. One that is up stays as it is
    Up,
    /// End it, and remove all that it left
    Down,
    /// Name the clusters on this machine, and say which are up
    List,
    /// Say what of a cluster runs, which definitions it has, and whether Postern is installed. Exits with 1 unless it
    /// is up
    Status,
    /// Install Postern from this checkout: image, CRDs and chart
    ///
    /// Definitions of the Gateway API are 1.7.0 experimental, or in the channel that is there; newer ones are left as
    /// they are. --version and --channel replace what is there.
    Install(Wanted),
    /// Do the same with the definitions of the Gateway API, and nothing else
    Definitions(Wanted),
    /// Remove Postern
    Uninstall,
    /// Write Postern's image as a docker-archive, without a container engine
    Image {
        /// The file to write
        archive: PathBuf,
    },
    /// Give the cluster an image under these names
    Load {
        /// A docker-archive
        archive: PathBuf,
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Run kubectl on the cluster
    Kubectl {
        #[arg(last = true, required = true)]
        arguments: Vec<String>,
    },
    /// Run a command where pods, Services and load balancer addresses can be reached, with KUBECONFIG set
    Exec {
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// End and start a part of the local cluster: apiserver, kubelet, etcd and so on
    Restart { component: String },
    /// Run what only a real cluster can show
    Test {
        /// Only checks whose names contain one of these
        #[arg(value_name = "CHECK")]
        filters: Vec<String>,
    },
    /// Run the conformance suite of the Gateway API.
    #[command(skip)]
    Conformance(Conformance),
    /// Measure what many objects cost. What follows is the benchmark's.
    #[command(skip)]
    Scale(Vec<String>),
}

impl From<ClusterArgs> for Request {
    fn from(asked: ClusterArgs) -> Self {
        Self {
            engine: asked.place.engine,
            name: asked.place.name,
            profile: asked.profile,
            action: asked.action,
        }
    }
}

impl From<ScaleArgs> for Request {
    fn from(asked: ScaleArgs) -> Self {
        Self {
            engine: asked.place.engine,
            name: asked.place.name,
            profile: asked.profile,
            action: Action::Scale(asked.options),
        }
    }
}

/// A release of the Gateway API.
pub(super) fn version(text: &str) -> Result<Version, String> {
    let known = || Version::ALL.map(Version::as_str).join(" or ");
    Version::find(text).ok_or_else(|| format!("it is {}", known()))
}

/// A channel of its definitions.
pub(super) fn channel(text: &str) -> Result<Channel, String> {
    Channel::parse(text).ok_or_else(|| "it is standard or experimental".to_owned())
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
            format!("it is {}", known.join(" or "))
        })
    }
}

fn made_here(text: &str) -> Result<Engine, String> {
    Engine::of(text, &[Engine::Local, Engine::Kind])
}

fn any(text: &str) -> Result<Engine, String> {
    Engine::of(text, &[Engine::Local, Engine::Kind, Engine::Current])
}

/// It becomes a folder, a network namespace and a container.
fn name_of(name: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 30 || name.starts_with('-') || !name.bytes().all(plain) {
        return Err("a name is up to 30 lower-case letters, digits and hyphens".to_owned());
    }
    Ok(name.to_owned())
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
