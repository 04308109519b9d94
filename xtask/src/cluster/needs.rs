//! Programs that this machine must have, named all at once and before anything is built.

use anyhow::ensure;

use crate::workspace;

/// A program, and the Debian package that has it.
pub(crate) type Package = (&'static str, &'static str);

/// A program that Debian does not have, and where it comes from.
pub(crate) type Other = (&'static str, &'static str);

/// Builds everything.
pub(crate) const GO: Other = ("go", "https://go.dev/doc/install (1.26 or later)");

/// Of a cluster of others: ours is built.
pub(crate) const KUBECTL: Other = ("kubectl", "https://kubernetes.io/docs/tasks/tools");

/// Makes images.
pub(crate) const BUILDAH: Package = ("buildah", "buildah");

/// A line for what Debian has, one line for each other program; none if all is there.
pub(crate) fn lacking(packages: &[Package], others: &[Other]) -> Vec<String> {
    lines(packages, others, |program| {
        workspace::find_program(program).is_some()
    })
}

fn lines(packages: &[Package], others: &[Other], there: impl Fn(&str) -> bool) -> Vec<String> {
    let names: Vec<&str> = { packages.iter() }
        .filter(|(program, _)| !there(program))
        .map(|(_, package)| *package)
        .collect();
    let mut lines = Vec::new();
    if !names.is_empty() {
        let names = names.join(" ");
        lines.push(format!(
            "apt-get install -y --no-install-recommends {names}"
        ));
    }
    let others = others.iter().filter(|(program, _)| !there(program));
    lines.extend(others.map(|(program, from)| format!("{program}: {from}")));
    lines
}

/// Fails with all of the lines.
pub(crate) fn ensure_none(lacking: &[String]) -> anyhow::Result<()> {
    ensure!(lacking.is_empty(), "lacking:\n  {}", lacking.join("\n  "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{BUILDAH, GO, ensure_none, lines};

    #[test]
    fn all_that_is_lacking_is_named_at_once() {
        let packages = [BUILDAH, ("sh", "dash"), ("nft", "nftables")];
        let found = lines(&packages, &[GO], |program| program == "sh");
        assert_eq!(
            found,
            [
                "apt-get install -y --no-install-recommends buildah nftables",
                "go: https://go.dev/doc/install (1.26 or later)"
            ]
        );
        let error = ensure_none(&found).unwrap_err().to_string();
        assert_eq!(error.lines().count(), 3, "{error}");
        assert!(lines(&packages, &[GO], |_| true).is_empty());
    }
}
