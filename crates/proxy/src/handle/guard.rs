//! Rules that want to know who asks: what happens between the cheap checks and everything else, and may take time.

use std::{rc::Rc, sync::Arc};

use http::{HeaderValue, Response, StatusCode, header};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use ir::{AuthCookies, ExternalAuth};
use tokio::time::{Instant, sleep_until};

use super::{Begun, act, decor::Asker, question, refuse};
use crate::{
    auth::external,
    balance::ClusterState,
    body::{DownBody, Waits},
    decision,
    error::ProxyError,
    exchange::Exchange,
    filter::compose,
    server::Conn,
    snapshot::RuleState,
    upstream::Answer,
    view::{View, fields},
};

/// A request that waits to be let in. Nothing of its body has been read.
pub(crate) struct Held {
    pub(super) conn: Rc<Conn>,
    pub(super) rule: Arc<RuleState>,
    pub(super) view: View,
    pub(super) body: Incoming,
    /// Where the client wants to switch protocols: its side of the connection.
    pub(super) client: Option<OnUpgrade>,
    pub(super) asker: Asker,
    /// What authenticators want the client to keep.
    pub(super) cookies: Cookies,
    pub(super) exchange: Exchange,
}

impl Held {
    /// The request, for templates.
    fn request(&self) -> compose::Request<'_> {
        compose::Request {
            view: &self.view,
            listener: self.advertised(),
        }
    }

    /// The port of the listener, as clients know it.
    pub(super) fn advertised(&self) -> u16 {
        let key = self.conn.port.key;
        let snapshot = self.conn.worker.snapshot();
        let port = snapshot.ir.ports.get(&key);
        port.and_then(|port| port.advertised).unwrap_or(key.port)
    }
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

async fn checks(held: &mut Held) -> Result<(), Denial> {
    basic(held).await?;
    let rule = Arc::clone(&held.rule);
    let basic = rule.rule.gates.basic_auth.as_ref();
    let kept_back = basic
        .filter(|auth| auth.kept_back)
        .and_then(|_| held.view.headers.get(header::AUTHORIZATION).cloned());
    for (auth, cluster) in rule.external_auths() {
        external(held, auth, cluster.as_deref()).await?;
    }
    // An authenticator may have put one of its own in its place.
    if kept_back.is_some() && held.view.headers.get(header::AUTHORIZATION) == kept_back.as_ref() {
        held.view.headers.remove(header::AUTHORIZATION);
    }
    Ok(())
}

/// User name and password.
async fn basic(held: &Held) -> Result<(), ProxyError> {
    let credentials = decision::credentials(&held.rule, &held.view)?;
    let Some((auth, credentials)) = held.rule.rule.gates.basic_auth.as_ref().zip(credentials)
    else {
        return Ok(());
    };
    match held.conn.worker.verifier.check(auth, credentials).await? {
        true => Ok(()),
        false => Err(ProxyError::Unauthorized),
    }
}

/// Somebody else's word.
async fn external(
    held: &mut Held,
    auth: &ExternalAuth,
    cluster: Option<&ClusterState>,
) -> Result<(), Denial> {
    let cluster = cluster.ok_or(ProxyError::AuthUnreachable)?;
    let head = question::question(held.request(), auth).ok_or(ProxyError::AuthFailed)?;
    let worker = Rc::clone(&held.conn.worker);
    let answer = external::ask(&worker, cluster, head, auth.timeout).await?;
    let status = answer.response.status();
    let yes = status == StatusCode::OK || status.is_success() && !auth.only_200;
    if yes {
        let headers = answer.response.headers();
        external::copy(auth.copied.as_deref(), headers, &mut held.view.headers);
        held.cookies.take(auth, headers);
        external::finish(answer);
        return Ok(());
    }
    match (status, &auth.sign_in) {
        (StatusCode::UNAUTHORIZED, Some(sign_in)) => {
            let location = question::fill(sign_in, held.request()).ok_or(ProxyError::AuthFailed)?;
            held.cookies.take(auth, answer.response.headers());
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
    let rule = Arc::clone(&held.rule);
    let mut exchange = held.exchange;
    let mut response = match denial {
        Denial::Error(error) => {
            let mut response = refuse(error, exchange);
            if let Some(auth) = &rule.rule.gates.basic_auth
                && error == ProxyError::Unauthorized
            {
                let challenge = auth.challenge.clone();
                response
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, challenge);
            }
            response
        }
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
    };
    held.cookies.add(&mut response);
    held.asker.decorate(&rule, response.headers_mut());
    response
}
