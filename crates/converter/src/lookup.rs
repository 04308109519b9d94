//! What the reading of one Ingress may read of other objects.

use std::{cell::RefCell, sync::Arc};

use api::{Kind, McpBridge, ObjectKey, ObjectRef, Resources, Stored, certificate};
use foldhash::HashMap;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use tracked::{Access, View};

use crate::{default_certificate::DefaultCertificate, tls::Found};

/// All objects. Every read is noted by the [`View`], which is the only way to them.
pub(crate) struct Lookup<'a> {
    view: View<'a>,
    /// What listeners show for hosts without a certificate of their own.
    pub(crate) default_certificate: DefaultCertificate,
    /// Secrets that were read as certificates: many Ingresses may name the same.
    certificates: RefCell<HashMap<ObjectKey, Found>>,
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(resources: &'a Resources, default: DefaultCertificate) -> Self {
        Self {
            view: View::new(resources),
            default_certificate: default,
            certificates: RefCell::default(),
        }
    }

    /// The objects, for what is kept.
    pub(crate) const fn view(&self) -> &View<'a> {
        &self.view
    }

    /// The object of that type and name.
    pub(crate) fn get<T: Stored>(&self, key: &ObjectKey) -> Option<&'a Arc<T>> {
        self.view.get(key)
    }

    pub(crate) fn service(&self, key: &ObjectKey) -> Option<&'a Service> {
        self.view.get(key).map(|found| &**found)
    }

    pub(crate) fn config_map(&self, key: &ObjectKey) -> Option<&'a ConfigMap> {
        self.view.get(key).map(|found| &**found)
    }

    pub(crate) fn secret(&self, key: &ObjectKey) -> Option<&'a Secret> {
        self.view.get(key).map(|found| &**found)
    }

    /// The McpBridges in which names of registries are looked up: one, unless it is unclear which. Higress reads the
    /// one of its own namespace. Where that is not the usual one, it is the only one of that name.
    pub(crate) fn bridges(&self) -> Vec<&'a McpBridge> {
        let usual = ObjectKey::new(McpBridge::NAMESPACE, McpBridge::NAME);
        let all = self.view.all::<McpBridge>();
        if let Some(bridge) = all.get(&usual) {
            return vec![bridge];
        }
        let named = all.iter().filter(|(key, _)| *key.name == *McpBridge::NAME);
        named.map(|(_, bridge)| &**bridge).collect()
    }

    /// The certificate of a Secret.
    pub(crate) fn certificate(&self, key: &ObjectKey) -> Found {
        let secret = self.secret(key);
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
        self.view.permit(Access {
            from: kind,
            namespace: home.into(),
            to: ObjectRef::new(Kind::Service, to.clone()),
        })
    }
}
