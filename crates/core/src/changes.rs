//! What changed from one translation to the next, by name.

use std::collections::{HashMap, HashSet};

use api::{Change, Kind, Object, ObjectKey, Resources};

use crate::reach::gateway_of;

/// Kinds that what listeners are is not made from: routes, and all that is read for them alone.
const OF_ROUTES: &[Kind] = &[
    Kind::HttpRoute,
    Kind::RouteFilter,
    Kind::RoutePolicy,
    Kind::BackendPolicy,
    Kind::Service,
    Kind::EndpointSlice,
    // Only `converter` reads these; what it makes of them comes as objects of other kinds.
    Kind::Ingress,
    Kind::IngressClass,
];

/// Objects that are not what they were at the translation before.
#[derive(Debug)]
pub(crate) enum Changes {
    /// There was none before: nothing is known of anything.
    Everything,
    /// These.
    Some {
        all: Vec<Change>,
        names: HashMap<Kind, HashSet<ObjectKey>>,
    },
}

impl Changes {
    /// Brings `seen` up to date.
    pub(crate) fn since(seen: &mut Option<Resources>, now: &Resources) -> Self {
        let Some(seen) = seen else {
            *seen = Some(now.clone());
            return Self::Everything;
        };
        let all = seen.follow(now);
        let mut names: HashMap<Kind, HashSet<ObjectKey>> = HashMap::new();
        for change in &all {
            let reference = &change.reference;
            let of_kind = names.entry(reference.kind).or_default();
            of_kind.insert(reference.key.clone());
        }
        Self::Some { all, names }
    }

    /// Whether any object of that kind changed.
    pub(crate) fn any(&self, kind: Kind) -> bool {
        match self {
            Self::Everything => true,
            Self::Some { names, .. } => names.contains_key(&kind),
        }
    }

    /// Whether that object changed, came or went.
    pub(crate) fn has(&self, kind: Kind, key: &ObjectKey) -> bool {
        match self {
            Self::Everything => true,
            Self::Some { names, .. } => names.get(&kind).is_some_and(|names| names.contains(key)),
        }
    }

    /// Whether listeners are what they were.
    pub(crate) fn spare_listeners(&self) -> bool {
        match self {
            Self::Everything => false,
            Self::Some { all, names } => {
                names.keys().all(|kind| OF_ROUTES.contains(kind)) && !all.iter().any(is_road)
            }
        }
    }
}

/// A Gateway's own Service says where its listeners are bound.
fn is_road(change: &Change) -> bool {
    let road = |object: &Option<Object>| match object {
        Some(Object::Service(service)) => gateway_of(service).is_some(),
        _ => false,
    };
    road(&change.before) || road(&change.now)
}
