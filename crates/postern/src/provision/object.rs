//! The Service of a Gateway, and the EndpointSlices beside it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use api::{Kind, ObjectKey, ObjectRef, Resources, annotation, gateway::Gateway};
use gateway_core::Demand;
use ir::Transport;
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::{ForIngresses, Options, allocation::Ports};
use crate::{apply::hash, cli::TrafficPolicy};

/// Label that Gateway API asks for on what is made for a Gateway.
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const SLICE_MANAGER: &str = "endpointslice.kubernetes.io/managed-by";
/// Longest name of a Service, and longest value of a label.
const LABEL: usize = 63;

/// A Gateway and how it is to be reached.
pub(super) struct Reached<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) uid: &'a str,
    pub(super) ports: &'a Ports,
    pub(super) demand: &'a Demand,
    pub(super) options: &'a Options,
}

/// `name` as the value of a label.
pub(crate) fn label(name: &str) -> String {
    shortened(name, LABEL)
}

/// `name` if it is at most `longest` bytes, and its beginning with a hash of all of it otherwise.
fn shortened(name: &str, longest: usize) -> String {
    if name.len() <= longest {
        return name.to_owned();
    }
    let mut end = longest - 9;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let start = name[..end].trim_end_matches(['-', '.']);
    format!("{start}-{:08x}", hash(name.as_bytes()) & 0xffff_ffff)
}

/// Gateway API's name for what is made for a Gateway, within what a Service may be called: a letter first, no dots.
fn service_name(gateway: &str, class: &str) -> String {
    let name = format!("{gateway}-{class}");
    let plain = !name.contains('.') && name.starts_with(|c: char| c.is_ascii_lowercase());
    if plain {
        return shortened(&name, LABEL);
    }
    let changed = format!("g-{}", name.replace('.', "-"));
    let unique = format!("{:08x}", hash(name.as_bytes()) & 0xffff_ffff);
    format!("{}-{unique}", shortened(&changed, LABEL - 9))
}

impl Reached<'_> {
    fn namespace(&self) -> String {
        self.gateway.namespace().unwrap_or_default()
    }

    /// Where the Service stands.
    pub(super) fn service_key(&self) -> ObjectKey {
        let class = &self.gateway.spec.gateway_class_name;
        ObjectKey::new(
            self.namespace(),
            service_name(&self.gateway.name_any(), class),
        )
    }

    /// Whether an object belongs to the Gateway.
    pub(super) fn owns(&self, object: &impl ResourceExt) -> bool {
        object
            .owner_references()
            .iter()
            .any(|owner| owner.uid == self.uid)
    }

    /// What the installation asks for this Gateway beside what the Gateway itself does.
    fn beside(&self) -> Option<&ForIngresses> {
        let beside = &self.options.for_ingresses;
        let is_this = *beside.gateway.name == *self.gateway.name_any()
            && *beside.gateway.namespace == *self.namespace();
        is_this.then_some(beside)
    }

    /// Labels and annotations that are asked for, with ours, and the owner.
    fn metadata(&self, key: &ObjectKey) -> Value {
        let infrastructure = self.gateway.spec.infrastructure.as_ref();
        let (mut labels, mut annotations) = self
            .beside()
            .map(|beside| (beside.labels.clone(), beside.annotations.clone()))
            .unwrap_or_default();
        labels.extend(
            infrastructure
                .and_then(|i| i.labels.clone())
                .into_iter()
                .flatten(),
        );
        annotations.extend(
            infrastructure
                .and_then(|i| i.annotations.clone())
                .into_iter()
                .flatten(),
        );
        let name = self.gateway.name_any();
        let mut metadata = json!({
            "name": key.name,
            "namespace": key.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": Kind::Gateway.api_version(),
                "kind": Kind::Gateway.as_str(),
                "name": name,
                "uid": self.uid,
                "controller": true,
            }],
        });
        metadata["labels"][annotation::MANAGED_BY] = json!(annotation::MANAGED_BY_VALUE);
        metadata["annotations"][annotation::CONTROLLER] = json!(self.options.controller);
        metadata["labels"][GATEWAY_NAME] = json!(label(&name));
        metadata
    }

    /// The Service as it should be.
    pub(super) fn service(&self) -> Value {
        let ports = self.ports.iter().map(|((transport, port), target)| {
            let (name, protocol) = (port_name(*transport, *port), transport.as_str());
            json!({ "name": name, "port": port, "protocol": protocol, "targetPort": target })
        });
        let type_ = match self.demand.private {
            true => Some("ClusterIP"),
            false => self.options.service_type,
        };
        let mut spec = json!({
            "type": type_,
            "ports": ports.collect::<Vec<_>>(),
        });
        let balanced = type_ == Some("LoadBalancer");
        if let Some(address) = self.demand.addresses.first().filter(|_| balanced) {
            spec["loadBalancerIP"] = json!(address);
        }
        if let Some(address) = self.demand.inside {
            spec["clusterIP"] = json!(address);
        }
        let outside = matches!(type_, Some("LoadBalancer" | "NodePort"));
        // The other one is what the API server takes by itself, and what it falls back to.
        if outside && self.options.traffic_policy == TrafficPolicy::Local {
            spec["externalTrafficPolicy"] = json!(self.options.traffic_policy.name());
        }
        json!({
            "apiVersion": Kind::Service.api_version(),
            "kind": Kind::Service.as_str(),
            "metadata": self.metadata(&self.service_key()),
            "spec": spec,
        })
    }

    /// Our pods, as endpoints of the Service: a copy of each slice of the Service that selects them.
    pub(super) fn slices(&self, resources: &Resources) -> Vec<(ObjectRef, Value)> {
        let service = self.service_key();
        let data_plane = &self.options.data_plane;
        let ours = resources.endpoint_slices.iter().filter(|(key, slice)| {
            let of = slice.labels().get(SERVICE_NAME);
            key.namespace == data_plane.namespace && of.is_some_and(|of| **of == *data_plane.name)
        });
        let copies = ours.map(|(key, slice)| {
            let name = format!(
                "{}-{:08x}",
                service.name,
                hash(key.name.as_bytes()) & 0xffff_ffff
            );
            let key = ObjectKey::new(&service.namespace, name);
            let body = self.slice(&key, &service.name, slice);
            (ObjectRef::new(Kind::EndpointSlice, key), body)
        });
        copies.collect()
    }

    fn slice(&self, key: &ObjectKey, service: &str, from: &EndpointSlice) -> Value {
        let ports = self.ports.iter().map(|((transport, port), target)| {
            let (name, protocol) = (port_name(*transport, *port), transport.as_str());
            json!({ "name": name, "port": target, "protocol": protocol })
        });
        let endpoints = from.endpoints.iter().flatten().map(|endpoint| {
            let mut copy = json!({
                "addresses": endpoint.addresses,
                "conditions": endpoint.conditions,
            });
            // Topology-aware routing works by these.
            if let Some(node) = &endpoint.node_name {
                copy["nodeName"] = json!(node);
            }
            if let Some(zone) = &endpoint.zone {
                copy["zone"] = json!(zone);
            }
            copy
        });
        let mut metadata = self.metadata(key);
        metadata["labels"][SERVICE_NAME] = json!(service);
        metadata["labels"][SLICE_MANAGER] = json!(api::GROUP);
        json!({
            "apiVersion": Kind::EndpointSlice.api_version(),
            "kind": Kind::EndpointSlice.as_str(),
            "metadata": metadata,
            "addressType": from.address_type,
            "endpoints": endpoints.collect::<Vec<_>>(),
            "ports": ports.collect::<Vec<_>>(),
        })
    }
}

fn port_name(transport: Transport, port: u16) -> String {
    match transport {
        Transport::Tcp => format!("port-{port}"),
        Transport::Udp => format!("udp-{port}"),
    }
}

/// Services and EndpointSlices of ours that nothing asks for, with their uids. What belongs to a Gateway that is being
/// kept goes only if it is a slice; what belongs to one that is gone is the garbage collector's.
pub(super) fn surplus(
    resources: &Resources,
    (kept, controller): (&BTreeSet<ObjectKey>, &str),
    wanted: impl Fn(&ObjectRef) -> bool,
) -> Vec<(ObjectRef, String)> {
    let mut found = Vec::new();
    let ours = |annotations: &BTreeMap<String, String>| {
        annotations
            .get(annotation::CONTROLLER)
            .is_some_and(|name| name == controller)
    };
    for (key, service) in resources
        .services
        .iter()
        .filter(|(_, s)| ours(s.annotations()))
    {
        let object = ObjectRef::new(Kind::Service, key.clone());
        let gateway = gateway_core::gateway_of(service);
        let gateway = gateway.map(|owner| ObjectKey::new(&key.namespace, &owner.name));
        let released = |gateway: &ObjectKey| {
            let renamed = kept.contains(gateway) && wanted_elsewhere(resources, gateway, &wanted);
            resources.gateways.contains_key(gateway) && (!kept.contains(gateway) || renamed)
        };
        if gateway.as_ref().is_some_and(released) && !wanted(&object) {
            found.extend(uid(&**service).map(|uid| (object, uid)));
        }
    }
    for (key, slice) in resources
        .endpoint_slices
        .iter()
        .filter(|(_, s)| ours(s.annotations()))
    {
        let object = ObjectRef::new(Kind::EndpointSlice, key.clone());
        let service = slice
            .labels()
            .get(SERVICE_NAME)
            .cloned()
            .unwrap_or_default();
        let service = ObjectRef::new(Kind::Service, ObjectKey::new(&key.namespace, service));
        // Without its Service being looked after, nobody knows what a slice should be; it goes where the Service does.
        let known = wanted(&service) || found.iter().any(|(object, _)| *object == service);
        if known && !wanted(&object) {
            found.extend(uid(&**slice).map(|uid| (object, uid)));
        }
    }
    found
}

/// Whether another Service of the Gateway is the one that it should have now.
fn wanted_elsewhere(
    resources: &Resources,
    gateway: &ObjectKey,
    wanted: impl Fn(&ObjectRef) -> bool,
) -> bool {
    let of = |service: &Service| {
        gateway_core::gateway_of(service).is_some_and(|o| *o.name == *gateway.name)
    };
    let mut services = resources.services.iter();
    services.any(|(key, service)| {
        let object = ObjectRef::new(Kind::Service, key.clone());
        key.namespace == gateway.namespace && of(service) && wanted(&object)
    })
}

fn uid(object: &impl ResourceExt) -> Option<String> {
    object.uid()
}
