//! `tls.frontend` of Gateways: which certificates clients have to show.

use api::{
    Kind, ObjectKey,
    condition::reasons,
    gateway::{
        Gateway,
        gateways::{
            GatewayTlsFrontend, GatewayTlsFrontendDefaultValidationMode as DefaultMode,
            GatewayTlsFrontendPerPortTlsValidationMode as PortMode,
        },
    },
};
use ir::{Authorities, ClientAuth};

use crate::{cert, fault::Fault, listener::Listener, lookup::Lookup, protocol::Protocol};

/// What is asked of clients of one port.
struct Validation<'a> {
    authorities: Vec<Reference<'a>>,
    /// Whatever a client shows, it is let in.
    insecure: bool,
}

struct Reference<'a> {
    group: &'a str,
    kind: &'a str,
    namespace: Option<&'a str>,
    name: &'a str,
}

/// The generated types of the two places have the same shape under different names.
macro_rules! validation {
    ($validation:expr, $mode:ident) => {{
        let validation = $validation;
        Validation {
            authorities: validation
                .ca_certificate_refs
                .iter()
                .map(|reference| Reference {
                    group: &reference.group,
                    kind: &reference.kind,
                    namespace: reference.namespace.as_deref(),
                    name: &reference.name,
                })
                .collect(),
            insecure: validation.mode == Some($mode::AllowInsecureFallback),
        }
    }};
}

/// > Once set this configuration overrides the default configuration for all Listeners handling HTTPS traffic that
/// > match this port.
fn of_port(frontend: &GatewayTlsFrontend, port: i32) -> Option<Validation<'_>> {
    let mut per_port = frontend.per_port.iter().flatten();
    match per_port.find(|entry| entry.port == port) {
        Some(entry) => entry
            .tls
            .validation
            .as_ref()
            .map(|v| validation!(v, PortMode)),
        None => frontend
            .default
            .validation
            .as_ref()
            .map(|v| validation!(v, DefaultMode)),
    }
}

/// Whether clients of any port are let in whatever they show.
pub(crate) fn is_insecure(gateway: &Gateway) -> bool {
    let frontend = gateway
        .spec
        .tls
        .as_ref()
        .and_then(|tls| tls.frontend.as_ref());
    frontend.is_some_and(|frontend| {
        let mut ports = frontend.per_port.iter().flatten();
        let default = frontend.default.validation.as_ref();
        default.is_some_and(|v| v.mode == Some(DefaultMode::AllowInsecureFallback))
            || ports.any(|entry| {
                let validation = entry.tls.validation.as_ref();
                validation.is_some_and(|v| v.mode == Some(PortMode::AllowInsecureFallback))
            })
    })
}

/// Has a listener ask clients for certificates as its Gateway says. A ClientPolicy, which is about one listener, goes
/// before.
///
/// > The `ResolvedRefs` condition is set to `status: False` on all targeted listeners. If ALL CACertificateRefs are
/// > invalid, `Accepted` is False too, with the reason `NoValidCACertificate`.
pub(crate) fn validate(
    (key, gateway): (&ObjectKey, &Gateway),
    listener: &mut Listener<'_>,
    lookup: &Lookup<'_>,
) {
    let tls = gateway.spec.tls.as_ref();
    let frontend = tls.and_then(|tls| tls.frontend.as_ref());
    let asked = listener.protocol == Some(Protocol::Https);
    let Some(validation) = frontend
        .filter(|_| asked)
        .and_then(|f| of_port(f, listener.port))
    else {
        return;
    };
    let references = validation.authorities.iter();
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for outcome in references.map(|reference| authorities(key, reference, lookup)) {
        match outcome {
            Ok(found) => good.push(found),
            Err(fault) => bad.push(fault),
        }
    }
    let found = cert::joined(good);
    if found.is_none() && listener.refused.is_none() {
        let message = "tls.frontend of the Gateway asks for clients' certificates, and none of its caCertificateRefs can be used";
        listener.refused = Some(Fault::new(reasons::NO_VALID_CA_CERTIFICATE, message));
    }
    listener.leave_unresolved(bad);
    let clients = &mut listener.clients.clients;
    if *clients == ClientAuth::None {
        *clients = match found {
            None => ClientAuth::Refuse,
            Some(_) if validation.insecure => ClientAuth::Requested,
            Some(authorities) => ClientAuth::Required(authorities),
        };
    }
}

fn authorities(
    gateway: &ObjectKey,
    reference: &Reference<'_>,
    lookup: &Lookup<'_>,
) -> Result<Authorities, Fault> {
    let Some(kind) = cert::bundle_kind(reference.group, reference.kind) else {
        let message = format!(
            "caCertificateRef {}: {} of group {:?} is not supported; use a ConfigMap or a ClusterTrustBundle",
            reference.name, reference.kind, reference.group
        );
        return Err(Fault::new(reasons::INVALID_CA_CERTIFICATE_KIND, message));
    };
    let namespace = match (kind.namespaced(), reference.namespace) {
        (true, namespace) => namespace.unwrap_or(&gateway.namespace),
        (false, None) => "",
        // > For cluster-scoped resources, the `namespace` field MUST be unset.
        (false, Some(namespace)) => {
            let message = format!(
                "caCertificateRef {}: a {kind} is in no namespace; take namespace {namespace:?} out",
                reference.name
            );
            return Err(Fault::new(reasons::INVALID_CA_CERTIFICATE_REF, message));
        }
    };
    let key = ObjectKey::new(namespace, reference.name);
    if kind.namespaced() && !lookup.permit(Kind::Gateway, &gateway.namespace, kind, &key) {
        let message = format!(
            "no ReferenceGrant in namespace {namespace} lets Gateways of namespace {} use {kind} {key}",
            gateway.namespace
        );
        return Err(Fault::new(reasons::REF_NOT_PERMITTED, message));
    }
    cert::bundle(kind, &key, lookup).map_err(|why| {
        let message = format!("caCertificateRef {}: {kind} {key} {why}", reference.name);
        Fault::new(reasons::INVALID_CA_CERTIFICATE_REF, message)
    })
}
