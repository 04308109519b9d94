//! Where objects come from: files ([`file`] reads them, [`watch`] reads them again whenever they change) or a cluster
//! ([`kube`]).

pub(crate) mod file;
pub(crate) mod kube;
mod manifest;
mod walk;
pub(crate) mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use api::{Kind, ObjectRef, Resources};
use gateway_core::Definitions;
use serde::{Serialize, Serializer};

/// Everything that was read, and what could not be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Update {
    /// The objects. An object whose text did not change is the same `Arc` as before.
    pub(crate) resources: Arc<Resources>,
    /// Where each object stands.
    pub(crate) origins: Arc<BTreeMap<ObjectRef, Place>>,
    /// What could not be read, by file and line.
    pub(crate) problems: Vec<Problem>,
    /// Kinds that Postern does not read, as `apiVersion kind`, and how many objects of them there are.
    pub(crate) skipped: BTreeMap<String, usize>,
    /// Definitions of the Gateway API in the cluster, and their versions.
    pub(crate) definitions: Definitions,
    /// Kinds that the cluster does not have.
    pub(crate) absent: BTreeSet<Kind>,
    /// What the cluster is called that was read once, if one was.
    pub(crate) cluster: Option<Arc<str>>,
}

impl Update {
    /// With files on top: of two objects of the same name, theirs counts.
    pub(crate) fn under(self, files: Self) -> Self {
        let mut resources = Arc::unwrap_or_clone(self.resources);
        for object in files.resources.iter() {
            resources.insert(object);
        }
        let mut problems = self.problems;
        problems.extend(files.problems);
        problems.sort();
        Self {
            resources: Arc::new(resources),
            problems,
            definitions: self.definitions,
            absent: self.absent,
            cluster: self.cluster,
            ..files
        }
    }
}

/// A file and a line in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) path: Arc<Path>,
    /// From 1.
    pub(crate) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

/// Something in a file that is not in [`Update::resources`], or not in its newest form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Problem {
    /// The file or directory; in a cluster, the object.
    #[serde(serialize_with = "display")]
    pub(crate) path: PathBuf,
    /// Line from 1, where one is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    /// What is wrong, and what is done about it.
    pub(crate) message: String,
    /// The file, or a document of it, could not be read at all: what it holds is not known.
    pub(crate) unread: bool,
}

/// A name that is not UTF-8 is no reason to fail.
fn display<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

impl Problem {
    fn new(path: &Path, line: Option<usize>, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
            unread: false,
        }
    }

    fn unread(path: &Path, line: Option<usize>, message: impl Into<String>) -> Self {
        Self {
            unread: true,
            ..Self::new(path, line, message)
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.message)
    }
}

/// Nothing could be read at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// One of the paths given is not there or must not be read.
    #[error("cannot read {path}: {why}; give a directory or file of manifests with -f", path = path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// The system's error.
        why: String,
    },
    /// Some files were read, and these were not: what would be told of the others might be wrong.
    #[error("{}", unread(.0))]
    Unread(Vec<Problem>),
    /// Standard input failed.
    #[error("cannot read manifests from standard input: {0}")]
    Stdin(#[source] std::io::Error),
}

fn unread(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
