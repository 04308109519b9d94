//! One row of the table of features.

use std::fmt;

use api::Kind;

/// A release of the Gateway API: major, minor and patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(pub u32, pub u32, pub u32);

impl Release {
    /// The oldest that is known.
    pub const OLDEST: Self = Self(1, 5, 0);

    /// Reads the bundle version of a definition: `v1.6.3`, with or without what follows a hyphen. A patch that is not
    /// said, or is no number, is 0.
    #[must_use]
    pub fn parse(version: &str) -> Option<Self> {
        let mut parts = version.strip_prefix('v')?.split(['.', '-', '+']);
        let mut number = || parts.next()?.parse().ok();
        let (major, minor, patch) = (number()?, number()?, number());
        Some(Self(major, minor, patch.unwrap_or_default()))
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(major, minor, patch) = self;
        write!(f, "v{major}.{minor}.{patch}")
    }
}

/// Which fields the definitions of a release have. The experimental channel has all of the standard one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// What will not change.
    Standard,
    /// What may change as well.
    Experimental,
}

impl Channel {
    /// Reads the annotation of a definition.
    #[must_use]
    pub fn parse(channel: &str) -> Option<Self> {
        match channel {
            "standard" => Some(Self::Standard),
            "experimental" => Some(Self::Experimental),
            _ => None,
        }
    }

    /// As the annotation has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Experimental => "experimental",
        }
    }
}

/// What has to be there for a feature, beside the definition of its release and channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A field, as a path in the definition's schema: `spec.rules[].retry`. The API server drops one that is not there
    /// from every object.
    Field(&'static str),
    /// A kind of the API server's own, which may be behind a gate.
    Kind(Kind),
}

/// What shows that a feature works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    /// A test of the conformance suite, by its short name.
    Suite(&'static str),
    /// A test of our own, where the suite has none: its file in this repository, and the function.
    Own(&'static str, &'static str),
    /// A case of the goldens in `crates/core/testdata`.
    Golden(&'static str),
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suite(name) => f.write_str(name),
            Self::Own(file, name) => write!(f, "{file}: {name}"),
            Self::Golden(case) => write!(f, "crates/core/testdata/{case}"),
        }
    }
}

/// A feature of the conformance suite that is done, and the definitions with which it may be claimed. A feature that
/// has changed its channel has a row for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// The suite's name for it.
    pub name: &'static str,
    /// Plural name of the definition that has to be installed.
    pub definition: &'static str,
    /// The first release that it is in.
    pub since: Release,
    /// The first release that it is not in any more.
    pub until: Option<Release>,
    /// The channel whose definitions have it.
    pub channel: Channel,
    /// What it is nothing without.
    pub need: Option<Need>,
    /// What shows that it works.
    pub test: Test,
}

impl Feature {
    /// In all releases, and in the standard channel.
    pub(super) const fn new(
        name: &'static str,
        definition: &'static str,
        test: &'static str,
    ) -> Self {
        Self {
            name,
            definition,
            since: Release::OLDEST,
            until: None,
            channel: Channel::Standard,
            need: None,
            test: Test::Suite(test),
        }
    }

    pub(super) const fn since(self, major: u32, minor: u32, patch: u32) -> Self {
        let since = Release(major, minor, patch);
        Self { since, ..self }
    }

    pub(super) const fn until(self, major: u32, minor: u32, patch: u32) -> Self {
        let until = Some(Release(major, minor, patch));
        Self { until, ..self }
    }

    pub(super) const fn experimental(self) -> Self {
        let channel = Channel::Experimental;
        Self { channel, ..self }
    }

    pub(super) const fn field(self, field: &'static str) -> Self {
        let need = Some(Need::Field(field));
        Self { need, ..self }
    }

    pub(super) const fn kind(self, kind: Kind) -> Self {
        let need = Some(Need::Kind(kind));
        Self { need, ..self }
    }

    pub(super) const fn golden(self, case: &'static str) -> Self {
        let test = Test::Golden(case);
        Self { test, ..self }
    }

    pub(super) const fn own(self, file: &'static str, name: &'static str) -> Self {
        let test = Test::Own(file, name);
        Self { test, ..self }
    }

    /// Whether definitions of that release and channel have it.
    #[must_use]
    pub fn is_of(&self, release: Release, channel: Channel) -> bool {
        self.since <= release
            && self.until.is_none_or(|until| release < until)
            && self.channel <= channel
    }

    /// Whether all definitions have it.
    pub(super) fn is_everywhere(&self) -> bool {
        self.since == Release::OLDEST && self.until.is_none() && self.channel == Channel::Standard
    }
}
