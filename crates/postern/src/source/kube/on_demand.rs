//! Secrets and ConfigMaps: of all of them the version is known, those that something refers to are held in full.

use std::collections::{BTreeMap, BTreeSet};

use api::{Kind, Object, ObjectKey, ObjectRef};

/// Which objects are held.
#[derive(Debug, Default)]
pub(super) struct OnDemand {
    /// The newest version of every object.
    versions: BTreeMap<ObjectRef, Box<str>>,
    /// What each object refers to.
    references: BTreeMap<ObjectRef, Vec<ObjectRef>>,
    /// How many objects refer to each.
    wanted: BTreeMap<ObjectRef, usize>,
    /// The version that was asked for last.
    asked: BTreeMap<ObjectRef, Box<str>>,
    /// Answers that have not come yet.
    pending: BTreeSet<ObjectRef>,
    /// Objects whose state needs a look.
    dirty: BTreeSet<ObjectRef>,
}

/// What is to be done about an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Read it: this version or a later one.
    Fetch(ObjectRef, Box<str>),
    /// Let it go.
    Drop(ObjectRef),
}

impl OnDemand {
    /// An object of our kinds is there, or not any more.
    pub(super) fn version(&mut self, object: ObjectRef, version: Option<&str>) {
        match version {
            Some(version) => drop(self.versions.insert(object.clone(), version.into())),
            None => drop(self.versions.remove(&object)),
        }
        self.dirty.insert(object);
    }

    /// An object is wanted for good.
    pub(super) fn hold(&mut self, object: ObjectRef) {
        *self.wanted.entry(object.clone()).or_default() += 1;
        self.dirty.insert(object);
    }

    /// Every known object of a kind.
    pub(super) fn known(&self, kind: Kind) -> BTreeSet<ObjectKey> {
        let of_kind = self.versions.keys().filter(|object| object.kind == kind);
        of_kind.map(|object| object.key.clone()).collect()
    }

    /// Objects of a kind that something refers to.
    pub(super) fn wanted(&self, kind: Kind) -> Vec<ObjectRef> {
        let of_kind = self.wanted.keys().filter(|object| object.kind == kind);
        of_kind.cloned().collect()
    }

    /// Notes what an object refers to.
    pub(super) fn refers(&mut self, from: &ObjectRef, to: Vec<ObjectRef>) {
        let before = if to.is_empty() {
            self.references.remove(from)
        } else {
            self.references.insert(from.clone(), to.clone())
        };
        for target in to {
            *self.wanted.entry(target.clone()).or_default() += 1;
            self.dirty.insert(target);
        }
        for target in before.into_iter().flatten() {
            if let Some(count) = self.wanted.get_mut(&target) {
                *count -= 1;
                if *count == 0 {
                    self.wanted.remove(&target);
                }
            }
            self.dirty.insert(target);
        }
    }

    /// What is to be done since the last call.
    pub(super) fn orders(&mut self) -> Vec<Order> {
        let mut orders = Vec::new();
        for object in std::mem::take(&mut self.dirty) {
            let version = self.versions.get(&object);
            match version.filter(|_| self.wanted.contains_key(&object)) {
                Some(version) if self.asked.get(&object) == Some(version) => {}
                Some(version) => {
                    self.asked.insert(object.clone(), version.clone());
                    self.pending.insert(object.clone());
                    orders.push(Order::Fetch(object, version.clone()));
                }
                None => {
                    self.pending.remove(&object);
                    if self.asked.remove(&object).is_some() {
                        orders.push(Order::Drop(object));
                    }
                }
            }
        }
        orders
    }

    /// An answer has come for that version. Tells whether it is still of use.
    pub(super) fn fetched(&mut self, object: &ObjectRef, version: &str) -> bool {
        let newest = self
            .asked
            .get(object)
            .is_some_and(|asked| &**asked == version);
        if newest {
            self.pending.remove(object);
        }
        newest
    }

    /// No answer came; it is asked for once more.
    pub(super) fn failed(&mut self, object: ObjectRef, version: &str) {
        if self
            .asked
            .get(&object)
            .is_some_and(|asked| &**asked == version)
        {
            self.asked.remove(&object);
            self.dirty.insert(object);
        }
    }

    /// Whether answers are still to come.
    pub(super) fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }
}

/// The Secrets and ConfigMaps that an object may refer to.
pub(super) fn references(object: &Object) -> Vec<ObjectRef> {
    let namespace = object.metadata().namespace.clone().unwrap_or_default();
    match object {
        Object::Ingress(ingress) => {
            let secrets = converter::secrets(ingress).into_iter();
            let secrets = secrets.map(|key| ObjectRef::new(Kind::Secret, key));
            let maps = converter::config_maps(ingress).into_iter();
            secrets
                .chain(maps.map(|key| ObjectRef::new(Kind::ConfigMap, key)))
                .collect()
        }
        // Wherever a reference stands in one of these, it is an object with a name, and perhaps a kind and namespace.
        Object::Gateway(_)
        | Object::ListenerSet(_)
        | Object::RoutePolicy(_)
        | Object::BackendPolicy(_)
        | Object::BackendTlsPolicy(_)
        | Object::XBackend(_)
        | Object::ClientPolicy(_) => {
            let mut found = Vec::new();
            if let Ok(json) = object.to_json() {
                collect(&json["spec"], "", &namespace, &mut found);
            }
            found.sort();
            found.dedup();
            found
        }
        _ => Vec::new(),
    }
}

/// Walks through a spec. Fields whose names tell of Secrets or certificates, and references that name one of the kinds.
fn collect(value: &serde_json::Value, field: &str, namespace: &str, found: &mut Vec<ObjectRef>) {
    use serde_json::Value;
    match value {
        Value::Array(items) => {
            for item in items {
                collect(item, field, namespace, found);
            }
        }
        Value::Object(fields) => {
            let text = |name: &str| fields.get(name).and_then(Value::as_str);
            if let Some(name) = text("name") {
                let field = field.to_lowercase();
                let kind = match text("kind") {
                    Some("Secret") => Some(Kind::Secret),
                    Some("ConfigMap") => Some(Kind::ConfigMap),
                    None if field.contains("secret") || field.contains("certificate") => {
                        Some(Kind::Secret)
                    }
                    _ => None,
                };
                if let Some(kind) = kind {
                    let namespace = text("namespace").unwrap_or(namespace);
                    found.push(ObjectRef::new(kind, ObjectKey::new(namespace, name)));
                }
            }
            for (field, value) in fields {
                collect(value, field, namespace, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
#[path = "on_demand_tests.rs"]
mod tests;
