use std::{collections::BTreeMap, fs};

use super::{Graph, graph, imports, judged};

fn names(text: &str, stem: &str) -> Vec<String> {
    imports::of(text, stem).unwrap().into_iter().collect()
}

#[test]
fn imports_and_paths_are_read() {
    let text = "
use crate::{a::{X, y::Z}, b};
use super::c::W;
use std::fmt;
pub use self::inner::V;
mod inner { use super::super::d::T; }
fn f() -> crate::e::U { crate::g::h(|| vec![crate::i::j()]) }
#[cfg(test)]
mod tests { use crate::k::K; }
#[cfg(test)]
use crate::l::L;
";
    assert_eq!(
        names(text, "own/file"),
        ["a", "b", "e", "g", "i", "own"],
        "super:: is the own module, and what is only for tests does not count"
    );
    assert_eq!(names("use super::c::W;", "own"), ["c"]);
    assert_eq!(names("use super::*;", "own/file"), ["own"]);
}

#[test]
fn what_is_no_rust_is_an_error() {
    assert!(imports::of("fn (", "a").is_err());
}

#[test]
fn every_table_is_of_a_crate_that_keeps_it() {
    let root = crate::workspace::root().unwrap();
    assert_eq!(super::findings(&root).unwrap(), [""; 0]);
    let mut folders: Vec<_> = super::LAYERS.iter().map(|(folder, _)| *folder).collect();
    folders.dedup();
    assert_eq!(folders.len(), super::LAYERS.len());
}

/// A crate of modules, each with what it knows.
fn made(modules: &[(&str, &[&str])]) -> Graph {
    let known = |known: &[&str]| -> BTreeMap<String, String> {
        known
            .iter()
            .map(|name| ((*name).to_owned(), "file.rs".to_owned()))
            .collect()
    };
    modules
        .iter()
        .map(|(name, others)| ((*name).to_owned(), known(others)))
        .collect()
}

#[test]
fn imports_go_down_only() {
    let graph = made(&[
        ("net", &[]),
        ("http", &["net"]),
        ("serve", &["http", "net"]),
    ]);
    let good: &[&[&str]] = &[&["net"], &["http"], &["serve"]];
    assert_eq!(judged("crates/x", good, &graph), [""; 0]);
    let graph = made(&[("net", &["serve"]), ("http", &[]), ("serve", &[])]);
    let found = judged("crates/x", good, &graph);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("file.rs: net knows serve, which is a layer above it"));
}

#[test]
fn circles_are_found_within_a_layer_and_modules_have_one() {
    let graph = made(&[
        ("a", &["b"]),
        ("b", &["c"]),
        ("c", &["a"]),
        ("d", &["a"]),
        ("e", &[]),
    ]);
    let found = judged("crates/x", &[&["a", "b", "c", "e"], &["f"]], &graph);
    let found = found.join("\n");
    for part in [
        "the module d has no layer",
        "there is no module f",
        "a circle among a, b, c",
    ] {
        assert!(found.contains(part), "{found}");
    }
}

#[test]
fn a_crate_is_read_from_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("crates/x/src/lib.rs", "mod a; mod b; pub use b::B;"),
        ("crates/x/src/a.rs", "mod in_a; pub struct A;"),
        ("crates/x/src/a/in_a.rs", "use crate::B;"),
        ("crates/x/src/b.rs", "pub struct B;"),
        ("crates/x/src/b_tests.rs", "use crate::a::A;"),
    ];
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let paths: Vec<String> = files.iter().map(|(path, _)| (*path).to_owned()).collect();
    let graph = graph(folder.path(), "crates/x", &paths).unwrap();
    let shown: Vec<_> = { graph.iter() }
        .flat_map(|(from, known)| known.keys().map(move |to| format!("{from} -> {to}")))
        .collect();
    assert_eq!(shown, ["a -> b"]);
}
