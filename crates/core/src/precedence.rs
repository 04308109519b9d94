//! Which route wins: the order of routes within a virtual host, and of competing objects.

use std::{
    cmp::{Ordering, Reverse},
    sync::Arc,
};

use api::{ObjectKey, annotation};
use ir::{PathMatch, RequestMatch};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde_json::Value;

/// When an object was made; older first. An object without a time has not been through an API server yet, so it
/// comes after all that have.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Age {
    Since(Time),
    #[default]
    Unknown,
}

impl Age {
    pub(crate) fn of(object: &impl ResourceExt) -> Self {
        object
            .meta()
            .creation_timestamp
            .clone()
            .map_or(Self::Unknown, Self::Since)
    }

    /// The age that keeps other routes away. Anybody who may write a route may annotate it, so `postern.dev/created`
    /// counts only where no API server says when the route was made: in files, and of what Ingresses become.
    pub(crate) fn vouched(route: &impl ResourceExt) -> Self {
        let claimed = || Self::parse(route.annotations().get(annotation::CREATED)?.trim());
        match Self::of(route) {
            Self::Unknown => claimed().unwrap_or_default(),
            since @ Self::Since(_) => since,
        }
    }

    /// An RFC 3339 time.
    fn parse(text: &str) -> Option<Self> {
        serde_json::from_value(Value::String(text.to_owned()))
            .ok()
            .map(Self::Since)
    }
}

/// The name of an object, in the order that the specification has for ties.
///
/// > The Route appearing first in alphabetical order by "{namespace}/{name}".
///
/// In that text `a-b/x` comes before `a/x`, which pairs of namespace and name do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alphabetical(pub(crate) ObjectKey);

impl Alphabetical {
    pub(crate) fn new(key: &ObjectKey) -> Self {
        Self(key.clone())
    }

    fn text(&self) -> impl Iterator<Item = u8> {
        let Self(ObjectKey { namespace, name }) = self;
        namespace.bytes().chain([b'/']).chain(name.bytes())
    }
}

impl Ord for Alphabetical {
    fn cmp(&self, other: &Self) -> Ordering {
        let (ours, theirs) = (&self.0, &other.0);
        if ours.namespace == theirs.namespace {
            return ours.name.cmp(&theirs.name);
        }
        // Two pairs with the same text take an illegal namespace.
        let by_text = self.text().cmp(other.text());
        by_text.then_with(|| ours.cmp(theirs))
    }
}

impl PartialOrd for Alphabetical {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What a route as a whole contributes to the order of its matches.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RouteOrder {
    age: Age,
    order: i64,
    name: Alphabetical,
}

impl RouteOrder {
    /// For routes of which the first takes everything: see [`Age::vouched`].
    pub(crate) fn vouched(route: &impl ResourceExt, warnings: &mut Vec<String>) -> Self {
        Self {
            age: Age::vouched(route),
            ..Self::of(route, warnings)
        }
    }

    /// Reads age and annotations; what could not be read is said in `warnings` and counts as absent.
    pub(crate) fn of(route: &impl ResourceExt, warnings: &mut Vec<String>) -> Self {
        let annotations = route.annotations();
        let read = |key: &str| annotations.get(key).map(|v| v.trim().to_owned());
        let (created, order) = (read(annotation::CREATED), read(annotation::ORDER));
        let mut warn = |key: &str, value: &str, want: &str| {
            warnings.push(format!(
                "annotation {key}: {value:?} is not {want} and is not used"
            ));
        };
        let age = created.and_then(|text| {
            let age = Age::parse(&text);
            if age.is_none() {
                warn(annotation::CREATED, &text, "an RFC 3339 time");
            }
            age
        });
        let order = order.and_then(|text| {
            let order = text.parse().ok();
            if order.is_none() {
                warn(annotation::ORDER, &text, "a whole number");
            }
            order
        });
        Self {
            age: age.unwrap_or_else(|| Age::of(route)),
            order: order.unwrap_or(0),
            name: Alphabetical(ObjectKey::of(route)),
        }
    }
}

/// How specific a match of a gRPC call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallRank {
    /// Characters of the service.
    pub(crate) service: Reverse<usize>,
    /// Characters of the method.
    pub(crate) method: Reverse<usize>,
}

/// Kinds of path match from most to least specific.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum PathRank {
    /// Those of a GRPCRoute that say which calls they are about. They meet matches of HTTPRoutes only where Gateways
    /// share a socket: a listener has routes of one kind for a host.
    Call(CallRank),
    Exact,
    /// Other than `/`; longer first.
    Prefix(Reverse<usize>),
    /// Longer text first. Gateway API leaves the place of expressions open; design: before `Prefix /` only.
    Regex(Reverse<usize>),
    Root,
}

impl PathRank {
    fn of(path: &PathMatch) -> Self {
        match path {
            PathMatch::Exact(_) | PathMatch::ExactAnyCase(_) => Self::Exact,
            PathMatch::Prefix(prefix) if prefix.is_empty() => Self::Root,
            PathMatch::Prefix(prefix) | PathMatch::PrefixAnyCase(prefix) => {
                Self::Prefix(Reverse(prefix.chars().count()))
            }
            PathMatch::Regex(pattern) => Self::Regex(Reverse(pattern.as_str().chars().count())),
        }
    }
}

/// The order of matches in a virtual host; the first that matches a request wins. It serves native and converted
/// routes alike.
///
/// > Proxy or Load Balancer routing configuration generated from HTTPRoutes MUST prioritize matches based on the
/// > following criteria, continuing on ties. Across all rules specified on applicable Routes, precedence must be
/// > given to the match having: "Exact" path match. "Prefix" path match with largest number of characters. Method
/// > match. Largest number of header matches. Largest number of query param matches.
/// >
/// > If ties still exist across multiple Routes, matching precedence MUST be determined in order of the following
/// > criteria, continuing on ties: The oldest Route based on creation timestamp. The Route appearing first in
/// > alphabetical order by "{namespace}/{name}". If ties still exist within an HTTPRoute, matching precedence MUST
/// > be granted to the FIRST matching rule (in list order) with a match meeting the above criteria.
///
/// (<https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule>.) The annotation `postern.dev/order` is compared
/// between age and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Precedence {
    path: PathRank,
    any_method: bool,
    headers: Reverse<usize>,
    query: Reverse<usize>,
    route: Arc<RouteOrder>,
    rule_index: usize,
    match_index: usize,
}

impl Precedence {
    pub(crate) fn of(
        matches: &RequestMatch,
        route: &Arc<RouteOrder>,
        rule_index: usize,
        match_index: usize,
    ) -> Self {
        let place = (rule_index, match_index);
        Self::ranked(PathRank::of(&matches.path), matches, route, place)
    }

    /// That of a match of a GRPCRoute; `place` is that of the rule and the match.
    pub(crate) fn of_call(
        call: CallRank,
        matches: &RequestMatch,
        route: &Arc<RouteOrder>,
        place: (usize, usize),
    ) -> Self {
        let any = call.service.0 + call.method.0 == 0;
        let rank = if any {
            PathRank::Root
        } else {
            PathRank::Call(call)
        };
        Self::ranked(rank, matches, route, place)
    }

    fn ranked(
        path: PathRank,
        matches: &RequestMatch,
        route: &Arc<RouteOrder>,
        (rule_index, match_index): (usize, usize),
    ) -> Self {
        Self {
            path,
            any_method: matches.method.is_none(),
            headers: Reverse(matches.headers.len()),
            query: Reverse(matches.query.len()),
            route: Arc::clone(route),
            rule_index,
            match_index,
        }
    }
}

#[cfg(test)]
#[path = "precedence_tests.rs"]
mod tests;
