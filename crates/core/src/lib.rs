//! Gateway API semantics: objects in, IR and status out.
//!
//! [`translate`] is the whole of it. It is pure and total: bad input becomes a condition in [`Status`], never a
//! panic, and never harm to another object.
//!
//! Start at [`translate`], which reads as the list of its steps: `class` and `gateway` (with `listener`, `listener_set`
//! and `conflict`) find what routes can attach to; `route` (with `http_route`, `grpc_route`, `stream_route`, and their
//! `rule`, `matching`, `filter` and `backend`) makes routes; `attach` brings the two together (`rivals` says which of
//! two kinds keeps a host, `attached` keeps what came of it); `assemble` sorts routes into virtual hosts by
//! `precedence`.
//!
//! **Invariant:** no sockets, no clients, no clocks. A rule whose meaning cannot be honoured answers 500; a match that
//! cannot be read matches nothing.

mod assemble;
mod attach;
mod attached;
mod backend;
mod cert;
mod changes;
mod claim;
mod class;
mod conflict;
mod endpoint;
mod fault;
mod filter;
mod frontend;
mod gateway;
mod grpc_route;
mod host;
mod http_route;
mod identity;
mod listener;
mod listener_set;
mod lookup;
mod matching;
mod namespace;
mod policy;
mod precedence;
mod protocol;
mod reach;
mod rivals;
mod route;
mod rule;
mod status;
mod stream_route;
mod unknown;
mod version;

use std::collections::BTreeMap;

use api::{ObjectKey, ObjectRef, Resources};
use tracked::{Changes, View};

use crate::{lookup::Lookup, reach::Roads};

pub use claim::{Channel, FEATURES, Feature, Need, Release, Test, needs};
pub use reach::{Address, AddressKind, Demand, Topology, gateway_of, ports_of};
pub use status::{
    GatewayClassStatus, GatewayStatus, ListenerSetStatus, ListenerStatus, ParentRef,
    PolicyAncestorStatus, PolicyStatus, RouteParentStatus, RouteStatus, Status,
};
pub use version::{Definition, Definitions};

/// How to read objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// A GatewayClass with this controller name is ours. Default [`api::CONTROLLER_NAME`].
    pub controller_name: String,
    /// A class of this name is ours even if there is no such GatewayClass object. Default `postern`.
    pub implied_class: Option<String>,
    /// How Gateways get sockets. Default [`Topology::AsWritten`].
    pub topology: Topology,
    /// Where clients find Gateways that are bound on this machine. Default none: nothing is said about it.
    pub published: Vec<Address>,
    /// Definitions that were found in the cluster: what a class claims follows them. Default none: nothing is said
    /// about their versions, and what all known ones have is claimed.
    pub definitions: Definitions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            controller_name: api::CONTROLLER_NAME.to_owned(),
            implied_class: Some("postern".to_owned()),
            topology: Topology::default(),
            published: Vec::new(),
            definitions: Definitions::new(),
        }
    }
}

/// What [`translate`] makes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Translation {
    /// What the data plane is to do.
    pub ir: ir::Ir,
    /// What is to be said about the objects.
    pub status: Status,
    /// What our Gateways need to be reached; with [`Topology::Services`] only.
    pub demands: BTreeMap<ObjectKey, Demand>,
}

/// Translates all objects.
#[must_use]
pub fn translate(resources: &api::Resources, options: &Options) -> Translation {
    Translator::default().translate(resources, options)
}

/// [`translate`] for whoever translates again and again: keeps what came of each object for as long as the object, and
/// all that was read of others for it, is the same. Results are those of [`translate`].
#[derive(Debug, Default)]
pub struct Translator {
    options: Options,
    /// What was translated last; nothing before the first time.
    seen: Option<api::Resources>,
    policies: policy::Policies,
    certificates: cert::Memo,
    routes: route::Memo,
    attached: attached::Routes,
    hosts: assemble::Memo,
    clusters: backend::Memo,
    route_verdicts: policy::Verdicts,
    backend_verdicts: policy::Verdicts,
    client_verdicts: policy::Verdicts,
    backend_tls_verdicts: policy::Verdicts,
}

impl Translator {
    /// Translates all objects. An unchanged object must be the same [`std::sync::Arc`] as before to be recognised.
    #[must_use]
    pub fn translate(&mut self, resources: &api::Resources, options: &Options) -> Translation {
        let (translation, _) = self.translate_joined(resources, &Resources::default(), options);
        translation
    }

    /// [`Self::translate`] of objects that somebody wrote and of generated ones, [joined](Resources::join). Gives the
    /// names that are in both, and whose generated object does not count.
    #[must_use]
    pub fn translate_joined(
        &mut self,
        own: &Resources,
        generated: &Resources,
        options: &Options,
    ) -> (Translation, Vec<ObjectRef>) {
        if self.options != *options {
            *self = Self {
                options: options.clone(),
                ..Self::default()
            };
        }
        let before = self.seen.take();
        let (resources, changes, clashes) = Changes::join(before, own, generated);
        let translation = self.step(&resources, &changes);
        self.seen = Some(resources);
        (translation, clashes)
    }

    fn step(&mut self, resources: &Resources, changes: &Changes) -> Translation {
        let options = &self.options;
        self.policies.update(changes, &View::new(resources));
        let policies = &self.policies;
        let lookup = Lookup::new(resources, policies);
        let (classes, gateway_classes) = class::translate(lookup.view(), options);
        let mut roads = Roads::new(resources, options);
        let mut parents = gateway::translate(&classes, &lookup, &mut roads, &mut self.certificates);
        let (memo, attached) = (&mut self.routes, &mut self.attached);
        let attach::Outcome { moved, before } =
            attach::translate(&mut parents, &lookup, changes, (memo, attached));
        self.hosts.remember(&before);
        let ports = assemble::ports(&parents, attached, &mut self.hosts);
        let datagrams = assemble::datagrams(&parents, attached);
        let reading = (&lookup, changes);
        let clusters = (self.clusters).clusters((&moved, memo), &parents, reading);
        let listeners = &parents.listeners;
        let gateways = parents.gateways.iter();
        let sets = gateways.clone().flat_map(|gateway| gateway.sets());
        let demands = gateways.clone().filter_map(|gateway| {
            let demand = gateway.demand(listeners, options)?;
            Some((gateway.key.clone(), demand))
        });
        let ancestry = policy::Ancestry {
            moved: &moved,
            routes: memo,
            parents: &parents,
        };
        let backend_tls = &mut self.backend_tls_verdicts;
        let mut status = Status {
            gateway_classes,
            gateways: gateways
                .map(|gateway| (gateway.key.clone(), gateway.status(listeners)))
                .collect(),
            listener_sets: sets
                .map(|set| (set.key.clone(), set.status(listeners)))
                .collect(),
            routes: self.attached.statuses.clone(),
            route_policies: (self.route_verdicts).status(&policies.route, &lookup, changes),
            backend_policies: (self.backend_verdicts).status(&policies.backend, &lookup, changes),
            client_policies: policy::client_verdicts(
                &mut self.client_verdicts,
                &policies.client,
                (&lookup, changes),
                &parents,
            ),
            backend_tls_policies: policy::backend_tls_verdicts(
                backend_tls,
                &policies.backend_tls,
                (&lookup, changes),
                &ancestry,
            ),
            ingresses: BTreeMap::new(),
        };
        policy::ours::keep(&mut status, resources);
        Translation {
            ir: ir::Ir {
                ports,
                datagrams,
                clusters,
            },
            status,
            demands: demands.collect(),
        }
    }
}

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod memo_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod testing;
