//! Sessions of a rule: its own `sessionPersistence`, or the `sessionCookie` of a BackendPolicy.

use api::gateway::{SessionPersistence, httproutes::HttpRouteRules};
use http::{HeaderName, header};
use ir::{Cookie, SessionCarrier, SessionLifetime, SessionToken, VaryingAttributes};

use super::{Owner, TranslatedRule, timing::duration};
use crate::{fault::Fault, filter::unsupported, http_route::fnv, lookup::Lookup, policy};

/// The rule's session, if it has one. `id` tells the rule from the others of its route, `place` is where it stands
/// there.
pub(super) fn of(
    (declared, id, place): (&HttpRouteRules, &str, usize),
    owner: Owner<'_>,
    lookup: &Lookup<'_>,
    rule: &mut TranslatedRule,
) -> Option<SessionToken> {
    let policies = lookup.rule_backend_policies(owner.reference, declared.name.as_deref());
    let cookie = policies
        .iter()
        .find_map(|policy| policy.spec.session_cookie.as_ref());
    let session = match (&declared.session_persistence, cookie) {
        (Some(own), cookie) => {
            if cookie.is_some() {
                let message = "sessionCookie of a BackendPolicy is not used: sessionPersistence of the rule goes before";
                rule.warnings.push(message.to_owned());
            }
            let beyond = lookup
                .view()
                .beyond(owner.reference.kind, &owner.reference.key);
            let fields = beyond.and_then(|beyond| beyond.session(place));
            let own = SessionPersistence::from(own).with(&fields.cloned().unwrap_or_default());
            persistent(&own, || generated(owner, id))
        }
        (None, Some(cookie)) => policy::session_cookie(cookie),
        (None, None) => return None,
    };
    session.map_err(|fault| rule.faults.push(fault)).ok()
}

/// > If not specified, a unique cookie name SHOULD be generated.
fn generated(owner: Owner<'_>, id: &str) -> String {
    let text = format!("{}/{id}", owner.text);
    format!("postern-{:016x}", fnv(text.as_bytes()))
}

/// A session as Gateway API declares it (GEP-1619). It goes before weights: a client stays with its endpoint, whatever
/// share that has.
fn persistent(
    declared: &SessionPersistence,
    generated: impl FnOnce() -> String,
) -> Result<SessionToken, Fault> {
    let time = |field: &str, text: &Option<String>| -> Result<_, Fault> {
        duration(&format!("sessionPersistence.{field}"), text.as_deref())
    };
    let lifetime = SessionLifetime {
        absolute: time("absoluteTimeout", &declared.absolute_timeout)?,
        idle: time("idleTimeout", &declared.idle_timeout)?,
    };
    let permanent = declared.permanent && !declared.in_header;
    if permanent && lifetime.absolute.is_none() {
        return Err(unsupported(
            "sessionPersistence: lifetimeType Permanent needs an absoluteTimeout",
        ));
    }
    let name = declared.name.clone().unwrap_or_else(generated);
    let path = declared.path.as_deref().unwrap_or("/");
    legal_cookie(&name, path)?;
    let carrier = match declared.in_header {
        true => SessionCarrier::Header(header_name(&name)?),
        false => SessionCarrier::Cookie(Cookie {
            name: name.into(),
            attributes: format!("; Path={path}; HttpOnly").into(),
            varying: VaryingAttributes {
                max_age: permanent,
                secure_over_https: true,
                ..VaryingAttributes::default()
            },
        }),
    };
    Ok(SessionToken {
        lifetime,
        ..SessionToken::new(carrier)
    })
}

fn legal_cookie(name: &str, path: &str) -> Result<(), Fault> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(unsupported(format!(
            "sessionPersistence: {name:?} is no name of a cookie"
        )));
    }
    if !path.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b';') {
        return Err(unsupported(format!(
            "sessionPersistence: path {path:?} has a character that no cookie takes"
        )));
    }
    Ok(())
}

/// A header that a token may stand in: one that has a meaning of its own would lose it.
fn header_name(name: &str) -> Result<HeaderName, Fault> {
    let taken = [
        header::HOST,
        header::COOKIE,
        header::SET_COOKIE,
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::LOCATION,
    ];
    let parsed = HeaderName::try_from(name).ok();
    let free =
        |name: &HeaderName| !taken.contains(name) && !api::header::frames_a_message(name.as_str());
    parsed.filter(free).ok_or_else(|| {
        unsupported(format!(
            "sessionPersistence: {name:?} is no header that a session can have"
        ))
    })
}
