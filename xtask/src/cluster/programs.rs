//! Programs of the Go modules in `conformance`, and others that Go builds from their modules: built once, and again
//! when what they are built from changes.

mod build;

use super::bundle::Version;

/// The Kubernetes that the module builds, as its go.mod has it.
const KUBERNETES: &str = "v1.36.3";

/// One program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// Control plane, node and etcd in one.
    Kubernetes,
    /// The client.
    Kubectl,
    /// What gives addresses to Services of type LoadBalancer.
    Addresses,
    /// What the first container of each pod runs.
    Pause,
    /// A backend that says what it got.
    Echo,
    /// What renders the chart.
    Helm,
    /// The conformance suite of that release of the Gateway API.
    Suite(Version),
    /// The suite's backend.
    EchoBasic(Version),
    /// The suite's backend for UDP.
    CoreDns,
}

/// What a program is built from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// A package that the Go module of that name below `conformance` has or requires.
    Package(&'static str, &'static str),
    /// The tests of the Go module of that name.
    Tests(&'static str),
    /// A package of a module of its own, which none of ours requires.
    Module(&'static str),
}

impl Program {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Kubectl => "kubectl",
            Self::Addresses => "addresses",
            Self::Pause => "pause",
            Self::Echo => "echo",
            Self::Helm => "helm",
            Self::Suite(Version::V1_6_3) => "suite-1.6.3",
            Self::Suite(Version::V1_7_0) => "suite-1.7.0",
            Self::EchoBasic(Version::V1_6_3) => "echo-basic-1.6.3",
            Self::EchoBasic(Version::V1_7_0) => "echo-basic-1.7.0",
            Self::CoreDns => "coredns",
        }
    }

    const fn source(self) -> Source {
        match self {
            Self::Kubernetes => Source::Package("cluster", "./kubernetes"),
            Self::Kubectl => Source::Package("cluster", "k8s.io/kubernetes/cmd/kubectl"),
            Self::Addresses => Source::Package("cluster", "./addresses"),
            Self::Pause => Source::Package("cluster", "./pause"),
            Self::Echo => Source::Package("cluster", "./echo"),
            Self::Helm => Source::Module("helm.sh/helm/v3/cmd/helm@v3.22.0"),
            Self::Suite(_) => Source::Tests("gateway-api"),
            Self::EchoBasic(version) => {
                let package = match version {
                    Version::V1_6_3 => "sigs.k8s.io/gateway-api/conformance/echo-basic",
                    Version::V1_7_0 => "sigs.k8s.io/gateway-api-conformance-images/echo-basic",
                };
                Source::Package("gateway-api", package)
            }
            Self::CoreDns => Source::Package("gateway-api", "./coredns"),
        }
    }

    /// What an image of it is called, by its last part and without a tag.
    pub(crate) const fn image(self) -> &'static str {
        match self {
            Self::EchoBasic(_) => "echo-basic",
            other => other.name(),
        }
    }

    /// The release of the Gateway API whose requirements it is built with, if that is not the module's own.
    const fn version(self) -> Option<Version> {
        match self {
            Self::Suite(version) | Self::EchoBasic(version) => Some(version),
            _ => None,
        }
    }

    /// The files that say what the module requires, without their ending: a release of the Gateway API has its own.
    const fn requirements(self) -> &'static str {
        match self.version() {
            Some(Version::V1_7_0) => "v1.7.0",
            Some(Version::V1_6_3) | None => "go",
        }
    }

    const fn patience(self) -> &'static str {
        match self {
            Self::Kubernetes => "5 to 9 minutes on two cores, once",
            Self::Suite(_) => "two or three minutes, once",
            Self::Kubectl | Self::Addresses | Self::Helm | Self::CoreDns => "a minute or two, once",
            Self::Pause | Self::Echo | Self::EchoBasic(_) => "seconds",
        }
    }

    /// Whether it has a port below 1024, which containerd leaves to root unless its settings say otherwise.
    pub(crate) const fn wants_root(self) -> bool {
        matches!(self, Self::CoreDns)
    }

    /// Whether it is alone in an image, where no C library is.
    const fn is_static(self) -> bool {
        matches!(
            self,
            Self::Pause | Self::Echo | Self::EchoBasic(_) | Self::CoreDns
        )
    }
}
