//! `affinity`, `session-cookie-*`.

use api::{BackendPolicySpec, SameSite, SessionCookie, SessionScope};

use super::{Effect, Family, Key, Reader, Settings};
use crate::{note::Outcome, value};

/// See [`Family`].
pub(super) const AFFINITY: Family = Family {
    name: "affinity",
    keys: &[
        Key {
            name: "affinity",
            doc: "cookie: a cookie ties a client to an endpoint; wins over the other two.",
            becomes: "BackendPolicy `sessionCookie`. Refused: anything but cookie; then there is no affinity.",
        },
        Key {
            name: "affinity-mode",
            doc: "balanced. A client stays with its endpoint for as long as that is there, which persistent asks for too.",
            becomes: "Nothing of its own: a client always stays with its endpoint. Refused: other words.",
        },
        Key {
            name: "session-cookie-name",
            doc: "Name of the affinity cookie. Default INGRESSCOOKIE.",
            becomes: "BackendPolicy `sessionCookie.name`. Refused: no cookie's name; then the default counts.",
        },
        Key {
            name: "session-cookie-path",
            doc: "Path of the affinity cookie. Default /.",
            becomes: "BackendPolicy `sessionCookie.path`. Refused: characters that fit into no cookie.",
        },
        Key {
            name: "session-cookie-max-age",
            doc: "Lifetime of the affinity cookie in seconds. Default: the browser's session.",
            becomes: "BackendPolicy `sessionCookie.maxAge`. Refused: not a whole number above 0.",
        },
        Key {
            name: "session-cookie-expires",
            doc: "Lifetime of the affinity cookie in seconds, if session-cookie-max-age is absent.",
            becomes: "BackendPolicy `sessionCookie.maxAge`. No effect: session-cookie-max-age is set, which browsers go by. Refused: not a whole number above 0.",
        },
        Key {
            name: "session-cookie-domain",
            doc: "Domain of the affinity cookie. Default: the host that was asked.",
            becomes: "BackendPolicy `sessionCookie.domain`. Refused: characters that fit into no cookie.",
        },
        Key {
            name: "session-cookie-samesite",
            doc: "SameSite of the affinity cookie: Strict, Lax or None.",
            becomes: "BackendPolicy `sessionCookie.sameSite`. Refused: other words.",
        },
        Key {
            name: "session-cookie-secure",
            doc: "true: browsers send the affinity cookie over TLS only. Default false.",
            becomes: "BackendPolicy `sessionCookie.secure`. Refused: neither true nor false.",
        },
        Key {
            name: "session-cookie-change-on-failure",
            doc: "true or false: whether a client whose endpoint is there and fails gets another cookie, that of the endpoint which answered. Default true.",
            becomes: "BackendPolicy `sessionCookie.changeOnFailure`. Refused: neither true nor false.",
        },
        Key {
            name: "affinity-canary-behavior",
            doc: "sticky: a client stays with its endpoint whatever the weights of canaries say. legacy: the weights choose first, and the cookie counts among the endpoints of the chosen one. Default sticky. A canary by header or cookie is chosen before either.",
            becomes: "BackendPolicy `sessionCookie.scope`. Refused: other words.",
        },
    ],
    apply,
};

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    if reader.parse("affinity", affinity) == Some(()) {
        reader.exact("affinity", Effect::BackendPolicy(has_cookie), COOKIE);
        let cookie = session_cookie(reader);
        settings.backend_policy_mut().session_cookie = Some(cookie);
    } else {
        for key in AFFINITY.keys.iter().filter(|key| key.name != "affinity") {
            reader.pointless(key.name, "affinity: cookie");
        }
    }
}

fn affinity(text: &str) -> Result<(), String> {
    match text {
        "cookie" => Ok(()),
        _ => Err(format!("{text:?} is no kind of affinity; there is cookie")),
    }
}

fn session_cookie(reader: &mut Reader<'_>) -> SessionCookie {
    let token = |text: &str| {
        let legal = value::header_name(text).map(|_| text.to_owned());
        legal.map_err(|_| format!("{text:?} is no name of a cookie"))
    };
    let name = "INGRESSCOOKIE".to_owned();
    let cookie = SessionCookie {
        name: told_or(reader, "session-cookie-name", name, token),
        path: told(reader, "session-cookie-path", attribute),
        max_age: lifetime(reader),
        domain: told(reader, "session-cookie-domain", attribute),
        same_site: told(reader, "session-cookie-samesite", same_site),
        secure: told_or(reader, "session-cookie-secure", false, value::boolean),
        change_on_failure: told_or(
            reader,
            "session-cookie-change-on-failure",
            true,
            value::boolean,
        ),
        scope: told_or(
            reader,
            "affinity-canary-behavior",
            SessionScope::Rule,
            canary_behavior,
        ),
    };
    mode(reader);
    cookie
}

/// A value that goes into the cookie as it is.
fn told<T>(
    reader: &mut Reader<'_>,
    key: &'static str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    let value = reader.parse(key, parse)?;
    reader.exact(key, Effect::BackendPolicy(has_cookie), COOKIE);
    Some(value)
}

/// Likewise a value that may be the default.
fn told_or<T: PartialEq>(
    reader: &mut Reader<'_>,
    key: &'static str,
    default: T,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> T {
    match reader.parse(key, parse) {
        Some(value) if value != default => {
            reader.exact(key, Effect::BackendPolicy(has_cookie), COOKIE);
            value
        }
        Some(value) => {
            reader.exact(key, Effect::Default, "as by default");
            value
        }
        None => default,
    }
}

const COOKIE: &str = "BackendPolicy sessionCookie";

fn has_cookie(policy: &BackendPolicySpec) -> bool {
    policy.session_cookie.is_some()
}

fn attribute(text: &str) -> Result<String, String> {
    let legal = |b: u8| (0x20..0x7f).contains(&b) && b != b';';
    if !text.is_empty() && text.bytes().all(legal) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} fits into no cookie"))
    }
}

/// Seconds; `session-cookie-max-age` wins.
fn lifetime(reader: &mut Reader<'_>) -> Option<u64> {
    let max_age = told(reader, "session-cookie-max-age", value::positive);
    let expires = reader.parse("session-cookie-expires", value::positive);
    match (max_age, expires) {
        (Some(_), Some(_)) => {
            let message =
                "session-cookie-max-age says how long the cookie lives, as browsers read it";
            reader.say("session-cookie-expires", Outcome::NoEffect, message);
        }
        (None, Some(_)) => {
            let effect = Effect::BackendPolicy(has_cookie);
            reader.exact("session-cookie-expires", effect, COOKIE);
        }
        _ => {}
    }
    max_age.or(expires)
}

fn canary_behavior(text: &str) -> Result<SessionScope, String> {
    match text {
        "sticky" => Ok(SessionScope::Rule),
        "legacy" => Ok(SessionScope::Backend),
        _ => Err(format!("{text:?} is neither sticky nor legacy")),
    }
}

/// What is always so.
fn mode(reader: &mut Reader<'_>) {
    match reader.text("affinity-mode").as_deref() {
        Some("balanced" | "persistent") => {
            let message = "a client stays with its endpoint";
            reader.exact("affinity-mode", Effect::Default, message);
        }
        Some(other) => {
            let message = format!("{other:?} is neither balanced nor persistent");
            reader.say("affinity-mode", Outcome::Refused, message);
        }
        None => {}
    }
}

fn same_site(text: &str) -> Result<SameSite, String> {
    let known = [
        ("Strict", SameSite::Strict),
        ("Lax", SameSite::Lax),
        ("None", SameSite::None),
    ];
    let mut known = known.into_iter();
    known
        .find(|(name, _)| name.eq_ignore_ascii_case(text))
        .map(|(_, same_site)| same_site)
        .ok_or_else(|| format!("{text:?} is none of Strict, Lax and None"))
}
