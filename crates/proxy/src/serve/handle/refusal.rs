//! What a rule refuses: the gateway's own answer, or that of the page which the rule has in its stead.

use std::{rc::Rc, sync::Arc, time::Duration};

use http::{HeaderValue, Response, StatusCode, Version, header};
use tokio::time::{Instant, sleep_until};

use super::{
    Arrival, Begun,
    decor::Asker,
    fallback,
    guard::{Cookies, Held},
    leave_unread, refuse, refuse_for,
};
use crate::{
    http::{error::ProxyError, view::fields},
    policy::auth::external,
    serve::{
        body::{DownBody, Waits},
        decision,
        exchange::Exchange,
    },
    snapshot::RuleState,
    upstream::{Answer, silence::Silence},
};

/// Why a request does not come in.
pub(super) enum Denial {
    /// Our own word, and when to ask again, where that would help.
    Error(ProxyError, Option<Duration>),
    /// To where the client can sign in.
    SignIn(HeaderValue),
    /// The authenticator's answer.
    Answered(Box<Answer>),
}

impl From<ProxyError> for Denial {
    fn from(error: ProxyError) -> Self {
        Self::Error(error, None)
    }
}

/// A request that is refused, on a rule that has a page for that.
pub(crate) struct Refused {
    held: Held,
    denial: Denial,
    status: StatusCode,
}

impl Denial {
    fn status(&self, rule: &RuleState) -> StatusCode {
        match self {
            Self::Error(error, _) => decision::status(rule, *error),
            Self::SignIn(_) => StatusCode::FOUND,
            Self::Answered(answer) => answer.response.status(),
        }
    }

    /// One word for log and metrics.
    const fn flag(&self) -> &'static str {
        match self {
            Self::Error(error, _) => error.flag(),
            Self::SignIn(_) => "auth_sign_in",
            Self::Answered(_) => "auth_denied",
        }
    }

    fn is(&self, other: ProxyError) -> bool {
        matches!(self, Self::Error(error, _) if *error == other)
    }

    /// The answer, or what is left to be done for it.
    pub(super) fn begun(self, held: Held) -> Begun {
        let status = self.status(&held.rule);
        let framed = !matches!(self, Self::Error(error, _) if error.is_about_framing());
        if framed && held.rule.pages_refusals(status) {
            let denial = self;
            return Begun::Refused(Box::new(Refused {
                held,
                denial,
                status,
            }));
        }
        Begun::Answered(Box::new(self.answer(held)))
    }

    /// The gateway's own answer, or the authenticator's.
    fn answer(self, held: Held) -> Response<DownBody> {
        let rule = Arc::clone(&held.rule);
        let forbidden = self.is(ProxyError::Forbidden);
        let Held { arrival, asker, .. } = held;
        let Arrival {
            conn,
            view,
            body,
            cookies,
            exchange,
            ..
        } = arrival;
        let response = match self {
            Self::Error(error, wait) => {
                let mut response = refuse_for(&rule, error, exchange);
                let headers = response.headers_mut();
                if let Some(challenge) = challenge(&rule, error) {
                    headers.insert(header::WWW_AUTHENTICATE, challenge);
                }
                if let Some(wait) = wait {
                    headers.insert(header::RETRY_AFTER, seconds(wait));
                }
                if error == ProxyError::BodyTooLarge {
                    leave_unread(&conn, &view, body, headers);
                }
                response
            }
            denial => denial.said(exchange),
        };
        decorated(response, forbidden, (&rule, asker, cookies))
    }

    /// The answer where no rule has had its say, as for what a listener's filters refuse.
    pub(super) fn said(self, mut exchange: Exchange) -> Response<DownBody> {
        match self {
            Self::Error(error, _) => refuse(error, exchange),
            Self::SignIn(location) => {
                exchange.answered(StatusCode::FOUND, Some("auth_sign_in"));
                let mut response = Response::new(DownBody::text("", exchange));
                *response.status_mut() = StatusCode::FOUND;
                response.headers_mut().insert(header::LOCATION, location);
                response
            }
            Self::Answered(answer) => {
                let deadline = Box::pin(sleep_until(Instant::now() + external::REST_OF_A_NO));
                let waits = Waits {
                    deadline: Some(deadline),
                    silence: None,
                };
                passed(*answer, waits, ("auth_denied", exchange))
            }
        }
    }
}

fn decorated(
    mut response: Response<DownBody>,
    forbidden: bool,
    (rule, asker, cookies): (&RuleState, Asker, Cookies),
) -> Response<DownBody> {
    cookies.add(&mut response);
    // A client that may not ask learns nothing of CORS.
    match forbidden {
        true => asker.keep_to_https(rule, response.headers_mut()),
        false => asker.decorate(rule, response.headers_mut()),
    }
    response
}

/// The page in the stead of a refusal; the refusal, when there is none to be had.
pub(super) async fn page(refused: Box<Refused>) -> Response<DownBody> {
    let Refused {
        mut held,
        denial,
        status,
    } = *refused;
    let rule = Arc::clone(&held.rule);
    let worker = Rc::clone(&held.arrival.conn.worker);
    let head = fallback::of_refused(&held, status);
    let found = fallback::ask((&worker, &rule), head, &mut held.arrival.exchange).await;
    let Some((mut answer, cluster)) =
        found.filter(|(answer, _)| answer.response.status() != StatusCode::SWITCHING_PROTOCOLS)
    else {
        return denial.answer(held);
    };
    fields::sanitise_answer(answer.response.headers_mut());
    match &denial {
        Denial::Answered(first) => {
            fallback::keep_denial((status, first.response.headers()), &mut answer)
        }
        Denial::Error(error, wait) => {
            let mut own = http::HeaderMap::new();
            own.extend(challenge(&rule, *error).map(|value| (header::WWW_AUTHENTICATE, value)));
            fallback::keep_denial((status, &own), &mut answer);
            if let Some(wait) = wait {
                let headers = answer.response.headers_mut();
                headers.entry(header::RETRY_AFTER).or_insert(seconds(*wait));
            }
        }
        Denial::SignIn(_) => {}
    }
    let forbidden = denial.is(ProxyError::Forbidden);
    let flag = denial.flag();
    let too_large = denial.is(ProxyError::BodyTooLarge);
    if let Denial::Answered(first) = denial {
        external::finish(*first);
    }
    let Held { arrival, asker, .. } = held;
    let Arrival {
        conn,
        view,
        body,
        cookies,
        exchange,
        ..
    } = arrival;
    exchange.passes_on();
    let silence = cluster.cluster.timeouts.read;
    let waits = Waits {
        deadline: None,
        silence: silence.map(|limit| Box::new(Silence::new(limit))),
    };
    let mut response = passed(answer, waits, (flag, exchange));
    if too_large {
        leave_unread(&conn, &view, body, response.headers_mut());
    }
    decorated(response, forbidden, (&rule, asker, cookies))
}

/// The answer of a page or of an authenticator, as the client's.
fn passed(
    answer: Answer,
    waits: Waits,
    (flag, mut exchange): (&'static str, Exchange),
) -> Response<DownBody> {
    let Answer { response, lease } = answer;
    exchange.answered(response.status(), Some(flag));
    let (mut parts, body) = response.into_parts();
    parts.version = Version::HTTP_11;
    let body = DownBody::upstream(body, lease, waits, true, exchange);
    Response::from_parts(parts, body)
}

/// What a client who is refused has to show.
fn challenge(rule: &RuleState, error: ProxyError) -> Option<HeaderValue> {
    let auth = rule.rule.gates.basic_auth.as_ref();
    let auth = auth.filter(|_| error == ProxyError::Unauthorized);
    auth.map(|auth| auth.challenge.clone())
}

/// Whole seconds, rounded up.
fn seconds(wait: Duration) -> HeaderValue {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    HeaderValue::from(seconds.max(1))
}
