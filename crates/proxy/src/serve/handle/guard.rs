//! Rules that want to know who asks: what happens between the cheap checks and everything else, and may take time.

use std::{rc::Rc, sync::Arc};

use http::{HeaderValue, Response, StatusCode, header};
use ir::{AuthCookies, ExternalAuth};

use super::{Arrival, Begun, act, decided, decor::Asker, question, refusal::Denial};
use crate::{
    http::{error::ProxyError, view::fields},
    policy::{auth::external, filter::compose},
    serve::decision::{self, Stage},
    snapshot::{Authenticator, RuleState, Snapshot},
    upstream::balance::ClusterState,
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

/// Lets the request in, or answers it.
pub(super) async fn pass(mut held: Box<Held>) -> Begun {
    match checks(&mut held).await {
        Ok(()) => act(*held),
        Err(denial) => denial.begun(*held),
    }
}

/// Lets the request in to where routes are looked for, or answers it.
///
/// > A filter that produces a response to the client directly MUST prevent subsequent pre-routing filters from running
/// > for that request and MUST prevent route matching from running. (GEP-5224)
pub(super) async fn admit(asked: Box<Asked>) -> Begun {
    let Asked {
        mut arrival,
        auths,
        snapshot,
    } = *asked;
    for (auth, cluster) in &*auths {
        if let Err(denial) = external(&mut arrival, auth, cluster.as_deref()).await {
            let mut response = denial.said(arrival.exchange);
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
        held.arrival.view.keep_back();
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
    let answer = external::ask(&worker.upstream, cluster, head, auth.timeout).await?;
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
            Err(Denial::Answered(Box::new(answer)))
        }
        _ => Err(ProxyError::AuthFailed.into()),
    }
}
