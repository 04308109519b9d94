//! What conformance reports say, ours beside those of others, and which features are claimed with which definitions.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use gateway_core::FEATURES;

use super::{cell, replaced};
use crate::cluster::{Numbers, numbers};

/// Where our own reports are.
const REPORTS: &str = "conformance/reports";

const HEAD: &str = "\
| implementation | Gateway API | channel | HTTP | GRPC | TLS | TCP | UDP |
| --- | --- | --- | --- | --- | --- | --- | --- |
";

/// Another implementation's report.
type Other = (&'static str, &'static str, &'static str, [Option<usize>; 5]);

/// Reports of others, the best that each has on release 1.6 in upstream's repository: name, release and channel, and
/// extended features of the five profiles.
const OTHERS: &[Other] = &[
    (
        "agentgateway 1.5.0",
        "1.6.1",
        "experimental",
        [Some(38), Some(10), Some(12), None, None],
    ),
    (
        "kgateway 2.4.5",
        "1.6.1",
        "experimental",
        [Some(37), Some(9), Some(11), Some(10), None],
    ),
    (
        "Envoy Gateway 1.9.0",
        "1.6.1",
        "experimental",
        [Some(37), Some(9), Some(11), None, None],
    ),
    (
        "Istio 1.31.0",
        "1.6.0",
        "experimental",
        [Some(36), Some(8), Some(10), Some(9), None],
    ),
    (
        "Cilium 1.20.0",
        "1.6.1",
        "experimental",
        [Some(32), Some(6), Some(6), Some(1), Some(1)],
    ),
    (
        "NGINX Gateway Fabric 2.7.0",
        "1.6.1",
        "experimental",
        [Some(30), Some(10), Some(12), Some(11), Some(11)],
    ),
    (
        "Traefik 3.7.10",
        "1.6.1",
        "experimental",
        [Some(19), Some(0), Some(3), None, None],
    ),
    (
        "Higress 2.2.4",
        "1.6.0",
        "standard",
        [Some(0), None, None, None, None],
    ),
];

/// `docs/gateway-api.md`.
pub(super) fn page(root: &Path) -> anyhow::Result<String> {
    let page = present(root, "docs/gateway-api.md")?;
    let page = replaced(&page, "conformance", &reports(root)?)?;
    replaced(&page, "features", &features())
}

/// `README.md`.
pub(super) fn summary(root: &Path) -> anyhow::Result<String> {
    replaced(&present(root, "README.md")?, "conformance", &reports(root)?)
}

fn present(root: &Path, path: &str) -> anyhow::Result<String> {
    fs::read_to_string(root.join(path)).with_context(|| format!("{path} cannot be read"))
}

/// Ours, newest first, and those of others.
fn reports(root: &Path) -> anyhow::Result<String> {
    let mut ours = Vec::new();
    for file in files(&root.join(REPORTS))? {
        let text = fs::read_to_string(&file)
            .with_context(|| format!("{} cannot be read", file.display()))?;
        let numbers = numbers(&text)?;
        let whole = numbers.others == 0 && numbers.passed > 0;
        ensure!(whole, "{}: not everything has passed", file.display());
        ours.push(numbers);
    }
    Ok(table(ours))
}

/// The reports that are there, in no particular order.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(found);
    };
    for entry in entries {
        let path = entry.context("a folder cannot be read")?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            found.push(path);
        }
    }
    Ok(found)
}

fn table(mut ours: Vec<Numbers>) -> String {
    ours.sort_by(|a, b| (&b.version, &a.channel).cmp(&(&a.version, &b.channel)));
    let mut text = HEAD.to_owned();
    for report in &ours {
        let name = concat!("**Postern ", env!("CARGO_PKG_VERSION"), "**");
        row(
            &mut text,
            name,
            &report.version,
            &report.channel,
            &report.features,
        );
    }
    for (name, version, channel, features) in OTHERS {
        row(&mut text, name, version, channel, features);
    }
    text
}

fn row(text: &mut String, name: &str, version: &str, channel: &str, features: &[Option<usize>]) {
    let version = version.trim_start_matches('v');
    // Writing to a String cannot fail.
    let _ = write!(text, "| {name} | {version} | {channel} |");
    for count in features {
        let count = count.map_or_else(|| "–".to_owned(), |count| count.to_string());
        let _ = write!(text, " {count} |");
    }
    text.push('\n');
}

/// The table that claims go by.
fn features() -> String {
    let mut text = "\
| feature | since | until | channel | test |
| --- | --- | --- | --- | --- |
"
    .to_owned();
    for feature in FEATURES {
        let until = feature.until.map(|release| release.to_string());
        let channel = feature.channel.as_str();
        let test = cell(&feature.test.to_string());
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {channel} | {test} |",
            feature.name,
            feature.since,
            until.unwrap_or_default()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{HEAD, features, table};
    use crate::cluster::Numbers;

    fn numbers(version: &str, channel: &str) -> Numbers {
        Numbers {
            version: version.to_owned(),
            channel: channel.to_owned(),
            features: [Some(38), Some(10), None, Some(11), Some(11)],
            passed: 131,
            others: 0,
        }
    }

    #[test]
    fn our_reports_come_first_and_the_newest_of_them() {
        let ours = [
            ("v1.6.3", "standard"),
            ("v1.7.0", "standard"),
            ("v1.7.0", "experimental"),
        ];
        let text = table(
            ours.map(|(version, channel)| numbers(version, channel))
                .into(),
        );
        let rows: Vec<&str> = text.strip_prefix(HEAD).unwrap().lines().collect();
        let has = |at: usize, part: &str| assert!(rows[at].contains(part), "{}", rows[at]);
        has(0, "| 1.7.0 | experimental | 38 | 10 | – | 11 | 11 |");
        has(1, "| 1.7.0 | standard |");
        has(2, "| 1.6.3 | standard |");
        has(3, "| agentgateway 1.5.0 | 1.6.1 |");
    }

    #[test]
    fn every_feature_has_a_row() {
        let text = features();
        assert!(
            text.contains("| `HTTPRouteRetry` | v1.6.0 | v1.7.0 | experimental | HTTPRouteRetry |")
        );
        assert_eq!(text.lines().count(), super::FEATURES.len() + 2);
    }
}
