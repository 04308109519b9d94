//! How many files and sockets the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Fewer are told about: every connection has one, and every request on its way to a backend another.
const FEW: u64 = 4096;

/// How many there may be now (`ulimit -n`); none: as many as one likes.
pub(crate) fn limit() -> Option<usize> {
    let limit = getrlimit(Resource::Nofile).current?;
    usize::try_from(limit).ok()
}

/// Lets there be as many as whoever started us allows. Many systems give a process 1024 to begin with, for the sake of
/// old programs that could not count further, and leave it to others to ask for more.
pub(crate) fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let wanted = Rlimit {
            current: maximum,
            maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, wanted) {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
    }
    if let Some(few) = getrlimit(Resource::Nofile).current.filter(|now| *now < FEW) {
        tracing::warn!(
            limit = few,
            "few files may be open, and so few connections: raise the hard limit of open files (ulimit -Hn)"
        );
    }
}
