//! What docs/configuration.md says about flags, kinds and metrics, from the code. `cargo xtask docs` writes it.

mod flags;
mod metrics;

use std::{fs, path::Path};

use api::{EXPERIMENTS_GROUP, GATEWAY_GROUP, GROUP, HIGRESS_GROUP, Kind};

/// Before a part of the page that is ours, and after it.
const BEGIN: &str = "<!-- generated: ";
const END: &str = "<!-- end -->";

#[test]
fn the_page_about_configuration_is_what_would_be_written_now() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = fs::read_to_string(&path).unwrap();
    let mut parts = flags::tables();
    parts.push(("kinds".to_owned(), kinds()));
    parts.push(("metrics".to_owned(), metrics::table()));
    testkit::golden::check_file(&path, &filled(&page, parts));
}

/// The page with each part in its place.
fn filled(page: &str, mut parts: Vec<(String, String)>) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (name, after) = after.split_once(" -->").unwrap();
        let (_, after) = after
            .split_once(END)
            .unwrap_or_else(|| panic!("the part {name:?} does not end"));
        let place = parts.iter().position(|(part, _)| part == name);
        let place =
            place.unwrap_or_else(|| panic!("nobody knows a part {name:?}: {:?}", names(&parts)));
        let (_, part) = parts.remove(place);
        text += &format!("{before}{BEGIN}{name} -->\n\n{part}\n{END}");
        rest = after;
    }
    assert!(
        parts.is_empty(),
        "parts without a place: {:?}",
        names(&parts)
    );
    text + rest
}

fn names(parts: &[(String, String)]) -> Vec<&str> {
    parts.iter().map(|(name, _)| &**name).collect()
}

/// A table with these rows.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let row = |cells: &Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = format!(
        "| {} |\n|{}\n",
        head.join(" | "),
        " --- |".repeat(head.len())
    );
    text.extend(rows.iter().map(row));
    text
}

/// One line, without bars of its own.
fn cell(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// Groups with their kinds, and the versions in which those are read.
fn kinds() -> String {
    let groups = [
        GATEWAY_GROUP,
        EXPERIMENTS_GROUP,
        GROUP,
        "networking.k8s.io",
        "",
        "discovery.k8s.io",
        "certificates.k8s.io",
        HIGRESS_GROUP,
    ];
    let mut rows = Vec::new();
    for group in groups {
        let mut versions: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
        for kind in Kind::ALL.iter().filter(|kind| kind.group() == group) {
            let read = ["v1", "v1beta1", "v1alpha3", "v1alpha2", "v1alpha1"];
            let read: Vec<_> = read
                .into_iter()
                .filter(|version| is_read(group, version, *kind))
                .collect();
            assert_eq!(read, kind.versions(), "{kind}");
            match versions.iter_mut().find(|(known, _)| *known == read) {
                Some((_, kinds)) => kinds.push(kind.as_str()),
                None => versions.push((read, vec![kind.as_str()])),
            }
        }
        let group = match group {
            "" => "core".to_owned(),
            group => code(group),
        };
        rows.extend(versions.iter().map(|(versions, kinds)| {
            let versions: Vec<_> = versions.iter().map(|version| code(version)).collect();
            vec![group.clone(), kinds.join(", "), versions.join(", ")]
        }));
    }
    let listed = groups.map(|group| Kind::ALL.iter().filter(|k| k.group() == group).count());
    assert_eq!(listed.iter().sum::<usize>(), Kind::ALL.len());
    table(&["group", "kinds", "versions"], &rows)
}

/// Whether a manifest of that kind and version is taken for an object, be it a whole one or not.
fn is_read(group: &str, version: &str, kind: Kind) -> bool {
    let version = match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    };
    let text = format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\n");
    let read = api::yaml::read(&text);
    let refused = |error: &api::yaml::ManifestError| error.why.contains("is not read");
    read.skipped.is_empty() && !read.errors.iter().any(refused)
}

#[test]
fn parts_of_a_page_are_replaced_and_what_stands_between_stays() {
    let parts = |text: &str| vec![("a".to_owned(), text.to_owned())];
    let page = filled(
        "one\n<!-- generated: a -->\nold\n<!-- end -->\ntwo\n",
        parts("new\n"),
    );
    let wanted = "one\n<!-- generated: a -->\n\nnew\n\n<!-- end -->\ntwo\n";
    assert_eq!(page, wanted);
    assert_eq!(filled(&page, parts("new\n")), wanted);
}
