//! Error pages: another backend is asked in the stead of one that answered badly, or not at all.

use std::{rc::Rc, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, uri::PathAndQuery};
use hyper::body::Body;
use ir::Told;

use super::{
    attempt::{self, Step},
    forward::Call,
};
use crate::{
    body::UpBody,
    decision,
    error::{ProxyError, Side},
    upstream::{Answer, Head, Outgoing, Progress},
    view::{View, fields},
};

/// How long a page may take where the rule says nothing about attempts.
const LIMIT: Duration = Duration::from_secs(30);

const CODE: HeaderName = HeaderName::from_static("x-code");
const FORMAT: HeaderName = HeaderName::from_static("x-format");
const ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");

/// What a page is not asked with: it is another request than the client's, and whoever has pages needs no passwords.
const LEFT_OUT: [HeaderName; 15] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::CONNECTION,
    header::UPGRADE,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::TE,
    header::RANGE,
    header::IF_RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    FORMAT,
];

/// Who was let in is not for a page to say.
const DENIALS: [StatusCode; 3] = [
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::PROXY_AUTHENTICATION_REQUIRED,
];

/// What the client asked for, before any rewrite.
pub(super) struct Original {
    uri: Option<HeaderValue>,
    host: HeaderValue,
}

impl Original {
    pub(super) fn of(view: &View) -> Box<Self> {
        Box::new(Self {
            uri: HeaderValue::from_str(view.target().as_str()).ok(),
            host: view.authority().clone(),
        })
    }
}

/// The page in the stead of an outcome that the rule has one for; once, and whatever the page says. When there is none
/// to be had, the outcome stays.
pub(super) async fn page(
    call: &mut Call,
    outcome: Result<Answer, ProxyError>,
) -> Result<Answer, ProxyError> {
    let status = match &outcome {
        Ok(answer) => answer.response.status(),
        Err(error) if error.blame() == Side::Upstream => decision::status(&call.rule, *error),
        Err(_) => return outcome,
    };
    let rule = Arc::clone(&call.rule);
    let wanted = rule
        .error_page()
        .is_some_and(|(statuses, _)| statuses.contains(&status));
    if !wanted {
        return outcome;
    }
    let Some(mut page) = ask(call, status).await else {
        return outcome;
    };
    if let Ok(first) = outcome {
        if DENIALS.contains(&status) {
            *page.response.status_mut() = status;
            for name in [header::WWW_AUTHENTICATE, header::PROXY_AUTHENTICATE] {
                for value in first.response.headers().get_all(&name) {
                    page.response
                        .headers_mut()
                        .append(name.clone(), value.clone());
                }
            }
        }
        if let Some(lease) = first
            .lease
            .filter(|_| first.response.body().is_end_stream())
        {
            lease.give_back();
        }
    }
    Ok(page)
}

async fn ask(call: &mut Call, status: StatusCode) -> Option<Answer> {
    let worker = Rc::clone(&call.conn.worker);
    let rule = Arc::clone(&call.rule);
    let (_, cluster) = rule.error_page()?;
    let head = head(call, status);
    let own = rule.forward().and_then(|forward| forward.timeouts.attempt);
    let mut pooled = true;
    let mut tried = Vec::new();
    loop {
        let picked = cluster.pick_untried(None, 0, &tried)?;
        let endpoint = picked.endpoint;
        let mut step = Step {
            cluster,
            picked,
            host: &head.host,
            protocol: cluster.cluster.upstream,
            pooled,
            limit: Some(own.unwrap_or(LIMIT)),
            allowance: None,
        };
        let mut request = Outgoing::new(head.clone(), UpBody::Empty);
        match attempt::send(&worker, &mut step, &mut request, &mut call.exchange).await {
            Ok(answer) => {
                call.cluster = Arc::clone(cluster);
                return Some(answer);
            }
            Err(failure) => match failure.progress {
                // An idle connection that turned out to be closed, or full; a new one is made.
                Progress::Unsent(_) | Progress::PooledClosed | Progress::Refused if pooled => {
                    pooled = false;
                }
                Progress::NoConnection(_) => {
                    tried.push(endpoint.clone());
                    if !cluster.goes_on(&tried) {
                        return None;
                    }
                }
                Progress::Unsent(_)
                | Progress::PooledClosed
                | Progress::Refused
                | Progress::Closed => return None,
            },
        }
    }
}

/// Says why somebody stands in for a backend. What the client said about that goes.
fn say(status: StatusCode, headers: &mut HeaderMap) {
    headers.insert(CODE, HeaderValue::from(status.as_u16()));
    match headers.get(header::ACCEPT).cloned() {
        Some(accept) => headers.insert(FORMAT, accept),
        None => headers.remove(FORMAT),
    };
}

/// [`say`], and for whom.
pub(crate) fn tell(told: &Told, status: StatusCode, headers: &mut HeaderMap) {
    let names = told.0.iter().map(|(name, _)| name);
    fields::remove_aliases(headers, names.chain([&CODE, &FORMAT]));
    say(status, headers);
    for (name, value) in &told.0 {
        headers.insert(name, value.clone());
    }
}

fn head(call: &Call, status: StatusCode) -> Head {
    let mut headers: HeaderMap = call.head.headers.clone();
    for name in &LEFT_OUT {
        headers.remove(name);
    }
    say(status, &mut headers);
    let fallback = call
        .rule
        .forward()
        .and_then(|forward| forward.fallback.as_ref());
    if let Some(told) = fallback.and_then(|fallback| fallback.told.as_deref()) {
        tell(told, status, &mut headers);
    }
    let original = call.original.as_ref();
    match original.and_then(|original| original.uri.clone()) {
        Some(uri) => headers.insert(ORIGINAL_URI, uri),
        None => headers.remove(ORIGINAL_URI),
    };
    Head {
        method: match call.head.method {
            Method::HEAD => Method::HEAD,
            _ => Method::GET,
        },
        target: PathAndQuery::from_static("/"),
        host: original.map_or_else(|| call.head.host.clone(), |original| original.host.clone()),
        headers,
    }
}
