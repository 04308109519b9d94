//! Pages of the documentation that come from the code, so that they cannot say anything else: `docs/annotations.md`
//! from the converter's families, `docs/chart.md` from the chart, `docs/crds.md` from the schemas of our kinds; parts
//! of `README.md` and `docs/gateway-api.md` from the reports in `conformance/reports` and the table of features; `What
//! differs` on the migration pages from the converter's profiles. Parts of `docs/configuration.md` come from the
//! command line and the metrics, which only the binary knows: a test in there.

mod annotations;
mod chart;
mod conformance;
mod crds;
mod differences;

use std::{fs, io, path::Path};

use anyhow::{Context as _, ensure};
use converter::Profile;

use crate::{
    layers,
    workspace::{cargo, succeeds},
};

const ARCHITECTURE: &str = "docs/architecture.md";
const FROM_NGINX: &str = "docs/migrate-from-ingress-nginx.md";
const FROM_HIGRESS: &str = "docs/migrate-from-higress.md";

/// A page: its path from the root, and its text.
type Page = (&'static str, String);

fn pages(root: &Path) -> anyhow::Result<Vec<Page>> {
    Ok(vec![
        ("docs/annotations.md", annotations::page()),
        ("docs/chart.md", chart::page(root)?),
        ("docs/crds.md", crds::page(root)?),
        ("docs/gateway-api.md", conformance::page(root)?),
        ("README.md", conformance::summary(root)?),
        (ARCHITECTURE, architecture(root)?),
        (
            FROM_NGINX,
            differences::page(root, Profile::Nginx, FROM_NGINX)?,
        ),
        (
            FROM_HIGRESS,
            differences::page(root, Profile::Higress, FROM_HIGRESS)?,
        ),
    ])
}

/// The page with the layers of the crates.
fn architecture(root: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(root.join(ARCHITECTURE))
        .with_context(|| format!("{ARCHITECTURE} cannot be read"))?;
    replaced(&text, "layers", &layers::page())
}

/// Writes the pages that are not what they should be; the answer is a line for each.
pub(crate) fn write(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut changes = Vec::new();
    for (path, text) in pages(root)? {
        if present(root, path)?.as_ref() != Some(&text) {
            fs::write(root.join(path), text)
                .with_context(|| format!("{path} cannot be written"))?;
            changes.push(format!("wrote {path}"));
        }
    }
    if changes.is_empty() {
        changes.push("the pages are up to date".to_owned());
    }
    Ok(changes)
}

/// A line for each page that is not what would be written now.
pub(crate) fn findings(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for (path, text) in pages(root)? {
        match present(root, path)? {
            None => findings.push(format!("{path} is missing: run `cargo xtask docs`")),
            Some(old) if old != text => {
                findings.push(format!("{path} is stale: run `cargo xtask docs`"));
            }
            Some(_) => {}
        }
    }
    Ok(findings)
}

/// What the binary knows: its test writes it, or says how the page differs.
pub(crate) fn of_binary(root: &Path, write: bool) -> anyhow::Result<()> {
    let mut test = cargo(root);
    test.args(["test", "--quiet", "--locked", "--package", "postern"])
        .args(["--bin", "postern", "--", "documentation::"]);
    if write {
        test.env("UPDATE_GOLDEN", "1");
    }
    ensure!(
        succeeds(&mut test)?,
        "docs/configuration.md is not what it should be: run `cargo xtask docs`"
    );
    Ok(())
}

fn present(root: &Path, path: &str) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(root.join(path)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{path} cannot be read")),
    }
}

/// What begins a part that is written here, with its name, and what ends it.
const BEGIN: (&str, &str) = ("<!-- generated: ", " -->\n");
const END: &str = "<!-- end -->\n";

/// The page with another text in the part of that name.
fn replaced(page: &str, name: &str, text: &str) -> anyhow::Result<String> {
    let begin = [BEGIN.0, name, BEGIN.1].concat();
    let lacks = || format!("no part is called {name}");
    let (before, rest) = page.split_once(&begin).with_context(lacks)?;
    let (_, after) = rest.split_once(END).with_context(lacks)?;
    Ok([before, &begin, text, END, after].concat())
}

/// A text as a cell of a table: one line, without bars of its own.
fn cell(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}

#[cfg(test)]
#[path = "docs_tests.rs"]
mod tests;
