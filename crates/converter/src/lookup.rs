//! What the reading of one Ingress may read of other objects, and what it did read.

use std::{cell::RefCell, sync::Arc};

use api::{Kind, McpBridge, ObjectKey, Resources, Store, certificate};
use foldhash::HashMap;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};

use crate::{default_certificate::DefaultCertificate, tls::Found};

/// All objects. Every answer is noted: what came of an Ingress holds for as long as the answers stay the same.
///
/// **Invariant:** whoever makes something of an Ingress that is kept asks here, never [`Resources`] itself.
pub(crate) struct Lookup<'a> {
    pub(crate) resources: &'a Resources,
    /// What listeners show for hosts without a certificate of their own.
    pub(crate) default_certificate: DefaultCertificate,
    noted: RefCell<Vec<Read>>,
    /// Secrets that were read as certificates: many Ingresses may name the same.
    certificates: RefCell<HashMap<ObjectKey, Found>>,
}

/// A question and its answer.
#[derive(Debug)]
pub(crate) enum Read {
    Service(ObjectKey, Option<Arc<Service>>),
    Secret(ObjectKey, Option<Arc<Secret>>),
    ConfigMap(ObjectKey, Option<Arc<ConfigMap>>),
    /// Those in which names of registries are looked up.
    Bridges(Vec<Arc<McpBridge>>),
    /// A kind of a namespace, the Service, and whether a ReferenceGrant lets the one refer to the other.
    Permit((Kind, String), ObjectKey, bool),
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(resources: &'a Resources, default: DefaultCertificate) -> Self {
        Self {
            resources,
            default_certificate: default,
            noted: RefCell::new(Vec::new()),
            certificates: RefCell::default(),
        }
    }

    /// What was asked since the last call.
    pub(crate) fn take_reads(&self) -> Vec<Read> {
        self.noted.take()
    }

    /// Whether the same question would get the same answer.
    pub(crate) fn still(&self, read: &Read) -> bool {
        fn same<T>(store: &Store<T>, key: &ObjectKey, then: Option<&Arc<T>>) -> bool {
            match (store.get(key), then) {
                (Some(now), Some(then)) => Arc::ptr_eq(now, then),
                (None, None) => true,
                _ => false,
            }
        }
        match read {
            Read::Service(key, then) => same(&self.resources.services, key, then.as_ref()),
            Read::Secret(key, then) => same(&self.resources.secrets, key, then.as_ref()),
            Read::ConfigMap(key, then) => same(&self.resources.config_maps, key, then.as_ref()),
            Read::Bridges(then) => {
                let now = bridges(self.resources);
                let same = |(now, then)| Arc::ptr_eq(now, then);
                now.len() == then.len() && now.iter().zip(then).all(same)
            }
            Read::Permit((kind, home), to, then) => self.granted(*kind, home, to) == *then,
        }
    }

    pub(crate) fn service(&self, key: &ObjectKey) -> Option<&'a Service> {
        let found = self.resources.services.get(key);
        self.note(Read::Service(key.clone(), found.cloned()));
        found.map(|found| &**found)
    }

    pub(crate) fn config_map(&self, key: &ObjectKey) -> Option<&'a ConfigMap> {
        let found = self.resources.config_maps.get(key);
        self.note(Read::ConfigMap(key.clone(), found.cloned()));
        found.map(|found| &**found)
    }

    pub(crate) fn secret(&self, key: &ObjectKey) -> Option<&'a Secret> {
        let found = self.resources.secrets.get(key);
        self.note(Read::Secret(key.clone(), found.cloned()));
        found.map(|found| &**found)
    }

    /// The McpBridges in which names of registries are looked up: one, unless it is unclear which.
    pub(crate) fn bridges(&self) -> Vec<Arc<McpBridge>> {
        let found = bridges(self.resources);
        self.note(Read::Bridges(found.clone()));
        found
    }

    /// The certificate of a Secret.
    pub(crate) fn certificate(&self, key: &ObjectKey) -> Found {
        let secret = self.resources.secrets.get(key);
        self.note(Read::Secret(key.clone(), secret.cloned()));
        let mut known = self.certificates.borrow_mut();
        let found = known.entry(key.clone()).or_insert_with(|| match secret {
            None => Found::Missing,
            Some(secret) => match certificate::subject(key, secret) {
                Ok(subject) => Found::Good(Arc::new(subject)),
                Err(error) => Found::Unusable(error.to_string().into()),
            },
        });
        found.clone()
    }

    /// Whether a ReferenceGrant lets objects of `kind` in namespace `home` refer to a Service.
    pub(crate) fn permits(&self, kind: Kind, home: &str, to: &ObjectKey) -> bool {
        let answer = self.granted(kind, home, to);
        self.note(Read::Permit((kind, home.to_owned()), to.clone(), answer));
        answer
    }

    fn granted(&self, kind: Kind, home: &str, to: &ObjectKey) -> bool {
        let grants = self.resources.reference_grants.iter();
        let mut grants = grants.filter(|(key, _)| key.namespace == to.namespace);
        grants.any(|(_, grant)| {
            let from = grant.spec.from.iter().any(|from| {
                from.group == kind.group() && from.kind == kind.as_str() && from.namespace == home
            });
            let name = |name: Option<&str>| name.is_none_or(|name| *name == *to.name);
            let mut targets = grant.spec.to.iter();
            from && targets.any(|target| {
                target.group.is_empty()
                    && target.kind == Kind::Service.as_str()
                    && name(target.name.as_deref())
            })
        })
    }

    fn note(&self, read: Read) {
        self.noted.borrow_mut().push(read);
    }
}

/// Higress reads the one of its own namespace. Where that is not the usual one, it is the only one of that name.
fn bridges(resources: &Resources) -> Vec<Arc<McpBridge>> {
    let usual = ObjectKey::new(McpBridge::NAMESPACE, McpBridge::NAME);
    if let Some(bridge) = resources.mcp_bridges.get(&usual) {
        return vec![Arc::clone(bridge)];
    }
    let all = resources.mcp_bridges.iter();
    let named = all.filter(|(key, _)| *key.name == *McpBridge::NAME);
    named.map(|(_, bridge)| Arc::clone(bridge)).collect()
}
