//! Error pages: another backend is asked in the stead of one that answered badly, or not at all.

use std::{rc::Rc, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, uri::PathAndQuery};
use hyper::body::Body;
use ir::{ForwardedField, Told};

use super::{
    attempt::{self, Step},
    forward::Call,
    guard::Held,
};
use crate::{
    http::{
        error::{ProxyError, Side},
        view::{View, fields},
    },
    serve::{decision, exchange::Exchange, worker::Worker},
    snapshot::RuleState,
    upstream::{Answer, Head, Outgoing, Progress, balance::ClusterState, body::UpBody},
};

/// How long a page may take where the rule says nothing about attempts.
const LIMIT: Duration = Duration::from_secs(30);

const CODE: HeaderName = HeaderName::from_static("x-code");
const FORMAT: HeaderName = HeaderName::from_static("x-format");
const ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");

/// What a page is not asked with: it is another request than the client's, and whoever has pages needs no passwords.
const LEFT_OUT: [HeaderName; 17] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::CONNECTION,
    header::UPGRADE,
    header::EXPECT,
    header::TRAILER,
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
    pub(super) fn of(rule: &RuleState, view: &View) -> Box<Self> {
        let host = match rule.rule.forwarded.has(ForwardedField::HostAlone) {
            true => view.forwarded_host(&view.headers),
            false => view.authority().clone(),
        };
        Box::new(Self {
            uri: HeaderValue::from_str(view.target().as_str()).ok(),
            host,
        })
    }
}

/// The page in the stead of an outcome that the rule has one for; once, and whatever the page says. When there is none
/// to be had, the outcome stays.
pub(super) async fn page(
    call: &mut Call,
    outcome: Result<Answer, ProxyError>,
) -> Result<Answer, ProxyError> {
    let rule = Arc::clone(&call.rule);
    let status = match &outcome {
        Ok(answer) => answer.response.status(),
        Err(error) => decision::status(&rule, *error),
    };
    let wanted = match &outcome {
        Err(error) if error.is_about_framing() => false,
        Err(error) if error.blame() != Side::Upstream => rule.pages_refusals(status),
        _ => rule
            .error_page()
            .is_some_and(|(statuses, _)| statuses.contains(&status)),
    };
    if !wanted {
        return outcome;
    }
    let worker = Rc::clone(&call.conn.worker);
    let head = of_call(call, status);
    let Some((mut page, cluster)) = ask((&worker, &rule), head, &mut call.exchange).await else {
        return outcome;
    };
    call.cluster = cluster;
    if let Ok(first) = outcome {
        keep_denial((status, first.response.headers()), &mut page);
        if let Some(lease) = first
            .lease
            .filter(|_| first.response.body().is_end_stream())
        {
            lease.give_back();
        }
    }
    Ok(page)
}

/// Who was let in is not for a page to say: of a denial, status and challenge stay.
pub(super) fn keep_denial((status, headers): (StatusCode, &HeaderMap), page: &mut Answer) {
    if !DENIALS.contains(&status) {
        return;
    }
    *page.response.status_mut() = status;
    for name in [header::WWW_AUTHENTICATE, header::PROXY_AUTHENTICATE] {
        for value in headers.get_all(&name) {
            page.response
                .headers_mut()
                .append(name.clone(), value.clone());
        }
    }
}

/// The answer of the rule's page, and where it comes from.
pub(super) async fn ask(
    (worker, rule): (&Rc<Worker>, &RuleState),
    head: Head,
    exchange: &mut Exchange,
) -> Option<(Answer, Arc<ClusterState>)> {
    let (_, cluster) = rule.error_page()?;
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
        match attempt::send(worker, &mut step, &mut request, exchange).await {
            Ok(answer) => return Some((answer, Arc::clone(cluster))),
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

/// What a page is asked in the stead of a request that was sent to a backend.
fn of_call(call: &Call, status: StatusCode) -> Head {
    let (head, original) = (&call.head, call.original.as_deref());
    let asked = (&head.method, original, &head.host);
    question(&call.rule, head.headers.clone(), asked, status)
}

/// What a page is asked in the stead of a request that was refused.
pub(super) fn of_refused(held: &Held, status: StatusCode) -> Head {
    let Held { rule, arrival, .. } = held;
    let view = &arrival.view;
    let mut headers = view.headers.clone();
    view.add_forwarded(&mut headers);
    view.tell(rule.rule.forwarded, arrival.advertised(), &mut headers);
    let original = Original::of(rule, view);
    let asked = (&view.method, Some(&*original), view.authority());
    question(rule, headers, asked, status)
}

fn question(
    rule: &RuleState,
    mut headers: HeaderMap,
    (method, original, host): (&Method, Option<&Original>, &HeaderValue),
    status: StatusCode,
) -> Head {
    for name in &LEFT_OUT {
        headers.remove(name);
    }
    say(status, &mut headers);
    let fallback = rule.forward().and_then(|forward| forward.fallback.as_ref());
    if let Some(told) = fallback.and_then(|fallback| fallback.told.as_deref()) {
        tell(told, status, &mut headers);
    }
    match original.and_then(|original| original.uri.clone()) {
        Some(uri) => headers.insert(ORIGINAL_URI, uri),
        None => headers.remove(ORIGINAL_URI),
    };
    Head {
        method: match *method {
            Method::HEAD => Method::HEAD,
            _ => Method::GET,
        },
        target: PathAndQuery::from_static("/"),
        host: original.map_or_else(|| host.clone(), |original| original.host.clone()),
        headers,
    }
}
