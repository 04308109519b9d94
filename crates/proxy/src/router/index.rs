//! An index over routes in order of precedence.

use ir::{PathMatch, Route};

use super::Table;

/// Where the routes for a path stand. Precedence puts routes with a more specific hostname of their own first, and
/// among those with the same one exact paths, then prefixes from long to short, then expressions, then the prefix `/`.
#[derive(Debug)]
pub(super) enum Index {
    /// The usual case: one run, or one for each hostname that routes of the host have.
    Runs(Vec<Run>),
    /// Routes that are in another order are walked through: the first that matches wins, whatever the order.
    Linear(u32),
}

/// Routes that follow each other in the order of their paths; each list keeps the order of the routes.
#[derive(Debug, Default)]
pub(super) struct Run {
    exact: Paths,
    prefixes: Paths,
    regexes: Vec<u32>,
    root: Vec<u32>,
}

/// More runs than this are no runs: a hostname has fewer wildcards over it that have routes.
const RUNS: usize = 16;

/// Routes by their path.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Byte for byte.
    same: Table<Vec<u32>>,
    /// In any case: sorted by the path in lower case.
    any_case: Vec<(Box<str>, Vec<u32>)>,
}

/// The order in which a [`Run`] looks: kind, then longer prefixes first.
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
        let in_order = |one: &Route, next: &Route| rank(one) <= rank(next);
        if routes.chunk_by(in_order).nth(RUNS).is_some() {
            return Self::Linear(u32::try_from(routes.len()).unwrap_or(u32::MAX));
        }
        let mut places = 0..u32::MAX;
        let runs = routes.chunk_by(in_order);
        Self::Runs(runs.map(|run| Run::build(&mut places, run)).collect())
    }

    /// The first candidate for `path` that `accept` takes. It need not be a match of the path: `accept` checks all.
    pub(super) fn first(&self, path: &str, accept: impl Fn(usize) -> bool) -> Option<usize> {
        match self {
            Self::Linear(count) => (0..*count as usize).find(|at| accept(*at)),
            Self::Runs(runs) => runs.iter().find_map(|run| run.first(path, &accept)),
        }
    }
}

impl Run {
    fn build(places: &mut impl Iterator<Item = u32>, routes: &[Route]) -> Self {
        let mut run = Self::default();
        // Routes come first: the place after the last one is for the next run.
        for (route, at) in routes.iter().zip(places) {
            match &route.matches.path {
                PathMatch::Exact(path) => run.exact.same.entry(path.clone()).or_default().push(at),
                PathMatch::ExactAnyCase(path) => run.exact.add_any_case(path, at),
                PathMatch::Prefix(prefix) | PathMatch::PrefixAnyCase(prefix)
                    if prefix.is_empty() =>
                {
                    run.root.push(at);
                }
                PathMatch::Prefix(prefix) => {
                    run.prefixes
                        .same
                        .entry(prefix.clone())
                        .or_default()
                        .push(at);
                }
                PathMatch::PrefixAnyCase(prefix) => run.prefixes.add_any_case(prefix, at),
                PathMatch::Regex(_) => run.regexes.push(at),
            }
        }
        run
    }

    fn first(&self, path: &str, accept: &impl Fn(usize) -> bool) -> Option<usize> {
        let among = |list: &[u32]| list.iter().map(|at| *at as usize).find(|at| accept(*at));
        let exact = self.exact.first(path, &among);
        exact
            .or_else(|| self.prefixes.longest(path, &among))
            .or_else(|| among(&self.regexes))
            .or_else(|| among(&self.root))
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
