//! `filters.requests` of listeners: what requests must pass before a route is looked for (GEP-5224).
//!
//! > If a filter is unsupported by the implementation, the listener MUST be rejected via status (`Accepted=False`,
//! > `Reason=UnsupportedValue`) rather than the filter silently omitted.

use std::sync::Arc;

use api::{
    ObjectRef,
    condition::reasons,
    gateway::{ListenerFilter, ListenerFilterType, ListenerFilters},
};
use ir::{Admission, ExternalAuth};

use crate::{
    backend::ClusterRef, fault::Fault, filter::external_auth, lookup::Lookup, protocol::Protocol,
};

/// The API server takes no more.
const MOST: usize = 16;

/// What the filters of a listener come to.
#[derive(Debug, Default)]
pub(super) struct Filters {
    pub(super) admission: Admission,
    /// Clusters of authenticators.
    pub(super) clusters: Vec<Arc<ClusterRef>>,
    /// Why the listener is not accepted.
    pub(super) refused: Option<Fault>,
    /// References that lead nowhere. Every request is answered 500.
    pub(super) unresolved: Vec<Fault>,
}

pub(super) fn of(
    declared: &ListenerFilters,
    (owner, protocol): (&ObjectRef, Option<Protocol>),
    lookup: &Lookup<'_>,
) -> Filters {
    let mut filters = Filters::default();
    let unfit = protocol.is_some_and(Protocol::streams);
    if unfit || declared.requests.len() > MOST {
        let (reason, message) = match unfit {
            true => (
                reasons::UNSUPPORTED_VALUE,
                "filters has a meaning with protocols HTTP and HTTPS alone",
            ),
            false => (
                reasons::INVALID_LISTENER_FILTER,
                "filters.requests has more than 16 filters",
            ),
        };
        filters.refused = Some(Fault::new(reason, message));
        return filters;
    }
    let mut auths = Vec::new();
    for (place, filter) in declared.requests.iter().enumerate() {
        let at = |fault: Fault| {
            let message = format!("filters.requests[{place}]: {}", fault.message);
            Fault::new(fault.reason, message)
        };
        match one(filter, owner, lookup) {
            Ok(Ok((auth, cluster))) => {
                auths.push(Arc::new(auth));
                filters.clusters.push(Arc::new(cluster));
            }
            Ok(Err(fault)) => filters.unresolved.push(at(reference(fault))),
            Err(fault) => filters.refused = filters.refused.or(Some(at(fault))),
        }
    }
    filters.admission = match (filters.unresolved.is_empty(), auths.is_empty()) {
        (false, _) => Admission::Closed,
        (true, true) => Admission::Open,
        (true, false) => Admission::Ask(auths),
    };
    if filters.admission == Admission::Closed {
        filters.clusters.clear();
    }
    filters
}

fn reference(fault: Fault) -> Fault {
    match fault.reason {
        reasons::REF_NOT_PERMITTED => fault,
        _ => Fault::new(reasons::INVALID_LISTENER_FILTER_REF, fault.message),
    }
}

/// Who is asked, or what is wrong: in a reference, or in a value.
fn one(
    filter: &ListenerFilter,
    owner: &ObjectRef,
    lookup: &Lookup<'_>,
) -> Result<Result<(ExternalAuth, ClusterRef), Fault>, Fault> {
    let unsupported = |message: String| Fault::new(reasons::UNSUPPORTED_VALUE, message);
    let invalid = |message: &str| Fault::new(reasons::INVALID_LISTENER_FILTER, message);
    match (filter.r#type, &filter.external_auth, &filter.extension_ref) {
        (ListenerFilterType::ExternalAuth, Some(declared), None) => {
            let names = declared.http.as_ref();
            let mut names = names
                .and_then(|http| http.allowed_response_headers.as_ref())
                .into_iter()
                .flatten();
            // > Pre-routing filters MUST NOT modify the `Host` or `:authority` header.
            if names.any(|name| name.eq_ignore_ascii_case("host")) {
                let message = "externalAuth.http.allowedResponseHeaders names Host, which no filter of a listener may change";
                return Err(invalid(message));
            }
            external_auth::parse(declared, owner, lookup)
        }
        (ListenerFilterType::ExtensionRef, None, Some(reference)) => Err(unsupported(format!(
            "ExtensionRef to {} {} of group {:?} is not supported; use ExternalAuth",
            reference.kind, reference.name, reference.group
        ))),
        (ListenerFilterType::ExternalAuth, ..) => Err(invalid(
            "a filter of type ExternalAuth takes the field externalAuth and no other",
        )),
        (ListenerFilterType::ExtensionRef, ..) => Err(invalid(
            "a filter of type ExtensionRef takes the field extensionRef and no other",
        )),
    }
}
