//! Gateways: those of our classes, with all their listeners.

use std::{collections::BTreeMap, net::IpAddr, ops::Range};

use api::{
    Condition, Kind, ObjectKey,
    condition::{reasons, types},
    gateway::{
        Gateway,
        gateways::{GatewayAddresses, GatewayTlsFrontend},
    },
};
use ir::Protocol;

use crate::{
    cert::{self, Certificates},
    class::Classes,
    conflict::{self, Claims, Sockets},
    fault::Fault,
    listener::{Declared, Listener},
    listener_set::{self, Extension},
    lookup::Lookup,
    precedence::Age,
    status::GatewayStatus,
};

/// A Gateway of ours.
#[derive(Debug)]
pub(crate) struct Parent<'a> {
    pub(crate) key: &'a ObjectKey,
    /// Where its listeners are bound; `None` is every address.
    pub(crate) addresses: Vec<Option<IpAddr>>,
    /// Its own listeners.
    pub(crate) own: Range<usize>,
    /// Its own listeners and those of its ListenerSets.
    pub(crate) all: Range<usize>,
    refused: Option<Fault>,
    sets: Vec<Extension<'a>>,
    warning: &'static str,
}

/// Everything that routes can attach to.
#[derive(Debug, Default)]
pub(crate) struct Parents<'a> {
    /// Oldest first.
    pub(crate) gateways: Vec<Parent<'a>>,
    pub(crate) listeners: Vec<Listener<'a>>,
    by_key: BTreeMap<(Kind, &'a ObjectKey), Option<Range<usize>>>,
}

impl Parents<'_> {
    /// Listeners of a Gateway or ListenerSet: `None` when there is no such object of ours, `Some(None)` for a
    /// ListenerSet that its Gateway does not let attach.
    pub(crate) fn find(&self, kind: Kind, key: &ObjectKey) -> Option<Option<Range<usize>>> {
        self.by_key.get(&(kind, key)).cloned()
    }
}

/// Finds our Gateways and their ListenerSets, and settles conflicts.
pub(crate) fn translate<'a>(
    classes: &Classes<'_>,
    lookup: &Lookup<'a>,
    memo: &mut cert::Memo,
) -> Parents<'a> {
    let mut certificates = Certificates::new(lookup.resources, memo);
    let sets = listener_set::by_gateway(lookup.resources);
    let mut ours: Vec<_> = lookup
        .resources
        .gateways
        .iter()
        .filter_map(|(key, gateway)| {
            let class = classes.find(&gateway.spec.gateway_class_name)?;
            Some((key, &**gateway, class.err()))
        })
        .collect();
    // Keys come in order, and the sort is stable.
    ours.sort_by_cached_key(|(_, gateway, _)| Age::of(*gateway));
    let mut parents = Parents::default();
    let mut sockets = Sockets::default();
    for (key, gateway, refused) in ours {
        let start = parents.listeners.len();
        let listeners = gateway.spec.listeners.iter().map(|listener| {
            let owner = (Kind::Gateway, key);
            let mut listener =
                Listener::new(owner, Declared::from(listener), lookup, &mut certificates);
            listener.ask_clients(key, lookup);
            listener
        });
        parents.listeners.extend(listeners);
        let own = start..parents.listeners.len();
        refuse_client_validation(gateway, &mut parents.listeners[own.clone()]);
        conflict::within_gateway(&mut parents.listeners[own.clone()]);
        let mut claims = Claims::of(&parents.listeners[own.clone()]);
        let mut extensions = Vec::new();
        for &(set_key, set) in sets.get(key).into_iter().flatten() {
            let start = parents.listeners.len();
            let allowed = listener_set::allowed((key, gateway), set_key, lookup);
            for declared in set.spec.listeners.iter().filter(|_| allowed) {
                let owner = (Kind::ListenerSet, set_key);
                let declared = Declared::from(declared);
                let mut listener = Listener::new(owner, declared, lookup, &mut certificates);
                listener.ask_clients(key, lookup);
                refuse_client_validation(gateway, std::slice::from_mut(&mut listener));
                claims.claim(&mut listener);
                parents.listeners.push(listener);
            }
            let listeners = allowed.then_some(start..parents.listeners.len());
            parents
                .by_key
                .insert((Kind::ListenerSet, set_key), listeners.clone());
            extensions.push(Extension {
                key: set_key,
                listeners,
            });
        }
        let all = start..parents.listeners.len();
        parents
            .by_key
            .insert((Kind::Gateway, key), Some(own.clone()));
        let (addresses, bad_address) = addresses(gateway.spec.addresses.as_deref());
        let refused = refused.or_else(|| refusal(gateway)).or(bad_address);
        for listener in &mut parents.listeners[all.clone()] {
            listener.dormant = refused.is_some();
            sockets.claim(key, &addresses, listener);
        }
        conflict::mark_overlaps(&mut parents.listeners[all.clone()]);
        parents.gateways.push(Parent {
            key,
            addresses,
            own,
            all,
            refused,
            sets: extensions,
            warning: warning(gateway),
        });
    }
    parents
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

fn warning(gateway: &Gateway) -> &'static str {
    let tls = gateway.spec.tls.as_ref();
    if tls.is_some_and(|tls| tls.backend.is_some()) {
        "tls.backend is not supported and is not used"
    } else {
        ""
    }
}

/// Asking for client certificates and not checking them would be open where it should be closed.
fn refuse_client_validation(gateway: &Gateway, listeners: &mut [Listener<'_>]) {
    let Some(frontend) = gateway.spec.tls.as_ref().and_then(|t| t.frontend.as_ref()) else {
        return;
    };
    for listener in listeners {
        if listener.protocol == Some(Protocol::Https)
            && validates_clients(frontend, listener.port)
            && listener.refused.is_none()
        {
            listener.refused = Some(Fault::new(
                reasons::UNSUPPORTED_VALUE,
                "tls.frontend of the Gateway asks for client certificates, which is not supported",
            ));
        }
    }
}

fn validates_clients(frontend: &GatewayTlsFrontend, port: i32) -> bool {
    let per_port = frontend.per_port.as_deref().unwrap_or_default();
    match per_port.iter().find(|entry| entry.port == port) {
        Some(entry) => entry.tls.validation.is_some(),
        None => frontend.default.validation.is_some(),
    }
}

/// An address without value leaves the choice to us: every address.
fn addresses(declared: Option<&[GatewayAddresses]>) -> (Vec<Option<IpAddr>>, Option<Fault>) {
    let (mut addresses, mut fault) = (Vec::new(), None);
    for address in declared.unwrap_or_default() {
        let kind = address.r#type.as_deref().unwrap_or("IPAddress");
        let value = address.value.as_deref().filter(|value| !value.is_empty());
        let parsed = value.map(str::parse::<IpAddr>).transpose();
        match parsed {
            Ok(parsed) if kind == "IPAddress" => {
                if !addresses.contains(&parsed) {
                    addresses.push(parsed);
                }
            }
            _ => {
                let message = format!(
                    "address {:?} of type {kind} is not supported; use an IPAddress",
                    value.unwrap_or_default()
                );
                fault = fault.or(Some(Fault::new(reasons::UNSUPPORTED_ADDRESS, message)));
            }
        }
    }
    if addresses.is_empty() {
        addresses.push(None);
    }
    (addresses, fault)
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
            conditions: vec![
                self.accepted(own, &all[self.all.clone()]),
                self.programmed(&all[self.all.clone()]),
            ],
            listeners: own.iter().map(Listener::status).collect(),
            attached_listener_sets: u32::try_from(attached).unwrap_or(u32::MAX),
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
            Condition::holds(types::ACCEPTED, reasons::ACCEPTED, self.warning)
        } else {
            let message = format!("listeners that are not valid: {}", bad.join(", "));
            Condition::holds(types::ACCEPTED, reasons::LISTENERS_NOT_VALID, message)
        }
    }

    fn programmed(&self, all: &[Listener<'_>]) -> Condition {
        if all.iter().any(Listener::programmed) {
            return Condition::ok(types::PROGRAMMED);
        }
        let message = "no listener can be served";
        Condition::fails(types::PROGRAMMED, reasons::INVALID, message)
    }
}
