//! What `cargo xtask conformance` can be asked for.

use std::path::PathBuf;

use gateway_core::Channel;

use super::{
    super::bundle::{Bundle, Version},
    Options, channel, version,
};

/// All profiles of gateways; those of meshes are not ours.
pub(crate) const PROFILES: [&str; 5] = [
    "GATEWAY-HTTP",
    "GATEWAY-GRPC",
    "GATEWAY-TLS",
    "GATEWAY-TCP",
    "GATEWAY-UDP",
];

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

impl Conformance {
    pub(super) fn of(
        words: &[&str],
        options: &Options<'_>,
        theirs: Option<Vec<String>>,
    ) -> Result<Self, String> {
        options.check(&[
            "--version",
            "--channel",
            "--profile",
            "--run-test",
            "--report",
            "--cluster",
            "--name",
            "--cargo-profile",
        ])?;
        let named = options.one("--run-test", |text| Ok(text.to_owned()))?;
        let test = match (words, named) {
            ([], named) => named,
            ([test], None) => Some((*test).to_owned()),
            ([extra], Some(_)) | ([_, extra, ..], _) => {
                return Err(format!(
                    "conformance runs one test or all: {extra:?} is too much"
                ));
            }
        };
        let version = options.one("--version", version)?;
        let channel = options.one("--channel", channel)?;
        let profiles = options.one("--profile", profiles)?;
        Ok(Self {
            bundles: bundles(version, channel, test.is_some()),
            said: version.is_some() || channel.is_some(),
            profiles: profiles.unwrap_or_else(|| PROFILES.to_vec()),
            test,
            report: options.one("--report", |text| Ok(PathBuf::from(text)))?,
            flags: theirs.unwrap_or_default(),
        })
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
fn profiles(text: &str) -> Result<Vec<&'static str>, String> {
    let mut wanted = Vec::new();
    for name in text.split(',') {
        let full = name.to_ascii_uppercase();
        let full = full.strip_prefix("GATEWAY-").unwrap_or(&full);
        let profile = { PROFILES.iter() }.find(|known| known.ends_with(&format!("-{full}")));
        wanted.push(*profile.ok_or_else(|| {
            format!("--profile takes HTTP, GRPC, TLS, TCP and UDP, not {name:?}; cargo's is --cargo-profile")
        })?);
    }
    let all = PROFILES.into_iter();
    Ok(all.filter(|known| wanted.contains(known)).collect())
}
