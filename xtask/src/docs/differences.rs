//! `What differs` on the migration pages, from the converter's profiles.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::Context as _;
use converter::Profile;

use super::{cell, replaced};

/// The page of a profile, as it should be.
pub(super) fn page(root: &Path, profile: Profile, path: &str) -> anyhow::Result<String> {
    let text =
        fs::read_to_string(root.join(path)).with_context(|| format!("{path} cannot be read"))?;
    replaced(&text, "differences", &table(profile))
}

fn table(profile: Profile) -> String {
    let controller = match profile {
        Profile::Higress => "Higress",
        Profile::Nginx => "ingress-nginx",
    };
    let mut text = format!("| topic | {controller} | Postern |\n| --- | --- | --- |\n");
    for row in profile.differences() {
        let [topic, theirs, ours] = [row.topic, row.theirs, row.ours].map(cell);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {topic} | {theirs} | {ours} |");
    }
    text
}
