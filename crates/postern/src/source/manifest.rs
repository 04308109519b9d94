//! One file: its text, what was last read from it, and whether to believe what stands there now.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use api::{Beyond, Object, ObjectRef, yaml};

use super::{Place, Problem, ProblemKind};

/// A larger file is not a manifest.
const SIZE_LIMIT: u64 = 64 * 1024 * 1024;

/// A file that has become a mere beginning of what it was is probably being written; after this long it is not.
pub(super) const GRACE: Duration = Duration::from_millis(500);

/// A file system may give two writes within this span the same time.
const CLOCK_GRAIN: Duration = Duration::from_secs(1);

/// The text that somebody gives us, all of it.
///
/// # Errors
/// It cannot be read, is larger than 64 MiB, or no UTF-8.
pub(super) fn bounded(mut from: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.by_ref().take(SIZE_LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(io::Error::other("larger than 64 MiB"));
    }
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        io::Error::other(format!("not UTF-8 text (byte {at})"))
    })
}

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    inode: (u64, u64),
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            inode: (metadata.dev(), metadata.ino()),
        })
    }

    /// Whether a later write could leave the stamp as it is.
    fn is_fresh(&self) -> bool {
        self.modified.is_none_or(|time| {
            SystemTime::now()
                .duration_since(time)
                .is_ok_and(|age| age < CLOCK_GRAIN)
        })
    }
}

/// A file and what was read from it.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    /// The state that `text` is of; `None` to read again whatever the stamp says.
    stamp: Option<Stamp>,
    text: String,
    /// The objects that count, and where they stand.
    pub(super) objects: Vec<(Object, Place)>,
    /// What some of them say beyond their types.
    pub(super) beyond: BTreeMap<ObjectRef, Arc<Beyond>>,
    /// Whether `objects` are those of a text without errors.
    good: bool,
    pub(super) problems: Vec<Problem>,
    /// What an API server would refuse in `objects`.
    pub(super) tolerated: Vec<Problem>,
    /// `apiVersion kind` of documents that are not for us.
    pub(super) skipped: Vec<String>,
    /// A shorter text that is not believed yet, and since when.
    doubted: Option<(String, Instant)>,
}

/// What looking at a file has brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing new.
    Same,
    /// Objects or problems are others.
    Changed,
    /// The file is being written: look again after this long.
    Unsettled(Duration),
    /// It is not there any more.
    Gone,
}

impl Manifest {
    /// Looks at the file, and reads it if it may have changed.
    pub(super) fn look(&mut self, path: &Path, quiet: Duration) -> Look {
        match self.text_of(path, quiet) {
            Ok(Ok(text)) => {
                self.doubted = None;
                self.read(path, text);
                Look::Changed
            }
            Ok(Err(look)) => look,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Look::Gone,
            Err(error) => {
                self.stamp = None;
                let kept = self.kept();
                let problems = vec![Problem::unread(
                    path,
                    None,
                    format!("cannot be read: {error}{kept}"),
                )];
                let changed = self.problems != problems;
                self.problems = problems;
                if changed { Look::Changed } else { Look::Same }
            }
        }
    }

    /// The file's new text, or why there is none.
    fn text_of(&mut self, path: &Path, quiet: Duration) -> io::Result<Result<String, Look>> {
        let before = Stamp::of(path)?;
        if self.stamp == Some(before) && !before.is_fresh() && self.doubted.is_none() {
            return Ok(Err(Look::Same));
        }
        let text = bounded(fs::File::open(path)?);
        if Stamp::of(path)? != before {
            return Ok(Err(Look::Unsettled(quiet)));
        }
        let text = text?;
        if self.stamp.is_some() && text == self.text {
            self.stamp = Some(before);
            self.doubted = None;
            return Ok(Err(Look::Same));
        }
        let beginning = text.len() < self.text.len() && self.text.starts_with(&text);
        if beginning && let Some(wait) = self.doubt(&text) {
            return Ok(Err(Look::Unsettled(wait)));
        }
        self.stamp = Some(before);
        Ok(Ok(text))
    }

    /// How much longer a text must stand before it is believed, if it is the beginning of the one before.
    fn doubt(&mut self, text: &str) -> Option<Duration> {
        match &self.doubted {
            Some((seen, since)) if seen == text => {
                let left = GRACE.saturating_sub(since.elapsed());
                (!left.is_zero()).then_some(left)
            }
            _ => {
                self.doubted = Some((text.to_owned(), Instant::now()));
                Some(GRACE)
            }
        }
    }

    fn kept(&self) -> &'static str {
        if self.good {
            "; the last good state of this file stays in use"
        } else {
            ""
        }
    }

    fn read(&mut self, path: &Path, text: String) {
        let manifests = yaml::read(&text);
        self.text = text;
        let good = manifests.errors.is_empty();
        let kept = self.kept();
        self.problems = manifests
            .errors
            .into_iter()
            .map(|error| {
                let (line, why) = (Some(error.line), error.why);
                // What stays in use is not closed.
                let why = match why.strip_suffix(yaml::CLOSED) {
                    Some(what) if !kept.is_empty() => what.trim_end_matches("; "),
                    _ => &why,
                };
                if error.unread {
                    return Problem::unread(path, line, format!("cannot be read: {why}{kept}"));
                }
                let object = error.object.map(|object| format!("{object}: "));
                let object = object.unwrap_or_default();
                let kind = match error.taken {
                    true => ProblemKind::Unknown,
                    false => ProblemKind::Unused,
                };
                Problem::new(path, line, format!("{object}{why}{kept}")).of(kind)
            })
            .collect();
        self.skipped = manifests
            .skipped
            .into_iter()
            .map(|skipped| format!("{} {}", skipped.api_version, skipped.kind))
            .collect();
        if self.good && !good {
            return;
        }
        self.good = good;
        let tolerated = manifests.tolerated.into_iter().map(|told| {
            let message = format!("{}: {}", told.object, told.what);
            Problem::new(path, Some(told.line), message).of(ProblemKind::Tolerated)
        });
        self.tolerated = tolerated.collect();
        let shared: Arc<Path> = path.into();
        let before: BTreeMap<ObjectRef, Object> = self
            .objects
            .drain(..)
            .map(|(object, _)| (object.reference(), object))
            .collect();
        let beyond: BTreeMap<_, _> = manifests.beyond.into_iter().collect();
        let beyond_before = std::mem::replace(&mut self.beyond, beyond);
        let beyond = &self.beyond;
        self.objects = manifests
            .objects
            .into_iter()
            .map(|(object, line)| {
                let path = Arc::clone(&shared);
                let reference = object.reference();
                let same = beyond.get(&reference) == beyond_before.get(&reference);
                // Whoever remembers what came of an object knows it by its address.
                let known = before.get(&reference).filter(|old| same && **old == object);
                let object = known.cloned().unwrap_or(object);
                (object, Place { path, line })
            })
            .collect();
    }

    /// Takes a text as it is, for input that is not a file.
    pub(super) fn from_text(path: &Path, text: String) -> Self {
        let mut manifest = Self::default();
        manifest.read(path, text);
        manifest
    }
}
