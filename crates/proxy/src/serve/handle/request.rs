//! What a backend shall see of a request.

use http::{HeaderValue, header};
use ir::{Backend, ForwardedField, HashKey, RequestStep, Rewrite};

use crate::{
    http::{
        error::ProxyError,
        target::path_and_query,
        view::{View, fields},
    },
    policy::filter::{
        compose::{self, Change},
        headers, rewrite,
    },
    router,
    serve::decision,
    snapshot::RuleState,
    upstream::{Head, balance},
};

/// The hash of what a cluster balances by, if the request has it.
pub(super) fn hash_key(by: &HashKey, view: &View) -> Option<u64> {
    let hash = |text: &str| balance::hash(text.as_bytes());
    match by {
        HashKey::Uri => Some(hash(view.target().as_str())),
        HashKey::Host => Some(hash(view.host())),
        HashKey::ClientAddress => Some(hash(&view.client().counted().to_string())),
        HashKey::Header(name) => {
            { view.headers.get(name) }.map(|value| balance::hash(value.as_bytes()))
        }
        HashKey::Query(name) => { view.query() }
            .and_then(|query| router::query_value(query, name))
            .map(|value| hash(&value)),
    }
}

/// The head that goes to the backend, after the rule's request steps, before the backend's own, of which `own` is the
/// rewrite: a path that is rewritten is read as it was matched. `upgrade` is what is offered to it, `listener` the port
/// of the listener, as clients know it.
///
/// # Errors
/// A value of the request does not fit where the rule puts it.
pub(crate) fn head(
    (rule, own): (&RuleState, Option<&Rewrite>),
    mut view: View,
    upgrade: Option<&HeaderValue>,
    listener: u16,
) -> Result<Head, ProxyError> {
    // Before the view is taken apart.
    let request = compose::Request {
        view: &view,
        listener,
    };
    let mut changes = changes(rule, request)?;
    let mut headers = std::mem::take(&mut view.headers);
    // The gateway answers `100 Continue` itself when the backend starts reading.
    headers.remove(header::EXPECT);
    if let Some(left) = decision::forwards_left(&view.method, &headers) {
        headers.insert(
            header::MAX_FORWARDS,
            HeaderValue::from(left.saturating_sub(1)),
        );
    }
    if let Some(protocols) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocols.clone());
    }
    view.add_forwarded(&mut headers);
    if !rule.rule.forwarded.is_empty() {
        view.tell(rule.rule.forwarded, listener, &mut headers);
    }
    let host = match rule.rule.forwarded.has(ForwardedField::HostAlone) {
        true => view.forwarded_host(&headers),
        false => view.authority().clone(),
    };
    let rewritten = rule.rule.request.iter().any(rewrites_path)
        || own.is_some_and(|rewrite| rewrite.path.is_some());
    let mut head = Head {
        method: std::mem::take(&mut view.method),
        target: view.into_target(rewritten),
        host,
        headers,
    };
    for step in &rule.rule.request {
        apply(step, &mut changes, &mut head);
    }
    Ok(head)
}

/// What the rule's steps make of the request, where their values are made for it. Nothing, for most rules.
fn changes(
    rule: &RuleState,
    request: compose::Request<'_>,
) -> Result<std::vec::IntoIter<Change>, ProxyError> {
    let composed = rule.rule.request.iter().filter_map(|step| match step {
        RequestStep::Composed(step) => Some(request.change(step)),
        RequestStep::Headers(_) | RequestStep::Rewrite(_) => None,
    });
    Ok(composed.collect::<Result<Vec<_>, _>>()?.into_iter())
}

const fn rewrites_path(step: &RequestStep) -> bool {
    matches!(step, RequestStep::Rewrite(Rewrite { path: Some(_), .. }))
}

/// Applies one step of a rule to a request.
fn apply(step: &RequestStep, changes: &mut impl Iterator<Item = Change>, head: &mut Head) {
    match step {
        RequestStep::Headers(mods) => headers::apply_to_request(mods, &mut head.headers),
        RequestStep::Rewrite(change) => rewrite_url(change, head),
        RequestStep::Composed(_) => {
            let change = changes.next().unwrap_or_default();
            fields::remove_aliases(
                &mut head.headers,
                change.headers.iter().map(|(name, _)| name),
            );
            compose::set(&change.headers, &mut head.headers);
            if let Some(host) = change.host {
                head.host = host;
            }
            if let Some(target) = change.target {
                head.target = target;
            }
        }
    }
}

/// What filters of a backend change, after the rule's steps.
pub(crate) fn change_for(backend: &Backend, head: &mut Head) {
    for mods in &backend.request {
        headers::apply_to_request(mods, &mut head.headers);
    }
    if let Some(change) = backend.rewrite() {
        rewrite_url(change, head);
    }
}

fn rewrite_url(Rewrite { host, path }: &Rewrite, head: &mut Head) {
    if let Some(host) = host {
        head.host = host.0.clone();
    }
    if let Some(path) = path {
        let new = rewrite::rewrite(path, head.target.path());
        head.target = path_and_query(&new, head.target.query());
    }
}
