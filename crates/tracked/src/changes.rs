//! What became of objects since the last run.

use api::{Change, Joined, Kind, Object, ObjectRef, Resources};

use crate::Topic;

/// Objects that are not what they were in the last run.
#[derive(Debug)]
pub enum Changes {
    /// There was no last run: nothing is known of any object.
    Everything,
    /// These objects.
    Some(Vec<Change>),
}

impl Changes {
    /// Joins objects that users wrote and generated ones ([`Resources::join`]) into those of the last run. Gives all
    /// objects, what changed, and the names that are in both, whose generated objects do not count.
    #[must_use]
    pub fn join(
        before: Option<Resources>,
        own: &Resources,
        generated: &Resources,
    ) -> (Resources, Self, Vec<ObjectRef>) {
        match before {
            Some(mut resources) => {
                let Joined { changes, clashes } = resources.join(own, generated);
                (resources, Self::Some(changes), clashes)
            }
            None => {
                let (resources, clashes) = Resources::joined(own, generated);
                (resources, Self::Everything, clashes)
            }
        }
    }

    /// The single changes; none where [everything](Self::Everything) is new.
    pub fn iter(&self) -> impl Iterator<Item = &Change> {
        match self {
            Self::Everything => [].iter(),
            Self::Some(all) => all.iter(),
        }
    }

    /// Whether any object of that kind changed.
    #[must_use]
    pub fn any(&self, kind: Kind) -> bool {
        matches!(self, Self::Everything) || self.iter().any(|change| change.reference.kind == kind)
    }
}

/// What a change is about. ReferenceGrants are asked about apart.
pub(crate) fn topics(change: &Change) -> impl Iterator<Item = Topic> {
    let reference = &change.reference;
    let kind = reference.kind;
    let both = [&change.before, &change.now].into_iter().flatten();
    let targets = both.flat_map(targets);
    [Topic::Object(reference.clone()), Topic::All(kind)]
        .into_iter()
        .chain(targets.map(move |target| Topic::Policies(kind, target)))
}

/// What a policy names as its targets, whether or not there is such a thing.
fn targets(object: &Object) -> Vec<ObjectRef> {
    let namespace = object.metadata().namespace.as_deref().unwrap_or_default();
    let target = |(group, kind, name): (&str, &str, &str)| {
        let key = api::ObjectKey::new(namespace, name);
        Kind::find(group, kind).map(|kind| ObjectRef::new(kind, key))
    };
    let ours = match object {
        Object::RoutePolicy(policy) => &policy.spec.target_refs,
        Object::BackendPolicy(policy) => &policy.spec.target_refs,
        Object::ClientPolicy(policy) => &policy.spec.target_refs,
        Object::BackendTlsPolicy(policy) => {
            let named =
                { policy.spec.target_refs.iter() }.map(|to| (&*to.group, &*to.kind, &*to.name));
            return named.filter_map(target).collect();
        }
        _ => return Vec::new(),
    };
    let named = ours.iter().map(|to| (&*to.group, &*to.kind, &*to.name));
    named.filter_map(target).collect()
}
