//! The objects of the cluster as they are known here, from the events of all watches. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use api::{
    GATEWAY_GROUP, GROUP, Kind, Object, ObjectKey, ObjectRef, Reading, Resources, annotation,
};
use gateway_core::Definitions;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    ManagedFieldsEntry, ObjectMeta, OwnerReference,
};
use kube::{core::DynamicObject, runtime::watcher::Event};

use super::{
    has_status,
    observed::{Observed, Seen, Written},
    on_demand::{OnDemand, Order, references},
};
use crate::source::{Problem, Update};

/// What kubectl keeps for itself in an object, as large as the object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Said of a Service that names endpoints of its own.
const NO_ENDPOINTS: &str = "its annotation postern.dev/endpoints does not count: it is for manifests in files, and here whoever may write \
                            a Service would choose what the gateway reaches; give it a selector or an EndpointSlice";

/// All objects.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    resources: Resources,
    observed: Observed,
    kinds: BTreeMap<Kind, Listing>,
    held: OnDemand,
    problems: BTreeMap<ObjectRef, String>,
    changed: bool,
    definitions: Definitions,
    /// Kinds that the API server does not have.
    absent: BTreeSet<Kind>,
    /// Our name on objects that we keep.
    controller: String,
}

/// How far the list of a kind has come.
#[derive(Debug, Default)]
struct Listing {
    /// It has been complete once.
    complete: bool,
    /// What the list that is coming in has brought so far.
    seen: Option<BTreeSet<ObjectKey>>,
}

impl Mirror {
    /// Empty; what `controller` wrote for Ingresses is not read back.
    pub(super) fn new(controller: &str) -> Self {
        Self {
            controller: controller.to_owned(),
            ..Self::default()
        }
    }

    /// The object is read whether another refers to it or not.
    pub(super) fn want(&mut self, object: ObjectRef) {
        self.held.hold(object);
    }

    /// What others may know of it.
    pub(super) fn observed(&self) -> Observed {
        self.observed.clone()
    }

    /// The kind is watched from now on: nothing is complete without its list.
    pub(super) fn serve(&mut self, kind: Kind, version: &str) {
        self.observed.served(kind, version);
        self.kinds.entry(kind).or_default();
    }

    /// The API server has the kind no more, and so none of its objects.
    pub(super) fn forget(&mut self, kind: Kind) {
        self.kinds.remove(&kind);
        self.remove_but(kind, &BTreeSet::new());
    }

    /// These are the kinds that the API server has now, and the definitions of the Gateway API among them.
    pub(super) fn define(&mut self, served: &BTreeSet<Kind>, definitions: Definitions) {
        let all = Kind::ALL.iter().copied();
        let absent = all.filter(|kind| !served.contains(kind)).collect();
        self.changed |= self.definitions != definitions || self.absent != absent;
        (self.definitions, self.absent) = (definitions, absent);
    }

    /// Whether every kind has been listed, and what they refer to read.
    pub(super) fn is_complete(&self) -> bool {
        !self.kinds.is_empty() && self.kinds.values().all(|listing| listing.complete)
    }

    /// Whether Secrets that objects refer to are still to come.
    pub(super) fn is_waiting(&self) -> bool {
        self.held.is_waiting()
    }

    /// Secrets to read, and ones that are let go.
    pub(super) fn orders(&mut self) -> Vec<(ObjectRef, Box<str>)> {
        let mut fetches = Vec::new();
        for order in self.held.orders() {
            match order {
                Order::Fetch(object, version) => fetches.push((object, version)),
                Order::Drop(object) => self.changed |= self.resources.remove(&object).is_some(),
            }
        }
        fetches
    }

    /// Takes up what a watch says.
    pub(super) fn event(&mut self, kind: Kind, event: Event<DynamicObject>) {
        match event {
            Event::Init => self.listing(kind).seen = Some(BTreeSet::new()),
            Event::InitApply(object) => {
                let key = ObjectKey::of(&object);
                if let Some(seen) = &mut self.listing(kind).seen {
                    seen.insert(key);
                }
                self.apply(kind, object);
            }
            Event::Apply(object) => self.apply(kind, object),
            Event::Delete(object) => self.remove(&ObjectRef::new(kind, ObjectKey::of(&object))),
            Event::InitDone => {
                let listing = self.listing(kind);
                self.changed |= !std::mem::replace(&mut listing.complete, true);
                if let Some(seen) = self.listing(kind).seen.take() {
                    self.remove_but(kind, &seen);
                }
            }
        }
    }

    /// An object that was asked for is there; `None`: it is not.
    pub(super) fn fetched(
        &mut self,
        reference: ObjectRef,
        version: &str,
        object: Option<DynamicObject>,
    ) {
        if !self.held.fetched(&reference, version) {
            return;
        }
        match object {
            Some(mut object) => {
                strip(&mut object.metadata);
                self.take(&reference, object);
            }
            None => self.changed |= self.resources.remove(&reference).is_some(),
        }
    }

    /// An object that was asked for could not be read.
    pub(super) fn failed(&mut self, reference: ObjectRef, version: &str) {
        self.held.failed(reference, version);
    }

    /// Everything, if anything is new.
    pub(super) fn update(&mut self) -> Option<Update> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        Some(Update {
            resources: Arc::new(self.resources.clone()),
            problems: lacking(&self.absent).chain(self.problems()).collect(),
            absent: self.absent.clone(),
            definitions: self.definitions.clone(),
            ..Update::default()
        })
    }

    /// Everything as it was read once. That a kind is not there is no problem where nothing is to be written.
    pub(super) fn whole(self) -> Update {
        Update {
            problems: self.problems().collect(),
            kept: { self.observed.written().into_iter() }
                .filter_map(|(object, seen)| seen.written.is_some().then_some(object))
                .collect(),
            resources: Arc::new(self.resources),
            absent: self.absent,
            ..Update::default()
        }
    }

    fn problems(&self) -> impl Iterator<Item = Problem> {
        let problem = |(object, message): (&ObjectRef, &String)| {
            Problem::new(Path::new(&object.to_string()), None, message.as_str())
        };
        self.problems.iter().map(problem)
    }

    /// The objects of a kind that something refers to, there or not.
    pub(super) fn wanted(&self, kind: Kind) -> Vec<ObjectRef> {
        self.held.wanted(kind)
    }

    /// Takes in a Secret or ConfigMap that was read without an order.
    pub(super) fn hold(&mut self, kind: Kind, mut object: DynamicObject) {
        let reference = ObjectRef::new(kind, ObjectKey::of(&object));
        strip(&mut object.metadata);
        self.take(&reference, object);
    }

    fn listing(&mut self, kind: Kind) -> &mut Listing {
        self.kinds.entry(kind).or_default()
    }

    fn apply(&mut self, kind: Kind, mut object: DynamicObject) {
        let reference = ObjectRef::new(kind, ObjectKey::of(&object));
        if matches!(kind, Kind::Secret | Kind::ConfigMap) {
            let version = object.metadata.resource_version.as_deref();
            self.held
                .version(reference, Some(version.unwrap_or_default()));
            return;
        }
        let edited = is_edited(object.metadata.managed_fields.as_deref());
        let mut seen = Seen {
            uid: object.metadata.uid.clone().unwrap_or_default(),
            version: object.metadata.resource_version.clone().unwrap_or_default(),
            generation: object.metadata.generation.unwrap_or_default(),
            ..Seen::default()
        };
        if kind == Kind::Ingress {
            seen.placed = is_placed(object.metadata.managed_fields.as_deref());
            let annotations = object.metadata.annotations.as_mut();
            let published = annotations.and_then(|all| all.remove(annotation::PUBLISHED));
            seen.published = published.map(Into::into);
        }
        strip(&mut object.metadata);
        if has_status(kind) {
            let fields = object.data.as_object_mut();
            let status = fields.and_then(|fields| fields.remove("status"));
            seen.status = status.map_or_else(Box::default, |status| status.to_string().into());
        } else if kind == Kind::XBackend
            && let Some(fields) = object.data.as_object_mut()
        {
            // It is written by others, and would be news each time.
            fields.remove("status");
        }
        let told = has_status(kind) || is_known(&object.metadata, &self.controller);
        if is_written(&object.metadata, &self.controller) {
            if let Ok(Reading { object, .. }) = typed(kind, object) {
                seen.written = Some(Written { object, edited });
            }
            // What an Ingress becomes is made here too, and that is what is served.
            self.changed |= self.resources.remove(&reference).is_some();
        } else {
            seen.released = released(&object.metadata, &self.controller);
            self.take(&reference, object);
        }
        self.observed.set(&reference, told.then_some(seen));
    }

    /// Takes an object in, unless it is what it was.
    fn take(&mut self, reference: &ObjectRef, mut object: DynamicObject) {
        let annotations = object.metadata.annotations.as_mut();
        let service = annotations.filter(|_| reference.kind == Kind::Service);
        let ignored = service.is_some_and(|all| all.remove(annotation::ENDPOINTS).is_some());
        match typed(reference.kind, object) {
            Ok(reading) => {
                let grant = unknown_in_grant(&reading);
                self.tell(
                    reference,
                    grant.or(ignored.then(|| NO_ENDPOINTS.to_owned())),
                );
                let same = self.resources.get(reference).as_ref() == Some(&reading.object)
                    && self.resources.beyond(reference) == reading.beyond.as_deref();
                if !same {
                    self.held.refers(reference, references(&reading.object));
                    // What translation remembers of an object it knows by its address, which is another one now.
                    self.resources.insert_reading(reading);
                    self.changed = true;
                }
            }
            Err(error) => {
                let message = format!(
                    "cannot be read: {error}; its last good state counts, if there was one"
                );
                self.tell(reference, Some(message));
            }
        }
    }

    /// What is wrong with an object, if anything.
    fn tell(&mut self, reference: &ObjectRef, problem: Option<String>) {
        if self.problems.get(reference) == problem.as_ref() {
            return;
        }
        self.changed = true;
        match problem {
            Some(problem) => drop(self.problems.insert(reference.clone(), problem)),
            None => drop(self.problems.remove(reference)),
        }
    }

    fn remove(&mut self, reference: &ObjectRef) {
        if matches!(reference.kind, Kind::Secret | Kind::ConfigMap) {
            self.held.version(reference.clone(), None);
            return;
        }
        self.held.refers(reference, Vec::new());
        self.observed.set(reference, None);
        let problem = self.problems.remove(reference).is_some();
        self.changed |= self.resources.remove(reference).is_some() || problem;
    }

    fn remove_but(&mut self, kind: Kind, seen: &BTreeSet<ObjectKey>) {
        let known: BTreeSet<_> = match kind {
            Kind::Secret | Kind::ConfigMap => self.held.known(kind),
            _ => self
                .observed
                .known(kind)
                .into_iter()
                .chain(self.resources.keys(kind))
                .collect(),
        };
        for key in known.into_iter().filter(|key| !seen.contains(key)) {
            self.remove(&ObjectRef::new(kind, key));
        }
    }
}

/// What is not there, by group, and what to do about it.
fn lacking(absent: &BTreeSet<Kind>) -> impl Iterator<Item = Problem> {
    let what = |group: &str| match group {
        GATEWAY_GROUP => {
            "install the definitions of the Gateway API; without a Gateway nothing is served, and no route without its kind"
        }
        _ => "install postern-crds; what Ingresses become of these is served, and not written",
    };
    let problem = move |group: &&str| {
        let kinds = absent.iter().filter(|kind| kind.group() == *group);
        let kinds: Vec<_> = kinds.map(|kind| kind.as_str()).collect();
        let message = format!("the API server lacks {}: {}", kinds.join(", "), what(group));
        (!kinds.is_empty()).then(|| Problem::new(Path::new(group), None, message))
    };
    let problems: Vec<_> = [GATEWAY_GROUP, GROUP].iter().filter_map(problem).collect();
    problems.into_iter()
}

/// Whether we wrote the object once. One that has become someone's own stays known by that: before the next state that
/// is served has it, its name would else be taken for free.
fn is_known(metadata: &ObjectMeta, controller: &str) -> bool {
    let annotations = metadata.annotations.as_ref();
    let ours = annotations.and_then(|all| all.get(annotation::CONTROLLER));
    ours.is_some_and(|ours| ours == controller)
}

/// Whether we wrote the object for an Ingress. Another installation may have written others.
fn is_written(metadata: &ObjectMeta, controller: &str) -> bool {
    let labels = metadata.labels.as_ref();
    labels.is_some_and(|labels| labels.contains_key(annotation::TRANSLATED))
        && is_known(metadata, controller)
}

/// Of an object that we wrote for an Ingress once: its other owners, if it hangs on the Ingress still.
fn released(metadata: &ObjectMeta, controller: &str) -> Option<Box<[OwnerReference]>> {
    let annotations = metadata.annotations.as_ref()?;
    let once_ours = annotations.get(annotation::CONTROLLER)? == controller
        && annotations.contains_key(annotation::ORIGIN);
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    let (ingresses, others): (Vec<_>, Vec<_>) = owners
        .iter()
        .cloned()
        .partition(|owner| owner.kind == Kind::Ingress.as_str());
    (once_ours && !ingresses.is_empty()).then(|| others.into())
}

/// Whether anybody but us has set a field of the spec.
fn is_edited(managers: Option<&[ManagedFieldsEntry]>) -> bool {
    let foreign = |entry: &&ManagedFieldsEntry| {
        entry.manager.as_deref() != Some(super::MANAGER) && entry.subresource.is_none()
    };
    let spec = |entry: &ManagedFieldsEntry| {
        let fields = entry.fields_v1.as_ref();
        fields.is_some_and(|fields| fields.0.get("f:spec").is_some())
    };
    managers
        .unwrap_or_default()
        .iter()
        .filter(foreign)
        .any(spec)
}

/// Whether we were the last to write the addresses in an Ingress' status: the list is one field, and who changes it has
/// it.
fn is_placed(managers: Option<&[ManagedFieldsEntry]>) -> bool {
    let list = |entry: &ManagedFieldsEntry| {
        let fields = entry.fields_v1.as_ref();
        fields.is_some_and(|fields| {
            fields.0["f:status"]["f:loadBalancer"]
                .get("f:ingress")
                .is_some()
        })
    };
    let ours = |entry: &&ManagedFieldsEntry| {
        entry.manager.as_deref() == Some(super::MANAGER)
            && entry.subresource.as_deref() == Some("status")
    };
    managers.unwrap_or_default().iter().filter(ours).any(list)
}

/// Takes off what changes with every write, and what nobody reads.
fn strip(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
    metadata.resource_version = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(LAST_APPLIED);
        if annotations.is_empty() {
            metadata.annotations = None;
        }
    }
}

/// What is to be said of a ReferenceGrant with fields that are not known: it has no conditions to say it in.
fn unknown_in_grant(reading: &Reading) -> Option<String> {
    let beyond = reading.beyond.as_deref();
    let beyond = beyond.filter(|_| matches!(reading.object, Object::ReferenceGrant(_)))?;
    let field = beyond.unknown().first()?;
    Some(format!(
        "{field} is not known here, so that the grant permits nothing"
    ))
}

/// The object as its own type, and what it says beyond that.
fn typed(kind: Kind, object: DynamicObject) -> serde_json::Result<Reading> {
    let mut value = object.data;
    if !value.is_object() {
        value = serde_json::json!({});
    }
    value["apiVersion"] = kind.api_version().into();
    value["kind"] = kind.as_str().into();
    value["metadata"] = serde_json::to_value(object.metadata)?;
    Object::read(kind, value)
}

#[cfg(test)]
#[path = "mirror_tests.rs"]
mod tests;
