//! Which crate may know which: the arrows of the design point one way.
//!
//! Two tables say what is allowed: [`EDGES`] between our own crates, [`SHELL_ONLY`] for crates of others that a pure
//! crate has no business with. What they refuse is refused in the manifest, before anybody uses it.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

use crate::workspace;

/// Each of our crates and those of ours that it may depend on.
const EDGES: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("converter", &["api", "tracked"]),
    ("gateway-core", &["api", "ir", "tracked"]),
    ("ir", &[]),
    (
        "postern",
        &[
            "api",
            "converter",
            "gateway-core",
            "ir",
            "proxy",
            "telemetry",
        ],
    ),
    ("proxy", &["ir", "telemetry"]),
    ("telemetry", &[]),
    ("tracked", &["api"]),
    (TEST_ONLY, &[]),
    ("xtask", &["api", "converter", "gateway-core"]),
];

/// The one crate that every other may use in its tests, and none outside them.
const TEST_ONLY: &str = "testkit";

/// Crates that decide and never wait: no sockets, no clients, no clocks.
const PURE: &[&str] = &["api", "converter", "gateway-core", "ir", "tracked"];

/// What a pure crate must not depend on outside its tests.
const SHELL_ONLY: &[&str] = &[
    "hyper",
    "hyper-util",
    "kube-client",
    "kube-runtime",
    "rustls",
    "tokio",
    "tokio-rustls",
    "tokio-util",
];

/// Edges that [`SHELL_ONLY`] would refuse, and why each is harmless.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "api",
        "rustls",
        "a Secret is a certificate only if its private key fits; only rustls' key types can tell",
    ),
    (
        "gateway-core",
        "rustls",
        "authorities that clients are judged by are read as rustls will read them",
    ),
];

/// The features of kube that are data alone. Any other brings in its client or its runtime; so do the default ones.
const PURE_KUBE_FEATURES: &[&str] = &["admission", "derive", "jsonpatch", "schema"];

/// The part of `cargo metadata` that matters here.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// A crate of ours.
#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

/// A line of a manifest's dependencies, with what it inherits from the workspace.
#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    features: Vec<String>,
    uses_default_features: bool,
}

impl Dependency {
    fn for_tests(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

/// Every edge of the workspace that is not allowed.
pub(super) fn findings(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut command = workspace::cargo(root);
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    refused(&workspace::output_of(&mut command)?)
}

/// Every edge in the metadata that is not allowed, and every row of a table that has lost its meaning.
fn refused(metadata: &str) -> anyhow::Result<Vec<String>> {
    let Metadata { packages } =
        serde_json::from_str(metadata).context("cargo metadata has another form than expected")?;
    let ours: Vec<&str> = packages.iter().map(|p| p.name.as_str()).collect();
    let mut findings: Vec<String> = packages.iter().flat_map(|p| of_crate(p, &ours)).collect();
    for (name, _) in EDGES {
        if !ours.contains(name) {
            findings.push(format!(
                "{name}: no such crate; take its row out of EDGES in {}",
                file!()
            ));
        }
    }
    for (name, dependency, _) in EXCEPTIONS {
        let needed = packages
            .iter()
            .filter(|p| p.name == *name)
            .any(|p| p.dependencies.iter().any(|d| d.name == *dependency));
        if !needed {
            findings.push(format!(
                "{name} -> {dependency}: no longer there; take the row out of EXCEPTIONS in {}",
                file!()
            ));
        }
    }
    Ok(findings)
}

fn of_crate(package: &Package, ours: &[&str]) -> Vec<String> {
    let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == package.name) else {
        return vec![format!(
            "{}: a new crate; say in EDGES in {} what it may depend on",
            package.name,
            file!()
        )];
    };
    package
        .dependencies
        .iter()
        .filter_map(|dependency| {
            let why = if ours.contains(&dependency.name.as_str()) {
                of_ours(&package.name, allowed, dependency)
            } else {
                of_others(&package.name, dependency)
            };
            why.map(|why| format!("{} -> {}: {why}", package.name, dependency.name))
        })
        .collect()
}

/// Why a dependency on one of our crates is refused, if it is.
fn of_ours(from: &str, allowed: &[&str], dependency: &Dependency) -> Option<String> {
    let to = dependency.name.as_str();
    if to == TEST_ONLY {
        return (!dependency.for_tests())
            .then(|| format!("{TEST_ONLY} is for tests: it belongs into [dev-dependencies]"));
    }
    if allowed.contains(&to) {
        return None;
    }
    let table = if allowed.is_empty() {
        "none of our crates".to_owned()
    } else {
        allowed.join(", ")
    };
    Some(format!(
        "not an edge of the design; {from} may use {table} (EDGES in {})",
        file!()
    ))
}

/// Why a pure crate's dependency on a crate of others is refused, if it is.
fn of_others(from: &str, dependency: &Dependency) -> Option<String> {
    if !PURE.contains(&from) || dependency.for_tests() {
        return None;
    }
    let to = dependency.name.as_str();
    if to == "kube" {
        return impure_kube(from, dependency);
    }
    let excepted = EXCEPTIONS.iter().any(|(f, t, _)| *f == from && *t == to);
    (SHELL_ONLY.contains(&to) && !excepted).then(|| {
        format!(
            "{from} is pure: what waits or talks belongs into postern or proxy (SHELL_ONLY in {})",
            file!()
        )
    })
}

fn impure_kube(from: &str, dependency: &Dependency) -> Option<String> {
    let feature = if dependency.uses_default_features {
        Some("default")
    } else {
        let features = dependency.features.iter().map(String::as_str);
        features
            .into_iter()
            .find(|f| !PURE_KUBE_FEATURES.contains(f))
    };
    feature.map(|feature| {
        format!(
            "{from} is pure: kube's feature {feature:?} is no plain data (PURE_KUBE_FEATURES in {})",
            file!()
        )
    })
}

#[cfg(test)]
#[path = "edges_tests.rs"]
mod tests;
