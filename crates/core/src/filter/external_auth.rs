//! The ExternalAuth filter of HTTPRoute: an authenticator that speaks HTTP.

use api::{
    ObjectRef,
    gateway::httproutes::{
        HttpRouteRulesFiltersExternalAuth, HttpRouteRulesFiltersExternalAuthProtocol,
    },
};
use http::uri::PathAndQuery;
use ir::{AuthCookies, ExternalAuth, Template, Variable};

use super::unsupported;
use crate::{
    backend::{BackendRef, ClusterRef, resolve},
    fault::Fault,
    lookup::Lookup,
    policy,
};

/// What the filter asks for, or why its rule is closed: in a value, or in a reference.
pub(crate) fn parse(
    declared: &HttpRouteRulesFiltersExternalAuth,
    from: &ObjectRef,
    lookup: &Lookup<'_>,
) -> Result<Result<(ExternalAuth, ClusterRef), Fault>, Fault> {
    if declared.protocol != HttpRouteRulesFiltersExternalAuthProtocol::Http {
        return Err(unsupported("externalAuth.protocol: only HTTP is spoken"));
    }
    let body = declared.forward_body.as_ref();
    if body.and_then(|body| body.max_size).unwrap_or(0) != 0 {
        return Err(unsupported("externalAuth.forwardBody: bodies are not sent"));
    }
    let http = declared.http.as_ref();
    let list = |names: Option<&Vec<String>>, field: &str| {
        let names = names.map(Vec::as_slice).unwrap_or_default();
        policy::header_names(names, field).map_err(|fault| unsupported(fault.message))
    };
    let sent = list(
        http.and_then(|http| http.allowed_headers.as_ref()),
        "externalAuth.http.allowedHeaders",
    )?;
    let copied = list(
        http.and_then(|http| http.allowed_response_headers.as_ref()),
        "externalAuth.http.allowedResponseHeaders",
    )?;
    let path = http
        .and_then(|http| http.path.as_deref())
        .unwrap_or_default();
    let prefix = prefix(path)?;
    let reference = &declared.backend_ref;
    let reference = BackendRef {
        from: from.kind,
        group: reference.group.as_deref(),
        kind: reference.kind.as_deref(),
        namespace: reference.namespace.as_deref(),
        name: &reference.name,
        port: reference.port,
    };
    let cluster = match resolve(&reference, (&from.key.namespace, None), lookup) {
        Ok(cluster) => cluster,
        Err(error) => return Ok(Err(error.into())),
    };
    let auth = ExternalAuth {
        cluster: cluster.key.clone(),
        method: None,
        host: None,
        target: Template::prefixed(prefix, Variable::RequestUri),
        sent: Some(sent),
        only_200: true,
        copied: (!copied.is_empty()).then_some(copied),
        sign_in: None,
        back_to: Template::prefixed("", Variable::RequestUri),
        cookies: AuthCookies::Denials,
        timeout: policy::EXTERNAL_AUTH_TIMEOUT,
    };
    Ok(Ok((auth, cluster)))
}

/// What stands before the path of each request. "Implementations MUST sanitize this input."
fn prefix(path: &str) -> Result<&str, Fault> {
    let bare = path.trim_end_matches('/');
    let dots = bare.split('/').any(|segment| matches!(segment, "." | ".."));
    let legal = bare.is_empty() || (bare.starts_with('/') && PathAndQuery::try_from(bare).is_ok());
    if !legal || dots || bare.contains(['?', '#', '%', '\\']) || bare.contains("//") {
        let message =
            format!("externalAuth.http.path {path:?} is no path without dot segments and escapes");
        return Err(unsupported(message));
    }
    Ok(bare)
}
