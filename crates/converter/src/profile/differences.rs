//! What Postern does otherwise than the controller whose rules an Ingress has. `cargo xtask docs` prints these rows
//! into the migration pages.

mod higress;
mod nginx;

use super::Profile;

/// One thing that is done otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Difference {
    /// What it is about: a setting, or a situation.
    pub topic: &'static str,
    /// What the controller does.
    pub theirs: &'static str,
    /// What Postern does.
    pub ours: &'static str,
    /// What shows ours: `topic/case` of a golden file of this crate, or `module::test` of the tests of the binary or
    /// the data plane.
    pub shown: &'static str,
}

impl Profile {
    /// What is done otherwise than the controller of these rules does.
    #[must_use]
    pub const fn differences(self) -> &'static [Difference] {
        match self {
            Self::Higress => higress::ROWS,
            Self::Nginx => nginx::ROWS,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::Profile;

    /// Whether a source has a test of this name.
    fn has_test(source: &str, name: &str) -> bool {
        let mut before = "";
        source.lines().map(str::trim).any(|line| {
            let test = before == "#[test]";
            before = line;
            test && line.starts_with(&format!("fn {name}("))
        })
    }

    #[test]
    fn each_difference_is_shown_by_a_test_that_exists() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for row in [Profile::Higress, Profile::Nginx].map(Profile::differences) {
            for row in row {
                let found = match row.shown.rsplit_once("::") {
                    None => root
                        .join(format!("testdata/{}.in.yaml", row.shown))
                        .exists(),
                    Some((module, name)) => {
                        let file = format!("{}.rs", module.replace("::", "/"));
                        ["../postern/tests/e2e", "../proxy/tests/sockets"]
                            .iter()
                            .any(|folder| {
                                let text = fs::read_to_string(root.join(folder).join(&file));
                                text.is_ok_and(|text| has_test(&text, name))
                            })
                    }
                };
                assert!(found, "{}: there is no {}", row.topic, row.shown);
            }
        }
    }
}
