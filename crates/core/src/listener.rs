//! Listeners of Gateways and ListenerSets: what is declared, and what is wrong with it.

mod admission;
mod declared;
mod refusal;

use std::sync::Arc;

use api::{
    Condition, Kind, ObjectKey, ObjectRef,
    certificate::KeyFamily,
    condition::{reasons, types},
};
use ir::{
    Admission, Certificate, HostPattern, ListenerKey, ListenerParent, TlsVersions, Transport,
};

use crate::{
    backend::ClusterRef,
    cert::Certificates,
    fault::{self, Fault},
    lookup::Lookup,
    namespace::Namespaces,
    policy::{ClientSettings, client_settings, paths, underscores},
    protocol::{Carrier, Protocol},
    status::ListenerStatus,
    unknown::Unknown,
};

use declared::CertificateRef;
pub(crate) use declared::{Declared, selector};

/// A listener with everything that is known about it.
#[derive(Debug)]
pub(crate) struct Listener<'a> {
    /// Gateway or ListenerSet.
    pub(crate) owner: (Kind, &'a ObjectKey),
    pub(crate) name: &'a str,
    pub(crate) port: i32,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) hostname: HostPattern,
    pub(crate) certificates: Vec<Arc<Certificate>>,
    /// Families of their keys.
    families: Vec<KeyFamily>,
    /// What is asked of clients.
    pub(crate) clients: ClientSettings,
    /// What requests must pass before a route is looked for.
    pub(crate) admission: Admission,
    /// Clusters that this needs.
    pub(crate) clusters: Vec<Arc<ClusterRef>>,
    /// Why it is not accepted, apart from conflicts.
    pub(crate) refused: Option<Fault>,
    pub(crate) conflict: Option<Fault>,
    /// Hostnames of other TLS listeners on the port overlap.
    pub(crate) overlaps: bool,
    /// Its Gateway is not accepted.
    pub(crate) dormant: bool,
    /// It has no socket yet.
    pub(crate) waiting: bool,
    pub(crate) attached: u32,
    kinds: Vec<Kind>,
    namespaces: Namespaces<'a>,
    unresolved: Option<Fault>,
    warnings: Vec<String>,
}

impl<'a> Listener<'a> {
    pub(crate) fn new(
        (owner, place): ((Kind, &'a ObjectKey), usize),
        declared: Declared<'a>,
        lookup: &Lookup<'a>,
        certificates: &mut Certificates<'_>,
    ) -> Self {
        let passthrough = declared.tls.as_ref().is_some_and(|tls| tls.passthrough);
        let protocol = Protocol::parse(declared.protocol, passthrough);
        let hostname = HostPattern::parse(declared.hostname.unwrap_or_default());
        let reference = ObjectRef::new(owner.0, owner.1.clone());
        let beyond = lookup.view().beyond(owner.0, owner.1);
        let filters = beyond.and_then(|beyond| beyond.listener_filters(place));
        let filters = filters.map(|filters| admission::of(filters, (&reference, protocol), lookup));
        let filters = filters.unwrap_or_default();
        let unknown = Unknown::of(lookup.view(), owner.0, owner.1);
        let closed = || {
            let own = unknown.listener(place, reasons::UNSUPPORTED_VALUE);
            // Of a Gateway, they close all of it.
            let set = (owner.0 == Kind::ListenerSet).then_some(unknown);
            own.or_else(|| set?.outside(&["listeners"], reasons::UNSUPPORTED_VALUE))
        };
        let refused = refusal::of(&declared, protocol).or_else(closed);
        let refused = refused.or(filters.refused).or_else(|| {
            let error = hostname.as_ref().err()?;
            Some(Fault::new(
                reasons::UNSUPPORTED_VALUE,
                format!("hostname {error}"),
            ))
        });
        let mut listener = Self {
            owner,
            name: declared.name,
            port: declared.port,
            protocol,
            hostname: hostname.unwrap_or(HostPattern::Any),
            certificates: Vec::new(),
            families: Vec::new(),
            clients: ClientSettings::default(),
            admission: filters.admission,
            clusters: filters.clusters,
            refused,
            conflict: None,
            overlaps: false,
            dormant: false,
            waiting: false,
            attached: 0,
            kinds: Vec::new(),
            namespaces: declared.namespaces,
            unresolved: None,
            warnings: Vec::new(),
        };
        let mut unresolved = listener.take_kinds(&declared.kinds);
        unresolved.extend(filters.unresolved);
        if protocol.is_some_and(Protocol::terminates) {
            let tls = declared.tls.as_ref();
            let references = tls.map_or(&[][..], |tls| &tls.certificates);
            unresolved.extend(listener.take_certificates(references, lookup, certificates));
        }
        let passed_on = protocol == Some(Protocol::Passthrough);
        if let Some(tls) = &declared.tls {
            if tls.options {
                let warning = "tls.options are not supported and are not used";
                listener.warnings.push(warning.to_owned());
            }
            if passed_on && !tls.certificates.is_empty() {
                let warning = "tls.certificateRefs are not used with tls.mode Passthrough";
                listener.warnings.push(warning.to_owned());
            }
        }
        listener.unresolved = Fault::join(&unresolved);
        listener
    }

    /// Has ClientPolicies apply: of the listener, of its object, and of the Gateway that its object extends. What
    /// cannot be honoured closes the listener.
    pub(crate) fn ask_clients(&mut self, gateway: &ObjectKey, lookup: &Lookup<'_>) {
        let (kind, key) = self.owner;
        let at = |kind, key, section| lookup.client_policy((kind, key), section);
        let wider = at(kind, key, None).into_iter().chain(
            (kind != Kind::Gateway)
                .then(|| at(Kind::Gateway, gateway, None))
                .flatten(),
        );
        let policies: Vec<_> = at(kind, key, Some(self.name))
            .into_iter()
            .chain(wider)
            .map(|(key, policy)| (key, &**policy))
            .collect();
        let unknown = policies.iter().find_map(|(key, _)| {
            let unknown = Unknown::of(lookup.view(), Kind::ClientPolicy, key);
            let fault = unknown.anywhere(reasons::UNSUPPORTED_VALUE)?;
            let message = format!("ClientPolicy {key}: {}", fault.message);
            Some(Fault::new(fault.reason, message))
        });
        if self.refused.is_none() {
            self.refused = unknown;
        }
        if !self.terminates() {
            self.clients.underscores = underscores(&policies);
            self.clients.paths = paths(&policies);
            return;
        }
        match client_settings(&policies, lookup) {
            Ok(settings) => {
                self.clients = settings;
                self.warn_of_suites();
            }
            Err(fault) => {
                self.clients = ClientSettings::closed();
                let message = format!("every TLS handshake is refused: {}", fault.message);
                self.leave_unresolved([Fault::new(fault.reason, message)]);
            }
        }
    }

    /// Something is to be said that does not keep it from being accepted.
    pub(crate) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// Cipher suites of TLS 1.2 that the key of no certificate signs for: handshakes fail that get so far.
    fn warn_of_suites(&mut self) {
        let wanted = self.clients.ciphers.as_deref().unwrap_or_default();
        if wanted.is_empty() || self.clients.versions == TlsVersions::Only13 {
            return;
        }
        let unfit = |(_, family): &(_, &KeyFamily)| {
            let mut names = wanted.iter().map(|suite| suite.name());
            !names.any(|name| family.signs(name))
        };
        let pairs = self.certificates.iter().zip(&self.families);
        let told: Vec<_> = pairs
            .filter(unfit)
            .map(|(certificate, family)| {
                let who = match self.clients.versions {
                    TlsVersions::Only12 => "no client",
                    _ => "no client of TLS 1.2",
                };
                format!(
                    "none of tls.cipherSuites is for {} keys, which {} has; {who} can connect where it is shown",
                    family.name(),
                    certificate.source
                )
            })
            .collect();
        self.warnings.extend(told);
    }

    /// What it is known by to the data plane.
    pub(crate) fn key(&self) -> ListenerKey {
        let (kind, owner) = self.owner;
        ListenerKey {
            parent: match kind {
                Kind::ListenerSet => ListenerParent::ListenerSet,
                _ => ListenerParent::Gateway,
            },
            namespace: Arc::clone(&owner.namespace),
            name: Arc::clone(&owner.name),
            listener: self.name.into(),
        }
    }

    /// Whether clients' TLS ends here.
    pub(crate) fn terminates(&self) -> bool {
        self.protocol.is_some_and(Protocol::terminates)
    }

    /// What it shares its socket with, and what over.
    pub(crate) fn carrier(&self) -> Option<Carrier> {
        self.protocol.map(Protocol::carrier)
    }

    /// The port with what it is numbered for, if it can be one.
    pub(crate) fn numbered(&self) -> Option<(Transport, u16)> {
        let port = u16::try_from(self.port).ok().filter(|port| *port != 0)?;
        Some((self.protocol?.transport(), port))
    }

    /// References of its own, or made on its behalf, lead nowhere.
    pub(crate) fn leave_unresolved(&mut self, faults: impl IntoIterator<Item = Fault>) {
        let all: Vec<_> = self.unresolved.take().into_iter().chain(faults).collect();
        self.unresolved = Fault::join(&all);
    }

    /// Whether all references lead somewhere.
    pub(crate) const fn resolved(&self) -> bool {
        self.unresolved.is_none()
    }

    fn take_kinds(&mut self, declared: &[(&str, &str)]) -> Vec<Fault> {
        let Some(protocol) = self.protocol else {
            return Vec::new();
        };
        if declared.is_empty() {
            self.kinds = protocol.kinds().to_vec();
        }
        let mut faults = Vec::new();
        for (group, kind) in declared {
            match Kind::find(group, kind).filter(|kind| protocol.kinds().contains(kind)) {
                Some(kind) if self.kinds.contains(&kind) => {}
                Some(kind) => self.kinds.push(kind),
                None => faults.push(Fault::new(
                    reasons::INVALID_ROUTE_KINDS,
                    format!("{kind} of group {group:?} cannot attach to this listener"),
                )),
            }
        }
        faults
    }

    fn take_certificates(
        &mut self,
        references: &[CertificateRef<'_>],
        lookup: &Lookup<'_>,
        certificates: &mut Certificates<'_>,
    ) -> Vec<Fault> {
        let invalid = |message: String| Fault::new(reasons::INVALID_CERTIFICATE_REF, message);
        if references.is_empty() {
            return vec![invalid("tls.certificateRefs names no Secret".to_owned())];
        }
        let (kind, owner) = self.owner;
        let mut faults = Vec::new();
        for reference in references {
            let namespace = reference.namespace.unwrap_or(&owner.namespace);
            let key = ObjectKey::new(namespace, reference.name);
            if Kind::find(reference.group, reference.kind) != Some(Kind::Secret) {
                faults.push(invalid(format!(
                    "certificateRef {}: {} of group {:?} is not supported; use a Secret",
                    reference.name, reference.kind, reference.group
                )));
            } else if !lookup.permit(kind, &owner.namespace, Kind::Secret, &key) {
                faults.push(Fault::new(
                    reasons::REF_NOT_PERMITTED,
                    format!(
                        "no ReferenceGrant in namespace {namespace} lets {kind}s of namespace {} use Secret {key}",
                        owner.namespace
                    ),
                ));
            } else {
                match certificates.get(&key) {
                    Ok((certificate, family)) => {
                        self.certificates.push(certificate);
                        self.families.push(family);
                    }
                    Err(error) => faults.push(invalid(error.to_string())),
                }
            }
        }
        faults
    }

    /// Whether the specification accepts it; it may still lack certificates.
    pub(crate) const fn accepted(&self) -> bool {
        self.refused.is_none() && self.conflict.is_none()
    }

    /// Whether something could be served: it is accepted and what it cannot do without resolves.
    pub(crate) fn usable(&self) -> bool {
        let certified = !self.terminates() || !self.certificates.is_empty();
        self.accepted() && certified && !self.kinds.is_empty()
    }

    /// Whether the data plane serves it.
    pub(crate) fn programmed(&self) -> bool {
        self.usable() && !self.dormant && !self.waiting
    }

    /// Whether routes of that kind and namespace may attach.
    pub(crate) fn allows(&self, kind: Kind, namespace: &str, lookup: &Lookup<'_>) -> bool {
        self.kinds.contains(&kind)
            && self
                .namespaces
                .allow(&self.owner.1.namespace, namespace, lookup.view())
    }

    /// > Listener or Route status does not impact successful attachment. (So a refused listener counts routes too.)
    pub(crate) fn status(&self) -> ListenerStatus {
        let fault = self.conflict.as_ref().or(self.refused.as_ref());
        let accepted = match fault {
            Some(fault) => fault.fails(types::ACCEPTED),
            None => {
                let warnings = fault::join(self.warnings.iter().map(String::as_str));
                Condition::holds(types::ACCEPTED, reasons::ACCEPTED, warnings)
            }
        };
        let programmed = match &self.conflict {
            Some(conflict) => conflict.fails(types::PROGRAMMED),
            None if self.programmed() => Condition::ok(types::PROGRAMMED),
            None if self.waiting => {
                let why = "waiting for a port of the Gateway's Service";
                Condition::fails(types::PROGRAMMED, reasons::PENDING, why)
            }
            None => {
                let why = if self.dormant && fault.is_none() {
                    "the Gateway is not accepted"
                } else {
                    "not served; see Accepted and ResolvedRefs"
                };
                Condition::fails(types::PROGRAMMED, reasons::INVALID, why)
            }
        };
        let resolved = match &self.unresolved {
            Some(fault) => fault.fails(types::RESOLVED_REFS),
            None => Condition::ok(types::RESOLVED_REFS),
        };
        let conflicted = match &self.conflict {
            Some(fault) => Condition::holds(types::CONFLICTED, fault.reason, fault.message.clone()),
            None => Condition::fails(types::CONFLICTED, reasons::NO_CONFLICTS, ""),
        };
        let overlap = (self.overlaps && self.accepted()).then(|| {
            Condition::holds(
                types::OVERLAPPING_TLS,
                reasons::OVERLAPPING_HOSTNAMES,
                "the hostname overlaps with another TLS listener of this port",
            )
        });
        ListenerStatus {
            name: self.name.to_owned(),
            supported_kinds: self.kinds.iter().map(|kind| kind.as_str()).collect(),
            attached_routes: self.attached,
            conditions: [accepted, programmed, resolved, conflicted]
                .into_iter()
                .chain(overlap)
                .collect(),
        }
    }
}
