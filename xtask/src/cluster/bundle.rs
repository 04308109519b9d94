//! Definitions of the Gateway API: which release and channel of them a cluster has, and how it gets others.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use gateway_core::{Channel, Release};

use super::{
    install::{self, Installation},
    request,
};
use crate::workspace;

/// The group of most kinds, and that of kinds that may yet go.
const GROUPS: [&str; 2] = ["gateway.networking.k8s.io", "gateway.networking.x-k8s.io"];

/// Upstream's policy, and what applies it: refuses experimental definitions over standard ones.
const POLICY: &str = "safe-upgrades.gateway.networking.k8s.io";

/// How long the API server may go by a policy that has been deleted.
const PATIENCE: Duration = Duration::from_secs(20);

/// A line for each definition: name, release and channel.
const LISTING: &str = "jsonpath={range .items[*]}{.metadata.name}{' '}\
    {.metadata.annotations.gateway\\.networking\\.k8s\\.io/bundle-version}{' '}\
    {.metadata.annotations.gateway\\.networking\\.k8s\\.io/channel}{'\\n'}{end}";

/// A release of the Gateway API whose suite is built here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    V1_6_3,
    V1_7_0,
}

impl Version {
    /// Oldest first.
    pub(crate) const ALL: [Self; 2] = [Self::V1_6_3, Self::V1_7_0];

    /// What is installed unless it is said.
    pub(crate) const NEWEST: Self = Self::V1_7_0;

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::V1_6_3 => "1.6.3",
            Self::V1_7_0 => "1.7.0",
        }
    }

    /// As a person writes it, with or without `v`.
    pub(crate) fn find(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        { Self::ALL.into_iter() }.find(|version| version.as_str() == text)
    }

    /// What the `go` command is told so that it is new enough: it fetches itself.
    pub(crate) const fn toolchain(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::V1_6_3 => None,
            Self::V1_7_0 => Some(("GOTOOLCHAIN", "go1.27.1")),
        }
    }

    pub(crate) const fn release(self) -> Release {
        match self {
            Self::V1_6_3 => Release(1, 6, 3),
            Self::V1_7_0 => Release(1, 7, 0),
        }
    }
}

/// Definitions of one release and channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bundle {
    pub(crate) version: Version,
    pub(crate) channel: Channel,
}

impl Bundle {
    pub(crate) const NEWEST: Self = Self {
        version: Version::NEWEST,
        channel: Channel::Experimental,
    };
}

impl fmt::Display for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{} {}", self.version.as_str(), self.channel.as_str())
    }
}

/// What is wanted of the definitions; what is not said is up to what is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Wanted {
    /// The release of the Gateway API
    #[arg(long, value_name = "1.6.3|1.7.0", value_parser = request::version)]
    pub(crate) version: Option<Version>,
    /// The channel of its definitions
    #[arg(long, value_name = "standard|experimental", value_parser = request::channel)]
    pub(crate) channel: Option<Channel>,
}

/// A definition that a cluster has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Installed {
    name: String,
    /// Empty: it does not say.
    version: String,
    channel: String,
}

/// What is to be done about definitions.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Leave(String),
    Apply(Bundle),
}

impl Installation<'_> {
    /// Makes the cluster have definitions, unless it has newer ones and nobody asked for others.
    pub(super) fn definitions(self, wanted: Wanted) -> anyhow::Result<()> {
        let installed = self.installed()?;
        match step(&installed, wanted) {
            Step::Leave(why) => Ok(self.terminal.line(&why)?),
            Step::Apply(bundle) => {
                if wanted == Wanted::default() {
                    self.apply(bundle)
                } else {
                    self.switch(bundle, &installed)
                }
            }
        }
    }

    /// The same, and says what there is now.
    pub(super) fn definitions_only(self, wanted: Wanted) -> anyhow::Result<()> {
        self.definitions(wanted)?;
        let there = summary(&self.installed()?);
        let there = format!("definitions of the Gateway API: {there}");
        Ok(self.terminal.line(&there)?)
    }

    /// Those that the cluster has now, by name.
    pub(super) fn installed(self) -> anyhow::Result<Vec<Installed>> {
        let listed = self.kubectl(&["get", "crds", "-o", LISTING]);
        Ok(listing(&workspace::output_of(&mut listed?)?))
    }

    /// Makes the cluster have these and no others, whatever it had: a policy that forbids it is removed first.
    fn switch(self, bundle: Bundle, installed: &[Installed]) -> anyhow::Result<()> {
        let delete = |kind: &str, names: &[&str]| {
            let delete = ["delete", "--ignore-not-found", kind];
            let mut delete = self.kubectl(&[&delete[..], names].concat())?;
            workspace::output_of(&mut delete).map(drop)
        };
        let allow = || {
            delete("validatingadmissionpolicybinding", &[POLICY])?;
            delete("validatingadmissionpolicy", &[POLICY])
        };
        allow()?;
        let names = names(bundle)?;
        let others: Vec<&str> = { installed.iter() }
            .map(|definition| definition.name.as_str())
            .filter(|name| !names.contains(*name))
            .collect();
        if !others.is_empty() {
            delete("crd", &others)?;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.apply(bundle) {
                Err(error)
                    if Instant::now() < deadline && format!("{error:#}").contains(POLICY) =>
                {
                    // The policy is among what has just been applied.
                    allow()?;
                    thread::sleep(Duration::from_millis(500));
                }
                other => return other,
            }
        }
    }

    fn apply(self, bundle: Bundle) -> anyhow::Result<()> {
        let mut apply = self.kubectl(&["apply", "--server-side", "--force-conflicts"])?;
        for (_, file) in files(bundle)? {
            apply.arg("-f").arg(file);
        }
        workspace::output_of(&mut apply)?;
        let wait = ["wait", "--for=condition=Established", "--timeout=60s"];
        let all = ["crds", "--all"];
        workspace::output_of(self.kubectl(&wait)?.args(all)).map(drop)
    }

    /// Which bundle the cluster has, if all of its definitions are of one that is known here.
    pub(super) fn bundle(self) -> anyhow::Result<Bundle> {
        let installed = self.installed()?;
        let Some(first) = installed.first() else {
            bail!("the cluster has no definitions of the Gateway API");
        };
        for other in &installed {
            if (&other.version, &other.channel) != (&first.version, &first.channel) {
                bail!("the cluster has {first} and {other}: install one release and channel");
            }
        }
        let version = Version::find(&first.version).with_context(|| {
            let known = Version::ALL.map(Version::as_str).join(" and ");
            format!("the cluster has {first}; the suites of {known} are known")
        })?;
        let channel = Channel::parse(&first.channel)
            .with_context(|| format!("the cluster has {first}, of no channel that is known"))?;
        Ok(Bundle { version, channel })
    }
}

impl fmt::Display for Installed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let say = |text: &str, else_: &str| {
            if text.is_empty() {
                else_.to_owned()
            } else {
                text.to_owned()
            }
        };
        let (version, channel) = (
            say(&self.version, "no version"),
            say(&self.channel, "no channel"),
        );
        write!(f, "{} of {version} ({channel})", self.name)
    }
}

/// All of them in a few words: `v1.7.0 experimental`.
pub(super) fn summary(installed: &[Installed]) -> String {
    let kinds: BTreeSet<String> = { installed.iter() }
        .map(|found| {
            format!("{} {}", found.version, found.channel)
                .trim()
                .to_owned()
        })
        .collect();
    let kinds: Vec<_> = kinds.into_iter().collect();
    if kinds.is_empty() {
        "none".to_owned()
    } else {
        kinds.join(" and ")
    }
}

/// What is said counts. Else the channel stays, and the release is raised, never lowered.
fn step(installed: &[Installed], wanted: Wanted) -> Step {
    let channels = installed
        .iter()
        .filter_map(|found| Channel::parse(&found.channel));
    let channel = { wanted.channel.or_else(|| channels.min()) }.unwrap_or(Channel::Experimental);
    let version = wanted.version.unwrap_or(Version::NEWEST);
    let bundle = Bundle { version, channel };
    let newest = { installed.iter() }
        .filter_map(|found| Release::parse(&found.version))
        .max();
    match newest {
        Some(newest) if wanted.version.is_none() && newest > version.release() => {
            Step::Leave(format!(
                "left as they are: the definitions of the Gateway API, {}, newer than v{}; --version {} replaces them",
                summary(installed),
                version.as_str(),
                version.as_str()
            ))
        }
        _ => Step::Apply(bundle),
    }
}

fn listing(text: &str) -> Vec<Installed> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let name = words.next()?;
        let (_, group) = name.split_once('.')?;
        let mut next = || words.next().unwrap_or_default().to_owned();
        GROUPS.contains(&group).then(|| Installed {
            name: name.to_owned(),
            version: next(),
            channel: next(),
        })
    });
    lines.collect()
}

/// Makes all that [`Installation::definitions`] reads be on this machine.
pub(super) fn fetch() -> anyhow::Result<()> {
    for version in Version::ALL {
        let channel = Channel::Standard;
        folder(Bundle { version, channel })?;
    }
    Ok(())
}

/// Where the files of a bundle are: in the module, which has the definitions.
fn folder(bundle: Bundle) -> anyhow::Result<PathBuf> {
    let module = format!("sigs.k8s.io/gateway-api@v{}", bundle.version.as_str());
    let module = install::module(&module, bundle.version)?;
    Ok(module.join("config/crd").join(bundle.channel.as_str()))
}

/// Its files by their names, `GROUP_PLURAL.yaml`: definitions and the policy, and not how they are put together.
fn files(bundle: Bundle) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let folder = folder(bundle)?;
    let entries =
        fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let files = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok()?;
        let (group, _) = name.strip_suffix(".yaml")?.split_once('_')?;
        GROUPS
            .contains(&group)
            .then(|| (name.clone(), entry.path()))
    });
    Ok(files.collect())
}

/// The names of its definitions.
fn names(bundle: Bundle) -> anyhow::Result<BTreeSet<String>> {
    let names = files(bundle)?.into_keys().filter_map(|name| {
        let (group, plural) = name.strip_suffix(".yaml")?.split_once('_')?;
        Some(format!("{plural}.{group}"))
    });
    Ok(names.collect())
}

#[cfg(test)]
#[path = "bundle_tests.rs"]
mod tests;
