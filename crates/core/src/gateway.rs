//! Gateways: those of our classes, with all their listeners.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use api::{
    Condition, Kind, ObjectKey,
    condition::{reasons, types},
    gateway::{Gateway, gateways::GatewayDefaultScope},
};

use ir::Certificate;

use crate::{
    Options,
    cert::{self, Certificates},
    class::Classes,
    conflict::{self, Claims, Sockets},
    fault::{self, Fault},
    frontend,
    identity::Identity,
    listener::{Declared, Listener},
    listener_set::{self, Extension},
    lookup::Lookup,
    precedence::{Age, Alphabetical},
    reach::{Demand, Reach, Roads, Topology, Wanted},
    status::GatewayStatus,
    unknown::Unknown,
};

/// A Gateway of ours.
#[derive(Debug)]
pub(crate) struct Parent<'a> {
    pub(crate) key: &'a ObjectKey,
    /// Where its listeners are bound, and where clients find it.
    pub(crate) reach: Reach,
    /// Addresses that it asks for.
    declared: Wanted,
    /// Its own listeners.
    pub(crate) own: Range<usize>,
    /// Its own listeners and those of its ListenerSets.
    pub(crate) all: Range<usize>,
    refused: Option<Fault>,
    /// What backends are shown.
    pub(crate) identity: Option<Identity>,
    /// What is wrong with the certificate that they are to be shown.
    unresolved: Option<Fault>,
    /// Clients are let in whatever certificate they show.
    insecure: bool,
    /// What is not honoured although it is accepted.
    warning: String,
    sets: Vec<Extension<'a>>,
}

/// Everything that routes can attach to.
#[derive(Debug, Default)]
pub(crate) struct Parents<'a> {
    /// Oldest first.
    pub(crate) gateways: Vec<Parent<'a>>,
    pub(crate) listeners: Vec<Listener<'a>>,
    by_key: BTreeMap<(Kind, &'a ObjectKey), Option<Range<usize>>>,
    /// Whether any Gateway has an identity.
    pub(crate) show_anything: bool,
}

impl Parents<'_> {
    /// Listeners of a Gateway or ListenerSet: `None` when there is no such object of ours, `Some(None)` for a
    /// ListenerSet that its Gateway does not let attach.
    pub(crate) fn find(&self, kind: Kind, key: &ObjectKey) -> Option<Option<Range<usize>>> {
        self.by_key.get(&(kind, key)).cloned()
    }

    /// The listeners that a policy for such an object is about: those of a Gateway's ListenerSets as well as its own.
    pub(crate) fn meant(&self, kind: Kind, key: &ObjectKey) -> &[Listener<'_>] {
        let own = self.find(kind, key).flatten().unwrap_or_default();
        let gateway = self.gateway_of(own.start);
        let gateway = gateway.filter(|gateway| kind == Kind::Gateway && gateway.key == key);
        &self.listeners[gateway.map_or(own, |gateway| gateway.all.clone())]
    }

    /// The Gateway that a listener is of, be it by a ListenerSet.
    pub(crate) fn gateway_of(&self, listener: usize) -> Option<&Parent<'_>> {
        // Listeners come Gateway by Gateway.
        let at = self
            .gateways
            .partition_point(|gateway| gateway.all.end <= listener);
        self.gateways.get(at)
    }
}

/// Finds our Gateways and their ListenerSets, and settles conflicts.
pub(crate) fn translate<'a>(
    classes: &Classes<'_>,
    lookup: &Lookup<'a>,
    roads: &mut Roads<'_>,
    memo: &mut cert::Memo,
) -> Parents<'a> {
    let mut certificates = Certificates::new(lookup.view(), memo);
    let sets = listener_set::by_gateway(lookup.view());
    let all = lookup.view().all::<Gateway>();
    let mut ours: Vec<_> = all
        .iter()
        .filter_map(|(key, gateway)| {
            let class = classes.find(&gateway.spec.gateway_class_name)?;
            Some((key, &**gateway, class.err()))
        })
        .collect();
    ours.sort_by_cached_key(|(key, gateway, _)| (Age::of(*gateway), Alphabetical::new(key)));
    let mut parents = Parents::default();
    let mut sockets = Sockets::default();
    for (key, gateway, refused) in ours {
        let start = parents.listeners.len();
        let unknown = Unknown::of(lookup.view(), Kind::Gateway, key);
        let listeners = gateway.spec.listeners.iter().enumerate();
        let listeners = listeners.map(|(place, declared)| {
            let owner = ((Kind::Gateway, key), place);
            let declared = Declared::from(declared);
            listener((key, gateway), (owner, declared), lookup, &mut certificates)
        });
        parents.listeners.extend(listeners);
        let own = start..parents.listeners.len();
        conflict::within_gateway(&mut parents.listeners[own.clone()]);
        let mut claims = Claims::of(&parents.listeners[own.clone()]);
        let (declared, bad_address) = wanted((key, gateway), lookup, roads);
        let refused = refused.or_else(|| refusal(gateway)).or(bad_address);
        let refused = refused.or_else(|| closed(unknown));
        let mut extensions = Vec::new();
        for &(set_key, set) in sets.get(key).into_iter().flatten() {
            let start = parents.listeners.len();
            let allowed = listener_set::allowed((key, gateway), set_key, lookup);
            let listeners = set.spec.listeners.iter().enumerate();
            for (place, declared) in listeners.filter(|_| allowed) {
                let owner = ((Kind::ListenerSet, set_key), place);
                let own = (owner, Declared::from(declared));
                let mut made = listener((key, gateway), own, lookup, &mut certificates);
                claims.claim(&mut made);
                parents.listeners.push(made);
            }
            let listeners = allowed.then_some(start..parents.listeners.len());
            parents
                .by_key
                .insert((Kind::ListenerSet, set_key), listeners.clone());
            extensions.push(Extension {
                key: set_key,
                listeners,
                dormant: refused.is_some(),
            });
        }
        let all = start..parents.listeners.len();
        parents
            .by_key
            .insert((Kind::Gateway, key), Some(own.clone()));
        let reach = roads.to(key, gateway, &declared);
        for listener in &mut parents.listeners[all.clone()] {
            listener.dormant = refused.is_some();
            sockets.claim(key, &reach, listener);
        }
        conflict::mark_overlaps(&mut parents.listeners[all.clone()]);
        let shown = client_certificate(key, gateway, lookup, &mut certificates);
        parents.show_anything |= shown.is_some();
        parents.gateways.push(Parent {
            key,
            reach,
            declared,
            own,
            all,
            refused,
            identity: shown.as_ref().map(Identity::of),
            unresolved: shown.and_then(Result::err),
            insecure: frontend::is_insecure(gateway),
            warning: warning(gateway, unknown),
            sets: extensions,
        });
    }
    parents
}

/// A listener of a Gateway, or of a set that extends it: what is declared, and what the Gateway and policies ask of
/// clients.
fn listener<'a>(
    gateway: (&ObjectKey, &Gateway),
    (owner, declared): (((Kind, &'a ObjectKey), usize), Declared<'a>),
    lookup: &Lookup<'a>,
    certificates: &mut Certificates<'_>,
) -> Listener<'a> {
    let mut listener = Listener::new(owner, declared, lookup, certificates);
    listener.ask_clients(gateway.0, lookup);
    frontend::validate(gateway, &mut listener, lookup);
    listener
}

fn refusal(gateway: &Gateway) -> Option<Fault> {
    let infrastructure = gateway.spec.infrastructure.as_ref()?;
    let parameters = infrastructure.parameters_ref.as_ref()?;
    let message = format!(
        "infrastructure.parametersRef to {} {} is not supported: remove it",
        parameters.kind, parameters.name
    );
    Some(Fault::new(reasons::INVALID_PARAMETERS, message))
}

fn warning(gateway: &Gateway, unknown: Unknown<'_>) -> String {
    let scope = match gateway.spec.default_scope {
        Some(GatewayDefaultScope::All) => Some("defaultScope is not supported and is not used"),
        Some(GatewayDefaultScope::None) | None => None,
    };
    let sets = unknown.inside("allowedListeners", reasons::UNSUPPORTED_VALUE);
    let sets = sets.map(|fault| format!("no ListenerSet may attach: {}", fault.message));
    fault::join(scope.into_iter().chain(sets.as_deref()))
}

fn wanted(
    (key, gateway): (&ObjectKey, &Gateway),
    lookup: &Lookup<'_>,
    roads: &Roads<'_>,
) -> (Wanted, Option<Fault>) {
    let beyond = lookup.view().beyond(Kind::Gateway, key);
    Wanted::of(gateway.spec.addresses.as_deref(), beyond, roads.topology())
}

/// Unknown fields that close all of a Gateway: they stand in no listener.
fn closed(unknown: Unknown<'_>) -> Option<Fault> {
    let address = unknown.inside("addresses", reasons::UNSUPPORTED_ADDRESS);
    let parts = ["listeners", "allowedListeners"];
    address.or_else(|| unknown.outside(&parts, reasons::UNSUPPORTED_VALUE))
}

const REFUSED: &str = "requests for backends with TLS are refused";

/// The certificate that backends are to be shown, or what is wrong with it.
fn client_certificate(
    key: &ObjectKey,
    gateway: &Gateway,
    lookup: &Lookup<'_>,
    certificates: &mut Certificates<'_>,
) -> Option<Result<Arc<Certificate>, Fault>> {
    let backend = gateway.spec.tls.as_ref()?.backend.as_ref()?;
    let reference = backend.client_certificate_ref.as_ref()?;
    let group = reference.group.as_deref().unwrap_or_default();
    let kind = reference.kind.as_deref().unwrap_or("Secret");
    let namespace = reference.namespace.as_deref().unwrap_or(&key.namespace);
    let secret = ObjectKey::new(namespace, &reference.name);
    let field = "tls.backend.clientCertificateRef";
    let invalid = |why: String| {
        let reason = reasons::INVALID_CLIENT_CERTIFICATE_REF;
        Some(Err(Fault::new(
            reason,
            format!("{field}: {why}; {REFUSED}"),
        )))
    };
    if Kind::find(group, kind) != Some(Kind::Secret) {
        return invalid(format!(
            "{kind} of group {group:?} is not supported; use a Secret"
        ));
    }
    if !lookup.permit(Kind::Gateway, &key.namespace, Kind::Secret, &secret) {
        let message = format!(
            "{field}: no ReferenceGrant in namespace {namespace} lets Gateways of namespace {} use Secret {secret}; {REFUSED}",
            key.namespace
        );
        return Some(Err(Fault::new(reasons::REF_NOT_PERMITTED, message)));
    }
    match certificates.get(&secret) {
        Ok((certificate, _)) => Some(Ok(certificate)),
        Err(error) => invalid(error.to_string()),
    }
}

impl<'a> Parent<'a> {
    /// Its ListenerSets.
    pub(crate) fn sets(&self) -> &[Extension<'a>] {
        &self.sets
    }

    pub(crate) fn status(&self, all: &[Listener<'_>]) -> GatewayStatus {
        let own = &all[self.own.clone()];
        let attached = self.sets.iter().filter(|set| set.accepted(all)).count();
        GatewayStatus {
            conditions: [
                self.accepted(own, &all[self.all.clone()]),
                self.programmed(&all[self.all.clone()]),
                self.resolved(own),
            ]
            .into_iter()
            .chain(self.insecure.then(insecure))
            .chain(self.assigned())
            .collect(),
            listeners: own.iter().map(Listener::status).collect(),
            attached_listener_sets: u32::try_from(attached).unwrap_or(u32::MAX),
            addresses: self.reach.addresses.clone(),
        }
    }

    /// > ListenersNotValid: one or more Listeners have an invalid or unsupported configuration. This can be the reason
    /// > when "Accepted" is "True" or "False", depending on whether the listener being invalid causes the entire
    /// > Gateway to not be accepted.
    fn accepted(&self, own: &[Listener<'_>], all: &[Listener<'_>]) -> Condition {
        if let Some(fault) = &self.refused {
            return fault.fails(types::ACCEPTED);
        }
        let bad: Vec<_> = own
            .iter()
            .filter(|l| !l.accepted())
            .map(|l| l.name)
            .collect();
        if all.is_empty() {
            let message = "there is no listener";
            Condition::fails(types::ACCEPTED, reasons::LISTENERS_NOT_VALID, message)
        } else if !all.iter().any(Listener::accepted) {
            let message = "no listener is valid; see their conditions";
            Condition::fails(types::ACCEPTED, reasons::LISTENERS_NOT_VALID, message)
        } else if bad.is_empty() {
            Condition::holds(types::ACCEPTED, reasons::ACCEPTED, self.warning.clone())
        } else {
            let message = format!("listeners that are not valid: {}", bad.join(", "));
            let all = [&*message, &*self.warning];
            let message = fault::join(all.into_iter().filter(|text| !text.is_empty()));
            Condition::holds(types::ACCEPTED, reasons::LISTENERS_NOT_VALID, message)
        }
    }

    fn resolved(&self, own: &[Listener<'_>]) -> Condition {
        if let Some(fault) = &self.unresolved {
            return fault.fails(types::RESOLVED_REFS);
        }
        let bad: Vec<_> = own
            .iter()
            .filter(|l| !l.resolved())
            .map(|l| l.name)
            .collect();
        if bad.is_empty() {
            return Condition::ok(types::RESOLVED_REFS);
        }
        let message = format!(
            "listeners whose references do not resolve: {}",
            bad.join(", ")
        );
        let reason = reasons::LISTENERS_NOT_RESOLVED;
        Condition::fails(types::RESOLVED_REFS, reason, message)
    }

    fn programmed(&self, all: &[Listener<'_>]) -> Condition {
        let unsupported = |fault: &&Fault| fault.reason == reasons::UNSUPPORTED_ADDRESS;
        let scoped = self.refused.as_ref().filter(|_| self.declared.scoped);
        if let Some(fault) = scoped.filter(unsupported) {
            let reason = reasons::ADDRESS_NOT_ASSIGNED;
            return Condition::fails(types::PROGRAMMED, reason, fault.message.clone());
        }
        let servable = all.iter().any(|l| l.programmed() || l.waiting);
        match &self.reach.fault {
            Some(fault) if servable => fault.fails(types::PROGRAMMED),
            _ if all.iter().any(Listener::programmed) => Condition::ok(types::PROGRAMMED),
            _ => {
                let message = "no listener can be served";
                Condition::fails(types::PROGRAMMED, reasons::INVALID, message)
            }
        }
    }

    /// Whether it has the addresses that it asks for, if it says from where they are to be reached.
    ///
    /// > The condition MUST be omitted until the controller has reconciled address assignment. (GEP-5093)
    fn assigned(&self) -> Option<Condition> {
        if !self.declared.scoped {
            return None;
        }
        let fault = match &self.refused {
            Some(fault) if fault.reason == reasons::UNSUPPORTED_ADDRESS => Some(fault),
            Some(_) => return None,
            None => self.reach.fault.as_ref(),
        };
        Some(match fault {
            None => Condition::ok(types::ADDRESSES_ASSIGNED),
            Some(fault) => {
                let some = self.refused.is_none() && !self.reach.addresses.is_empty();
                let reason = match some {
                    true => reasons::ADDRESSES_PARTIALLY_ASSIGNED,
                    false => reasons::ADDRESSES_NOT_ASSIGNED,
                };
                Condition::fails(types::ADDRESSES_ASSIGNED, reason, fault.message.clone())
            }
        })
    }

    /// What it needs to be reached, where that is not settled by what is written.
    pub(crate) fn demand(&self, listeners: &[Listener<'_>], options: &Options) -> Option<Demand> {
        if options.topology == Topology::AsWritten {
            return None;
        }
        let served = listeners[self.all.clone()]
            .iter()
            .filter(|listener| listener.accepted() && !listener.dormant);
        Some(Demand {
            ports: served.filter_map(Listener::numbered).collect(),
            addresses: self.declared.plain.iter().copied().flatten().collect(),
            inside: self.declared.inside.iter().copied().flatten().next(),
            private: self.declared.is_private(),
        })
    }
}

/// > InsecureFrontendValidationMode: the Gateway is in AllowInsecureFallback mode.
fn insecure() -> Condition {
    let message = "tls.frontend has AllowInsecureFallback: clients are let in whatever certificate they show, or none";
    Condition::holds(
        types::INSECURE_FRONTEND,
        reasons::CONFIGURATION_CHANGED,
        message,
    )
}
