//! Reports as upstream wants them: a folder for the release and the project, a name that says channel, version and
//! mode, and a README beside them. <https://github.com/kubernetes-sigs/gateway-api/tree/main/conformance/reports>

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use gateway_core::Channel;

use super::super::bundle::Bundle;

/// Who is tested, as flags of the suite.
pub(super) const IMPLEMENTATION: [(&str, &str); 5] = [
    ("organization", "postern"),
    ("project", "postern"),
    ("url", "https://postern.dev"),
    ("contact", "https://postern.dev"),
    ("version", concat!("v", env!("CARGO_PKG_VERSION"))),
];

const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// There are no others so far.
const MODE: &str = "default";

/// Where the report on a bundle is.
pub(super) fn place(reports: &Path, bundle: Bundle) -> PathBuf {
    folder(reports, bundle).join(name(bundle.channel))
}

fn folder(reports: &Path, bundle: Bundle) -> PathBuf {
    reports.join(minor(bundle)).join("postern")
}

fn name(channel: Channel) -> String {
    format!("{}-{VERSION}-{MODE}-report.yaml", channel.as_str())
}

/// Upstream has one folder for all patches of a release: `v1.7`.
fn minor(bundle: Bundle) -> String {
    let text = bundle.version.as_str();
    let (minor, _) = text.rsplit_once('.').unwrap_or((text, ""));
    format!("v{minor}")
}

/// Writes the README of the folder that a report is in, about all reports that are there.
pub(super) fn describe(reports: &Path, bundle: Bundle) -> anyhow::Result<()> {
    let folder = folder(reports, bundle);
    let there = { [Channel::Standard, Channel::Experimental].into_iter() }
        .filter(|channel| folder.join(name(*channel)).is_file());
    let file = folder.join("README.md");
    fs::write(&file, readme(bundle, there))
        .with_context(|| format!("{} cannot be written", file.display()))
}

fn readme(bundle: Bundle, channels: impl Iterator<Item = Channel>) -> String {
    let mut text = "\
# Postern

[Postern](https://postern.dev) is a Kubernetes gateway in one static binary. It serves the Gateway API, and Ingresses with
the annotations of Higress and ingress-nginx.

## Table of contents

| API channel | Implementation version | Mode | Report |
|-------------|------------------------|------|--------|
"
    .to_owned();
    for channel in channels {
        let (channel, file) = (channel.as_str(), name(channel));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {channel} | [{VERSION}](https://postern.dev) | {MODE} | [{VERSION} report](./{file}) |"
        );
    }
    let version = bundle.version.as_str();
    let _ = write!(
        text,
        "
## Reproduce

On a machine with Linux, root, Rust, Go and the Debian packages that the first command names, from a checkout of {VERSION}:

```bash
cargo xtask conformance --version {version} --report conformance/reports
```

It starts a Kubernetes of one node in a network namespace, installs Postern with its Helm chart and the definitions of the
Gateway API v{version}, and runs the suite of that release, unchanged, with all five profiles of gateways: first with the
standard channel, then with the experimental one. Which features are tested is what the GatewayClass claims. The suite's own
images are built from its sources. With `--cluster kind` it does the same in a cluster of kind, and with
`--cluster current` it runs the suite against a Postern that is installed already.
"
    );
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::super::bundle::Version, *};

    #[test]
    fn a_report_is_where_upstream_wants_it_and_its_readme_names_it() {
        let reports = tempfile::tempdir().unwrap();
        let bundle = Bundle::NEWEST;
        let place = place(reports.path(), bundle);
        let expected = format!("v1.7/postern/experimental-{VERSION}-default-report.yaml");
        assert_eq!(place, reports.path().join(expected));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, "").unwrap();
        describe(reports.path(), bundle).unwrap();
        let readme = fs::read_to_string(place.with_file_name("README.md")).unwrap();
        let rows: Vec<_> = readme
            .lines()
            .filter(|line| line.contains("-report.yaml"))
            .collect();
        assert_eq!(rows.len(), 1, "there is no standard one");
        assert!(rows[0].starts_with("| experimental | [v"), "{rows:?}");
        assert!(readme.contains("## Reproduce") && readme.contains("--version 1.7.0"));
    }

    #[test]
    fn all_patches_of_a_release_have_one_folder() {
        let version = Version::V1_6_3;
        let channel = Channel::Standard;
        assert_eq!(minor(Bundle { version, channel }), "v1.6");
    }
}
