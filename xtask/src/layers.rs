//! Which module of a crate may know which: modules are layers, and an import goes down only.
//!
//! A module is a file of `src/` with the folder of its name. [`LAYERS`] says in which order those of a crate stand; a
//! test of a module may know every other.

mod imports;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use anyhow::Context as _;

use crate::workspace;

/// Of a crate's folder: its modules from the bottom, one layer a row. Those of a row do not know each other in circles.
type Layers = (&'static str, &'static [&'static [&'static str]]);

const LAYERS: &[Layers] = &[
    (
        "crates/postern",
        &[
            &[
                "demo",
                "descriptor",
                "diff",
                "explain",
                "hostname",
                "lease",
                "pipeline",
                "source",
                "stand_in",
            ],
            &["apply", "cli", "fault", "rbac"],
            &["output"],
            &["report"],
            &["live"],
            &[
                "admin",
                "documentation",
                "event",
                "provision",
                "serve",
                "status",
            ],
            &["translated"],
            &["command"],
        ],
    ),
    (
        "crates/proxy",
        &[
            &["config"],
            &["net"],
            &["http"],
            &["client"],
            &["upstream"],
            &["policy", "router"],
            &["snapshot"],
            &["observe"],
            &["serve"],
        ],
    ),
    (
        "crates/telemetry",
        &[
            &["propagation", "shard"],
            &["metrics"],
            &["access_log", "trace"],
            &["log"],
        ],
    ),
    (
        "crates/testkit",
        &[
            &["call", "certs", "echo", "golden", "held", "wait"],
            &["dns", "handshake", "kept", "stream"],
        ],
    ),
    ("crates/tracked", &[&["view"], &["changes"], &["memo"]]),
    (
        "xtask",
        &[
            &["bench", "crds", "terminal", "workspace"],
            &["cluster"],
            &["layers"],
            &["docs", "manifests"],
            &["check"],
            &["command"],
        ],
    ),
];

/// The layers of each crate that has a table, from the bottom, as `docs/architecture.md` shows them.
pub(crate) fn page() -> String {
    let mut text = "| crate | layers, from the bottom |\n| --- | --- |\n".to_owned();
    for (folder, layers) in LAYERS {
        let row = |row: &&[&str]| {
            let names: Vec<_> = row.iter().map(|name| format!("`{name}`")).collect();
            names.join(", ")
        };
        let layers: Vec<_> = layers.iter().map(row).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| `{folder}` | {} |", layers.join(" → "));
    }
    text
}

/// Which modules the modules of a crate know, and in which file.
type Graph = BTreeMap<String, BTreeMap<String, String>>;

/// Every import that goes up or round, and every module without a place.
pub(crate) fn findings(root: &Path) -> anyhow::Result<Vec<String>> {
    let files = workspace::files(root)?;
    let mut findings = Vec::new();
    for (folder, layers) in LAYERS {
        let graph = graph(root, folder, &files)?;
        findings.extend(judged(folder, layers, &graph));
    }
    Ok(findings)
}

/// What the modules of a crate know.
fn graph(root: &Path, folder: &str, files: &[String]) -> anyhow::Result<Graph> {
    let sources: Vec<(&str, &str)> = { files.iter() }
        .filter_map(|path| {
            let inside = path.strip_prefix(folder)?.strip_prefix("/src/")?;
            let stem = inside.strip_suffix(".rs")?;
            (!stem.split('/').any(|part| part.ends_with("_tests"))).then_some((path.as_str(), stem))
        })
        .collect();
    let modules: BTreeSet<&str> = sources.iter().map(|(_, stem)| top(stem)).collect();
    let mut given = BTreeMap::new();
    for root_file in ["lib", "main"] {
        if let Some((path, _)) = sources.iter().find(|(_, stem)| *stem == root_file) {
            let names = imports::given(&read(root, path)?);
            given.extend(names.with_context(|| unreadable(path))?);
        }
    }
    let mut graph = Graph::new();
    for (path, stem) in &sources {
        let own = top(stem);
        let known = imports::of(&read(root, path)?, stem).with_context(|| unreadable(path))?;
        let edges = graph.entry(own.to_owned()).or_default();
        for name in known {
            let name = given.get(&name).cloned().unwrap_or(name);
            if name != own && modules.contains(name.as_str()) {
                edges.entry(name).or_insert_with(|| (*path).to_owned());
            }
        }
    }
    // The root names modules and gives them to others; it stands above all.
    for root in ["lib", "main"] {
        graph.remove(root);
    }
    Ok(graph)
}

fn read(root: &Path, path: &str) -> anyhow::Result<String> {
    fs::read_to_string(root.join(path)).with_context(|| format!("{path} cannot be read"))
}

fn unreadable(path: &str) -> String {
    format!("{path} is no source of Rust")
}

/// The module right below the crate's root that a file belongs to.
fn top(stem: &str) -> &str {
    stem.split('/').next().unwrap_or(stem)
}

fn judged(folder: &str, layers: &[&[&str]], graph: &Graph) -> Vec<String> {
    let mut findings = Vec::new();
    let place = |module: &str| layers.iter().position(|row| row.contains(&module));
    for (module, known) in graph {
        let Some(own) = place(module) else {
            findings.push(format!(
                "{folder}: the module {module} has no layer; give it one in LAYERS in {}",
                file!()
            ));
            continue;
        };
        for (other, path) in known {
            if place(other).is_some_and(|other| other > own) {
                findings.push(format!(
                    "{path}: {module} knows {other}, which is a layer above it (LAYERS in {})",
                    file!()
                ));
            }
        }
    }
    for row in layers {
        for module in *row {
            if !graph.contains_key(*module) {
                findings.push(format!(
                    "{folder}: there is no module {module}; take it out of LAYERS in {}",
                    file!()
                ));
            }
        }
        findings.extend(circle(folder, row, graph));
    }
    findings
}

/// A circle among the modules of one layer.
fn circle(folder: &str, row: &[&str], graph: &Graph) -> Option<String> {
    let mut left: BTreeSet<&str> = row.iter().copied().collect();
    loop {
        let free: Vec<&str> = { left.iter() }
            .filter(|module| {
                let known = graph.get(**module);
                !known.is_some_and(|known| known.keys().any(|other| left.contains(other.as_str())))
            })
            .copied()
            .collect();
        if free.is_empty() {
            break;
        }
        for module in free {
            left.remove(module);
        }
    }
    let left: Vec<&str> = left.into_iter().collect();
    (!left.is_empty()).then(|| format!("{folder}: a circle among {}", left.join(", ")))
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
