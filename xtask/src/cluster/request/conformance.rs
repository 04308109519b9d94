//! What `cargo xtask conformance` can be asked for.

use std::path::PathBuf;

use clap::Args;
use gateway_core::Channel;

use super::{
    super::bundle::{Bundle, Version},
    Action, Engine, NAME, Request, any, channel, name_of, version,
};

/// All profiles of gateways; those of meshes are not ours.
pub(crate) const PROFILES: [&str; 5] = [
    "GATEWAY-HTTP",
    "GATEWAY-GRPC",
    "GATEWAY-TLS",
    "GATEWAY-TCP",
    "GATEWAY-UDP",
];

/// `conformance`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct ConformanceArgs {
    /// One test, by its short name
    #[arg(value_name = "TEST", conflicts_with = "run_test")]
    test: Option<String>,
    /// The same
    #[arg(long, value_name = "NAME")]
    run_test: Option<String>,
    /// One release of the Gateway API alone
    #[arg(long, value_name = "1.6.3|1.7.0", value_parser = version)]
    version: Option<Version>,
    /// One channel of its definitions alone
    #[arg(long, value_name = "standard|experimental", value_parser = channel)]
    channel: Option<Channel>,
    /// Profiles to test, of HTTP, GRPC, TLS, TCP and UDP (cargo's is --cargo-profile)
    #[arg(long = "profile", value_name = "NAME[,NAME…]", value_parser = profiles)]
    profiles: Option<Profiles>,
    /// The folder below which reports are written, as upstream wants them. Default: target/conformance/reports
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// What makes the cluster. current: that of the kubeconfig, with Postern and definitions as they are
    #[arg(long, value_name = "local|kind|current", default_value = "local", value_parser = any)]
    cluster: Engine,
    /// Its name
    #[arg(long, value_name = "NAME", default_value = NAME, value_parser = name_of)]
    name: String,
    /// How cargo builds Postern
    #[arg(long, value_name = "NAME", default_value = "dev")]
    cargo_profile: String,
    /// Flags of the suite itself
    #[arg(last = true, value_name = "FLAGS")]
    flags: Vec<String>,
}

/// Of [`PROFILES`], in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Profiles(Vec<&'static str>);

/// What is to be run of the suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conformance {
    /// In this order; never empty.
    pub(crate) bundles: Vec<Bundle>,
    /// A version or a channel was said.
    pub(crate) said: bool,
    /// Of [`PROFILES`], in their order.
    pub(crate) profiles: Vec<&'static str>,
    /// All tests, unless one is named.
    pub(crate) test: Option<String>,
    /// Below which folder reports are written.
    pub(crate) report: Option<PathBuf>,
    /// More flags, the suite's own.
    pub(crate) flags: Vec<String>,
}

impl From<ConformanceArgs> for Request {
    fn from(asked: ConformanceArgs) -> Self {
        let test = asked.test.or(asked.run_test);
        let profiles = asked.profiles.map(|profiles| profiles.0);
        Self {
            engine: asked.cluster,
            name: asked.name,
            profile: asked.cargo_profile,
            action: Action::Conformance(Conformance {
                bundles: bundles(asked.version, asked.channel, test.is_some()),
                said: asked.version.is_some() || asked.channel.is_some(),
                profiles: profiles.unwrap_or_else(|| PROFILES.to_vec()),
                test,
                report: asked.report,
                flags: asked.flags,
            }),
        }
    }
}

/// What is not said is everything; for one test, the newest. The last to be installed is what other tests run with.
fn bundles(version: Option<Version>, channel: Option<Channel>, one_test: bool) -> Vec<Bundle> {
    if one_test {
        return vec![Bundle {
            version: version.unwrap_or(Bundle::NEWEST.version),
            channel: channel.unwrap_or(Bundle::NEWEST.channel),
        }];
    }
    let versions = Version::ALL.into_iter();
    versions
        .filter(|each| version.is_none_or(|version| version == *each))
        .flat_map(|version| {
            [Channel::Standard, Channel::Experimental].map(|channel| Bundle { version, channel })
        })
        .filter(|each| channel.is_none_or(|channel| channel == each.channel))
        .collect()
}

/// Names with or without `GATEWAY-`, in any case.
fn profiles(text: &str) -> Result<Profiles, String> {
    let mut wanted = Vec::new();
    for name in text.split(',') {
        let full = name.to_ascii_uppercase();
        let full = full.strip_prefix("GATEWAY-").unwrap_or(&full);
        let profile = { PROFILES.iter() }.find(|known| known.ends_with(&format!("-{full}")));
        wanted.push(*profile.ok_or_else(|| {
            format!("{name:?} is none of HTTP, GRPC, TLS, TCP and UDP; cargo's is --cargo-profile")
        })?);
    }
    let all = PROFILES.into_iter();
    let wanted = all.filter(|known| wanted.contains(known));
    Ok(Profiles(wanted.collect()))
}
