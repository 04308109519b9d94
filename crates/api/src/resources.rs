//! All objects by kind.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use k8s_openapi::{
    api::{
        certificates::v1beta1::ClusterTrustBundle,
        core::v1::{ConfigMap, Namespace, Secret, Service},
        discovery::v1::EndpointSlice,
        networking::v1::{Ingress, IngressClass},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::Resource;

use crate::{
    BackendPolicy, Beyond, ClientPolicy, Kind, McpBridge, ObjectKey, ObjectRef, Reading,
    RouteFilter, RoutePolicy, annotation, beyond,
    gateway::{
        BackendTlsPolicy, Gateway, GatewayClass, GrpcRoute, HttpRoute, ListenerSet, ReferenceGrant,
        TcpRoute, TlsRoute, UdpRoute, XBackend,
    },
    unknown::Unknown,
    yaml::Tolerant,
};

/// The objects of one kind. Objects are shared, never copied.
pub type Store<T> = BTreeMap<ObjectKey, Arc<T>>;

/// A kind of object by its type.
pub trait Stored: Resource<DynamicType = ()> + Sized + 'static {
    /// The kind.
    const KIND: Kind;

    /// All objects of the kind.
    fn store(resources: &Resources) -> &Store<Self>;

    /// The object, if it is of the kind.
    fn of(object: &Object) -> Option<&Arc<Self>>;
}

macro_rules! resources {
    ($($(#[$doc:meta])* $field:ident: $type:ident),* $(,)?) => {
        /// All objects that a pure step may read, by kind.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct Resources {
            $($(#[$doc])* pub $field: Store<$type>,)*
            /// What some of them say beyond their types.
            pub beyond: BTreeMap<ObjectRef, Arc<Beyond>>,
        }

        /// One object of any kind we know.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Object {
            $($(#[$doc])* $type(Arc<$type>)),*
        }

        $(impl Stored for $type {
            const KIND: Kind = Kind::$type;

            fn store(resources: &Resources) -> &Store<Self> {
                &resources.$field
            }

            fn of(object: &Object) -> Option<&Arc<Self>> {
                match object {
                    Object::$type(object) => Some(object),
                    _ => None,
                }
            }
        })*

        $(impl From<$type> for Object {
            fn from(object: $type) -> Self {
                Self::$type(Arc::new(object))
            }
        })*

        impl Object {
            /// Kind, namespace and name.
            #[must_use]
            pub fn reference(&self) -> ObjectRef {
                match self { $(Self::$type(object) => ObjectRef::new(Kind::$type, ObjectKey::of(&**object))),* }
            }

            /// Whether both are one object, not only alike.
            #[must_use]
            pub fn is_same(&self, other: &Self) -> bool {
                match (self, other) {
                    $((Self::$type(one), Self::$type(other)) => Arc::ptr_eq(one, other),)*
                    _ => false,
                }
            }

            /// Name, labels, annotations.
            #[must_use]
            pub fn metadata(&self) -> &ObjectMeta {
                match self { $(Self::$type(object) => object.meta()),* }
            }

            /// Likewise, to be changed; what others share stays as it is.
            pub(crate) fn metadata_mut(&mut self) -> &mut ObjectMeta {
                match self { $(Self::$type(object) => Arc::make_mut(object).meta_mut()),* }
            }

            /// The object with its `apiVersion` and `kind`.
            ///
            /// # Errors
            /// None that its own types do not rule out.
            pub fn to_json(&self) -> Result<serde_json::Value, serde_json::Error> {
                match self { $(Self::$type(object) => serde_json::to_value(&**object)),* }
            }

            /// Fields that the kind does not have go to `unknown`.
            pub(crate) fn from_value(
                kind: Kind,
                value: serde_json::Value,
                unknown: &mut Unknown,
            ) -> Result<Self, serde_json::Error> {
                let value = Tolerant { kind, object: value };
                match kind { $(Kind::$type => unknown.reading::<$type, _>(value).map(Self::from)),* }
            }

            /// An object of a kind from JSON that an API server has checked; fields that are not known here are passed
            /// over.
            ///
            /// # Errors
            /// It does not fit the kind.
            pub fn from_json(kind: Kind, value: serde_json::Value) -> Result<Self, serde_json::Error> {
                match kind { $(Kind::$type => serde_json::from_value::<$type>(value).map(Self::from)),* }
            }

            /// Likewise, with what the object says beyond its type, for [kinds](Kind::keeps_unknown) of which that is
            /// kept.
            ///
            /// # Errors
            /// It does not fit the kind.
            pub fn read(kind: Kind, value: serde_json::Value) -> Result<Reading, serde_json::Error> {
                if !kind.keeps_unknown() {
                    let object = Self::from_json(kind, value)?;
                    return Ok(Reading { object, beyond: None });
                }
                match kind { $(Kind::$type => {
                    let (object, beyond) = beyond::read::<$type>(kind, value)?;
                    Ok(Reading { object: Self::from(object), beyond: beyond.map(Arc::new) })
                }),* }
            }

            /// Likewise.
            pub(crate) fn from_yaml(
                kind: Kind,
                text: &str,
                options: serde_saphyr::Options,
                unknown: &mut Unknown,
            ) -> Result<Self, serde_saphyr::Error> {
                serde_saphyr::with_deserializer_from_str_with_options(text, options, |text| {
                    let text = Tolerant { kind, object: text };
                    match kind { $(Kind::$type => unknown.reading::<$type, _>(text).map(Self::from)),* }
                })
            }
        }

        impl Resources {
            /// Adds an object, or replaces the one of the same kind and name.
            pub fn insert(&mut self, object: Object) -> Option<Object> {
                self.set_beyond(object.reference(), None);
                match object { $(Object::$type(object) =>
                    self.$field.insert(ObjectKey::of(&*object), object).map(Object::$type)),* }
            }

            /// Takes an object out.
            pub fn remove(&mut self, reference: &ObjectRef) -> Option<Object> {
                self.beyond.remove(reference);
                match reference.kind { $(Kind::$type => self.$field.remove(&reference.key).map(Object::$type)),* }
            }

            /// The object of that kind and name.
            #[must_use]
            pub fn get(&self, reference: &ObjectRef) -> Option<Object> {
                match reference.kind { $(Kind::$type => self.$field.get(&reference.key).cloned().map(Object::$type)),* }
            }

            /// Both together, as [`Self::join`] has it, and the names that are in both.
            #[must_use]
            pub fn joined(own: &Self, generated: &Self) -> (Self, Vec<ObjectRef>) {
                let mut clashes = Vec::new();
                $(let $field = {
                    let clash = |key: &ObjectKey| {
                        clashes.push(ObjectRef::new(Kind::$type, key.clone()));
                    };
                    let wanted = both(&own.$field, &generated.$field, clash);
                    wanted.map(|(key, object)| (key.clone(), Arc::clone(object))).collect()
                };)*
                let mut joined = Self { $($field,)* beyond: BTreeMap::new() };
                joined.beyond = joined.beyond_of(own);
                (joined, clashes)
            }

            /// Becomes both together: an object that somebody wrote by hand counts before a generated one of the same
            /// name. What is the same `Arc` already is not touched, so that cost follows the change.
            pub fn join(&mut self, own: &Self, generated: &Self) -> Joined {
                let mut joined = Joined::default();
                $({
                    let clash = |key: &ObjectKey| {
                        joined.clashes.push(ObjectRef::new(Kind::$type, key.clone()));
                    };
                    let wanted = both(&own.$field, &generated.$field, clash);
                    for (key, before, now) in adopt(&mut self.$field, wanted) {
                        joined.changes.push(Change {
                            reference: ObjectRef::new(Kind::$type, key),
                            before: before.map(Object::$type),
                            now: now.map(Object::$type),
                        });
                    }
                })*
                self.beyond = self.beyond_of(own);
                joined
            }

            /// The names of all objects of a kind.
            #[must_use]
            pub fn keys(&self, kind: Kind) -> Vec<ObjectKey> {
                match kind { $(Kind::$type => self.$field.keys().cloned().collect()),* }
            }

            /// Every object, in the order of the fields, by name within a kind.
            pub fn iter(&self) -> impl Iterator<Item = Object> + '_ {
                let objects = std::iter::empty();
                $(let objects = objects.chain(self.$field.values().cloned().map(Object::$type));)*
                objects
            }
        }
    };
}

resources! {
    /// Ingress.
    ingresses: Ingress,
    /// IngressClass.
    ingress_classes: IngressClass,
    /// Higress' McpBridge.
    mcp_bridges: McpBridge,
    /// GatewayClass.
    gateway_classes: GatewayClass,
    /// Gateway.
    gateways: Gateway,
    /// ListenerSet.
    listener_sets: ListenerSet,
    /// HTTPRoute.
    http_routes: HttpRoute,
    /// GRPCRoute.
    grpc_routes: GrpcRoute,
    /// TLSRoute.
    tls_routes: TlsRoute,
    /// TCPRoute.
    tcp_routes: TcpRoute,
    /// UDPRoute.
    udp_routes: UdpRoute,
    /// BackendTLSPolicy.
    backend_tls_policies: BackendTlsPolicy,
    /// XBackend.
    x_backends: XBackend,
    /// ReferenceGrant.
    reference_grants: ReferenceGrant,
    /// RouteFilter.
    route_filters: RouteFilter,
    /// RoutePolicy.
    route_policies: RoutePolicy,
    /// BackendPolicy.
    backend_policies: BackendPolicy,
    /// ClientPolicy.
    client_policies: ClientPolicy,
    /// Service.
    services: Service,
    /// EndpointSlice.
    endpoint_slices: EndpointSlice,
    /// Secret.
    secrets: Secret,
    /// ConfigMap.
    config_maps: ConfigMap,
    /// ClusterTrustBundle.
    cluster_trust_bundles: ClusterTrustBundle,
    /// Namespace.
    namespaces: Namespace,
}

/// What joining has brought.
#[derive(Debug, Clone, Default)]
pub struct Joined {
    /// What is not what it was.
    pub changes: Vec<Change>,
    /// The names that are in both, and whose generated object does not count.
    pub clashes: Vec<ObjectRef>,
}

/// What happened to an object.
#[derive(Debug, Clone)]
pub struct Change {
    /// Which object.
    pub reference: ObjectRef,
    /// What it was; `None`: it is new.
    pub before: Option<Object>,
    /// What it is; `None`: it is gone.
    pub now: Option<Object>,
}

/// The objects of one kind, of two sources: by name, which one counts.
fn both<'a, T: Resource<DynamicType = ()>>(
    own: &'a Store<T>,
    generated: &'a Store<T>,
    mut clash: impl FnMut(&ObjectKey),
) -> impl Iterator<Item = (&'a ObjectKey, &'a Arc<T>)> {
    let (mut own, mut generated) = (own.iter().peekable(), generated.iter().peekable());
    std::iter::from_fn(move || match (own.peek(), generated.peek()) {
        (Some((ours, object)), Some((theirs, _))) => match ours.cmp(theirs) {
            Ordering::Less => own.next(),
            Ordering::Greater => generated.next(),
            Ordering::Equal if is_managed(object.meta()) => {
                own.next();
                generated.next()
            }
            Ordering::Equal => {
                clash(ours);
                generated.next();
                own.next()
            }
        },
        (Some(_), None) => own.next(),
        (None, _) => generated.next(),
    })
}

/// A name, what it meant before, and what it means now.
type Adopted<T> = (ObjectKey, Option<Arc<T>>, Option<Arc<T>>);

/// Makes `all` what is wanted; gives what was another.
fn adopt<'a, T: 'a>(
    all: &mut Store<T>,
    wanted: impl Iterator<Item = (&'a ObjectKey, &'a Arc<T>)>,
) -> Vec<Adopted<T>> {
    let mut changes: Vec<Adopted<T>> = Vec::new();
    let gone = |(key, object): (&ObjectKey, &Arc<T>)| (key.clone(), Some(Arc::clone(object)), None);
    let mut known = all.iter().peekable();
    for (key, object) in wanted {
        if known
            .next_if(|(_, known)| Arc::ptr_eq(known, object))
            .is_some()
        {
            continue;
        }
        while let Some(before) = known.next_if(|(known, _)| *known < key) {
            changes.push(gone(before));
        }
        match known.next_if(|(known, _)| *known == key) {
            Some((_, before)) if Arc::ptr_eq(before, object) => {}
            before => {
                let before = before.map(|(_, before)| Arc::clone(before));
                changes.push((key.clone(), before, Some(Arc::clone(object))));
            }
        }
    }
    changes.extend(known.map(gone));
    for (key, _, now) in &changes {
        match now {
            Some(object) => drop(all.insert(key.clone(), Arc::clone(object))),
            None => drop(all.remove(key)),
        }
    }
    changes
}

fn is_managed(metadata: &ObjectMeta) -> bool {
    let labels = metadata.labels.as_ref();
    labels
        .and_then(|labels| labels.get(annotation::MANAGED_BY))
        .is_some_and(|value| value == annotation::MANAGED_BY_VALUE)
}

impl Object {
    /// What Postern made the object from, as `Ingress/namespace/name` ([`annotation::ORIGIN`]).
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        let annotations = self.metadata().annotations.as_ref()?;
        annotations.get(annotation::ORIGIN).map(String::as_str)
    }

    /// Whether Postern made the object ([`annotation::MANAGED_BY`]).
    #[must_use]
    pub fn is_managed(&self) -> bool {
        is_managed(self.metadata())
    }
}

impl Resources {
    /// Adds every object of `other`, replacing those of the same name.
    pub fn extend(&mut self, other: Self) {
        for object in other.iter() {
            self.insert(object);
        }
        self.beyond.extend(other.beyond);
    }

    /// Adds an object with what it says beyond its type, or replaces the one of the same kind and name.
    pub fn insert_reading(&mut self, reading: Reading) -> Option<Object> {
        let reference = reading.object.reference();
        let before = self.insert(reading.object);
        self.set_beyond(reference, reading.beyond);
        before
    }

    /// What an object says beyond its type, if anything.
    #[must_use]
    pub fn beyond(&self, reference: &ObjectRef) -> Option<&Beyond> {
        // Most say nothing, and then there is nothing to look for.
        if self.beyond.is_empty() {
            return None;
        }
        self.beyond.get(reference).map(|beyond| &**beyond)
    }

    /// The object as [`Object::to_json`] has it, with what it says beyond its type as far as that is known.
    ///
    /// # Errors
    /// None that its own types do not rule out.
    pub fn written(&self, object: &Object) -> Result<serde_json::Value, serde_json::Error> {
        let mut value = object.to_json()?;
        if let Some(beyond) = self.beyond(&object.reference()) {
            beyond.add_to(&mut value)?;
        }
        Ok(value)
    }

    fn set_beyond(&mut self, reference: ObjectRef, beyond: Option<Arc<Beyond>>) {
        match beyond {
            Some(beyond) => drop(self.beyond.insert(reference, beyond)),
            None if self.beyond.is_empty() => {}
            None => drop(self.beyond.remove(&reference)),
        }
    }

    /// What is said beyond the types by objects of `own` that are here.
    fn beyond_of(&self, own: &Self) -> BTreeMap<ObjectRef, Arc<Beyond>> {
        let beyond = own.beyond.iter().filter(|(reference, _)| {
            let both = own.get(reference).zip(self.get(reference));
            both.is_some_and(|(own, here)| own.is_same(&here))
        });
        beyond
            .map(|(reference, beyond)| (reference.clone(), Arc::clone(beyond)))
            .collect()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

#[cfg(test)]
#[path = "resources_tests.rs"]
mod tests;
