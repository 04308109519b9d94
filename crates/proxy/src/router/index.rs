//! An index over routes in order of precedence.

use ir::{PathMatch, Route};

use super::Table;

/// Where the routes for a path stand. Precedence puts exact paths first, then prefixes from long to short, then
/// expressions, then the prefix `/`; each list keeps the order of the routes.
#[derive(Debug)]
pub(super) enum Index {
    /// The usual case.
    Paths {
        exact: Table<Vec<u32>>,
        prefixes: Table<Vec<u32>>,
        regexes: Vec<u32>,
        root: Vec<u32>,
    },
    /// Routes that are in another order are walked through: the first that matches wins, whatever the order.
    Linear(u32),
}

/// The order in which [`Index::Paths`] looks: kind, then longer prefixes first.
fn rank(route: &Route) -> (u8, usize) {
    match &route.matches.path {
        PathMatch::Exact(_) => (0, 0),
        PathMatch::Prefix(prefix) if prefix.is_empty() => (3, 0),
        PathMatch::Prefix(prefix) => (1, usize::MAX - prefix.len()),
        PathMatch::Regex(_) => (2, 0),
    }
}

impl Index {
    pub(super) fn build(routes: &[Route]) -> Self {
        if !routes.is_sorted_by_key(rank) {
            return Self::Linear(u32::try_from(routes.len()).unwrap_or(u32::MAX));
        }
        let (mut exact, mut prefixes) =
            (Table::<Vec<u32>>::default(), Table::<Vec<u32>>::default());
        let (mut regexes, mut root) = (Vec::new(), Vec::new());
        for (at, route) in (0..u32::MAX).zip(routes) {
            match &route.matches.path {
                PathMatch::Exact(path) => exact.entry(path.clone()).or_default().push(at),
                PathMatch::Prefix(prefix) if prefix.is_empty() => root.push(at),
                PathMatch::Prefix(prefix) => prefixes.entry(prefix.clone()).or_default().push(at),
                PathMatch::Regex(_) => regexes.push(at),
            }
        }
        Self::Paths {
            exact,
            prefixes,
            regexes,
            root,
        }
    }

    /// The first candidate for `path` that `accept` takes. It need not be a match of the path: `accept` checks all.
    pub(super) fn first(&self, path: &str, accept: impl Fn(usize) -> bool) -> Option<usize> {
        let among = |list: &[u32]| list.iter().map(|at| *at as usize).find(|at| accept(*at));
        match self {
            Self::Linear(count) => (0..*count as usize).find(|at| accept(*at)),
            Self::Paths {
                exact,
                prefixes,
                regexes,
                root,
            } => {
                let found = if exact.is_empty() {
                    None
                } else {
                    exact.get(path).and_then(|list| among(list))
                };
                found
                    .or_else(|| {
                        if prefixes.is_empty() {
                            None
                        } else {
                            longest(prefixes, path, &among)
                        }
                    })
                    .or_else(|| among(regexes))
                    .or_else(|| among(root))
            }
        }
    }
}

/// Tries the path itself, then the path without its last element, and so on.
fn longest(
    prefixes: &Table<Vec<u32>>,
    path: &str,
    among: &impl Fn(&[u32]) -> Option<usize>,
) -> Option<usize> {
    let mut rest = path;
    loop {
        if let Some(at) = prefixes.get(rest).and_then(|list| among(list)) {
            return Some(at);
        }
        rest = &rest[..rest.rfind('/')?];
        if rest.is_empty() {
            return None;
        }
    }
}
