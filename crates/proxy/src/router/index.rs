//! An index over routes in order of precedence.

use ir::{PathMatch, Route};

use super::Table;

/// Where the routes for a path stand. Precedence puts exact paths first, then prefixes from long to short, then
/// expressions, then the prefix `/`; each list keeps the order of the routes.
#[derive(Debug)]
pub(super) enum Index {
    /// The usual case.
    Paths {
        exact: Paths,
        prefixes: Paths,
        regexes: Vec<u32>,
        root: Vec<u32>,
    },
    /// Routes that are in another order are walked through: the first that matches wins, whatever the order.
    Linear(u32),
}

/// Routes by their path.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Byte for byte.
    same: Table<Vec<u32>>,
    /// In any case: sorted by the path in lower case.
    any_case: Vec<(Box<str>, Vec<u32>)>,
}

/// The order in which [`Index::Paths`] looks: kind, then longer prefixes first.
fn rank(route: &Route) -> (u8, usize) {
    match &route.matches.path {
        PathMatch::Exact(_) | PathMatch::ExactAnyCase(_) => (0, 0),
        PathMatch::Prefix(prefix) | PathMatch::PrefixAnyCase(prefix) if prefix.is_empty() => (3, 0),
        PathMatch::Prefix(prefix) | PathMatch::PrefixAnyCase(prefix) => {
            (1, usize::MAX - prefix.len())
        }
        PathMatch::Regex(_) => (2, 0),
    }
}

impl Index {
    pub(super) fn build(routes: &[Route]) -> Self {
        if !routes.is_sorted_by_key(rank) {
            return Self::Linear(u32::try_from(routes.len()).unwrap_or(u32::MAX));
        }
        let (mut exact, mut prefixes) = (Paths::default(), Paths::default());
        let (mut regexes, mut root) = (Vec::new(), Vec::new());
        for (at, route) in (0..u32::MAX).zip(routes) {
            match &route.matches.path {
                PathMatch::Exact(path) => exact.same.entry(path.clone()).or_default().push(at),
                PathMatch::ExactAnyCase(path) => exact.add_any_case(path, at),
                PathMatch::Prefix(prefix) | PathMatch::PrefixAnyCase(prefix)
                    if prefix.is_empty() =>
                {
                    root.push(at);
                }
                PathMatch::Prefix(prefix) => {
                    prefixes.same.entry(prefix.clone()).or_default().push(at);
                }
                PathMatch::PrefixAnyCase(prefix) => prefixes.add_any_case(prefix, at),
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
            } => exact
                .first(path, &among)
                .or_else(|| prefixes.longest(path, &among))
                .or_else(|| among(regexes))
                .or_else(|| among(root)),
        }
    }
}

impl Paths {
    fn add_any_case(&mut self, path: &str, at: u32) {
        let lower = path.to_ascii_lowercase();
        match self.find_any_case(&lower) {
            Ok(found) => self.any_case[found].1.push(at),
            Err(place) => self.any_case.insert(place, (lower.into(), vec![at])),
        }
    }

    /// Where a path in whatever case stands, or would. Nothing is allocated: letters are lowered one by one.
    fn find_any_case(&self, path: &str) -> Result<usize, usize> {
        let lower = || path.bytes().map(|b| b.to_ascii_lowercase());
        self.any_case
            .binary_search_by(|(known, _)| known.bytes().cmp(lower()))
    }

    fn is_empty(&self) -> bool {
        self.same.is_empty() && self.any_case.is_empty()
    }

    /// The first route for just this path. Routes of both sorts have one order among them.
    fn first(&self, path: &str, among: &impl Fn(&[u32]) -> Option<usize>) -> Option<usize> {
        let same = if self.same.is_empty() {
            None
        } else {
            self.same.get(path).and_then(|list| among(list))
        };
        if self.any_case.is_empty() {
            return same;
        }
        let any_case = self.find_any_case(path).ok();
        let any_case = any_case.and_then(|at| among(&self.any_case[at].1));
        same.into_iter().chain(any_case).min()
    }

    /// Tries the path itself, then the path without its last element, and so on.
    fn longest(&self, path: &str, among: &impl Fn(&[u32]) -> Option<usize>) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        let mut rest = path;
        loop {
            if let Some(at) = self.first(rest, among) {
                return Some(at);
            }
            rest = &rest[..rest.rfind('/')?];
            if rest.is_empty() {
                return None;
            }
        }
    }
}
