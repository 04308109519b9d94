//! Addresses: a Service for each Gateway, whose ports lead to ports of our own that are no other Gateway's.
//!
//! What a port leads to is decided once, and stands in the Service from then on: every replica reads it there, after
//! any restart. The pods are in another namespace than the Service, where no selector reaches; so the EndpointSlices of
//! the release's own Service are copied beside each Gateway's. On the host's network there is nothing to make, and what
//! was made before goes. [`object`] writes the objects, [`allocation`] chooses ports.

mod allocation;
mod object;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use api::{Kind, ObjectKey, ObjectRef, Resources};
use gateway_core::Demand;
use kube::{Client, ResourceExt};
use tokio::{sync::watch, time::sleep};

pub(crate) use self::object::label;
use self::{allocation::Allocation, object::Reached};
use crate::{
    apply::{self, Step},
    cli::TrafficPolicy,
    live::Live,
};

/// What failed is tried again after this long.
const RETRY: Duration = Duration::from_secs(2);
/// For this long what was applied is trusted to come back by the watch.
const PATIENCE: Duration = Duration::from_secs(5);

/// How Gateways are to be reached.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// `type` of the Services; none where Gateways want none, and those of before go.
    pub(crate) service_type: Option<&'static str>,
    /// Ports that listeners may be given.
    pub(crate) ports: RangeInclusive<u16>,
    /// The Service that selects our pods.
    pub(crate) data_plane: ObjectKey,
    /// Our name on objects that we keep; those of other installations are let alone.
    pub(crate) controller: String,
    /// Which nodes take traffic, where a load balancer or node ports lead to them.
    pub(crate) traffic_policy: TrafficPolicy,
    /// What the Gateway for Ingresses has beside.
    pub(crate) for_ingresses: ForIngresses,
}

/// The Gateway for Ingresses: there is no manifest of it where its `spec.infrastructure` would say this.
#[derive(Debug, Clone)]
pub(crate) struct ForIngresses {
    pub(crate) gateway: ObjectKey,
    /// Labels of its Service.
    pub(crate) labels: BTreeMap<String, String>,
    /// Annotations of its Service.
    pub(crate) annotations: BTreeMap<String, String>,
}

/// Keeps the Services of all Gateways.
pub(crate) struct Keeper {
    pub(crate) client: Client,
    /// What is served.
    pub(crate) live: Arc<Live>,
    /// Whether it is for us to write.
    pub(crate) leader: watch::Receiver<bool>,
    pub(crate) options: Options,
}

/// What was applied lately.
#[derive(Debug, Default)]
struct Memory {
    applied: BTreeMap<ObjectRef, (Step, Instant)>,
    allocation: Allocation,
}

impl Keeper {
    /// Keeps them until the process ends.
    pub(crate) async fn run(mut self) {
        let mut published = self.live.published();
        let mut memory = Memory::default();
        let mut failed = false;
        loop {
            tokio::select! {
                Ok(()) = published.changed() => {}
                Ok(()) = self.leader.changed() => {}
                () = sleep(if failed { RETRY } else { PATIENCE }) => {}
            }
            failed = false;
            if !*self.leader.borrow_and_update() {
                memory = Memory::default();
                continue;
            }
            let Some(current) = self.live.current() else {
                continue;
            };
            let demands = &current.made().demands;
            for step in steps(current.resources(), demands, &self.options, &mut memory) {
                if let Err(error) = apply::take(&self.client, &step).await {
                    let object = step.object();
                    tracing::warn!(%object, %error, "a Gateway's Service is not as it should be; trying again");
                    memory.applied.remove(object);
                    failed = true;
                }
            }
        }
    }
}

/// What is to be done so that every Gateway has its Service.
fn steps(
    resources: &Resources,
    demands: &BTreeMap<ObjectKey, Demand>,
    options: &Options,
    memory: &mut Memory,
) -> Vec<Step> {
    memory.applied.retain(|_, (_, at)| at.elapsed() < PATIENCE);
    memory.allocation.read(resources, demands, &options.ports);
    let mut wanted: BTreeMap<ObjectRef, serde_json::Value> = BTreeMap::new();
    // Gateways that are ours: what they have is let alone even where nothing can be done for them now.
    let mut kept = BTreeSet::new();
    for (key, demand) in demands {
        kept.insert(key.clone());
        let (Some(gateway), false) = (resources.gateways.get(key), demand.ports.is_empty()) else {
            continue;
        };
        let Some(uid) = gateway.uid() else {
            continue;
        };
        let Some(ports) = memory.allocation.of(key) else {
            tracing::warn!(gateway = %key, "no port is left for its listeners; see --container-ports");
            continue;
        };
        let reached = Reached {
            gateway,
            uid: &uid,
            ports,
            demand,
            options,
        };
        let service = reached.service_key();
        if resources
            .services
            .get(&service)
            .is_some_and(|live| !reached.owns(&**live))
        {
            tracing::warn!(gateway = %key, %service, "a Service of the name is there already, and not the Gateway's; it is let alone");
            continue;
        }
        wanted.insert(ObjectRef::new(Kind::Service, service), reached.service());
        wanted.extend(reached.slices(resources));
    }
    let mut steps = Vec::new();
    for (object, body) in wanted
        .iter()
        .map(|(object, body)| (object, apply::marked(body.clone())))
    {
        let live = resources.get(object).and_then(|live| live.to_json().ok());
        let step = Step::Apply(object.clone(), body.clone());
        let asked = memory
            .applied
            .get(object)
            .is_some_and(|(before, _)| *before == step);
        if !asked && !live.is_some_and(|live| apply::holds(&body, &live)) {
            memory
                .applied
                .insert(object.clone(), (step.clone(), Instant::now()));
            steps.push(step);
        }
    }
    for (object, uid) in object::surplus(resources, (&kept, &options.controller), |object| {
        wanted.contains_key(object)
    }) {
        let step = Step::Delete(object.clone(), uid);
        if memory
            .applied
            .insert(object, (step.clone(), Instant::now()))
            .is_none()
        {
            steps.push(step);
        }
    }
    steps
}

#[cfg(test)]
#[path = "provision_tests.rs"]
mod tests;
