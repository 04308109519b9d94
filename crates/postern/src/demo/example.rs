//! What is in an example's folder.

use std::sync::Arc;

use api::{Object, Resources, yaml};
use include_dir::{Dir, include_dir};
use k8s_openapi::api::discovery::v1::EndpointSlice;

static EXAMPLES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../examples");

/// One folder.
#[derive(Debug)]
pub(crate) struct Example {
    /// The folder's name.
    pub(crate) name: &'static str,
    /// What it shows, in a sentence.
    pub(crate) summary: &'static str,
    /// Requests to try, as its README lists them.
    pub(crate) requests: Vec<Try>,
    manifests: Vec<&'static str>,
}

/// One line of the README's table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Try {
    /// A `curl` command for port 8080.
    pub(crate) command: &'static str,
    /// What happens, in words.
    pub(crate) expected: &'static str,
}

/// All examples by name.
pub(crate) fn all() -> Vec<Example> {
    let mut examples: Vec<_> = EXAMPLES.dirs().filter_map(read).collect();
    examples.sort_by_key(|example| example.name);
    examples
}

fn read(folder: &'static Dir<'static>) -> Option<Example> {
    let text = |file: &'static include_dir::File<'static>| file.contents_utf8();
    let readme = folder
        .files()
        .find(|file| file.path().ends_with("README.md"))
        .and_then(text)?;
    let ending = |file: &include_dir::File<'_>| {
        file.path()
            .extension()
            .is_some_and(|ending| ending == "yaml")
    };
    Some(Example {
        name: folder.path().file_name()?.to_str()?,
        summary: readme
            .lines()
            .find(|line| !line.is_empty() && !line.starts_with('#'))?,
        requests: readme.lines().filter_map(Try::read).collect(),
        // Folders in it are for use without a cluster.
        manifests: folder
            .files()
            .chain(folder.dirs().flat_map(Dir::files))
            .filter(|file| ending(file))
            .filter_map(text)
            .collect(),
    })
}

impl Try {
    /// ``| `curl …` | what happens |``
    fn read(line: &'static str) -> Option<Self> {
        let (command, expected) = line.strip_prefix("| `")?.split_once("` |")?;
        command.starts_with("curl ").then(|| Self {
            command,
            expected: expected.trim().trim_end_matches('|').trim(),
        })
    }

    /// The command for another port.
    pub(crate) fn command_for(&self, port: u16) -> String {
        self.command
            .replace("localhost:8080", &format!("localhost:{port}"))
    }
}

impl Example {
    /// The manifests as one text.
    pub(crate) fn manifests(&self) -> String {
        let documents: Vec<_> = self.manifests.iter().map(|text| text.trim_end()).collect();
        documents.join("\n---\n") + "\n"
    }

    /// The objects, with `port_for` asked for a local port that answers for each EndpointSlice.
    ///
    /// # Errors
    /// `port_for` failed.
    pub(crate) fn resources<E>(
        &self,
        mut port_for: impl FnMut(&str) -> Result<u16, E>,
    ) -> Result<Resources, E> {
        let mut resources = Resources::default();
        for text in &self.manifests {
            let read = yaml::read(text);
            for (object, _) in read.objects {
                resources.insert(match object {
                    Object::EndpointSlice(slice) => lead_to(slice, &mut port_for)?.into(),
                    other => other,
                });
            }
            resources.beyond.extend(read.beyond);
        }
        Ok(resources)
    }
}

fn lead_to<E>(
    slice: Arc<EndpointSlice>,
    port_for: &mut impl FnMut(&str) -> Result<u16, E>,
) -> Result<EndpointSlice, E> {
    let mut slice = Arc::unwrap_or_clone(slice);
    let name = slice.metadata.name.clone().unwrap_or_default();
    let port = port_for(&name)?;
    for known in slice.ports.iter_mut().flatten() {
        known.port = Some(i32::from(port));
    }
    Ok(slice)
}

#[cfg(test)]
#[path = "example_tests.rs"]
mod tests;
