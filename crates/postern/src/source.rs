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
    /// What an API server would refuse in objects that were read.
    pub(crate) tolerated: Vec<Problem>,
    /// Kinds that Postern does not read, as `apiVersion kind`, and how many objects of them there are.
    pub(crate) skipped: BTreeMap<String, usize>,
    /// Definitions of the Gateway API in the cluster, and their versions.
    pub(crate) definitions: Definitions,
    /// Kinds that the cluster does not have.
    pub(crate) absent: BTreeSet<Kind>,
    /// Objects of the cluster that was read once which a Postern there keeps for Ingresses. They are not among the
    /// others.
    pub(crate) kept: BTreeSet<ObjectRef>,
    /// What the cluster is called that was read once, if one was.
    pub(crate) cluster: Option<Arc<str>>,
}

impl Update {
    /// With files on top: of two objects of the same name, theirs counts.
    pub(crate) fn under(self, files: Self) -> Self {
        let mut resources = Arc::unwrap_or_clone(self.resources);
        resources.extend((*files.resources).clone());
        let mut problems = self.problems;
        problems.extend(files.problems);
        problems.sort();
        Self {
            resources: Arc::new(resources),
            problems,
            definitions: self.definitions,
            absent: self.absent,
            kept: self.kept,
            cluster: self.cluster,
            ..files
        }
    }
}

/// What older API servers had.
const OLD_INGRESSES: [&str; 2] = ["extensions/v1beta1", "networking.k8s.io/v1beta1"];

impl Update {
    /// How many Ingresses there are in versions that are not read, by `apiVersion`.
    pub(crate) fn old_ingresses(&self) -> impl Iterator<Item = (&str, usize)> {
        let skipped = self.skipped.iter();
        skipped.filter_map(|(kind, count)| Some((old_ingress(kind)?, *count)))
    }

    /// Kinds that Postern does not read in any version.
    pub(crate) fn foreign(&self) -> impl Iterator<Item = (&str, usize)> {
        let skipped = self.skipped.iter();
        let foreign = skipped.filter(|(kind, _)| old_ingress(kind).is_none());
        foreign.map(|(kind, count)| (kind.as_str(), *count))
    }
}

fn old_ingress(kind: &str) -> Option<&str> {
    let version = kind.strip_suffix(" Ingress")?;
    OLD_INGRESSES.contains(&version).then_some(version)
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
    /// In one word.
    pub(crate) kind: ProblemKind,
}

/// What sort of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ProblemKind {
    /// The file, or a document of it, could not be read at all: what it holds is not known.
    Unread,
    /// An object is not used.
    Unused,
    /// An object is there more than once.
    Twice,
    /// A field of it is not known, and what has it is closed.
    Unknown,
    /// An API server would refuse it, and it was read.
    Tolerated,
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unread => "a file that cannot be read",
            Self::Unused => "an object that is not used",
            Self::Twice => "an object that is there twice",
            Self::Unknown => "a field that is not known",
            Self::Tolerated => "what an API server would refuse",
        })
    }
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
            kind: ProblemKind::Unused,
        }
    }

    fn of(self, kind: ProblemKind) -> Self {
        Self { kind, ..self }
    }

    fn unread(path: &Path, line: Option<usize>, message: impl Into<String>) -> Self {
        Self::new(path, line, message).of(ProblemKind::Unread)
    }

    /// What the file holds is not known.
    pub(crate) fn is_unread(&self) -> bool {
        self.kind == ProblemKind::Unread
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
