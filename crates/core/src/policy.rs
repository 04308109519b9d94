//! Our policies: which one holds for which target.

mod backend;
mod backend_tls;
mod basic_auth;
mod client;
mod external_auth;
pub(crate) mod ours;
mod route;
mod verdict;

use std::{borrow::Cow, sync::Arc};

use api::{
    BackendPolicy, ClientPolicy, GATEWAY_GROUP, Kind, ObjectKey, ObjectRef, PolicyTarget,
    RoutePolicy, Stored,
    condition::reasons,
    gateway::{BackendTlsPolicy, Gateway, GrpcRoute, HttpRoute, ListenerSet},
};
use foldhash::{HashMap, HashMapExt as _};
use k8s_openapi::api::core::v1::Service;
use tracked::{Changes, Topic, View};

use crate::{fault::Fault, lookup::Lookup, precedence::Age};

pub(crate) use backend::{BackendScope, BackendSettings, session_cookie};
pub(crate) use backend_tls::{
    Ancestry, Reading as BackendTlsReading, validated, verdicts as backend_tls_verdicts,
};
pub(crate) use basic_auth::basic_auth;
pub(crate) use client::{
    ClientSettings, client_settings, paths, underscores, verdicts as client_verdicts,
};
pub(crate) use external_auth::{
    Place, TIMEOUT as EXTERNAL_AUTH_TIMEOUT, external_auth, names as header_names,
};
pub(crate) use route::{
    client_addresses, concurrency_limit, fallback_statuses, own_statuses, rate_limits,
};
pub(crate) use verdict::Verdicts;

/// A kind of policy.
pub(crate) trait Policy: Stored {
    fn targets(&self) -> Cow<'_, [PolicyTarget]>;
    /// Kinds that it may apply to.
    const TARGETS: &'static [Kind];
    /// What is wrong with it whatever it applies to.
    fn fault(&self, key: &ObjectKey, lookup: &Lookup<'_>) -> Option<Fault>;
}

impl Policy for RoutePolicy {
    const TARGETS: &'static [Kind] = &[Kind::HttpRoute, Kind::GrpcRoute];

    fn targets(&self) -> Cow<'_, [PolicyTarget]> {
        Cow::Borrowed(&self.spec.target_refs)
    }

    fn fault(&self, key: &ObjectKey, lookup: &Lookup<'_>) -> Option<Fault> {
        let limits = rate_limits(&self.spec.rate_limits).map(drop);
        let concurrency = self.spec.concurrency.as_ref();
        let concurrency = concurrency
            .map(concurrency_limit)
            .map(|limit| limit.map(drop));
        let addresses = self.spec.client_addresses.as_ref();
        let addresses = addresses
            .map(client_addresses)
            .map(|addresses| addresses.map(drop));
        let fallback = self.spec.fallback.as_ref();
        let fallback = fallback
            .map(fallback_statuses)
            .map(|statuses| statuses.map(drop));
        let statuses = self.spec.gateway_statuses.as_ref();
        let statuses = statuses
            .map(own_statuses)
            .map(|statuses| statuses.map(drop));
        let users = self.spec.basic_auth.as_ref();
        let users = users.map(|auth| basic_auth(key, auth, lookup).map(drop));
        let external = self.spec.external_auth.as_ref();
        let external = external.map(|auth| external_auth(auth, lookup).map(drop));
        let all = concurrency.into_iter().chain(addresses).chain(fallback);
        let all = all.chain(statuses).chain(users).chain(external);
        all.chain([limits]).find_map(Result::err)
    }
}

impl Policy for BackendPolicy {
    const TARGETS: &'static [Kind] = &[Kind::HttpRoute, Kind::GrpcRoute, Kind::Service];

    fn targets(&self) -> Cow<'_, [PolicyTarget]> {
        Cow::Borrowed(&self.spec.target_refs)
    }

    fn fault(&self, key: &ObjectKey, lookup: &Lookup<'_>) -> Option<Fault> {
        backend::fault(self, key, lookup)
    }
}

impl Policy for ClientPolicy {
    const TARGETS: &'static [Kind] = &[Kind::Gateway, Kind::ListenerSet];

    fn targets(&self) -> Cow<'_, [PolicyTarget]> {
        Cow::Borrowed(&self.spec.target_refs)
    }

    fn fault(&self, key: &ObjectKey, lookup: &Lookup<'_>) -> Option<Fault> {
        client_settings(&[(key, self)], lookup).err()
    }
}

/// The policies of each kind that hold their targets.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    pub(crate) route: Held<RoutePolicy>,
    pub(crate) backend: Held<BackendPolicy>,
    pub(crate) client: Held<ClientPolicy>,
    pub(crate) backend_tls: Held<BackendTlsPolicy>,
}

impl Policies {
    /// Takes in what changed.
    pub(crate) fn update(&mut self, changes: &Changes, view: &View<'_>) {
        self.route.update(changes, view);
        self.backend.update(changes, view);
        self.client.update(changes, view);
        self.backend_tls.update(changes, view);
    }
}

/// The policies of one kind by what they want to hold, kept from one translation to the next.
#[derive(Debug)]
pub(crate) struct Held<P> {
    /// Whether there are such targets is asked when they are.
    by_target: HashMap<Kind, HashMap<ObjectKey, Vec<Holder<P>>>>,
}

impl<P> Default for Held<P> {
    fn default() -> Self {
        Self {
            by_target: HashMap::new(),
        }
    }
}

#[derive(Debug)]
struct Holder<P> {
    /// `None` is the whole of the target.
    section: Option<String>,
    age: Age,
    key: ObjectKey,
    policy: Arc<P>,
}

impl<P: Policy> Held<P> {
    fn update(&mut self, changes: &Changes, view: &View<'_>) {
        if matches!(changes, Changes::Everything) {
            self.by_target.clear();
            for (key, policy) in view.all() {
                self.add(key, policy);
            }
        }
        for change in changes.iter() {
            let key = &change.reference.key;
            if let Some(before) = change.before.as_ref().and_then(P::of) {
                self.remove(key, before);
            }
            if let Some(now) = change.now.as_ref().and_then(P::of) {
                self.add(key, now);
            }
        }
    }

    fn add(&mut self, key: &ObjectKey, policy: &Arc<P>) {
        for target in &*policy.targets() {
            let Some((kind, object)) = named::<P>(key, target) else {
                continue;
            };
            let holder = Holder {
                section: target.section_name.clone(),
                age: Age::of(&**policy),
                key: key.clone(),
                policy: Arc::clone(policy),
            };
            let of_kind = self.by_target.entry(kind).or_default();
            let holders = of_kind.entry(object).or_default();
            // > If there are multiple policies targeting the same resource, the oldest one based on creation timestamp
            // > wins; if a tie exists, the one first in alphabetical order by `{namespace}/{name}`. (GEP-713)
            let at = holders
                .partition_point(|known| (&known.age, &known.key) <= (&holder.age, &holder.key));
            holders.insert(at, holder);
        }
    }

    fn remove(&mut self, key: &ObjectKey, policy: &Arc<P>) {
        for target in &*policy.targets() {
            let Some((kind, object)) = named::<P>(key, target) else {
                continue;
            };
            if let Some(of_kind) = self.by_target.get_mut(&kind)
                && let Some(holders) = of_kind.get_mut(&object)
            {
                holders.retain(|holder| holder.key != *key);
                if holders.is_empty() {
                    of_kind.remove(&object);
                }
            }
        }
    }

    /// Notes that policies of a target are read.
    pub(crate) fn note(&self, view: &View<'_>, (kind, key): (Kind, &ObjectKey)) {
        view.note(Topic::Policies(P::KIND, ObjectRef::new(kind, key.clone())));
    }

    /// Policies that want to hold a target, or a part of it.
    pub(crate) fn keys(&self, kind: Kind, key: &ObjectKey) -> impl Iterator<Item = &ObjectKey> {
        let holders = self.by_target.get(&kind).and_then(|all| all.get(key));
        holders.into_iter().flatten().map(|holder| &holder.key)
    }

    fn holder(
        &self,
        view: &View<'_>,
        (kind, key): (Kind, &ObjectKey),
        section: Option<&str>,
    ) -> Option<&Holder<P>> {
        self.note(view, (kind, key));
        let holders = self.by_target.get(&kind)?.get(key)?;
        holders
            .iter()
            .find(|holder| holder.section.as_deref() == section)
    }

    /// The policy for that target and section, and nothing wider.
    pub(crate) fn at(
        &self,
        view: &View<'_>,
        target: (Kind, &ObjectKey),
        section: Option<&str>,
    ) -> Option<(&ObjectKey, &Arc<P>)> {
        let holder = self.holder(view, target, section)?;
        let known = sections(view, target)?;
        let there = section.is_none_or(|section| known.iter().any(|known| known == section));
        there.then_some((&holder.key, &holder.policy))
    }

    fn accept(&self, view: &View<'_>, key: &ObjectKey, target: &PolicyTarget) -> Result<(), Fault> {
        let (kind, object) = find::<P>(view, key, target)?;
        match self.holder(view, (kind, &object), target.section_name.as_deref()) {
            Some(holder) if holder.key != *key => Err(Fault::new(
                reasons::CONFLICTED,
                format!("{} is older and holds the same target", holder.key),
            )),
            _ => Ok(()),
        }
    }
}

/// What a target names, whether or not there is such a thing.
fn named<P: Policy>(policy: &ObjectKey, target: &PolicyTarget) -> Option<(Kind, ObjectKey)> {
    let kind = Kind::find(&target.group, &target.kind).filter(|kind| P::TARGETS.contains(kind))?;
    Some((kind, ObjectKey::new(&policy.namespace, &target.name)))
}

/// The target, if there is such a thing.
fn find<P: Policy>(
    view: &View<'_>,
    policy: &ObjectKey,
    target: &PolicyTarget,
) -> Result<(Kind, ObjectKey), Fault> {
    let Some((kind, key)) = named::<P>(policy, target) else {
        let allowed: Vec<_> = P::TARGETS.iter().map(|kind| kind.as_str()).collect();
        let message = format!(
            "targetRef to {} of group {:?}: only {} of {GATEWAY_GROUP} or the core group can be a target",
            target.kind,
            target.group,
            allowed.join(" and ")
        );
        return Err(Fault::new(reasons::INVALID, message));
    };
    let not_found = |what: String| Err(Fault::new(reasons::TARGET_NOT_FOUND, what));
    let Some(sections) = sections(view, (kind, &key)) else {
        return not_found(format!("{kind} {key} does not exist"));
    };
    match &target.section_name {
        Some(name) if !sections.iter().any(|known| known == name) => not_found(format!(
            "{kind} {key} has no {} named {name:?}",
            section_word(kind)
        )),
        _ => Ok((kind, key)),
    }
}

const fn section_word(kind: Kind) -> &'static str {
    match kind {
        Kind::HttpRoute | Kind::GrpcRoute => "rule",
        Kind::Service => "port",
        _ => "listener",
    }
}

/// The names that a `sectionName` may have; `None` if there is no such object.
fn sections(view: &View<'_>, (kind, key): (Kind, &ObjectKey)) -> Option<Vec<String>> {
    Some(match kind {
        Kind::HttpRoute => {
            let route = view.get::<HttpRoute>(key)?;
            let rules = route.spec.rules.iter().flatten();
            rules.filter_map(|rule| rule.name.clone()).collect()
        }
        Kind::GrpcRoute => {
            let route = view.get::<GrpcRoute>(key)?;
            let rules = route.spec.rules.iter().flatten();
            rules.filter_map(|rule| rule.name.clone()).collect()
        }
        Kind::Service => {
            let service = view.get::<Service>(key)?;
            let ports = service
                .spec
                .iter()
                .flat_map(|spec| spec.ports.iter().flatten());
            ports
                .flat_map(|port| port.name.clone().into_iter().chain([port.port.to_string()]))
                .collect()
        }
        Kind::Gateway => {
            let gateway = view.get::<Gateway>(key)?;
            gateway
                .spec
                .listeners
                .iter()
                .map(|listener| listener.name.clone())
                .collect()
        }
        Kind::ListenerSet => {
            let set = view.get::<ListenerSet>(key)?;
            set.spec
                .listeners
                .iter()
                .map(|listener| listener.name.clone())
                .collect()
        }
        _ => return None,
    })
}
