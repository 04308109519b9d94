//! Rules that want to know who asks: what happens between the cheap checks and everything else, and may take time.

use std::{rc::Rc, sync::Arc};

use http::{HeaderValue, Response, StatusCode, header};
use ir::{AuthCookies, ExternalAuth};
use tokio::time::{Instant, sleep_until};

use super::{Arrival, Begun, act, decided, decor::Asker, question, refuse};
use crate::{
    auth::external,
    balance::ClusterState,
    body::{DownBody, Waits},
    decision::{self, Stage},
    error::ProxyError,
    exchange::Exchange,
    filter::compose,
    snapshot::{Authenticator, RuleState, Snapshot},
    upstream::Answer,
    view::fields,
};

/// A request that waits to be let in by its rule. Nothing of its body has been read.
pub(crate) struct Held {
    pub(super) arrival: Arrival,
    pub(super) rule: Arc<RuleState>,
    pub(super) asker: Asker,
}

/// A request that waits to be let in by its listener.
pub(crate) struct Asked {
    pub(super) arrival: Arrival,
    pub(super) auths: Arc<[Authenticator]>,
    /// What it came under.
    pub(super) snapshot: Arc<Snapshot>,
}

/// Cookies of authenticators that go to the client with the answer, and with which answers.
#[derive(Default)]
pub(crate) struct Cookies(Vec<(AuthCookies, HeaderValue)>);

impl Cookies {
    fn take(&mut self, auth: &ExternalAuth, headers: &http::HeaderMap) {
        if auth.cookies != AuthCookies::Denials {
            let found = headers.get_all(header::SET_COOKIE).iter();
            self.0
                .extend(found.map(|value| (auth.cookies, value.clone())));
        }
    }

    /// Adds them to an answer that they go with.
    pub(super) fn add<B>(self, response: &mut Response<B>) {
        let status = response.status();
        let fit = self.0.into_iter().filter(|(when, _)| when.go_with(status));
        for (_, value) in fit {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
}

/// Why a request does not come in.
enum Denial {
    /// Our own answer.
    Error(ProxyError),
    /// To where the client can sign in.
    SignIn(HeaderValue),
    /// The authenticator's answer.
    Answer(Box<Answer>),
}

impl From<ProxyError> for Denial {
    fn from(error: ProxyError) -> Self {
        Self::Error(error)
    }
}

/// Lets the request in, or answers it.
pub(super) async fn pass(mut held: Box<Held>) -> Begun {
    match checks(&mut held).await {
        Ok(()) => act(*held),
        Err(denial) => Begun::Answered(Box::new(deny(*held, denial))),
    }
}

/// Lets the request in to where routes are looked for, or answers it.
///
/// > A filter that produces a response to the client directly MUST prevent subsequent pre-routing filters from running for
/// > that request and MUST prevent route matching from running. (GEP-5224)
pub(super) async fn admit(asked: Box<Asked>) -> Begun {
    let Asked {
        mut arrival,
        auths,
        snapshot,
    } = *asked;
    for (auth, cluster) in &*auths {
        if let Err(denial) = external(&mut arrival, auth, cluster.as_deref()).await {
            let mut response = said(denial, arrival.exchange);
            arrival.cookies.add(&mut response);
            return Begun::Answered(Box::new(response));
        }
    }
    decided(arrival, snapshot, Stage::Admitted)
}

async fn checks(held: &mut Held) -> Result<(), Denial> {
    basic(held).await?;
    let basic = held.rule.rule.gates.basic_auth.as_ref();
    let sent = |arrival: &Arrival| arrival.view.headers.get(header::AUTHORIZATION).cloned();
    let kept_back = basic
        .filter(|auth| auth.kept_back)
        .and_then(|_| sent(&held.arrival));
    for (auth, cluster) in held.rule.external_auths() {
        external(&mut held.arrival, auth, cluster.as_deref()).await?;
    }
    // An authenticator may have put one of its own in its place.
    if kept_back.is_some() && sent(&held.arrival) == kept_back {
        held.arrival.view.headers.remove(header::AUTHORIZATION);
    }
    Ok(())
}

/// User name and password.
async fn basic(held: &Held) -> Result<(), ProxyError> {
    let credentials = decision::credentials(&held.rule, &held.arrival.view)?;
    let Some((auth, credentials)) = held.rule.rule.gates.basic_auth.as_ref().zip(credentials)
    else {
        return Ok(());
    };
    let worker = &held.arrival.conn.worker;
    match worker.verifier.check(auth, credentials).await? {
        true => Ok(()),
        false => Err(ProxyError::Unauthorized),
    }
}

/// Somebody else's word.
async fn external(
    arrival: &mut Arrival,
    auth: &ExternalAuth,
    cluster: Option<&ClusterState>,
) -> Result<(), Denial> {
    let cluster = cluster.ok_or(ProxyError::AuthUnreachable)?;
    let listener = arrival.advertised();
    let request = |view| compose::Request { view, listener };
    let head = question::question(request(&arrival.view), auth).ok_or(ProxyError::AuthFailed)?;
    let worker = Rc::clone(&arrival.conn.worker);
    let answer = external::ask(&worker, cluster, head, auth.timeout).await?;
    let status = answer.response.status();
    let yes = status == StatusCode::OK || status.is_success() && !auth.only_200;
    if yes {
        let headers = answer.response.headers();
        external::copy(auth.copied.as_deref(), headers, &mut arrival.view.headers);
        arrival.cookies.take(auth, headers);
        external::finish(answer);
        return Ok(());
    }
    match (status, &auth.sign_in) {
        (StatusCode::UNAUTHORIZED, Some(sign_in)) => {
            let location = question::fill(sign_in, request(&arrival.view));
            let location = location.ok_or(ProxyError::AuthFailed)?;
            arrival.cookies.take(auth, answer.response.headers());
            external::finish(answer);
            Err(Denial::SignIn(location))
        }
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
            let mut answer = answer;
            let headers = answer.response.headers_mut();
            fields::sanitise_answer(headers);
            if auth.cookies == AuthCookies::Successes {
                headers.remove(header::SET_COOKIE);
            }
            Err(Denial::Answer(Box::new(answer)))
        }
        _ => Err(ProxyError::AuthFailed.into()),
    }
}

/// A denial is answered here and now: nothing that replaces answers of backends may touch it.
fn deny(held: Held, denial: Denial) -> Response<DownBody> {
    let Held {
        arrival,
        rule,
        asker,
    } = held;
    let unknown = matches!(denial, Denial::Error(ProxyError::Unauthorized));
    let mut response = said(denial, arrival.exchange);
    if let Some(auth) = rule.rule.gates.basic_auth.as_ref().filter(|_| unknown) {
        let challenge = auth.challenge.clone();
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
    }
    arrival.cookies.add(&mut response);
    asker.decorate(&rule, response.headers_mut());
    response
}

/// What a denial says.
fn said(denial: Denial, mut exchange: Exchange) -> Response<DownBody> {
    match denial {
        Denial::Error(error) => refuse(error, exchange),
        Denial::SignIn(location) => {
            exchange.answered(StatusCode::FOUND, Some("auth_sign_in"));
            let mut response = Response::new(DownBody::text("", exchange));
            *response.status_mut() = StatusCode::FOUND;
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        Denial::Answer(answer) => {
            let Answer { response, lease } = *answer;
            exchange.answered(response.status(), Some("auth_denied"));
            let (mut parts, body) = response.into_parts();
            parts.version = http::Version::HTTP_11;
            let deadline = Box::pin(sleep_until(Instant::now() + external::REST_OF_A_NO));
            let waits = Waits {
                deadline: Some(deadline),
                silence: None,
            };
            let body = DownBody::upstream(body, lease, waits, true, exchange);
            Response::from_parts(parts, body)
        }
    }
}
