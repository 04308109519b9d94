//! ListenerSets with what their listeners ask of clients, and the Gateway that everything hangs on.

use std::{collections::BTreeMap, sync::Arc};

use api::{
    ClientPolicy, ClientPolicySpec, ObjectKey, PolicyTarget, annotation,
    gateway::{
        Gateway, GatewayClass, ListenerSet,
        gatewayclasses::GatewayClassSpec,
        gateways::{
            GatewayAllowedListeners, GatewayAllowedListenersNamespaces,
            GatewayAllowedListenersNamespacesFrom, GatewayListeners, GatewayListenersAllowedRoutes,
            GatewayListenersAllowedRoutesNamespaces, GatewayListenersAllowedRoutesNamespacesFrom,
            GatewaySpec,
        },
        listenersets::{
            ListenerSetListeners, ListenerSetListenersAllowedRoutes,
            ListenerSetListenersAllowedRoutesNamespaces,
            ListenerSetListenersAllowedRoutesNamespacesFrom, ListenerSetListenersTls,
            ListenerSetListenersTlsCertificateRefs, ListenerSetListenersTlsMode,
            ListenerSetParentRef, ListenerSetSpec,
        },
    },
};
use k8s_openapi::{
    api::networking::v1::Ingress,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};

use super::{Emitter, generated, timestamp};
use crate::{
    Options,
    default_certificate::default_certificate,
    lookup::Lookup,
    merge::HostGroup,
    tls::{ClientTls, HostTls, Hosts, Listening, Shown, TlsOwner},
    value::{object_name, short_hash},
};

/// Gateway API's limit of listeners in a ListenerSet.
const LISTENERS: usize = 64;

/// A ListenerSet to be.
#[derive(PartialEq)]
pub(crate) struct SetPlan {
    pub(super) owner: TlsOwner,
    created: Option<Time>,
    /// Hosts with something to serve.
    listeners: Vec<(Arc<str>, Option<ClientTls>)>,
}

impl SetPlan {
    /// Whether one of its listeners is for any host.
    pub(super) fn is_for_any_host(&self) -> bool {
        self.listeners.iter().any(|(host, _)| host.is_empty())
    }
}

/// Names the ListenerSet of each host with a listener of its own; full sets are followed by another. Those with the
/// default certificate stand where `any` does: beside the certificate.
pub(crate) fn listener_sets<'h>(
    hosts: &'h Hosts,
    any: &Listening,
) -> BTreeMap<Arc<str>, Arc<ObjectKey>> {
    let mut sets: BTreeMap<&'h TlsOwner, (usize, Arc<ObjectKey>)> = BTreeMap::new();
    let key = |owner, part| Arc::new(set_key(owner, &any.set.namespace, part));
    let place = |(host, tls): (&Arc<str>, &'h HostTls)| {
        let owner = tls.owner.as_ref()?;
        let (held, set) = sets.entry(owner).or_insert_with(|| (0, key(owner, 0)));
        if *held > 0 && *held % LISTENERS == 0 {
            *set = key(owner, *held / LISTENERS);
        }
        *held += 1;
        Some((Arc::clone(host), Arc::clone(set)))
    };
    hosts.iter().filter_map(place).collect()
}

fn set_key(owner: &TlsOwner, beside_default: &str, part: usize) -> ObjectKey {
    let ingress = &owner.ingress;
    let (namespace, hash) = match &owner.shown {
        Shown::Secret(secret) => (&*ingress.namespace, short_hash(&["tls", secret])),
        Shown::Default => (
            beside_default,
            short_hash(&["default-certificate", &ingress.namespace]),
        ),
    };
    let name = object_name(&ingress.name, &hash);
    let name = match part {
        0 => name,
        part => object_name(&name, &part.to_string()),
    };
    ObjectKey::new(namespace, name)
}

/// The listener of every host that has none of its own: for any host, with the default certificate.
pub(crate) fn any_host(options: &Options) -> Listening {
    let secret = default_certificate(options);
    let name = object_name(&options.gateway.name, "default-https");
    Listening {
        set: ObjectKey::new(&secret.namespace, name),
        host: Arc::from(""),
    }
}

/// Listeners for every host with one of its own that anything is served on.
pub(crate) fn plans(
    groups: &[HostGroup],
    hosts: &Hosts,
    clients: &BTreeMap<Arc<str>, ClientTls>,
    lookup: &Lookup<'_>,
) -> BTreeMap<Arc<ObjectKey>, SetPlan> {
    let served: BTreeMap<&Arc<str>, &Arc<ObjectKey>> = groups
        .iter()
        .filter_map(|group| Some((&group.host, group.listener_set.as_ref()?)))
        .collect();
    let mut plans: BTreeMap<Arc<ObjectKey>, SetPlan> = BTreeMap::new();
    for (host, set) in served {
        let Some(owner) = hosts.get(host).and_then(|tls| tls.owner.as_ref()) else {
            continue;
        };
        let plan = plans.entry(Arc::clone(set)).or_insert_with(|| {
            let ingress = lookup.get::<Ingress>(&owner.ingress);
            let created = ingress.and_then(|i| i.metadata.creation_timestamp.as_ref());
            SetPlan {
                owner: owner.clone(),
                created: created.cloned(),
                listeners: Vec::new(),
            }
        });
        let listener = (Arc::clone(host), clients.get(host).cloned());
        plan.listeners.push(listener);
    }
    plans
}

impl Emitter<'_> {
    /// A ListenerSet, with what its listeners ask of clients.
    pub(super) fn listener_set(&mut self, key: &ObjectKey, plan: &SetPlan) {
        let owner = &plan.owner;
        for (host, clients) in &plan.listeners {
            if let Some(clients) = clients {
                self.add(client_policy(clients, key, host));
            }
        }
        let hosts = plan.listeners.iter();
        let listeners = hosts.map(|(host, _)| self.https_listener(host, &owner.shown));
        let listeners = listeners.collect();
        let origin = format!("Ingress/{}", owner.ingress);
        let mut metadata = generated(&key.namespace, &key.name, Some(origin));
        if let Some(created) = &plan.created {
            let annotations = metadata.annotations.get_or_insert_default();
            annotations.insert(annotation::CREATED.to_owned(), timestamp(created));
        }
        self.set_of(metadata, listeners);
    }

    /// The listener for every host that has none of its own.
    pub(super) fn any_host(&mut self) {
        let any = any_host(self.options);
        let listener = self.https_listener(&any.host, &Shown::Default);
        let metadata = generated(&any.set.namespace, &any.set.name, None);
        self.set_of(metadata, vec![listener]);
    }

    /// The Secret that the process made, where it is shown.
    pub(super) fn stand_in(&mut self) {
        if let Some(secret) = self.lookup.default_certificate.object() {
            self.add(secret);
        }
    }

    fn set_of(&mut self, metadata: ObjectMeta, listeners: Vec<ListenerSetListeners>) {
        let gateway = &self.options.gateway;
        self.add(ListenerSet {
            metadata,
            spec: ListenerSetSpec {
                parent_ref: ListenerSetParentRef {
                    namespace: Some(gateway.namespace.to_string()),
                    name: gateway.name.to_string(),
                    group: None,
                    kind: None,
                },
                listeners,
            },
            status: None,
        });
    }

    /// The HTTPS listener of a host.
    fn https_listener(&self, host: &str, shown: &Shown) -> ListenerSetListeners {
        let reference = |name: &str| ListenerSetListenersTlsCertificateRefs {
            name: name.to_owned(),
            ..ListenerSetListenersTlsCertificateRefs::default()
        };
        let references = match shown {
            Shown::Secret(secret) => vec![reference(secret)],
            Shown::Default => self
                .lookup
                .default_certificate
                .names()
                .map(reference)
                .collect(),
        };
        ListenerSetListeners {
            name: listener_name(host),
            port: i32::from(self.options.https_port),
            protocol: "HTTPS".to_owned(),
            hostname: (!host.is_empty()).then(|| host.to_owned()),
            tls: Some(ListenerSetListenersTls {
                mode: Some(ListenerSetListenersTlsMode::Terminate),
                certificate_refs: Some(references),
                options: None,
            }),
            allowed_routes: Some(ListenerSetListenersAllowedRoutes {
                kinds: None,
                namespaces: Some(ListenerSetListenersAllowedRoutesNamespaces {
                    from: Some(ListenerSetListenersAllowedRoutesNamespacesFrom::All),
                    selector: None,
                }),
            }),
        }
    }

    /// The class and the Gateway, unless they are there.
    pub(super) fn gateway(&mut self) {
        let class = &self.options.gateway_class;
        let class_key = ObjectKey::new("", class);
        if self.lookup.get::<GatewayClass>(&class_key).is_none() {
            self.add(GatewayClass {
                metadata: generated("", class, None),
                spec: GatewayClassSpec {
                    controller_name: self.options.controller_name.clone(),
                    ..GatewayClassSpec::default()
                },
                status: None,
            });
        }
        let key = &self.options.gateway;
        if self.lookup.get::<Gateway>(key).is_none() {
            self.add(Gateway {
                metadata: generated(&key.namespace, &key.name, None),
                spec: GatewaySpec {
                    gateway_class_name: class.clone(),
                    listeners: vec![http_listener(self.options.http_port)],
                    allowed_listeners: Some(GatewayAllowedListeners {
                        namespaces: Some(GatewayAllowedListenersNamespaces {
                            from: Some(GatewayAllowedListenersNamespacesFrom::All),
                            selector: None,
                        }),
                    }),
                    ..GatewaySpec::default()
                },
                status: None,
            });
        }
    }
}

fn http_listener(port: u16) -> GatewayListeners {
    GatewayListeners {
        name: "http".to_owned(),
        port: i32::from(port),
        protocol: "HTTP".to_owned(),
        allowed_routes: Some(GatewayListenersAllowedRoutes {
            kinds: None,
            namespaces: Some(GatewayListenersAllowedRoutesNamespaces {
                from: Some(GatewayListenersAllowedRoutesNamespacesFrom::All),
                selector: None,
            }),
        }),
        hostname: None,
        tls: None,
    }
}

/// What a host's HTTPS listener asks of clients. It stands in the namespace of the listener, whoever asks for it.
fn client_policy(clients: &ClientTls, set: &ObjectKey, host: &str) -> ClientPolicy {
    let name = object_name(&set.name, &short_hash(&["clients", host]));
    ClientPolicy {
        metadata: generated(&set.namespace, &name, Some(clients.origin.clone())),
        spec: ClientPolicySpec {
            target_refs: vec![PolicyTarget {
                group: api::GATEWAY_GROUP.to_owned(),
                kind: "ListenerSet".to_owned(),
                name: set.name.to_string(),
                section_name: Some(listener_name(host)),
            }],
            tls: Some(clients.tls.clone()),
            ..ClientPolicySpec::default()
        },
        status: None,
    }
}

pub(super) fn listener_name(host: &str) -> String {
    format!("https-{}", short_hash(&[host]))
}
